//! Symmetric sums in f64: C += sum_t x_t x_t^T, the accumulator of covariances and of the Gram matrix.
//!
//! Each entry is one chain over t, ascending. The inputs are f32 values held in f64, so every product
//! is exact (24 + 24 bits < 53) and a fused multiply-add rounds exactly like a multiply and an add:
//! machines with and without FMA give the same bits.

use super::parallel::for_each_chunk;
use super::simd::{Level, multiversion};

const ROWS: usize = 4;
const COLS: usize = 8;

/// A growing symmetric sum of dimension d; rows are padded to `stride`, a multiple of 8.
pub struct SymmetricSum {
    d: usize,
    stride: usize,
    data: Vec<f64>,
}

/// Vectors x_t widened to f64, in panels of 8 coordinates: data[panel][t][8], zero padded, so that the
/// kernel walks memory in one direction.
#[derive(Default)]
pub struct Widened {
    stride: usize,
    count: usize,
    data: Vec<f64>,
}

pub fn padded(d: usize) -> usize {
    d.next_multiple_of(COLS)
}

impl Widened {
    /// Replaces the content by `x`, row-major [count, d].
    pub fn fill_rows(&mut self, x: &[f32], d: usize) {
        self.reset(d, x.len().checked_div(d).unwrap_or(0));
        for (j, panel) in self.data.chunks_exact_mut((self.count * COLS).max(1)).enumerate() {
            let columns = j * COLS..d.min((j + 1) * COLS);
            for (out, row) in panel.chunks_exact_mut(COLS).zip(x.chunks_exact(d)) {
                for (out, value) in out.iter_mut().zip(&row[columns.clone()]) {
                    *out = f64::from(*value);
                }
            }
        }
    }

    /// Replaces the content by columns [from, to) of `w`, row-major [n, width]: x_t is column from+t.
    pub fn fill_columns(&mut self, w: &[f32], width: usize, (from, to): (usize, usize)) {
        self.reset(w.len() / width, to - from);
        for (i, row) in w.chunks_exact(width).enumerate() {
            let panel = &mut self.data[i / COLS * self.count * COLS..][..self.count * COLS];
            for (out, value) in panel.chunks_exact_mut(COLS).zip(&row[from..to]) {
                out[i % COLS] = f64::from(*value);
            }
        }
    }

    fn reset(&mut self, d: usize, count: usize) {
        self.stride = padded(d);
        self.count = count;
        self.data.clear();
        self.data.resize(count * self.stride, 0.0);
    }
}

impl SymmetricSum {
    pub fn new(d: usize) -> Self {
        let stride = padded(d);
        Self { d, stride, data: vec![0.0; stride * stride] }
    }

    /// Adds every x_t of `x` in order.
    pub fn add(&mut self, level: Level, threads: usize, x: &Widened) {
        assert_eq!(self.stride, x.stride, "vectors of another dimension");
        if x.count == 0 {
            return;
        }
        let stride = self.stride;
        for_each_chunk(threads, &mut self.data, ROWS * stride, |block, rows| {
            add_rows(level, &x.data, x.count, stride, block * ROWS, rows);
        });
    }

    /// The full matrix divided by `count`, row-major [d, d], bit-symmetric.
    pub fn mean(&self, count: f64) -> Vec<f64> {
        let d = self.d;
        let mut out = vec![0.0; d * d];
        for i in 0..d {
            for j in i..d {
                let value = self.data[i * self.stride + j] / count;
                out[i * d + j] = value;
                out[j * d + i] = value;
            }
        }
        out
    }
}

// x in panels; rows: ROWS rows of the sum from row i0, of which columns >= i0 are kept up.
multiversion! {
    fn add_rows(x: &[f64], count: usize, stride: usize, i0: usize, rows: &mut [f64])
        = body::<NATIVE_FMA>, body::<true>
}
/// Only where the baseline has it in hardware: software FMA would be slow, and the bits are equal.
const NATIVE_FMA: bool = cfg!(target_arch = "aarch64");

#[inline(always)]
fn body<const FUSED: bool>(x: &[f64], count: usize, stride: usize, i0: usize, rows: &mut [f64]) {
    let panel = |j0: usize| &x[j0 * count..(j0 + COLS) * count];
    let first = i0 / COLS * COLS;
    let left = panel(first);
    for j0 in (first..stride).step_by(COLS) {
        let mut sums = [[0.0f64; COLS]; ROWS];
        for (sums, row) in sums.iter_mut().zip(rows.chunks_exact(stride)) {
            sums.copy_from_slice(&row[j0..j0 + COLS]);
        }
        // A panel's half: which four of its eight coordinates are the rows.
        if i0 == first {
            chains::<FUSED, 0>(left, panel(j0), &mut sums);
        } else {
            chains::<FUSED, ROWS>(left, panel(j0), &mut sums);
        }
        for (sums, row) in sums.iter().zip(rows.chunks_exact_mut(stride)) {
            row[j0..j0 + COLS].copy_from_slice(sums);
        }
    }
}

#[inline(always)]
fn chains<const FUSED: bool, const FROM: usize>(
    left: &[f64],
    right: &[f64],
    sums: &mut [[f64; COLS]; ROWS],
) {
    let mut local = *sums;
    for (left, right) in left.chunks_exact(COLS).zip(right.chunks_exact(COLS)) {
        for r in 0..ROWS {
            for c in 0..COLS {
                let (l, x) = (left[FROM + r], right[c]);
                let sum = &mut local[r][c];
                *sum = if FUSED { l.mul_add(x, *sum) } else { l * x + *sum };
            }
        }
    }
    *sums = local;
}
