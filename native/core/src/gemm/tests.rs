use super::*;
use crate::math::philox::{Stream, uniform};

fn noise(seed: u64, n: usize) -> Vec<f32> {
    (0..n as u64).map(|i| uniform(seed, Stream::BaseInit, 0, i) * 2.0 - 1.0).collect()
}

/// The definition, written as plainly as it can be.
fn naive(a: MatRef, m: usize, b: &[f32], k: usize, n: usize, block: usize) -> Vec<f32> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            let mut total: Option<f32> = None;
            for from in (0..k).step_by(block) {
                let mut sum = 0f32;
                for x in from..(from + block).min(k) {
                    sum = a.data[i * a.row + x * a.col].mul_add(b[x * n + j], sum);
                }
                total = Some(total.map_or(sum, |t| t + sum));
            }
            c[i * n + j] = total.unwrap_or(0.0);
        }
    }
    c
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn every_simd_level_gives_the_bits_of_the_definition_for_every_shape() {
    for (m, n, k) in [
        (1, 1, 1),
        (1, 16, 7),
        (1, 130, 300),
        (2, 33, 256),
        (3, 17, 257),
        (4, 64, 64),
        (5, 48, 600),
        (6, 16, 256),
        (7, 100, 31),
        (13, 40, 513),
        (64, 31, 128),
        (25, 8, 1000),
        // Groups of panels, and what is left of them: 8 + 4 + 2 + 1, 4 + 2 + 1, more rows than few.
        (1, 240, 520),
        (2, 368, 300),
        (3, 112, 513),
        (11, 300, 300),
        (33, 330, 300),
    ] {
        let a = noise(1, m * k);
        let b = noise(2, k * n);
        let packed = Packed::from_rows(&b, k, n);
        for block in [BLOCK, 64] {
            let view = MatRef::rows(&a, k);
            let want = bits(&naive(view, m, &b, k, n, block));
            for level in simd::supported() {
                let mut c = vec![f32::NAN; m * n];
                // SAFETY: all buffers hold the whole product and the level is supported.
                unsafe {
                    run(
                        level,
                        view,
                        m,
                        packed.view(),
                        c.as_mut_ptr(),
                        n,
                        block,
                        0,
                        n.div_ceil(PANEL),
                    );
                }
                assert_eq!(bits(&c), want, "{level:?} {m}x{n}x{k} block {block}");
            }
        }
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_among_sixty_four() {
    let (m, n, k) = (64, 96, 344);
    let a = noise(3, m * k);
    let packed = Packed::from_weight(&noise(4, n * k), n, k);
    let mut all = vec![0.0; m * n];
    gemm(MatRef::rows(&a, k), m, packed.view(), &mut all, n, BLOCK);
    for i in 0..m {
        let mut one = vec![0.0; n];
        gemm(MatRef::rows(&a[i * k..], k), 1, packed.view(), &mut one, n, BLOCK);
        assert_eq!(bits(&one), bits(&all[i * n..(i + 1) * n]), "row {i}");
    }
}

#[test]
fn one_thread_and_three_give_the_same_bits() {
    let (m, n, k) = (50, 700, 520);
    let a = noise(5, k * m);
    let packed = Packed::from_weight(&noise(6, n * k), n, k);
    let run = |threads: usize| {
        let mut c = vec![0.0; m * n];
        crate::pool::build(threads)
            .install(|| gemm(MatRef::transposed(&a, m), m, packed.view(), &mut c, n, BLOCK));
        bits(&c)
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn packing_is_undone_by_unpacking() {
    let w = noise(7, 37 * 21);
    let packed = Packed::from_weight(&w, 37, 21);
    assert_eq!(packed.to_weight(), w);
}

#[test]
#[should_panic(expected = "A is too small")]
fn a_view_that_would_read_past_its_end_is_refused() {
    let packed = Packed::from_rows(&[0.0; 4], 2, 2);
    gemm(MatRef::rows(&[0.0; 3], 2), 2, packed.view(), &mut [0.0; 4], 2, BLOCK);
}
