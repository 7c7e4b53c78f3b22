//! Mean loss (nats a token) of token windows: `cargo run --release --example loss -- MODEL f32|int8 rows.jsonl`,
//! rows `{tokens}`.

use openledger_core::gradients::{Sample, check_samples, sample_losses};
use openledger_core::model::{Model, Precision};
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, precision, rows] = &args[..] else {
        return Err("usage: loss MODEL f32|int8 rows.jsonl".into());
    };
    let weights = Model::load_as(Path::new(path), Precision::from_name(precision)?)?.weights;
    let mut samples = vec![];
    for line in std::fs::read_to_string(rows)?.lines() {
        let row: serde_json::Value = serde_json::from_str(line)?;
        samples
            .push(Sample { tokens: serde_json::from_value(row["tokens"].clone())?, loss_from: 1 });
    }
    check_samples(&weights, &samples)?;
    let loss: f64 = sample_losses(&weights, None, &samples).iter().sum();
    let targets: usize = samples.iter().map(Sample::targets).sum();
    println!("{} {targets}", loss / targets as f64);
    Ok(())
}
