//! The canonical int8 product: y = x W^T with W as int8 rows under one scale each, x quantised just before with a
//! scale for every 64 entries of a row, sums of 64 products in int32, and those joined in f32.
//!
//!   scale = largest / 127, q = round_half_even(value * (127 / largest))   a row of W, or 64 entries of a row of x
//!   y[i, j] = scale_w[j] * chain over blocks b ascending of fma(f32(sum_{k in b} qx[i, k] qw[j, k]), scale_x[i, b], .)
//!
//! The chain starts from +0. Sums of a block are exact in any order, the rest is a fixed row of IEEE operations: no SIMD
//! level, thread or batch can be seen in a bit. A block of x (a row of W) with a NaN or an infinity has the scale NaN, one
//! too small for 127 / largest to be finite is zero. No entry is ever -128, which is what lets AVX2 multiply in pairs
//! without saturating.
//!
//! Why blocks: with one scale a token a few large activations cost SmolLM2-135M 4 % of perplexity, with blocks of
//! 64 under 1 % (test/bench/perplexity.ts).

mod dots;
mod micro;
mod pack;
mod quantise;

pub use pack::PackedI8;
pub use quantise::{BLOCK, QUAD, Quantised};

use super::{Out, each_panels};
use crate::math::simd::{self, Simd};

/// Longest sum that cannot overflow: 128 * 128 * K < 2^31.
pub const K_MAX: usize = 131_071;

/// C [m, n] = A B^T, A [m, k], B [n, k], in int32: the plain twin of all others and of kernels/gemm_i8.cu.
pub fn multiply(a: &[i8], b: &[i8], k: usize) -> Vec<i32> {
    assert!((1..=K_MAX).contains(&k), "k is {k}, must be 1..={K_MAX}");
    let dot =
        |x: &[i8], y: &[i8]| x.iter().zip(y).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
    a.chunks_exact(k).flat_map(|x| b.chunks_exact(k).map(move |y| dot(x, y))).collect()
}

/// y [m, n] = x W^T for several maps of the same rows at once, each into an output of its own.
pub fn apply(x: &Quantised, maps: &[&PackedI8], outs: &mut [Vec<f32>]) {
    assert_eq!(maps.len(), outs.len(), "an output a map");
    let m = x.rows();
    for (map, out) in maps.iter().zip(outs.iter()) {
        assert!(map.k() == x.k() && out.len() == m * map.n(), "the int8 product does not fit");
    }
    if m == 0 {
        return;
    }
    let level = level();
    let outs: Vec<Out> = outs.iter_mut().map(|out| Out(out.as_mut_ptr())).collect();
    // A quarter of f32's bytes, and many products an instruction.
    let work = m * pack::PANEL * x.k() / 4;
    each_panels(
        maps.len(),
        |map| maps[map].panels(),
        work,
        1,
        |map, range| {
            let Out(out) = outs[map];
            let job = micro::Job { x, map: maps[map], out, first: range.start, last: range.end };
            // SAFETY: shapes were checked, panel ranges are disjoint, the machine has the level.
            unsafe { run(level, &job) };
        },
    );
}

/// What multiplies bytes: the float levels, and VNNI where AVX-512 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with VNNI.
    #[cfg(target_arch = "x86_64")]
    Vnni,
    #[cfg(target_arch = "aarch64")]
    Neon,
}

fn level() -> Level {
    level_of(simd::active())
}

fn level_of(simd: Simd) -> Level {
    match simd {
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 if is_x86_feature_detected!("avx512vnni") => Level::Vnni,
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 | Simd::Avx512 => Level::Avx2,
        #[cfg(target_arch = "aarch64")]
        Simd::Neon => Level::Neon,
        _ => Level::Scalar,
    }
}

/// # Safety
/// The job's pointers cover its rows and panels, and the machine has `level`.
unsafe fn run(level: Level, job: &micro::Job) {
    // SAFETY: the caller's promise.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => micro::avx2(job),
            #[cfg(target_arch = "x86_64")]
            Level::Vnni => micro::vnni(job),
            #[cfg(target_arch = "aarch64")]
            Level::Neon => micro::neon(job),
            _ => micro::scalar(job),
        }
    }
}

#[cfg(test)]
mod tests;
