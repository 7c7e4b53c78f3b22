//! How long an attribution index of the embedded model takes, phase by phase: 430 samples of 64 tokens,
//! LoRA of rank 8 on all seven linears, 43 contributors, k = 64, 2 label draws. Tokens and adapter are
//! made up (the time does not depend on them); the last line is a fingerprint of everything built, so
//! that a change meant to be only faster shows it is.
//! Run in native/: cargo run --release -p openledger-core --example index_speed [models/base] [samples]

use openledger_core::attribution::{GradientSource, IndexConfig, Labels, Phase, build_index};
use openledger_core::gradients::{LoraGradients, Sample};
use openledger_core::lora::{Adapter, LoraConfig};
use openledger_core::model::Model;
use openledger_core::model::config::Target;
use std::time::Instant;

const TOKENS: usize = 64;
const CONTRIBUTORS: usize = 43;

/// Numbers in [-1, 1) from a linear congruential generator (Knuth's MMIX constants).
fn numbers(seed: u64) -> impl FnMut() -> f32 {
    let mut state = seed;
    move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().unwrap_or_else(|| "models/base".into());
    let count: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(430);
    let model = Model::load(dir.as_ref()).unwrap();
    let shape = &model.weights.config;

    let config = LoraConfig::new(8, 16.0, false, Target::ALL.to_vec()).unwrap();
    let mut parameters = Adapter::initial_parameters(shape, &config, 1);
    let mut next = numbers(7);
    parameters.iter_mut().for_each(|x| *x += 0.02 * next());
    let adapter = Adapter::from_parameters(shape, &config, &parameters);
    let mut next = numbers(8);
    let mut token = || ((next() + 1.0) * 0.5 * (shape.vocab - 1) as f32) as u32;
    let samples: Vec<Sample> = (0..count)
        .map(|_| Sample { tokens: (0..TOKENS).map(|_| token()).collect(), loss_from: 1 })
        .collect();
    let source = LoraGradients::new(&model.weights, &adapter, &samples).unwrap();
    let threads = openledger_core::pool::threads();
    let start = Instant::now();
    let walked = count.min(32);
    (0..walked).for_each(|i| source.visit(i, Labels::Data, &mut |_, _, _, _| {}));
    let once = start.elapsed().as_secs_f64() * count as f64 / walked as f64;
    println!("{threads} threads; all gradients once, one sample at a time: {once:.2} s");

    let owners: Vec<u32> = (0..count).map(|i| (i % CONTRIBUTORS) as u32).collect();
    let config = IndexConfig {
        contributors: &owners,
        contributor_count: CONTRIBUTORS,
        k: 64,
        damping: 0.1,
        label_draws: 2,
        seed: 1,
    };
    let (start, mut phase_start, mut phase) = (Instant::now(), Instant::now(), Phase::Covariance);
    let built = build_index(&source, &config, &mut |next, _, _| {
        if next != phase {
            println!("  {phase:?}: {:.2} s", phase_start.elapsed().as_secs_f64());
            (phase_start, phase) = (Instant::now(), next);
        }
        true
    })
    .unwrap();
    println!("  {phase:?}: {:.2} s", phase_start.elapsed().as_secs_f64());
    println!("index of {count} samples: {:.2} s", start.elapsed().as_secs_f64());

    let bytes = built.index.to_bytes();
    let sketches = built.sketches.iter().flat_map(|x| x.to_le_bytes());
    // FNV-1a.
    let fingerprint = bytes
        .iter()
        .copied()
        .chain(built.scale.to_le_bytes())
        .chain(sketches)
        .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    println!("{} bytes, fingerprint {fingerprint:016x}", bytes.len());
}
