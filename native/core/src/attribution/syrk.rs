//! Symmetric sums in f64: C += sum_t x_t x_t^T, the accumulator of covariances and of the Gram matrix.
//!
//! Each entry is one chain over t, ascending. The inputs are f32 values held in f64, so every product
//! is exact (24 + 24 bits < 53) and a fused multiply-add rounds exactly like a multiply and an add:
//! machines with and without FMA give the same bits.

use super::parallel::for_each_chunk;
use super::simd::{Level, multiversion};
use crate::memory::zeros;

const ROWS: usize = 4;
const COLS: usize = 8;
/// Panels of rows that share a panel read from far, and vectors per step: so many of all these stay in the first-level
/// cache. The sums wait in memory between steps, exactly, so the step cannot be seen in the result.
const PANELS: usize = 4;
const STEP: usize = 64;

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
    data: Vec<[f64; COLS]>,
}

pub fn padded(d: usize) -> usize {
    d.next_multiple_of(COLS)
}

impl Widened {
    /// Replaces the content by the rows of all `pieces` in order, each row-major [.., d].
    pub fn fill_rows(&mut self, pieces: &[&[f32]], d: usize) {
        let count = |piece: &&[f32]| piece.len().checked_div(d).unwrap_or(0);
        self.reset(d, pieces.iter().map(count).sum());
        for j in 0..self.stride / COLS {
            let columns = j * COLS..d.min((j + 1) * COLS);
            let mut at = j * self.count;
            for piece in pieces {
                for row in piece.chunks_exact(d) {
                    let (out, row) = (&mut self.data[at], &row[columns.clone()]);
                    for i in 0..row.len() {
                        out[i] = f64::from(row[i]);
                    }
                    at += 1;
                }
            }
        }
    }

    /// Replaces the content by columns [from, to) of the rows of `w`: x_t is column from+t.
    pub fn fill_columns(&mut self, w: &[&[f32]], (from, to): (usize, usize)) {
        self.reset(w.len(), to - from);
        for (i, row) in w.iter().enumerate() {
            let panel = &mut self.data[i / COLS * self.count..][..self.count];
            for (out, value) in panel.iter_mut().zip(&row[from..to]) {
                out[i % COLS] = f64::from(*value);
            }
        }
    }

    /// How many vectors.
    pub fn count(&self) -> usize {
        self.count
    }

    fn reset(&mut self, d: usize, count: usize) {
        self.stride = padded(d);
        self.count = count;
        self.data.clear();
        self.data.resize(count * self.stride / COLS, [0.0; COLS]);
    }
}

impl SymmetricSum {
    pub fn new(d: usize) -> Self {
        let stride = padded(d);
        Self { d, stride, data: zeros("a symmetric sum", stride * stride) }
    }

    /// Adds every x_t of `x` in order.
    pub fn add(&mut self, level: Level, threads: usize, x: &Widened) {
        assert_eq!(self.stride, x.stride, "vectors of another dimension");
        if x.count == 0 {
            return;
        }
        let stride = self.stride;
        for_each_chunk(threads, &mut self.data, PANELS * COLS * stride, |block, rows| {
            add_rows(level, &x.data, x.count, stride, block * PANELS, rows);
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

// x in panels; rows: the rows of the sum that belong to panel `first` and the next ones, COLS each, of which the columns
// from their own panel on are kept up.
multiversion! {
    fn add_rows(x: &[[f64; COLS]], count: usize, stride: usize, first: usize, rows: &mut [f64])
        = body::<NATIVE_FMA>, body::<true>
}
/// Only where the baseline has it in hardware: software FMA would be slow, and the bits are equal.
const NATIVE_FMA: bool = cfg!(target_arch = "aarch64");

#[inline(always)]
fn body<const FUSED: bool>(
    x: &[[f64; COLS]],
    count: usize,
    stride: usize,
    first: usize,
    rows: &mut [f64],
) {
    for from in (0..count).step_by(STEP) {
        let to = (from + STEP).min(count);
        let panel = |j: usize| &x[j * count + from..j * count + to];
        for j in first..stride / COLS {
            let own = rows.chunks_exact_mut(COLS * stride).enumerate();
            for (i, rows) in own.take(j + 1 - first) {
                chains::<FUSED, 0>(panel(first + i), panel(j), stride, j * COLS, rows);
                chains::<FUSED, ROWS>(panel(first + i), panel(j), stride, j * COLS, rows);
            }
        }
    }
}

/// Goes on with the chains of ROWS x COLS sums; the rows are coordinates FROM .. of the left panel.
#[inline(always)]
fn chains<const FUSED: bool, const FROM: usize>(
    left: &[[f64; COLS]],
    right: &[[f64; COLS]],
    stride: usize,
    j0: usize,
    rows: &mut [f64],
) {
    let mut sums = [[0.0f64; COLS]; ROWS];
    for (r, sums) in sums.iter_mut().enumerate() {
        let at = (FROM + r) * stride + j0;
        sums.copy_from_slice(&rows[at..at + COLS]);
    }
    let count = left.len().min(right.len());
    let (left, right) = (&left[..count], &right[..count]);
    for t in 0..count {
        for r in 0..ROWS {
            for c in 0..COLS {
                let (l, x) = (left[t][FROM + r], right[t][c]);
                sums[r][c] = if FUSED { l.mul_add(x, sums[r][c]) } else { l * x + sums[r][c] };
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        let at = (FROM + r) * stride + j0;
        rows[at..at + COLS].copy_from_slice(sums);
    }
}
