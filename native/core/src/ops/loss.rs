//! Token cross-entropy from logits, its gradient, and the choice of labels.

use super::elementwise::{exp_shifted, max, sum};
use crate::gemm::BLOCK;
use crate::kernel;
use crate::math::single::ln;

/// What is left of a row of logits beside its probabilities.
#[derive(Clone, Copy)]
pub struct Partition {
    top: f32,
    /// Sum of exp(logit - top).
    total: f32,
}

impl Partition {
    /// -log p of the entry that had this logit.
    pub fn loss(self, logit: f32) -> f32 {
        ln(self.total) - (logit - self.top)
    }
}

/// Turns one row of logits into unnormalised probabilities, in place.
fn exponentiate(row: &mut [f32]) -> Partition {
    let top = max(row);
    exp_shifted(row, top);
    Partition { top, total: sum(row, BLOCK) }
}

/// -log p(label) of one row of logits.
pub fn cross_entropy(logits: &[f32], label: usize, scratch: &mut Vec<f32>) -> f32 {
    scratch.clear();
    scratch.extend_from_slice(logits);
    exponentiate(scratch).loss(logits[label])
}

kernel! {
    fn normalise(row: &mut [f32], inverse: f32) {
        for p in row.iter_mut() {
            *p *= inverse;
        }
    }
}

/// Turns one row of logits into probabilities, in place; less the one-hot label they are d(-log p(label)).
pub fn softmax(row: &mut [f32]) -> Partition {
    let partition = exponentiate(row);
    normalise(row, 1.0 / partition.total);
    partition
}

/// Replaces one row of logits by d(-log p(label)) = softmax - onehot(label), where the label may be chosen after seeing
/// the probabilities. Returns the loss.
pub fn cross_entropy_gradient(row: &mut [f32], choose: impl FnOnce(&[f32]) -> usize) -> f32 {
    let logits = row.to_vec();
    let partition = softmax(row);
    let label = choose(row);
    row[label] -= 1.0;
    partition.loss(logits[label])
}

/// Draws an index from probabilities (sum about 1) by u in [0, 1): the first whose running sum, in
/// ascending order in f64, exceeds u times the whole.
pub fn draw(probabilities: &[f32], u: f32) -> usize {
    let whole: f64 = probabilities.iter().fold(0.0, |a, p| a + f64::from(*p));
    let goal = whole * f64::from(u);
    let mut run = 0.0;
    for (i, p) in probabilities.iter().enumerate() {
        run += f64::from(*p);
        if run > goal {
            return i;
        }
    }
    probabilities.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_is_softmax_minus_one_hot() {
        let mut row = [1.0f32, 2.0, -1.0, 0.5];
        let z: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
        let want: Vec<f64> = row.iter().map(|x| f64::from(*x).exp() / z).collect();
        let mut scratch = vec![];
        let loss = cross_entropy(&row, 1, &mut scratch);
        assert!((f64::from(loss) + want[1].ln()).abs() < 1e-6);
        assert_eq!(cross_entropy_gradient(&mut row, |_| 1).to_bits(), loss.to_bits());
        for i in 0..4 {
            let hot = if i == 1 { 1.0 } else { 0.0 };
            assert!((f64::from(row[i]) - (want[i] - hot)).abs() < 1e-6);
        }
    }

    #[test]
    fn a_draw_lands_where_the_running_sum_passes_u() {
        let p = [0.25f32, 0.25, 0.5];
        assert_eq!([0.0, 0.3, 0.5, 0.99].map(|u| draw(&p, u)), [0, 1, 2, 2]);
    }
}
