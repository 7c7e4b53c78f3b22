//! The slow, obvious twin of the forward pass, in f64 and straight from the formulas of the Llama
//! papers and Hugging Face's conventions. Only tests read it.

use super::config::Target;
use super::weights::Weights;

fn matrix(w: &[f32], x: &[f64], out: usize) -> Vec<f64> {
    let inn = x.len();
    (0..out).map(|o| (0..inn).map(|i| f64::from(w[o * inn + i]) * x[i]).sum()).collect()
}

fn norm(x: &[f64], w: &[f32], eps: f64) -> Vec<f64> {
    let mean = x.iter().map(|v| v * v).sum::<f64>() / x.len() as f64;
    x.iter().zip(w).map(|(v, w)| v / (mean + eps).sqrt() * f64::from(*w)).collect()
}

/// x1' = x1 cos - x2 sin, x2' = x2 cos + x1 sin for the halves of each head.
fn rotate(x: &mut [f64], head_dim: usize, position: usize, theta: f64) {
    let half = head_dim / 2;
    for head in x.chunks_exact_mut(head_dim) {
        for i in 0..half {
            let angle = position as f64 / theta.powf(2.0 * i as f64 / head_dim as f64);
            let (a, b) = (head[i], head[i + half]);
            head[i] = a * angle.cos() - b * angle.sin();
            head[i + half] = b * angle.cos() + a * angle.sin();
        }
    }
}

/// Logits of every position.
pub fn logits(weights: &Weights, tokens: &[u32]) -> Vec<Vec<f64>> {
    let c = &weights.config;
    let (d, h) = (c.head_dim, c.hidden);
    let embedding = weights.embedding.to_weight();
    let mut x: Vec<Vec<f64>> = tokens
        .iter()
        .map(|t| embedding[*t as usize * h..][..h].iter().map(|v| f64::from(*v)).collect())
        .collect();
    for layer in &weights.layers {
        let w = |target| layer.linear(target).to_weight();
        let apply = |target: Target, x: &[f64]| matrix(&w(target), x, c.linear_shape(target).0);
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for (position, x) in x.iter_mut().enumerate() {
            let normed = norm(x, &layer.attention_norm, c.rms_eps);
            let (mut q, mut k) = (apply(Target::Q, &normed), apply(Target::K, &normed));
            rotate(&mut q, d, position, c.rope_theta);
            rotate(&mut k, d, position, c.rope_theta);
            keys.push(k);
            values.push(apply(Target::V, &normed));
            let mut out = vec![0.0; c.heads * d];
            for head in 0..c.heads {
                let kv = head / (c.heads / c.kv_heads) * d;
                let query = &q[head * d..][..d];
                let score = |key: &Vec<f64>| {
                    let dot: f64 = query.iter().zip(&key[kv..]).map(|(a, b)| a * b).sum();
                    (dot / (d as f64).sqrt()).exp()
                };
                let scores: Vec<f64> = keys.iter().map(score).collect();
                let total: f64 = scores.iter().sum();
                for (score, value) in scores.iter().zip(&values) {
                    for i in 0..d {
                        out[head * d + i] += score / total * value[kv + i];
                    }
                }
            }
            let add = apply(Target::O, &out);
            x.iter_mut().zip(add).for_each(|(x, a)| *x += a);
            let normed = norm(x, &layer.mlp_norm, c.rms_eps);
            let gate = apply(Target::Gate, &normed);
            let up = apply(Target::Up, &normed);
            let inner: Vec<f64> =
                gate.iter().zip(up).map(|(g, u)| g / (1.0 + (-g).exp()) * u).collect();
            let add = apply(Target::Down, &inner);
            x.iter_mut().zip(add).for_each(|(x, a)| *x += a);
        }
    }
    let head = weights.head().to_weight();
    x.iter().map(|x| matrix(&head, &norm(x, &weights.final_norm, c.rms_eps), c.vocab)).collect()
}

#[test]
fn the_forward_pass_computes_what_the_formulas_say() {
    use super::forward::KvCache;
    use super::testing::{random_weights, tiny_config, tokens};
    for tied in [true, false] {
        let weights = random_weights(super::LlamaConfig { tied, ..tiny_config() }, 21);
        let ids = tokens(6, 90, 50);
        let want = logits(&weights, &ids);
        let hidden = weights.forward(None, &ids, &mut KvCache::new(&weights, 90), None);
        let got = weights.logits(&hidden);
        let mut largest = 0f64;
        for (got, want) in got.iter().zip(want.iter().flatten()) {
            largest = largest.max(want.abs());
            assert!((f64::from(*got) - want).abs() < 2e-5, "{got} and {want}");
        }
        assert!(largest > 0.5, "the logits are alive: {largest}");
    }
}
