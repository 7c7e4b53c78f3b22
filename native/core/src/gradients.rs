//! Per-sample gradients: token-summed cross-entropy of one sample, walked back to whoever listens. Training,
//! the attribution index and the query sketch all come through here.

use crate::attribution::sketch::{quantise_query, sketch_query};
use crate::attribution::source::{FactorShape, GradientSink, GradientSource, Labels};
use crate::attribution::{AttributionError, AttributionIndex, Ensemble};
use crate::cuda::samples::{LabelSource, Runner};
use crate::cuda::sketch::GpuIndex;
use crate::cuda::{DeviceError, GpuModel, Resident, adapter_on};
use crate::lora::Adapter;
use crate::math::philox::{Stream, uniform};
use crate::memory::{afford, copy, zeros};
use crate::model::backward::{Depth, Gradient};
use crate::model::forward::{KvCache, check_tokens};
use crate::model::tape::Tape;
use crate::model::weights::Weights;
use crate::ops::loss::{cross_entropy, cross_entropy_gradient, draw};
use crate::{EngineError, ErrorCode, Result, bail};
use rayon::prelude::*;
use std::sync::Arc;

/// Longest training sample, in tokens: the tape keeps heads * T^2 numbers per layer.
pub const SAMPLE_TOKENS_MAX: usize = 2048;
/// Rows of logits held at once where nobody needs them all.
const LOGIT_ROWS: usize = 64;

/// Tokens of which those from `loss_from` on are targets (each predicted from all before it).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub tokens: Vec<u32>,
    pub loss_from: usize,
}

impl Sample {
    pub fn targets(&self) -> usize {
        self.tokens.len() - self.loss_from
    }
}

/// Fails, naming the sample, unless every one can be run on the model.
pub fn check_samples(weights: &Weights, samples: &[Sample]) -> Result<()> {
    if samples.is_empty() {
        bail!(BadInput, "there are no samples");
    }
    for (i, sample) in samples.iter().enumerate() {
        if let Err(e) = check_tokens(&weights.config, &sample.tokens, SAMPLE_TOKENS_MAX) {
            bail!(BadInput, "sample {i}: {e}");
        }
        if sample.loss_from == 0 || sample.loss_from >= sample.tokens.len() {
            bail!(
                BadInput,
                "sample {i}: lossFrom is {}, must be 1..{} so that a target has a token before it",
                sample.loss_from,
                sample.tokens.len()
            );
        }
    }
    Ok(())
}

/// Makes sure that the ways back of `together` of the samples, one a thread, can be held at once. On a card they are
/// its business.
pub fn afford_tapes(weights: &Weights, samples: &[Sample], together: usize) -> Result<()> {
    let longest = samples.iter().map(|sample| sample.tokens.len()).max().unwrap_or(0);
    let tapes = together.min(samples.len()).min(crate::pool::threads());
    if weights.on_gpu.get().is_some() {
        return Ok(());
    }
    let what = format!("{tapes} samples of {longest} tokens on their way back");
    afford(&what, tape_bytes(weights, longest).and_then(|bytes| bytes.checked_mul(tapes)))
}

/// The tape of a sample, and a layer's gradients while it is walked back.
fn tape_bytes(weights: &Weights, tokens: usize) -> Option<usize> {
    let c = &weights.config;
    let row = 5 * c.hidden + 3 * c.ffn + 2 * (c.heads + c.kv_heads) * c.head_dim;
    let layer = (row + c.heads * tokens).checked_mul(tokens)?;
    let logits = LOGIT_ROWS * c.vocab;
    layer.checked_mul(c.layers + 1)?.checked_add(logits)?.checked_mul(4)
}

/// Token-summed cross-entropy of every sample, no gradient: on the card while that works.
pub fn sample_losses(weights: &Weights, adapter: Option<&Adapter>, samples: &[Sample]) -> Vec<f64> {
    if let Some(model) = weights.on_gpu.get() {
        let all: Vec<&Sample> = samples.iter().collect();
        let losses = adapter_on(&model, adapter)
            .and_then(|adapter| Runner::new(model, adapter)?.losses(&all));
        match losses {
            Ok(losses) => return losses,
            Err(e) => weights.leave_gpu(e),
        }
    }
    samples.par_iter().map(|s| sample_loss(weights, adapter, s)).collect()
}

