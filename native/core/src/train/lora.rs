//! LoRA fine-tuning: the base is frozen, only the factors move.

use super::Progress;
use super::checkpoint::{Best, Folder, State, digest, fingerprint};
use super::optimizer::{Clock, Optimizer, OptimizerKind, Update, length};
use super::schedule::{Curve, batches};
use crate::cuda::DeviceError;
use crate::gemm::{BLOCK, MatRef, Packed, gemm};
use crate::gradients::{Sample, afford_tapes, check_samples, sample_gradient, sample_loss};
use crate::lora::{Adapter, LoraConfig};
use crate::memory::zeros;
use crate::model::backward::{Depth, Gradient, LinearGradient};
use crate::model::config::LlamaConfig;
use crate::model::weights::Weights;
use crate::ops::elementwise::{add_into, scale};
use crate::{EngineError, ErrorCode, Result, bail};
use rayon::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;

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

/// What a run does besides its steps. None of it moves a byte of a step.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Samples whose gradients are held at once (micro-batch); 0: the whole batch. Gradients are added in sample order
    /// either way, so a batch in parts has the bytes of a batch at once.
    pub together: usize,
    /// Samples that are evaluated but not trained on.
    pub evaluation: Vec<Sample>,
    /// Steps between evaluations; 0: after every epoch.
    pub evaluate_every: usize,
    /// Evaluations without a lower loss before the run stops; 0: it never does. When set, the result is the best
    /// evaluated adapter instead of the last.
    pub patience: usize,
    pub checkpoints: Option<Checkpoints>,
    /// The adapter to go on from, of the same shape; without one the run begins at zero.
    pub initial: Option<Arc<Adapter>>,
}

#[derive(Clone, Debug)]
pub struct Checkpoints {
    pub dir: PathBuf,
    /// Steps between checkpoints; 0: after every epoch.
    pub every: usize,
    /// Go on from the newest one, when there is one.
    pub resume: bool,
    pub base_name: String,
}

#[derive(Debug)]
pub struct Trained {
    pub adapter: Adapter,
    /// Steps done when the run ended.
    pub steps: usize,
    /// Step and loss of the best evaluation.
    pub best: Option<(usize, f64)>,
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
    let mut flat = zeros("a sample's gradient", offsets[offsets.len() - 1]);
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

/// Who computes a step: the CPU, or a card with the same bytes.
trait Learner {
    /// Token-summed loss of the samples; their summed gradient times `factor` is kept, its length returned.
    fn gradient(&mut self, samples: &[&Sample], factor: f32) -> Result<(f64, f64), DeviceError>;
    /// The kept gradient times `factor`.
    fn scale(&mut self, factor: f32) -> Result<(), DeviceError>;
    fn update(&mut self, update: Update, rate: f32, decay: f64) -> Result<(), DeviceError>;
    fn parameters(&self) -> Result<Vec<f32>, DeviceError>;
    /// The optimiser's moments, empty for SGD on the CPU.
    fn moments(&self) -> Result<(Vec<f32>, Vec<f32>), DeviceError>;
    /// Token-summed losses under the parameters as they stand.
    fn losses(&self, samples: &[&Sample]) -> Result<Vec<f64>, DeviceError>;
}

struct CpuLearner<'a> {
    weights: &'a Weights,
    lora: &'a LoraConfig,
    flat: Vec<f32>,
    gradient: Vec<f32>,
    optimizer: Optimizer,
    /// Samples whose gradients are held at once.
    together: usize,
}

impl Learner for CpuLearner<'_> {
    fn gradient(&mut self, samples: &[&Sample], factor: f32) -> Result<(f64, f64), DeviceError> {
        let adapter = Adapter::from_parameters(&self.weights.config, self.lora, &self.flat);
        let mut loss = 0.0;
        self.gradient = zeros("a step's gradient", self.flat.len());
        for some in samples.chunks(self.together) {
            let parts: Vec<(f64, Vec<f32>)> =
                some.par_iter().map(|s| lora_gradient(self.weights, &adapter, s)).collect();
            for (part, g) in &parts {
                loss += part;
                add_into(&mut self.gradient, g);
            }
        }
        scale(&mut self.gradient, factor);
        Ok((loss, length(&self.gradient)))
    }

    fn scale(&mut self, factor: f32) -> Result<(), DeviceError> {
        scale(&mut self.gradient, factor);
        Ok(())
    }

    fn update(&mut self, update: Update, rate: f32, decay: f64) -> Result<(), DeviceError> {
        let end = self.flat.len();
        self.optimizer.apply(&mut self.flat, &self.gradient, update, rate, &[(end, decay)]);
        Ok(())
    }

    fn parameters(&self) -> Result<Vec<f32>, DeviceError> {
        Ok(self.flat.clone())
    }

    fn moments(&self) -> Result<(Vec<f32>, Vec<f32>), DeviceError> {
        let (m, v) = self.optimizer.moments();
        Ok((m.to_vec(), v.to_vec()))
    }

    fn losses(&self, samples: &[&Sample]) -> Result<Vec<f64>, DeviceError> {
        let adapter = Adapter::from_parameters(&self.weights.config, self.lora, &self.flat);
        Ok(samples.par_iter().map(|s| sample_loss(self.weights, Some(&adapter), s)).collect())
    }
}

