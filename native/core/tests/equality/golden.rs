//! A fixed list of results, each as one hash: computed on a card once and committed
//! (test/vectors/cuda/golden.json), computed on the CPU by every test run.

use openledger_core::attribution::{IndexConfig, build_index};
use openledger_core::cuda::Resident;
use openledger_core::generate::{Request, Sampler, generate, sampler::GREEDY};
use openledger_core::gradients::{LoraGradients, Sample, sample_losses, sketch_samples};
use openledger_core::hash::{finish, hex};
use openledger_core::lora::{Adapter, LoraConfig};
use openledger_core::model::config::Target;
use openledger_core::model::testing::{random_adapter, tokens};
use openledger_core::model::weights::Weights;
use openledger_core::train::{OptimizerKind, TrainConfig, train_lora};
use std::sync::Arc;
use tiny_keccak::{Hasher, Keccak};

/// Name and keccak-256 of each result.
pub type Vectors = Vec<(String, String)>;

pub fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut keccak = Keccak::v256();
    parts.into_iter().for_each(|part| keccak.update(part));
    hex(&finish(keccak))
}

fn float_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

fn answer(
    weights: &Weights,
    adapter: Option<&Adapter>,
    prompt: &[u32],
    n: usize,
    sampler: Sampler,
) -> String {
    let request = Request { prompt: prompt.to_vec(), max_tokens: n, sampler, stop: vec![] };
    let made = generate(weights, adapter, &request, &mut |_, _| true).expect("it runs");
    let ids: Vec<u8> = made.tokens.iter().flat_map(|t| t.to_le_bytes()).collect();
    hash(std::iter::once(&ids[..]).chain(made.trace.iter().map(|leaf| &leaf[..])))
}

pub fn samples(vocab: usize, count: usize, length: usize) -> Vec<Sample> {
    let one = |i: usize| Sample {
        tokens: tokens(100 + i as u64, length + i % 7, vocab),
        loss_from: 1 + i % 3,
    };
    (0..count).map(one).collect()
}

pub fn train_config(targets: &[Target], rank: usize, batch: usize) -> TrainConfig {
    TrainConfig {
        lora: LoraConfig::new(rank, 16.0, false, targets.to_vec()).expect("valid"),
        epochs: 2,
        batch,
        learning_rate: 2e-3,
        learning_rate_floor: 1e-4,
        warmup_steps: 2,
        weight_decay: 0.01,
        clip: 0.5,
        optimizer: OptimizerKind::AdamW { beta1: 0.9, beta2: 0.99, eps: 1e-8 },
        seed: 5,
    }
}

/// All results of one model: generation with and without adapter, losses, a short training run with its adapter's
/// bytes, an attribution index with its sketches.
pub fn of_model(name: &str, weights: &Weights, scale: usize) -> Vectors {
    let mut out = Vectors::new();
    let mut add = |what: &str, value: String| out.push((format!("{name}: {what}"), value));
    let vocab = weights.config.vocab;
    let prompt = tokens(9, 20 + 60 * scale, vocab);
    add("greedy answer and trace", answer(weights, None, &prompt, 8 + 24 * scale, GREEDY));
    let adapter = random_adapter(&weights.config, &Target::ALL, 8, 4);
    let hot = Sampler { temperature: 0.8, top_p: 0.9, seed: 3 };
    add(
        "sampled answer with adapter",
        answer(weights, Some(&adapter), &prompt, 8 + 24 * scale, hot),
    );
    let samples = samples(vocab, 4 + 4 * scale, 20 + 30 * scale);
    let losses = sample_losses(weights, Some(&adapter), &samples);
    add(
        "losses",
        hash(losses.iter().map(|l| l.to_le_bytes()).collect::<Vec<_>>().iter().map(|b| &b[..])),
    );
    let targets = [Target::Q, Target::V, Target::Gate, Target::Down];
    let config = train_config(&targets, 4, 3);
    let mut curve = vec![];
    let trained = train_lora(weights, &samples, &config, &mut |p| {
        curve.extend(p.loss.to_le_bytes());
        curve.extend(p.gradient_norm.to_le_bytes());
        true
    })
    .expect("it trains");
    add("training curve", hash([&curve[..]]));
    add("adapter after training", hash([&float_bytes(&trained.to_parameters())[..]]));
    // With fewer samples than the width the covariances are singular and their eigenvectors may not converge.
    if weights.config.hidden > 256 {
        return out;
    }
    let source = LoraGradients::new(weights, &trained, &samples).expect("it fits");
    let contributors: Vec<u32> = (0..samples.len() as u32).map(|i| i % 3).collect();
    let config = IndexConfig {
        contributors: &contributors,
        contributor_count: 3,
        k: 8,
        damping: 0.1,
        label_draws: 2,
        seed: 11,
    };
    let built = build_index(&source, &config, &mut |_, _, _| true).expect("it builds");
    add("index", hash([&built.index.to_bytes()[..]]));
    let sketches: Vec<u8> = built.sketches.iter().flat_map(|x| x.to_le_bytes()).collect();
    add("training sketches", hash([&sketches[..]]));
    let copy = Resident::empty();
    let trained = [Arc::new(trained)];
    let queries: Vec<u8> = sketch_samples(&built.index, &copy, weights, &trained, &samples)
        .expect("it sketches")
        .concat()
        .into_iter()
        .map(|x| x as u8)
        .collect();
    add("query sketches", hash([&queries[..]]));
    out
}
