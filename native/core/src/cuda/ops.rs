//! The kernels as Rust functions: shapes checked, grids computed. One function here, one kernel (or one family of
//! tile shapes) in native/kernels, one scalar twin in `ops`, `gemm`, `lora`, `train` or `attribution`.

use super::device::{Address, Arguments, Result};
use super::memory::{Buffer, Gpu};
use crate::gemm::BLOCK;
use crate::ops::attention::Heads;
use std::sync::Arc;

/// Longest key range of one row: tiles that the attention kernel has room for.
pub const KEYS_MAX: usize = 2048 * 64;
/// Widest head the attention kernels hold.
pub const HEAD_DIM_MAX: usize = 256;
/// Largest vocabulary of the softmax kernel.
pub const VOCAB_MAX: usize = 2048 * 256;

/// A row-major matrix inside a buffer: `rows` x `cols`, `ld` floats from one row to the next.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a Buffer<f32>,
    offset: usize,
    pub rows: usize,
    pub cols: usize,
    pub ld: usize,
}

impl Buffer<f32> {
    /// All of the buffer as rows of `cols`.
    pub fn rows(&self, cols: usize) -> Matrix<'_> {
        self.matrix(0, self.len() / cols, cols, cols)
    }

    /// Panics when the matrix would leave the buffer.
    pub fn matrix(&self, offset: usize, rows: usize, cols: usize, ld: usize) -> Matrix<'_> {
        assert!(cols <= ld, "{cols} columns in rows of {ld}");
        let end = if rows == 0 { 0 } else { offset + (rows - 1) * ld + cols };
        assert!(end <= self.len(), "a matrix that ends at {end} of {}", self.len());
        Matrix { data: self, offset, rows, cols, ld }
    }
}

impl<'a> Matrix<'a> {
    pub fn at(&self) -> Address {
        self.data.at(self.offset)
    }

    /// Its values, row after row.
    pub fn to_vec(&self) -> Result<Vec<f32>> {
        if self.rows == 0 {
            return Ok(vec![]);
        }
        let all = self.data.range(self.offset, (self.rows - 1) * self.ld + self.cols)?;
        Ok(all.chunks(self.ld).flat_map(|row| &row[..self.cols]).copied().collect())
    }

    /// Columns `from .. from + cols` of it.
    pub fn columns(&self, from: usize, cols: usize) -> Matrix<'a> {
        self.data.matrix(self.offset + from, self.rows, cols, self.ld)
    }

    /// Rows `from .. from + rows` of it.
    pub fn slice(&self, from: usize, rows: usize) -> Matrix<'a> {
        self.data.matrix(self.offset + from * self.ld, rows, self.cols, self.ld)
    }
}

/// One operand of a product, read as it lies or transposed.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    pub matrix: Matrix<'a>,
    pub transposed: bool,
}

/// How block sums begin, and how many products of the same shape are done at once.
#[derive(Clone, Copy, Default)]
pub struct Plan {
    /// C starts from +0, as in the attribution products, instead of the first block's sum.
    pub from_zero: bool,
    /// Products, and the floats between their operands; 0 counts as one.
    pub batch: usize,
    pub apart: [usize; 3],
    /// Only this kernel, for tests; otherwise the shape decides.
    pub tile: Option<&'static str>,
    /// Whether blocks of k go to thread blocks of their own, for tests; otherwise the shape decides.
    pub split: Option<bool>,
}

const TILES: [(&str, usize, usize); 4] = [
    ("gemm_f32_128x128", 128, 128),
    ("gemm_f32_64x64", 64, 64),
    ("gemm_f32_64x16", 64, 16),
    ("gemm_f32_16x64", 16, 64),
];
/// y = x W^T for few rows: their names and the rows a block takes.
const ROWS_KERNELS: [(&str, usize); 2] = [("gemm_row_f32", 1), ("gemm_rows_f32", 4)];
/// Blocks of the largest tile that a large card runs at once.
const FULL: usize = 264;
/// Most floats of partial products held at once.
const PARTS_MAX: usize = 64 << 20;

