//! B in panels of 16 columns: panel p holds columns 16p..16p+16, element (k, lane) at
//! `p * stride + k * 16 + lane`; lanes past n are zero. The key-value cache keeps this layout too,
//! so attention reads it without copying.

use super::aligned::Aligned;
use crate::memory::zeros;

/// Columns in a panel: one AVX-512 register, two AVX2, four NEON.
pub const PANEL: usize = 16;

/// A borrowed packed matrix of K rows and N columns.
#[derive(Clone, Copy)]
pub struct PanelsRef<'a> {
    pub data: &'a [f32],
    pub k: usize,
    pub n: usize,
    /// Floats from one panel to the next.
    pub stride: usize,
}

/// An owned packed matrix.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    data: Aligned<f32>,
    k: usize,
    n: usize,
}

impl Packed {
    /// Packs B where element (k, j) is `source[k * row + j * col]`.
    pub fn new(source: &[f32], k: usize, n: usize, row: usize, col: usize) -> Self {
        let mut packed = Self { data: Aligned::zeros(n.div_ceil(PANEL) * k * PANEL), k, n };
        packed.fill(source, row, col);
        packed
    }

    /// B = W^T for W row-major [n, k]: what y = x W^T multiplies by.
    pub fn from_weight(w: &[f32], n: usize, k: usize) -> Self {
        Self::new(w, k, n, 1, k)
    }

    /// B = W for W row-major [k, n]: what dx = dy W multiplies by.
    pub fn from_rows(w: &[f32], k: usize, n: usize) -> Self {
        Self::new(w, k, n, n, 1)
    }

    fn fill(&mut self, source: &[f32], row: usize, col: usize) {
        let (k, n) = (self.k, self.n);
        if k == 0 || n == 0 {
            return;
        }
        for (p, panel) in self.data.chunks_exact_mut(k * PANEL).enumerate() {
            let width = PANEL.min(n - p * PANEL);
            if col == 1 {
                for (i, lanes) in panel.chunks_exact_mut(PANEL).enumerate() {
                    let start = i * row + p * PANEL;
                    lanes[..width].copy_from_slice(&source[start..start + width]);
                }
            } else {
                for lane in 0..width {
                    let start = (p * PANEL + lane) * col;
                    for i in 0..k {
                        panel[i * PANEL + lane] = source[start + i * row];
                    }
                }
            }
        }
    }

    pub fn k(&self) -> usize {
        self.k
    }

    pub fn n(&self) -> usize {
        self.n
    }

    pub fn bytes(&self) -> usize {
        size_of_val(&self.data[..])
    }

    pub fn view(&self) -> PanelsRef<'_> {
        PanelsRef { data: &self.data, k: self.k, n: self.n, stride: self.k * PANEL }
    }

    /// Copies column j (K values) to `out`: for W^T packed by `from_weight`, row j of W.
    pub fn copy_column(&self, j: usize, out: &mut [f32]) {
        assert!(j < self.n && out.len() == self.k);
        let start = (j / PANEL) * self.k * PANEL + j % PANEL;
        for (i, value) in out.iter_mut().enumerate() {
            *value = self.data[start + i * PANEL];
        }
    }

    /// The matrix as rows of columns, i.e. W row-major [n, k] for B = W^T.
    pub fn to_weight(&self) -> Vec<f32> {
        let mut w = zeros("a weight", self.n * self.k);
        for (j, row) in w.chunks_exact_mut(self.k.max(1)).enumerate() {
            self.copy_column(j, row);
        }
        w
    }
}
