//! Matrix product in the canonical order: C[i, j] = sum_k A[i, k] B[k, j], where each output is one
//! chain of fused multiply-adds over k ascending inside blocks of `block`, and block sums are
//! added in ascending order (the first block's sum is taken as it is).
//!
//! Vocabulary: M rows of A and C, N columns of B and C, K the sum. A is read in place through two
//! strides, so transposes cost nothing; B is packed once into panels of 16 columns. Vectors
//! and threads split M and N only, so no output depends on M, on its neighbours or on threads.

mod aligned;
pub mod int8;
mod lanes;
mod micro;
pub mod pack;

pub use pack::{PANEL, Packed, PanelsRef};

use crate::math::simd::{self, Simd};
use crate::pool;
use std::ops::Range;

/// Block length of every sum but those over attention keys.
pub const BLOCK: usize = 256;

/// A view of A: element (i, k) is `data[i * row + k * col]`.
#[derive(Clone, Copy)]
pub struct MatRef<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub col: usize,
}

impl<'a> MatRef<'a> {
    /// Row-major [.., cols].
    pub fn rows(data: &'a [f32], cols: usize) -> Self {
        Self { data, row: cols, col: 1 }
    }

    /// The transpose of a row-major [.., cols] matrix.
    pub fn transposed(data: &'a [f32], cols: usize) -> Self {
        Self { data, row: 1, col: cols }
    }
}

#[derive(Clone, Copy)]
struct Out(*mut f32);
// SAFETY: tasks write disjoint column ranges of C.
unsafe impl Send for Out {}
// SAFETY: as above.
unsafe impl Sync for Out {}

/// C[0..m, 0..n] = A B with C row-major of leading dimension `ldc`; n and k come from `b`.
pub fn gemm(a: MatRef, m: usize, b: PanelsRef, c: &mut [f32], ldc: usize, block: usize) {
    if m == 0 || b.n == 0 {
        return;
    }
    let out = checked(a, m, b, c, ldc);
    if b.k == 0 {
        for row in c.chunks_mut(ldc).take(m) {
            row[..b.n].fill(0.0);
        }
        return;
    }
    gemm_panels(a, m, &[b], &[(out, ldc)], block);
}

/// `gemm` of the same rows with several matrices in one parallel loop, each into a C of its own.
pub fn gemm_side_by_side(
    a: MatRef,
    m: usize,
    maps: &[PanelsRef],
    outs: &mut [Vec<f32>],
    block: usize,
) {
    assert_eq!(maps.len(), outs.len(), "an output a matrix");
    if let ([b], [c]) = (maps, &mut *outs) {
        return gemm(a, m, *b, c, b.n, block);
    }
    assert!(maps[0].k > 0, "an empty product");
    assert!(maps.iter().all(|b| b.k == maps[0].k), "the products do not fit");
    let outs: Vec<(Out, usize)> =
        maps.iter().zip(outs).map(|(b, c)| (checked(a, m, *b, c, b.n), b.n)).collect();
    gemm_panels(a, m, maps, &outs, block);
}

/// C, after a look at what the product reads and writes of all three.
fn checked(a: MatRef, m: usize, b: PanelsRef, c: &mut [f32], ldc: usize) -> Out {
    let (n, k) = (b.n, b.k);
    assert!(m > 0 && n > 0, "an empty product");
    assert!(ldc >= n && c.len() >= (m - 1) * ldc + n, "C is too small");
    if k > 0 {
        assert!(a.data.len() > (m - 1) * a.row + (k - 1) * a.col, "A is too small");
        assert!(b.data.len() >= (n.div_ceil(PANEL) - 1) * b.stride + k * PANEL, "B is too small");
    }
    Out(c.as_mut_ptr())
}

/// The products of A with all matrices; sizes are checked, an output has its leading dimension.
fn gemm_panels(a: MatRef, m: usize, maps: &[PanelsRef], outs: &[(Out, usize)], block: usize) {
    assert!(block > 0, "sums go in blocks of at least one");
    let level = simd::active();
    let panels = |map: usize| maps[map].n.div_ceil(PANEL);
    // Pairs of panels, so that wide tiles stay whole and threads get equal shares.
    each_panels(maps.len(), panels, m * PANEL * maps[0].k, 2, |map, range| {
        let (Out(c), ldc) = outs[map];
        // SAFETY: the lengths were checked, and panel ranges are disjoint columns of C.
        unsafe { run(level, a, m, maps[map], c, ldc, block, range.start, range.end) };
    });
}

/// One parallel loop over the panels of several matrices: `run` gets a matrix and a range of its panels. A panel
/// costs `work` multiply-adds; a task takes whole groups of panels.
fn each_panels(
    matrices: usize,
    panels: impl Fn(usize) -> usize + Sync,
    work: usize,
    group: usize,
    run: impl Fn(usize, Range<usize>) + Sync,
) {
    let all: usize = (0..matrices).map(&panels).sum();
    let step = pool::chunk(all, all * work, pool::TASK_WORK, group);
    pool::each(all.div_ceil(step), &|task| {
        let (mut from, mut to) = (task * step, ((task + 1) * step).min(all));
        for matrix in 0..matrices {
            let count = panels(matrix);
            let (first, last) = (from.min(count), to.min(count));
            if first < last {
                run(matrix, first..last);
            }
            (from, to) = (from - first, to - last);
        }
    });
}

/// Panels `first..last` of the product at one SIMD level.
///
/// # Safety
/// A, B and C hold every element the panels touch, and the machine has `level`.
#[allow(clippy::too_many_arguments)]
unsafe fn run(
    level: Simd,
    a: MatRef,
    m: usize,
    b: PanelsRef,
    c: *mut f32,
    ldc: usize,
    block: usize,
    first: usize,
    last: usize,
) {
    let job = micro::Job {
        a: a.data.as_ptr(),
        row: a.row,
        col: a.col,
        m,
        b: b.data.as_ptr(),
        stride: b.stride,
        n: b.n,
        k: b.k,
        c,
        ldc,
        block,
        first,
        last,
    };
    // SAFETY: the caller's promise.
    unsafe {
        match level {
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => micro::avx2(&job),
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => micro::avx512(&job),
            #[cfg(target_arch = "aarch64")]
            Simd::Neon => micro::neon(&job),
            _ => micro::scalar(&job),
        }
    }
}

#[cfg(test)]
mod tests;