/// Every name `Plan::tile` may have.
pub fn tiles() -> Vec<&'static str> {
    TILES.iter().map(|t| t.0).chain(ROWS_KERNELS.iter().map(|r| r.0)).collect()
}

/// The kernel for m x n outputs. `plain`: y = x W^T without batch.
fn choose(m: usize, n: usize, plain: bool) -> &'static str {
    if plain && m <= 8 {
        if m == 1 { "gemm_row_f32" } else { "gemm_rows_f32" }
    } else if m <= 16 || (m <= 64 && n <= 4096) {
        "gemm_f32_16x64"
    } else if n <= 16 {
        "gemm_f32_64x16"
    } else if m <= 64 {
        "gemm_f32_64x64"
    } else {
        "gemm_f32_128x128"
    }
}

/// Whether the sum over k is worth spreading: the tiles leave half the card idle.
fn worth_splitting(m: usize, n: usize, k: usize, (bm, bn): (usize, usize)) -> bool {
    let depth = k.div_ceil(BLOCK);
    depth > 1 && 2 * m.div_ceil(bm) * n.div_ceil(bn) <= FULL && m * n * depth <= PARTS_MAX
}

fn tile_of(name: &str) -> (&'static str, usize, usize) {
    *TILES.iter().find(|t| t.0 == name).expect("a tile of the table")
}

/// C [m, n] = left [m, k] right [k, n].
pub fn product(gpu: &Arc<Gpu>, left: Side, right: Side, c: Matrix, plan: Plan) -> Result<()> {
    let shape = |s: Side| {
        if s.transposed { (s.matrix.cols, s.matrix.rows) } else { (s.matrix.rows, s.matrix.cols) }
    };
    let ((m, k), (k2, n)) = (shape(left), shape(right));
    assert!(
        k == k2 && c.rows == m && c.cols == n,
        "[{m}, {k}] x [{k2}, {n}] in [{}, {}]",
        c.rows,
        c.cols
    );
    assert!(k > 0, "a product over nothing");
    let batch = plan.batch.max(1);
    for (matrix, apart) in
        [(left.matrix, 0), (right.matrix, 1), (c, 2)].map(|(x, i)| (x, plan.apart[i]))
    {
        let last = matrix.offset + (batch - 1) * apart;
        matrix.data.matrix(last, matrix.rows, matrix.cols, matrix.ld);
    }
    let plain = batch == 1 && !plan.from_zero && !left.transposed && right.transposed;
    let kernel = plan.tile.unwrap_or_else(|| choose(m, n, plain));
    if let Some((_, rows)) = ROWS_KERNELS.iter().find(|r| r.0 == kernel) {
        assert!(plain, "this kernel is for y = x W^T");
        let arguments = Arguments::default()
            .at(left.matrix.at())
            .at(right.matrix.at())
            .at(c.at())
            .u32(m)
            .u32(n)
            .u32(k)
            .u64(left.matrix.ld)
            .u64(right.matrix.ld)
            .u64(c.ld);
        // SAFETY: the matrices lie in their buffers and fit each other.
        return unsafe {
            gpu.launch(kernel, [n.div_ceil(32), m.div_ceil(*rows), 1], 256, arguments)
        };
    }
    let (name, bm, bn) = tile_of(kernel);
    let (ai, ak) = if left.transposed { (1, left.matrix.ld) } else { (left.matrix.ld, 1) };
    let (bj, bk) = if right.transposed { (right.matrix.ld, 1) } else { (1, right.matrix.ld) };
    let can_split = batch == 1 && !plan.from_zero;
    let split = can_split && plan.split.unwrap_or_else(|| worth_splitting(m, n, k, (bm, bn)));
    let depth = if split { k.div_ceil(BLOCK) } else { batch };
    let parts: Option<Buffer<f32>> = split.then(|| gpu.empty(depth * m * n)).transpose()?;
    let (to, ldc) = parts.as_ref().map_or((c.at(), c.ld), |parts| (parts.at(0), n));
    let apart = if split { [BLOCK * ak, BLOCK * bk, m * n] } else { plan.apart };
    let arguments = Arguments::default()
        .at(left.matrix.at())
        .at(right.matrix.at())
        .at(to)
        .u32(m)
        .u32(n)
        .u32(k)
        .u64(ai)
        .u64(ak)
        .u64(bj)
        .u64(bk)
        .u64(ldc)
        .u32(usize::from(plan.from_zero))
        .u32(usize::from(split))
        .u64(apart[0])
        .u64(apart[1])
        .u64(apart[2]);
    // SAFETY: as above, for every product of the batch; partial products have a buffer of their own.
    unsafe { gpu.launch(name, [n.div_ceil(bn), m.div_ceil(bm), depth], 256, arguments)? };
    let Some(parts) = parts else { return Ok(()) };
    let arguments = Arguments::default().at(parts.at(0)).at(c.at()).u32(n).u64(c.ld).u32(depth);
    // SAFETY: as above.
    unsafe { gpu.launch("add_blocks", [n.div_ceil(256), m, 1], 256, arguments) }
}

