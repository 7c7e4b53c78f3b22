//! How much memory an attribution index takes to build, from made-up gradients of a few tokens: memory depends on
//! the numbers of samples, contributors, coordinates and parameters, not on what the gradients say.
//! Run: cargo run --release -p openledger-core --example index_memory -- SAMPLES CONTRIBUTORS K HIDDEN LAYERS
//! (one label draw; LoRA rank 8 on four square linears a layer; SmolLM2-135M with q, k, v, o: about 576 x 25)

use openledger_core::attribution::index::{Phase, build_index};
use openledger_core::attribution::{
    FactorShape, GradientSink, GradientSource, IndexConfig, Labels,
};
use std::time::Instant;

const TOKENS: usize = 4;
const RANK: usize = 8;

struct MadeUp {
    factors: Vec<FactorShape>,
    samples: usize,
    /// Every activation is a window of it.
    strip: Vec<f32>,
}

impl MadeUp {
    fn new(samples: usize, hidden: usize, layers: usize) -> Self {
        let pair = [
            FactorShape { out_dim: RANK, in_dim: hidden },
            FactorShape { out_dim: hidden, in_dim: RANK },
        ];
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let strip = (0..1 << 20).map(|_| uniform()).collect();
        Self { factors: pair.repeat(4 * layers), samples, strip }
    }

    fn window(&self, key: u64, length: usize) -> &[f32] {
        let from = key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let from = from as usize % (self.strip.len() - length);
        &self.strip[from..from + length]
    }
}

impl GradientSource for MadeUp {
    fn factors(&self) -> &[FactorShape] {
        &self.factors
    }

    fn sample_count(&self) -> usize {
        self.samples
    }

    fn visit(&self, sample: usize, labels: Labels, sink: &mut GradientSink<'_>) {
        let draw = u64::from(matches!(labels, Labels::Sampled { .. }));
        for (f, shape) in self.factors.iter().enumerate() {
            let key = (sample * self.factors.len() + f) as u64 * 4;
            let a = self.window(key, TOKENS * shape.in_dim);
            let s = self.window(key + 1 + draw, TOKENS * shape.out_dim);
            sink(f, TOKENS, a, s);
        }
    }
}

/// A field of /proc/self/status in MiB; 0 where there is none.
fn status_mib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|x| x.parse().ok());
    kib.unwrap_or(0u64) / 1024
}

fn main() {
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|x| x.parse().ok()).collect();
    let [samples, contributors, k, hidden, layers] = numbers[..] else {
        panic!("five numbers: SAMPLES CONTRIBUTORS K HIDDEN LAYERS");
    };
    let source = MadeUp::new(samples, hidden, layers);
    let owners: Vec<u32> = (0..samples).map(|i| (i % contributors) as u32).collect();
    let config = IndexConfig {
        contributors: &owners,
        contributor_count: contributors,
        k,
        damping: 0.1,
        label_draws: 1,
        seed: 1,
    };
    let (mut began, mut phase) = (Instant::now(), Phase::Covariance);
    let start = began;
    let mut report = |next: Phase, _: usize, _: usize| {
        if next != phase {
            let seconds = began.elapsed().as_secs_f64();
            println!("  {phase:?}: {seconds:.1} s, {} MiB resident", status_mib("VmRSS"));
            (began, phase) = (Instant::now(), next);
        }
        true
    };
    let built = build_index(&source, &config, &mut report).expect("builds");
    println!(
        "n = {samples}, C = {contributors}, k = {k}, P = {}: {:.1} s, at most {} MiB",
        built.index.parameters(),
        start.elapsed().as_secs_f64(),
        status_mib("VmHWM")
    );
}
