use super::base::{BaseConfig, gradient_of, rebuild, train_base};
use super::lora::{
    Checkpoints, RunOptions, TrainConfig, lora_gradient, train_lora, train_lora_with,
};
use super::*;
use crate::attribution::{Ensemble, GradientSource, Labels};
use crate::gradients::{LoraGradients, Sample, sample_loss};
use crate::lora::{Adapter, LoraConfig};
use crate::math::simd;
use crate::model::config::Target;
use crate::model::forward::KvCache;
use crate::model::testing::{random_adapter, random_weights, tiny_config, tokens};

fn samples(n: usize) -> Vec<Sample> {
    (0..n)
        .map(|i| Sample { tokens: tokens(100 + i as u64, 9 + i % 5, 50), loss_from: 1 + i % 3 })
        .collect()
}

fn train_config(epochs: usize) -> TrainConfig {
    TrainConfig {
        lora: LoraConfig::new(4, 8.0, false, Target::ALL.to_vec()).expect("valid"),
        epochs,
        batch: 4,
        learning_rate: 0.01,
        learning_rate_floor: 0.001,
        warmup_steps: 2,
        weight_decay: 0.01,
        clip: 1.0,
        optimizer: OptimizerKind::AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8 },
        seed: 5,
    }
}

/// Directional finite difference: (L(p + e d) - L(p - e d)) / 2e against <gradient, d>, where d is the
/// gradient's own direction restricted to one range of parameters.
fn directional(
    flat: &[f32],
    g: &[f32],
    range: std::ops::Range<usize>,
    loss: impl Fn(&[f32]) -> f64,
) {
    let length = g[range.clone()].iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    assert!(length > 1e-4, "the gradient over {range:?} is alive");
    let e = 2e-3;
    let moved = |sign: f64| {
        let mut p = flat.to_vec();
        for i in range.clone() {
            p[i] += (sign * e * f64::from(g[i]) / length) as f32;
        }
        loss(&p)
    };
    let slope = (moved(1.0) - moved(-1.0)) / (2.0 * e);
    assert!((slope / length - 1.0).abs() < 0.01, "{range:?}: slope {slope}, gradient {length}");
}

#[test]
fn every_tensor_of_the_full_gradient_matches_finite_differences() {
    for tied in [true, false] {
        let weights = random_weights(crate::model::LlamaConfig { tied, ..tiny_config() }, 3);
        let sample = Sample { tokens: tokens(8, 20, 50), loss_from: 4 };
        let flat: Vec<f32> = weights.tensors().into_iter().flat_map(|t| t.2).collect();
        let (loss, g) = gradient_of(&weights, &sample);
        assert!((loss - sample_loss(&weights, None, &sample)).abs() < 1e-4);
        let mut at = 0;
        for (_, _, values) in weights.tensors() {
            let range = at..at + values.len();
            at += values.len();
            directional(&flat, &g, range, |p| sample_loss(&rebuild(&weights, p), None, &sample));
        }
    }
}

#[test]
fn every_lora_factor_gradient_matches_finite_differences() {
    let weights = random_weights(tiny_config(), 3);
    let adapter = random_adapter(&weights.config, &Target::ALL, 3, 4);
    let sample = Sample { tokens: tokens(9, 20, 50), loss_from: 2 };
    let flat = adapter.to_parameters();
    let (_, g) = lora_gradient(&weights, &adapter, &sample);
    let mut at = 0;
    for m in adapter.modules() {
        for n in [m.a().len(), m.b().len()] {
            directional(&flat, &g, at..at + n, |p| {
                let moved = Adapter::from_parameters(&weights.config, &adapter.config, p);
                sample_loss(&weights, Some(&moved), &sample)
            });
            at += n;
        }
    }
}

#[test]
fn the_factors_shown_to_attribution_multiply_out_to_the_training_gradient() {
    let weights = random_weights(tiny_config(), 3);
    let targets = [Target::Q, Target::V, Target::Down];
    let adapter = random_adapter(&weights.config, &targets, 3, 4);
    let all = samples(3);
    let source = LoraGradients::new(&weights, &adapter, &all).expect("it fits");
    for (i, sample) in all.iter().enumerate() {
        let (_, want) = lora_gradient(&weights, &adapter, sample);
        let mut got = Vec::new();
        source.visit(i, Labels::Data, &mut |factor, rows, a, s| {
            let shape = source.factors()[factor];
            for o in 0..shape.out_dim {
                for x in 0..shape.in_dim {
                    let at = |t: usize| s[t * shape.out_dim + o] * a[t * shape.in_dim + x];
                    got.push((0..rows).map(at).sum::<f32>());
                }
            }
        });
        assert_eq!(got.len(), want.len());
        let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "sample {i}: {worst}");
    }
}