/// y [m, out] = x [m, in] W^T, W [out, in].
pub fn apply(gpu: &Arc<Gpu>, x: Matrix, w: Matrix, y: Matrix) -> Result<()> {
    let (left, right) =
        (Side { matrix: x, transposed: false }, Side { matrix: w, transposed: true });
    product(gpu, left, right, y, Plan::default())
}

/// dx [m, in] = dy [m, out] W.
pub fn apply_backward(gpu: &Arc<Gpu>, dy: Matrix, w: Matrix, dx: Matrix) -> Result<()> {
    let (left, right) =
        (Side { matrix: dy, transposed: false }, Side { matrix: w, transposed: false });
    product(gpu, left, right, dx, Plan::default())
}

/// What becomes of the per-sample products.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Samples {
    /// They are added to what C holds, in sample order.
    Sum,
    /// Each on its own, as many floats apart, started from zero.
    Each(usize),
}

/// s^T a over the rows of each sample (starts[z] .. starts[z + 1]): `c` [s.cols, a.cols], the first of them for
/// `Each`.
pub fn sample_products(
    gpu: &Arc<Gpu>,
    s: Matrix,
    a: Matrix,
    starts: &Buffer<u32>,
    c: Matrix,
    what: Samples,
) -> Result<()> {
    let (m, n, count) = (s.cols, a.cols, starts.len() - 1);
    assert!(s.rows == a.rows && c.rows == m && c.cols == n, "per-sample products do not fit");
    let parts: Option<Buffer<f32>> = match what {
        Samples::Sum => Some(gpu.empty(count * m * n)?),
        Samples::Each(apart) => {
            c.data.matrix(c.offset + count.saturating_sub(1) * apart, m, n, c.ld);
            None
        }
    };
    let (to, ldc, from_zero, apart) = match (&parts, what) {
        (Some(parts), _) => (parts.at(0), n, 0, m * n),
        (None, Samples::Each(apart)) => (c.at(), c.ld, 1, apart),
        (None, Samples::Sum) => unreachable!("a sum has parts"),
    };
    let (name, bm, bn) = match () {
        () if m <= 16 => ("gemm_samples_f32_16x64", 16, 64),
        () if n <= 16 => ("gemm_samples_f32_64x16", 64, 16),
        () => ("gemm_samples_f32_64x64", 64, 64),
    };
    let arguments = Arguments::default()
        .at(s.at())
        .at(a.at())
        .at(to)
        .at(starts.at(0))
        .u32(m)
        .u32(n)
        .u64(s.ld)
        .u64(a.ld)
        .u64(ldc)
        .u32(from_zero)
        .u64(apart);
    // SAFETY: shapes were checked; starts are rows of s by the batch that made them.
    unsafe { gpu.launch(name, [n.div_ceil(bn), m.div_ceil(bm), count], 256, arguments)? };
    let Some(parts) = parts else { return Ok(()) };
    let arguments = Arguments::default().at(parts.at(0)).at(c.at()).u32(n).u64(c.ld).u32(count);
    // SAFETY: as above.
    unsafe { gpu.launch("add_samples", [n.div_ceil(256), m, 1], 256, arguments) }
}