/// Token-summed cross-entropy of a sample, no gradient.
pub fn sample_loss(weights: &Weights, adapter: Option<&Adapter>, sample: &Sample) -> f64 {
    let h = weights.config.hidden;
    let inputs = &sample.tokens[..sample.tokens.len() - 1];
    let mut cache = KvCache::new(weights, inputs.len());
    let hidden = weights.forward(adapter, inputs, &mut cache, None);
    let mut scratch = Vec::new();
    let mut loss = 0.0;
    let first = sample.loss_from - 1;
    for from in (first..inputs.len()).step_by(LOGIT_ROWS) {
        let to = (from + LOGIT_ROWS).min(inputs.len());
        let logits = weights.logits(&hidden[from * h..to * h]);
        for (row, label) in
            logits.chunks_exact(weights.config.vocab).zip(&sample.tokens[from + 1..])
        {
            loss += f64::from(cross_entropy(row, *label as usize, &mut scratch));
        }
    }
    loss
}

/// What the head contributes when all weights are trained: d(logits) [rows, vocab] against the
/// hidden rows from `first_row` on.
pub struct HeadGradient<'a> {
    pub d_logits: &'a [f32],
    pub hidden: &'a [f32],
}

/// Forward and back for one sample. `choose(position, probabilities)` names the label of the target at
/// that position. Returns the token-summed loss against those labels.
pub fn sample_gradient(
    weights: &Weights,
    adapter: Option<&Adapter>,
    sample: &Sample,
    depth: Depth,
    choose: &dyn Fn(usize, &[f32]) -> usize,
    head: &mut dyn FnMut(HeadGradient),
    sink: &mut dyn FnMut(Gradient),
) -> f64 {
    let (h, vocab) = (weights.config.hidden, weights.config.vocab);
    let inputs = &sample.tokens[..sample.tokens.len() - 1];
    let mut cache = KvCache::new(weights, inputs.len());
    let mut tape = Tape::default();
    let hidden = weights.forward(adapter, inputs, &mut cache, Some(&mut tape));
    drop(cache);
    let mut d_hidden = zeros("gradients of rows", hidden.len());
    let mut loss = 0.0;
    let first = sample.loss_from - 1;
    let step = if depth == Depth::All { inputs.len() } else { LOGIT_ROWS };
    for from in (first..inputs.len()).step_by(step) {
        let to = (from + step).min(inputs.len());
        let rows = &hidden[from * h..to * h];
        let mut logits = weights.logits(rows);
        for (r, row) in logits.chunks_exact_mut(vocab).enumerate() {
            let position = from + r + 1;
            loss += f64::from(cross_entropy_gradient(row, |p| choose(position, p)));
        }
        d_hidden[from * h..to * h]
            .copy_from_slice(&weights.head().apply_backward(&logits, to - from));
        if depth == Depth::All {
            head(HeadGradient { d_logits: &logits, hidden: rows });
        }
    }
    weights.backward(adapter, &tape, &d_hidden, depth, sink);
    loss
}

/// The samples of an adapter as attribution sees them.
pub struct LoraGradients<'a> {
    weights: &'a Weights,
    adapter: &'a Adapter,
    samples: &'a [Sample],
    factors: Vec<FactorShape>,
}

impl<'a> LoraGradients<'a> {
    pub fn new(weights: &'a Weights, adapter: &'a Adapter, samples: &'a [Sample]) -> Result<Self> {
        adapter.check_fits(&weights.config)?;
        check_samples(weights, samples)?;
        afford_tapes(weights, samples, samples.len())?;
        let rank = adapter.config.rank;
        let factors = adapter
            .modules()
            .iter()
            .flat_map(|m| {
                [
                    FactorShape { out_dim: rank, in_dim: m.in_dim() },
                    FactorShape { out_dim: m.out_dim(), in_dim: rank },
                ]
            })
            .collect();
        Ok(Self { weights, adapter, samples, factors })
    }
}

/// What memory is for, in errors.
const KEPT: &str = "activations of an adapter's modules";

/// Activations and output gradients of one module, kept until all modules are there.
#[derive(Clone, Default)]
struct Kept {
    rows: usize,
    x: Vec<f32>,
    low: Vec<f32>,
    s_a: Vec<f32>,
    s_b: Vec<f32>,
}

impl GradientSource for LoraGradients<'_> {
    fn factors(&self) -> &[FactorShape] {
        &self.factors
    }

    fn sample_count(&self) -> usize {
        self.samples.len()
    }

    fn visit(&self, sample: usize, labels: Labels, sink: &mut GradientSink<'_>) {
        let tokens = &self.samples[sample].tokens;
        let choose = |position: usize, probabilities: &[f32]| match labels {
            Labels::Data => tokens[position] as usize,
            Labels::Sampled { .. } => draw(probabilities, label_number(labels, sample, position)),
        };
        let mut kept = vec![Kept::default(); self.adapter.modules().len()];
        if let Some(model) = self.weights.on_gpu.get() {
            match self.visit_on(model, sample, labels) {
                Ok(kept) => return hand_over(&kept, sink),
                Err(e) => self.weights.leave_gpu(e),
            }
        }
        sample_gradient(
            self.weights,
            Some(self.adapter),
            &self.samples[sample],
            Depth::Adapter,
            &choose,
            &mut |_| {},
            &mut |gradient| {
                if let Gradient::Linear(g) = gradient
                    && let Some(at) = self.adapter.module_index(g.layer, g.target)
                {
                    let (x, low) = (copy(KEPT, g.x), copy(KEPT, g.low));
                    kept[at] = Kept { rows: g.rows, x, low, s_a: g.s_a, s_b: g.s_b };
                }
            },
        );
        hand_over(&kept, sink);
    }
}

