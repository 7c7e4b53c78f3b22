//! Matrix products: one by one, per sample, in integers. The tile is chosen by the shape; the bits are the same.

use super::*;
use crate::cuda::memory::TICKETS;
use crate::gemm::int8::{BLOCK as BLOCK_I8, PackedI8};

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

/// A kernel with the outputs of one of its blocks, down and across, and that block's threads.
struct Tile {
    name: &'static str,
    down: usize,
    across: usize,
    threads: u32,
    at_once: usize,
}

const fn tile(
    name: &'static str,
    [down, across]: [usize; 2],
    threads: u32,
    at_once: usize,
) -> Tile {
    Tile { name, down, across, threads, at_once }
}

impl Tile {
    fn blocks(&self, m: usize, n: usize) -> usize {
        m.div_ceil(self.down) * n.div_ceil(self.across)
    }
}

/// Blocks of each run at once on a multiprocessor: as `__launch_bounds__` in gemm_f32.cu.
const TILES: [Tile; 6] = [
    tile("gemm_f32_128x128", [128, 128], 256, 2),
    tile("gemm_f32_32x128", [32, 128], 128, 3),
    tile("gemm_f32_32x64", [32, 64], 128, 4),
    tile("gemm_f32_16x128", [16, 128], 128, 4),
    tile("gemm_f32_64x16", [64, 16], 256, 4),
    tile("gemm_f32_16x64", [16, 64], 256, 4),
];
/// y = x W^T for few rows: rows and columns of a block, and a warp for each chain that it runs at once.
const ROWS_KERNELS: [Tile; 3] = [
    tile("gemm_row_f32", [1, 32], 192, 3),
    tile("gemm_rows4_f32", [4, 8], 192, 3),
    tile("gemm_rows8_f32", [8, 8], 160, 3),
];
/// Multiprocessors of a large card (H100, H200).
const PROCESSORS: usize = 132;
/// More columns fill the card with any tile, as a vocabulary does; fewer need small ones until there are many rows.
const WIDE: usize = 8192;
/// Most floats of partial products held at once.
const PARTS_MAX: usize = 64 << 20;

/// Every name `Plan::tile` may have.
pub fn tiles() -> Vec<&'static str> {
    TILES.iter().chain(&ROWS_KERNELS).map(|t| t.name).collect()
}

/// The kernel for m x n outputs, as measured on an H200. `plain`: y = x W^T without batch.
fn choose(m: usize, n: usize, k: usize, plain: bool) -> &'static str {
    let wide = n > WIDE;
    let spread = TILES[0].blocks(m, n) * k.div_ceil(BLOCK);
    match m {
        1 if plain && wide => "gemm_row_f32",
        0..=4 if plain && !wide => "gemm_rows4_f32",
        5..=16 if plain && !wide => "gemm_rows8_f32",
        17..=32 if plain && ROWS_KERNELS[2].blocks(m, n) < 4 * PROCESSORS => "gemm_rows8_f32",
        _ if n <= 16 => "gemm_f32_64x16",
        0..=16 if wide => "gemm_f32_16x128",
        0..=16 => "gemm_f32_16x64",
        17..=32 if wide => "gemm_f32_32x128",
        33..=64 if wide => "gemm_f32_32x64",
        _ if spread < PROCESSORS => "gemm_f32_32x64",
        _ if 4 * TILES[0].blocks(m, n) < 3 * PROCESSORS && k <= 3 * BLOCK => "gemm_f32_32x128",
        _ => "gemm_f32_128x128",
    }
}

