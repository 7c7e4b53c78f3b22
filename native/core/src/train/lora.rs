//! LoRA fine-tuning: the base is frozen, only the factors move.

use super::Progress;
use super::optimizer::{Optimizer, OptimizerKind, length};
use super::schedule::{Curve, batches};
use crate::gemm::{BLOCK, MatRef, Packed, gemm};
use crate::gradients::{Sample, check_samples, sample_gradient};
use crate::lora::{Adapter, LoraConfig};
use crate::model::backward::{Depth, Gradient, LinearGradient};
use crate::model::weights::Weights;
use crate::ops::elementwise::{add_into, scale};
use crate::{Result, bail};
use rayon::prelude::*;

pub const BATCH_MAX: usize = 1024;
pub const STEPS_MAX: usize = 10_000_000;

#[derive(Clone, Debug, PartialEq)]
pub struct TrainConfig {
    pub lora: LoraConfig,
    pub epochs: usize,
    pub batch: usize,
    pub learning_rate: f64,
    /// The cosine ends here.
    pub learning_rate_floor: f64,
    pub warmup_steps: usize,
    pub weight_decay: f64,
    /// Longest gradient; longer ones are scaled down to it. 0: no clipping.
    pub clip: f64,
    pub optimizer: OptimizerKind,
    pub seed: u64,
}

impl TrainConfig {
    pub fn check(&self, samples: usize) -> Result<usize> {
        if self.epochs == 0 || self.batch == 0 || self.batch > BATCH_MAX {
            bail!(
                BadInput,
                "epochs {} must be >= 1, batch {} in 1..={BATCH_MAX}",
                self.epochs,
                self.batch
            );
        }
        let steps = samples.div_ceil(self.batch).saturating_mul(self.epochs);
        if steps > STEPS_MAX {
            bail!(BadInput, "{steps} steps, at most {STEPS_MAX}");
        }
        check_rates(self.learning_rate, self.learning_rate_floor, self.weight_decay, self.clip)?;
        check_optimizer(self.optimizer)?;
        Ok(steps)
    }
}

pub fn check_rates(peak: f64, floor: f64, decay: f64, clip: f64) -> Result<()> {
    if !(peak.is_finite() && peak > 0.0 && floor >= 0.0 && floor <= peak) {
        bail!(BadInput, "learning rate {peak} must be > 0, its floor {floor} in 0..=rate");
    }
    if !((0.0..=10.0).contains(&decay) && (0.0..=1e6).contains(&clip)) {
        bail!(BadInput, "weight decay {decay} must be in 0..=10, clip {clip} in 0..=1e6");
    }
    Ok(())
}

pub fn check_optimizer(kind: OptimizerKind) -> Result<()> {
    if let OptimizerKind::AdamW { beta1, beta2, eps } = kind
        && !((0.0..1.0).contains(&beta1) && (0.0..1.0).contains(&beta2) && eps > 0.0 && eps < 1.0)
    {
        bail!(
            BadInput,
            "AdamW beta1 {beta1}, beta2 {beta2} must be in [0, 1), eps {eps} in (0, 1)"
        );
    }
    Ok(())
}

/// s^T a, [out, in], for `rows` tokens: the gradient of one factor or weight.
pub fn outer(s: &[f32], a: &[f32], rows: usize, out_dim: usize, in_dim: usize, to: &mut [f32]) {
    let panels = Packed::from_rows(a, rows, in_dim);
    gemm(MatRef::transposed(s, out_dim), out_dim, panels.view(), to, in_dim, BLOCK);
}

/// Adds nothing, writes both factors' gradients of one map into its module's slice.
fn factor_gradients(adapter: &Adapter, g: &LinearGradient, to: &mut [f32]) {
    let rank = adapter.config.rank;
    let inn = g.x.len() / g.rows;
    let out = g.dy.len() / g.rows;
    let (a, b) = to.split_at_mut(rank * inn);
    outer(&g.s_a, g.x, g.rows, rank, inn, a);
    outer(&g.s_b, g.low, g.rows, out, rank, b);
}

