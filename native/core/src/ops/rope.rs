//! Rotary position embedding in Hugging Face's half-split convention: dimension i pairs with
//! i + d/2 and turns by position * theta^(-2i/d). Tables are computed once with our own sin and
//! cos, frequencies and angles rounded to f32 as the reference implementations do.

use crate::kernel;
use crate::math::double;
use crate::memory::zeros;

/// What memory is for, in errors.
const TABLE: &str = "the table of rotations";

/// cos and sin, [positions, head_dim / 2] each.
#[derive(Clone, Debug)]
pub struct RopeTable {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

impl RopeTable {
    pub fn new(positions: usize, head_dim: usize, theta: f64) -> Self {
        let half = head_dim / 2;
        let frequency: Vec<f32> = (0..half)
            .map(|i| (1.0 / double::pow(theta, 2.0 * i as f64 / head_dim as f64)) as f32)
            .collect();
        let mut table =
            Self { half, cos: zeros(TABLE, positions * half), sin: zeros(TABLE, positions * half) };
        for position in 0..positions {
            for (i, f) in frequency.iter().enumerate() {
                let (sin, cos) = double::sin_cos(f64::from(position as f32 * f));
                table.cos[position * half + i] = cos as f32;
                table.sin[position * half + i] = sin as f32;
            }
        }
        table
    }

    /// cos and sin, [positions, head_dim / 2] each.
    pub fn tables(&self) -> (&[f32], &[f32]) {
        (&self.cos, &self.sin)
    }

    /// Rotates every head of x [rows, heads * head_dim], row r standing at `first + r`.
    pub fn apply(&self, x: &mut [f32], heads: usize, first: usize) {
        self.turn(x, heads, first, 1.0);
    }

    /// The gradient's way back: the same turn the other way round.
    pub fn apply_inverse(&self, x: &mut [f32], heads: usize, first: usize) {
        self.turn(x, heads, first, -1.0);
    }

    fn turn(&self, x: &mut [f32], heads: usize, first: usize, sign: f32) {
        let width = heads * self.half * 2;
        let rows = x.len() / width;
        let span = first * self.half..(first + rows) * self.half;
        rotate(x, &self.cos[span.clone()], &self.sin[span], heads, self.half, sign);
    }
}

kernel! {
    fn rotate(x: &mut [f32], cos: &[f32], sin: &[f32], heads: usize, half: usize, sign: f32) {
        let rows = x.chunks_exact_mut(heads * half * 2);
        for ((row, cos), sin) in rows.zip(cos.chunks_exact(half)).zip(sin.chunks_exact(half)) {
            for head in row.chunks_exact_mut(half * 2) {
                let (low, high) = head.split_at_mut(half);
                for i in 0..half {
                    let (a, b) = (low[i], high[i]);
                    let s = sign * sin[i];
                    low[i] = a.mul_add(cos[i], -(b * s));
                    high[i] = b.mul_add(cos[i], a * s);
                }
            }
        }
    }
}