impl Learner for crate::cuda::train::Learner {
    fn gradient(&mut self, samples: &[&Sample], factor: f32) -> Result<(f64, f64), DeviceError> {
        self.gradient(samples, factor)
    }

    fn scale(&mut self, factor: f32) -> Result<(), DeviceError> {
        self.scale(factor)
    }

    fn update(&mut self, update: Update, rate: f32, decay: f64) -> Result<(), DeviceError> {
        self.update(update, rate, decay as f32)
    }

    fn parameters(&self) -> Result<Vec<f32>, DeviceError> {
        self.parameters()
    }

    fn moments(&self) -> Result<(Vec<f32>, Vec<f32>), DeviceError> {
        self.moments()
    }

    fn losses(&self, samples: &[&Sample]) -> Result<Vec<f64>, DeviceError> {
        self.losses(samples)
    }
}

/// Why a run ended early.
enum Stop {
    Run(EngineError),
    Device(DeviceError),
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Stop::Run(error)
    }
}

impl From<DeviceError> for Stop {
    fn from(error: DeviceError) -> Self {
        Stop::Device(error)
    }
}

/// Trains an adapter. `progress` is called after every step and stops the run by returning false.
pub fn train_lora(
    weights: &Weights,
    samples: &[Sample],
    config: &TrainConfig,
    progress: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<Adapter> {
    train_lora_with(weights, samples, config, &RunOptions::default(), progress)
        .map(|trained| trained.adapter)
}

/// The same with evaluation, early stop and checkpoints. A card that fails in mid-run costs time, not the run: the
/// CPU starts over, silently up to where the card was.
pub fn train_lora_with(
    weights: &Weights,
    samples: &[Sample],
    config: &TrainConfig,
    options: &RunOptions,
    progress: &mut (dyn FnMut(Progress) -> bool + Send),
) -> Result<Trained> {
    check_samples(weights, samples)?;
    let together = if options.together == 0 { config.batch } else { options.together };
    afford_tapes(weights, samples, together)?;
    if !options.evaluation.is_empty() {
        check_samples(weights, &options.evaluation)
            .map_err(|e| EngineError::new(e.code, format!("evaluation {}", e.message)))?;
    } else if options.patience > 0 {
        bail!(BadInput, "patience {} needs evaluation samples", options.patience);
    }
    let steps = config.check(samples.len())?;
    let model = &weights.config;
    if let Some(initial) = &options.initial
        && initial.config != config.lora
    {
        bail!(
            BadInput,
            "the adapter to go on from is {:?}, the run's {:?}; they must be the same",
            initial.config,
            config.lora
        );
    }
    let folder = options.checkpoints.as_ref().map(|c| {
        let begun =
            options.initial.as_ref().map(|a| digest(&a.to_parameters())).unwrap_or_default();
        let schedule = format!("{} {}{begun}", options.evaluate_every, options.patience);
        let run = fingerprint(weights, samples, &options.evaluation, config, &schedule);
        Folder { dir: c.dir.clone(), base_name: c.base_name.clone(), run }
    });
    let resumed = match (&folder, &options.checkpoints) {
        (Some(folder), Some(c)) if c.resume => folder.load(model, config)?,
        _ => None,
    };
    let start = resumed.unwrap_or_else(|| State {
        flat: match &options.initial {
            Some(initial) => initial.to_parameters(),
            None => Adapter::initial_parameters(model, &config.lora, config.seed),
        },
        ..State::default()
    });
    let run = Run { model, samples, config, options, steps, folder };
    let mut told = start.step;
    let mut tell = |report: Progress| {
        let news = report.step > told;
        told = told.max(report.step);
        !news || progress(report)
    };
    let trained = weights.on_gpu.get().and_then(|gpu| {
        let adapter = Adapter::from_parameters(model, &config.lora, &start.flat);
        let end = crate::cuda::train::Learner::new(gpu, &adapter)
            .and_then(|mut learner| {
                if !start.m.is_empty() {
                    learner.set_moments(&start.m, &start.v)?;
                }
                Ok(learner)
            })
            .map_err(Stop::from)
            .and_then(|mut learner| run.learn(&mut learner, start.clone(), &mut tell));
        match end {
            Ok(end) => Some(Ok(end)),
            Err(Stop::Run(error)) => Some(Err(error)),
            Err(Stop::Device(error)) => {
                weights.leave_gpu(error);
                None
            }
        }
    });
    let end = trained.unwrap_or_else(|| {
        let mut optimizer = Optimizer::new(config.optimizer, start.flat.len());
        if !start.m.is_empty() && config.optimizer != OptimizerKind::Sgd {
            optimizer.set_moments(start.m.clone(), start.v.clone());
        }
        let together = if options.together == 0 { config.batch } else { options.together };
        let (lora, flat) = (&config.lora, start.flat.clone());
        let mut learner = CpuLearner { weights, lora, flat, gradient: vec![], optimizer, together };
        run.learn(&mut learner, start, &mut tell).map_err(|stop| match stop {
            Stop::Run(error) => error,
            Stop::Device(error) => EngineError::new(ErrorCode::Internal, error.0),
        })
    })?;
    let best = end.best.as_ref().map(|b| (b.step, b.loss));
    let flat = match end.best {
        Some(best) if options.patience > 0 => best.flat,
        _ => end.flat,
    };
    let adapter = Adapter::from_parameters(model, &config.lora, &flat);
    Ok(Trained { adapter, steps: end.step, best })
}

struct Run<'a> {
    model: &'a LlamaConfig,
    samples: &'a [Sample],
    config: &'a TrainConfig,
    options: &'a RunOptions,
    steps: usize,
    folder: Option<Folder>,
}