/// Start of each module's parameters in the flat order, and the end.
pub fn module_offsets(adapter: &Adapter) -> Vec<usize> {
    let rank = adapter.config.rank;
    let mut offsets = vec![0];
    for m in adapter.modules() {
        offsets.push(offsets[offsets.len() - 1] + rank * (m.in_dim() + m.out_dim()));
    }
    offsets
}

/// Loss and flat LoRA gradient of one sample (token-summed).
pub fn lora_gradient(weights: &Weights, adapter: &Adapter, sample: &Sample) -> (f64, Vec<f32>) {
    let offsets = module_offsets(adapter);
    let mut flat = vec![0.0; offsets[offsets.len() - 1]];
    let labels = |position: usize, _: &[f32]| sample.tokens[position] as usize;
    let mut sink = |gradient: Gradient| {
        if let Gradient::Linear(g) = gradient
            && let Some(at) = adapter.module_index(g.layer, g.target)
        {
            factor_gradients(adapter, &g, &mut flat[offsets[at]..offsets[at + 1]]);
        }
    };
    let loss = sample_gradient(
        weights,
        Some(adapter),
        sample,
        Depth::Adapter,
        &labels,
        &mut |_| {},
        &mut sink,
    );
    (loss, flat)
}

/// Fails when the run has left the finite range.
pub fn check_finite(step: usize, loss: f64, norm: f64) -> Result<()> {
    if !(loss.is_finite() && norm.is_finite()) {
        bail!(
            Diverged,
            "step {step}: loss {loss}, gradient length {norm}; lower the learning rate"
        );
    }
    Ok(())
}

/// Trains an adapter. `progress` is called after every step and stops the run by returning false.
pub fn train_lora(
    weights: &Weights,
    samples: &[Sample],
    config: &TrainConfig,
    progress: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<Adapter> {
    check_samples(weights, samples)?;
    let steps = config.check(samples.len())?;
    let model = &weights.config;
    let mut flat = Adapter::initial_parameters(model, &config.lora, config.seed);
    let mut optimizer = Optimizer::new(config.optimizer, flat.len());
    let curve = Curve {
        peak: config.learning_rate,
        floor: config.learning_rate_floor,
        warmup: config.warmup_steps.min(steps),
        steps,
    };
    let mut tokens = 0;
    let plan = batches(samples.len(), config.batch, config.epochs, config.seed);
    for (step, batch) in plan.into_iter().enumerate() {
        let adapter = Adapter::from_parameters(model, &config.lora, &flat);
        let parts: Vec<(f64, Vec<f32>)> =
            batch.par_iter().map(|i| lora_gradient(weights, &adapter, &samples[*i])).collect();
        let mut loss = 0.0;
        let mut gradient = vec![0.0; flat.len()];
        for (part, g) in &parts {
            loss += part;
            add_into(&mut gradient, g);
        }
        let targets: usize = batch.iter().map(|i| samples[*i].targets()).sum();
        scale(&mut gradient, 1.0 / targets as f32);
        let norm = length(&gradient);
        check_finite(step + 1, loss, norm)?;
        if config.clip > 0.0 && norm > config.clip {
            scale(&mut gradient, (config.clip / norm) as f32);
        }
        let rate = curve.at(step);
        let end = flat.len();
        optimizer.step(&mut flat, &gradient, rate, &[(end, config.weight_decay)]);
        tokens += batch.iter().map(|i| samples[*i].tokens.len() as u64).sum::<u64>();
        let report = Progress {
            step: step + 1,
            steps,
            loss: loss / targets as f64,
            learning_rate: rate,
            gradient_norm: norm,
            tokens,
        };
        if !progress(report) {
            bail!(Cancelled, "training was cancelled after step {} of {steps}", step + 1);
        }
    }
    Ok(Adapter::from_parameters(model, &config.lora, &flat))
}
