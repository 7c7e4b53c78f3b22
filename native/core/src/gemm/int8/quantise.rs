//! Runs of f32 as int8 under one scale each: whole rows of a weight, blocks of a row of activations.

use crate::kernel;

/// Entries that one instruction multiplies and adds; rows are padded with zeros to whole quads.
pub const QUAD: usize = 4;

/// Entries of x under one scale.
pub const BLOCK: usize = 64;

/// Adding and subtracting it rounds |x| < 2^22 to the nearest integer, ties to even.
const ROUND: f32 = 12_582_912.0;
/// Bits of |x| from which on x is infinite or NaN.
const NOT_FINITE: u32 = 0x7f80_0000;

kernel! {
    /// Writes one run's entries and returns its scale. Bits of magnitudes order as the magnitudes do, so the
    /// largest is found exactly in any order, and a NaN is larger than everything.
    pub fn quantise_row(row: &[f32], out: &mut [i8]) -> f32 {
        let mut largest = 0u32;
        for x in row {
            largest = largest.max(x.to_bits() & 0x7fff_ffff);
        }
        let top = f32::from_bits(largest);
        let inverse = 127.0 / top;
        if largest >= NOT_FINITE || inverse.is_infinite() {
            out.fill(0);
            return if largest >= NOT_FINITE { f32::from_bits(0x7fc0_0000) } else { 0.0 };
        }
        for (q, x) in out.iter_mut().zip(row) {
            // |x * inverse| is at most 127 and a rounding: never 127.5.
            let shifted = x * inverse + ROUND;
            *q = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32) as i8;
        }
        top / 127.0
    }
}

/// Quantised rows, as the product reads them.
#[derive(Clone, Debug)]
pub struct Quantised {
    rows: usize,
    k: usize,
    /// [rows, k rounded up to whole quads].
    entries: Vec<i8>,
    /// [rows, blocks].
    scales: Vec<f32>,
    /// [rows, blocks]: -128 times the sum of the block, what the bias of the stored weights adds too much.
    starts: Vec<i32>,
}

impl Quantised {
    /// x row-major [m, k].
    pub fn rows_of(x: &[f32], m: usize) -> Self {
        let k = x.len().checked_div(m).unwrap_or(0);
        assert_eq!(x.len(), m * k, "rows of one length");
        let (width, blocks) = (k.next_multiple_of(QUAD), k.div_ceil(BLOCK));
        let mut entries = vec![0; m * width];
        let (mut scales, mut starts) = (vec![0.0; m * blocks], vec![0; m * blocks]);
        let rows = x.chunks_exact(k.max(1)).zip(entries.chunks_exact_mut(width.max(1)));
        for (r, (x, out)) in rows.enumerate() {
            for (b, (x, out)) in x.chunks(BLOCK).zip(out.chunks_mut(BLOCK)).enumerate() {
                scales[r * blocks + b] = quantise_row(x, &mut out[..x.len()]);
                starts[r * blocks + b] = -128 * sum(out);
            }
        }
        Self { rows: m, k, entries, scales, starts }
    }

    pub fn k(&self) -> usize {
        self.k
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn entries(&self) -> &[i8] {
        &self.entries
    }

    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    pub(super) fn starts(&self) -> &[i32] {
        &self.starts
    }
}

kernel! {
    fn sum(entries: &[i8]) -> i32 {
        entries.iter().map(|q| i32::from(*q)).sum()
    }
}
