//! The learning-rate curve (linear warm-up, cosine down to a floor) and the order of the data.

use crate::math::double::sin_cos;
use crate::math::philox::permutation;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve {
    pub peak: f64,
    pub floor: f64,
    pub warmup: usize,
    pub steps: usize,
}

impl Curve {
    /// Rate of step 0..steps.
    pub fn at(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let span = (self.steps - self.warmup).max(1) as f64;
        let phase = (step - self.warmup) as f64 / span;
        let (_, cos) = sin_cos(std::f64::consts::PI * phase);
        self.floor + (self.peak - self.floor) * 0.5 * (1.0 + cos)
    }
}

/// Batches of sample indices: every epoch is a permutation drawn from (seed, epoch); the last batch of an
/// epoch may be smaller.
pub fn batches(samples: usize, batch: usize, epochs: usize, seed: u64) -> Vec<Vec<usize>> {
    (0..epochs)
        .flat_map(|epoch| {
            let order = permutation(seed, epoch as u32, samples);
            order.chunks(batch).map(<[usize]>::to_vec).collect::<Vec<_>>()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_climbs_to_its_peak_and_falls_to_its_floor() {
        let curve = Curve { peak: 1.0, floor: 0.1, warmup: 4, steps: 104 };
        assert_eq!(curve.at(0), 0.25);
        assert_eq!(curve.at(3), 1.0);
        assert_eq!(curve.at(4), 1.0);
        assert!((curve.at(54) - 0.55).abs() < 1e-12);
        assert!(curve.at(103) < 0.101);
    }

    #[test]
    fn each_epoch_visits_every_sample_once() {
        let all = batches(10, 4, 2, 5);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2, 4, 4, 2]);
        let mut first: Vec<usize> = all[..3].concat();
        assert_ne!(first, all[3..].concat());
        first.sort_unstable();
        assert!(first.into_iter().eq(0..10));
    }
}
