//! The canonical int8 product: y = x W^T with W as int8 rows under one scale each, x quantised row by row
//! in the same way just before, sums in int32, and back to f32 by two multiplications.
//!
//!   scale = largest / 127, q = round_half_even(value * (127 / largest))      a row of W or of x
//!   y[i, j] = (f32(sum_k qx[i, k] qw[j, k]) * scale_x[i]) * scale_w[j]
//!
//! The sums are exact in any order, the rest is a fixed row of IEEE operations: no SIMD level, thread or batch can be
//! seen in a bit. A row with a NaN or an infinity has the scale NaN, one too small for 127 / largest to be
//! finite is zero. No entry is ever -128, which is what lets AVX2 multiply in pairs without saturating.

mod dots;
mod micro;
mod pack;
mod quantise;

pub use pack::PackedI8;
pub use quantise::{QUAD, Quantised};

use crate::math::simd::{self, Simd};
use crate::pool;

/// Longest sum that cannot overflow: 128 * 128 * K < 2^31.
pub const K_MAX: usize = 131_071;

/// C [m, n] = A B^T, A [m, k], B [n, k], in int32: the plain twin of all others and of kernels/gemm_i8.cu.
pub fn multiply(a: &[i8], b: &[i8], k: usize) -> Vec<i32> {
    assert!((1..=K_MAX).contains(&k), "k is {k}, must be 1..={K_MAX}");
    let dot =
        |x: &[i8], y: &[i8]| x.iter().zip(y).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum();
    a.chunks_exact(k).flat_map(|x| b.chunks_exact(k).map(move |y| dot(x, y))).collect()
}

#[derive(Clone, Copy)]
struct Out(*mut f32);
// SAFETY: tasks write disjoint column ranges of their outputs.
unsafe impl Send for Out {}
// SAFETY: as above.
unsafe impl Sync for Out {}

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
    let biased = if level == Level::Vnni { x.biased() } else { vec![] };
    let rows = if level == Level::Vnni { biased.as_ptr().cast() } else { x.entries().as_ptr() };
    let rows = In(rows);
    let panels: usize = maps.iter().map(|map| map.panels()).sum();
    let work = m * panels * pack::PANEL * x.k();
    let step = pool::chunk(panels, work, pool::TASK_WORK, 1);
    let outs: Vec<Out> = outs.iter_mut().map(|out| Out(out.as_mut_ptr())).collect();
    pool::each(panels.div_ceil(step), &|task| {
        let (mut from, mut to) = (task * step, ((task + 1) * step).min(panels));
        let In(rows) = { rows };
        for (map, Out(out)) in maps.iter().zip(&outs) {
            let first = from.min(map.panels());
            let last = to.min(map.panels());
            if first < last {
                let job =
                    micro::Job { x: rows, scales: x.scales(), m, map, out: *out, first, last };
                // SAFETY: shapes were checked, panel ranges are disjoint, the machine has the level.
                unsafe { run(level, &job) };
            }
            (from, to) = (from - first, to - last);
        }
    });
}

#[derive(Clone, Copy)]
struct In(*const i8);
// SAFETY: only read.
unsafe impl Send for In {}
// SAFETY: only read.
unsafe impl Sync for In {}

/// What multiplies bytes: the float levels, and VNNI where AVX-512 has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512 with VNNI; it takes x with 128 added.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
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
