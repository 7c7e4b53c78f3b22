//! Eigen-decomposition of a symmetric matrix in f64, with one fixed order of operations, so that
//! whoever seals an index and whoever checks it compute the same eigenbasis to the bit.
//!
//! S = sum_m lambda_m v_m v_m^T. Householder reflections make S tridiagonal, implicit-shift QL makes
//! it diagonal (EISPACK's tred2/tql2 pair; Golub & Van Loan, Matrix Computations, 8.3). Only +, -, *,
//! / and sqrt, each rounded by IEEE 754; no fused multiply-add, no library mathematics. Threads own
//! disjoint components of the eigenvectors.
//!
//! Conventions: eigenvalues descending (equal ones in order of discovery); the component of largest
//! magnitude of each eigenvector (the first such) is positive.

use super::error::{AttributionError, Result};
use super::parallel::for_each_chunk;
use super::simd::{Level, multiversion};

/// QL sweeps allowed per eigenvalue; two or so are usual.
const SWEEPS_MAX: usize = 60;
/// Components (rows of the eigenvector matrix) worked on together; outputs, never a sum.
const LANES: usize = 16;
/// Plane rotations gathered before the eigenvectors are touched.
const ROTATIONS_MAX: usize = 1 << 16;

#[derive(Clone, Debug, PartialEq)]
pub struct Eigen {
    /// [d], descending.
    pub values: Vec<f64>,
    /// Row-major [d, d]; row m is the unit eigenvector of values[m].
    pub vectors: Vec<f64>,
}

/// Decomposes `matrix`, row-major [d, d] and symmetric (the rows' halves right of the diagonal are
/// what is read). Errors: NaN or infinity; no convergence.
pub fn symmetric_eigen(level: Level, threads: usize, matrix: &[f64], d: usize) -> Result<Eigen> {
    assert_eq!(matrix.len(), d * d, "matrix is not [d, d]");
    if d == 0 {
        return Ok(Eigen { values: vec![], vectors: vec![] });
    }
    if matrix.iter().any(|x| !x.is_finite()) {
        return Err(AttributionError::NotFinite(format!("a symmetric matrix of dimension {d}")));
    }
    // A power of two near the largest entry: exact to divide by, keeps squares in range.
    let unit = power_of_two_near(matrix.iter().fold(0.0f64, |m, x| m.max(x.abs())));
    let mut work: Vec<f64> = matrix.iter().map(|x| x / unit).collect();
    let mut tri = tridiagonalise(level, &mut work, d);

    // Panel p holds components [p*LANES, ..): panel[i * LANES + lane] = component of eigenvector i.
    let panels = d.div_ceil(LANES);
    let mut basis = vec![0.0f64; panels * d * LANES];
    for_each_chunk(threads, &mut basis, d * LANES, |p, panel| {
        for lane in 0..LANES.min(d - p * LANES) {
            panel[(p * LANES + lane) * LANES + lane] = 1.0;
        }
        apply_reflections(level, &work, &tri.tau, d, panel);
    });
    diagonalise(&mut tri, d, |rotations| {
        for_each_chunk(threads, &mut basis, d * LANES, |_, panel| rotate(level, rotations, panel));
    })?;

    let mut order: Vec<usize> = (0..d).collect();
    order.sort_by(|x, y| tri.diagonal[*y].total_cmp(&tri.diagonal[*x]).then(x.cmp(y)));
    let mut vectors = vec![0.0; d * d];
    for (row, &m) in vectors.chunks_exact_mut(d).zip(&order) {
        for (i, out) in row.iter_mut().enumerate() {
            *out = basis[(i / LANES) * d * LANES + m * LANES + i % LANES];
        }
        fix_sign(row);
    }
    Ok(Eigen { values: order.iter().map(|&m| tri.diagonal[m] * unit).collect(), vectors })
}

/// Makes the first component of largest magnitude positive.
pub fn fix_sign(vector: &mut [f64]) {
    let mut lead = 0.0f64;
    for x in vector.iter() {
        if x.abs() > lead.abs() {
            lead = *x;
        }
    }
    if lead < 0.0 {
        vector.iter_mut().for_each(|x| *x = -*x);
    }
}

/// Sum of x_i y_i in eight interleaved chains (i mod 8), added as ((0+4)+(2+6)) + ((1+5)+(3+7)):
/// a fixed order that fits vector units.
#[inline(always)]
pub fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (xs, x_tail) = x.as_chunks::<8>();
    let (ys, y_tail) = y.as_chunks::<8>();
    for k in 0..xs.len().min(ys.len()) {
        for i in 0..8 {
            sums[i] += xs[k][i] * ys[k][i];
        }
    }
    for i in 0..x_tail.len().min(y_tail.len()) {
        sums[i] += x_tail[i] * y_tail[i];
    }
    ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]))
}

