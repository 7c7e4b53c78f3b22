//! The f32 product of the consensus path: C[m,n] = sum_k A(i,k) B[k,n].
//!
//! Canonical order (the same on every machine): each output is one FMA chain over k, ascending, in
//! blocks of 256; block sums are added in ascending order. The kernel is vectorised over n (lanes are
//! outputs) and its tile sizes cannot be seen in the result.

use super::simd::{Level, multiversion};

/// Length of one FMA chain.
pub const K_BLOCK: usize = 256;
/// Register tile: rows of C at a time.
const ROWS: usize = 4;
/// Register tile: columns of C at a time, two AVX2 registers.
const COLS: usize = 16;

/// The broadcast operand: A(i,k) = data[i * row + k * col], so that a transpose costs nothing.
#[derive(Clone, Copy)]
pub struct Strided<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub col: usize,
}

/// C = A B, overwriting `c`; A is [m,k] by its strides, B row-major [k,n], C row-major [m,n].
///
/// # Panics
/// When a slice is shorter than its shape says (a caller's bug, never bad input).
pub fn multiply(level: Level, a: Strided<'_>, b: &[f32], k: usize, n: usize, c: &mut [f32]) {
    if n == 0 || c.is_empty() {
        return;
    }
    let m = c.len() / n;
    assert!(c.len() == m * n && b.len() >= k * n, "B [{k},{n}] or C [{m},{n}] is too short");
    let last = if k == 0 { 0 } else { (m - 1) * a.row + (k - 1) * a.col + 1 };
    assert!(a.data.len() >= last, "A is shorter than its strides reach");
    multiply_at(level, a, b, k, n, c);
}

multiversion! {
    fn multiply_at(a: Strided<'_>, b: &[f32], k: usize, n: usize, c: &mut [f32]) = body, body
}

#[inline(always)]
fn body(a: Strided<'_>, b: &[f32], k: usize, n: usize, c: &mut [f32]) {
    let m = c.len() / n;
    c.fill(0.0);
    for k0 in (0..k).step_by(K_BLOCK) {
        let k1 = (k0 + K_BLOCK).min(k);
        for j0 in (0..n).step_by(COLS) {
            let width = COLS.min(n - j0);
            let mut i0 = 0;
            while i0 + ROWS <= m {
                tile::<ROWS>(a, b, (k0, k1), n, (i0, j0, width), c);
                i0 += ROWS;
            }
            while i0 < m {
                tile::<1>(a, b, (k0, k1), n, (i0, j0, width), c);
                i0 += 1;
            }
        }
    }
}

/// Adds one block's chains to the R x width outputs at (i0, j0).
#[inline(always)]
fn tile<const R: usize>(
    a: Strided<'_>,
    b: &[f32],
    (k0, k1): (usize, usize),
    n: usize,
    (i0, j0, width): (usize, usize, usize),
    c: &mut [f32],
) {
    let mut sums = [[0.0f32; COLS]; R];
    for k in k0..k1 {
        let mut row = [0.0f32; COLS];
        if width == COLS {
            row.copy_from_slice(&b[k * n + j0..k * n + j0 + COLS]);
        } else {
            row[..width].copy_from_slice(&b[k * n + j0..k * n + j0 + width]);
        }
        for (r, sums) in sums.iter_mut().enumerate() {
            let factor = a.data[(i0 + r) * a.row + k * a.col];
            for (sum, value) in sums.iter_mut().zip(&row) {
                *sum = factor.mul_add(*value, *sum);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let start = (i0 + r) * n + j0;
        for (out, sum) in c[start..start + width].iter_mut().zip(sums) {
            *out += sum;
        }
    }
}
