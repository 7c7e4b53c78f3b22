//! `config.json` of a Llama-architecture model: what is read, what is refused by name, and the
//! shape every tensor must have.

use crate::{Result, bail};
use serde_json::Value;

/// The seven linear maps of a block, in the order everything walks them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    Q,
    K,
    V,
    O,
    Gate,
    Up,
    Down,
}

/// What a layer's linear maps read: the normed stream, the mixed values, the normed stream again, the gated MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    Attention,
    Values,
    Mlp,
    Activated,
}

impl Target {
    pub const ALL: [Target; 7] =
        [Target::Q, Target::K, Target::V, Target::O, Target::Gate, Target::Up, Target::Down];

    pub fn input(self) -> Input {
        match self {
            Target::Q | Target::K | Target::V => Input::Attention,
            Target::O => Input::Values,
            Target::Gate | Target::Up => Input::Mlp,
            Target::Down => Input::Activated,
        }
    }

    /// The name used in PEFT's `target_modules`.
    pub fn name(self) -> &'static str {
        match self {
            Target::Q => "q_proj",
            Target::K => "k_proj",
            Target::V => "v_proj",
            Target::O => "o_proj",
            Target::Gate => "gate_proj",
            Target::Up => "up_proj",
            Target::Down => "down_proj",
        }
    }

    pub fn from_name(name: &str) -> Option<Target> {
        Target::ALL.into_iter().find(|t| t.name() == name)
    }

    /// The path inside a block: `self_attn.q_proj`, `mlp.down_proj`...
    pub fn path(self) -> String {
        let part = if self <= Target::O { "self_attn" } else { "mlp" };
        format!("{part}.{}", self.name())
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct LlamaConfig {
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub ffn: usize,
    pub vocab: usize,
    pub max_positions: usize,
    pub rms_eps: f64,
    pub rope_theta: f64,
    pub tied: bool,
    pub bos: Option<u32>,
    /// Token ids that end a text.
    pub eos: Vec<u32>,
}

/// Named ceilings: a hostile config cannot make the loader allocate without end.
pub mod limits {
    pub const HIDDEN_MAX: usize = 16_384;
    pub const LAYERS_MAX: usize = 256;
    pub const FFN_MAX: usize = 65_536;
    pub const VOCAB_MAX: usize = 1 << 19;
    pub const POSITIONS_MAX: usize = 1 << 17;
    pub const HEAD_DIM_MAX: usize = 256;
}

impl LlamaConfig {
    /// Rows and columns [out, in] of a linear map's weight.
    pub fn linear_shape(&self, target: Target) -> (usize, usize) {
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        match target {
            Target::Q => (q, self.hidden),
            Target::K | Target::V => (kv, self.hidden),
            Target::O => (self.hidden, q),
            Target::Gate | Target::Up => (self.ffn, self.hidden),
            Target::Down => (self.hidden, self.ffn),
        }
    }

    /// Trainable numbers of the whole model.
    pub fn parameters(&self) -> usize {
        let linear: usize =
            Target::ALL.iter().map(|t| self.linear_shape(*t)).map(|(o, i)| o * i).sum();
        let embeddings = self.vocab * self.hidden * if self.tied { 1 } else { 2 };
        embeddings + self.layers * (linear + 2 * self.hidden) + self.hidden
    }

    /// Reads and checks the text of a `config.json`.
    pub fn parse(text: &str) -> Result<Self> {
        let json: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(e) => bail!(BadModel, "config.json is not JSON: {e}"),
        };
        refuse_unsupported(&json)?;
        let hidden = number(&json, "hidden_size", limits::HIDDEN_MAX)?;
        let heads = number(&json, "num_attention_heads", limits::HIDDEN_MAX)?;
        let has = |name: &str| json.get(name).is_some_and(|v| !v.is_null());
        let kv_heads = if has("num_key_value_heads") {
            number(&json, "num_key_value_heads", limits::HIDDEN_MAX)?
        } else {
            heads
        };
        let head_dim = if has("head_dim") {
            number(&json, "head_dim", limits::HEAD_DIM_MAX)?
        } else {
            hidden / heads
        };
        let config = Self {
            hidden,
            layers: number(&json, "num_hidden_layers", limits::LAYERS_MAX)?,
            heads,
            kv_heads,
            head_dim,
            ffn: number(&json, "intermediate_size", limits::FFN_MAX)?,
            vocab: number(&json, "vocab_size", limits::VOCAB_MAX)?,
            max_positions: number(&json, "max_position_embeddings", limits::POSITIONS_MAX)?,
            rms_eps: json.get("rms_norm_eps").and_then(Value::as_f64).unwrap_or(1e-6),
            rope_theta: rope_theta(&json),
            tied: json.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false),
            bos: json.get("bos_token_id").and_then(token),
            eos: match json.get("eos_token_id") {
                Some(Value::Array(ids)) => ids.iter().filter_map(token).collect(),
                Some(id) => token(id).into_iter().collect(),
                None => vec![],
            },
        };
        config.checked("config.json")
    }

    /// Refuses shapes the kernels cannot run; `file` is where the numbers came from.
    pub fn checked(self, file: &str) -> Result<Self> {
        let (heads, kv_heads, head_dim) = (self.heads, self.kv_heads, self.head_dim);
        if !heads.is_multiple_of(kv_heads) {
            bail!(
                BadModel,
                "{file}: num_attention_heads {heads} is not a multiple of num_key_value_heads {kv_heads}"
            );
        }
        if head_dim == 0 || !head_dim.is_multiple_of(2) || head_dim > limits::HEAD_DIM_MAX {
            bail!(BadModel, "{file}: head size {head_dim} must be even and 2..=256");
        }
        if !(self.rms_eps > 0.0 && self.rms_eps < 1.0) {
            bail!(BadModel, "{file}: rms_norm_eps {} must be in (0, 1)", self.rms_eps);
        }
        if !(self.rope_theta >= 1.0 && self.rope_theta < 1e12) {
            bail!(BadModel, "{file}: rope_theta {} must be in [1, 1e12)", self.rope_theta);
        }
        Ok(self)
    }

    /// The `config.json` Hugging Face tools read.
    pub fn to_json(&self) -> Value {
        serde_json::json!({
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "hidden_size": self.hidden,
            "intermediate_size": self.ffn,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "vocab_size": self.vocab,
            "max_position_embeddings": self.max_positions,
            "rms_norm_eps": self.rms_eps,
            "rope_theta": self.rope_theta,
            "tie_word_embeddings": self.tied,
            "attention_bias": false,
            "mlp_bias": false,
            "bos_token_id": self.bos,
            "eos_token_id": self.eos.first(),
        })
    }
}