/// int32 [m, n] = int8 a [m, k] b^T, b [n, k].
pub fn product_i8(
    gpu: &Gpu,
    a: &Buffer<i8>,
    b: &Buffer<i8>,
    c: &Buffer<i32>,
    k: usize,
) -> Result<()> {
    let (m, n) = (a.len() / k, b.len() / k);
    assert!(c.len() == m * n, "[{m}, {n}] in {}", c.len());
    let arguments = Arguments::default().at(a.at(0)).at(b.at(0)).at(c.at(0)).u32(m).u32(n).u32(k);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("gemm_i8", [n.div_ceil(64), m.div_ceil(64), 1], 256, arguments) }
}

/// out [rows, h] and inverse [rows] of x.
pub fn rms_norm(
    gpu: &Gpu,
    x: Matrix,
    w: &Buffer<f32>,
    eps: f32,
    out: Matrix,
    inverse: &Buffer<f32>,
) -> Result<()> {
    let h = w.len();
    assert!(
        x.cols == h && x.ld == h && out.ld == h && out.rows == x.rows && inverse.len() >= x.rows
    );
    let arguments =
        Arguments::default().at(x.at()).at(w.at(0)).at(out.at()).at(inverse.at(0)).u32(h).f32(eps);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("rms_norm", [x.rows, 1, 1], 128, arguments) }
}

/// dx += the gradient through the norm.
pub fn rms_norm_backward(
    gpu: &Gpu,
    dy: Matrix,
    x: Matrix,
    w: &Buffer<f32>,
    inverse: &Buffer<f32>,
    dx: Matrix,
) -> Result<()> {
    let h = w.len();
    assert!(
        [dy, x, dx].iter().all(|v| v.cols == h && v.ld == h && v.rows == x.rows)
            && inverse.len() >= x.rows
    );
    let arguments = Arguments::default()
        .at(dy.at())
        .at(x.at())
        .at(w.at(0))
        .at(inverse.at(0))
        .at(dx.at())
        .u32(h);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("rms_norm_backward", [x.rows, 1, 1], 128, arguments) }
}

/// cos and sin [positions, half].
pub struct Rotation {
    pub cos: Buffer<f32>,
    pub sin: Buffer<f32>,
    pub half: usize,
}

/// Turns every head of x in place; `sign` -1 is the way back.
pub fn rope(
    gpu: &Gpu,
    x: Matrix,
    positions: &Buffer<u32>,
    table: &Rotation,
    sign: f32,
) -> Result<()> {
    let heads = x.cols / (2 * table.half);
    assert!(heads * 2 * table.half == x.cols && positions.len() >= x.rows);
    let arguments = Arguments::default()
        .at(x.at())
        .at(positions.at(0))
        .at(table.cos.at(0))
        .at(table.sin.at(0))
        .u32(heads)
        .u32(table.half)
        .u64(x.ld)
        .f32(sign);
    // SAFETY: sizes were checked; positions are below the table's by the batch that made them.
    unsafe { gpu.launch("rope", [(heads * table.half).div_ceil(128), x.rows, 1], 128, arguments) }
}

/// Where the rows of a batch find their keys and values: one layer's pages.
#[derive(Clone, Copy)]
pub struct Paged<'a> {
    pub pool: Address,
    /// [sequences, pages_max].
    pub pages: &'a Buffer<u32>,
    pub pages_max: usize,
    /// [rows].
    pub sequences: &'a Buffer<u32>,
    pub positions: &'a Buffer<u32>,
}

