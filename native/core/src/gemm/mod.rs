//! Matrix product in the canonical order: C[i, j] = sum_k A[i, k] B[k, j], where each output is one
//! chain of fused multiply-adds over k ascending inside blocks of `block`, and block sums are
//! added in ascending order (the first block's sum is taken as it is).
//!
//! Vocabulary: M rows of A and C, N columns of B and C, K the sum. A is read in place through two
//! strides, so transposes cost nothing; B is packed once into panels of 16 columns. Vectors
//! and threads split M and N only, so no output depends on M, on its neighbours or on threads.

pub mod int8;
mod lanes;
mod micro;
pub mod pack;

pub use pack::{PANEL, Packed, PanelsRef};

use crate::math::simd::{self, Simd};
use rayon::prelude::*;

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

/// Multiply-adds below which a product stays on the calling thread.
const TASK_WORK: usize = 1 << 19;

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
    let level = simd::active();
    let out = Out(c.as_mut_ptr());
    let panels = n.div_ceil(PANEL);
    let tasks = (m * n * k / TASK_WORK).clamp(1, panels);
    if tasks == 1 || rayon::current_num_threads() == 1 {
        // SAFETY: the lengths were checked above for all panels.
        unsafe { run(level, a, m, b, out.0, ldc, block, 0, panels) };
        return;
    }
    // Whole groups of 8 panels, so that wide tiles stay whole.
    let step = panels.div_ceil(tasks.min(4 * rayon::current_num_threads())).next_multiple_of(8);
    (0..panels.div_ceil(step)).into_par_iter().for_each(|t| {
        // Captured whole: the raw pointer alone may not cross threads.
        let Out(c) = { out };
        let first = t * step;
        // SAFETY: the lengths were checked above, and panel ranges are disjoint columns of C.
        unsafe { run(level, a, m, b, c, ldc, block, first, (first + step).min(panels)) };
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
