//! SwiGLU's gate and the small additions between operators.

use crate::kernel;
use crate::math::single::{exp, sigmoid};

kernel! {
    /// out = silu(gate) * up.
    pub fn silu_mul(gate: &[f32], up: &[f32], out: &mut [f32]) {
        for ((o, g), u) in out.iter_mut().zip(gate).zip(up) {
            *o = (*g * sigmoid(*g)) * *u;
        }
    }
}

kernel! {
    /// Gradients of `silu_mul`: silu'(g) = s (1 + g (1 - s)), s = sigmoid(g).
    pub fn silu_mul_backward(
        gate: &[f32],
        up: &[f32],
        d_out: &[f32],
        d_gate: &mut [f32],
        d_up: &mut [f32],
    ) {
        let n = d_out.len();
        let (gate, up, d_gate, d_up) = (&gate[..n], &up[..n], &mut d_gate[..n], &mut d_up[..n]);
        for i in 0..n {
            let (g, d) = (gate[i], d_out[i]);
            let s = sigmoid(g);
            d_up[i] = d * (g * s);
            d_gate[i] = d * up[i] * (s * g.mul_add(1.0 - s, 1.0));
        }
    }
}

kernel! {
    /// to += from.
    pub fn add_into(to: &mut [f32], from: &[f32]) {
        for (t, f) in to.iter_mut().zip(from) {
            *t += *f;
        }
    }
}

kernel! {
    /// to += scale * low, the LoRA update on top of the base output. A zero update leaves the base's
    /// bits alone (even the sign of a zero), so an adapter with B = 0 is the base exactly.
    pub fn add_scaled(to: &mut [f32], low: &[f32], scale: f32) {
        for (t, l) in to.iter_mut().zip(low) {
            *t = if *l == 0.0 { *t } else { scale.mul_add(*l, *t) };
        }
    }
}

kernel! {
    /// values *= scale.
    pub fn scale(values: &mut [f32], factor: f32) {
        for v in values.iter_mut() {
            *v *= factor;
        }
    }
}

kernel! {
    /// values = exp(values - shift).
    pub fn exp_shifted(values: &mut [f32], shift: f32) {
        for v in values.iter_mut() {
            *v = exp(*v - shift);
        }
    }
}

/// The largest value; exact in any order.
pub fn max(values: &[f32]) -> f32 {
    values.iter().copied().fold(f32::NEG_INFINITY, f32::max)
}

/// Sum of `values` by the canonical rule with the given block length.
pub fn sum(values: &[f32], block: usize) -> f32 {
    let mut total = 0.0;
    for (i, part) in values.chunks(block).enumerate() {
        let part = part.iter().fold(0f32, |a, x| a + x);
        total = if i == 0 { part } else { total + part };
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_gradient_matches_a_finite_difference_in_double_precision() {
        let f = |g: f64, u: f64| g / (1.0 + (-g).exp()) * u;
        for i in -40..40 {
            let (g, u, d) = (f64::from(i) * 0.2, 0.7, 1.3);
            let (mut dg, mut du) = ([0.0], [0.0]);
            silu_mul_backward(&[g as f32], &[u as f32], &[d as f32], &mut dg, &mut du);
            let want_g = d * (f(g + 1e-5, u) - f(g - 1e-5, u)) / 2e-5;
            let want_u = d * (f(g, u + 1e-5) - f(g, u - 1e-5)) / 2e-5;
            assert!((f64::from(dg[0]) - want_g).abs() < 1e-6 * want_g.abs().max(1.0), "gate {g}");
            assert!((f64::from(du[0]) - want_u).abs() < 1e-6 * want_u.abs().max(1.0), "up {g}");
        }
    }

    #[test]
    fn a_zero_update_keeps_even_the_sign_of_a_zero() {
        let mut to = [-0.0f32, 1.5];
        add_scaled(&mut to, &[0.0, 0.0], 2.0);
        assert_eq!(to.map(f32::to_bits), [(-0.0f32).to_bits(), 1.5f32.to_bits()]);
    }
}
