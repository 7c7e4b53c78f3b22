//! What an adapter makes of some tokens, for comparison with other engines:
//! `cargo run --release --example adapter -- MODEL ADAPTER in.jsonl OUT`.
//!
//! In: rows `{tokens}`. Out, f32 little-endian: OUT/logits.f32 [rows, vocabulary] at the last token, and
//! OUT/gradients.f32 [rows, parameters], gradients of the token-summed cross-entropy: module by module, A before B.

use openledger_core::attribution::{GradientSource, Labels};
use openledger_core::gradients::{LoraGradients, Sample};
use openledger_core::lora::Adapter;
use openledger_core::model::{KvCache, Model, Precision};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, adapter, rows, out] = &args[..] else {
        return Err("usage: adapter MODEL ADAPTER in.jsonl OUT".into());
    };
    let weights = Model::load_as(Path::new(path), Precision::F32)?.weights;
    let adapter = Adapter::load(Path::new(adapter), &weights.config)?;
    let mut samples = vec![];
    for line in std::fs::read_to_string(rows)?.lines() {
        let row: serde_json::Value = serde_json::from_str(line)?;
        let tokens = serde_json::from_value(row["tokens"].clone())?;
        samples.push(Sample { tokens, loss_from: 1 });
    }
    let source = LoraGradients::new(&weights, &adapter, &samples)?;
    let (mut logits, mut gradients) = (vec![], vec![]);
    for (i, sample) in samples.iter().enumerate() {
        let mut cache = KvCache::new(&weights, sample.tokens.len());
        let hidden = weights.forward(Some(&adapter), &sample.tokens, &mut cache, None);
        logits.extend(weights.logits(&hidden[hidden.len() - weights.config.hidden..]));
        source.visit(i, Labels::Data, &mut |factor, rows, a, s| {
            let shape = source.factors()[factor];
            let mut sum = vec![0.0f64; shape.out_dim * shape.in_dim];
            for (a, s) in a.chunks_exact(shape.in_dim).zip(s.chunks_exact(shape.out_dim)).take(rows)
            {
                for (row, s) in sum.chunks_exact_mut(shape.in_dim).zip(s) {
                    row.iter_mut().zip(a).for_each(|(x, a)| *x += f64::from(*s) * f64::from(*a));
                }
            }
            gradients.extend(sum.iter().map(|x| *x as f32));
        });
    }
    for (name, values) in [("logits.f32", logits), ("gradients.f32", gradients)] {
        let bytes: Vec<u8> = values.iter().flat_map(|x: &f32| x.to_le_bytes()).collect();
        std::fs::write(Path::new(out).join(name), bytes)?;
    }
    Ok(())
}
