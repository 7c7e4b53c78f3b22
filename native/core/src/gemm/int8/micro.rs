//! The loops of the int8 product: tiles of rows by panels keep the sums of a block, and the chains over blocks, in
//! registers. One row alone is bound by memory, so its tile is one panel, read straight through, with four sums in
//! turn.

// Tiles are arrays in registers: counted loops over both indices are what the optimiser unrolls.
#![allow(clippy::needless_range_loop)]

use super::dots::Dots;
use super::pack::{PANEL, PackedI8};
use super::quantise::{BLOCK, QUAD, Quantised};
use crate::gemm::lanes::Lanes;

/// Panels `first..last` of one product.
pub struct Job<'a> {
    pub x: &'a Quantised,
    pub map: &'a PackedI8,
    /// [rows, n].
    pub out: *mut f32,
    pub first: usize,
    pub last: usize,
}

const BLOCK_QUADS: usize = BLOCK / QUAD;

/// The sums of `count` quads from quad `from` on, in U chains.
#[inline(always)]
unsafe fn block<D: Dots, const M: usize, const P: usize, const U: usize>(
    x: *const i8,
    w: *const u8,
    width: usize,
    stride: usize,
    count: usize,
) -> [[D; P]; M] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut acc = [[[D::zero(); P]; M]; U];
        let mut at = 0;
        while at + U <= count {
            for u in 0..U {
                for p in 0..P {
                    let w = w.add(p * stride + (at + u) * PANEL * QUAD);
                    for r in 0..M {
                        acc[u][r][p] = acc[u][r][p].add(w, x.add(r * width + (at + u) * QUAD));
                    }
                }
            }
            at += U;
        }
        while at < count {
            for p in 0..P {
                for r in 0..M {
                    let w = w.add(p * stride + at * PANEL * QUAD);
                    acc[0][r][p] = acc[0][r][p].add(w, x.add(r * width + at * QUAD));
                }
            }
            at += 1;
        }
        let mut all = acc[0];
        for u in 1..U {
            for r in 0..M {
                for p in 0..P {
                    all[r][p] = all[r][p].join(acc[u][r][p]);
                }
            }
        }
        all
    }
}

/// M rows against P panels.
#[inline(always)]
unsafe fn tile<D: Dots, const M: usize, const P: usize, const U: usize>(
    job: &Job,
    row: usize,
    panel: usize,
) {
    let map = job.map;
    let (quads, stride) = (map.k().div_ceil(QUAD), map.panel_bytes());
    let (width, blocks) = (quads * QUAD, map.k().div_ceil(BLOCK));
    // SAFETY: `apply` checked that rows, panels and outputs hold everything addressed here.
    unsafe {
        let x = job.x.entries().as_ptr().add(row * width);
        let w = map.data().as_ptr().add(panel * stride);
        let scales = job.x.scales().as_ptr().add(row * blocks);
        let starts = job.x.starts().as_ptr().add(row * blocks);
        let mut total = [[D::Floats::zero(); P]; M];
        for b in 0..blocks {
            let (x, w) = (x.add(b * BLOCK), w.add(b * BLOCK * PANEL));
            // A whole block has a length that is known here, so that its loop is unrolled.
            let sums = if b * BLOCK_QUADS + BLOCK_QUADS <= quads {
                block::<D, M, P, U>(x, w, width, stride, BLOCK_QUADS)
            } else {
                block::<D, M, P, U>(x, w, width, stride, quads - b * BLOCK_QUADS)
            };
            for r in 0..M {
                let scale = D::Floats::splat(*scales.add(r * blocks + b));
                let start = *starts.add(r * blocks + b);
                for p in 0..P {
                    total[r][p] = sums[r][p].floats(start).fma(scale, total[r][p]);
                }
            }
        }
        for r in 0..M {
            for p in 0..P {
                write::<D>(job, row + r, panel + p, total[r][p]);
            }
        }
    }
}

/// One row's outputs of one panel.
#[inline(always)]
unsafe fn write<D: Dots>(job: &Job, row: usize, panel: usize, total: D::Floats) {
    let (n, from) = (job.map.n(), panel * PANEL);
    let scales = &job.map.padded_scales()[from..][..PANEL];
    let mut y = [0f32; PANEL];
    // SAFETY: the row of the output holds n values.
    unsafe {
        total.store(y.as_mut_ptr());
        for j in 0..PANEL {
            y[j] *= scales[j];
        }
        let to = job.out.add(row * n + from);
        if from + PANEL <= n {
            to.cast::<[f32; PANEL]>().write_unaligned(y);
        } else {
            for (j, y) in y.iter().enumerate().take(n - from) {
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
        // Panel by panel, so that a panel is in the first cache for all rows.
        let tall = if D::WIDE { 6 } else { 3 };
        let full = job.x.rows() / tall * tall;
        let mut panel = job.first;
        while full > 0 && panel < job.last {
            let two = D::WIDE && panel + 2 <= job.last;
            for row in (0..full).step_by(tall) {
                match (D::WIDE, two) {
                    (true, true) => tile::<D, 6, 2, 1>(job, row, panel),
                    (true, false) => tile::<D, 6, 1, 1>(job, row, panel),
                    (false, _) => tile::<D, 3, 1, 1>(job, row, panel),
                }
            }
            panel += if two { 2 } else { 1 };
        }
        match (job.x.rows() - full, D::WIDE) {
            (1, _) => rows::<D, 1, 1, 4>(job, full),
            (2, true) => rows::<D, 2, 2, 2>(job, full),
            (3, true) => rows::<D, 3, 2, 2>(job, full),
            (4, true) => rows::<D, 4, 2, 1>(job, full),
            (5, true) => rows::<D, 5, 2, 1>(job, full),
            (2, false) => rows::<D, 2, 1, 1>(job, full),
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
