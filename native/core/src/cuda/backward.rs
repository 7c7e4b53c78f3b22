//! The way back on the device: `model::backward` operator by operator, as deep as an adapter needs.

use super::batch::Batch;
use super::device::Result;
use super::forward::{LayerTape, Tape};
use super::memory::Buffer;
use super::model::{GpuAdapter, GpuModel};
use super::ops::{self, Matrix, Spans, Weights};
use crate::model::config::Target;

/// The gradient at one adapted map: factor A sees (x, s_a), factor B (low, s_b), each gradient being s^T a.
pub struct LinearGradient<'a> {
    pub layer: usize,
    pub target: Target,
    pub x: Matrix<'a>,
    pub low: Matrix<'a>,
    pub s_a: Matrix<'a>,
    pub s_b: Matrix<'a>,
}

pub type Sink<'s> = dyn FnMut(LinearGradient) -> Result<()> + 's;

struct Back<'a> {
    model: &'a GpuModel,
    adapter: &'a GpuAdapter,
    spans: Spans,
    rows: usize,
    ldp: usize,
}

/// One map's input on the way there and gradient on the way back; `scaled` is the adapter's scale times `dy`.
struct Map<'a> {
    layer: usize,
    target: Target,
    x: Matrix<'a>,
    dy: Matrix<'a>,
    scaled: Matrix<'a>,
}

impl GpuModel {
    /// Walks back from d(hidden rows after the final norm) [rows, h] through an adapter's pass.
    pub fn backward(
        &self,
        adapter: &GpuAdapter,
        batch: &Batch,
        tape: &Tape,
        d_hidden: &Buffer<f32>,
        sink: &mut Sink,
    ) -> Result<()> {
        let (gpu, h, rows) = (&self.gpu, self.config.hidden, batch.rows);
        let back = Back { model: self, adapter, spans: batch.spans(gpu)?, rows, ldp: tape.ldp };
        let last = tape.last.as_ref().expect("a finished tape");
        let dx = gpu.zeros(rows * h)?;
        ops::rms_norm_backward(
            gpu,
            d_hidden.rows(h),
            last.x.rows(h),
            &self.final_norm,
            &last.inverse,
            dx.rows(h),
        )?;
        for (layer, kept) in tape.layers.iter().enumerate().rev() {
            back.block(layer, kept, &dx, sink)?;
        }
        Ok(())
    }
}

