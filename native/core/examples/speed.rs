//! Speed of the parts that matter, one line each: `cargo run --release --example speed`.

use openledger_core::gemm::{BLOCK, MatRef, Packed, gemm};
use openledger_core::generate::{Request, generate, sampler::GREEDY};
use openledger_core::gradients::Sample;
use openledger_core::lora::LoraConfig;
use openledger_core::math::simd;
use openledger_core::model::config::{LlamaConfig, Target};
use openledger_core::train::base::{BaseConfig, train_base};
use openledger_core::train::{OptimizerKind, TrainConfig, train_lora};
use std::time::Instant;

fn time(mut job: impl FnMut()) -> f64 {
    job();
    let start = Instant::now();
    let mut runs = 0;
    while start.elapsed().as_secs_f64() < 0.5 {
        job();
        runs += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(runs)
}

fn product(m: usize, n: usize, k: usize) {
    let a = vec![0.5f32; m * k];
    let b = Packed::from_weight(&vec![0.25; n * k], n, k);
    let mut c = vec![0f32; m * n];
    let s = time(|| gemm(MatRef::rows(&a, k), m, b.view(), &mut c, n, BLOCK));
    println!("gemm {m}x{n}x{k}: {:.1} GFLOP/s", 2e-9 * (m * n * k) as f64 / s);
}

fn main() {
    let threads: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    openledger_core::pool::build(threads).install(run);
}

fn run() {
    println!("{} with {} threads", simd::active().name(), rayon::current_num_threads());
    for (m, n, k) in [
        (1, 2048, 128),
        (1, 1536, 576),
        (64, 512, 512),
        (128, 344, 128),
        (128, 128, 344),
        (512, 1024, 1024),
    ] {
        product(m, n, k);
    }
    let model = LlamaConfig {
        hidden: 128,
        layers: 4,
        heads: 4,
        kv_heads: 2,
        head_dim: 32,
        ffn: 344,
        vocab: 2048,
        max_positions: 512,
        rms_eps: 1e-5,
        rope_theta: 10_000.0,
        tied: true,
        bos: None,
        eos: vec![],
    };
    println!("model of {} parameters", model.parameters());
    let stream: Vec<u32> = (0..20_000u32).map(|i| i.wrapping_mul(2_654_435_761) >> 21).collect();
    let optimizer = OptimizerKind::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8 };
    let base = BaseConfig {
        model,
        window: 128,
        batch: 16,
        steps: 6,
        learning_rate: 1e-3,
        learning_rate_floor: 1e-4,
        warmup_steps: 2,
        weight_decay: 0.1,
        clip: 1.0,
        optimizer,
        seed: 1,
    };
    let start = Instant::now();
    let weights = train_base(&stream, &base, &mut |_| true).expect("it trains");
    println!("pre-training: {:.0} tokens/s", (6 * 16 * 128) as f64 / start.elapsed().as_secs_f64());

    let samples: Vec<Sample> = stream
        .chunks_exact(64)
        .take(128)
        .map(|tokens| Sample { tokens: tokens.to_vec(), loss_from: 1 })
        .collect();
    let config = TrainConfig {
        lora: LoraConfig::new(8, 16.0, false, Target::ALL.to_vec()).expect("valid"),
        epochs: 1,
        batch: 8,
        learning_rate: 1e-3,
        learning_rate_floor: 0.0,
        warmup_steps: 2,
        weight_decay: 0.0,
        clip: 1.0,
        optimizer,
        seed: 1,
    };
    let start = Instant::now();
    let adapter = train_lora(&weights, &samples, &config, &mut |_| true).expect("it trains");
    println!("LoRA r8 all: {:.0} tokens/s", (128 * 64) as f64 / start.elapsed().as_secs_f64());

    let request =
        Request { prompt: stream[..32].to_vec(), max_tokens: 256, sampler: GREEDY, stop: vec![] };
    for adapter in [None, Some(&adapter)] {
        let start = Instant::now();
        let answer = generate(&weights, adapter, &request, &mut |_, _| true).expect("it runs");
        let rate = answer.tokens.len() as f64 / start.elapsed().as_secs_f64();
        println!("generate, adapter {}: {rate:.0} tokens/s", adapter.is_some());
    }
}
