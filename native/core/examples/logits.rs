//! Logits at the last of some tokens, for comparison with other engines:
//! `cargo run --release --example logits -- MODEL f32|int8 in.jsonl out.f32`.
//!
//! In: rows `{tokens}`. Out: f32 little-endian [rows, vocabulary].

use openledger_core::model::forward::check_tokens;
use openledger_core::model::{KvCache, Model, Precision};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, precision, rows, out] = &args[..] else {
        return Err("usage: logits MODEL f32|int8 in.jsonl out.f32".into());
    };
    let weights = Model::load_as(Path::new(path), Precision::from_name(precision)?)?.weights;
    let mut bytes = vec![];
    for line in std::fs::read_to_string(rows)?.lines() {
        let row: serde_json::Value = serde_json::from_str(line)?;
        let tokens: Vec<u32> = serde_json::from_value(row["tokens"].clone())?;
        check_tokens(&weights.config, &tokens, weights.config.max_positions)?;
        let mut cache = KvCache::new(&weights, tokens.len());
        let hidden = weights.forward(None, &tokens, &mut cache, None);
        let last = &hidden[hidden.len() - weights.config.hidden..];
        bytes.extend(weights.logits(last).iter().flat_map(|x| x.to_le_bytes()));
    }
    Ok(std::fs::write(out, bytes)?)
}