fn power_of_two_near(x: f64) -> f64 {
    // Exponent bits alone; subnormal and zero matrices are left as they are.
    let bits = x.to_bits() & 0x7ff0_0000_0000_0000;
    if bits == 0 { 1.0 } else { f64::from_bits(bits) }
}

struct Tridiagonal {
    diagonal: Vec<f64>,
    /// off[i] couples i and i+1; one spare entry at the end.
    off: Vec<f64>,
    tau: Vec<f64>,
}

/// Reduces `a` to Q^T a Q = tridiagonal, Q = H_0 H_1 ...; reflector k (H_k = I - tau_k v v^T, v_0 = 1)
/// is left in a[k][k+1..].
fn tridiagonalise(level: Level, a: &mut [f64], d: usize) -> Tridiagonal {
    let mut tri = Tridiagonal { diagonal: vec![0.0; d], off: vec![0.0; d], tau: vec![0.0; d] };
    let mut v = vec![0.0; d];
    let mut p = vec![0.0; d];
    for k in 0..d {
        tri.diagonal[k] = a[k * d + k];
        let size = d - k - 1;
        if size == 0 {
            break;
        }
        let (v, p) = (&mut v[..size], &mut p[..size]);
        v.copy_from_slice(&a[k * d + k + 1..(k + 1) * d]);
        let (norm, tau) = householder(v);
        tri.off[k] = norm;
        tri.tau[k] = tau;
        if tau != 0.0 {
            let trailing = &mut a[(k + 1) * d..];
            reflect(level, trailing, d, k + 1, v, p, tau);
        }
        a[k * d + k + 1..(k + 1) * d].copy_from_slice(v);
    }
    tri
}

/// x becomes v with (I - tau v v^T) x = norm e_0 and v_0 = 1.
fn householder(x: &mut [f64]) -> (f64, f64) {
    let rest = dot(&x[1..], &x[1..]);
    let alpha = x[0];
    if rest == 0.0 {
        x[0] = 1.0;
        return (alpha, 0.0);
    }
    let norm = (alpha * alpha + rest).sqrt();
    // Subtracts without cancellation.
    let lead = if alpha <= 0.0 { alpha - norm } else { -rest / (alpha + norm) };
    let tau = 2.0 * (lead * lead) / (rest + lead * lead);
    for x in x.iter_mut() {
        *x /= lead;
    }
    x[0] = 1.0;
    (norm, tau)
}

multiversion! {
    fn reflect(a: &mut [f64], d: usize, from: usize, v: &[f64], p: &mut [f64], tau: f64) = reflect_body, reflect_body
}

/// B = H B H for the trailing block B: B -= v w^T + w v^T with w = p - (tau/2)(p.v) v, p = tau B v.
#[inline(always)]
fn reflect_body(a: &mut [f64], d: usize, from: usize, v: &[f64], p: &mut [f64], tau: f64) {
    for (row, p) in a.chunks_exact(d).zip(p.iter_mut()) {
        *p = tau * dot(&row[from..], v);
    }
    let half = tau / 2.0 * dot(p, v);
    for (p, v) in p.iter_mut().zip(v) {
        *p -= half * v;
    }
    for (i, row) in a.chunks_exact_mut(d).enumerate() {
        let (vi, wi) = (v[i], p[i]);
        let row = &mut row[from..];
        let (v, w) = (&v[..row.len()], &p[..row.len()]);
        for j in 0..row.len() {
            row[j] -= vi * w[j] + wi * v[j];
        }
    }
}

multiversion! {
    fn apply_reflections(a: &[f64], tau: &[f64], d: usize, panel: &mut [f64]) = reflections_body, reflections_body
}

/// Rows of the identity times H_0 H_1 ...: rows of Q.
#[inline(always)]
fn reflections_body(a: &[f64], tau: &[f64], d: usize, panel: &mut [f64]) {
    for k in 0..d {
        if tau[k] == 0.0 {
            continue;
        }
        let v = &a[k * d + k + 1..(k + 1) * d];
        let (rest, _) = panel[(k + 1) * LANES..].as_chunks_mut::<LANES>();
        let count = v.len().min(rest.len());
        let mut sums = [0.0f64; LANES];
        for i in 0..count {
            for lane in 0..LANES {
                sums[lane] += rest[i][lane] * v[i];
            }
        }
        for sum in &mut sums {
            *sum *= tau[k];
        }
        for i in 0..count {
            for lane in 0..LANES {
                rest[i][lane] -= sums[lane] * v[i];
            }
        }
    }
}