impl Run<'_> {
    /// The steps after those of `state`; returns what they led to.
    fn learn(
        &self,
        learner: &mut dyn Learner,
        mut state: State,
        progress: &mut dyn FnMut(Progress) -> bool,
    ) -> Result<State, Stop> {
        let (config, options, steps) = (self.config, self.options, self.steps);
        let curve = Curve {
            peak: config.learning_rate,
            floor: config.learning_rate_floor,
            warmup: config.warmup_steps.min(steps),
            steps,
        };
        let per_epoch = self.samples.len().div_ceil(config.batch);
        let is_due = |step: usize, every: usize| {
            step.is_multiple_of(if every == 0 { per_epoch } else { every }) || step == steps
        };
        let mut clock = Clock::new(config.optimizer);
        let mut tokens = 0;
        let plan = batches(self.samples.len(), config.batch, config.epochs, config.seed);
        for (step, batch) in plan.into_iter().enumerate() {
            let batch: Vec<&Sample> = batch.iter().map(|i| &self.samples[*i]).collect();
            tokens += batch.iter().map(|s| s.tokens.len() as u64).sum::<u64>();
            let update = clock.tick();
            if step < state.step {
                continue;
            }
            if options.patience > 0 && state.waited >= options.patience {
                break;
            }
            let targets: usize = batch.iter().map(|s| s.targets()).sum();
            let (loss, norm) = learner.gradient(&batch, 1.0 / targets as f32)?;
            check_finite(step + 1, loss, norm)?;
            if config.clip > 0.0 && norm > config.clip {
                learner.scale((config.clip / norm) as f32)?;
            }
            let rate = curve.at(step);
            learner.update(update, rate as f32, config.weight_decay)?;
            state.step = step + 1;
            let evaluated =
                !options.evaluation.is_empty() && is_due(state.step, options.evaluate_every);
            let evaluation =
                if evaluated { Some(self.evaluate(learner, &mut state)?) } else { None };
            if let (Some(folder), Some(checkpoints)) = (&self.folder, &options.checkpoints)
                && is_due(state.step, checkpoints.every)
            {
                state.flat = learner.parameters()?;
                if config.optimizer != OptimizerKind::Sgd {
                    (state.m, state.v) = learner.moments()?;
                }
                folder.save(self.model, config, &state)?;
            }
            let report = Progress {
                step: state.step,
                steps,
                loss: loss / targets as f64,
                learning_rate: rate,
                gradient_norm: norm,
                tokens,
                evaluation,
            };
            if !progress(report) {
                let text = format!("training was cancelled after step {} of {steps}", step + 1);
                return Err(EngineError::new(ErrorCode::Cancelled, text).into());
            }
        }
        state.flat = learner.parameters()?;
        Ok(state)
    }

    /// Mean loss of the evaluation samples; keeps the best and counts the others.
    fn evaluate(&self, learner: &dyn Learner, state: &mut State) -> Result<f64, Stop> {
        let samples: Vec<&Sample> = self.options.evaluation.iter().collect();
        let targets: usize = samples.iter().map(|s| s.targets()).sum();
        let loss = learner.losses(&samples)?.iter().sum::<f64>() / targets as f64;
        if state.best.as_ref().is_none_or(|best| loss < best.loss) {
            state.best = Some(Best { step: state.step, loss, flat: learner.parameters()? });
            state.waited = 0;
        } else {
            state.waited += 1;
        }
        Ok(loss)
    }
}