#[test]
fn drawn_labels_differ_between_draws_and_repeat_for_one() {
    let weights = random_weights(tiny_config(), 3);
    let adapter = random_adapter(&weights.config, &[Target::V], 2, 4);
    let all = samples(1);
    let source = LoraGradients::new(&weights, &adapter, &all).expect("it fits");
    let of = |draw| {
        let mut bits = Vec::new();
        source.visit(0, Labels::Sampled { seed: 1, draw }, &mut |_, _, _, s| {
            bits.extend(s.iter().map(|x| x.to_bits()));
        });
        bits
    };
    assert_eq!(of(0), of(0));
    assert_ne!(of(0), of(1));
}

#[test]
fn choices_of_labels_visited_together_have_the_bytes_of_each_alone() {
    let weights = random_weights(tiny_config(), 3);
    let adapters = [
        random_adapter(&weights.config, &Target::ALL, 2, 4),
        random_adapter(&weights.config, &[Target::V, Target::Up], 3, 5),
    ];
    let all = samples(2);
    let member = |adapter| LoraGradients::new(&weights, adapter, &all).expect("it fits");
    let source = Ensemble::new(adapters.iter().map(member).collect()).expect("one sample list");
    let drawn = |draw| Labels::Sampled { seed: 1, draw };
    let choices = [drawn(0), Labels::Data, drawn(1)];
    let mut together = vec![vec![]; choices.len()];
    source.visit_each(1, &choices, &mut |choice, factor, rows, a, s| {
        together[choice].push((factor, rows, a.to_vec(), s.to_vec()));
    });
    for (labels, together) in choices.iter().zip(together) {
        let mut alone = vec![];
        source.visit(1, *labels, &mut |factor, rows, a, s| {
            alone.push((factor, rows, a.to_vec(), s.to_vec()));
        });
        assert_eq!(together, alone);
    }
}

#[test]
fn factors_that_are_said_to_read_the_same_do() {
    let weights = random_weights(tiny_config(), 3);
    let adapter = random_adapter(&weights.config, &Target::ALL, 2, 4);
    let all = samples(1);
    let source = LoraGradients::new(&weights, &adapter, &all).expect("it fits");
    let mut read: Vec<Vec<f32>> = vec![];
    source.visit(0, Labels::Data, &mut |_, _, a, _| read.push(a.to_vec()));
    let inputs = source.inputs();
    // Q, K, V; O; gate, up; down: factor A of each, then B.
    let layer = [0, 1, 0, 3, 0, 5, 6, 7, 8, 9, 8, 11, 12, 13];
    assert_eq!(inputs[..14], layer);
    assert_eq!(inputs[14..28], layer.map(|factor| 14 + factor));
    for (factor, input) in inputs.into_iter().enumerate() {
        assert_eq!(read[factor], read[input], "factor {factor}");
    }
}

#[test]
fn an_adapter_with_zero_b_is_the_base_to_the_bit() {
    let weights = random_weights(tiny_config(), 3);
    let lora = LoraConfig::new(4, 16.0, true, Target::ALL.to_vec()).expect("valid");
    let flat = Adapter::initial_parameters(&weights.config, &lora, 77);
    let adapter = Adapter::from_parameters(&weights.config, &lora, &flat);
    let ids = tokens(1, 40, 50);
    let run = |adapter: Option<&Adapter>| {
        let hidden = weights.forward(adapter, &ids, &mut KvCache::new(&weights, 40), None);
        hidden.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
    };
    assert_eq!(run(None), run(Some(&adapter)));
}

#[test]
fn chunks_of_any_size_and_every_simd_level_give_the_same_bits() {
    let weights = random_weights(tiny_config(), 3);
    let adapter = random_adapter(&weights.config, &Target::ALL, 3, 4);
    let ids = tokens(2, 150, 50);
    let run = |chunk: usize| {
        let mut cache = KvCache::new(&weights, ids.len());
        let mut bits = Vec::new();
        for part in ids.chunks(chunk) {
            let hidden = weights.forward(Some(&adapter), part, &mut cache, None);
            bits.extend(weights.logits(&hidden).iter().map(|x| x.to_bits()));
        }
        bits
    };
    let want = run(150);
    for chunk in [1, 7, 64, 100] {
        assert_eq!(run(chunk), want, "chunks of {chunk}");
    }
    for level in simd::supported() {
        simd::set_active(level);
        assert_eq!(run(64), want, "{level:?}");
    }
    simd::set_active(simd::detect());
}

