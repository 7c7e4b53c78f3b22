//! How long an attribution index takes to build, without a model: n = 480 samples, P = 77,824 LoRA
//! parameters (4 layers, hidden 128, ffn 384, rank 8, all seven linears), C = 43 contributors, k = 64.
//! The gradients are made up, so the time is that of the attribution mathematics and of making them up
//! (shown apart). Run: cargo run --release -p openledger-core --example attribution_speed

use openledger_core::attribution::index::{Phase, STORAGE, Storage, build_index_with};
use openledger_core::attribution::linalg::symmetric_eigen;
use openledger_core::attribution::packed::Width;
use openledger_core::attribution::parallel::default_threads;
use openledger_core::attribution::score::raw_scores;
use openledger_core::attribution::simd::Level;
use openledger_core::attribution::stack::HOLD;
use openledger_core::attribution::{
    AttributionIndex, FactorShape, GradientSink, GradientSource, IndexConfig, Labels, sketch_query,
};
use std::time::Instant;

const TOKENS: usize = 64;
const SAMPLES: usize = 480;
const CONTRIBUTORS: usize = 43;

struct MadeUp {
    factors: Vec<FactorShape>,
    /// One long strip of numbers; every activation is a window of it.
    strip: Vec<f32>,
    contributors: usize,
}

impl MadeUp {
    fn new() -> Self {
        let linears =
            [(128, 128), (64, 128), (64, 128), (128, 128), (384, 128), (384, 128), (128, 384)];
        let mut factors = vec![];
        for _ in 0..4 {
            for (out, inner) in linears {
                factors.push(FactorShape { out_dim: 8, in_dim: inner });
                factors.push(FactorShape { out_dim: out, in_dim: 8 });
            }
        }
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let strip = (0..1 << 20).map(|_| uniform() + uniform() + uniform()).collect();
        Self { factors, strip, contributors: CONTRIBUTORS }
    }

    /// [TOKENS, dim] with falling variances and a part that the owner's samples share.
    fn rows(&self, key: usize, owner: usize, dim: usize, out: &mut Vec<f32>) {
        out.clear();
        let window = |key: usize| {
            &self.strip[key.wrapping_mul(2_654_435_761) % ((1 << 20) - TOKENS * dim)..]
        };
        let (own, rare) = (window(key), window(owner + 7919));
        for t in 0..TOKENS {
            for j in 0..dim {
                let spread = 8.0 / (8.0 + j as f32);
                out.push(spread * own[t * dim + j] + 0.25 * rare[j]);
            }
        }
    }
}

impl GradientSource for MadeUp {
    fn factors(&self) -> &[FactorShape] {
        &self.factors
    }

    fn sample_count(&self) -> usize {
        SAMPLES
    }

    fn visit(&self, sample: usize, labels: Labels, sink: &mut GradientSink<'_>) {
        let owner = sample % self.contributors;
        let (mut a, mut s) = (vec![], vec![]);
        for (f, shape) in self.factors.iter().enumerate() {
            let key = sample * 1000 + f;
            let (label, whose) = match labels {
                Labels::Data => (1, owner * 100 + f),
                Labels::Sampled { seed, draw } => {
                    (2 + seed as usize + draw as usize, key + draw as usize)
                }
            };
            self.rows(key, owner * 100 + f, shape.in_dim, &mut a);
            self.rows(key + label * 1_000_003, whose, shape.out_dim, &mut s);
            sink(f, TOKENS, &a, &s);
        }
    }
}

