//! The k directions E that sketches are made of, taken from the data, never at random (measured:
//! random projection lost two thirds of the signal).
//!
//!   first   the span of the whitened contributor sums C_c = sum_{i in c} w_i, which keeps every
//!           contributor score <w_q, C_c> exactly (dependent sums dropped, contributor order);
//!   then    the leading principal directions of what is left of the w_i, up to k;
//!   last    zero rows, when the data spans fewer than k dimensions.
//!
//! All decisions are made on the Gram matrix K = W W^T [n, n] in f64 (syrk.rs, linalg.rs,
//! gram_schmidt.rs: fixed orders); row j of E is sum_i B[j,i] w_i, one chain over i.

use super::error::Result;
use super::gram_schmidt::{DEPENDENT_RATIO, OrthonormalBasis};
use super::index::{Phase, Progress};
use super::linalg::symmetric_eigen;
use super::simd::{Level, multiversion};
use super::syrk::{SymmetricSum, Widened};

/// Coordinates of P per step of the Gram matrix.
const GRAM_COLUMNS: usize = 256;
/// Register tile of the directions: coordinates, directions; and coordinates' tiles read together.
const ROWS: usize = 4;
const COLS: usize = 8;
const BLOCKS: usize = 16;

/// B, row-major [n, k]: column j holds the coefficients of direction j, zeros beyond the span.
pub fn coefficients(
    level: Level,
    threads: usize,
    whitened: &[f32],
    (contributors, contributor_count): (&[u32], usize),
    k: usize,
    progress: &mut Progress<'_>,
) -> Result<Vec<f64>> {
    let n = contributors.len();
    let gram = gram(level, threads, whitened, n, progress)?;
    let trace: f64 = (0..n).map(|i| gram[i * n + i]).sum();
    let mut basis = OrthonormalBasis::new(&gram, n);
    for c in 0..contributor_count {
        let member = |owner: &u32| if *owner as usize == c { 1.0 } else { 0.0 };
        basis.push(contributors.iter().map(member).collect(), 0.0);
    }
    if basis.rank() < k {
        let eigen = symmetric_eigen(level, threads, &basis.residual_gram(), n)?;
        for (value, vector) in eigen.values.iter().zip(eigen.vectors.chunks_exact(n)) {
            // Written so that NaN stops, too.
            let spans = *value > DEPENDENT_RATIO * trace;
            if basis.rank() == k || !spans {
                break;
            }
            basis.push(vector.to_vec(), 0.0);
        }
    }
    let mut columns = vec![0.0; n * k];
    for (j, b) in basis.coefficients.iter().enumerate() {
        for (i, x) in b.iter().enumerate() {
            columns[i * k + j] = *x;
        }
    }
    Ok(columns)
}

/// K = W W^T, row-major [n, n], from W [n, P].
pub fn gram(
    level: Level,
    threads: usize,
    whitened: &[f32],
    n: usize,
    progress: &mut Progress<'_>,
) -> Result<Vec<f64>> {
    let width = whitened.len() / n;
    let mut sum = SymmetricSum::new(n);
    let mut columns = Widened::default();
    for from in (0..width).step_by(GRAM_COLUMNS) {
        let to = (from + GRAM_COLUMNS).min(width);
        columns.fill_columns(whitened, width, (from, to));
        sum.add(level, threads, &columns);
        progress.step(Phase::Basis, to, width)?;
    }
    Ok(sum.mean(1.0))
}

/// Rows [start, start + count) of E^T = W^T B, row-major [count, k].
pub fn directions(
    level: Level,
    (whitened, n): (&[f32], usize),
    (coefficients, k): (&[f64], usize),
    (start, count): (usize, usize),
) -> Vec<f64> {
    let mut out = vec![0.0; count * k];
    combine(level, whitened, n, coefficients, k, start, &mut out);
    out
}

multiversion! {
    fn combine(w: &[f32], n: usize, b: &[f64], k: usize, start: usize, out: &mut [f64]) = body, body
}

/// out[p,j] = sum_i w[i,start+p] b[i,j]: multiply, then add, ascending in i.
#[inline(always)]
fn body(w: &[f32], n: usize, b: &[f64], k: usize, start: usize, out: &mut [f64]) {
    let width = w.len() / n;
    // B in strips of COLS columns, [strip][i], zero padded.
    let mut strips = vec![[0.0f64; COLS]; k.div_ceil(COLS) * n];
    for i in 0..n {
        for j in 0..k {
            strips[j / COLS * n + i][j % COLS] = b[i * k + j];
        }
    }
    // Coordinates are read a few cache lines of a row at a time: rows lie a large power of two apart
    // and would push each other out of the cache between two shorter reads.
    let mut left = vec![[0.0f64; ROWS]; BLOCKS * n];
    for (group, rows) in out.chunks_mut(BLOCKS * ROWS * k).enumerate() {
        let (p, height) = (start + group * BLOCKS * ROWS, rows.len() / k);
        for i in 0..n {
            for (r, value) in w[i * width + p..][..height].iter().enumerate() {
                left[r / ROWS * n + i][r % ROWS] = f64::from(*value);
            }
        }
        for (left, rows) in left.chunks_exact(n).zip(rows.chunks_mut(ROWS * k)) {
            for j in (0..k).step_by(COLS) {
                let right = &strips[j / COLS * n..][..n];
                let sums = tile(left, right);
                let columns = COLS.min(k - j);
                for (row, sums) in rows.chunks_exact_mut(k).zip(&sums) {
                    row[j..j + columns].copy_from_slice(&sums[..columns]);
                }
            }
        }
    }
}

#[inline(always)]
fn tile(left: &[[f64; ROWS]], right: &[[f64; COLS]]) -> [[f64; COLS]; ROWS] {
    let mut sums = [[0.0f64; COLS]; ROWS];
    let n = left.len().min(right.len());
    let (left, right) = (&left[..n], &right[..n]);
    for i in 0..n {
        for r in 0..ROWS {
            for c in 0..COLS {
                sums[r][c] += left[i][r] * right[i][c];
            }
        }
    }
    sums
}
