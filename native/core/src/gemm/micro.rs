//! The loops of the product. For each group of panels and each block of k, tiles of up to six rows keep
//! their accumulators in registers; C takes the first block's sum as it is and adds the others.

// Tiles are arrays in registers: counted loops over both indices are what the optimiser unrolls.
#![allow(clippy::needless_range_loop)]

use super::lanes::Lanes;
use super::pack::PANEL;
use std::ops::Range;

/// Panels that all rows are multiplied by in one go: their block of k stays in the second cache.
const GROUP: usize = 8;

/// Rows up to which a product is bound by reading B.
const FEW_ROWS: usize = 32;

/// One product, panels `first..last` of it.
pub struct Job {
    pub a: *const f32,
    pub row: usize,
    pub col: usize,
    pub m: usize,
    pub b: *const f32,
    pub stride: usize,
    pub n: usize,
    pub k: usize,
    pub c: *mut f32,
    pub ldc: usize,
    pub block: usize,
    pub first: usize,
    pub last: usize,
}

/// M rows by P panels over `k` steps; writes or adds `cols` columns.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn tile<L: Lanes, const M: usize, const P: usize>(
    job: &Job,
    a: *const f32,
    b: *const f32,
    k: usize,
    c: *mut f32,
    cols: usize,
    first_block: bool,
) {
    let (row, col, stride) = (job.row, job.col, job.stride);
    // SAFETY: `gemm` checked that A, B and C hold everything addressed here; partial panels go
    // through a local buffer.
    unsafe {
        let mut acc = [[L::zero(); P]; M];
        let (mut ak, mut bk) = (a, b);
        for _ in 0..k {
            let mut lanes = [L::zero(); P];
            for p in 0..P {
                lanes[p] = L::load(bk.add(p * stride));
            }
            for r in 0..M {
                let x = L::splat(*ak.add(r * row));
                for p in 0..P {
                    acc[r][p] = x.fma(lanes[p], acc[r][p]);
                }
            }
            ak = ak.wrapping_add(col);
            bk = bk.add(PANEL);
        }
        for r in 0..M {
            for p in 0..P {
                let to = c.add(r * job.ldc + p * PANEL);
                let width = cols - p * PANEL;
                if width >= PANEL {
                    let sum = if first_block { acc[r][p] } else { L::load(to).add(acc[r][p]) };
                    sum.store(to);
                } else {
                    let mut sums = [0f32; PANEL];
                    acc[r][p].store(sums.as_mut_ptr());
                    for (j, sum) in sums.iter().enumerate().take(width) {
                        *to.add(j) = if first_block { *sum } else { *to.add(j) + *sum };
                    }
                }
            }
        }
    }
}

/// All rows of one group of P panels in one block of k.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
unsafe fn rows<L: Lanes, const M: usize, const P: usize>(
    job: &Job,
    from: usize,
    panel: usize,
    k0: usize,
    k: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let a = job.a.add(from * job.row + k0 * job.col);
        let b = job.b.add(panel * job.stride + k0 * PANEL);
        let c = job.c.add(from * job.ldc + panel * PANEL);
        tile::<L, M, P>(job, a, b, k, c, job.n - panel * PANEL, k0 == 0);
    }
}

/// M rows against panels `panels`, P at a time; what is left over in halves.
#[inline(always)]
unsafe fn group<L: Lanes, const M: usize, const P: usize>(
    job: &Job,
    from: usize,
    panels: Range<usize>,
    k0: usize,
    k: usize,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut panel = panels.start;
        while panel + P <= panels.end {
            rows::<L, M, P>(job, from, panel, k0, k);
            panel += P;
        }
        if P > 4 && panel + 4 <= panels.end {
            rows::<L, M, 4>(job, from, panel, k0, k);
            panel += 4;
        }
        if P > 2 && panel + 2 <= panels.end {
            rows::<L, M, 2>(job, from, panel, k0, k);
            panel += 2;
        }
        while panel < panels.end {
            rows::<L, M, 1>(job, from, panel, k0, k);
            panel += 1;
        }
    }
}

/// All rows against a group of panels in one block of k.
#[inline(always)]
unsafe fn block<L: Lanes>(job: &Job, panels: Range<usize>, k0: usize, k: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        // Full six-row tiles, panel by panel so that a panel's block stays in the first cache.
        let full = job.m / 6 * 6;
        let mut panel = panels.start;
        while full > 0 && panel < panels.end {
            let two = L::WIDE && panel + 2 <= panels.end;
            for from in (0..full).step_by(6) {
                if two {
                    rows::<L, 6, 2>(job, from, panel, k0, k);
                } else {
                    rows::<L, 6, 1>(job, from, panel, k0, k);
                }
            }
            panel += if two { 2 } else { 1 };
        }
        match (job.m - full, L::WIDE) {
            (1, false) => group::<L, 1, 4>(job, full, panels, k0, k),
            (2, false) => group::<L, 2, 2>(job, full, panels, k0, k),
            (3, false) => group::<L, 3, 2>(job, full, panels, k0, k),
            (4, false) => group::<L, 4, 1>(job, full, panels, k0, k),
            (5, false) => group::<L, 5, 1>(job, full, panels, k0, k),
            (1, true) => group::<L, 1, 8>(job, full, panels, k0, k),
            (2, true) => group::<L, 2, 4>(job, full, panels, k0, k),
            (3, true) => group::<L, 3, 4>(job, full, panels, k0, k),
            (4, true) => group::<L, 4, 2>(job, full, panels, k0, k),
            (5, true) => group::<L, 5, 2>(job, full, panels, k0, k),
            _ => {}
        }
    }
}

#[inline(always)]
unsafe fn product<L: Lanes>(job: &Job) {
    // Few rows are bound by memory: B is read once, from its beginning to its end. Of many rows a block is
    // multiplied by all panels before the next, so that A's block stays in a cache.
    let span = if job.m <= FEW_ROWS { GROUP } else { job.last - job.first };
    for first in (job.first..job.last).step_by(span.max(1)) {
        let last = job.last.min(first + span);
        for k0 in (0..job.k).step_by(job.block) {
            let k = job.block.min(job.k - k0);
            for from in (first..last).step_by(GROUP) {
                // SAFETY: the caller's promise.
                unsafe { block::<L>(job, from..last.min(from + GROUP), k0, k) };
            }
        }
    }
}

/// # Safety
/// The pointers of `job` cover the product.
pub unsafe fn scalar(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe { product::<super::lanes::Plain>(job) }
}

/// # Safety
/// As `scalar`, and the machine has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
pub unsafe fn avx2(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe { product::<super::lanes::x86::Avx2>(job) }
}

/// # Safety
/// As `scalar`, and the machine has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx2,fma")]
pub unsafe fn avx512(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe { product::<super::lanes::x86::Avx512>(job) }
}

/// # Safety
/// As `scalar`.
#[cfg(target_arch = "aarch64")]
pub unsafe fn neon(job: &Job) {
    // SAFETY: the caller's promise.
    unsafe { product::<super::lanes::arm::Neon>(job) }
}
