//! A made-up gradient source with the shape of LoRA gradients: activations and output gradients live
//! mostly in a few strong directions, contributors share a direction of their own, and the sampled
//! labels give output gradients of the same covariance without the contributor's part.

use crate::attribution::{FactorShape, GradientSink, GradientSource, Labels};

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, good enough for test data.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Roughly normal: four uniforms.
    pub fn normal(&mut self) -> f64 {
        let uniform = |r: &mut Self| (r.next() >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
        (uniform(self) + uniform(self) + uniform(self) + uniform(self)) * 3f64.sqrt()
    }
}

pub struct Synthetic {
    pub factors: Vec<FactorShape>,
    pub samples: usize,
    pub tokens: usize,
    pub contributors: usize,
    pub seed: u64,
}

impl Synthetic {
    pub fn small() -> Self {
        let factors = vec![shape(3, 10), shape(12, 3), shape(3, 7), shape(20, 3)];
        Self { factors, samples: 24, tokens: 5, contributors: 5, seed: 1 }
    }

    pub fn owners(&self) -> Vec<u32> {
        (0..self.samples).map(|i| (i % self.contributors) as u32).collect()
    }

    fn rows(&self, key: [u64; 4], dim: usize, owner: Option<usize>) -> Vec<f32> {
        let mut random = Random(key.iter().fold(self.seed, |h, k| Random(h ^ k).next()));
        let mut out = Vec::with_capacity(self.tokens * dim);
        for _ in 0..self.tokens {
            let shared = random.normal();
            for j in 0..dim {
                // A common strong direction, falling variances, and the owner's own pattern.
                let own = owner.map_or(0.0, |c| Random((c * dim + j) as u64 ^ key[3]).normal());
                let spread = 1.0 / (1.0 + j as f64);
                out.push((shared * 0.7 + spread.sqrt() * random.normal() + 0.5 * own) as f32);
            }
        }
        out
    }
}

pub fn shape(out_dim: usize, in_dim: usize) -> FactorShape {
    FactorShape { out_dim, in_dim }
}

impl GradientSource for Synthetic {
    fn factors(&self) -> &[FactorShape] {
        &self.factors
    }

    fn sample_count(&self) -> usize {
        self.samples
    }

    fn visit(&self, sample: usize, labels: Labels, sink: &mut GradientSink<'_>) {
        let owner = sample % self.contributors;
        for (f, shape) in self.factors.iter().enumerate() {
            let (label, who) = match labels {
                Labels::Data => (0, Some(owner)),
                Labels::Sampled { seed, draw } => {
                    (seed.wrapping_mul(77) + u64::from(draw) + 1, None)
                }
            };
            let a = self.rows([sample as u64, f as u64, 1 << 40, 3], shape.in_dim, Some(owner));
            let s = self.rows([sample as u64, f as u64, (1 << 41) + label, 5], shape.out_dim, who);
            sink(f, self.tokens, &a, &s);
        }
    }
}

/// The f64 gradient [out, in] of every factor, straight from the definition.
pub fn naive_gradients(source: &Synthetic, sample: usize, labels: Labels) -> Vec<Vec<f64>> {
    let mut all = vec![];
    source.visit(sample, labels, &mut |f, tokens, a, s| {
        let FactorShape { out_dim, in_dim } = source.factors[f];
        let mut g = vec![0.0; out_dim * in_dim];
        for t in 0..tokens {
            for o in 0..out_dim {
                for i in 0..in_dim {
                    g[o * in_dim + i] +=
                        f64::from(s[t * out_dim + o]) * f64::from(a[t * in_dim + i]);
                }
            }
        }
        all.push(g);
    });
    all
}
