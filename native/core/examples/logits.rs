//! What a model says after some tokens, for comparison with other engines:
//! `cargo run --release --example logits -- MODEL f32|int8 in.jsonl out.f32 choices.u32`.
//!
//! In: rows `{tokens}`. Out, little-endian: f32 logits at the last token of each row [rows, vocabulary], and the
//! greedy choice after every token of every row, row by row.

use openledger_core::model::forward::check_tokens;
use openledger_core::model::{KvCache, Model, Precision};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, precision, rows, out, out_choices] = &args[..] else {
        return Err("usage: logits MODEL f32|int8 in.jsonl out.f32 choices.u32".into());
    };
    let weights = Model::load_as(Path::new(path), Precision::from_name(precision)?)?.weights;
    let (mut bytes, mut choices) = (vec![], vec![]);
    for (i, line) in std::fs::read_to_string(rows)?.lines().enumerate() {
        let row: serde_json::Value = serde_json::from_str(line)?;
        let tokens: Vec<u32> = serde_json::from_value(row["tokens"].clone())?;
        check_tokens(&weights.config, &tokens, weights.config.max_positions)?;
        let mut cache = KvCache::new(&weights, tokens.len());
        let hidden = weights.forward(None, &tokens, &mut cache, None);
        let logits = weights.logits(&hidden);
        let positions = logits.chunks_exact(weights.config.vocab);
        choices.extend(positions.flat_map(|row| best(row).to_le_bytes()));
        let last = &logits[logits.len() - weights.config.vocab..];
        bytes.extend(last.iter().flat_map(|x| x.to_le_bytes()));
        eprint!("\rours: row {}", i + 1);
    }
    eprintln!();
    std::fs::write(out, bytes)?;
    Ok(std::fs::write(out_choices, choices)?)
}

fn best(logits: &[f32]) -> u32 {
    (0..logits.len()).fold(0, |b, i| if logits[i] > logits[b] { i } else { b }) as u32
}
