//! A symmetric matrix made tridiagonal, T = Q^T S Q, by Householder reflections Q = H_0 H_1 ..., and Q itself: f64, one
//! fixed order, no fused multiply-add (linalg.rs says why).
//!
//! Reflections come in panels of 32 (LAPACK's dsytrd and dlatrd; Dongarra, Hammarling, Sorensen 1989): within a panel
//! only the next column is brought up to date, products with S go through what the panel has left undone, and the rest
//! of S changes once a panel, by one product of matrices. So every reflection reads half of S once and writes none of
//! it. Only the half right of the diagonal is read or kept up.

use super::basis::{COLS, ROWS, tile};
use super::linalg::dot;
use super::simd::{Level, multiversion};

/// Columns of Q, later components of eigenvectors, worked on together; outputs, never a sum.
pub const LANES: usize = 16;
/// Reflections between two updates of the rest.
const PANEL: usize = 32;

pub struct Tridiagonal {
    pub diagonal: Vec<f64>,
    /// off[i] couples i and i+1; one spare entry at the end.
    pub off: Vec<f64>,
    pub tau: Vec<f64>,
}

/// The panel at work: S is what `a` holds less sum_j v_j w_j^T + w_j v_j^T, vectors row-major [PANEL, d].
struct Pending {
    v: Vec<f64>,
    w: Vec<f64>,
}

/// Reduces `a`, row-major [d, d]; reflector k (H_k = I - tau_k v v^T, v_0 = 1) is left in a[k][k+1..].
pub fn tridiagonalise(level: Level, a: &mut [f64], d: usize) -> Tridiagonal {
    let mut tri = Tridiagonal { diagonal: vec![0.0; d], off: vec![0.0; d], tau: vec![0.0; d] };
    let mut pending = Pending { v: vec![0.0; PANEL * d], w: vec![0.0; PANEL * d] };
    let (mut left, mut right) = (vec![], vec![]);
    for first in (0..d).step_by(PANEL) {
        let last = (first + PANEL).min(d);
        for k in first..last {
            reduce(level, a, d, (first, k), &mut pending, &mut tri);
        }
        if last < d {
            pack(&pending, d, last, &mut left, &mut right);
            update(level, &mut a[last * d..], d, last, &left, &right);
        }
    }
    tri
}

multiversion! {
    fn reduce(a: &mut [f64], d: usize, at: (usize, usize), pending: &mut Pending, tri: &mut Tridiagonal)
        = reduce_body, reduce_body
}

/// Column k of a panel that began at column `first`.
#[inline(always)]
fn reduce_body(
    a: &mut [f64],
    d: usize,
    (first, k): (usize, usize),
    pending: &mut Pending,
    tri: &mut Tridiagonal,
) {
    let (above, below) = a.split_at_mut((k + 1) * d);
    let row = &mut above[k * d + k..];
    let done = k - first;
    for (v, w) in pending.v.chunks_exact(d).zip(pending.w.chunks_exact(d)).take(done) {
        subtract(row, (v[k], &w[k..]), (w[k], &v[k..]));
    }
    tri.diagonal[k] = row[0];
    let v = &mut row[1..];
    if v.is_empty() {
        return;
    }
    (tri.off[k], tri.tau[k]) = householder(v);
    let tau = tri.tau[k];
    let (before, own) = pending.w.split_at_mut(done * d);
    let p = &mut own[k + 1..d];
    p.fill(0.0);
    if tau != 0.0 {
        symmetric_product(below, d, v, p);
        for (x, y) in pending.v.chunks_exact(d).zip(before.chunks_exact(d)) {
            let (x, y) = (&x[k + 1..], &y[k + 1..]);
            subtract(p, (dot(y, v), x), (dot(x, v), y));
        }
        p.iter_mut().for_each(|p| *p *= tau);
        let half = tau / 2.0 * dot(p, v);
        for (p, v) in p.iter_mut().zip(&*v) {
            *p -= half * v;
        }
    }
    pending.v[done * d + k + 1..(done + 1) * d].copy_from_slice(v);
}

/// z -= s x + t y.
#[inline(always)]
fn subtract(z: &mut [f64], (s, x): (f64, &[f64]), (t, y): (f64, &[f64])) {
    let (x, y) = (&x[..z.len()], &y[..z.len()]);
    for i in 0..z.len() {
        z[i] -= s * x[i] + t * y[i];
    }
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

/// p += B v for the symmetric B in the last v.len() columns of `rows` (as many rows, of length d): rows by fours, each
/// entry right of the diagonal once for its row and once for its column.
#[inline(always)]
fn symmetric_product(rows: &[f64], d: usize, v: &[f64], p: &mut [f64]) {
    let size = v.len();
    let entry = |r: usize, c: usize| rows[r * d + d - size + c];
    for top in (0..size).step_by(ROWS) {
        let height = ROWS.min(size - top);
        for r in top..top + height {
            p[r] += entry(r, r) * v[r];
            for c in r + 1..top + height {
                p[r] += entry(r, c) * v[c];
                p[c] += entry(r, c) * v[r];
            }
        }
        if height < ROWS {
            break;
        }
        let from = top + ROWS;
        let strips: [&[f64]; ROWS] =
            std::array::from_fn(|r| &rows[(top + r) * d + d - size + from..(top + r + 1) * d]);
        let scale: [f64; ROWS] = std::array::from_fn(|r| v[top + r]);
        let (own, rest) = p.split_at_mut(from);
        let sums = strip_product(strips, scale, &v[from..], rest);
        for (p, sums) in own[top..].iter_mut().zip(sums) {
            *p += sums;
        }
    }
}

/// p += sum_r scale_r strip_r, and the four <strip_r, v>, each in eight chains like `dot`.
#[inline(always)]
fn strip_product(
    strips: [&[f64]; ROWS],
    scale: [f64; ROWS],
    v: &[f64],
    p: &mut [f64],
) -> [f64; ROWS] {
    let mut sums = [[0.0f64; COLS]; ROWS];
    let count = v.len() / COLS;
    let whole = strips.map(|strip| &strip.as_chunks::<COLS>().0[..count]);
    let vs = &v.as_chunks::<COLS>().0[..count];
    let ps = &mut p.as_chunks_mut::<COLS>().0[..count];
    for i in 0..count {
        let mut out = ps[i];
        for r in 0..ROWS {
            for c in 0..COLS {
                sums[r][c] += whole[r][i][c] * vs[i][c];
                out[c] += whole[r][i][c] * scale[r];
            }
        }
        ps[i] = out;
    }
    for i in count * COLS..v.len() {
        for r in 0..ROWS {
            sums[r][i % COLS] += strips[r][i] * v[i];
            p[i] += strips[r][i] * scale[r];
        }
    }
    sums.map(|s| ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])))
}

