//! AdamW (Loshchilov and Hutter) and plain SGD with decoupled weight decay, in f32 with every operation
//! written out, and clipping by the gradient's length.

use crate::gemm::BLOCK;
use crate::kernel;
use crate::memory::zeros;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptimizerKind {
    AdamW { beta1: f64, beta2: f64, eps: f64 },
    Sgd,
}

/// The numbers of one step, as every back end computes with them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Update {
    /// beta1, beta2, 1 - beta1, 1 - beta2; the corrections of both moments.
    AdamW {
        beta: [f32; 4],
        correction: [f32; 2],
        eps: f32,
    },
    Sgd,
}

/// Counts the steps of an optimiser.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    kind: OptimizerKind,
    /// beta1^t and beta2^t, by repeated multiplication.
    power1: f64,
    power2: f64,
}

impl Clock {
    pub fn new(kind: OptimizerKind) -> Self {
        Self { kind, power1: 1.0, power2: 1.0 }
    }

    /// The next step.
    pub fn tick(&mut self) -> Update {
        let OptimizerKind::AdamW { beta1, beta2, eps } = self.kind else { return Update::Sgd };
        self.power1 *= beta1;
        self.power2 *= beta2;
        Update::AdamW {
            beta: [beta1 as f32, beta2 as f32, (1.0 - beta1) as f32, (1.0 - beta2) as f32],
            correction: [(1.0 / (1.0 - self.power1)) as f32, (1.0 / (1.0 - self.power2)) as f32],
            eps: eps as f32,
        }
    }
}

/// What memory is for, in errors.
const MOMENTS: &str = "the optimiser's moments";

/// The CPU's optimiser: the moments of every parameter.
pub struct Optimizer {
    clock: Clock,
    m: Vec<f32>,
    v: Vec<f32>,
}

impl Optimizer {
    pub fn new(kind: OptimizerKind, parameters: usize) -> Self {
        let n = if kind == OptimizerKind::Sgd { 0 } else { parameters };
        Self { clock: Clock::new(kind), m: zeros(MOMENTS, n), v: zeros(MOMENTS, n) }
    }

    /// The moments (both empty for SGD).
    pub fn moments(&self) -> (&[f32], &[f32]) {
        (&self.m, &self.v)
    }

    /// Puts saved moments back; of the wrong length they are a caller's bug.
    pub fn set_moments(&mut self, m: Vec<f32>, v: Vec<f32>) {
        assert!(m.len() == self.m.len() && v.len() == self.v.len(), "moments of another shape");
        (self.m, self.v) = (m, v);
    }

    /// One step; `decay(i)` gives the weight decay of the segment that starts at parameter i, with its
    /// end: segments cover the parameters in order.
    pub fn step(
        &mut self,
        parameters: &mut [f32],
        gradient: &[f32],
        rate: f64,
        segments: &[(usize, f64)],
    ) {
        let update = self.clock.tick();
        self.apply(parameters, gradient, update, rate as f32, segments);
    }

    /// The same for a step that somebody else counts.
    pub fn apply(
        &mut self,
        parameters: &mut [f32],
        gradient: &[f32],
        update: Update,
        rate: f32,
        segments: &[(usize, f64)],
    ) {
        let mut from = 0;
        for &(to, decay) in segments {
            let range = from..to;
            let (p, g) = (&mut parameters[range.clone()], &gradient[range.clone()]);
            match update {
                Update::Sgd => sgd(p, g, rate, decay as f32),
                Update::AdamW { beta, correction, eps } => adamw(
                    p,
                    g,
                    &mut self.m[range.clone()],
                    &mut self.v[range],
                    beta,
                    correction,
                    eps,
                    rate,
                    decay as f32,
                ),
            }
            from = to;
        }
        assert_eq!(from, parameters.len(), "segments must cover the parameters");
    }
}

kernel! {
    fn adamw(
        p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32],
        beta: [f32; 4], correction: [f32; 2], eps: f32, rate: f32, decay: f32,
    ) {
        let n = p.len();
        let (g, m, v) = (&g[..n], &mut m[..n], &mut v[..n]);
        for i in 0..n {
            m[i] = beta[0].mul_add(m[i], beta[2] * g[i]);
            v[i] = beta[1].mul_add(v[i], beta[3] * (g[i] * g[i]));
            let update = (m[i] * correction[0]) / ((v[i] * correction[1]).sqrt() + eps);
            p[i] = (-rate).mul_add(decay.mul_add(p[i], update), p[i]);
        }
    }
}

kernel! {
    fn sgd(p: &mut [f32], g: &[f32], rate: f32, decay: f32) {
        for (p, g) in p.iter_mut().zip(g) {
            *p = (-rate).mul_add(decay.mul_add(*p, *g), *p);
        }
    }
}

/// Euclidean length: squares by the canonical rule in blocks, block sums in f64.
pub fn length(values: &[f32]) -> f64 {
    let mut total = 0.0;
    for block in values.chunks(BLOCK) {
        total += f64::from(squares(block));
    }
    total.sqrt()
}

kernel! {
    fn squares(values: &[f32]) -> f32 {
        let mut sum = 0f32;
        for v in values {
            sum = v.mul_add(*v, sum);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adamw_matches_the_published_update_in_double_precision() {
        let kind = OptimizerKind::AdamW { beta1: 0.9, beta2: 0.99, eps: 1e-8 };
        let mut optimizer = Optimizer::new(kind, 1);
        let mut p = [1.0f32];
        let (mut x, mut m, mut v) = (1.0f64, 0.0f64, 0.0f64);
        for t in 1..=20 {
            let g = 0.1 * f64::from(t) - 0.7;
            optimizer.step(&mut p, &[g as f32], 0.01, &[(1, 0.1)]);
            m = 0.9 * m + 0.1 * g;
            v = 0.99 * v + 0.01 * g * g;
            let hat = (m / (1.0 - 0.9f64.powi(t))) / ((v / (1.0 - 0.99f64.powi(t))).sqrt() + 1e-8);
            x -= 0.01 * (hat + 0.1 * x);
        }
        assert!((f64::from(p[0]) - x).abs() < 1e-6, "{} and {x}", p[0]);
    }
}
