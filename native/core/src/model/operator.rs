//! The operators of a forward pass in the order in which their outputs come, for who looks at them one by one.

use super::config::{LlamaConfig, Target};
use std::ops::ControlFlow;

/// What makes one matrix, a row a token, out of those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Embedding,
    AttentionNorm,
    /// With the adapter's update, where there is one.
    Linear(Target),
    QRope,
    KRope,
    Attention,
    AttentionResidual,
    MlpNorm,
    Swiglu,
    MlpResidual,
    Norm,
    /// Logits.
    Head,
}

/// Told the layer, the operator and its output [tokens, columns]; `Break` ends the pass.
pub type Watch<'w> = dyn FnMut(Option<usize>, Operator, &[f32]) -> ControlFlow<()> + 'w;

/// Those of one layer.
pub const LAYER: [Operator; 15] = [
    Operator::AttentionNorm,
    Operator::Linear(Target::Q),
    Operator::Linear(Target::K),
    Operator::Linear(Target::V),
    Operator::QRope,
    Operator::KRope,
    Operator::Attention,
    Operator::Linear(Target::O),
    Operator::AttentionResidual,
    Operator::MlpNorm,
    Operator::Linear(Target::Gate),
    Operator::Linear(Target::Up),
    Operator::Swiglu,
    Operator::Linear(Target::Down),
    Operator::MlpResidual,
];

impl Operator {
    /// As Hugging Face's modules are called, where there is one.
    pub fn name(self) -> &'static str {
        match self {
            Operator::Embedding => "embed_tokens",
            Operator::AttentionNorm => "input_layernorm",
            Operator::Linear(target) => target.name(),
            Operator::QRope => "q_rope",
            Operator::KRope => "k_rope",
            Operator::Attention => "attention",
            Operator::AttentionResidual => "attention_residual",
            Operator::MlpNorm => "post_attention_layernorm",
            Operator::Swiglu => "swiglu",
            Operator::MlpResidual => "mlp_residual",
            Operator::Norm => "norm",
            Operator::Head => "lm_head",
        }
    }

    /// Columns of its output.
    pub fn columns(self, config: &LlamaConfig) -> usize {
        let of = |target| config.linear_shape(target).0;
        match self {
            Operator::Linear(target) => of(target),
            Operator::QRope | Operator::Attention => of(Target::Q),
            Operator::KRope => of(Target::K),
            Operator::Swiglu => config.ffn,
            Operator::Head => config.vocab,
            Operator::Embedding
            | Operator::AttentionNorm
            | Operator::AttentionResidual
            | Operator::MlpNorm
            | Operator::MlpResidual
            | Operator::Norm => config.hidden,
        }
    }
}
