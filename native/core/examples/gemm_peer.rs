//! The canonical f32 product beside crate `gemm`, which may add in any order, on SmolLM2-135M's shapes; and the int8
//! product. Lines `name value unit peer ratio`: `cargo run --release --example gemm_peer`; RAYON_NUM_THREADS sets the threads.

use gemm::Parallelism;
use openledger_core::gemm::int8::{self, PackedI8, Quantised};
use openledger_core::gemm::{BLOCK, MatRef, Packed, gemm as canonical};
use std::time::Instant;

/// Rounds in turn, the best of each counts: other work on the machine disturbs both alike.
const ROUNDS: usize = 30;

fn time(job: &mut dyn FnMut(), runs: u32) -> f64 {
    let start = Instant::now();
    (0..runs).for_each(|_| job());
    start.elapsed().as_secs_f64() / f64::from(runs)
}

fn shape(m: usize, n: usize, k: usize, threads: usize) {
    let value = |i: usize| ((i * 7919) % 1009) as f32 / 1009.0 - 0.5;
    let a: Vec<f32> = (0..m * k).map(value).collect();
    let w: Vec<f32> = (0..n * k).map(value).collect();
    let packed = Packed::from_weight(&w, n, k);
    let quantised = PackedI8::from_weight(&w, n, k);
    let (mut ours, mut theirs) = (vec![0f32; m * n], vec![0f32; m * n]);
    let mut outs = vec![vec![0f32; m * n]];
    let parallelism = if threads == 1 { Parallelism::None } else { Parallelism::Rayon(threads) };
    let mut peer = || {
        let (c, a, w) = (theirs.as_mut_ptr(), a.as_ptr(), w.as_ptr());
        let (n1, k1) = (n as isize, k as isize);
        // SAFETY: all strides stay inside the three matrices.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c,
                1,
                n1,
                false,
                a,
                1,
                k1,
                w,
                k1,
                1,
                0f32,
                1f32,
                false,
                false,
                false,
                parallelism,
            );
        }
    };
    let mut own = || canonical(MatRef::rows(&a, k), m, packed.view(), &mut ours, n, BLOCK);
    let mut bytes = || int8::apply(&Quantised::rows_of(&a, m), &[&quantised], &mut outs);
    let jobs: &mut [&mut dyn FnMut()] = &mut [&mut own, &mut peer, &mut bytes];
    let runs = (4e7 / (m * n * k) as f64).ceil() as u32;
    let mut best = [f64::MAX; 3];
    for _ in 0..ROUNDS {
        for (job, best) in jobs.iter_mut().zip(&mut best) {
            *best = best.min(time(*job, runs));
        }
    }
    let rate = |s: f64| 2e-9 * (m * n * k) as f64 / s;
    let [own, peer, bytes] = best.map(rate);
    println!("gemm-f32-{m}x{n}x{k} {own:.1} GFLOP/s {peer:.1} {:.2}", own / peer);
    println!("gemm-int8-{m}x{n}x{k} {bytes:.1} GOP/s {peer:.1} {:.2}", bytes / peer);
    for (a, b) in ours.iter().zip(&theirs) {
        assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "the two differ: {a} and {b}");
    }
}

fn main() {
    let threads = openledger_core::pool::threads();
    println!("# {} with {threads} threads", openledger_core::math::simd::active().name());
    for m in [1, 4, 32, 128, 512] {
        for (n, k) in [(960, 576), (576, 576), (3072, 576), (576, 1536), (49_152, 576)] {
            if m * n < 1 << 23 {
                shape(m, n, k, threads);
            }
        }
    }
}