fn main() {
    let draws: u32 = std::env::args().nth(1).and_then(|x| x.parse().ok()).unwrap_or(2);
    let source = MadeUp::new();
    let owners: Vec<u32> = (0..SAMPLES).map(|i| (i % CONTRIBUTORS) as u32).collect();
    let config = IndexConfig {
        contributors: &owners,
        contributor_count: CONTRIBUTORS,
        k: 64,
        damping: 0.1,
        label_draws: draws,
        seed: 1,
    };

    let start = Instant::now();
    for sample in 0..SAMPLES {
        source.visit(sample, Labels::Data, &mut |_, _, _, _| {});
    }
    let once = start.elapsed().as_secs_f64();
    let visits = (draws + 1) as f64;
    println!("making up all gradients once: {once:.2} s on one thread, x {visits} in a build");

    let (start, mut phase_start, mut phase) = (Instant::now(), Instant::now(), Phase::Covariance);
    let mut report = |next: Phase, _: usize, _: usize| {
        if next != phase {
            println!("  {phase:?}: {:.2} s", phase_start.elapsed().as_secs_f64());
            (phase_start, phase) = (Instant::now(), next);
        }
        true
    };
    let threads = default_threads();
    let built =
        build_index_with((Level::detect(), threads), STORAGE, HOLD, &source, &config, &mut report)
            .unwrap();
    let parameters = built.index.parameters();
    println!(
        "build, n = {SAMPLES}, P = {parameters}, C = {CONTRIBUTORS}, k = 64, {draws} draws, {threads} threads: {:.2} s",
        start.elapsed().as_secs_f64()
    );

    let bytes = built.index.to_bytes();
    let start = Instant::now();
    let loaded = AttributionIndex::from_bytes(&bytes).unwrap();
    println!(
        "artefact {} bytes, loaded in {:.1} ms",
        bytes.len(),
        start.elapsed().as_secs_f64() * 1e3
    );
    let start = Instant::now();
    let query = sketch_query(&loaded, &source, 5).unwrap();
    println!("query sketch: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    for _ in 0..1000 {
        std::hint::black_box(raw_scores(
            Level::detect(),
            &built.sums,
            std::hint::black_box(&query),
        ));
    }
    println!("raw scores 43 x 64: {:.2} us", start.elapsed().as_secs_f64() * 1e3);
    let (sums, wide) = (vec![123_456i32; 1024 * 1000], vec![7i8; 1024]);
    let start = Instant::now();
    std::hint::black_box(raw_scores(Level::detect(), &sums, &wide));
    println!("raw scores 1000 x 1024: {:.2} ms", start.elapsed().as_secs_f64() * 1e3);

    for d in [384usize, 768, 1536] {
        let matrix: Vec<f64> =
            (0..d * d).map(|x| 1.0 / (1.0 + (x / d).abs_diff(x % d) as f64)).collect();
        let start = Instant::now();
        symmetric_eigen(Level::detect(), threads, &matrix, d).unwrap();
        println!("eigen-decomposition d = {d}: {:.2} s", start.elapsed().as_secs_f64());
    }
    compare_storage(&source, &config, threads);
}

/// Contributor scores of 60 foreign queries: each storage against 16-bit codes throughout.
fn compare_storage(source: &MadeUp, config: &IndexConfig<'_>, threads: usize) {
    let scores = |storage: Storage| -> (usize, Vec<Vec<i64>>) {
        let built = build_index_with(
            (Level::detect(), threads),
            storage,
            HOLD,
            source,
            config,
            &mut |_, _, _| true,
        )
        .unwrap();
        let queries = MadeUp { contributors: 37, ..MadeUp::new() };
        let score = |i| {
            raw_scores(
                Level::detect(),
                &built.sums,
                &sketch_query(&built.index, &queries, i).unwrap(),
            )
        };
        (built.index.to_bytes().len(), (0..60).map(|i| score(i * 7 + 3)).collect())
    };
    let (bytes, reference) =
        scores(Storage { eigenbasis: Width::Bits16, directions: Width::Bits16 });
    println!("storage 16/16 bits: {bytes} bytes");
    for (eigenbasis, directions) in [
        (Width::Bits16, Width::Bits8),
        (Width::Bits16, Width::Bits4),
        (Width::Bits8, Width::Bits8),
        (Width::Bits8, Width::Bits4),
        (Width::Bits4, Width::Bits4),
    ] {
        let (bytes, found) = scores(Storage { eigenbasis, directions });
        let each: Vec<f64> = reference.iter().zip(&found).map(|(x, y)| pearson(x, y)).collect();
        let mean = each.iter().sum::<f64>() / each.len() as f64;
        let worst = each.iter().fold(1.0f64, |m, r| m.min(*r));
        println!(
            "storage {}/{} bits: {bytes} bytes, correlation of contributor scores mean {mean:.5}, worst {worst:.5}",
            eigenbasis.bits(),
            directions.bits()
        );
    }
}

fn pearson(x: &[i64], y: &[i64]) -> f64 {
    let centred = |v: &[i64]| -> Vec<f64> {
        let mean = v.iter().sum::<i64>() as f64 / v.len() as f64;
        v.iter().map(|x| *x as f64 - mean).collect()
    };
    let (x, y) = (centred(x), centred(y));
    let dot = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>();
    dot(&x, &y) / (dot(&x, &x) * dot(&y, &y)).sqrt()
}
