//! Sketches of queries on the device: gradient, whitening, projection for several samples at once. The twin of
//! `attribution::whiten::whiten_samples` and `attribution::sketch`; the rounding to int8 is left to the CPU.

use super::device::{DeviceError, Result};
use super::memory::{Buffer, Gpu};
use super::ops::{self, Plan, Samples, Side};
use super::samples::{LabelSource, Runner, groups};
use crate::attribution::AttributionIndex;
use crate::attribution::whiten::{narrow_wide, out_is_narrow, parameters};
use crate::gradients::Sample;
use std::sync::Arc;

/// One factor's rotation, scaling and directions on the device.
struct Factor {
    narrow: usize,
    wide: usize,
    out_is_narrow: bool,
    narrow_basis: Buffer<f32>,
    wide_basis: Buffer<f32>,
    inverse_root: Buffer<f32>,
    /// [narrow * wide, k] and [k].
    codes: Buffer<f32>,
    scales: Buffer<f32>,
}

/// An attribution index in device memory.
pub struct GpuIndex {
    pub gpu: Arc<Gpu>,
    factors: Vec<Factor>,
    k: usize,
}

impl GpuIndex {
    pub fn upload(gpu: &Arc<Gpu>, index: &AttributionIndex) -> Result<Self> {
        let mut factors = vec![];
        for (whitener, directions) in index.whiteners().iter().zip(index.directions()) {
            let (narrow, wide) = narrow_wide(whitener.shape);
            let codes = gpu.empty(parameters(whitener.shape) * index.k())?;
            ops::widen(gpu, &gpu.upload(&directions.codes)?, &codes)?;
            factors.push(Factor {
                narrow,
                wide,
                out_is_narrow: out_is_narrow(whitener.shape),
                narrow_basis: gpu.upload(&whitener.narrow_basis)?,
                wide_basis: gpu.upload(&whitener.wide_basis)?,
                inverse_root: gpu.upload(&whitener.inverse_root)?,
                codes,
                scales: gpu.upload(&directions.scales)?,
            });
        }
        Ok(Self { gpu: gpu.clone(), factors, k: index.k() })
    }

    /// The sketches, before rounding, of samples of the index's adapter, which `runner` holds: [samples, k].
    pub fn values(&self, runner: &Runner, samples: &[&Sample]) -> Result<Vec<f32>> {
        let mut all = vec![];
        for group in groups(&runner.model, samples) {
            all.extend(self.group_values(runner, group)?);
        }
        Ok(all)
    }

    /// Factors join in ascending order, the way back meets them in another: their whitened gradients wait.
    fn group_values(&self, runner: &Runner, group: &[&Sample]) -> Result<Vec<f32>> {
        let count = group.len();
        let mut whitened: Vec<Option<Buffer<f32>>> = self.factors.iter().map(|_| None).collect();
        let adapter = runner.adapter.clone().expect("sketches are an adapter's");
        runner.gradients(group, LabelSource::Data, &mut |batch, g| {
            let bounds = batch.bounds(&self.gpu)?;
            let at = g.layer * adapter.targets.len()
                + adapter.targets.iter().position(|t| *t == g.target).unwrap_or(0);
            for (factor, a, s) in [(2 * at, g.x, g.s_a), (2 * at + 1, g.low, g.s_b)] {
                whitened[factor] =
                    Some(self.whiten(&self.factors[factor], a, s, &bounds, count)?);
            }
            Ok(())
        })?;
        let out = self.gpu.zeros(count * self.k)?;
        for (factor, w) in self.factors.iter().zip(whitened) {
            let w = w.ok_or_else(|| DeviceError("a factor without gradient".into()))?;
            let part = self.gpu.empty(count * self.k)?;
            let left = Side { matrix: w.rows(factor.narrow * factor.wide), transposed: false };
            let right = Side { matrix: factor.codes.rows(self.k), transposed: false };
            let plan = Plan { from_zero: true, ..Plan::default() };
            ops::product(&self.gpu, left, right, part.rows(self.k), plan)?;
            ops::add_product(&self.gpu, &out, &part, &factor.scales)?;
        }
        out.to_vec()
    }

    /// w [count][narrow, wide] of one factor from a [rows, in] and s [rows, out].
    fn whiten(
        &self,
        factor: &Factor,
        a: ops::Matrix,
        s: ops::Matrix,
        bounds: &Buffer<u32>,
        count: usize,
    ) -> Result<Buffer<f32>> {
        let (narrow, wide) = (factor.narrow, factor.wide);
        let size = narrow * wide;
        let (thin, broad) = if factor.out_is_narrow { (s, a) } else { (a, s) };
        let (h, half, w) = (
            self.gpu.empty(count * size)?,
            self.gpu.empty::<f32>(count * size)?,
            self.gpu.empty::<f32>(count * size)?,
        );
        let first = h.matrix(0, narrow, wide, wide);
        ops::sample_products(&self.gpu, thin, broad, bounds, first, Samples::Each(size))?;
        let plan = Plan { from_zero: true, ..Plan::default() };
        let left = Side { matrix: h.rows(wide), transposed: false };
        let right = Side { matrix: factor.wide_basis.rows(wide), transposed: false };
        ops::product(&self.gpu, left, right, half.rows(wide), plan)?;
        let left = Side { matrix: factor.narrow_basis.rows(narrow), transposed: true };
        let right = Side { matrix: half.matrix(0, narrow, wide, wide), transposed: false };
        let plan =
            Plan { from_zero: true, batch: count, apart: [0, size, size], ..Plan::default() };
        ops::product(&self.gpu, left, right, w.matrix(0, narrow, wide, wide), plan)?;
        ops::multiply(&self.gpu, &w, &factor.inverse_root)?;
        Ok(w)
    }
}
