//! What a GGUF file of the llama architecture says, in the engine's terms: configuration, tensors by
//! their Hugging Face names, tokenizer, chat template.

use super::{Gguf, LlamaConfig, Model, Text, Value, vocabulary};
use crate::memory::with_capacity;
use crate::model::config::limits;
use crate::model::{Precision, Weights};
use crate::{Result, bail};
use std::io::{Read, Seek};
use std::path::Path;

/// File names of this kind are read as GGUF.
pub const EXTENSION: &str = "gguf";

pub fn load(path: &Path, precision: Precision) -> Result<Model> {
    let mut gguf = Gguf::open(path)?;
    gguf.model_as(precision)
}

impl<R: Read + Seek> Gguf<R> {
    pub fn model(&mut self) -> Result<Model> {
        self.model_as(Precision::F32)
    }

    pub fn model_as(&mut self, precision: Precision) -> Result<Model> {
        let config = self.config()?;
        self.refuse_unknown(&config)?;
        Weights::afford(precision, &config, &self.file)?;
        let text = match vocabulary::tokenizer_json(self)? {
            Some(json) => Some(self.text(&json, config.vocab)?),
            None => None,
        };
        let chat_template = match self.value("tokenizer.chat_template") {
            Some(Value::Text(template)) => Some(template.clone()),
            _ => None,
        };
        let (heads, kv_heads) = (config.heads, config.kv_heads);
        let weights = Weights::build_as(precision, config, |name, shape| {
            let values = self.f32(&name_in_file(name), shape)?;
            Ok(match name {
                _ if name.ends_with("q_proj.weight") => halves(&values, heads, shape[1]),
                _ if name.ends_with("k_proj.weight") => halves(&values, kv_heads, shape[1]),
                _ => values,
            })
        })?;
        Ok(Model { weights, text, chat_template })
    }

