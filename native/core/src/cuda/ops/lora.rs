//! LoRA of mixed adapters in one batch.

use super::*;

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
