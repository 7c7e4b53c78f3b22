//! RMSNorm: y = x * inv * w with inv = 1 / sqrt(mean(x^2) + eps), row by row.

use crate::gemm::BLOCK;
use crate::kernel;

kernel! {
    /// x, out [rows, w.len()]; keeps inv [rows] for the way back.
    pub fn rms_norm(x: &[f32], w: &[f32], eps: f32, out: &mut [f32], inv: &mut [f32]) {
        let h = w.len();
        for ((x, out), inv) in x.chunks_exact(h).zip(out.chunks_exact_mut(h)).zip(inv.iter_mut()) {
            let mut total = 0f32;
            for (i, part) in x.chunks(BLOCK).enumerate() {
                let mut sum = 0f32;
                for v in part {
                    sum = v.mul_add(*v, sum);
                }
                total = if i == 0 { sum } else { total + sum };
            }
            let scale = 1.0 / (total / h as f32 + eps).sqrt();
            *inv = scale;
            for i in 0..h {
                out[i] = (x[i] * scale) * w[i];
            }
        }
    }
}

kernel! {
    /// dx += gradient through the norm: inv * (dy w) - x * inv^3 / h * sum(dy w x).
    pub fn rms_norm_backward(dy: &[f32], x: &[f32], w: &[f32], inv: &[f32], dx: &mut [f32]) {
        let h = w.len();
        for (r, inv) in inv.iter().enumerate() {
            let row = r * h..(r + 1) * h;
            let (dy, x, dx) = (&dy[row.clone()], &x[row.clone()], &mut dx[row]);
            let mut total = 0f32;
            for from in (0..h).step_by(BLOCK) {
                let mut sum = 0f32;
                for i in from..(from + BLOCK).min(h) {
                    sum = (dy[i] * w[i]).mul_add(x[i], sum);
                }
                total = if from == 0 { sum } else { total + sum };
            }
            let pull = total * (inv * inv * inv) / h as f32;
            for i in 0..h {
                dx[i] += (dy[i] * w[i]).mul_add(*inv, -(x[i] * pull));
            }
        }
    }
}

kernel! {
    /// Gradient of the norm's own weight, rows ascending: dw[i] = sum_r dy x inv (blocks of 256 rows).
    pub fn rms_norm_weight_gradient(dy: &[f32], x: &[f32], inv: &[f32], dw: &mut [f32]) {
        let h = dw.len();
        let mut block = vec![0f32; h];
        for (b, rows) in inv.chunks(BLOCK).enumerate() {
            block.fill(0.0);
            for (r, inv) in rows.iter().enumerate() {
                let start = (b * BLOCK + r) * h;
                for i in 0..h {
                    block[i] = dy[start + i].mul_add(x[start + i] * inv, block[i]);
                }
            }
            for i in 0..h {
                dw[i] = if b == 0 { block[i] } else { dw[i] + block[i] };
            }
        }
    }
}
