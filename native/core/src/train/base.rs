//! Pre-training of a base model from one stream of tokens: every weight moves. Made for models of
//! a few million parameters, such as the embedded base.

use super::Progress;
use super::lora::{check_finite, check_optimizer, check_rates, outer};
use super::optimizer::{Optimizer, OptimizerKind, length};
use super::schedule::Curve;
use crate::gradients::{Sample, sample_gradient};
use crate::math::philox::{Stream, permutation, uniform, word};
use crate::model::backward::{Depth, Gradient};
use crate::model::config::{LlamaConfig, Target};
use crate::model::forward::check_tokens;
use crate::model::weights::{Precision, Weights};
use crate::ops::elementwise::{add_into, scale};
use crate::ops::rope::RopeTable;
use crate::{Result, bail};
use rayon::prelude::*;
use std::convert::Infallible;
use std::sync::Arc;

/// Parameters a pre-training run may have: gradients are kept per sample of a batch.
pub const PARAMETERS_MAX: usize = 64 << 20;

#[derive(Clone, Debug, PartialEq)]
pub struct BaseConfig {
    pub model: LlamaConfig,
    /// Inputs per window; a window holds one token more.
    pub window: usize,
    pub batch: usize,
    pub steps: usize,
    pub learning_rate: f64,
    pub learning_rate_floor: f64,
    pub warmup_steps: usize,
    pub weight_decay: f64,
    pub clip: f64,
    pub optimizer: OptimizerKind,
    pub seed: u64,
}

/// Where each tensor lies in the flat parameters: the order of `Weights::tensors`.
struct Layout {
    config: LlamaConfig,
    layer_size: usize,
    embedding: usize,
}

impl Layout {
    fn new(config: &LlamaConfig) -> Self {
        let linear: usize = Target::ALL.iter().map(|t| size(config, *t)).sum();
        Self {
            config: config.clone(),
            layer_size: linear + 2 * config.hidden,
            embedding: config.vocab * config.hidden,
        }
    }

    fn linear(&self, layer: usize, target: Target) -> std::ops::Range<usize> {
        let before: usize =
            Target::ALL.iter().filter(|t| **t < target).map(|t| size(&self.config, *t)).sum();
        let start = self.embedding + layer * self.layer_size + before;
        start..start + size(&self.config, target)
    }

    /// 0: attention norm, 1: MLP norm.
    fn norm(&self, layer: usize, which: usize) -> std::ops::Range<usize> {
        let end = self.embedding + (layer + 1) * self.layer_size;
        let start = end - (2 - which) * self.config.hidden;
        start..start + self.config.hidden
    }

    fn final_norm(&self) -> std::ops::Range<usize> {
        let start = self.embedding + self.config.layers * self.layer_size;
        start..start + self.config.hidden
    }

    fn head(&self) -> std::ops::Range<usize> {
        if self.config.tied {
            0..self.embedding
        } else {
            let start = self.final_norm().end;
            start..start + self.embedding
        }
    }

    /// (end, weight decay) in order: matrices decay, norms do not.
    fn segments(&self, decay: f64) -> Vec<(usize, f64)> {
        let mut all = vec![(self.embedding, decay)];
        for layer in 0..self.config.layers {
            all.push((self.norm(layer, 0).start, decay));
            all.push((self.norm(layer, 1).end, 0.0));
        }
        all.push((self.final_norm().end, 0.0));
        if !self.config.tied {
            all.push((self.head().end, decay));
        }
        all
    }
}

fn size(config: &LlamaConfig, target: Target) -> usize {
    let (out, inn) = config.linear_shape(target);
    out * inn
}

/// Weights at the start: uniform of standard deviation 0.02 by the counter PRNG, the maps back into
/// the residual stream divided by sqrt(2 layers), norms one.
pub fn initial_parameters(config: &LlamaConfig, seed: u64) -> Vec<f32> {
    let mut flat = Vec::with_capacity(config.parameters());
    let mut lane = 0;
    let wide = 0.02 * 3f32.sqrt();
    let narrow = wide / (2.0 * config.layers as f32).sqrt();
    let asked: std::result::Result<Weights, Infallible> =
        Weights::build(config.clone(), |name, shape| {
            let n = shape.iter().product::<usize>() as u64;
            let inward = name.contains("o_proj") || name.contains("down_proj");
            let bound = if inward { narrow } else { wide };
            let values: Vec<f32> = if name.contains("norm") {
                vec![1.0; n as usize]
            } else {
                let draw = |i| bound * (2.0 * uniform(seed, Stream::BaseInit, lane, i) - 1.0);
                (0..n).map(draw).collect()
            };
            lane += 1;
            flat.extend_from_slice(&values);
            Ok(values)
        });
    drop(asked);
    flat
}

fn weights_from(config: &LlamaConfig, rope: &Arc<RopeTable>, flat: &[f32]) -> Weights {
    let mut at = 0;
    let built: std::result::Result<_, Infallible> =
        Weights::build_with(Precision::F32, config.clone(), rope.clone(), |_, shape| {
            let n = shape.iter().product::<usize>();
            at += n;
            Ok(flat[at - n..at].to_vec())
        });
    built.unwrap_or_else(|never| match never {})
}