/// Whether the sum over k is worth spreading: the tiles leave half the card idle.
fn worth_splitting(m: usize, n: usize, k: usize, tile: &Tile) -> bool {
    let depth = k.div_ceil(BLOCK);
    let idle = 2 * tile.blocks(m, n) <= tile.at_once * PROCESSORS;
    depth > 1 && idle && m * n * depth <= PARTS_MAX
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
    let kernel = plan.tile.unwrap_or_else(|| choose(m, n, k, plain));
    if let Some(tile) = ROWS_KERNELS.iter().find(|t| t.name == kernel) {
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
        let (chains, most) = (k.div_ceil(BLOCK), tile.threads as usize / 32);
        let warps = chains.div_ceil(chains.div_ceil(most));
        // SAFETY: the matrices lie in their buffers and fit each other.
        return unsafe {
            let grid = [n.div_ceil(tile.across), m.div_ceil(tile.down), 1];
            gpu.launch(kernel, grid, 32 * warps as u32, arguments)
        };
    }
    let tile = TILES.iter().find(|t| t.name == kernel).expect("a tile of the table");
    let (ai, ak) = if left.transposed { (1, left.matrix.ld) } else { (left.matrix.ld, 1) };
    let (bj, bk) = if right.transposed { (right.matrix.ld, 1) } else { (1, right.matrix.ld) };
    let can_split = batch == 1 && !plan.from_zero && tile.blocks(m, n) <= TICKETS;
    let split = can_split && plan.split.unwrap_or_else(|| worth_splitting(m, n, k, tile));
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
        .u64(apart[2])
        .at(c.at())
        .u64(c.ld)
        .at(gpu.tickets()?);
    let grid = [n.div_ceil(tile.across), m.div_ceil(tile.down), depth];
    // SAFETY: as above, for every product of the batch; partial products have a buffer of their own, and there is a
    // ticket a tile.
    unsafe { gpu.launch(tile.name, grid, tile.threads, arguments) }
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

const TILE_I8: Tile = tile("gemm_i8_128x128", [128, 128], 256, 2);
/// Those that join their sums with scales.
const TILES_I8_SCALED: [Tile; 5] = [
    tile("gemm_i8_scaled_64x128", [64, 128], 128, 3),
    tile("gemm_i8_scaled_64x64", [64, 64], 128, 4),
    tile("gemm_i8_scaled_32x128", [32, 128], 128, 4),
    tile("gemm_i8_few_16", [16, 16], 384, 4),
    tile("gemm_i8_few_8", [8, 16], 384, 4),
];

/// The int8 kernels, for tests.
pub fn tiles_i8() -> Vec<&'static str> {
    TILES_I8_SCALED.iter().map(|t| t.name).collect()
}

/// The int8 kernel for m x n outputs, as measured on an H200.
fn choose_i8(m: usize, n: usize) -> &'static str {
    let [large, ..] = &TILES_I8_SCALED;
    match m {
        0..=8 => "gemm_i8_few_8",
        9..=32 if n > WIDE => "gemm_i8_scaled_32x128",
        _ if n > WIDE || large.blocks(m, n) >= 5 * PROCESSORS => large.name,
        33..=128 if n > WIDE / 4 => "gemm_i8_scaled_64x64",
        9..=128 => "gemm_i8_few_16",
        _ => "gemm_i8_scaled_64x64",
    }
}

/// int32 [m, n] = int8 a [m, width] b^T, b [n, width]; rows are padded with zeros to whole blocks.
pub fn product_i8(
    gpu: &Gpu,
    a: &Buffer<i8>,
    b: &Buffer<i8>,
    c: &Buffer<i32>,
    width: usize,
) -> Result<()> {
    let (m, n) = (a.len() / width, b.len() / width);
    assert!(c.len() == m * n && width.is_multiple_of(BLOCK_I8), "[{m}, {n}] in {}", c.len());
    let tile = TILE_I8;
    let arguments =
        Arguments::default().at(a.at(0)).at(b.at(0)).at(c.at(0)).u32(m).u32(n).u32(width);
    let grid = [n.div_ceil(tile.across), m.div_ceil(tile.down), 1];
    // SAFETY: sizes were checked.
    unsafe { gpu.launch(tile.name, grid, tile.threads, arguments) }
}

/// A weight in int8 on the device: entries [n, width], width being k rounded up to whole blocks; scales [n].
pub struct WeightI8 {
    entries: Buffer<i8>,
    scales: Buffer<f32>,
    k: usize,
}

impl WeightI8 {
    /// The rows of several maps of the same inputs, one after another.
    pub fn upload(gpu: &Arc<Gpu>, maps: &[&PackedI8]) -> Result<Self> {
        let k = maps[0].k();
        let (mut entries, mut scales) = (vec![], vec![]);
        for map in maps {
            assert_eq!(map.k(), k, "maps of the same inputs");
            entries.extend(padded_rows(&map.entries(), k));
            scales.extend_from_slice(map.scales());
        }
        Ok(Self { entries: gpu.upload(&entries)?, scales: gpu.upload(&scales)?, k })
    }
}