fn token(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

fn number(json: &Value, name: &str, max: usize) -> Result<usize> {
    match json.get(name).and_then(Value::as_u64) {
        Some(n) if n >= 1 && n <= max as u64 => Ok(n as usize),
        Some(n) => bail!(BadModel, "config.json: {name} is {n}, must be 1..={max}"),
        None => bail!(BadModel, "config.json: {name} is missing or not a positive integer"),
    }
}

/// Newer files keep theta inside `rope_parameters`.
fn rope_theta(json: &Value) -> f64 {
    json.get("rope_theta")
        .or_else(|| json.get("rope_parameters").and_then(|p| p.get("rope_theta")))
        .and_then(Value::as_f64)
        .unwrap_or(10_000.0)
}

fn refuse_unsupported(json: &Value) -> Result<()> {
    let kind = json.get("model_type").and_then(Value::as_str).unwrap_or("(none)");
    if kind != "llama" {
        bail!(Unsupported, "config.json: model_type is {kind}; only llama is supported");
    }
    let act = json.get("hidden_act").and_then(Value::as_str).unwrap_or("silu");
    if act != "silu" {
        bail!(Unsupported, "config.json: hidden_act is {act}; only silu is supported");
    }
    for name in ["attention_bias", "mlp_bias"] {
        if json.get(name).and_then(Value::as_bool) == Some(true) {
            bail!(Unsupported, "config.json: {name} is true; biases are not supported");
        }
    }
    let scaling = json.get("rope_scaling").or_else(|| json.get("rope_parameters"));
    let kind = scaling.and_then(|s| s.get("rope_type").or_else(|| s.get("type")));
    match kind.and_then(Value::as_str) {
        None | Some("default") => Ok(()),
        Some(other) => bail!(Unsupported, "config.json: rope scaling {other} is not supported"),
    }
}