/// Token-summed loss and gradient of one window over all parameters.
fn full_gradient(weights: &Weights, layout: &Layout, sample: &Sample) -> (f64, Vec<f32>) {
    let config = &weights.config;
    let h = config.hidden;
    let mut flat = vec![0.0; config.parameters()];
    let mut head = vec![0.0; layout.embedding];
    let labels = |position: usize, _: &[f32]| sample.tokens[position] as usize;
    let mut head_sink = |g: crate::gradients::HeadGradient| {
        let rows = g.hidden.len() / h;
        outer(g.d_logits, g.hidden, rows, config.vocab, h, &mut head);
    };
    let mut sink = |gradient: Gradient| match gradient {
        Gradient::Linear(g) => {
            let (out, inn) = config.linear_shape(g.target);
            outer(g.dy, g.x, g.rows, out, inn, &mut flat[layout.linear(g.layer, g.target)]);
        }
        Gradient::AttentionNorm { layer, dw } => {
            flat[layout.norm(layer, 0)].copy_from_slice(&dw);
        }
        Gradient::MlpNorm { layer, dw } => flat[layout.norm(layer, 1)].copy_from_slice(&dw),
        Gradient::FinalNorm { dw } => flat[layout.final_norm()].copy_from_slice(&dw),
        Gradient::Embedding { dx } => {
            for (row, token) in dx.chunks_exact(h).zip(&sample.tokens) {
                let at = *token as usize * h;
                add_into(&mut flat[at..at + h], row);
            }
        }
    };
    let loss =
        sample_gradient(weights, None, sample, Depth::All, &labels, &mut head_sink, &mut sink);
    add_into(&mut flat[layout.head()], &head);
    (loss, flat)
}

/// Start of every window of the run: each pass over the stream is shifted by a drawn offset, its
/// windows taken in a drawn order.
fn window_starts(length: usize, config: &BaseConfig) -> Vec<usize> {
    let mut starts = Vec::with_capacity(config.steps * config.batch);
    let mut pass = 0u32;
    while starts.len() < config.steps * config.batch {
        let room = (length - config.window - 1).min(config.window - 1) as u64 + 1;
        let draw = u64::from(word(config.seed, Stream::DataOrder, pass, u64::MAX));
        let shift = ((draw * room) >> 32) as usize;
        let windows = (length - shift - 1) / config.window;
        let order = permutation(config.seed, pass, windows);
        starts.extend(order.into_iter().map(|w| shift + w * config.window));
        pass += 1;
    }
    starts
}

/// Trains a base model from scratch.
pub fn train_base(
    stream: &[u32],
    config: &BaseConfig,
    progress: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<Weights> {
    let model = &config.model;
    if config.window < 2
        || config.window > model.max_positions
        || config.batch == 0
        || config.steps == 0
    {
        bail!(
            BadInput,
            "window {} must be 2..={}, batch and steps at least 1",
            config.window,
            model.max_positions
        );
    }
    if stream.len() < config.window + 2 {
        bail!(BadInput, "{} tokens cannot fill a window of {}", stream.len(), config.window);
    }
    if model.parameters() > PARAMETERS_MAX {
        bail!(BadInput, "{} parameters, at most {PARAMETERS_MAX}", model.parameters());
    }
    check_rates(
        config.learning_rate,
        config.learning_rate_floor,
        config.weight_decay,
        config.clip,
    )?;
    check_optimizer(config.optimizer)?;
    for part in stream.chunks(model.max_positions) {
        check_tokens(model, part, model.max_positions)?;
    }
    let layout = Layout::new(model);
    let rope = Arc::new(RopeTable::new(model.max_positions, model.head_dim, model.rope_theta));
    let mut flat = initial_parameters(model, config.seed);
    let mut optimizer = Optimizer::new(config.optimizer, flat.len());
    let curve = Curve {
        peak: config.learning_rate,
        floor: config.learning_rate_floor,
        warmup: config.warmup_steps.min(config.steps),
        steps: config.steps,
    };
    let segments = layout.segments(config.weight_decay);
    let starts = window_starts(stream.len(), config);
    for (step, batch) in starts.chunks_exact(config.batch).take(config.steps).enumerate() {
        let weights = weights_from(model, &rope, &flat);
        let parts: Vec<(f64, Vec<f32>)> = batch
            .par_iter()
            .map(|at| {
                let tokens = stream[*at..*at + config.window + 1].to_vec();
                full_gradient(&weights, &layout, &Sample { tokens, loss_from: 1 })
            })
            .collect();
        let mut loss = 0.0;
        let mut gradient = vec![0.0; flat.len()];
        for (part, g) in &parts {
            loss += part;
            add_into(&mut gradient, g);
        }
        let targets = config.batch * config.window;
        scale(&mut gradient, 1.0 / targets as f32);
        let norm = length(&gradient);
        check_finite(step + 1, loss, norm)?;
        if config.clip > 0.0 && norm > config.clip {
            scale(&mut gradient, (config.clip / norm) as f32);
        }
        let rate = curve.at(step);
        optimizer.step(&mut flat, &gradient, rate, &segments);
        let report = Progress {
            step: step + 1,
            steps: config.steps,
            loss: loss / targets as f64,
            learning_rate: rate,
            gradient_norm: norm,
            tokens: ((step + 1) * targets) as u64,
            evaluation: None,
        };
        if !progress(report) {
            bail!(Cancelled, "training was cancelled after step {} of {}", step + 1, config.steps);
        }
    }
    Ok(weights_from(model, &rope, &flat))
}

#[cfg(test)]
pub(super) fn gradient_of(weights: &Weights, sample: &Sample) -> (f64, Vec<f32>) {
    full_gradient(weights, &Layout::new(&weights.config), sample)
}

#[cfg(test)]
pub(super) fn rebuild(weights: &Weights, flat: &[f32]) -> Weights {
    weights_from(&weights.config, &weights.rope, flat)
}
