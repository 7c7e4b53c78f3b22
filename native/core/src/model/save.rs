//! Writes weights as a Hugging Face directory (config.json and model.safetensors).

use super::weights::Weights;
use crate::tensors::{Store, write, write_file};
use crate::{EngineError, ErrorCode, Result};
use std::path::Path;

pub fn save(weights: &Weights, dir: &Path, store: Store) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(|e| {
        EngineError::new(ErrorCode::Io, format!("cannot create {}: {e}", dir.display()))
    })?;
    let mut config = weights.config.to_json();
    config["torch_dtype"] = if store == Store::F32 { "float32" } else { "float16" }.into();
    write_file(&dir.join("config.json"), json_bytes(&config).as_bytes())?;
    write(&dir.join("model.safetensors"), &weights.tensors(), store)
}

/// Indented JSON with a final newline; keys come out sorted.
pub fn json_bytes(value: &serde_json::Value) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}
