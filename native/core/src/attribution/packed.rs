//! How the index keeps its matrices: integers with one f32 scale per column, value = code * scale.
//!
//! The codes are fixed before anything is computed with the matrix: corrected eigenvalues are measured
//! in the stored eigenbasis and every sketch, of training rows and of queries, goes through the stored
//! directions. Storage therefore costs a little optimality and no consistency, and a round trip
//! through bytes is exact.

use super::error::{AttributionError, Result};

/// Bits of one code: 4, 8 or 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    Bits4,
    Bits8,
    Bits16,
}

impl Width {
    pub fn from_bits(bits: u8) -> Result<Self> {
        match bits {
            4 => Ok(Self::Bits4),
            8 => Ok(Self::Bits8),
            16 => Ok(Self::Bits16),
            _ => Err(AttributionError::InvalidArtefact(format!(
                "codes of {bits} bits, known: 4, 8, 16"
            ))),
        }
    }

    pub fn bits(self) -> u8 {
        match self {
            Self::Bits4 => 4,
            Self::Bits8 => 8,
            Self::Bits16 => 16,
        }
    }

    /// Codes are -max ..= max.
    pub fn code_max(self) -> i16 {
        match self {
            Self::Bits4 => 7,
            Self::Bits8 => 127,
            Self::Bits16 => 32767,
        }
    }

    /// Bytes of `count` codes; nibbles are padded to a whole byte.
    pub fn bytes(self, count: u64) -> u64 {
        match self {
            Self::Bits4 => count.div_ceil(2),
            Self::Bits8 => count,
            Self::Bits16 => count * 2,
        }
    }
}

/// A matrix, row-major [rows, columns].
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    pub columns: usize,
    /// [columns], finite and >= 0; 0 for a column of zeros.
    pub scales: Vec<f32>,
    pub codes: Vec<i16>,
}

impl Packed {
    /// Rounds half even, column by column, to the column's largest magnitude.
    pub fn encode(values: &[f64], columns: usize, width: Width) -> Self {
        let mut largest = vec![0.0f64; columns];
        for row in values.chunks_exact(columns) {
            for (largest, x) in largest.iter_mut().zip(row) {
                *largest = largest.max(x.abs());
            }
        }
        let max = f64::from(width.code_max());
        let scales: Vec<f32> = largest.iter().map(|x| (x / max) as f32).collect();
        let mut codes = Vec::with_capacity(values.len());
        for row in values.chunks_exact(columns) {
            codes.extend(row.iter().zip(&scales).map(|(x, scale)| round_code(*x, *scale, max)));
        }
        Self { columns, scales, codes }
    }

    pub fn decode(&self) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.codes.len());
        for row in self.codes.chunks_exact(self.columns) {
            out.extend(row.iter().zip(&self.scales).map(|(code, scale)| f32::from(*code) * scale));
        }
        out
    }

    pub fn write(&self, width: Width, out: &mut Vec<u8>) {
        self.scales.iter().for_each(|scale| out.extend(scale.to_le_bytes()));
        match width {
            Width::Bits16 => self.codes.iter().for_each(|code| out.extend(code.to_le_bytes())),
            Width::Bits8 => out.extend(self.codes.iter().map(|code| *code as u8)),
            Width::Bits4 => out.extend(self.codes.chunks(2).map(|pair| {
                let high = pair.get(1).map_or(0, |code| *code as u8 & 15);
                (pair[0] as u8 & 15) | high << 4
            })),
        }
    }

    /// Inverse of `write` from exactly the bytes of its scales and codes. Refuses scales that are not
    /// finite or negative and codes beyond the width's range.
    pub fn read(scales: &[u8], codes: &[u8], count: usize, width: Width) -> Result<Self> {
        let scales = read_magnitudes(scales, "scale")?;
        let codes: Vec<i16> = match width {
            Width::Bits16 => {
                codes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
            }
            Width::Bits8 => codes.iter().map(|b| i16::from(*b as i8)).collect(),
            Width::Bits4 => {
                let nibble = |x: u8| i16::from((x << 4) as i8 >> 4);
                let mut all: Vec<i16> =
                    codes.iter().flat_map(|b| [nibble(b & 15), nibble(b >> 4)]).collect();
                if all.len() > count && all[count..].iter().any(|code| *code != 0) {
                    return Err(AttributionError::InvalidArtefact(
                        "padding that is not zero".into(),
                    ));
                }
                all.truncate(count);
                all
            }
        };
        let max = width.code_max();
        if let Some(code) = codes.iter().find(|code| !(-max..=max).contains(*code)) {
            return Err(AttributionError::InvalidArtefact(format!(
                "code {code} is beyond +-{max}"
            )));
        }
        Ok(Self { columns: scales.len(), scales, codes })
    }
}

/// Little-endian f32 that must be finite and not negative.
pub fn read_magnitudes(bytes: &[u8], name: &str) -> Result<Vec<f32>> {
    let values: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    match values.iter().find(|x| !(x.is_finite() && x.is_sign_positive())) {
        Some(x) => {
            Err(AttributionError::InvalidArtefact(format!("{name} {x} is not a finite magnitude")))
        }
        None => Ok(values),
    }
}

fn round_code(value: f64, scale: f32, max: f64) -> i16 {
    if scale == 0.0 {
        return 0;
    }
    (value / f64::from(scale)).round_ties_even().clamp(-max, max) as i16
}