/// Rows of k entries, with zeros up to whole blocks.
pub fn padded_rows(entries: &[i8], k: usize) -> Vec<i8> {
    let width = k.next_multiple_of(BLOCK_I8);
    let mut out = Vec::with_capacity(entries.len() / k * width);
    for row in entries.chunks_exact(k) {
        out.extend_from_slice(row);
        out.resize(out.len() + width - k, 0);
    }
    out
}

/// Rows of x in int8: entries [m, width] and scales [width / 64, m].
pub struct RowsI8 {
    entries: Buffer<i8>,
    scales: Buffer<f32>,
    m: usize,
    k: usize,
}

impl RowsI8 {
    /// Room for m rows of k.
    pub fn empty(gpu: &Arc<Gpu>, m: usize, k: usize) -> Result<Self> {
        let blocks = k.div_ceil(BLOCK_I8);
        Ok(Self {
            entries: gpu.empty(m * blocks * BLOCK_I8)?,
            scales: gpu.empty(m * blocks)?,
            m,
            k,
        })
    }

    /// Where an operator that makes `out` puts it in int8: nowhere when nobody asks.
    pub(super) fn addresses(rows: Option<&Self>, out: Matrix) -> (Address, Address) {
        rows.map_or((0, 0), |q| {
            assert!(q.m == out.rows && q.k == out.cols, "room for [{}, {}]", q.m, q.k);
            (q.entries.at(0), q.scales.at(0))
        })
    }

    /// x [m, k] by the rule of `gemm::int8`.
    pub fn quantise(gpu: &Arc<Gpu>, x: Matrix) -> Result<Self> {
        let rows = Self::empty(gpu, x.rows, x.cols)?;
        let Self { entries, scales, m, k } = &rows;
        let (m, k, blocks) = (*m, *k, k.div_ceil(BLOCK_I8));
        let width = blocks * BLOCK_I8;
        let arguments = Arguments::default()
            .at(x.at())
            .at(entries.at(0))
            .at(scales.at(0))
            .u32(m)
            .u32(k)
            .u32(width)
            .u64(x.ld);
        // SAFETY: every row and block lies in its buffer.
        unsafe {
            gpu.launch("quantise_i8", [(m * blocks).div_ceil(8), 1, 1], 256, arguments)?;
        }
        Ok(rows)
    }
}

/// y [m, n] = x [m, k] W^T by the rule of `gemm::int8`.
pub fn apply_i8(gpu: &Arc<Gpu>, x: Matrix, w: &WeightI8, y: Matrix) -> Result<()> {
    multiply_i8(gpu, &RowsI8::quantise(gpu, x)?, w, y, None)
}

/// The product of rows that are quantised already; `tile` as in `Plan`.
pub fn multiply_i8(
    gpu: &Gpu,
    x: &RowsI8,
    w: &WeightI8,
    y: Matrix,
    tile: Option<&str>,
) -> Result<()> {
    let (m, n, k) = (x.m, w.scales.len(), w.k);
    assert!(x.k == k && y.rows == m && y.cols == n, "the int8 product does not fit");
    let name = tile.unwrap_or_else(|| choose_i8(m, n));
    let tile = TILES_I8_SCALED.iter().find(|t| t.name == name).expect("a tile of the table");
    let steps = k.div_ceil(BLOCK_I8) as u32;
    // The kernels for few rows have a warp a block of k.
    let threads = if tile.across == 16 { tile.threads.min(32 * steps) } else { tile.threads };
    let arguments = Arguments::default()
        .at(x.entries.at(0))
        .at(x.scales.at(0))
        .at(w.entries.at(0))
        .at(w.scales.at(0))
        .at(y.at())
        .u32(m)
        .u32(n)
        .u32(k.next_multiple_of(BLOCK_I8))
        .u64(y.ld);
    let grid = [n.div_ceil(tile.across), m.div_ceil(tile.down), 1];
    // SAFETY: shapes were checked.
    unsafe { gpu.launch(tile.name, grid, threads, arguments) }
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
