//! Single-stream decoding, one machine-readable line a figure: `cargo run --release --example decode -- MODEL
//! f32|int8 [CONTEXT] [TOKENS]`. Greedy, without the trace that receipts need, and once more with it.

use openledger_core::generate::{Request, generate, sampler::GREEDY};
use openledger_core::model::{KvCache, Model, Precision};
use std::error::Error;
use std::path::Path;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, precision, sizes @ ..] = &args[..] else {
        return Err("usage: decode MODEL f32|int8 [CONTEXT] [TOKENS]".into());
    };
    let size = |i: usize, or: usize| sizes.get(i).map_or(Ok(or), |text| text.parse());
    let (context, count) = (size(0, 64)?, size(1, 128)?);
    let weights = Model::load_as(Path::new(path), Precision::from_name(precision)?)?.weights;
    let vocab = weights.config.vocab;
    let prompt: Vec<u32> = (0..context).map(|i| (i * 7919 % vocab) as u32).collect();
    let mut rates = vec![];
    let mut prefills = vec![];
    for _ in 0..3 {
        let mut cache = KvCache::new(&weights, context + count + 1);
        let start = Instant::now();
        let hidden = weights.forward(None, &prompt, &mut cache, None);
        let mut token = best(&weights.logits(&hidden[hidden.len() - weights.config.hidden..]));
        prefills.push(context as f64 / start.elapsed().as_secs_f64());
        let start = Instant::now();
        for _ in 0..count {
            token = best(&weights.logits(&weights.forward(None, &[token], &mut cache, None)));
        }
        rates.push(count as f64 / start.elapsed().as_secs_f64());
    }
    let request = Request { prompt, max_tokens: count, sampler: GREEDY, stop: vec![] };
    let start = Instant::now();
    generate(&weights, None, &request, &mut |_, _| true)?;
    let traced =
        count as f64 / (start.elapsed().as_secs_f64() - context as f64 / median(&prefills));
    println!("decode-{precision} {:.1} tokens/s", median(&rates));
    println!("decode-{precision}-traced {traced:.1} tokens/s");
    println!("prefill-{precision} {:.1} tokens/s", median(&prefills));
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn best(logits: &[f32]) -> u32 {
    (0..logits.len()).fold(0, |b, i| if logits[i] > logits[b] { i } else { b }) as u32
}
