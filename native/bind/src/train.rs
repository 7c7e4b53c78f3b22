//! Fine-tuning, pre-training and tokenizer training.

use crate::cast::{guard, size};
use crate::job::{CancelHandle, Events, emit, start};
use crate::model::{NativeAdapter, NativeModel};
use crate::run::{SampleInput, samples};
use napi::Env;
use napi::bindgen_prelude::{BigInt, Object, Uint32Array};
use napi_derive::napi;
use openledger_core::lora::{Adapter, LoraConfig};
use openledger_core::model::vocabulary::train_vocabulary;
use openledger_core::model::{LlamaConfig, Target, Text, save};
use openledger_core::tensors::Store;
use openledger_core::train::base::{BaseConfig, train_base};
use openledger_core::train::lora::BATCH_MAX;
use openledger_core::train::{
    Checkpoints, OptimizerKind, Progress, RunOptions, TrainConfig, train_lora_with,
};
use openledger_core::{Result, bail};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

/// How the parameters move; shared by both kinds of training.
#[napi(object)]
pub struct ScheduleInput {
    pub optimizer: String,
    pub learning_rate: f64,
    pub learning_rate_floor: f64,
    pub warmup_steps: f64,
    pub weight_decay: f64,
    pub clip: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub batch: f64,
    pub seed: BigInt,
}

fn optimizer(input: &ScheduleInput) -> Result<OptimizerKind> {
    match input.optimizer.as_str() {
        "adamw" => {
            let (beta1, beta2) = (input.beta1, input.beta2);
            Ok(OptimizerKind::AdamW { beta1, beta2, eps: input.eps })
        }
        "sgd" => Ok(OptimizerKind::Sgd),
        other => bail!(BadInput, "optimizer {other}; known are adamw and sgd"),
    }
}

#[napi(object)]
pub struct LoraInput {
    pub rank: f64,
    pub alpha: f64,
    pub rslora: bool,
    pub targets: Vec<String>,
    pub epochs: f64,
}

fn train_config(lora: LoraInput, schedule: ScheduleInput) -> Result<TrainConfig> {
    let mut targets = Vec::new();
    for name in &lora.targets {
        match Target::from_name(name) {
            Some(target) => targets.push(target),
            None => bail!(
                BadInput,
                "LoRA target {name}; known are {}",
                Target::ALL.map(Target::name).join(", ")
            ),
        }
    }
    let rank = size("rank", lora.rank, 1, openledger_core::lora::adapter::RANK_MAX)?;
    Ok(TrainConfig {
        lora: LoraConfig::new(rank, lora.alpha, lora.rslora, targets)?,
        epochs: size("epochs", lora.epochs, 1, 1_000_000)?,
        batch: size("batch", schedule.batch, 1, BATCH_MAX)?,
        learning_rate: schedule.learning_rate,
        learning_rate_floor: schedule.learning_rate_floor,
        warmup_steps: size("warmupSteps", schedule.warmup_steps, 0, 1_000_000_000)?,
        weight_decay: schedule.weight_decay,
        clip: schedule.clip,
        optimizer: optimizer(&schedule)?,
        seed: crate::cast::seed(schedule.seed)?,
    })
}

#[napi(object)]
pub struct ProgressEvent {
    pub step: f64,
    pub steps: f64,
    pub loss: f64,
    pub lr: f64,
    pub grad_norm: f64,
    pub tokens_per_second: f64,
    /// Mean loss of the evaluation samples, when they were evaluated after this step.
    pub evaluation: Option<f64>,
}

/// Passes progress on and watches for cancellation. The clock only measures speed.
struct Reporter {
    events: Option<Events<ProgressEvent>>,
    cancel: CancelHandle,
    start: Instant,
    sent: u32,
    first: Option<u64>,
}

impl Reporter {
    fn new(events: Option<Events<ProgressEvent>>, cancel: &CancelHandle) -> Self {
        Self { events, cancel: cancel.clone(), start: Instant::now(), sent: 0, first: None }
    }

    fn report(&mut self, p: Progress) -> bool {
        if self.events.is_some() {
            self.sent += 1;
            // A resumed run counts the tokens of its first part, but did not run them.
            let first =
                *self.first.get_or_insert(if self.sent == 1 && p.step > 1 { p.tokens } else { 0 });
            let seconds = self.start.elapsed().as_secs_f64().max(1e-9);
            emit(
                &self.events,
                ProgressEvent {
                    step: p.step as f64,
                    steps: p.steps as f64,
                    loss: p.loss,
                    lr: p.learning_rate,
                    grad_norm: p.gradient_norm,
                    tokens_per_second: (p.tokens - first) as f64 / seconds,
                    evaluation: p.evaluation,
                },
            );
        }
        !self.cancel.cancelled()
    }
}

/// What a fine-tuning run does besides its steps.
#[napi(object)]
pub struct RunInput {
    /// Samples whose gradients are held at once; 0: the whole batch.
    pub together: f64,
    pub evaluation: Vec<SampleInput>,
    /// Steps; 0: every epoch.
    pub evaluate_every: f64,
    pub patience: f64,
    pub checkpoint_dir: Option<String>,
    /// Steps; 0: every epoch.
    pub checkpoint_every: f64,
    pub resume: bool,
    /// PEFT directory of the adapter to go on from.
    pub initial_dir: Option<String>,
}

const STEPS_MAX: usize = 1_000_000_000;

