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

/// A strip of B, COLS wide and one chain long, zero padded: read once for all rows of C.
type Strip = [[f32; COLS]; K_BLOCK];

#[inline(always)]
fn body(a: Strided<'_>, b: &[f32], k: usize, n: usize, c: &mut [f32]) {
    let m = c.len() / n;
    c.fill(0.0);
    let mut strip: Strip = [[0.0; COLS]; K_BLOCK];
    for k0 in (0..k).step_by(K_BLOCK) {
        let length = K_BLOCK.min(k - k0);
        for j0 in (0..n).step_by(COLS) {
            let width = COLS.min(n - j0);
            for (row, b) in strip[..length].iter_mut().zip(b[k0 * n..].chunks_exact(n)) {
                if width == COLS {
                    row.copy_from_slice(&b[j0..j0 + COLS]);
                } else {
                    row[..width].copy_from_slice(&b[j0..j0 + width]);
                    row[width..].fill(0.0);
                }
            }
            let mut i0 = 0;
            while i0 + ROWS <= m {
                let left = Strided { data: &a.data[i0 * a.row + k0 * a.col..], ..a };
                tile::<ROWS>(left, &strip[..length], n, width, &mut c[i0 * n + j0..]);
                i0 += ROWS;
            }
            while i0 < m {
                let left = Strided { data: &a.data[i0 * a.row + k0 * a.col..], ..a };
                tile::<1>(left, &strip[..length], n, width, &mut c[i0 * n + j0..]);
                i0 += 1;
            }
        }
    }
}

/// Adds one block's chains to R x width outputs; `a` and `c` begin at the tile.
#[inline(always)]
fn tile<const R: usize>(
    a: Strided<'_>,
    strip: &[[f32; COLS]],
    n: usize,
    width: usize,
    c: &mut [f32],
) {
    let mut sums = [[0.0f32; COLS]; R];
    for (k, row) in strip.iter().enumerate() {
        for (r, sums) in sums.iter_mut().enumerate() {
            let factor = a.data[r * a.row + k * a.col];
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum = factor.mul_add(*value, *sum);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (out, sum) in c[r * n..r * n + width].iter_mut().zip(sums) {
            *out += sum;
        }
    }
}
