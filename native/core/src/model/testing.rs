//! Small models with random weights from a seed, for tests.

use super::config::{LlamaConfig, Target};
use super::weights::{Precision, Weights};
use crate::lora::{Adapter, LoraConfig};
use crate::math::philox::{Stream, uniform};
use std::convert::Infallible;

pub fn tiny_config() -> LlamaConfig {
    LlamaConfig {
        hidden: 24,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 6,
        ffn: 40,
        vocab: 50,
        max_positions: 160,
        rms_eps: 1e-5,
        rope_theta: 10_000.0,
        tied: true,
        bos: None,
        eos: vec![0],
    }
}

/// SmolLM2-135M's shape.
pub fn smol_config(layers: usize) -> LlamaConfig {
    LlamaConfig {
        hidden: 576,
        layers,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        ffn: 1536,
        vocab: 49_152,
        max_positions: 2048,
        rms_eps: 1e-5,
        rope_theta: 100_000.0,
        tied: true,
        bos: None,
        eos: vec![0],
    }
}

pub fn random_weights(config: LlamaConfig, seed: u64) -> Weights {
    random_weights_as(Precision::F32, config, seed)
}

pub fn random_weights_as(precision: Precision, config: LlamaConfig, seed: u64) -> Weights {
    let mut lane = 0;
    let built: Result<_, Infallible> = Weights::build_as(precision, config, |name, shape| {
        lane += 1;
        let n = shape.iter().product::<usize>() as u64;
        let centre = if name.contains("norm") { 1.0 } else { 0.0 };
        Ok((0..n)
            .map(|i| centre + 0.4 * (uniform(seed, Stream::BaseInit, lane, i) - 0.5))
            .collect())
    });
    built.unwrap_or_else(|never| match never {})
}

/// The same model in int8.
pub fn in_int8(weights: &Weights) -> Weights {
    let mut tensors = weights.tensors().into_iter();
    let built: Result<_, Infallible> =
        Weights::build_as(Precision::Int8, weights.config.clone(), |_, _| {
            Ok(tensors.next().expect("as many tensors").2)
        });
    built.unwrap_or_else(|never| match never {})
}

/// An adapter with both factors away from zero.
pub fn random_adapter(config: &LlamaConfig, targets: &[Target], rank: usize, seed: u64) -> Adapter {
    let lora = LoraConfig::new(rank, 16.0, false, targets.to_vec()).expect("a valid LoRA shape");
    let flat: Vec<f32> = (0..lora.parameters(config) as u64)
        .map(|i| 0.3 * (uniform(seed, Stream::LoraInit, 999, i) - 0.5))
        .collect();
    Adapter::from_parameters(config, &lora, &flat)
}

pub fn tokens(seed: u64, n: usize, vocab: usize) -> Vec<u32> {
    (0..n as u64).map(|i| (uniform(seed, Stream::DataOrder, 7, i) * vocab as f32) as u32).collect()
}