fn run_options(run: RunInput, base_name: &str) -> Result<RunOptions> {
    let every = size("checkpointEvery", run.checkpoint_every, 0, STEPS_MAX)?;
    Ok(RunOptions {
        together: size("together", run.together, 0, BATCH_MAX)?,
        evaluation: if run.evaluation.is_empty() { vec![] } else { samples(run.evaluation)? },
        evaluate_every: size("evaluateEvery", run.evaluate_every, 0, STEPS_MAX)?,
        patience: size("patience", run.patience, 0, 1_000_000)?,
        checkpoints: run.checkpoint_dir.map(|dir| Checkpoints {
            dir: PathBuf::from(dir),
            every,
            resume: run.resume,
            base_name: base_name.to_string(),
        }),
        initial: None,
    })
}

#[napi(object)]
pub struct TrainOutput {
    pub final_loss: f64,
    pub steps: f64,
    /// Of the best evaluation.
    pub best_step: Option<f64>,
    pub best_loss: Option<f64>,
    pub events: u32,
}

/// Trains, writes the PEFT directory, and resolves to [TrainOutput, NativeAdapter].
#[napi(ts_return_type = "Promise<[TrainOutput, NativeAdapter]>")]
#[allow(clippy::too_many_arguments)]
pub fn train_adapter<'e>(
    env: &'e Env,
    model: &NativeModel,
    inputs: Vec<SampleInput>,
    lora: LoraInput,
    schedule: ScheduleInput,
    run: RunInput,
    base_name: String,
    out_dir: String,
    cancel: &CancelHandle,
    on_progress: Option<Events<ProgressEvent>>,
) -> napi::Result<Object<'e>> {
    let all = guard(|| samples(inputs))?;
    let config = guard(|| train_config(lora, schedule))?;
    let initial = run.initial_dir.clone();
    let mut options = guard(|| run_options(run, &base_name))?;
    let model = model.inner.clone();
    let mut reporter = Reporter::new(on_progress, cancel);
    let job = move || {
        if let Some(dir) = initial {
            options.initial =
                Some(Arc::new(Adapter::load(&PathBuf::from(dir), &model.weights.config)?));
        }
        let mut last = f64::NAN;
        let trained = train_lora_with(&model.weights, &all, &config, &options, &mut |p| {
            last = p.loss;
            reporter.report(p)
        })?;
        trained.adapter.save(&PathBuf::from(out_dir), &base_name)?;
        Ok((last, reporter.sent, trained))
    };
    start(env, job, |(final_loss, events, trained)| {
        let output = TrainOutput {
            final_loss,
            steps: trained.steps as f64,
            best_step: trained.best.map(|(step, _)| step as f64),
            best_loss: trained.best.map(|(_, loss)| loss),
            events,
        };
        Ok((output, NativeAdapter { inner: Arc::new(trained.adapter) }))
    })
}

/// Pre-trains a base model and writes config.json and model.safetensors.
#[napi(ts_return_type = "Promise<TrainOutput>")]
#[allow(clippy::too_many_arguments)]
pub fn train_base_model<'e>(
    env: &'e Env,
    config_json: String,
    stream: Uint32Array,
    window: f64,
    steps: f64,
    schedule: ScheduleInput,
    half: bool,
    out_dir: String,
    cancel: &CancelHandle,
    on_progress: Option<Events<ProgressEvent>>,
) -> napi::Result<Object<'e>> {
    let config = guard(|| {
        Ok(BaseConfig {
            model: LlamaConfig::parse(&config_json)?,
            window: size("window", window, 2, 1 << 16)?,
            batch: size("batch", schedule.batch, 1, BATCH_MAX)?,
            steps: size("steps", steps, 1, 10_000_000)?,
            learning_rate: schedule.learning_rate,
            learning_rate_floor: schedule.learning_rate_floor,
            warmup_steps: size("warmupSteps", schedule.warmup_steps, 0, 1_000_000_000)?,
            weight_decay: schedule.weight_decay,
            clip: schedule.clip,
            optimizer: optimizer(&schedule)?,
            seed: crate::cast::seed(schedule.seed)?,
        })
    })?;
    let stream = stream.to_vec();
    let store = if half { Store::F16 } else { Store::F32 };
    let mut reporter = Reporter::new(on_progress, cancel);
    let job = move || {
        let mut last = (0.0, 0);
        let weights = train_base(&stream, &config, &mut |p| {
            last = (p.loss, p.step);
            reporter.report(p)
        })?;
        save::save(&weights, &PathBuf::from(out_dir), store)?;
        Ok((last, reporter.sent))
    };
    start(env, job, |((final_loss, steps), events)| {
        let (best_step, best_loss) = (None, None);
        Ok(TrainOutput { final_loss, steps: steps as f64, best_step, best_loss, events })
    })
}

/// Trains a byte-level BPE tokenizer; resolves to the text of tokenizer.json.
#[napi(ts_return_type = "Promise<string>")]
pub fn train_tokenizer(
    env: &Env,
    texts: Vec<String>,
    vocabulary: f64,
    special: Vec<String>,
) -> napi::Result<Object<'_>> {
    let vocabulary = guard(|| size("vocabulary", vocabulary, 1, 1 << 17))?;
    start(env, move || train_vocabulary(&texts, vocabulary, &special), Ok)
}

/// Token ids of a text by a tokenizer that belongs to no model yet.
#[napi]
pub fn encode_with(tokenizer: String, text: String) -> napi::Result<Uint32Array> {
    guard(|| Ok(Text::from_bytes(tokenizer.as_bytes())?.encode(&text)?.into()))
}
