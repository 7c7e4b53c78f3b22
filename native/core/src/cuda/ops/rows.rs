//! Operators that go row by row or value by value: norms, rotation, gates, sums, copies.

use super::*;

/// A norm's weight [h] and the eps under its root.
#[derive(Clone, Copy)]
pub struct Norm<'a> {
    pub w: &'a Buffer<f32>,
    pub eps: f32,
}

/// out [rows, h] and inverse [rows] of x, to which `added` is added before, to stay; `q` gets out in int8 too.
pub fn rms_norm(
    gpu: &Gpu,
    x: Matrix,
    added: Option<&Buffer<f32>>,
    Norm { w, eps }: Norm,
    out: Matrix,
    inverse: &Buffer<f32>,
    q: Option<&RowsI8>,
) -> Result<()> {
    let h = w.len();
    let (entries, scales) = RowsI8::addresses(q, out);
    assert!(
        x.cols == h && x.ld == h && out.ld == h && out.rows == x.rows && inverse.len() >= x.rows
    );
    assert!(added.is_none_or(|added| added.len() >= x.rows * h));
    let arguments = Arguments::default()
        .at(x.at())
        .at(added.map_or(0, |added| added.at(0)))
        .at(w.at(0))
        .at(out.at())
        .at(inverse.at(0))
        .at(entries)
        .at(scales)
        .u32(h)
        .f32(eps);
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

/// out [rows, ffn] from gate_up [rows, 2 ffn]; `q` gets out in int8 too.
pub fn swiglu(gpu: &Gpu, gate_up: Matrix, out: Matrix, q: Option<&RowsI8>) -> Result<()> {
    assert!(gate_up.ld == 2 * out.cols && out.ld == out.cols && gate_up.rows == out.rows);
    let (entries, scales) = RowsI8::addresses(q, out);
    let arguments =
        Arguments::default().at(gate_up.at()).at(out.at()).at(entries).at(scales).u32(out.cols);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("swiglu", [out.cols.div_ceil(512), out.rows, 1], 256, arguments) }
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

pub(super) fn blocks(n: usize) -> [usize; 3] {
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
