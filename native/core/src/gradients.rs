//! Per-sample gradients: token-summed cross-entropy of one sample, walked back to whoever listens. Training,
//! the attribution index and the query sketch all come through here.

use crate::attribution::sketch::{quantise_query, sketch_query};
use crate::attribution::source::{ChoiceSink, FactorShape, GradientSink, GradientSource, Labels};
use crate::attribution::{AttributionError, AttributionIndex, Ensemble};
use crate::cuda::samples::{LabelSource, Runner};
use crate::cuda::sketch::GpuIndex;
use crate::cuda::{DeviceError, GpuModel, Resident, adapter_on};
use crate::lora::{Adapter, LoraModule};
use crate::math::philox::{Stream, uniform};
use crate::memory::{afford, zeros};
use crate::model::backward::{Depth, Gradient};
use crate::model::forward::{KvCache, check_tokens};
use crate::model::tape::Tape;
use crate::model::weights::Weights;
use crate::ops::loss::{cross_entropy, draw, softmax};
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

/// Names the label of the target at a position after seeing the model's probabilities there.
type Choose<'a> = dyn Fn(usize, &[f32]) -> usize + 'a;

/// Forward and back for one sample and the labels that `choose` names. Returns the token-summed loss against them.
pub fn sample_gradient(
    weights: &Weights,
    adapter: Option<&Adapter>,
    sample: &Sample,
    depth: Depth,
    choose: &Choose<'_>,
    head: &mut dyn FnMut(HeadGradient),
    sink: &mut dyn FnMut(Gradient),
) -> f64 {
    let walked = Walked::forward(weights, adapter, sample);
    let mut loss = 0.0;
    for (d_hidden, of) in walked.head(depth, &[choose], head) {
        walked.back(&d_hidden, depth, sink);
        loss = of;
    }
    loss
}

/// A sample's pass forward, with all that the ways back need: one for each choice of labels.
struct Walked<'a> {
    weights: &'a Weights,
    adapter: Option<&'a Adapter>,
    sample: &'a Sample,
    tape: Tape,
    /// After the final norm [T, h].
    hidden: Vec<f32>,
}

impl<'a> Walked<'a> {
    fn forward(weights: &'a Weights, adapter: Option<&'a Adapter>, sample: &'a Sample) -> Self {
        let inputs = &sample.tokens[..sample.tokens.len() - 1];
        let mut cache = KvCache::new(weights, inputs.len());
        let mut tape = Tape::default();
        let hidden = weights.forward(adapter, inputs, &mut cache, Some(&mut tape));
        Self { weights, adapter, sample, tape, hidden }
    }