pub fn kv_append(gpu: &Gpu, k: Matrix, v: Matrix, heads: Heads, to: Paged) -> Result<()> {
    assert!(k.cols == heads.kv * heads.dim && v.cols == k.cols && k.ld == v.ld && k.rows == v.rows);
    let arguments = Arguments::default()
        .at(k.at())
        .at(v.at())
        .at(to.pool)
        .at(to.pages.at(0))
        .at(to.sequences.at(0))
        .at(to.positions.at(0))
        .u32(to.pages_max)
        .u32(heads.kv)
        .u32(heads.dim)
        .u64(k.ld);
    // SAFETY: pages are numbers of the pool's own pages.
    unsafe { gpu.launch("kv_append", [k.cols.div_ceil(128), k.rows, 1], 128, arguments) }
}

/// The weights attention leaves behind: p [query heads][rows][ldp], inverse [query heads][rows].
pub struct Weights<'a> {
    pub p: &'a Buffer<f32>,
    pub inverse: &'a Buffer<f32>,
    pub ldp: usize,
}

pub fn attention(
    gpu: &Gpu,
    q: Matrix,
    heads: Heads,
    from: Paged,
    left: &Weights,
    out: Matrix,
) -> Result<()> {
    assert!(q.cols == heads.query * heads.dim && out.ld == q.cols && heads.dim <= HEAD_DIM_MAX);
    assert!(left.p.len() >= heads.query * q.rows * left.ldp && left.ldp <= KEYS_MAX);
    let arguments = Arguments::default()
        .at(q.at())
        .at(from.pool)
        .at(from.pages.at(0))
        .at(from.sequences.at(0))
        .at(from.positions.at(0))
        .at(left.p.at(0))
        .at(left.inverse.at(0))
        .at(out.at())
        .u32(q.rows)
        .u32(from.pages_max)
        .u32(heads.kv)
        .u32(heads.dim)
        .u64(q.ld)
        .u64(left.ldp)
        .f32(heads.scale());
    // SAFETY: as `kv_append`; positions are below `ldp`.
    unsafe { gpu.launch("attention", [q.rows, heads.query, 1], 128, arguments) }
}

/// The rows of each row's sequence, [rows] each: where it starts and ends in the batch, and how far in the row is.
pub struct Spans {
    pub starts: Buffer<u32>,
    pub ends: Buffer<u32>,
    pub positions: Buffer<u32>,
}

/// p becomes P normalised; ds the gradient of the scores.
#[allow(clippy::too_many_arguments)]
pub fn attention_backward_scores(
    gpu: &Gpu,
    v: Matrix,
    out: Matrix,
    d_out: Matrix,
    left: &Weights,
    ds: &Buffer<f32>,
    spans: &Spans,
    heads: Heads,
) -> Result<()> {
    let rows = out.rows;
    assert!(
        out.ld == heads.query * heads.dim
            && d_out.ld == out.ld
            && ds.len() >= heads.query * rows * left.ldp
    );
    let arguments = Arguments::default()
        .at(v.at())
        .at(out.at())
        .at(d_out.at())
        .at(left.p.at(0))
        .at(ds.at(0))
        .at(left.inverse.at(0))
        .at(spans.starts.at(0))
        .u32(rows)
        .u32(heads.kv)
        .u32(heads.dim)
        .u64(v.ld)
        .u64(left.ldp)
        .f32(heads.scale());
    // SAFETY: sizes were checked; spans lie inside the rows.
    unsafe { gpu.launch("attention_backward_scores", [rows, heads.query, 1], 128, arguments) }
}