/// The full panel's vectors from component `last` on, as an update reads them: v, w by turns in strips of ROWS, and
/// w, v in strips of COLS; zero padded.
fn pack(
    pending: &Pending,
    d: usize,
    last: usize,
    left: &mut Vec<[f64; ROWS]>,
    right: &mut Vec<[f64; COLS]>,
) {
    let size = d - last;
    left.clear();
    left.resize(size.div_ceil(ROWS) * 2 * PANEL, [0.0; ROWS]);
    right.clear();
    right.resize(size.div_ceil(COLS) * 2 * PANEL, [0.0; COLS]);
    for (j, (v, w)) in pending.v.chunks_exact(d).zip(pending.w.chunks_exact(d)).enumerate() {
        for (i, (v, w)) in v[last..].iter().zip(&w[last..]).enumerate() {
            let at = i / ROWS * 2 * PANEL + 2 * j;
            (left[at][i % ROWS], left[at + 1][i % ROWS]) = (*v, *w);
            let at = i / COLS * 2 * PANEL + 2 * j;
            (right[at][i % COLS], right[at + 1][i % COLS]) = (*w, *v);
        }
    }
}

multiversion! {
    fn update(rows: &mut [f64], d: usize, last: usize, left: &[[f64; ROWS]], right: &[[f64; COLS]])
        = update_body, update_body
}

/// a[i][j] -= sum over the panel of v_i w_j + w_i v_j, one chain, for rows and columns from `last` on and j >= i (a
/// tile at the diagonal whole).
#[inline(always)]
fn update_body(
    rows: &mut [f64],
    d: usize,
    last: usize,
    left: &[[f64; ROWS]],
    right: &[[f64; COLS]],
) {
    for (strip, (rows, left)) in
        rows.chunks_mut(ROWS * d).zip(left.chunks_exact(2 * PANEL)).enumerate()
    {
        let tiles = right.chunks_exact(2 * PANEL).enumerate();
        for (column, right) in tiles.skip(strip * ROWS / COLS) {
            let sums = tile(left, right);
            let from = last + column * COLS;
            let columns = from..d.min(from + COLS);
            for (row, sums) in rows.chunks_exact_mut(d).zip(&sums) {
                for (x, sum) in row[columns.clone()].iter_mut().zip(sums) {
                    *x -= sum;
                }
            }
        }
    }
}

multiversion! {
    /// Columns [from, from + LANES) of Q, as [component][lane]; `panel` comes as zeros. Reflections are taken from the
    /// last that reaches these columns back to H_0; one pass ends a reflection and begins the next.
    pub fn orthogonal_columns(a: &[f64], tau: &[f64], d: usize, from: usize, panel: &mut [f64])
        = columns_body, columns_body
}

#[inline(always)]
fn columns_body(a: &[f64], tau: &[f64], d: usize, from: usize, panel: &mut [f64]) {
    let (rows, _) = panel.as_chunks_mut::<LANES>();
    let end = d.min(from + LANES);
    for column in from..end {
        rows[column][column - from] = 1.0;
    }
    let reflector = |k: usize| &a[k * d + k + 1..(k + 1) * d];
    // <v_k, column> of the reflection that is due.
    let mut sums = [0.0f64; LANES];
    if end >= 2 {
        add_products(&mut sums, reflector(end - 2), &rows[end - 1..]);
    }
    for k in (0..end - 1).rev() {
        let part = sums.map(|sum| tau[k] * sum);
        sums = [0.0; LANES];
        let v = reflector(k);
        if k == 0 {
            for (row, v) in rows[1..].iter_mut().zip(v) {
                for lane in 0..LANES {
                    row[lane] -= part[lane] * v;
                }
            }
            break;
        }
        let (first, next) = reflector(k - 1).split_at(1);
        add_products(&mut sums, first, &rows[k..]);
        for ((row, v), next) in rows[k + 1..].iter_mut().zip(v).zip(next) {
            for lane in 0..LANES {
                row[lane] -= part[lane] * v;
                sums[lane] += row[lane] * next;
            }
        }
    }
}

#[inline(always)]
fn add_products(sums: &mut [f64; LANES], v: &[f64], rows: &[[f64; LANES]]) {
    for (v, row) in v.iter().zip(rows) {
        for lane in 0..LANES {
            sums[lane] += row[lane] * v;
        }
    }
}
