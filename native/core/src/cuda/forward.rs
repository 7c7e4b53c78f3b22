//! The forward pass on the device: `model::forward` operator by operator, for a batch of sequences at once.

use super::batch::{Batch, KvPool};
use super::device::Result;
use super::memory::Buffer;
use super::model::{AdapterTable, GpuModel};
use super::ops::{self, Matrix, Segments, Weights};
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
        let mut x = gpu.empty(rows * h)?;
        ops::gather_rows(gpu, self.embedding.matrix(), &batch.tokens, x.rows(h))?;
        let pass = Pass { model: self, batch, adapters, ldp: batch.keys.next_multiple_of(4) };
        let keep = tape.is_some();
        for layer in 0..self.layers.len() {
            let (next, kept) = pass.block(layer, x, pool, keep)?;
            x = next;
            if let (Some(tape), Some(kept)) = (tape.as_deref_mut(), kept) {
                tape.layers.push(kept);
            }
        }
        let (hidden, inverse) = (gpu.empty(rows * h)?, gpu.empty(rows)?);
        ops::rms_norm(gpu, x.rows(h), &self.final_norm, self.eps(), hidden.rows(h), &inverse)?;
        if let Some(tape) = tape {
            tape.ldp = pass.ldp;
            tape.last = Some(LastTape { x, inverse });
        }
        Ok(hidden)
    }

    fn eps(&self) -> f32 {
        self.config.rms_eps as f32
    }

    /// Logits [rows, vocab] of hidden rows.
    pub fn logits(&self, hidden: Matrix) -> Result<Buffer<f32>> {
        let logits = self.gpu.empty(hidden.rows * self.config.vocab)?;
        self.head().apply(hidden, logits.rows(self.config.vocab))?;
        Ok(logits)
    }
}

impl Pass<'_> {
    /// Adds the adapters' updates of one map to y; returns the low rows when there are any.
    fn update(
        &self,
        layer: usize,
        target: Target,
        x: Matrix,
        y: Matrix,
    ) -> Result<Option<Buffer<f32>>> {
        let Some(modules) = self.adapters.map(layer, target) else { return Ok(None) };
        let rank_max = self.adapters.rank_max;
        let segments = Segments { tiles: &self.batch.lora_tiles, modules, rank_max };
        let low = self.model.gpu.empty(x.rows * rank_max)?;
        ops::lora_shrink(&self.model.gpu, x, segments, low.rows(rank_max))?;
        ops::lora_expand(&self.model.gpu, low.rows(rank_max), segments, y)?;
        Ok(Some(low))
    }

    /// x after the layer, and its tape.
    fn block(
        &self,
        layer: usize,
        x: Buffer<f32>,
        pool: &KvPool,
        keep: bool,
    ) -> Result<(Buffer<f32>, Option<LayerTape>)> {
        let (model, batch) = (self.model, self.batch);
        let (gpu, c, heads, rows) = (&model.gpu, &model.config, model.heads(), batch.rows);
        let (h, wide, kv) = (c.hidden, heads.query * heads.dim, heads.kv * heads.dim);
        let weights = &model.layers[layer];
        let mut low: [Option<Buffer<f32>>; 7] = Default::default();

        let (normed, norm_inverse) = (gpu.empty(rows * h)?, gpu.empty(rows)?);
        ops::rms_norm(
            gpu,
            x.rows(h),
            &weights.attention_norm,
            model.eps(),
            normed.rows(h),
            &norm_inverse,
        )?;
        let qkv: Buffer<f32> = gpu.empty(rows * (wide + 2 * kv))?;
        let all = qkv.rows(wide + 2 * kv);
        weights.qkv.apply(normed.rows(h), all)?;
        let (q, k, v) = (all.columns(0, wide), all.columns(wide, kv), all.columns(wide + kv, kv));
        for (target, y) in [(Target::Q, q), (Target::K, k), (Target::V, v)] {
            low[target as usize] = self.update(layer, target, normed.rows(h), y)?;
        }
        // Queries and keys lie side by side: one turn for both.
        ops::rope(gpu, all.columns(0, wide + kv), &batch.positions, &model.rotation, 1.0)?;
        let paged = batch.paged(pool, layer);
        ops::kv_append(gpu, k, v, heads, paged)?;
        let p = gpu.empty(heads.query * rows * self.ldp)?;
        let inverse = gpu.empty(heads.query * rows)?;
        let out = gpu.empty(rows * wide)?;
        let left = Weights { p: &p, inverse: &inverse, ldp: self.ldp };
        ops::attention(gpu, q, heads, paged, &left, out.rows(wide))?;
        let added: Buffer<f32> = gpu.empty(rows * h)?;
        weights.o.apply(out.rows(wide), added.rows(h))?;
        low[Target::O as usize] = self.update(layer, Target::O, out.rows(wide), added.rows(h))?;
        let before = if keep { Some(x.duplicate()?) } else { None };
        ops::add_into(gpu, &x, &added)?;

        let (mlp_in, mlp_inverse) = (gpu.empty(rows * h)?, gpu.empty(rows)?);
        ops::rms_norm(
            gpu,
            x.rows(h),
            &weights.mlp_norm,
            model.eps(),
            mlp_in.rows(h),
            &mlp_inverse,
        )?;
        let gate_up: Buffer<f32> = gpu.empty(rows * 2 * c.ffn)?;
        let both = gate_up.rows(2 * c.ffn);
        weights.gate_up.apply(mlp_in.rows(h), both)?;
        for (target, from) in [(Target::Gate, 0), (Target::Up, c.ffn)] {
            low[target as usize] =
                self.update(layer, target, mlp_in.rows(h), both.columns(from, c.ffn))?;
        }
        let activated = gpu.empty(rows * c.ffn)?;
        ops::swiglu(gpu, both, activated.rows(c.ffn))?;
        weights.down.apply(activated.rows(c.ffn), added.rows(h))?;
        low[Target::Down as usize] =
            self.update(layer, Target::Down, activated.rows(c.ffn), added.rows(h))?;
        let middle = if keep { Some(x.duplicate()?) } else { None };
        ops::add_into(gpu, &x, &added)?;
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
                low,
            }),
            _ => None,
        };
        Ok((x, tape))
    }
}