pub fn attention_backward_query(
    gpu: &Gpu,
    k: Matrix,
    ds: &Buffer<f32>,
    ldp: usize,
    dq: Matrix,
    spans: &Spans,
    heads: Heads,
) -> Result<()> {
    let rows = dq.rows;
    assert!(dq.ld == heads.query * heads.dim && ds.len() >= heads.query * rows * ldp);
    let arguments = Arguments::default()
        .at(k.at())
        .at(ds.at(0))
        .at(dq.at())
        .at(spans.starts.at(0))
        .at(spans.ends.at(0))
        .u32(rows)
        .u32(heads.kv)
        .u32(heads.dim)
        .u64(k.ld)
        .u64(ldp);
    // SAFETY: as above.
    unsafe { gpu.launch("attention_backward_query", [rows, heads.query, 1], 64, arguments) }
}

#[allow(clippy::too_many_arguments)]
pub fn attention_backward_keys(
    gpu: &Gpu,
    q: Matrix,
    d_out: Matrix,
    left: &Weights,
    ds: &Buffer<f32>,
    dk: Matrix,
    dv: Matrix,
    spans: &Spans,
    heads: Heads,
) -> Result<()> {
    let rows = q.rows;
    assert!(d_out.ld == heads.query * heads.dim && dk.ld == heads.kv * heads.dim && dv.ld == dk.ld);
    let arguments = Arguments::default()
        .at(q.at())
        .at(d_out.at())
        .at(left.p.at(0))
        .at(ds.at(0))
        .at(dk.at())
        .at(dv.at())
        .at(spans.starts.at(0))
        .at(spans.ends.at(0))
        .u32(rows)
        .u32(heads.query)
        .u32(heads.dim)
        .u64(q.ld)
        .u64(left.ldp);
    // SAFETY: as above.
    unsafe { gpu.launch("attention_backward_keys", [rows, heads.kv, 1], 64, arguments) }
}

/// out [rows, ffn] from gate_up [rows, 2 ffn].
pub fn swiglu(gpu: &Gpu, gate_up: Matrix, out: Matrix) -> Result<()> {
    assert!(gate_up.ld == 2 * out.cols && out.ld == out.cols && gate_up.rows == out.rows);
    let arguments = Arguments::default().at(gate_up.at()).at(out.at()).u32(out.cols);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("swiglu", [out.cols.div_ceil(256), out.rows, 1], 256, arguments) }
}

pub fn swiglu_backward(gpu: &Gpu, gate_up: Matrix, d_out: Matrix, d_gate_up: Matrix) -> Result<()> {
    assert!(gate_up.ld == 2 * d_out.cols && d_gate_up.ld == gate_up.ld && d_out.ld == d_out.cols);
    let arguments =
        Arguments::default().at(gate_up.at()).at(d_out.at()).at(d_gate_up.at()).u32(d_out.cols);
    // SAFETY: sizes were checked.
    unsafe {
        gpu.launch("swiglu_backward", [d_out.cols.div_ceil(256), d_out.rows, 1], 256, arguments)
    }
}

fn blocks(n: usize) -> [usize; 3] {
    [n.div_ceil(256), 1, 1]
}

/// to += from, the first `from.len()` values.
pub fn add_into(gpu: &Gpu, to: &Buffer<f32>, from: &Buffer<f32>) -> Result<()> {
    let n = from.len();
    assert!(to.len() >= n);
    let arguments = Arguments::default().at(to.at(0)).at(from.at(0)).u64(n);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("add_into", blocks(n), 256, arguments) }
}

/// out = values * factor.
pub fn scale(gpu: &Gpu, values: &Buffer<f32>, out: &Buffer<f32>, factor: f32) -> Result<()> {
    let n = values.len();
    assert!(out.len() >= n);
    let arguments = Arguments::default().at(values.at(0)).at(out.at(0)).u64(n).f32(factor);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("scale", blocks(n), 256, arguments) }
}

/// Every run of `factors.len()` values is multiplied by the factors.
pub fn multiply(gpu: &Gpu, values: &Buffer<f32>, factors: &Buffer<f32>) -> Result<()> {
    let n = values.len();
    let arguments =
        Arguments::default().at(values.at(0)).at(factors.at(0)).u64(n).u64(factors.len());
    // SAFETY: factors are taken modulo their number.
    unsafe { gpu.launch("multiply", blocks(n), 256, arguments) }
}