/// A rotation of eigenvectors i and i+1 by (cos, sin).
#[derive(Clone, Copy)]
struct Rotation {
    i: usize,
    cos: f64,
    sin: f64,
}

multiversion! {
    fn rotate(rotations: &[Rotation], panel: &mut [f64]) = rotate_body, rotate_body
}

/// A sweep goes down by one each time, so the lower vector of a rotation is the upper one of the next:
/// it is carried along and not stored between.
#[inline(always)]
fn rotate_body(rotations: &[Rotation], panel: &mut [f64]) {
    let (rows, _) = panel.as_chunks_mut::<LANES>();
    let (mut held, mut carry) = (0, rows[0]);
    for &Rotation { i, cos, sin } in rotations {
        if held != i + 1 {
            rows[held] = carry;
            carry = rows[i + 1];
        }
        let low = rows[i];
        let mut high = [0.0f64; LANES];
        for lane in 0..LANES {
            let (a, b) = (low[lane], carry[lane]);
            high[lane] = sin * a + cos * b;
            carry[lane] = cos * a - sin * b;
        }
        rows[i + 1] = high;
        held = i;
    }
    rows[held] = carry;
}

/// Implicit-shift QL on the tridiagonal; `flush` receives the rotations in order. An entry is zero when it
/// is negligible beside its neighbours, which gives small eigenvalues all their digits. Where most
/// eigenvalues are rounding noise (fewer samples than dimensions) that may never come to be, so from the
/// first one that does not settle on, negligible beside the whole matrix will do (EISPACK's `tql2`).
fn diagonalise(tri: &mut Tridiagonal, d: usize, mut flush: impl FnMut(&[Rotation])) -> Result<()> {
    let (diagonal, off) = (&mut tri.diagonal, &mut tri.off);
    let mut rotations: Vec<Rotation> = Vec::with_capacity(ROTATIONS_MAX + d);
    let norm =
        (0..d).fold(0.0f64, |n, i| n.max(diagonal[i].abs() + off.get(i).map_or(0.0, |x| x.abs())));
    let mut floor = 0.0f64;
    for l in 0..d {
        let mut sweeps = 0;
        loop {
            let m = (l..d - 1)
                .find(|&m| {
                    off[m].abs() <= floor || negligible(off[m], diagonal[m], diagonal[m + 1])
                })
                .unwrap_or(d - 1);
            if m == l {
                break;
            }
            sweeps += 1;
            if sweeps > SWEEPS_MAX && floor == 0.0 {
                (floor, sweeps) = (f64::EPSILON * norm, 0);
                continue;
            }
            if sweeps > SWEEPS_MAX {
                return Err(AttributionError::NoConvergence { dimension: d });
            }
            sweep(diagonal, off, l, m, &mut rotations);
            if rotations.len() >= ROTATIONS_MAX {
                flush(&rotations);
                rotations.clear();
            }
        }
    }
    flush(&rotations);
    Ok(())
}

fn negligible(off: f64, left: f64, right: f64) -> bool {
    off.abs() <= f64::EPSILON * (left.abs() + right.abs()) || off.abs() < f64::MIN_POSITIVE
}

/// One QL sweep over the unreduced block [l, m].
fn sweep(diagonal: &mut [f64], off: &mut [f64], l: usize, m: usize, rotations: &mut Vec<Rotation>) {
    let slope = (diagonal[l + 1] - diagonal[l]) / (2.0 * off[l]);
    let root = (slope * slope + 1.0).sqrt();
    let mut g =
        diagonal[m] - diagonal[l] + off[l] / (slope + if slope < 0.0 { -root } else { root });
    let (mut sin, mut cos, mut shift) = (1.0f64, 1.0f64, 0.0f64);
    for i in (l..m).rev() {
        let f = sin * off[i];
        let b = cos * off[i];
        let r = (f * f + g * g).sqrt();
        off[i + 1] = r;
        if r == 0.0 {
            // The block splits here: undo the shift and start over.
            diagonal[i + 1] -= shift;
            off[m] = 0.0;
            return;
        }
        sin = f / r;
        cos = g / r;
        g = diagonal[i + 1] - shift;
        let t = (diagonal[i] - g) * sin + 2.0 * cos * b;
        shift = sin * t;
        diagonal[i + 1] = g + shift;
        g = cos * t - b;
        rotations.push(Rotation { i, cos, sin });
    }
    diagonal[l] -= shift;
    off[l] = g;
    off[m] = 0.0;
}
