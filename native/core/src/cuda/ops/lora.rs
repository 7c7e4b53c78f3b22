//! LoRA of mixed adapters in one batch, of up to three maps of the same inputs at once.

use super::*;

/// Maps that one launch takes.
pub const MAPS_MAX: usize = 3;

/// What the LoRA kernels walk: runs of up to 16 rows of one slot, and the maps' tables of slots.
#[derive(Clone, Copy)]
pub struct Segments<'a> {
    /// [count][3]: first row, rows, slot.
    pub tiles: &'a Buffer<u32>,
    /// `Module` entries [maps][slots].
    pub modules: Address,
    pub slots: usize,
    pub rank_max: usize,
}

/// Low rows [rows, rank_max] of each map; None where no slot adapts it.
pub type Lows = [Option<Buffer<f32>>; MAPS_MAX];

fn addresses(lows: &Lows) -> [Address; MAPS_MAX] {
    [0, 1, 2].map(|i| lows[i].as_ref().map_or(0, |low| low.at(0)))
}

/// low = x A^T for the first `maps` of `lows`.
pub fn lora_shrink(
    gpu: &Gpu,
    x: Matrix,
    segments: Segments,
    lows: &Lows,
    maps: usize,
) -> Result<()> {
    assert!(
        maps <= MAPS_MAX && lows.iter().flatten().all(|l| l.len() >= x.rows * segments.rank_max)
    );
    let [low0, low1, low2] = addresses(lows);
    let arguments = Arguments::default()
        .at(x.at())
        .at(low0)
        .at(low1)
        .at(low2)
        .at(segments.tiles.at(0))
        .at(segments.modules)
        .u32(segments.slots)
        .u32(x.cols)
        .u64(x.ld)
        .u64(segments.rank_max);
    let warps = x.cols.div_ceil(BLOCK).min(6) as u32;
    // SAFETY: tiles are runs of the batch's rows; modules were made for maps of this shape; a map without low rows has
    // rank 0 in every slot.
    unsafe { gpu.launch("lora_shrink", [segments.tiles.len() / 3, maps, 1], 32 * warps, arguments) }
}

/// y += scale * (low B^T), maps of `outs` columns side by side in y.
pub fn lora_expand(
    gpu: &Gpu,
    lows: &Lows,
    segments: Segments,
    outs: &[usize],
    y: Matrix,
) -> Result<()> {
    assert!(outs.len() <= MAPS_MAX && outs.iter().sum::<usize>() == y.cols);
    assert!(lows.iter().flatten().all(|low| low.len() >= y.rows * segments.rank_max));
    let [low0, low1, low2] = addresses(lows);
    let out = |i: usize| outs.get(i).copied().unwrap_or(0);
    let arguments = Arguments::default()
        .at(low0)
        .at(low1)
        .at(low2)
        .at(y.at())
        .at(segments.tiles.at(0))
        .at(segments.modules)
        .u32(segments.slots)
        .u32(out(0))
        .u32(out(1))
        .u32(out(2))
        .u64(segments.rank_max)
        .u64(y.ld);
    let blocks = outs.iter().map(|out| out.div_ceil(64)).sum();
    // SAFETY: as above.
    unsafe { gpu.launch("lora_expand", [blocks, segments.tiles.len() / 3, 1], 256, arguments) }
}
