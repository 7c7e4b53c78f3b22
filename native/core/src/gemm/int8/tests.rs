use super::*;
use crate::math::philox::{Stream, uniform};

fn noise(seed: u64, n: usize) -> Vec<f32> {
    (0..n as u64).map(|i| 4.0 * (uniform(seed, Stream::BaseInit, 3, i) - 0.5)).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// The definition, straight.
fn plain(x: &[f32], m: usize, w: &PackedI8) -> Vec<f32> {
    let (n, k, entries) = (w.n(), w.k(), w.entries());
    let mut out = vec![0f32; m * n];
    for (x, y) in x.chunks_exact(k).zip(out.chunks_exact_mut(n)) {
        for (from, part) in (0..k).step_by(BLOCK).zip(x.chunks(BLOCK)) {
            let mut q = vec![0; part.len()];
            let scale = quantise::quantise_row(part, &mut q);
            for (j, y) in y.iter_mut().enumerate() {
                let sum = multiply(&q, &entries[j * k + from..][..q.len()], q.len())[0];
                *y = (sum as f32).mul_add(scale, *y);
            }
        }
        y.iter_mut().zip(w.scales()).for_each(|(y, scale)| *y *= scale);
    }
    out
}

fn run_at(level: Level, x: &Quantised, map: &PackedI8) -> Vec<f32> {
    let mut out = vec![f32::NAN; x.rows() * map.n()];
    let job = micro::Job { x, map, out: out.as_mut_ptr(), first: 0, last: map.panels() };
    // SAFETY: all buffers hold the whole product and the level is supported.
    unsafe { run(level, &job) };
    out
}

#[test]
fn every_level_gives_the_bits_of_the_definition_for_every_shape() {
    let shapes = [(1, 1, 1), (1, 16, 7), (1, 130, 300), (2, 33, 64), (3, 17, 257), (4, 64, 64)];
    let more = [(5, 48, 600), (6, 16, 256), (7, 100, 31), (13, 40, 513), (64, 31, 128)];
    for (m, n, k) in shapes.into_iter().chain(more) {
        let x = noise(1, m * k);
        let w = PackedI8::from_weight(&noise(2, n * k), n, k);
        let want = bits(&plain(&x, m, &w));
        let quantised = Quantised::rows_of(&x, m);
        for simd in simd::supported() {
            let got = run_at(level_of(simd), &quantised, &w);
            assert_eq!(bits(&got), want, "{simd:?} {m}x{n}x{k}");
        }
    }
}

#[test]
fn the_largest_sums_do_not_saturate() {
    let k = 1024;
    for sign in [1.0f32, -1.0] {
        let w = PackedI8::from_weight(&vec![sign; 16 * k], 16, k);
        let x = vec![-3.0; k];
        let want = bits(&plain(&x, 1, &w));
        for simd in simd::supported() {
            let got = run_at(level_of(simd), &Quantised::rows_of(&x, 1), &w);
            assert!((got[0] + 3.0 * sign * k as f32).abs() < 0.01, "{simd:?}: {}", got[0]);
            assert_eq!(bits(&got), want, "{simd:?}");
        }
    }
}

#[test]
fn maps_side_by_side_have_the_bits_they_have_alone_with_any_threads() {
    let (m, k) = (3, 200);
    let x = Quantised::rows_of(&noise(1, m * k), m);
    let maps: Vec<PackedI8> = [40, 16, 999]
        .iter()
        .enumerate()
        .map(|(i, n)| PackedI8::from_weight(&noise(i as u64, n * k), *n, k))
        .collect();
    let refs: Vec<&PackedI8> = maps.iter().collect();
    for threads in [1, 3] {
        let mut outs: Vec<Vec<f32>> = maps.iter().map(|w| vec![0.0; m * w.n()]).collect();
        crate::pool::build(threads).install(|| apply(&x, &refs, &mut outs));
        for (out, map) in outs.iter().zip(&maps) {
            let mut alone = vec![vec![0.0; m * map.n()]];
            apply(&x, &[map], &mut alone);
            assert_eq!(bits(out), bits(&alone[0]));
        }
    }
}

#[test]
fn a_row_is_rounded_half_to_even_under_the_scale_of_its_largest() {
    let mut q = [0i8; 5];
    let scale = quantise::quantise_row(&[127.0, -127.0, 2.5, -0.5, 3.5], &mut q);
    assert_eq!((scale, q), (1.0, [127, -127, 2, 0, 4]));
    assert_eq!(quantise::quantise_row(&[0.0, -0.0], &mut q[..2]), 0.0);
    assert_eq!(quantise::quantise_row(&[1e-45, 0.0], &mut q[..2]), 0.0);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let scale = quantise::quantise_row(&[1.0, bad], &mut q[..2]);
        assert_eq!((scale.to_bits(), &q[..2]), (0x7fc0_0000, &[0i8, 0][..]));
    }
}

#[test]
fn no_row_of_any_size_has_an_entry_outside_127() {
    for exponent in -120..120 {
        let row: Vec<f32> =
            noise(exponent as u64, 300).iter().map(|x| x * 2f32.powi(exponent)).collect();
        let mut q = vec![0; 300];
        let scale = quantise::quantise_row(&row, &mut q);
        assert_eq!(q.iter().map(|q| q.unsigned_abs()).max(), Some(127));
        for (q, x) in q.iter().zip(&row) {
            assert!((f32::from(*q) * scale - x).abs() <= 0.5001 * scale);
        }
    }
}

#[test]
fn entries_and_scales_come_back_from_the_panels() {
    let (n, k) = (37, 21);
    let w = PackedI8::from_weight(&noise(7, n * k), n, k);
    let again = PackedI8::from_entries(&w.entries(), w.scales(), n, k);
    assert_eq!(again.entries(), w.entries());
    let mut row = vec![0.0; k];
    w.copy_row(36, &mut row);
    assert_eq!(row, w.to_weight()[36 * k..]);
}
