//! An int8 weight as the product streams it: panels of 16 rows of W; in a panel, quads of k one after another, in a quad
//! the 16 rows' four entries, each with 128 added (VNNI multiplies unsigned by signed bytes). A panel is one run of
//! memory, read once from end to end.

use super::quantise::{QUAD, quantise_row};
use crate::gemm::aligned::Aligned;
use crate::memory::zeros;

/// Rows of W in a panel: one AVX-512 register of sums.
pub const PANEL: usize = 16;

/// Added to every stored entry; as a flip of the top bit it is undone by itself.
pub const BIAS: u8 = 0x80;

/// W [n, k] in int8 with a scale a row.
#[derive(Clone, Debug, Default)]
pub struct PackedI8 {
    data: Aligned<u8>,
    /// One a row, zero past n.
    scales: Aligned<f32>,
    k: usize,
    n: usize,
}

impl PackedI8 {
    /// Quantises W row-major [n, k].
    pub fn from_weight(w: &[f32], n: usize, k: usize) -> Self {
        assert!(w.len() == n * k && (1..=super::K_MAX).contains(&k), "W [{n}, {k}]");
        let mut entries = zeros("a weight in int8", w.len());
        let rows = w.chunks_exact(k).zip(entries.chunks_exact_mut(k));
        let scales: Vec<f32> = rows.map(|(w, out)| quantise_row(w, out)).collect();
        Self::from_entries(&entries, &scales, n, k)
    }

    /// From entries row-major [n, k], none of them -128, and scales [n].
    pub fn from_entries(entries: &[i8], scales: &[f32], n: usize, k: usize) -> Self {
        assert!(entries.len() == n * k && scales.len() == n, "W [{n}, {k}]");
        assert!((1..=super::K_MAX).contains(&k), "k is {k}, must be 1..={}", super::K_MAX);
        let (panels, quads) = (n.div_ceil(PANEL), k.div_ceil(QUAD));
        let mut packed = Self {
            data: Aligned::zeros(panels * quads * PANEL * QUAD),
            scales: Aligned::zeros(panels * PANEL),
            k,
            n,
        };
        packed.data.fill(BIAS);
        packed.scales[..n].copy_from_slice(scales);
        for (j, row) in entries.chunks_exact(k).enumerate() {
            let start = packed.start(j);
            for (i, q) in row.iter().enumerate() {
                debug_assert!(*q != i8::MIN, "an entry is -128");
                packed.data[start + i / QUAD * PANEL * QUAD + i % QUAD] = *q as u8 ^ BIAS;
            }
        }
        packed
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&self.data[..]) + size_of_val(&self.scales[..])
    }

    /// Where row j's first quad lies.
    fn start(&self, j: usize) -> usize {
        j / PANEL * self.panel_bytes() + j % PANEL * QUAD
    }

    pub(super) fn panel_bytes(&self) -> usize {
        self.k.div_ceil(QUAD) * QUAD * PANEL
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    fn entry(&self, start: usize, i: usize) -> i8 {
        (self.data[start + i / QUAD * PANEL * QUAD + i % QUAD] ^ BIAS) as i8
    }

    pub(super) fn padded_scales(&self) -> &[f32] {
        &self.scales
    }

    pub fn panels(&self) -> usize {
        self.n.div_ceil(PANEL)
    }

    pub fn k(&self) -> usize {
        self.k
    }

    pub fn n(&self) -> usize {
        self.n
    }

    /// [n].
    pub fn scales(&self) -> &[f32] {
        &self.scales[..self.n]
    }

    /// Entries of row j of W.
    pub fn copy_entries(&self, j: usize, out: &mut [i8]) {
        assert!(j < self.n && out.len() == self.k);
        let start = self.start(j);
        for (i, q) in out.iter_mut().enumerate() {
            *q = self.entry(start, i);
        }
    }

    /// Entries row-major [n, k].
    pub fn entries(&self) -> Vec<i8> {
        let mut all = zeros("a weight in int8", self.n * self.k);
        for (j, row) in all.chunks_exact_mut(self.k).enumerate() {
            self.copy_entries(j, row);
        }
        all
    }

    /// Row j of W as the f32 it stands for: entry times scale.
    pub fn copy_row(&self, j: usize, out: &mut [f32]) {
        assert!(j < self.n && out.len() == self.k);
        let (start, scale) = (self.start(j), self.scales[j]);
        for (i, x) in out.iter_mut().enumerate() {
            *x = f32::from(self.entry(start, i)) * scale;
        }
    }

    /// The W it stands for, row-major [n, k].
    pub fn to_weight(&self) -> Vec<f32> {
        let mut w = zeros("a weight", self.n * self.k);
        for (j, row) in w.chunks_exact_mut(self.k).enumerate() {
            self.copy_row(j, row);
        }
        w
    }
}
