//! The way back through a recorded forward pass. Gradients are handed out as they arise, last layer first;
//! who listens decides what to keep (all weights, LoRA factors, or per-sample sketches).

use super::config::Target;
use super::tape::{LayerTape, Tape};
use super::weights::Weights;
use crate::lora::Adapter;
use crate::memory::zeros;
use crate::ops::attention::attention_backward;
use crate::ops::elementwise::{add_into, silu_mul_backward};
use crate::ops::norm::{rms_norm_backward, rms_norm_weight_gradient};

/// The gradient at one linear map: dW = dy^T x. With LoRA on it, factor A sees (x, s_a) and factor B
/// (low, s_b), each gradient being s^T a; the slices are empty where there is no LoRA.
pub struct LinearGradient<'a> {
    pub layer: usize,
    pub target: Target,
    /// Tokens.
    pub rows: usize,
    pub x: &'a [f32],
    pub dy: &'a [f32],
    pub low: &'a [f32],
    pub s_a: Vec<f32>,
    pub s_b: Vec<f32>,
}

pub enum Gradient<'a> {
    Linear(LinearGradient<'a>),
    AttentionNorm {
        layer: usize,
        dw: Vec<f32>,
    },
    MlpNorm {
        layer: usize,
        dw: Vec<f32>,
    },
    FinalNorm {
        dw: Vec<f32>,
    },
    /// d(residual stream) at the embedding [T, h].
    Embedding {
        dx: Vec<f32>,
    },
}

/// What memory is for, in errors.
const ROWS: &str = "gradients of rows";

/// How far and how wide to go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Only what the adapter's factors need.
    Adapter,
    /// Every weight.
    All,
}

type Sink<'s> = dyn FnMut(Gradient) + 's;

struct Back<'a> {
    weights: &'a Weights,
    adapter: Option<&'a Adapter>,
    rows: usize,
    depth: Depth,
}

impl Back<'_> {
    /// Reports the map's gradient and returns dx (empty when nobody below needs it).
    #[allow(clippy::too_many_arguments)]
    fn linear(
        &self,
        layer: usize,
        target: Target,
        kept: &LayerTape,
        x: &[f32],
        dy: &[f32],
        need_dx: bool,
        sink: &mut Sink,
    ) -> Vec<f32> {
        let mut dx = if need_dx {
            self.weights.layers[layer].linear(target).apply_backward(dy, self.rows)
        } else {
            vec![]
        };
        let module = self.adapter.and_then(|a| a.module(layer, target));
        let (s_a, s_b) = match module {
            Some(module) => {
                module.backward(dy, self.rows, if need_dx { Some(&mut dx) } else { None })
            }
            None => (vec![], vec![]),
        };
        if self.depth == Depth::All || module.is_some() {
            let low = &kept.low[target as usize];
            sink(Gradient::Linear(LinearGradient {
                layer,
                target,
                rows: self.rows,
                x,
                dy,
                low,
                s_a,
                s_b,
            }));
        }
        dx
    }

    fn norm_weight(&self, dy: &[f32], x: &[f32], inverse: &[f32]) -> Vec<f32> {
        let mut dw = vec![0.0; self.weights.config.hidden];
        rms_norm_weight_gradient(dy, x, inverse, &mut dw);
        dw
    }

    /// d(stream after layer) -> d(stream before it), in place.
    fn block(&self, layer: usize, kept: &LayerTape, dx: &mut [f32], sink: &mut Sink) {
        let weights = &self.weights.layers[layer];
        let all = self.depth == Depth::All;
        let d_activated = self.linear(layer, Target::Down, kept, &kept.activated, dx, true, sink);
        let (mut d_gate, mut d_up) =
            (zeros(ROWS, d_activated.len()), zeros(ROWS, d_activated.len()));
        silu_mul_backward(&kept.gate, &kept.up, &d_activated, &mut d_gate, &mut d_up);
        let mut d_in = self.linear(layer, Target::Gate, kept, &kept.mlp_in, &d_gate, true, sink);
        add_into(&mut d_in, &self.linear(layer, Target::Up, kept, &kept.mlp_in, &d_up, true, sink));
        if all {
            sink(Gradient::MlpNorm {
                layer,
                dw: self.norm_weight(&d_in, &kept.middle, &kept.mlp_inverse),
            });
        }
        rms_norm_backward(&d_in, &kept.middle, &weights.mlp_norm, &kept.mlp_inverse, dx);

        let d_out = self.linear(layer, Target::O, kept, &kept.attention_out, dx, true, sink);
        let heads = self.weights.heads();
        let (mut dq, mut dk, dv) = attention_backward(
            heads,
            &kept.q,
            &kept.k,
            &kept.v,
            &kept.attention_out,
            &kept.heads,
            &d_out,
        );
        self.weights.rope.apply_inverse(&mut dq, heads.query, 0);
        self.weights.rope.apply_inverse(&mut dk, heads.kv, 0);
        // Below the first layer only the embedding listens.
        let need = all || layer > 0;
        let mut d_in = self.linear(layer, Target::Q, kept, &kept.attention_in, &dq, need, sink);
        add_into(
            &mut d_in,
            &self.linear(layer, Target::K, kept, &kept.attention_in, &dk, need, sink),
        );
        add_into(
            &mut d_in,
            &self.linear(layer, Target::V, kept, &kept.attention_in, &dv, need, sink),
        );
        if !need {
            return;
        }
        if all {
            let dw = self.norm_weight(&d_in, &kept.x, &kept.attention_inverse);
            sink(Gradient::AttentionNorm { layer, dw });
        }
        rms_norm_backward(&d_in, &kept.x, &weights.attention_norm, &kept.attention_inverse, dx);
    }
}

impl Weights {
    /// Walks back from d(hidden rows after the final norm) [T, h].
    pub fn backward(
        &self,
        adapter: Option<&Adapter>,
        tape: &Tape,
        d_hidden: &[f32],
        depth: Depth,
        sink: &mut Sink,
    ) {
        let rows = tape.inverse.len();
        let back = Back { weights: self, adapter, rows, depth };
        if depth == Depth::All {
            sink(Gradient::FinalNorm { dw: back.norm_weight(d_hidden, &tape.x, &tape.inverse) });
        }
        let mut dx = zeros(ROWS, rows * self.config.hidden);
        rms_norm_backward(d_hidden, &tape.x, &self.final_norm, &tape.inverse, &mut dx);
        for (layer, kept) in tape.layers.iter().enumerate().rev() {
            back.block(layer, kept, &mut dx, sink);
        }
        if depth == Depth::All {
            sink(Gradient::Embedding { dx });
        }
    }
}
