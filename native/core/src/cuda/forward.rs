//! The forward pass on the device: `model::forward` operator by operator, for a batch of sequences at once.

use super::batch::{Batch, KvPool};
use super::device::Result;
use super::memory::Buffer;
use super::model::{AdapterTable, GpuModel};
use super::ops::{self, Lows, Matrix, Norm, Segments, Weights};
use crate::model::config::Target;

/// What one layer leaves for the way back; names as in `model::tape`.
pub struct LayerTape {
    pub x: Buffer<f32>,
    pub attention_inverse: Buffer<f32>,
    pub attention_in: Buffer<f32>,
    /// [rows, (query + 2 kv) * dim].
    pub qkv: Buffer<f32>,
    /// [query heads][rows][ldp] and [query heads][rows].
    pub p: Buffer<f32>,
    pub inverse: Buffer<f32>,
    pub attention_out: Buffer<f32>,
    pub middle: Buffer<f32>,
    pub mlp_inverse: Buffer<f32>,
    pub mlp_in: Buffer<f32>,
    pub gate_up: Buffer<f32>,
    pub activated: Buffer<f32>,
    pub low: [Option<Buffer<f32>>; 7],
}

#[derive(Default)]
pub struct Tape {
    pub layers: Vec<LayerTape>,
    pub last: Option<LastTape>,
    /// Floats from one row of P to the next.
    pub ldp: usize,
}

/// Before and after the final norm.
pub struct LastTape {
    pub x: Buffer<f32>,
    pub inverse: Buffer<f32>,
}

/// A pass under way.
struct Pass<'a> {
    model: &'a GpuModel,
    batch: &'a Batch,
    adapters: &'a AdapterTable,
    ldp: usize,
}

impl GpuModel {
    /// Runs the batch; returns the rows after the final norm [rows, h]. Keys and values are stored in `pool`.
    pub fn forward(
        &self,
        batch: &Batch,
        pool: &KvPool,
        adapters: &AdapterTable,
        mut tape: Option<&mut Tape>,
    ) -> Result<Buffer<f32>> {
        let (gpu, h, rows) = (&self.gpu, self.config.hidden, batch.rows);
        let x = gpu.empty(rows * h)?;
        ops::gather_rows(gpu, self.embedding.matrix(), &batch.tokens, x.rows(h))?;
        let pass = Pass { model: self, batch, adapters, ldp: batch.keys.next_multiple_of(4) };
        let keep = tape.is_some();
        let mut added = None;
        for layer in 0..self.layers.len() {
            let (part, kept) = pass.block(layer, &x, added.as_ref(), pool, keep)?;
            added = Some(part);
            if let (Some(tape), Some(kept)) = (tape.as_deref_mut(), kept) {
                tape.layers.push(kept);
            }
        }
        let (hidden, inverse) = (gpu.empty(rows * h)?, gpu.empty(rows)?);
        let norm = self.norm(&self.final_norm);
        ops::rms_norm(gpu, x.rows(h), added.as_ref(), norm, hidden.rows(h), &inverse, None)?;
        if let Some(tape) = tape {
            tape.ldp = pass.ldp;
            tape.last = Some(LastTape { x, inverse });
        }
        Ok(hidden)
    }

    fn norm<'a>(&self, w: &'a Buffer<f32>) -> Norm<'a> {
        Norm { w, eps: self.config.rms_eps as f32 }
    }

    /// Logits [rows, vocab] of hidden rows.
    pub fn logits(&self, hidden: Matrix) -> Result<Buffer<f32>> {
        let logits = self.gpu.empty(hidden.rows * self.config.vocab)?;
        self.head().apply(hidden, None, logits.rows(self.config.vocab))?;
        Ok(logits)
    }
}

