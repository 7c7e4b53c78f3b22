//! Reads a Hugging Face model directory: config.json, model.safetensors, and tokenizer.json when
//! there is one. Every defect names the file and the tensor, with what was expected and found.

use super::Model;
use super::config::LlamaConfig;
use super::text::Text;
use super::weights::Weights;
use crate::tensors::{TensorFile, read};
use crate::{ErrorCode, Result, bail};
use std::path::Path;

impl Model {
    pub fn load(dir: &Path) -> Result<Model> {
        if !dir.is_dir() {
            bail!(BadModel, "{} is not a directory", dir.display());
        }
        let config = read(&dir.join("config.json"), ErrorCode::BadModel)?;
        let config = LlamaConfig::parse(&String::from_utf8_lossy(&config))?;
        let path = dir.join("model.safetensors");
        if !path.exists() && dir.join("model.safetensors.index.json").exists() {
            bail!(Unsupported, "{}: sharded weights are not supported", dir.display());
        }
        let file = TensorFile::open(&path, ErrorCode::BadModel)?;
        let tensors = file.parsed()?;
        let weights = Weights::build(config, |name, shape| tensors.f32(name, shape))?;
        let tokenizer = dir.join("tokenizer.json");
        let text = if tokenizer.exists() {
            let text = Text::from_bytes(&read(&tokenizer, ErrorCode::BadModel)?)?;
            if text.vocab_size() > weights.config.vocab {
                bail!(
                    BadModel,
                    "tokenizer.json has {} tokens, config.json vocab_size is {}",
                    text.vocab_size(),
                    weights.config.vocab
                );
            }
            Some(text)
        } else {
            None
        };
        Ok(Model { weights, text })
    }
}
