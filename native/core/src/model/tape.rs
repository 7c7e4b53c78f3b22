//! What a forward pass leaves behind for the way back. T tokens, h hidden, per layer.

use super::config::{Input, Target};
use crate::ops::attention::HeadTape;

#[derive(Clone, Debug, Default)]
pub struct LayerTape {
    /// Residual stream before the attention norm [T, h], and the norm's inverse lengths [T].
    pub x: Vec<f32>,
    pub attention_inverse: Vec<f32>,
    pub attention_in: Vec<f32>,
    /// Queries and keys after rotation, values.
    pub q: Vec<f32>,
    pub k: Vec<f32>,
    pub v: Vec<f32>,
    pub heads: Vec<HeadTape>,
    pub attention_out: Vec<f32>,
    /// Residual stream before the MLP norm.
    pub middle: Vec<f32>,
    pub mlp_inverse: Vec<f32>,
    pub mlp_in: Vec<f32>,
    pub gate: Vec<f32>,
    pub up: Vec<f32>,
    pub activated: Vec<f32>,
    /// A x of each adapted linear map [T, r], in `Target::ALL` order; empty where not adapted.
    pub low: [Vec<f32>; 7],
}

impl LayerTape {
    /// What a map and its adapter's second factor read: x [T, in] and A x [T, r].
    pub fn inputs(&self, target: Target) -> (&[f32], &[f32]) {
        let x = match target.input() {
            Input::Attention => &self.attention_in,
            Input::Values => &self.attention_out,
            Input::Mlp => &self.mlp_in,
            Input::Activated => &self.activated,
        };
        (x, &self.low[target as usize])
    }
}

#[derive(Clone, Debug, Default)]
pub struct Tape {
    pub layers: Vec<LayerTape>,
    /// Residual stream before the final norm, its inverse lengths, and the normed rows.
    pub x: Vec<f32>,
    pub inverse: Vec<f32>,
    pub hidden: Vec<f32>,
}
