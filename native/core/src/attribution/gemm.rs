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
/// Rows of C that share one packed strip of B.
const PACKED_ROWS: usize = 128;

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
    let depth = K_BLOCK.min(k);
    let mut left = vec![[0.0f32; ROWS]; PACKED_ROWS.min(m).div_ceil(ROWS) * depth];
    for k0 in (0..k).step_by(K_BLOCK) {
        let length = K_BLOCK.min(k - k0);
        for i0 in (0..m).step_by(PACKED_ROWS) {
            let height = PACKED_ROWS.min(m - i0);
            for (block, panel) in left.chunks_exact_mut(depth).enumerate() {
                let first = i0 + block * ROWS;
                if first < i0 + height {
                    pack(a, (first, ROWS.min(i0 + height - first)), k0, &mut panel[..length]);
                }
            }
            for j0 in (0..n).step_by(COLS) {
                let width = COLS.min(n - j0);
                cut(b, n, (k0, j0), width, &mut strip[..length]);
                for block in 0..height.div_ceil(ROWS) {
                    let first = i0 + block * ROWS;
                    let size = (ROWS.min(i0 + height - first), width);
                    let panel = &left[block * depth..block * depth + length];
                    tile(panel, &strip[..length], n, size, &mut c[first * n + j0..]);
                }
            }
        }
    }
}

/// Rows [first, first + height) of A from k0 on, as [k][ROWS], zero padded.
#[inline(always)]
fn pack(a: Strided<'_>, (first, height): (usize, usize), k0: usize, out: &mut [[f32; ROWS]]) {
    for (k, out) in out.iter_mut().enumerate() {
        let at = first * a.row + (k0 + k) * a.col;
        *out = [0.0; ROWS];
        for (r, out) in out[..height].iter_mut().enumerate() {
            *out = a.data[at + r * a.row];
        }
    }
}

/// Columns [j0, j0 + width) of B from row k0 on, zero padded.
#[inline(always)]
fn cut(b: &[f32], n: usize, (k0, j0): (usize, usize), width: usize, out: &mut [[f32; COLS]]) {
    for (k, out) in out.iter_mut().enumerate() {
        let from = (k0 + k) * n + j0;
        // A whole array is copied in registers, a slice by a call.
        match b[from..].first_chunk::<COLS>() {
            Some(row) if width == COLS => *out = *row,
            _ => {
                *out = [0.0; COLS];
                out[..width].copy_from_slice(&b[from..from + width]);
            }
        }
    }
}

/// Adds one block's chains to height x width outputs; `c` begins at the tile. Plain index loops over
/// arrays: what the compiler turns into registers.
#[inline(always)]
fn tile(
    a: &[[f32; ROWS]],
    strip: &[[f32; COLS]],
    n: usize,
    (height, width): (usize, usize),
    c: &mut [f32],
) {
    let mut sums = [[0.0f32; COLS]; ROWS];
    let length = a.len().min(strip.len());
    let (a, strip) = (&a[..length], &strip[..length]);
    for k in 0..length {
        for r in 0..ROWS {
            for j in 0..COLS {
                sums[r][j] = a[k][r].mul_add(strip[k][j], sums[r][j]);
            }
        }
    }
    for r in 0..height {
        let out = &mut c[r * n..r * n + width];
        for j in 0..width {
            out[j] += sums[r][j];
        }
    }
}
