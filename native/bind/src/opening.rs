//! What an answer was computed by, operator by operator.

use crate::cast::{guard, size};
use crate::job::{CancelHandle, start};
use crate::model::{NativeAdapter, NativeModel};
use crate::run::adapter_of;
use napi::Env;
use napi::bindgen_prelude::{Float32Array, Object, Uint8Array, Uint32Array};
use napi_derive::napi;
use openledger_core::Result;
use openledger_core::generate::opening::{Opening, TOKENS_MAX, outputs};

#[napi(object)]
pub struct OperatorOutput {
    /// -1: of no layer.
    pub layer: i32,
    pub name: String,
    pub first: u32,
    pub rows: u32,
    pub columns: u32,
    pub tiles: u32,
}

/// The operators of an answer of so many tokens.
#[napi]
pub fn opening_outputs(
    model: &NativeModel,
    prompt: f64,
    answer: f64,
) -> napi::Result<Vec<OperatorOutput>> {
    guard(|| {
        let prompt = size("the prompt's tokens", prompt, 1, TOKENS_MAX)?;
        let answer = size("the answer's tokens", answer, 1, TOKENS_MAX)?;
        let all = outputs(model.inner.config(), prompt, answer).into_iter();
        Ok(all
            .map(|output| OperatorOutput {
                layer: output.layer.map_or(-1, |layer| layer as i32),
                name: output.name.to_string(),
                first: output.first as u32,
                rows: output.rows as u32,
                columns: output.columns as u32,
                tiles: output.tiles() as u32,
            })
            .collect())
    })
}

#[napi(object)]
pub struct AnswerInput {
    pub prompt: Uint32Array,
    pub answer: Uint32Array,
}

fn opened<T: Send + 'static>(
    (model, adapter): (&NativeModel, Option<&NativeAdapter>),
    input: AnswerInput,
    cancel: &CancelHandle,
    look: impl FnOnce(&Opening) -> Result<T> + Send + 'static,
) -> impl FnOnce() -> Result<T> + Send + 'static {
    let (model, adapter, cancel) = (model.inner.clone(), adapter_of(adapter), cancel.clone());
    let (prompt, answer) = (input.prompt.to_vec(), input.answer.to_vec());
    move || {
        let cancelled = || cancel.cancelled();
        let (weights, adapter) = (&model.weights, adapter.as_deref());
        look(&Opening::new(weights, adapter, &prompt, &answer, &cancelled)?)
    }
}

/// The root of each operator, 32 bytes each.
#[napi(ts_return_type = "Promise<Uint8Array>")]
pub fn open_operators<'e>(
    env: &'e Env,
    model: &NativeModel,
    adapter: Option<&NativeAdapter>,
    input: AnswerInput,
    cancel: &CancelHandle,
) -> napi::Result<Object<'e>> {
    let job = opened((model, adapter), input, cancel, |opening| opening.roots());
    start(env, job, |roots| Ok(Uint8Array::from(roots.concat())))
}

/// The hash of each tile of an operator, 32 bytes each.
#[napi(ts_return_type = "Promise<Uint8Array>")]
pub fn open_tiles<'e>(
    env: &'e Env,
    model: &NativeModel,
    adapter: Option<&NativeAdapter>,
    input: AnswerInput,
    operator: f64,
    cancel: &CancelHandle,
) -> napi::Result<Object<'e>> {
    let operator = guard(|| size("operator", operator, 0, u32::MAX as usize))?;
    let job = opened((model, adapter), input, cancel, move |opening| opening.tiles(operator));
    start(env, job, |tiles| Ok(Uint8Array::from(tiles.concat())))
}

/// The values of a tile of an operator, row by row.
#[napi(ts_return_type = "Promise<Float32Array>")]
pub fn open_tile<'e>(
    env: &'e Env,
    model: &NativeModel,
    adapter: Option<&NativeAdapter>,
    input: AnswerInput,
    operator: f64,
    tile: f64,
    cancel: &CancelHandle,
) -> napi::Result<Object<'e>> {
    let operator = guard(|| size("operator", operator, 0, u32::MAX as usize))?;
    let tile = guard(|| size("tile", tile, 0, u32::MAX as usize))?;
    let job = opened((model, adapter), input, cancel, move |opening| opening.tile(operator, tile));
    start(env, job, |values| Ok(Float32Array::from(values)))
}