/// to += part * scales, column by column of rows of `scales.len()`.
pub fn add_product(
    gpu: &Gpu,
    to: &Buffer<f32>,
    part: &Buffer<f32>,
    scales: &Buffer<f32>,
) -> Result<()> {
    let n = to.len();
    assert!(part.len() >= n);
    let arguments =
        Arguments::default().at(to.at(0)).at(part.at(0)).at(scales.at(0)).u64(n).u32(scales.len());
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("add_product", blocks(n), 256, arguments) }
}

/// Stored codes as floats.
pub fn widen(gpu: &Gpu, codes: &Buffer<i16>, out: &Buffer<f32>) -> Result<()> {
    let n = codes.len();
    assert!(out.len() >= n);
    let arguments = Arguments::default().at(codes.at(0)).at(out.at(0)).u64(n);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("widen", blocks(n), 256, arguments) }
}

/// Row r of out is row ids[r] of `table`.
pub fn gather_rows(gpu: &Gpu, table: Matrix, ids: &Buffer<u32>, out: Matrix) -> Result<()> {
    let width = table.cols;
    assert!(table.ld == width && out.ld == width && out.rows <= ids.len());
    let arguments = Arguments::default().at(table.at()).at(ids.at(0)).at(out.at()).u32(width);
    // SAFETY: ids are rows of the table by whoever checked the tokens.
    unsafe { gpu.launch("gather_rows", [width.div_ceil(256), out.rows, 1], 256, arguments) }
}

/// Row ids[r] of out is row r of `from`.
pub fn scatter_rows(gpu: &Gpu, from: Matrix, ids: Address, out: Matrix) -> Result<()> {
    let width = from.cols;
    assert!(from.ld == width && out.ld == width);
    let arguments = Arguments::default().at(from.at()).at(ids).at(out.at()).u32(width);
    // SAFETY: ids are rows of `out`.
    unsafe { gpu.launch("scatter_rows", [width.div_ceil(256), from.rows, 1], 256, arguments) }
}

/// Logits become probabilities; loss[r] is the cross-entropy of labels[r]. Addresses: [rows] each.
pub fn softmax_loss(gpu: &Gpu, logits: Matrix, labels: Address, loss: Address) -> Result<()> {
    assert!(logits.ld == logits.cols && logits.cols <= VOCAB_MAX);
    let arguments = Arguments::default().at(logits.at()).at(labels).at(loss).u32(logits.cols);
    // SAFETY: sizes were checked; labels are below the vocabulary.
    unsafe { gpu.launch("softmax_loss", [logits.rows, 1, 1], 256, arguments) }
}

/// labels[r] drawn from row r by u[r].
pub fn draw_labels(gpu: &Gpu, probabilities: Matrix, u: Address, labels: Address) -> Result<()> {
    assert!(probabilities.ld == probabilities.cols);
    let (rows, vocab) = (probabilities.rows, probabilities.cols);
    let arguments =
        Arguments::default().at(probabilities.at()).at(u).at(labels).u32(rows).u32(vocab);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("draw_labels", [rows.div_ceil(32), 1, 1], 32, arguments) }
}

pub fn subtract_one_hot(gpu: &Gpu, probabilities: Matrix, labels: Address) -> Result<()> {
    assert!(probabilities.ld == probabilities.cols);
    let (rows, vocab) = (probabilities.rows, probabilities.cols);
    let arguments = Arguments::default().at(probabilities.at()).at(labels).u32(rows).u32(vocab);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("subtract_one_hot", [rows.div_ceil(128), 1, 1], 128, arguments) }
}

