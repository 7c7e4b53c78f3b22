//! The k directions E that sketches are made of, taken from the data, never at random (measured:
//! random projection lost two thirds of the signal).
//!
//!   first   the span of the whitened contributor sums S_c = sum_{i in c} w_i, which keeps every
//!           contributor score <w_q, S_c> exactly (dependent sums dropped, contributor order);
//!   then    the leading principal directions of what is left of the spanning w_i, up to k;
//!   last    zero rows, when the data spans fewer than k dimensions.
//!
//! All decisions are made on the Gram matrix K = U U^T in f64 of the spanning rows U (stack.rs: S_c, then w_i;
//! syrk.rs, linalg.rs, gram_schmidt.rs: fixed orders); row j of E is sum_i B[i,j] u_i, one chain over i.

use super::error::Result;
use super::gram_schmidt::{DEPENDENT_RATIO, OrthonormalBasis};
use super::index::{Phase, Progress};
use super::linalg::symmetric_eigen;
use super::simd::{Level, multiversion};
use super::stack::Stack;
use super::syrk::{SymmetricSum, Widened};

/// Coordinates of P per step of the Gram matrix.
const GRAM_COLUMNS: usize = 256;
/// Register tile of the directions: coordinates, directions; and coordinates' tiles read together.
pub const ROWS: usize = 4;
pub const COLS: usize = 8;
const BLOCKS: usize = 16;

/// B, row-major [rows, k]: column j holds the coefficients of direction j over `stack.spanning()`, zeros beyond the
/// span.
pub fn coefficients(
    level: Level,
    threads: usize,
    stack: &Stack,
    k: usize,
    progress: &mut Progress<'_>,
) -> Result<Vec<f64>> {
    let c = stack.contributors;
    let rows = stack.spanning();
    let n = rows.len();
    let gram = gram(level, threads, &rows, progress)?;
    let mut basis = OrthonormalBasis::new(&gram, n);
    for contributor in 0..c {
        basis.push(unit(n, contributor), 0.0);
    }
    let held = n - c;
    if basis.rank() < k && held > 0 {
        let trace: f64 = (c..n).map(|i| gram[i * n + i]).sum();
        let residual = held_part(&basis.residual_gram(), n, held);
        let eigen = symmetric_eigen(level, threads, &residual, held)?;
        for (value, vector) in eigen.values.iter().zip(eigen.vectors.chunks_exact(held)) {
            // Written so that NaN stops, too.
            let spans = *value > DEPENDENT_RATIO * trace;
            if basis.rank() == k || !spans {
                break;
            }
            let mut x = vec![0.0; n];
            x[c..].copy_from_slice(vector);
            basis.push(x, 0.0);
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

fn unit(n: usize, at: usize) -> Vec<f64> {
    let mut x = vec![0.0; n];
    x[at] = 1.0;
    x
}

/// The last `held` rows and columns of a matrix [n, n].
fn held_part(matrix: &[f64], n: usize, held: usize) -> Vec<f64> {
    let from = n - held;
    matrix.chunks_exact(n).skip(from).flat_map(|row| &row[from..]).copied().collect()
}

/// K = U U^T, row-major [n, n], from the n rows [P] of U.
pub fn gram(
    level: Level,
    threads: usize,
    rows: &[&[f32]],
    progress: &mut Progress<'_>,
) -> Result<Vec<f64>> {
    let width = rows.first().map_or(0, |row| row.len());
    let mut sum = SymmetricSum::new(rows.len());
    let mut columns = Widened::default();
    for from in (0..width).step_by(GRAM_COLUMNS) {
        let to = (from + GRAM_COLUMNS).min(width);
        columns.fill_columns(rows, (from, to));
        sum.add(level, threads, &columns);
        progress.step(Phase::Basis, to, width)?;
    }
    Ok(sum.mean(1.0))
}

/// Rows [start, start + count) of E^T = U^T B, row-major [count, k], from the rows [P] of U.
pub fn directions(
    level: Level,
    rows: &[&[f32]],
    (coefficients, k): (&[f64], usize),
    (start, count): (usize, usize),
) -> Vec<f64> {
    let mut out = vec![0.0; count * k];
    combine(level, rows, coefficients, k, start, &mut out);
    out
}

multiversion! {
    fn combine(w: &[&[f32]], b: &[f64], k: usize, start: usize, out: &mut [f64]) = body, body
}

/// out[p,j] = sum_i w[i,start+p] b[i,j]: multiply, then add, ascending in i.
#[inline(always)]
fn body(w: &[&[f32]], b: &[f64], k: usize, start: usize, out: &mut [f64]) {
    let n = w.len();
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
            for (r, value) in w[i][p..][..height].iter().enumerate() {
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

/// sum_i left_i right_i^T: multiply, then add, ascending in i.
#[inline(always)]
pub fn tile(left: &[[f64; ROWS]], right: &[[f64; COLS]]) -> [[f64; COLS]; ROWS] {
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
