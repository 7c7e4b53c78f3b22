//! The loops of the int8 product: tiles of rows by panels keep their sums in registers over all of k. One row alone
//! is bound by memory, so its tile is one panel, read straight through, with four sums in turn.

// Tiles are arrays in registers: counted loops over both indices are what the optimiser unrolls.
#![allow(clippy::needless_range_loop)]

use super::dots::Dots;
use super::pack::{PANEL, PackedI8};
use super::quantise::QUAD;

/// Panels `first..last` of one product.
pub struct Job<'a> {
    /// Entries [m, k rounded up to whole quads], biased where the level wants that.
    pub x: *const i8,
    pub scales: &'a [f32],
    pub m: usize,
    pub map: &'a PackedI8,
    pub out: *mut f32,
    pub first: usize,
    pub last: usize,
}

/// Sums of M rows and P panels, in U chains; then back to f32.
#[inline(always)]
unsafe fn tile<D: Dots, const M: usize, const P: usize, const U: usize>(
    job: &Job,
    row: usize,
    panel: usize,
) {
    let map = job.map;
    let (quads, stride) = (map.k().div_ceil(QUAD), map.panel_bytes());
    // SAFETY: `apply` checked that rows, panels and outputs hold everything addressed here.
    unsafe {
        let x = job.x.add(row * quads * QUAD);
        let w = map.data().as_ptr().add(panel * stride);
        let mut acc = [[[D::zero(); P]; M]; U];
        let whole = quads / U * U;
        let mut at = 0;
        while at < whole {
            for u in 0..U {
                for p in 0..P {
                    let w = w.add(p * stride + (at + u) * PANEL * QUAD);
                    for r in 0..M {
                        let x = x.add((r * quads + at + u) * QUAD);
                        acc[u][r][p] = acc[u][r][p].add(w, x);
                    }
                }
            }
            at += U;
        }
        while at < quads {
            for p in 0..P {
                for r in 0..M {
                    let x = x.add((r * quads + at) * QUAD);
                    acc[0][r][p] = acc[0][r][p].add(w.add(p * stride + at * PANEL * QUAD), x);
                }
            }
            at += 1;
        }
        for r in 0..M {
            for p in 0..P {
                let mut sum = acc[0][r][p];
                for u in 1..U {
                    sum = sum.join(acc[u][r][p]);
                }
                write::<D>(job, row + r, panel + p, sum.sums());
            }
        }
    }
}

/// One row's sums of one panel as f32.
#[inline(always)]
unsafe fn write<D: Dots>(job: &Job, row: usize, panel: usize, sums: [i32; PANEL]) {
    let map = job.map;
    let from = panel * PANEL;
    let (scales, bias) = (&map.padded_scales()[from..][..PANEL], &map.bias()[from..][..PANEL]);
    let scale = job.scales[row];
    let mut y = [0f32; PANEL];
    for j in 0..PANEL {
        let sum = if D::BIASED { sums[j].wrapping_sub(bias[j]) } else { sums[j] };
        y[j] = (sum as f32 * scale) * scales[j];
    }
    // SAFETY: the row of the output holds n values.
    unsafe {
        let to = job.out.add(row * map.n() + from);
        if from + PANEL <= map.n() {
            to.cast::<[f32; PANEL]>().write_unaligned(y);
        } else {
            for (j, y) in y.iter().enumerate().take(map.n() - from) {
                *to.add(j) = *y;
            }
        }
    }
}

/// M rows against all panels, P at a time.
#[inline(always)]
unsafe fn rows<D: Dots, const M: usize, const P: usize, const U: usize>(job: &Job, row: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut panel = job.first;
        while panel + P <= job.last {
            tile::<D, M, P, U>(job, row, panel);
            panel += P;
        }
        while panel < job.last {
            tile::<D, M, 1, U>(job, row, panel);
            panel += 1;
        }
    }
}

#[inline(always)]
unsafe fn product<D: Dots>(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe {
        let full = job.m / 6 * 6;
        let step = if D::WIDE { 2 } else { 1 };
        // Panel by panel, so that a panel is in the first cache for all rows.
        let mut panel = job.first;
        while full > 0 && panel < job.last {
            let two = step == 2 && panel + 2 <= job.last;
            for row in (0..full).step_by(6) {
                if two {
                    tile::<D, 6, 2, 1>(job, row, panel);
                } else {
                    tile::<D, 6, 1, 1>(job, row, panel);
                }
            }
            panel += if two { 2 } else { 1 };
        }
        match (job.m - full, D::WIDE) {
            (1, _) => rows::<D, 1, 1, 4>(job, full),
            (2, true) => rows::<D, 2, 2, 2>(job, full),
            (3, true) => rows::<D, 3, 2, 2>(job, full),
            (4, true) => rows::<D, 4, 2, 1>(job, full),
            (5, true) => rows::<D, 5, 2, 1>(job, full),
            (2, false) => rows::<D, 2, 1, 2>(job, full),
            (3, false) => rows::<D, 3, 1, 1>(job, full),
            (4, false) => rows::<D, 4, 1, 1>(job, full),
            (5, false) => rows::<D, 5, 1, 1>(job, full),
            _ => {}
        }
    }
}

/// # Safety
/// The pointers of `job` cover its rows and panels.
pub unsafe fn scalar(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe { product::<super::dots::Plain>(job) }
}

/// # Safety
/// As `scalar`, and the machine has AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub unsafe fn avx2(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe { product::<super::dots::x86::Avx2>(job) }
}

/// # Safety
/// As `scalar`, and the machine has AVX-512F and VNNI.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni,avx2,fma")]
pub unsafe fn vnni(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe { product::<super::dots::x86::Vnni>(job) }
}

/// # Safety
/// As `scalar`.
#[cfg(target_arch = "aarch64")]
pub unsafe fn neon(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe { product::<super::dots::arm::Neon>(job) }
}