    /// For every choice of labels (d(hidden) [T, h], token-summed loss). Logits and probabilities are computed once.
    fn head(
        &self,
        depth: Depth,
        choices: &[&Choose<'_>],
        head: &mut dyn FnMut(HeadGradient),
    ) -> Vec<(Vec<f32>, f64)> {
        let (h, vocab) = (self.weights.config.hidden, self.weights.config.vocab);
        let inputs = self.sample.tokens.len() - 1;
        let rows = || zeros("gradients of rows", self.hidden.len());
        let mut found: Vec<(Vec<f32>, f64)> = choices.iter().map(|_| (rows(), 0.0)).collect();
        let first = self.sample.loss_from - 1;
        let step = if depth == Depth::All { inputs } else { LOGIT_ROWS };
        let (mut logits, mut labels) = (vec![0.0; vocab], vec![]);
        for from in (first..inputs).step_by(step) {
            let to = (from + step).min(inputs);
            let hidden = &self.hidden[from * h..to * h];
            let mut rows = self.weights.logits(hidden);
            labels.clear();
            for (r, row) in rows.chunks_exact_mut(vocab).enumerate() {
                logits.copy_from_slice(row);
                let partition = softmax(row);
                for (choose, (_, loss)) in choices.iter().zip(&mut found) {
                    let label = choose(from + r + 1, row);
                    *loss += f64::from(partition.loss(logits[label]));
                    labels.push(label);
                }
            }
            for (choice, (d_hidden, _)) in found.iter_mut().enumerate() {
                let own = labels.iter().skip(choice).step_by(choices.len());
                let places: Vec<usize> = own.enumerate().map(|(r, l)| r * vocab + l).collect();
                let likely: Vec<f32> = places.iter().map(|at| rows[*at]).collect();
                places.iter().for_each(|at| rows[*at] -= 1.0);
                d_hidden[from * h..to * h]
                    .copy_from_slice(&self.weights.head().apply_backward(&rows, to - from));
                if depth == Depth::All {
                    head(HeadGradient { d_logits: &rows, hidden });
                }
                // The next choice starts from the probabilities again.
                places.iter().zip(likely).for_each(|(at, p)| rows[*at] = p);
            }
        }
        found
    }

    fn back(&self, d_hidden: &[f32], depth: Depth, sink: &mut dyn FnMut(Gradient)) {
        self.weights.backward(self.adapter, &self.tape, d_hidden, depth, sink);
    }
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

/// Activations and output gradients of one module as a card hands them out, kept until all modules are there.
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

    fn inputs(&self) -> Vec<usize> {
        let modules = self.adapter.modules();
        let reads = |m: &LoraModule| (m.layer, m.target.input());
        let first = |m| modules.iter().position(|other| reads(other) == reads(m));
        let pairs = modules.iter().enumerate();
        pairs.flat_map(|(at, m)| [2 * first(m).unwrap_or(at), 2 * at + 1]).collect()
    }

    fn sample_count(&self) -> usize {
        self.samples.len()
    }

    fn visit(&self, sample: usize, labels: Labels, sink: &mut GradientSink<'_>) {
        let one = &mut |_: usize, factor: usize, tokens: usize, a: &[f32], s: &[f32]| {
            sink(factor, tokens, a, s);
        };
        self.visit_each(sample, &[labels], one);
    }

    fn visit_each(&self, sample: usize, choices: &[Labels], sink: &mut ChoiceSink<'_>) {
        if let Some(model) = self.weights.on_gpu.get() {
            let walks = choices.iter().map(|labels| self.visit_on(model.clone(), sample, *labels));
            match walks.collect::<Result<Vec<_>, _>>() {
                Ok(walks) => return hand_over(&walks, sink),
                Err(e) => self.weights.leave_gpu(e),
            }
        }
        let tokens = &self.samples[sample].tokens;
        let choosers: Vec<_> = choices
            .iter()
            .map(|labels| {
                move |position: usize, probabilities: &[f32]| match labels {
                    Labels::Data => tokens[position] as usize,
                    Labels::Sampled { .. } => {
                        draw(probabilities, label_number(*labels, sample, position))
                    }
                }
            })
            .collect();
        let choosers: Vec<&Choose<'_>> = choosers.iter().map(|c| c as &Choose<'_>).collect();
        let walked = Walked::forward(self.weights, Some(self.adapter), &self.samples[sample]);
        let modules = self.adapter.modules();
        let mut s = vec![(vec![], vec![]); modules.len()];
        let found = walked.head(Depth::Adapter, &choosers, &mut |_| {});
        for (choice, (d_hidden, _)) in found.iter().enumerate() {
            walked.back(d_hidden, Depth::Adapter, &mut |gradient| {
                if let Gradient::Linear(g) = gradient
                    && let Some(at) = self.adapter.module_index(g.layer, g.target)
                {
                    s[at] = (g.s_a, g.s_b);
                }
            });
            for (at, (module, (s_a, s_b))) in modules.iter().zip(&s).enumerate() {
                let (x, low) = walked.tape.layers[module.layer].inputs(module.target);
                sink(choice, 2 * at, tokens.len() - 1, x, s_a);
                sink(choice, 2 * at + 1, tokens.len() - 1, low, s_b);
            }
        }
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

fn hand_over(walks: &[Vec<Kept>], sink: &mut ChoiceSink<'_>) {
    for (choice, kept) in walks.iter().enumerate() {
        for (at, k) in kept.iter().enumerate() {
            sink(choice, 2 * at, k.rows, &k.x, &k.s_a);
            sink(choice, 2 * at + 1, k.rows, &k.low, &k.s_b);
        }
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
