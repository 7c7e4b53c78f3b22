//! The rows of one pass: any number of sequences, each with its own adapter slot, pages and position. A row's bits do
//! not depend on what else is in the batch (DESIGN 6), so sequences may be thrown together freely.

use super::device::{DeviceError, Result};
use super::memory::{Buffer, Gpu};
use super::model::GpuModel;
use super::ops::{Paged, Spans};
use crate::ops::attention::KEY_TILE;
use std::sync::Arc;

/// Rows of one adapter that a block of the LoRA kernels takes together.
const LORA_ROWS: usize = 16;

/// One sequence's share of a pass: `tokens` stand at positions `first`..., the pages hold all positions so far.
#[derive(Clone, Copy)]
pub struct Piece<'a> {
    pub tokens: &'a [u32],
    pub first: usize,
    pub pages: &'a [u32],
    pub slot: usize,
}

pub struct Batch {
    pub rows: usize,
    /// Rows of each piece start here; one more at the end.
    pub starts: Vec<usize>,
    /// Longest key range of a row.
    pub keys: usize,
    pub tokens: Buffer<u32>,
    pub positions: Buffer<u32>,
    pub sequences: Buffer<u32>,
    pub pages: Buffer<u32>,
    pub pages_max: usize,
    pub lora_tiles: Buffer<u32>,
}

impl Batch {
    pub fn new(gpu: &Arc<Gpu>, pieces: &[Piece]) -> Result<Self> {
        let (mut starts, mut keys) = (vec![0], 0);
        let (mut tokens, mut positions, mut sequences, mut tiles) =
            (vec![], vec![], vec![], vec![]);
        let pages_max = pieces.iter().map(|p| p.pages.len()).max().unwrap_or(0).max(1);
        let mut pages = vec![0; pieces.len() * pages_max];
        for (i, piece) in pieces.iter().enumerate() {
            let end = piece.first + piece.tokens.len();
            assert!(
                end.div_ceil(KEY_TILE) <= piece.pages.len(),
                "too few pages for {end} positions"
            );
            keys = keys.max(end);
            tokens.extend_from_slice(piece.tokens);
            positions.extend((piece.first..end).map(|p| p as u32));
            sequences.extend(std::iter::repeat_n(i as u32, piece.tokens.len()));
            pages[i * pages_max..][..piece.pages.len()].copy_from_slice(piece.pages);
            starts.push(tokens.len());
        }
        for (row, slot) in runs(pieces) {
            let (mut row, end) = row;
            while row < end {
                let count = LORA_ROWS.min(end - row);
                tiles.extend([row as u32, count as u32, slot as u32]);
                row += count;
            }
        }
        Ok(Self {
            rows: tokens.len(),
            starts,
            keys,
            tokens: gpu.upload(&tokens)?,
            positions: gpu.upload(&positions)?,
            sequences: gpu.upload(&sequences)?,
            pages: gpu.upload(&pages)?,
            pages_max,
            lora_tiles: gpu.upload(&tiles)?,
        })
    }

    /// Where one layer of `pool` keeps this batch's keys and values.
    pub fn paged<'a>(&'a self, pool: &KvPool, layer: usize) -> Paged<'a> {
        Paged {
            pool: pool.layer(layer),
            pages: &self.pages,
            pages_max: self.pages_max,
            sequences: &self.sequences,
            positions: &self.positions,
        }
    }

    /// For the way back: the rows of every row's sequence.
    pub fn spans(&self, gpu: &Arc<Gpu>) -> Result<Spans> {
        let (mut starts, mut ends, mut positions) = (vec![], vec![], vec![]);
        for pair in self.starts.windows(2) {
            starts.extend(std::iter::repeat_n(pair[0] as u32, pair[1] - pair[0]));
            ends.extend(std::iter::repeat_n(pair[1] as u32, pair[1] - pair[0]));
            positions.extend(0..(pair[1] - pair[0]) as u32);
        }
        Ok(Spans {
            starts: gpu.upload(&starts)?,
            ends: gpu.upload(&ends)?,
            positions: gpu.upload(&positions)?,
        })
    }

    /// The pieces' first rows and the end, on the device.
    pub fn bounds(&self, gpu: &Arc<Gpu>) -> Result<Buffer<u32>> {
        gpu.upload(&self.starts.iter().map(|s| *s as u32).collect::<Vec<_>>())
    }
}

/// Runs of rows that share an adapter slot.
fn runs(pieces: &[Piece]) -> Vec<((usize, usize), usize)> {
    let mut all: Vec<((usize, usize), usize)> = vec![];
    let mut row = 0;
    for piece in pieces {
        let end = row + piece.tokens.len();
        match all.last_mut() {
            Some(((_, last), slot)) if *slot == piece.slot => *last = end,
            _ => all.push(((row, end), piece.slot)),
        }
        row = end;
    }
    all
}

/// Pages of keys and values, for each layer or for one that all share (enough when every piece starts at position 0
/// and nobody goes on from it); free ones are handed out lowest first.
pub struct KvPool {
    data: Buffer<f32>,
    layers: usize,
    layer_floats: usize,
    free: Vec<u32>,
}

impl KvPool {
    pub fn new(model: &GpuModel, layers: usize, pages: usize) -> Result<Self> {
        let layer_floats = pages * model.page_floats();
        let data = model.gpu.empty(layers * layer_floats)?;
        Ok(Self { data, layers, layer_floats, free: (0..pages as u32).rev().collect() })
    }

    fn layer(&self, layer: usize) -> u64 {
        let layer = if self.layers == 1 { 0 } else { layer };
        self.data.at(layer * self.layer_floats)
    }

    /// Pages for `positions` tokens.
    pub fn take(&mut self, positions: usize) -> Result<Vec<u32>> {
        let count = positions.div_ceil(KEY_TILE);
        if count > self.free.len() {
            return Err(DeviceError(format!(
                "{count} pages asked for, {} are free",
                self.free.len()
            )));
        }
        Ok((0..count).filter_map(|_| self.free.pop()).collect())
    }

    pub fn give_back(&mut self, pages: Vec<u32>) {
        self.free.extend(pages);
    }
}