    pub fn config(&self) -> Result<LlamaConfig> {
        let file = &self.file;
        match self.value("general.architecture") {
            Some(Value::Text(name)) if name == "llama" => {}
            other => {
                bail!(
                    Unsupported,
                    "{file}: general.architecture is {other:?}; only llama is supported"
                )
            }
        }
        self.refuse_unsupported()?;
        let hidden = self.number("llama.embedding_length", limits::HIDDEN_MAX)?;
        let heads = self.number("llama.attention.head_count", limits::HIDDEN_MAX)?;
        let or = |key: &str, max, fallback| match self.value(key) {
            Some(_) => self.number(key, max),
            None => Ok(fallback),
        };
        let head_dim = or("llama.attention.key_length", limits::HEAD_DIM_MAX, hidden / heads)?;
        for key in ["llama.attention.value_length", "llama.rope.dimension_count"] {
            let size = or(key, limits::HEAD_DIM_MAX, head_dim)?;
            if size != head_dim {
                bail!(
                    Unsupported,
                    "{file}: {key} is {size}, only the head size {head_dim} is supported"
                );
            }
        }
        let Some(vocab) = self.tensors.get("token_embd.weight").map(|t| t.shape[0]) else {
            bail!(BadModel, "{file}: tensor token_embd.weight is missing");
        };
        if !(1..=limits::VOCAB_MAX).contains(&vocab) {
            let max = limits::VOCAB_MAX;
            bail!(BadModel, "{file}: token_embd.weight has {vocab} rows, must be 1..={max}");
        }
        if or("llama.vocab_size", limits::VOCAB_MAX, vocab)? != vocab {
            bail!(BadModel, "{file}: token_embd.weight has {vocab} rows, llama.vocab_size differs");
        }
        let id = |key: &str| match self.value(key) {
            Some(Value::Int(id)) => u32::try_from(*id).ok().filter(|id| (*id as usize) < vocab),
            _ => None,
        };
        let mut eos: Vec<u32> = vec![];
        for key in ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"] {
            eos.extend(id(key).filter(|id| !eos.contains(id)));
        }
        let config = LlamaConfig {
            hidden,
            layers: self.number("llama.block_count", limits::LAYERS_MAX)?,
            heads,
            kv_heads: or("llama.attention.head_count_kv", limits::HIDDEN_MAX, heads)?,
            head_dim,
            ffn: self.number("llama.feed_forward_length", limits::FFN_MAX)?,
            vocab,
            max_positions: self.number("llama.context_length", limits::POSITIONS_MAX)?,
            rms_eps: self.float("llama.attention.layer_norm_rms_epsilon")?.unwrap_or(1e-5),
            rope_theta: self.float("llama.rope.freq_base")?.unwrap_or(10_000.0),
            tied: !self.has("output.weight"),
            bos: id("tokenizer.ggml.bos_token_id"),
            eos,
        };
        config.checked(file)
    }

    fn refuse_unsupported(&self) -> Result<()> {
        let file = &self.file;
        match self.value("llama.rope.scaling.type") {
            None => {}
            Some(Value::Text(kind)) if kind == "none" => {}
            Some(other) => bail!(Unsupported, "{file}: rope scaling {other:?} is not supported"),
        }
        for key in ["llama.expert_count", "llama.attention.sliding_window"] {
            if self.value(key).is_some_and(|v| *v != Value::Int(0)) {
                bail!(Unsupported, "{file}: {key} is {:?}, not supported", self.value(key));
            }
        }
        Ok(())
    }

    /// A tensor that would not be read changes what the model says: biases, scaled rotations.
    fn refuse_unknown(&self, config: &LlamaConfig) -> Result<()> {
        let file = &self.file;
        for name in self.tensors.keys() {
            let is_known = match name.strip_prefix("blk.").and_then(|rest| rest.split_once('.')) {
                Some((layer, part)) => {
                    layer
                        .parse::<usize>()
                        .is_ok_and(|l| l < config.layers && l.to_string() == layer)
                        && PARTS.iter().any(|(_, own)| part.strip_suffix(".weight") == Some(own))
                }
                None => ["token_embd.weight", "output_norm.weight", "output.weight"]
                    .contains(&name.as_str()),
            };
            if !is_known {
                bail!(Unsupported, "{file}: tensor {name} is not part of a plain llama model");
            }
        }
        Ok(())
    }

    fn text(&self, json: &str, vocab: usize) -> Result<Text> {
        let file = &self.file;
        let text = match Text::from_bytes(json.as_bytes()) {
            Ok(text) => text,
            Err(e) => bail!(BadModel, "{file}: the vocabulary makes no tokenizer: {e}"),
        };
        if text.vocab_size() > vocab {
            bail!(
                BadModel,
                "{file}: tokenizer.ggml.tokens has {} tokens, token_embd.weight {vocab} rows",
                text.vocab_size()
            );
        }
        Ok(text)
    }

    fn number(&self, key: &str, max: usize) -> Result<usize> {
        match self.value(key) {
            Some(Value::Int(n)) if (1..=max as i128).contains(n) => Ok(*n as usize),
            Some(Value::Int(n)) => {
                bail!(BadModel, "{}: {key} is {n}, must be 1..={max}", self.file)
            }
            _ => bail!(BadModel, "{}: {key} is missing or not an integer", self.file),
        }
    }

    fn float(&self, key: &str) -> Result<Option<f64>> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Float(x)) => Ok(Some(*x)),
            Some(_) => bail!(BadModel, "{}: {key} is not a float", self.file),
        }
    }
}

/// Hugging Face's name of a part of a block, and GGUF's.
const PARTS: [(&str, &str); 9] = [
    ("input_layernorm", "attn_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("post_attention_layernorm", "ffn_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
];

pub(super) fn name_in_file(name: &str) -> String {
    let block = name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
    let Some((layer, rest)) = block else {
        return match name {
            "model.embed_tokens.weight" => "token_embd.weight",
            "model.norm.weight" => "output_norm.weight",
            _ => "output.weight",
        }
        .to_string();
    };
    let part = PARTS.iter().find(|(theirs, _)| rest.strip_suffix(".weight") == Some(theirs));
    format!("blk.{layer}.{}.weight", part.map_or(rest, |(_, own)| own))
}

/// Rows of query and key maps as this engine rotates them. GGUF of the llama architecture interleaves
/// the two numbers of a rotated pair (rows 2i and 2i + 1 of a head); here, as in Hugging Face, they are
/// half a head apart (rows i and i + d/2).
pub(super) fn halves(interleaved: &[f32], heads: usize, columns: usize) -> Vec<f32> {
    let d = interleaved.len() / columns / heads;
    let mut out = with_capacity("a tensor", interleaved.len());
    for head in interleaved.chunks_exact(d * columns) {
        for second in 0..2 {
            for i in 0..d / 2 {
                let row = 2 * i + second;
                out.extend_from_slice(&head[row * columns..(row + 1) * columns]);
            }
        }
    }
    out
}