/// What the LoRA kernels walk: runs of up to 16 rows of one slot, and one map's table of slots.
#[derive(Clone, Copy)]
pub struct Segments<'a> {
    /// [count][3]: first row, rows, slot.
    pub tiles: &'a Buffer<u32>,
    /// `Module` entries of the map, one a slot.
    pub modules: Address,
    pub rank_max: usize,
}

/// low [rows, rank_max] = x A^T.
pub fn lora_shrink(gpu: &Gpu, x: Matrix, segments: Segments, low: Matrix) -> Result<()> {
    assert!(low.rows == x.rows && low.cols >= segments.rank_max);
    let arguments = Arguments::default()
        .at(x.at())
        .at(low.at())
        .at(segments.tiles.at(0))
        .at(segments.modules)
        .u32(x.cols)
        .u64(x.ld)
        .u64(low.ld);
    // SAFETY: tiles are runs of the batch's rows; modules were made for maps of this shape.
    unsafe { gpu.launch("lora_shrink", [segments.tiles.len() / 3, 1, 1], 256, arguments) }
}

/// y += scale * (low B^T).
pub fn lora_expand(gpu: &Gpu, low: Matrix, segments: Segments, y: Matrix) -> Result<()> {
    assert!(low.rows == y.rows && low.cols >= segments.rank_max);
    let arguments = Arguments::default()
        .at(low.at())
        .at(y.at())
        .at(segments.tiles.at(0))
        .at(segments.modules)
        .u32(y.cols)
        .u64(low.ld)
        .u64(y.ld);
    // SAFETY: as above.
    unsafe {
        gpu.launch(
            "lora_expand",
            [y.cols.div_ceil(64), segments.tiles.len() / 3, 1],
            256,
            arguments,
        )
    }
}

/// The numbers of one AdamW step, see `train::optimizer`.
#[derive(Clone, Copy)]
pub struct AdamW {
    pub beta: [f32; 4],
    pub correction: [f32; 2],
    pub eps: f32,
    pub rate: f32,
    pub decay: f32,
}

pub fn adamw(
    gpu: &Gpu,
    p: &Buffer<f32>,
    g: &Buffer<f32>,
    m: &Buffer<f32>,
    v: &Buffer<f32>,
    step: AdamW,
) -> Result<()> {
    let n = p.len();
    assert!([g, m, v].iter().all(|b| b.len() == n));
    let mut arguments = Arguments::default().at(p.at(0)).at(g.at(0)).at(m.at(0)).at(v.at(0)).u64(n);
    for value in
        step.beta.into_iter().chain(step.correction).chain([step.eps, step.rate, step.decay])
    {
        arguments = arguments.f32(value);
    }
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("adamw", blocks(n), 256, arguments) }
}

pub fn sgd(gpu: &Gpu, p: &Buffer<f32>, g: &Buffer<f32>, rate: f32, decay: f32) -> Result<()> {
    let n = p.len();
    assert!(g.len() == n);
    let arguments = Arguments::default().at(p.at(0)).at(g.at(0)).u64(n).f32(rate).f32(decay);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("sgd", blocks(n), 256, arguments) }
}

/// Chains of squares, 256 values each.
pub fn squares(gpu: &Gpu, values: &Buffer<f32>, sums: &Buffer<f32>) -> Result<()> {
    let n = values.len();
    assert!(sums.len() == n.div_ceil(256));
    let arguments = Arguments::default().at(values.at(0)).at(sums.at(0)).u64(n);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("squares", [sums.len().div_ceil(64), 1, 1], 64, arguments) }
}

/// s_c of every row of the table `sums` [count, k].
pub fn raw_scores(
    gpu: &Gpu,
    sums: &Buffer<i32>,
    query: &Buffer<i8>,
    out: &Buffer<i64>,
) -> Result<()> {
    let k = query.len();
    assert!(sums.len() == out.len() * k);
    let arguments = Arguments::default().at(sums.at(0)).at(query.at(0)).at(out.at(0)).u32(k);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("raw_scores", [out.len(), 1, 1], 128, arguments) }
}
