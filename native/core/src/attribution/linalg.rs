//! Eigen-decomposition of a symmetric matrix in f64, with one fixed order of operations, so that
//! whoever seals an index and whoever checks it compute the same eigenbasis to the bit.
//!
//! S = sum_m lambda_m v_m v_m^T. Householder reflections make S tridiagonal (tridiagonal.rs), implicit-shift QL makes
//! it diagonal (EISPACK's tql2; Golub & Van Loan, Matrix Computations, 8.3). Only +, -, *, / and sqrt, each rounded by
//! IEEE 754; no fused multiply-add, no library mathematics. Threads own disjoint columns of Q, then disjoint components
//! of the eigenvectors.
//!
//! Conventions: eigenvalues descending (equal ones in order of discovery); the component of largest
//! magnitude of each eigenvector (the first such) is positive.

use super::error::{AttributionError, Result};
use super::parallel::for_each_chunk;
use super::simd::{Level, multiversion};
use super::tridiagonal::{LANES, Tridiagonal, orthogonal_columns, tridiagonalise};

/// QL sweeps allowed per eigenvalue; two or so are usual.
const SWEEPS_MAX: usize = 60;
/// Plane rotations gathered before the eigenvectors are touched: they and a panel stay in the second-level cache.
const ROTATIONS_MAX: usize = 1 << 14;

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

    // Panel p holds columns [p*LANES, ..) of Q: [component][lane].
    let panels = d.div_ceil(LANES);
    let mut columns = vec![0.0f64; panels * d * LANES];
    for_each_chunk(threads, &mut columns, d * LANES, |p, panel| {
        orthogonal_columns(level, &work, &tri.tau, d, p * LANES, panel);
    });
    // The other way round for the rotations, panel p holds components [p*LANES, ..): [eigenvector][lane].
    let mut basis = work;
    basis.clear();
    basis.resize(panels * d * LANES, 0.0);
    for_each_chunk(threads, &mut basis, d * LANES, |p, panel| {
        let lanes = LANES.min(d - p * LANES);
        for (i, row) in panel.chunks_exact_mut(LANES).enumerate() {
            let from = (i / LANES * d + p * LANES) * LANES + i % LANES;
            for (lane, out) in row[..lanes].iter_mut().enumerate() {
                *out = columns[from + lane * LANES];
            }
        }
    });
    drop(columns);
    diagonalise(&mut tri, d, |sweeps| {
        for_each_chunk(threads, &mut basis, d * LANES, |_, panel| rotate(level, sweeps, panel));
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

/// QL sweeps that the eigenvectors have yet to follow.
#[derive(Default)]
struct Sweeps {
    spans: Vec<Span>,
    /// (cos, sin) of all spans, one behind the other.
    turns: Vec<[f64; 2]>,
}

/// A sweep rotates eigenvectors i and i+1 for i = top, top-1, .. bottom.
#[derive(Clone, Copy)]
struct Span {
    top: usize,
    bottom: usize,
}

impl Span {
    fn count(self) -> usize {
        self.top - self.bottom + 1
    }

    /// Whether `next` can follow one rotation behind.
    fn leads(self, next: Span) -> bool {
        next.top == self.top && (next.bottom == self.bottom || next.bottom == self.bottom + 1)
    }
}

/// Lanes that go through all rotations together: two sweeps fit the registers.
const WIDTH: usize = 8;
type Row = [f64; WIDTH];

multiversion! {
    fn rotate(sweeps: &Sweeps, panel: &mut [f64]) = rotate_body, rotate_body
}

#[inline(always)]
fn rotate_body(sweeps: &Sweeps, panel: &mut [f64]) {
    let (rows, _) = panel.as_chunks_mut::<WIDTH>();
    for part in 0..LANES / WIDTH {
        let (mut spans, mut turns) = (sweeps.spans.as_slice(), sweeps.turns.as_slice());
        while let [span, rest @ ..] = spans {
            let (own, others) = turns.split_at(span.count());
            match rest {
                [next, rest @ ..] if span.leads(*next) => {
                    let (theirs, others) = others.split_at(next.count());
                    follow_two(rows, part, (*span, own), (*next, theirs));
                    (spans, turns) = (rest, others);
                }
                _ => {
                    follow(rows, part, *span, own);
                    (spans, turns) = (rest, others);
                }
            }
        }
    }
}

/// (new upper, new lower) of a pair whose lower one is carried from rotation to rotation, not stored between.
#[inline(always)]
fn turn([cos, sin]: [f64; 2], low: Row, carry: Row) -> (Row, Row) {
    let (mut high, mut next) = ([0.0; WIDTH], [0.0; WIDTH]);
    for lane in 0..WIDTH {
        high[lane] = sin * low[lane] + cos * carry[lane];
        next[lane] = cos * low[lane] - sin * carry[lane];
    }
    (high, next)
}

#[inline(always)]
fn follow(rows: &mut [Row], part: usize, span: Span, turns: &[[f64; 2]]) {
    let at = |i: usize| i * (LANES / WIDTH) + part;
    let mut carry = rows[at(span.top + 1)];
    for (back, rotation) in turns.iter().enumerate() {
        let i = span.top - back;
        let (high, next) = turn(*rotation, rows[at(i)], carry);
        rows[at(i + 1)] = high;
        carry = next;
    }
    rows[at(span.bottom)] = carry;
}

/// The second sweep one rotation behind the first: every row is read and written once for both.
#[inline(always)]
fn follow_two(
    rows: &mut [Row],
    part: usize,
    (first, one): (Span, &[[f64; 2]]),
    (second, two): (Span, &[[f64; 2]]),
) {
    let at = |i: usize| i * (LANES / WIDTH) + part;
    let top = first.top;
    let (mut behind, mut carry) = turn(one[0], rows[at(top)], rows[at(top + 1)]);
    for (back, (rotation, late)) in one[1..].iter().zip(two).enumerate() {
        let i = top - 1 - back;
        let (high, next) = turn(*rotation, rows[at(i)], carry);
        carry = next;
        let (high, next) = turn(*late, high, behind);
        rows[at(i + 2)] = high;
        behind = next;
    }
    if second.bottom == first.bottom {
        (rows[at(first.bottom + 1)], carry) = turn(two[two.len() - 1], carry, behind);
    } else {
        rows[at(first.bottom + 1)] = behind;
    }
    rows[at(first.bottom)] = carry;
}

/// Implicit-shift QL on the tridiagonal; `flush` receives the rotations in order. An entry is zero when it
/// is negligible beside its neighbours, which gives small eigenvalues all their digits. Where most
/// eigenvalues are rounding noise (fewer samples than dimensions) that may never come to be, so from the
/// first one that does not settle on, negligible beside the whole matrix will do (EISPACK's `tql2`).
fn diagonalise(tri: &mut Tridiagonal, d: usize, mut flush: impl FnMut(&Sweeps)) -> Result<()> {
    let (diagonal, off) = (&mut tri.diagonal, &mut tri.off);
    let mut sweeps = Sweeps::default();
    let norm =
        (0..d).fold(0.0f64, |n, i| n.max(diagonal[i].abs() + off.get(i).map_or(0.0, |x| x.abs())));
    let mut floor = 0.0f64;
    for l in 0..d {
        let mut tries = 0;
        loop {
            let m = (l..d - 1)
                .find(|&m| {
                    off[m].abs() <= floor || negligible(off[m], diagonal[m], diagonal[m + 1])
                })
                .unwrap_or(d - 1);
            if m == l {
                break;
            }
            tries += 1;
            if tries > SWEEPS_MAX && floor == 0.0 {
                (floor, tries) = (f64::EPSILON * norm, 0);
                continue;
            }
            if tries > SWEEPS_MAX {
                return Err(AttributionError::NoConvergence { dimension: d });
            }
            let before = sweeps.turns.len();
            sweep(diagonal, off, l, m, &mut sweeps.turns);
            let count = sweeps.turns.len() - before;
            if count > 0 {
                sweeps.spans.push(Span { top: m - 1, bottom: m - count });
            }
            if sweeps.turns.len() >= ROTATIONS_MAX {
                flush(&sweeps);
                sweeps.spans.clear();
                sweeps.turns.clear();
            }
        }
    }
    flush(&sweeps);
    Ok(())
}

fn negligible(off: f64, left: f64, right: f64) -> bool {
    off.abs() <= f64::EPSILON * (left.abs() + right.abs()) || off.abs() < f64::MIN_POSITIVE
}

/// One QL sweep over the unreduced block [l, m]; its rotations' (cos, sin) are added to `turns`.
fn sweep(diagonal: &mut [f64], off: &mut [f64], l: usize, m: usize, turns: &mut Vec<[f64; 2]>) {
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
        turns.push([cos, sin]);
    }
    diagonal[l] -= shift;
    off[l] = g;
    off[m] = 0.0;
}
