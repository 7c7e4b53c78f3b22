//! What a claimed answer was computed by, operator by operator: the outputs of one pass over prompt and answer,
//! hashed in tiles, so that two who differ about a trace leaf find the first tile they differ in by three questions.
//!
//!   operators --[rows, columns]--> tiles of 16 x 64, row of tiles by row of tiles
//!     tile = keccak256(0x00 || its values, row by row, f32 LE, NaN as in a trace leaf)
//!     root of an operator = `merkle::root` of its tiles
//!   the last operator is the trace itself: its tiles are the trace leaves, its root the trace's root
//!
//! Inputs of an operator are outputs of those before it, so the first one that differs is where the two part. The bits are
//! those of `generate` and `replay`. One layer is held at a time; logits one row of tiles at a time.

use super::{pass_bytes, trace_leaf};
use crate::attribution::merkle;
use crate::hash::{Hash, finish};
use crate::lora::Adapter;
use crate::math::single::canonical;
use crate::memory::afford;
use crate::model::forward::{KvCache, check_tokens};
use crate::model::operator::{LAYER, Operator};
use crate::model::{LlamaConfig, Weights};
use crate::{Result, bail};
use rayon::prelude::*;
use std::ops::ControlFlow;
use tiny_keccak::{Hasher, Keccak};

pub const TILE_ROWS: usize = 16;
pub const TILE_COLUMNS: usize = 64;
/// Tokens of prompt and answer together.
pub const TOKENS_MAX: usize = 4_096;

const TILE: u8 = 0x00;

/// One operator of an opening and the shape of its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    pub layer: Option<usize>,
    /// `leaves` for the trace itself.
    pub name: &'static str,
    /// The token, counted in prompt and answer, that row 0 is of.
    pub first: usize,
    pub rows: usize,
    /// 0 for the leaves.
    pub columns: usize,
}

impl Output {
    pub fn tiles(&self) -> usize {
        match self.columns {
            0 => self.rows,
            columns => self.rows.div_ceil(TILE_ROWS) * columns.div_ceil(TILE_COLUMNS),
        }
    }
}

/// The operators of an answer of `claimed` tokens to `prompt` ones, in the order of the pass.
pub fn outputs(config: &LlamaConfig, prompt: usize, claimed: usize) -> Vec<Output> {
    let rows = prompt + claimed - 1;
    let of = |layer, operator: Operator| {
        let columns = operator.columns(config);
        Output { layer, name: operator.name(), first: 0, rows, columns }
    };
    let mut all = vec![of(None, Operator::Embedding)];
    for layer in 0..config.layers {
        all.extend(LAYER.map(|operator| of(Some(layer), operator)));
    }
    all.push(of(None, Operator::Norm));
    all.push(Output { first: prompt - 1, rows: claimed, ..of(None, Operator::Head) });
    all.push(Output { layer: None, name: "leaves", first: prompt, rows: claimed, columns: 0 });
    all
}

/// A claimed answer to be opened.
pub struct Opening<'a> {
    weights: &'a Weights,
    adapter: Option<&'a Adapter>,
    prompt: &'a [u32],
    claimed: &'a [u32],
    outputs: Vec<Output>,
    cancelled: &'a (dyn Fn() -> bool + Sync),
}

/// Rows of an operator's output from a multiple of TILE_ROWS on; all of them, but for logits.
struct Band<'v> {
    operator: usize,
    columns: usize,
    values: &'v [f32],
}

impl<'a> Opening<'a> {
    /// Fails when these are no tokens of this model, or more than TOKENS_MAX.
    pub fn new(
        weights: &'a Weights,
        adapter: Option<&'a Adapter>,
        prompt: &'a [u32],
        claimed: &'a [u32],
        cancelled: &'a (dyn Fn() -> bool + Sync),
    ) -> Result<Self> {
        if let Some(adapter) = adapter {
            adapter.check_fits(&weights.config)?;
        }
        check_tokens(&weights.config, prompt, TOKENS_MAX)?;
        check_tokens(&weights.config, claimed, TOKENS_MAX)?;
        let (whole, most) =
            (prompt.len() + claimed.len(), TOKENS_MAX.min(weights.config.max_positions));
        if whole > most {
            bail!(BadInput, "a prompt and an answer of {whole} tokens; at most {most} are opened");
        }
        let what = format!("an opening of {whole} tokens");
        afford(&what, pass_bytes(&weights.config, whole, whole))?;
        let outputs = outputs(&weights.config, prompt.len(), claimed.len());
        Ok(Self { weights, adapter, prompt, claimed, outputs, cancelled })
    }

    /// The root of each operator, in order.
    pub fn roots(&self) -> Result<Vec<Hash>> {
        let mut roots = Vec::with_capacity(self.outputs.len());
        let mut hashes = vec![];
        let leaves = self.walk(|band| {
            hashes.extend(band.hashes());
            if hashes.len() == self.outputs[band.operator].tiles() {
                roots.push(merkle::root(&hashes));
                hashes.clear();
            }
            ControlFlow::Continue(())
        })?;
        roots.push(merkle::root(&leaves));
        Ok(roots)
    }

