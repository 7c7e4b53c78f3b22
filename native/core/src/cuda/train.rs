//! LoRA training with parameters, gradient and optimiser on the device: the twin of the CPU's learner in
//! `train::lora`.

use super::device::Result;
use super::memory::Buffer;
use super::model::{GpuAdapter, GpuModel};
use super::ops::{self, AdamW, Samples};
use super::samples::{LabelSource, Runner, groups};
use crate::gradients::Sample;
use crate::lora::Adapter;
use crate::train::optimizer::Update;
use std::sync::Arc;

pub struct Learner {
    runner: Runner,
    adapter: Arc<GpuAdapter>,
    gradient: Buffer<f32>,
    m: Buffer<f32>,
    v: Buffer<f32>,
}

impl Learner {
    pub fn new(model: Arc<GpuModel>, start: &Adapter) -> Result<Self> {
        let adapter = Arc::new(GpuAdapter::upload(&model.gpu, start)?);
        let (gpu, n) = (model.gpu.clone(), adapter.flat.len());
        let runner = Runner::new(model, Some(adapter.clone()))?;
        Ok(Self { runner, adapter, gradient: gpu.empty(n)?, m: gpu.zeros(n)?, v: gpu.zeros(n)? })
    }

    /// Token-summed loss of the samples; their summed gradient times `factor` stays here, its length is returned.
    pub fn gradient(&mut self, samples: &[&Sample], factor: f32) -> Result<(f64, f64)> {
        let gpu = self.runner.model.gpu.clone();
        let config = &self.runner.model.config;
        let (rank, n) = (self.adapter.rank, self.adapter.flat.len());
        self.gradient = gpu.zeros(n)?;
        let mut loss = 0.0;
        for group in groups(&self.runner.model, samples) {
            let mut bounds: Option<Buffer<u32>> = None;
            let losses = self.runner.gradients(group, LabelSource::Data, &mut |batch, g| {
                if bounds.is_none() {
                    bounds = Some(batch.bounds(&gpu)?);
                }
                let (Some(starts), Some(at)) = (&bounds, self.adapter.offset(g.layer, g.target))
                else {
                    return Ok(());
                };
                let (out, inn) = config.linear_shape(g.target);
                let a = self.gradient.matrix(at, rank, inn, inn);
                let b = self.gradient.matrix(at + rank * inn, out, rank, rank);
                ops::sample_products(&gpu, g.s_a, g.x, starts, a, Samples::Sum)?;
                ops::sample_products(&gpu, g.s_b, g.low, starts, b, Samples::Sum)
            })?;
            loss = losses.iter().fold(loss, |sum, part| sum + part);
        }
        ops::scale(&gpu, &self.gradient, &self.gradient, factor)?;
        let sums = gpu.empty(n.div_ceil(256))?;
        ops::squares(&gpu, &self.gradient, &sums)?;
        let total = sums.to_vec()?.iter().fold(0.0, |total, sum| total + f64::from(*sum));
        Ok((loss, total.sqrt()))
    }

    pub fn scale(&mut self, factor: f32) -> Result<()> {
        ops::scale(&self.runner.model.gpu, &self.gradient, &self.gradient, factor)
    }

    pub fn update(&mut self, update: Update, rate: f32, decay: f32) -> Result<()> {
        let (gpu, p, g) = (&self.runner.model.gpu, &self.adapter.flat, &self.gradient);
        match update {
            Update::Sgd => ops::sgd(gpu, p, g, rate, decay),
            Update::AdamW { beta, correction, eps } => {
                let step = AdamW { beta, correction, eps, rate, decay };
                ops::adamw(gpu, p, g, &self.m, &self.v, step)
            }
        }
    }

    /// The optimiser's moments as they stand.
    pub fn moments(&self) -> Result<(Vec<f32>, Vec<f32>)> {
        Ok((self.m.to_vec()?, self.v.to_vec()?))
    }

    pub fn set_moments(&mut self, m: &[f32], v: &[f32]) -> Result<()> {
        self.m.write(m)?;
        self.v.write(v)
    }

    /// Token-summed loss of samples under the parameters as they stand.
    pub fn losses(&self, samples: &[&Sample]) -> Result<Vec<f64>> {
        self.runner.losses(samples)
    }

    pub fn parameters(&self) -> Result<Vec<f32>> {
        self.adapter.flat.to_vec()
    }

    /// The gradient as it stands.
    pub fn gradient_values(&self) -> Result<Vec<f32>> {
        self.gradient.to_vec()
    }
}