/// Samples as the checkpoints of one run see them, one after the other.
pub fn checkpoint_gradients<'a>(
    weights: &'a Weights,
    adapters: &'a [Arc<Adapter>],
    samples: &'a [Sample],
) -> Result<Ensemble<LoraGradients<'a>>> {
    let members: Result<Vec<_>> =
        adapters.iter().map(|a| LoraGradients::new(weights, a, samples)).collect();
    Ensemble::new(members?).map_err(|e| EngineError::new(ErrorCode::BadInput, e.to_string()))
}

/// The int8 sketches of every sample by an index over one checkpoint or several: one alone in one batch on a card
/// while that works; `copy` keeps the index there.
pub fn sketch_samples(
    index: &AttributionIndex,
    copy: &Resident<GpuIndex>,
    weights: &Weights,
    adapters: &[Arc<Adapter>],
    samples: &[Sample],
) -> Result<Vec<Vec<i8>>, AttributionError> {
    let source = checkpoint_gradients(weights, adapters, samples)
        .map_err(|e| AttributionError::InvalidArgument(e.to_string()))?;
    index.check_factors(source.factors())?;
    if let ([adapter], Some(model)) = (adapters, weights.on_gpu.get()) {
        match sketch_on(index, copy, model, adapter, samples) {
            Ok(values) if values.iter().all(|x| x.is_finite()) => {
                return Ok(values.chunks_exact(index.k()).map(quantise_query).collect());
            }
            // The CPU says which sample has left the finite range.
            Ok(_) => {}
            Err(e) => weights.leave_gpu(e),
        }
    }
    (0..samples.len()).into_par_iter().map(|i| sketch_query(index, &source, i)).collect()
}

fn sketch_on(
    index: &AttributionIndex,
    copy: &Resident<GpuIndex>,
    model: Arc<GpuModel>,
    adapter: &Adapter,
    samples: &[Sample],
) -> Result<Vec<f32>, DeviceError> {
    let gpu = model.gpu.clone();
    let resident = match copy.get() {
        Some(resident) if Arc::ptr_eq(&resident.gpu, &gpu) => resident,
        _ => {
            let made = Arc::new(GpuIndex::upload(&gpu, index)?);
            copy.set(Some(made.clone()));
            made
        }
    };
    let runner = Runner::new(model.clone(), adapter_on(&model, Some(adapter))?)?;
    resident.values(&runner, &samples.iter().collect::<Vec<_>>())
}

fn hand_over(kept: &[Kept], sink: &mut GradientSink<'_>) {
    for (at, k) in kept.iter().enumerate() {
        sink(2 * at, k.rows, &k.x, &k.s_a);
        sink(2 * at + 1, k.rows, &k.low, &k.s_b);
    }
}

impl LoraGradients<'_> {
    /// The same walk on a card.
    fn visit_on(
        &self,
        model: Arc<GpuModel>,
        sample: usize,
        labels: Labels,
    ) -> Result<Vec<Kept>, DeviceError> {
        let runner = Runner::new(model.clone(), adapter_on(&model, Some(self.adapter))?)?;
        let drawn = |_: usize, position: usize| label_number(labels, sample, position);
        let source = match labels {
            Labels::Data => LabelSource::Data,
            Labels::Sampled { .. } => LabelSource::Drawn(&drawn),
        };
        let mut kept = vec![Kept::default(); self.adapter.modules().len()];
        runner.gradients(&[&self.samples[sample]], source, &mut |batch, g| {
            if let Some(at) = self.adapter.module_index(g.layer, g.target) {
                let (x, low) = (g.x.to_vec()?, g.low.to_vec()?);
                let (s_a, s_b) = (g.s_a.to_vec()?, g.s_b.to_vec()?);
                kept[at] = Kept { rows: batch.rows, x, low, s_a, s_b };
            }
            Ok(())
        })?;
        Ok(kept)
    }
}

/// The number in [0, 1) that draws the label of (sample, position).
fn label_number(labels: Labels, sample: usize, position: usize) -> f32 {
    match labels {
        Labels::Data => 0.0,
        Labels::Sampled { seed, draw: lane } => {
            let index = ((sample as u64) << 32) | position as u64;
            uniform(seed, Stream::FisherLabels, lane, index)
        }
    }
}
