//! Generation, replay and loss.

use crate::cast::{TOKENS_MAX, guard, size, tokens};
use crate::job::{CancelHandle, Events, emit, start};
use crate::model::{NativeAdapter, NativeModel};
use napi::Env;
use napi::bindgen_prelude::{BigInt, Float32Array, Object, Uint8Array, Uint32Array};
use napi_derive::napi;
use openledger_core::Result;
use openledger_core::generate::{Answer, Finish, Request, Sampler, generate, replay};
use openledger_core::gradients::{Sample, check_samples, sample_losses};
use openledger_core::lora::Adapter;
use openledger_core::model::embed;
use std::sync::Arc;

#[napi(object)]
pub struct RequestInput {
    pub prompt: Uint32Array,
    pub max_tokens: f64,
    pub temperature: f64,
    pub top_p: f64,
    pub seed: BigInt,
    pub stop: Uint32Array,
}

impl RequestInput {
    pub fn cast(self) -> Result<Request> {
        Ok(Request {
            prompt: tokens("the prompt", &self.prompt)?,
            max_tokens: size("maxTokens", self.max_tokens, 1, TOKENS_MAX)?,
            sampler: Sampler {
                temperature: self.temperature as f32,
                top_p: self.top_p as f32,
                seed: crate::cast::seed(self.seed)?,
            },
            stop: tokens("the list of stop tokens", &self.stop)?,
        })
    }
}

#[napi(object)]
pub struct TokenEvent {
    pub token: u32,
    pub index: u32,
}

#[napi(object)]
pub struct AnswerOutput {
    pub tokens: Uint32Array,
    /// 32 bytes per token.
    pub trace: Uint8Array,
    pub finish: String,
    pub events: u32,
}

impl AnswerOutput {
    pub fn new(answer: Answer, events: u32) -> Self {
        let finish = match answer.finish {
            Finish::Stop => "stop",
            Finish::Length => "length",
            Finish::Cancelled => "cancelled",
        };
        Self {
            tokens: answer.tokens.into(),
            trace: answer.trace.concat().into(),
            finish: finish.to_string(),
            events,
        }
    }
}

pub fn adapter_of(adapter: Option<&NativeAdapter>) -> Option<Arc<Adapter>> {
    adapter.map(|a| a.inner.clone())
}

#[napi(ts_return_type = "Promise<AnswerOutput>")]
pub fn generate_tokens<'e>(
    env: &'e Env,
    model: &NativeModel,
    adapter: Option<&NativeAdapter>,
    request: RequestInput,
    cancel: &CancelHandle,
    on_token: Option<Events<TokenEvent>>,
) -> napi::Result<Object<'e>> {
    let request = guard(|| request.cast())?;
    let (model, adapter, cancel) = (model.inner.clone(), adapter_of(adapter), cancel.clone());
    let job = move || {
        let mut events = 0;
        let answer =
            generate(&model.weights, adapter.as_deref(), &request, &mut |token, index| {
                if on_token.is_some() {
                    events += 1;
                    emit(&on_token, TokenEvent { token, index: index as u32 });
                }
                !cancel.cancelled()
            })?;
        Ok((answer, events))
    };
    start(env, job, |(answer, events)| Ok(AnswerOutput::new(answer, events)))
}

#[napi(ts_return_type = "Promise<AnswerOutput>")]
pub fn replay_tokens<'e>(
    env: &'e Env,
    model: &NativeModel,
    adapter: Option<&NativeAdapter>,
    request: RequestInput,
    claimed: Uint32Array,
) -> napi::Result<Object<'e>> {
    let request = guard(|| request.cast())?;
    let (model, adapter) = (model.inner.clone(), adapter_of(adapter));
    let claimed = guard(|| tokens("the claimed answer", &claimed))?;
    let job = move || replay(&model.weights, adapter.as_deref(), &request, &claimed);
    start(env, job, |answer| Ok(AnswerOutput::new(answer, 0)))
}

/// The vector of a text, by the base alone.
#[napi(ts_return_type = "Promise<Float32Array>")]
pub fn embed_tokens<'e>(
    env: &'e Env,
    model: &NativeModel,
    tokens: Uint32Array,
) -> napi::Result<Object<'e>> {
    let model = model.inner.clone();
    let tokens = guard(|| crate::cast::tokens("the text", &tokens))?;
    start(env, move || embed(&model.weights, &tokens), |vector| Ok(Float32Array::from(vector)))
}

#[napi(object)]
pub struct SampleInput {
    pub tokens: Uint32Array,
    pub loss_from: f64,
}

/// Most samples handed over at once.
const SAMPLES_MAX: usize = 1 << 20;

pub fn samples(inputs: Vec<SampleInput>) -> Result<Vec<Sample>> {
    size("the number of samples", inputs.len() as f64, 1, SAMPLES_MAX)?;
    inputs
        .into_iter()
        .enumerate()
        .map(|(i, s)| {
            let name = format!("sample {i}: lossFrom");
            let loss_from = size(&name, s.loss_from, 0, u32::MAX as usize)?;
            let tokens = tokens(&format!("sample {i}"), &s.tokens)?;
            Ok(Sample { tokens, loss_from })
        })
        .collect()
}

#[napi(object)]
pub struct LossOutput {
    pub loss: f64,
    pub tokens: f64,
}

#[napi(ts_return_type = "Promise<LossOutput>")]
pub fn evaluate_loss<'e>(
    env: &'e Env,
    model: &NativeModel,
    adapter: Option<&NativeAdapter>,
    inputs: Vec<SampleInput>,
) -> napi::Result<Object<'e>> {
    let all = guard(|| samples(inputs))?;
    let (model, adapter) = (model.inner.clone(), adapter_of(adapter));
    let job = move || {
        let weights = &model.weights;
        check_samples(weights, &all)?;
        if let Some(adapter) = &adapter {
            adapter.check_fits(&weights.config)?;
        }
        let losses = sample_losses(weights, adapter.as_deref(), &all);
        let targets: usize = all.iter().map(Sample::targets).sum();
        Ok((losses.iter().sum::<f64>(), targets))
    };
    start(env, job, |(loss, tokens)| Ok(LossOutput { loss, tokens: tokens as f64 }))
}