impl Pass<'_> {
    /// Adds the adapters' updates of maps that lie side by side in y; returns their low rows.
    fn update(&self, layer: usize, maps: &[Target], x: Matrix, y: Matrix) -> Result<Lows> {
        let (gpu, rank_max) = (&self.model.gpu, self.adapters.rank_max);
        let mut lows = Lows::default();
        for (low, map) in lows.iter_mut().zip(maps) {
            if self.adapters.adapts(*map) {
                *low = Some(gpu.empty(x.rows * rank_max)?);
            }
        }
        if lows.iter().flatten().next().is_some() {
            let segments = Segments {
                tiles: &self.batch.lora_tiles,
                modules: self.adapters.map(layer, maps[0]),
                slots: self.adapters.slots().len(),
                rank_max,
            };
            let outs: Vec<usize> =
                maps.iter().map(|map| self.model.config.linear_shape(*map).0).collect();
            ops::lora_shrink(gpu, x, segments, &lows, maps.len())?;
            ops::lora_expand(gpu, &lows, segments, &outs, y)?;
        }
        Ok(lows)
    }

    /// One layer over the stream `x`, to which `added` is still to be added. Returns what is to be added after it, and
    /// its tape.
    fn block(
        &self,
        layer: usize,
        x: &Buffer<f32>,
        added: Option<&Buffer<f32>>,
        pool: &KvPool,
        keep: bool,
    ) -> Result<(Buffer<f32>, Option<LayerTape>)> {
        let (model, batch) = (self.model, self.batch);
        let (gpu, c, heads, rows) = (&model.gpu, &model.config, model.heads(), batch.rows);
        let (h, wide, kv) = (c.hidden, heads.query * heads.dim, heads.kv * heads.dim);
        let weights = &model.layers[layer];

        let (normed, norm_inverse) = (gpu.empty(rows * h)?, gpu.empty(rows)?);
        let (norm, q) = (model.norm(&weights.attention_norm), weights.qkv.rows_i8(rows)?);
        ops::rms_norm(gpu, x.rows(h), added, norm, normed.rows(h), &norm_inverse, q.as_ref())?;
        let before = if keep { Some(x.duplicate()?) } else { None };
        let qkv: Buffer<f32> = gpu.empty(rows * (wide + 2 * kv))?;
        let all = qkv.rows(wide + 2 * kv);
        weights.qkv.apply(normed.rows(h), q.as_ref(), all)?;
        let [q_low, k_low, v_low] =
            self.update(layer, &[Target::Q, Target::K, Target::V], normed.rows(h), all)?;
        let paged = batch.paged(pool, layer);
        ops::kv_append(gpu, all, heads, paged, &model.rotation)?;
        let p = gpu.empty(heads.query * rows * self.ldp)?;
        let inverse = gpu.empty(heads.query * rows)?;
        let out = gpu.empty(rows * wide)?;
        let left = Weights { p: &p, inverse: &inverse, ldp: self.ldp };
        ops::attention(gpu, all.columns(0, wide), heads, paged, &left, out.rows(wide))?;
        let added: Buffer<f32> = gpu.empty(rows * h)?;
        weights.o.apply(out.rows(wide), None, added.rows(h))?;
        let [o_low, ..] = self.update(layer, &[Target::O], out.rows(wide), added.rows(h))?;

        let (mlp_in, mlp_inverse) = (gpu.empty(rows * h)?, gpu.empty(rows)?);
        let (norm, q) = (model.norm(&weights.mlp_norm), weights.gate_up.rows_i8(rows)?);
        let (stream, part) = (x.rows(h), Some(&added));
        ops::rms_norm(gpu, stream, part, norm, mlp_in.rows(h), &mlp_inverse, q.as_ref())?;
        let middle = if keep { Some(x.duplicate()?) } else { None };
        let gate_up: Buffer<f32> = gpu.empty(rows * 2 * c.ffn)?;
        let both = gate_up.rows(2 * c.ffn);
        weights.gate_up.apply(mlp_in.rows(h), q.as_ref(), both)?;
        let [gate_low, up_low, _] =
            self.update(layer, &[Target::Gate, Target::Up], mlp_in.rows(h), both)?;
        let activated = gpu.empty(rows * c.ffn)?;
        let q = weights.down.rows_i8(rows)?;
        ops::swiglu(gpu, both, activated.rows(c.ffn), q.as_ref())?;
        let added: Buffer<f32> = gpu.empty(rows * h)?;
        weights.down.apply(activated.rows(c.ffn), q.as_ref(), added.rows(h))?;
        let [down_low, ..] =
            self.update(layer, &[Target::Down], activated.rows(c.ffn), added.rows(h))?;
        let tape = match (before, middle) {
            (Some(before), Some(middle)) => Some(LayerTape {
                x: before,
                attention_inverse: norm_inverse,
                attention_in: normed,
                qkv,
                p,
                inverse,
                attention_out: out,
                middle,
                mlp_inverse,
                mlp_in,
                gate_up,
                activated,
                low: [q_low, k_low, v_low, o_low, gate_low, up_low, down_low],
            }),
            _ => None,
        };
        Ok((added, tape))
    }
}
