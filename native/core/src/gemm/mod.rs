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
    let (n, k) = (b.n, b.k);
    if m == 0 || n == 0 {
        return;
    }
    assert!(block > 0 && ldc >= n && c.len() >= (m - 1) * ldc + n, "C is too small");
    if k == 0 {
        for row in c.chunks_mut(ldc).take(m) {
            row[..n].fill(0.0);
        }
        return;
    }
    assert!(a.data.len() > (m - 1) * a.row + (k - 1) * a.col, "A is too small");
    assert!(b.data.len() >= (n.div_ceil(PANEL) - 1) * b.stride + k * PANEL, "B is too small");
    gemm_panels(a, m, &[b], &[Out(c.as_mut_ptr())], &[ldc], block);
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
    let k = maps[0].k;
    assert!(m > 0 && k > 0 && block > 0, "an empty product");
    assert!(a.data.len() > (m - 1) * a.row + (k - 1) * a.col, "A is too small");
    for (b, c) in maps.iter().zip(outs.iter()) {
        assert!(b.k == k && c.len() == m * b.n && b.n > 0, "the products do not fit");
        assert!(b.data.len() >= (b.n.div_ceil(PANEL) - 1) * b.stride + k * PANEL, "B is too small");
    }
    let widths: Vec<usize> = maps.iter().map(|b| b.n).collect();
    let outs: Vec<Out> = outs.iter_mut().map(|c| Out(c.as_mut_ptr())).collect();
    gemm_panels(a, m, maps, &outs, &widths, block);
}

/// Splits the panels of all matrices over threads; sizes are checked.
fn gemm_panels(
    a: MatRef,
    m: usize,
    maps: &[PanelsRef],
    outs: &[Out],
    widths: &[usize],
    block: usize,
) {
    let level = simd::active();
    let all: usize = maps.iter().map(|b| b.n.div_ceil(PANEL)).sum();
    // Whole groups of 8 panels, so that wide tiles stay whole.
    let step = pool::chunk(all, m * all * PANEL * maps[0].k, pool::TASK_WORK, 8);
    pool::each(all.div_ceil(step), &|task| {
        let (mut from, mut to) = (task * step, ((task + 1) * step).min(all));
        for ((b, Out(c)), ldc) in maps.iter().zip(outs).zip(widths) {
            let panels = b.n.div_ceil(PANEL);
            let (first, last) = (from.min(panels), to.min(panels));
            if first < last {
                // SAFETY: the lengths were checked, and panel ranges are disjoint columns of C.
                unsafe { run(level, a, m, *b, *c, *ldc, block, first, last) };
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
