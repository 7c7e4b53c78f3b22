//! PEFT directories: adapter_config.json and adapter_model.safetensors. What this engine does not
//! do is refused with its name, never ignored.

use super::adapter::{Adapter, LoraConfig};
use crate::memory::afford;
use crate::model::config::{LlamaConfig, Target};
use crate::model::save::json_bytes;
use crate::tensors::{Store, TensorFile, read_text, write, write_file};
use crate::{EngineError, ErrorCode, Result, bail};
use serde_json::{Value, json};
use std::path::Path;

fn key(layer: usize, target: Target, factor: char) -> String {
    format!("base_model.model.model.layers.{layer}.{}.lora_{factor}.weight", target.path())
}

impl Adapter {
    /// Reads a PEFT directory and checks that it fits the model.
    pub fn load(dir: &Path, model: &LlamaConfig) -> Result<Adapter> {
        Self::read(dir, model).map_err(|error| error.at(dir))
    }

    fn read(dir: &Path, model: &LlamaConfig) -> Result<Adapter> {
        if !dir.is_dir() {
            bail!(BadAdapter, "{} is not a directory", dir.display());
        }
        let text = read_text(&dir.join("adapter_config.json"), ErrorCode::BadAdapter)?;
        let config = parse_config(&text)?;
        let file = TensorFile::open(&dir.join("adapter_model.safetensors"), ErrorCode::BadAdapter)?;
        let tensors = file.parsed()?;
        // As stored, in order, and by module.
        let parameters = config.parameters(model);
        let what = format!("{}: an adapter of {parameters} parameters", dir.display());
        afford(&what, parameters.checked_mul(3 * size_of::<f32>()))?;
        let mut flat = Vec::with_capacity(parameters);
        let mut expected = Vec::new();
        for layer in 0..model.layers {
            for &target in &config.targets {
                let (out, inn) = model.linear_shape(target);
                for (factor, shape) in [('A', [config.rank, inn]), ('B', [out, config.rank])] {
                    let name = key(layer, target, factor);
                    flat.extend(tensors.f32(&name, &shape)?);
                    expected.push(name);
                }
            }
        }
        expected.sort();
        if let Some(extra) =
            tensors.names().into_iter().find(|n| expected.binary_search(n).is_err())
        {
            bail!(
                BadAdapter,
                "adapter_model.safetensors: tensor {extra} has no place in this model"
            );
        }
        Ok(Adapter::from_parameters(model, &config, &flat))
    }

    /// Writes a PEFT directory; the same adapter gives the same bytes.
    pub fn save(&self, dir: &Path, base_name: &str) -> Result<()> {
        std::fs::create_dir_all(dir).map_err(|e| {
            EngineError::new(ErrorCode::Io, format!("cannot create {}: {e}", dir.display()))
        })?;
        let config = config_json(&self.config, base_name);
        write_file(&dir.join("adapter_config.json"), json_bytes(&config).as_bytes())?;
        let mut tensors = Vec::with_capacity(2 * self.modules().len());
        for m in self.modules() {
            let rank = self.config.rank;
            tensors.push((key(m.layer, m.target, 'A'), vec![rank, m.in_dim()], m.a()));
            tensors.push((key(m.layer, m.target, 'B'), vec![m.out_dim(), rank], m.b()));
        }
        write(&dir.join("adapter_model.safetensors"), &tensors, Store::F32)
    }
}

fn config_json(config: &LoraConfig, base_name: &str) -> Value {
    let targets: Vec<&str> = config.targets.iter().map(|t| t.name()).collect();
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base_name,
        "inference_mode": true,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": 0.0,
        "use_rslora": config.rslora,
        "use_dora": false,
        "bias": "none",
        "fan_in_fan_out": false,
        "modules_to_save": null,
        "rank_pattern": {},
        "alpha_pattern": {},
        "target_modules": targets,
    })
}

fn parse_config(text: &str) -> Result<LoraConfig> {
    let json: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(e) => bail!(BadAdapter, "adapter_config.json is not JSON: {e}"),
    };
    refuse_unsupported(&json)?;
    let rank = match json.get("r").and_then(Value::as_u64) {
        Some(r) => r as usize,
        None => bail!(BadAdapter, "adapter_config.json: r is missing or not a positive integer"),
    };
    let alpha = match json.get("lora_alpha").and_then(Value::as_f64) {
        Some(alpha) => alpha,
        None => bail!(BadAdapter, "adapter_config.json: lora_alpha is missing or not a number"),
    };
    let rslora = json.get("use_rslora").and_then(Value::as_bool).unwrap_or(false);
    let mut targets = Vec::new();
    match json.get("target_modules") {
        Some(Value::Array(names)) => {
            for name in names {
                let name = name.as_str().unwrap_or("(not a string)");
                match Target::from_name(name) {
                    Some(target) => targets.push(target),
                    None => bail!(
                        Unsupported,
                        "adapter_config.json: target module {name}; supported are {}",
                        Target::ALL.map(Target::name).join(", ")
                    ),
                }
            }
        }
        Some(Value::String(s)) if s == "all-linear" => targets.extend(Target::ALL),
        Some(Value::String(s)) => {
            bail!(Unsupported, "adapter_config.json: target_modules as a pattern ({s})")
        }
        _ => bail!(BadAdapter, "adapter_config.json: target_modules is missing"),
    }
    LoraConfig::new(rank, alpha, rslora, targets)
        .map_err(|e| EngineError::new(ErrorCode::BadAdapter, format!("adapter_config.json: {e}")))
}

/// Settings with another meaning than the plain LoRA this engine computes, refused unless empty.
const REFUSED: [&str; 16] = [
    "use_dora",
    "modules_to_save",
    "rank_pattern",
    "alpha_pattern",
    "fan_in_fan_out",
    "lora_bias",
    "layers_to_transform",
    "layers_pattern",
    "layer_replication",
    "megatron_config",
    "trainable_token_indices",
    "use_qalora",
    "target_parameters",
    "exclude_modules",
    "alora_invocation_tokens",
    "arrow_config",
];

fn refuse_unsupported(json: &Value) -> Result<()> {
    let kind = json.get("peft_type").and_then(Value::as_str).unwrap_or("(none)");
    if kind != "LORA" {
        bail!(Unsupported, "adapter_config.json: peft_type {kind}; only LORA is supported");
    }
    let bias = json.get("bias").and_then(Value::as_str).unwrap_or("none");
    if bias != "none" {
        bail!(Unsupported, "adapter_config.json: bias {bias} is not supported");
    }
    for name in REFUSED {
        let empty = match json.get(name) {
            None | Some(Value::Null) | Some(Value::Bool(false)) => true,
            Some(Value::Array(a)) => a.is_empty(),
            Some(Value::Object(o)) => o.is_empty(),
            Some(_) => false,
        };
        if !empty {
            bail!(Unsupported, "adapter_config.json: {name} is not supported");
        }
    }
    Ok(())
}
