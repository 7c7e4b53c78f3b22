//! Matrix products: one by one, per sample, in integers. The tile is chosen by the shape; the bits are the same.

use super::*;
use crate::gemm::int8::{BLOCK as BLOCK_I8, PackedI8, QUAD};

/// Rows of one launch that has a block a row.
const ROWS_MAX: usize = 65_535;

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

/// A weight in int8 on the device: entries [n, width], width being k rounded up to whole quads; scales [n].
pub struct WeightI8 {
    entries: Buffer<i8>,
    scales: Buffer<f32>,
    k: usize,
}

impl WeightI8 {
    /// The rows of several maps of the same inputs, one after another.
    pub fn upload(gpu: &Arc<Gpu>, maps: &[&PackedI8]) -> Result<Self> {
        let k = maps[0].k();
        let width = k.next_multiple_of(QUAD);
        let (mut entries, mut scales) = (vec![], vec![]);
        for map in maps {
            assert_eq!(map.k(), k, "maps of the same inputs");
            for row in map.entries().chunks_exact(k) {
                entries.extend_from_slice(row);
                entries.resize(entries.len() + width - k, 0);
            }
            scales.extend_from_slice(map.scales());
        }
        Ok(Self { entries: gpu.upload(&entries)?, scales: gpu.upload(&scales)?, k })
    }
}

/// y [m, n] = x [m, k] W^T by the rule of `gemm::int8`.
pub fn apply_i8(gpu: &Arc<Gpu>, x: Matrix, w: &WeightI8, y: Matrix) -> Result<()> {
    let (m, n, k) = (x.rows, w.scales.len(), w.k);
    assert!(x.cols == k && y.rows == m && y.cols == n, "the int8 product does not fit");
    let (width, blocks) = (k.next_multiple_of(QUAD), k.div_ceil(BLOCK_I8));
    let (q, scales) = (gpu.empty::<i8>(m * width)?, gpu.empty::<f32>(m * blocks)?);
    // Rows of a launch are bounded by the grid.
    for from in (0..m).step_by(ROWS_MAX) {
        let rows = ROWS_MAX.min(m - from);
        let arguments = Arguments::default()
            .at(x.slice(from, rows).at())
            .at(q.at(from * width))
            .at(scales.at(from * blocks))
            .u32(k)
            .u32(width)
            .u64(x.ld);
        // SAFETY: every row and block lies in its buffer.
        unsafe { gpu.launch("quantise_i8", [blocks, rows, 1], 64, arguments)? };
    }
    let arguments = Arguments::default()
        .at(q.at(0))
        .at(scales.at(0))
        .at(w.entries.at(0))
        .at(w.scales.at(0))
        .at(y.at())
        .u32(m)
        .u32(n)
        .u32(width)
        .u64(y.ld);
    // SAFETY: shapes were checked.
    unsafe { gpu.launch("gemm_i8_scaled", [n.div_ceil(64), m.div_ceil(64), 1], 256, arguments) }
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