    /// The hash of each tile of an operator.
    pub fn tiles(&self, operator: usize) -> Result<Vec<Hash>> {
        let output = self.output(operator)?;
        let mut hashes = vec![];
        let leaves = self.walk(|band| {
            if band.operator == operator {
                hashes.extend(band.hashes());
            }
            if hashes.len() == output.tiles() { ControlFlow::Break(()) } else { CONTINUE }
        })?;
        Ok(if output.columns == 0 { leaves } else { hashes })
    }

    /// The values of a tile, row by row; at the right and lower edge there are fewer than TILE_ROWS x TILE_COLUMNS.
    pub fn tile(&self, operator: usize, tile: usize) -> Result<Vec<f32>> {
        let output = self.output(operator)?;
        if output.columns == 0 {
            bail!(BadInput, "the tiles of operator {operator} are the trace leaves themselves");
        }
        if tile >= output.tiles() {
            bail!(BadInput, "tile {tile} of {} of operator {operator}", output.tiles());
        }
        let (mut left, mut values) = (tile, None);
        self.walk(|band| {
            if band.operator != operator {
                return CONTINUE;
            }
            if left >= band.tiles() {
                left -= band.tiles();
                return CONTINUE;
            }
            values = Some(band.tile(left));
            ControlFlow::Break(())
        })?;
        Ok(values.expect("every tile is in a band"))
    }

    fn output(&self, operator: usize) -> Result<Output> {
        match self.outputs.get(operator) {
            Some(output) => Ok(*output),
            None => bail!(BadInput, "operator {operator} of {}", self.outputs.len()),
        }
    }

    /// The pass over prompt and answer; its trace leaves, unless `see` broke it off.
    fn walk(&self, mut see: impl FnMut(Band) -> ControlFlow<()>) -> Result<Vec<Hash>> {
        let whole = [self.prompt, &self.claimed[..self.claimed.len() - 1]].concat();
        let mut cache = KvCache::new(self.weights, whole.len());
        let (mut operator, mut stopped) = (0, false);
        let mut show = |values: &[f32], ends: bool| {
            stopped = (self.cancelled)();
            if stopped {
                return ControlFlow::Break(());
            }
            let seen = see(Band { operator, columns: self.outputs[operator].columns, values });
            operator += usize::from(ends);
            seen
        };
        let hidden =
            self.weights.forward_watched(self.adapter, &whole, &mut cache, None, &mut |_, _, x| {
                show(x, true)
            });
        let mut leaves = vec![];
        if let ControlFlow::Continue(hidden) = hidden {
            leaves = self.leaves(&hidden, show);
        }
        if stopped {
            bail!(Cancelled, "cancelled at operator {operator} of {}", self.outputs.len());
        }
        Ok(leaves)
    }

    fn leaves(
        &self,
        hidden: &[f32],
        mut show: impl FnMut(&[f32], bool) -> ControlFlow<()>,
    ) -> Vec<Hash> {
        let (h, vocab, from) =
            (self.weights.config.hidden, self.weights.config.vocab, self.prompt.len() - 1);
        let mut leaves = Vec::with_capacity(self.claimed.len());
        for rows in hidden[from * h..].chunks(TILE_ROWS * h) {
            let logits = self.weights.logits(rows);
            for row in logits.chunks_exact(vocab) {
                let at = leaves.len();
                leaves.push(trace_leaf((from + 1 + at) as u32, self.claimed[at], row));
            }
            if show(&logits, leaves.len() == self.claimed.len()).is_break() {
                break;
            }
        }
        leaves
    }
}

const CONTINUE: ControlFlow<()> = ControlFlow::Continue(());

impl Band<'_> {
    fn rows(&self) -> usize {
        self.values.len() / self.columns
    }

    fn tiles(&self) -> usize {
        self.rows().div_ceil(TILE_ROWS) * self.columns.div_ceil(TILE_COLUMNS)
    }

    fn hashes(&self) -> Vec<Hash> {
        (0..self.tiles()).into_par_iter().map(|tile| tile_hash(&self.tile(tile))).collect()
    }

    fn tile(&self, tile: usize) -> Vec<f32> {
        let across = self.columns.div_ceil(TILE_COLUMNS);
        let (row, column) = (tile / across * TILE_ROWS, tile % across * TILE_COLUMNS);
        let end = self.columns.min(column + TILE_COLUMNS);
        let rows = row..self.rows().min(row + TILE_ROWS);
        rows.flat_map(|r| &self.values[r * self.columns..][column..end])
            .map(|x| canonical(*x))
            .collect()
    }
}

/// keccak256(0x00 || values f32 LE).
fn tile_hash(values: &[f32]) -> Hash {
    let mut bytes = [0u8; 1 + 4 * TILE_ROWS * TILE_COLUMNS];
    bytes[0] = TILE;
    for (to, x) in bytes[1..].chunks_exact_mut(4).zip(values) {
        to.copy_from_slice(&x.to_le_bytes());
    }
    let mut keccak = Keccak::v256();
    keccak.update(&bytes[..1 + 4 * values.len()]);
    finish(keccak)
}

#[cfg(test)]
mod tests;
