//! The stored kinds of numbers, and the one f32 each stored number stands for.
//!
//! Quantised kinds keep blocks of 32 numbers along a row: a scale d (f16), for Q4_1 an offset m (f16),
//! and small integers q. The value is `q d` (Q8_0), `(q - 8) d` (Q4_0) or `q d + m` (Q4_1). A product of
//! an 8-bit integer and an f16 is exact in f32, so there is one rounding at most (the sum of Q4_1)
//! and no order or fused instruction can change a bit.

use crate::memory::with_capacity;
use half::{bf16, f16};

/// Numbers in a quantised block.
pub const BLOCK: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q8_0,
}

impl Kind {
    pub const ALL: [Kind; 6] =
        [Kind::F32, Kind::F16, Kind::Bf16, Kind::Q4_0, Kind::Q4_1, Kind::Q8_0];

    /// The number it has in files (`ggml_type`).
    pub fn id(self) -> u32 {
        match self {
            Kind::F32 => 0,
            Kind::F16 => 1,
            Kind::Q4_0 => 2,
            Kind::Q4_1 => 3,
            Kind::Q8_0 => 8,
            Kind::Bf16 => 30,
        }
    }

    pub fn from_id(id: u32) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.id() == id)
    }

    /// Numbers in a block and bytes it takes; a row holds whole blocks.
    pub fn block(self) -> (usize, usize) {
        match self {
            Kind::F32 => (1, 4),
            Kind::F16 | Kind::Bf16 => (1, 2),
            Kind::Q4_0 => (BLOCK, 18),
            Kind::Q4_1 => (BLOCK, 20),
            Kind::Q8_0 => (BLOCK, 34),
        }
    }

    /// Whole blocks as numbers.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        let (numbers, size) = self.block();
        let mut out = with_capacity("a tensor", bytes.len() / size * numbers);
        for block in bytes.chunks_exact(size) {
            match self {
                Kind::F32 => out.push(f32::from_le_bytes([block[0], block[1], block[2], block[3]])),
                Kind::F16 => out.push(half_at(block, 0)),
                Kind::Bf16 => out.push(bf16::from_le_bytes([block[0], block[1]]).to_f32()),
                Kind::Q8_0 => {
                    let d = half_at(block, 0);
                    out.extend(block[2..].iter().map(|q| f32::from(*q as i8) * d));
                }
                Kind::Q4_0 => {
                    let d = half_at(block, 0);
                    out.extend(nibbles(&block[2..]).map(|q| (q - 8.0) * d));
                }
                Kind::Q4_1 => {
                    let (d, m) = (half_at(block, 0), half_at(block, 2));
                    out.extend(nibbles(&block[4..]).map(|q| q * d + m));
                }
            }
        }
        out
    }
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// The low halves of all bytes, then the high ones.
fn nibbles(bytes: &[u8]) -> impl Iterator<Item = f32> {
    let low = bytes.iter().map(|b| f32::from(b & 15));
    low.chain(bytes.iter().map(|b| f32::from(b >> 4)))
}
