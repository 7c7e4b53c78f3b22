//! From logits to a token. Greedy takes the lowest id among equals. Otherwise tokens are ordered by (logit
//! descending, id ascending), cut to the shortest head that holds `top_p` of the mass, and one is
//! drawn by the counter PRNG at (seed, position).

use crate::gemm::BLOCK;
use crate::math::philox::{Stream, uniform};
use crate::ops::elementwise::{exp_shifted, sum};
use crate::ops::loss::draw;
use crate::{Result, bail};

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// 0 is greedy.
    pub temperature: f32,
    /// In (0, 1]; 1 keeps all tokens.
    pub top_p: f32,
    pub seed: u64,
}

pub const GREEDY: Sampler = Sampler { temperature: 0.0, top_p: 1.0, seed: 0 };
pub const TEMPERATURE_MAX: f32 = 100.0;

/// Orders as the float does, NaN lowest; both zeros equal.
fn rank(x: f32) -> u32 {
    if x.is_nan() {
        return 0;
    }
    let bits = (x + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 0x8000_0000 } else { !bits }
}

impl Sampler {
    pub fn check(&self) -> Result<()> {
        let hot = (1e-3..=TEMPERATURE_MAX).contains(&self.temperature);
        if !(self.temperature == 0.0 || hot) {
            let max = TEMPERATURE_MAX;
            bail!(BadInput, "temperature {} must be 0 or 0.001..={max}", self.temperature);
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            bail!(BadInput, "topP {} must be in (0, 1]", self.top_p);
        }
        Ok(())
    }

    /// The token for `position` from one row of logits.
    pub fn choose(&self, logits: &[f32], position: u32) -> u32 {
        if self.temperature == 0.0 {
            let mut best = 0;
            for (id, x) in logits.iter().enumerate() {
                if rank(*x) > rank(logits[best]) {
                    best = id;
                }
            }
            return best as u32;
        }
        // High word: rank; low word: lower ids first.
        let mut order: Vec<u64> = logits
            .iter()
            .enumerate()
            .map(|(id, x)| (u64::from(rank(*x)) << 32) | u64::from(!(id as u32)))
            .collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        let ids: Vec<u32> = order.into_iter().map(|key| !(key as u32)).collect();
        let inverse = 1.0 / self.temperature;
        let mut p: Vec<f32> = ids.iter().map(|id| logits[*id as usize] * inverse).collect();
        let top = p[0];
        exp_shifted(&mut p, top);
        p.iter_mut().for_each(|x| *x = if x.is_nan() { 0.0 } else { *x });
        let goal = self.top_p * sum(&p, BLOCK);
        let mut mass = 0.0;
        let keep = p.iter().position(|x| {
            mass += x;
            mass >= goal
        });
        let head = &p[..keep.map_or(p.len(), |i| i + 1)];
        ids[draw(head, uniform(self.seed, Stream::Sampling, 0, u64::from(position)))]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_ties_go_to_the_lowest_id_and_nan_never_wins() {
        assert_eq!(GREEDY.choose(&[f32::NAN, 1.0, 2.0, 2.0], 0), 2);
        assert_eq!(GREEDY.choose(&[-0.0, 0.0], 0), 0);
    }

    #[test]
    fn a_small_top_p_keeps_only_the_likeliest() {
        let sampler = Sampler { temperature: 1.0, top_p: 0.3, seed: 9 };
        for position in 0..200 {
            assert_eq!(sampler.choose(&[0.1, 3.0, 0.2, 3.0], position), 1);
        }
    }

    #[test]
    fn draws_follow_the_softmax_and_depend_only_on_seed_and_position() {
        let logits = [0.0f32, 1.0, 2.0];
        let sampler = Sampler { temperature: 1.0, top_p: 1.0, seed: 3 };
        let z: f64 = logits.iter().map(|x| f64::from(*x).exp()).sum();
        let mut count = [0u32; 3];
        for position in 0..20_000 {
            let token = sampler.choose(&logits, position);
            assert_eq!(token, sampler.choose(&logits, position));
            count[token as usize] += 1;
        }
        for (n, x) in count.iter().zip(logits) {
            let share = f64::from(*n) / 20_000.0;
            assert!((share - f64::from(x).exp() / z).abs() < 0.015, "{share}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for (temperature, top_p) in
            [(-1.0, 1.0), (f32::NAN, 1.0), (1.0, 0.0), (1.0, 1.1), (1e-9, 1.0)]
        {
            assert!(Sampler { temperature, top_p, seed: 0 }.check().is_err());
        }
    }
}
