//! Models and adapters as handles: JavaScript holds them, Rust owns the weights.

use crate::cast::guard;
use crate::job::start;
use napi::Env;
use napi::bindgen_prelude::{Object, Uint8Array, Uint32Array};
use napi_derive::napi;
use openledger_core::lora::Adapter;
use openledger_core::model::{Model, Precision, Text};
use openledger_core::{Result, bail};
use std::path::PathBuf;
use std::sync::Arc;

#[napi]
pub struct NativeModel {
    pub(crate) inner: Arc<Model>,
}

fn text(model: &Model) -> Result<&Text> {
    match &model.text {
        Some(text) => Ok(text),
        None => bail!(Unsupported, "this model has no tokenizer"),
    }
}

#[napi]
impl NativeModel {
    /// config.json as this engine understood it, plus the number of parameters.
    #[napi]
    pub fn config(&self) -> napi::Result<String> {
        guard(|| {
            let config = self.inner.config();
            let mut json = config.to_json();
            json["eos_token_ids"] = config.eos.clone().into();
            json["parameters"] = config.parameters().into();
            Ok(json.to_string())
        })
    }

    /// Jinja, as the model's files have it.
    #[napi]
    pub fn chat_template(&self) -> Option<String> {
        self.inner.chat_template.clone()
    }

    /// `f32` or `int8`.
    #[napi]
    pub fn precision(&self) -> String {
        self.inner.weights.precision.name().to_string()
    }

    /// keccak256 of the weights in the form they are computed with.
    #[napi(ts_return_type = "Promise<Uint8Array>")]
    pub fn weights_hash<'e>(&self, env: &'e Env) -> napi::Result<Object<'e>> {
        let model = self.inner.clone();
        start(env, move || Ok(model.weights.digest()), |hash| Ok(Uint8Array::from(hash.to_vec())))
    }

    /// The tokenizer as a tokenizer.json, also where it came out of a GGUF file.
    #[napi]
    pub fn tokenizer_json(&self) -> napi::Result<String> {
        guard(|| text(&self.inner)?.to_json())
    }

    #[napi]
    pub fn has_tokenizer(&self) -> bool {
        self.inner.text.is_some()
    }

    #[napi]
    pub fn encode(&self, input: String) -> napi::Result<Uint32Array> {
        guard(|| Ok(text(&self.inner)?.encode(&input)?.into()))
    }

    #[napi]
    pub fn decode(&self, ids: Uint32Array, keep_special: bool) -> napi::Result<String> {
        guard(|| text(&self.inner)?.decode(&ids, keep_special))
    }
}

#[napi]
pub struct NativeAdapter {
    pub(crate) inner: Arc<Adapter>,
}

#[napi]
impl NativeAdapter {
    #[napi]
    pub fn config(&self) -> napi::Result<String> {
        guard(|| {
            let config = &self.inner.config;
            let targets: Vec<&str> = config.targets.iter().map(|t| t.name()).collect();
            Ok(serde_json::json!({
                "rank": config.rank,
                "alpha": config.alpha,
                "rslora": config.rslora,
                "targets": targets,
                "parameters": self.inner.to_parameters().len(),
            })
            .to_string())
        })
    }
}

#[napi(ts_return_type = "Promise<NativeModel>")]
pub fn load_model(env: &Env, path: String, precision: String) -> napi::Result<Object<'_>> {
    let precision = guard(|| Precision::from_name(&precision))?;
    let job = move || {
        let model = Model::load_as(&PathBuf::from(path), precision)?;
        // A card without room is as good as none: the CPU gives the same bytes.
        if let Ok(gpu) = crate::card()
            && let Err(reason) = model.weights.use_gpu(&gpu)
        {
            model.weights.leave_gpu(reason);
        }
        Ok(Arc::new(model))
    };
    start(env, job, |inner| Ok(NativeModel { inner }))
}

#[napi(ts_return_type = "Promise<NativeAdapter>")]
pub fn load_adapter<'e>(
    env: &'e Env,
    model: &NativeModel,
    dir: String,
) -> napi::Result<Object<'e>> {
    let model = model.inner.clone();
    let job = move || Adapter::load(&PathBuf::from(dir), model.config()).map(Arc::new);
    start(env, job, |inner| Ok(NativeAdapter { inner }))
}