#[test]
fn training_gives_the_same_adapter_on_one_thread_and_on_three() {
    let weights = random_weights(tiny_config(), 3);
    let all = samples(10);
    let run = |threads| {
        crate::pool::build(threads)
            .install(|| train_lora(&weights, &all, &train_config(3), &mut |_| true))
            .expect("it trains")
            .to_parameters()
            .iter()
            .map(|x| x.to_bits())
            .collect::<Vec<_>>()
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn training_lowers_the_loss_and_reports_each_step() {
    let weights = random_weights(tiny_config(), 3);
    let all = samples(8);
    let mut seen = Vec::new();
    let adapter = train_lora(&weights, &all, &train_config(30), &mut |p| {
        seen.push(p);
        true
    })
    .expect("it trains");
    assert_eq!((seen.len(), seen[0].steps, seen[59].step), (60, 60, 60));
    let total = |a: Option<&Adapter>| all.iter().map(|s| sample_loss(&weights, a, s)).sum::<f64>();
    assert!(
        total(Some(&adapter)) < 0.6 * total(None),
        "from {} to {}",
        total(None),
        total(Some(&adapter))
    );
}

#[test]
fn a_false_callback_cancels_and_a_bad_sample_is_named() {
    let weights = random_weights(tiny_config(), 3);
    let mut all = samples(8);
    let error =
        train_lora(&weights, &all, &train_config(3), &mut |p| p.step < 2).expect_err("cancelled");
    assert_eq!(error.code, crate::ErrorCode::Cancelled);
    all[5].loss_from = 0;
    let error = train_lora(&weights, &all, &train_config(3), &mut |_| true).expect_err("refused");
    assert!(error.message.starts_with("sample 5: lossFrom is 0"), "{error}");
}

#[test]
fn a_rate_that_explodes_ends_in_an_error_not_in_an_adapter() {
    let weights = random_weights(tiny_config(), 3);
    let mut config = train_config(20);
    config.optimizer = OptimizerKind::Sgd;
    (config.learning_rate, config.clip) = (1e30, 0.0);
    let error = train_lora(&weights, &samples(8), &config, &mut |_| true).expect_err("it diverges");
    assert_eq!(error.code, crate::ErrorCode::Diverged);
}

#[test]
fn a_tiny_base_learns_a_repeating_text_and_twice_gives_the_same_bytes() {
    let model = crate::model::LlamaConfig { vocab: 12, ..tiny_config() };
    let stream: Vec<u32> = (0..400).map(|i| [3, 1, 4, 1, 5, 9, 2, 6][i % 8]).collect();
    let config = BaseConfig {
        model,
        window: 16,
        batch: 4,
        steps: 60,
        learning_rate: 0.01,
        learning_rate_floor: 0.001,
        warmup_steps: 5,
        weight_decay: 0.01,
        clip: 1.0,
        optimizer: OptimizerKind::AdamW { beta1: 0.9, beta2: 0.95, eps: 1e-8 },
        seed: 1,
    };
    let mut last = f64::NAN;
    let mut run = || {
        let weights = train_base(&stream, &config, &mut |p| {
            last = p.loss;
            true
        });
        weights.expect("it trains").tensors()
    };
    assert_eq!(run(), run());
    assert!(last < 0.3, "loss {last}");
}

/// A folder of this test's own, taken away at the end.
struct Temporary(std::path::PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("openledger-{name}-{}", std::process::id()));
        std::fs::remove_dir_all(&dir).ok();
        Self(dir)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn with_checkpoints(dir: &std::path::Path, resume: bool) -> RunOptions {
    let checkpoints =
        Checkpoints { dir: dir.to_path_buf(), every: 2, resume, base_name: String::new() };
    RunOptions {
        evaluation: samples(14)[10..].to_vec(),
        checkpoints: Some(checkpoints),
        ..RunOptions::default()
    }
}

#[test]
fn a_run_that_was_cut_short_goes_on_and_ends_with_the_same_bytes() {
    let weights = random_weights(tiny_config(), 3);
    let all = samples(10);
    for optimizer in [OptimizerKind::Sgd, train_config(3).optimizer] {
        let config = TrainConfig { optimizer, ..train_config(3) };
        let want = train_lora(&weights, &all, &config, &mut |_| true).expect("it trains");
        let folder = Temporary::new("resume");
        // Nine steps; stopped after the fifth, whose last checkpoint is of the fourth.
        let options = with_checkpoints(&folder.0, true);
        train_lora_with(&weights, &all, &config, &options, &mut |p| p.step < 5)
            .expect_err("cancelled");
        let mut steps = vec![];
        let trained = train_lora_with(&weights, &all, &config, &options, &mut |p| {
            steps.push(p.step);
            true
        })
        .expect("it goes on");
        assert_eq!(steps, [5, 6, 7, 8, 9]);
        assert_eq!(trained.adapter.to_parameters(), want.to_parameters());
        let early = Adapter::load(&folder.0.join("checkpoint-2"), &weights.config);
        assert!(early.is_ok(), "an older checkpoint stays an adapter");
        assert!(!folder.0.join("checkpoint-2/training_state.json").exists());
        let other = TrainConfig { seed: 6, ..config };
        let error = train_lora_with(&weights, &all, &other, &options, &mut |_| true);
        assert!(error.expect_err("refused").message.contains("belongs to another run"));
    }
}

#[test]
fn a_batch_in_parts_has_the_bytes_of_a_batch_at_once() {
    let weights = random_weights(tiny_config(), 3);
    let all = samples(10);
    let want = train_lora(&weights, &all, &train_config(2), &mut |_| true).expect("it trains");
    let options = RunOptions { together: 3, ..RunOptions::default() };
    let got = train_lora_with(&weights, &all, &train_config(2), &options, &mut |_| true);
    assert_eq!(got.expect("it trains").adapter.to_parameters(), want.to_parameters());
}

#[test]
fn a_run_without_progress_stops_and_keeps_its_best_adapter() {
    let weights = random_weights(tiny_config(), 3);
    let all = samples(14);
    // Random tokens: what is learnt of the first samples does not help the others for long.
    let options =
        RunOptions { evaluation: all[10..].to_vec(), patience: 2, ..RunOptions::default() };
    let mut seen = vec![];
    let trained = train_lora_with(&weights, &all[..10], &train_config(60), &options, &mut |p| {
        seen.extend(p.evaluation);
        true
    })
    .expect("it trains");
    let (step, loss) = trained.best.expect("it was evaluated");
    assert!(trained.steps < 180, "{} steps", trained.steps);
    assert_eq!((step, trained.steps), (3 * (seen.len() - 2), 3 * seen.len()));
    assert_eq!(seen.iter().copied().fold(f64::MAX, f64::min), loss);
    let evaluated: f64 =
        all[10..].iter().map(|s| sample_loss(&weights, Some(&trained.adapter), s)).sum();
    let targets: usize = all[10..].iter().map(Sample::targets).sum();
    assert!((evaluated / targets as f64 - loss).abs() < 1e-9);
}

#[test]
fn a_run_goes_on_from_an_adapter_of_its_own_shape() {
    let weights = random_weights(tiny_config(), 3);
    let (samples, config) = (samples(10), train_config(2));
    let first = train_lora(&weights, &samples, &config, &mut |_| true).unwrap();
    let parent = std::sync::Arc::new(first);
    let options = RunOptions { initial: Some(parent.clone()), ..RunOptions::default() };
    let mut losses = vec![];
    let run = |options: &RunOptions, losses: &mut Vec<f64>| {
        train_lora_with(&weights, &samples, &config, options, &mut |p| {
            losses.push(p.loss);
            true
        })
    };
    let second = run(&options, &mut losses).unwrap().adapter;
    assert_ne!(second.to_parameters(), parent.to_parameters());
    let mut fresh = vec![];
    run(&RunOptions::default(), &mut fresh).unwrap();
    assert!(losses[0] < fresh[0], "it begins where the parent ended");
    let other = TrainConfig {
        lora: LoraConfig::new(3, 6.0, false, vec![Target::ALL[0]]).unwrap(),
        ..config.clone()
    };
    let refused = train_lora_with(&weights, &samples, &other, &options, &mut |_| true);
    assert!(refused.expect_err("another shape").message.contains("go on from"));
}