impl Back<'_> {
    fn scaled(&self, dy: &Buffer<f32>) -> Result<Buffer<f32>> {
        let out = self.model.gpu.empty(dy.len())?;
        ops::scale(&self.model.gpu, dy, &out, self.adapter.scale)?;
        Ok(out)
    }

    /// Reports the map's gradient; returns dx when somebody below needs it.
    fn linear(
        &self,
        map: &Map,
        kept: &LayerTape,
        need_dx: bool,
        sink: &mut Sink,
    ) -> Result<Option<Buffer<f32>>> {
        let (gpu, rows) = (&self.model.gpu, self.rows);
        let (_, inn) = self.model.config.linear_shape(map.target);
        let dx = if need_dx {
            let dx = gpu.empty(rows * inn)?;
            let w = self.model.linear(map.layer, map.target);
            ops::apply_backward(gpu, map.dy, w, dx.rows(inn))?;
            Some(dx)
        } else {
            None
        };
        if let Some([a, b]) = self.adapter.module(&self.model.config, map.layer, map.target) {
            let rank = self.adapter.rank;
            let s_a: Buffer<f32> = gpu.empty(rows * rank)?;
            ops::apply_backward(gpu, map.scaled, b, s_a.rows(rank))?;
            if let Some(dx) = &dx {
                let added = gpu.empty(rows * inn)?;
                ops::apply_backward(gpu, s_a.rows(rank), a, added.rows(inn))?;
                ops::add_into(gpu, dx, &added)?;
            }
            let low =
                kept.low[map.target as usize].as_ref().expect("an adapted map keeps its low rows");
            sink(LinearGradient {
                layer: map.layer,
                target: map.target,
                x: map.x,
                low: low.rows(rank),
                s_a: s_a.rows(rank),
                s_b: map.scaled,
            })?;
        }
        Ok(dx)
    }

    /// d(stream after layer) -> d(stream before it), in place.
    fn block(
        &self,
        layer: usize,
        kept: &LayerTape,
        dx: &Buffer<f32>,
        sink: &mut Sink,
    ) -> Result<()> {
        let model = self.model;
        let (gpu, c, heads, rows) = (&model.gpu, &model.config, model.heads(), self.rows);
        let (h, ffn, wide, kv) = (c.hidden, c.ffn, heads.query * heads.dim, heads.kv * heads.dim);
        let weights = &model.layers[layer];
        let needed = |dx: Option<Buffer<f32>>| dx.expect("asked for");

        let scaled = self.scaled(dx)?;
        let (x, dy, scaled) = (kept.activated.rows(ffn), dx.rows(h), scaled.rows(h));
        let map = Map { layer, target: Target::Down, x, dy, scaled };
        let d_activated = needed(self.linear(&map, kept, true, sink)?);
        let d_gate_up: Buffer<f32> = gpu.empty(rows * 2 * ffn)?;
        ops::swiglu_backward(
            gpu,
            kept.gate_up.rows(2 * ffn),
            d_activated.rows(ffn),
            d_gate_up.rows(2 * ffn),
        )?;
        let both = self.scaled(&d_gate_up)?;
        let side = |target, from| Map {
            layer,
            target,
            x: kept.mlp_in.rows(h),
            dy: d_gate_up.rows(2 * ffn).columns(from, ffn),
            scaled: both.rows(2 * ffn).columns(from, ffn),
        };
        let d_in = needed(self.linear(&side(Target::Gate, 0), kept, true, sink)?);
        let d_up = needed(self.linear(&side(Target::Up, ffn), kept, true, sink)?);
        ops::add_into(gpu, &d_in, &d_up)?;
        ops::rms_norm_backward(
            gpu,
            d_in.rows(h),
            kept.middle.rows(h),
            &weights.mlp_norm,
            &kept.mlp_inverse,
            dx.rows(h),
        )?;

        let scaled = self.scaled(dx)?;
        let (x, dy, scaled) = (kept.attention_out.rows(wide), dx.rows(h), scaled.rows(h));
        let map = Map { layer, target: Target::O, x, dy, scaled };
        let d_out = needed(self.linear(&map, kept, true, sink)?);
        let all = kept.qkv.rows(wide + 2 * kv);
        let (q, k, v) = (all.columns(0, wide), all.columns(wide, kv), all.columns(wide + kv, kv));
        let left = Weights { p: &kept.p, inverse: &kept.inverse, ldp: self.ldp };
        let ds = gpu.empty(heads.query * rows * self.ldp)?;
        let out = kept.attention_out.rows(wide);
        ops::attention_backward_scores(
            gpu,
            v,
            out,
            d_out.rows(wide),
            &left,
            &ds,
            &self.spans,
            heads,
        )?;
        let (dq, dk, dv) = (gpu.empty(rows * wide)?, gpu.empty(rows * kv)?, gpu.empty(rows * kv)?);
        ops::attention_backward_query(gpu, k, &ds, self.ldp, dq.rows(wide), &self.spans, heads)?;
        ops::attention_backward_keys(
            gpu,
            q,
            d_out.rows(wide),
            &left,
            &ds,
            dk.rows(kv),
            dv.rows(kv),
            &self.spans,
            heads,
        )?;
        self.turn_back(&dq, wide)?;
        self.turn_back(&dk, kv)?;
        // Below the first layer nobody listens.
        let need = layer > 0;
        let mut d_in: Option<Buffer<f32>> = None;
        for (target, dy, width) in
            [(Target::Q, &dq, wide), (Target::K, &dk, kv), (Target::V, &dv, kv)]
        {
            let scaled = self.scaled(dy)?;
            let (x, dy, scaled) = (kept.attention_in.rows(h), dy.rows(width), scaled.rows(width));
            let dx = self.linear(&Map { layer, target, x, dy, scaled }, kept, need, sink)?;
            match (&d_in, dx) {
                (Some(sum), Some(dx)) => ops::add_into(gpu, sum, &dx)?,
                (None, dx) => d_in = dx,
                _ => {}
            }
        }
        match d_in {
            Some(d_in) => ops::rms_norm_backward(
                gpu,
                d_in.rows(h),
                kept.x.rows(h),
                &weights.attention_norm,
                &kept.attention_inverse,
                dx.rows(h),
            ),
            None => Ok(()),
        }
    }

    /// The rotation's way back, every sequence from position 0.
    fn turn_back(&self, x: &Buffer<f32>, width: usize) -> Result<()> {
        ops::rope(&self.model.gpu, x.rows(width), &self.spans.positions, &self.model.rotation, -1.0)
    }
}
