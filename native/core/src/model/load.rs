//! Reads a model from a GGUF file or a Hugging Face directory: config.json, the safetensors (one file
//! or an index of shards), tokenizer.json and the chat template when there are any. Every defect
//! names the file and the tensor, with what was expected and found.

use super::config::LlamaConfig;
use super::shards::{INDEX, Shards};
use super::text::Text;
use super::weights::{Precision, Weights};
use super::{Model, gguf};
use crate::memory::afford;
use crate::tensors::{TensorFile, read, read_text};
use crate::{ErrorCode, Result, bail};
use serde_json::Value;
use std::path::Path;

/// What names, shapes and metadata of a file take at most, vocabularies of 100,000 tokens included.
const HEADER_BYTES: usize = 32 << 20;

impl Model {
    /// `load_as` in f32.
    pub fn load(path: &Path) -> Result<Model> {
        Self::load_as(path, Precision::F32)
    }

    /// `path` is a directory or a file called `*.gguf`.
    pub fn load_as(path: &Path, precision: Precision) -> Result<Model> {
        Self::read(path, precision).map_err(|error| error.at(path))
    }

    fn read(path: &Path, precision: Precision) -> Result<Model> {
        afford("a model's header", Some(HEADER_BYTES))?;
        if path.is_dir() {
            return load_directory(path, precision);
        }
        if !path.is_file() {
            bail!(BadModel, "{} is neither a directory nor a file", path.display());
        }
        if !path.extension().is_some_and(|e| e.eq_ignore_ascii_case(gguf::llama::EXTENSION)) {
            bail!(BadModel, "{} is neither a directory nor called *.gguf", path.display());
        }
        gguf::llama::load(path, precision)
    }
}

fn load_directory(dir: &Path, precision: Precision) -> Result<Model> {
    let config = read_text(&dir.join("config.json"), ErrorCode::BadModel)?;
    let config = LlamaConfig::parse(&config)?;
    let path = dir.join("model.safetensors");
    let weights = if !path.exists() && dir.join(INDEX).exists() {
        let mut shards = Shards::open(dir)?;
        Weights::afford(precision, &config, INDEX)?;
        Weights::build_as(precision, config, |name, shape| shards.f32(name, shape))?
    } else {
        let file = TensorFile::open(&path, ErrorCode::BadModel)?;
        let tensors = file.parsed()?;
        Weights::afford(precision, &config, "model.safetensors")?;
        Weights::build_as(precision, config, |name, shape| tensors.f32(name, shape))?
    };
    let text = load_text(&dir.join("tokenizer.json"), weights.config.vocab)?;
    Ok(Model { weights, text, chat_template: load_chat_template(dir)? })
}

fn load_text(path: &Path, vocab: usize) -> Result<Option<Text>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = Text::from_bytes(&read(path, ErrorCode::BadModel)?)?;
    if text.vocab_size() > vocab {
        bail!(
            BadModel,
            "tokenizer.json has {} tokens, config.json vocab_size is {vocab}",
            text.vocab_size()
        );
    }
    Ok(Some(text))
}

/// A file of its own in newer directories, a field of tokenizer_config.json in older ones.
fn load_chat_template(dir: &Path) -> Result<Option<String>> {
    let own = dir.join("chat_template.jinja");
    if own.exists() {
        return read_text(&own, ErrorCode::BadModel).map(Some);
    }
    let path = dir.join("tokenizer_config.json");
    if !path.exists() {
        return Ok(None);
    }
    match serde_json::from_slice::<Value>(&read(&path, ErrorCode::BadModel)?) {
        Ok(config) => Ok(config.get("chat_template").and_then(Value::as_str).map(String::from)),
        Err(e) => bail!(BadModel, "tokenizer_config.json is not JSON: {e}"),
    }
}
