//! An adapter in memory, and its share of the forward and backward pass.

use super::compact::Compact;
use crate::cuda::{GpuAdapter, Resident};
use crate::math::philox::{Stream, uniform};
use crate::model::config::{LlamaConfig, Target};
use crate::model::weights::Linear;
use crate::ops::elementwise::{add_into, add_scaled, scale};
use crate::{Result, bail};
use std::sync::OnceLock;

pub const RANK_MAX: usize = 256;

#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
    pub rank: usize,
    pub alpha: f64,
    /// Scale alpha / sqrt(rank) instead of alpha / rank.
    pub rslora: bool,
    /// Sorted in `Target` order, without repeats.
    pub targets: Vec<Target>,
}

impl LoraConfig {
    pub fn new(rank: usize, alpha: f64, rslora: bool, mut targets: Vec<Target>) -> Result<Self> {
        targets.sort_unstable();
        targets.dedup();
        if rank == 0 || rank > RANK_MAX {
            bail!(BadInput, "LoRA rank {rank} must be 1..={RANK_MAX}");
        }
        if !(alpha.is_finite() && alpha > 0.0 && alpha <= 65_536.0) {
            bail!(BadInput, "LoRA alpha {alpha} must be in (0, 65536]");
        }
        if targets.is_empty() {
            bail!(BadInput, "LoRA needs at least one target module");
        }
        Ok(Self { rank, alpha, rslora, targets })
    }

    pub fn scale(&self) -> f32 {
        let r = self.rank as f64;
        (self.alpha / if self.rslora { r.sqrt() } else { r }) as f32
    }

    /// Numbers in the factors of one module (A, B).
    pub fn factor_sizes(&self, config: &LlamaConfig, target: Target) -> (usize, usize) {
        let (out, inn) = config.linear_shape(target);
        (self.rank * inn, out * self.rank)
    }

    /// Trainable numbers of an adapter for this model.
    pub fn parameters(&self, config: &LlamaConfig) -> usize {
        let per_layer: usize =
            self.targets.iter().map(|t| self.factor_sizes(config, *t)).map(|(a, b)| a + b).sum();
        config.layers * per_layer
    }
}

/// A and B of one linear map: as `Linear` for the passes of training, compact for serving. Either is made from
/// the other when it is first asked for.
#[derive(Debug)]
pub struct LoraModule {
    pub layer: usize,
    pub target: Target,
    scale: f32,
    rank: usize,
    /// A [r, in] and B [out, r].
    linear: OnceLock<[Linear; 2]>,
    compact: OnceLock<Compact>,
}

impl LoraModule {
    fn linear(&self) -> &[Linear; 2] {
        self.linear.get_or_init(|| {
            let (a, b) = (self.a(), self.b());
            let (inn, out) = (a.len() / self.rank, b.len() / self.rank);
            [Linear::new(&a, self.rank, inn), Linear::new(&b, out, self.rank)]
        })
    }

    fn compact(&self) -> &Compact {
        self.compact.get_or_init(|| Compact::new(&self.a(), &self.b(), self.rank))
    }

    /// y [m, out] += scale * (x A^T) B^T; returns the low rows x A^T [m, r].
    pub fn apply(&self, x: &[f32], m: usize, y: &mut [f32]) -> Vec<f32> {
        let [a, b] = self.linear();
        let low = a.apply(x, m);
        add_scaled(y, &b.apply(&low, m), self.scale);
        low
    }

    /// y [m, out] += scale * times * (x A^T) B^T; `times` 1 gives the bits of `apply`.
    pub fn update(&self, x: &[f32], times: f32, y: &mut [f32]) {
        self.compact().update(x, self.scale * times, y);
    }

    /// From dy: s_b = scale * dy [m, out] and s_a = s_b B [m, r]; dx += s_a A.
    pub fn backward(
        &self,
        dy: &[f32],
        m: usize,
        dx: Option<&mut Vec<f32>>,
    ) -> (Vec<f32>, Vec<f32>) {
        let [a, b] = self.linear();
        let mut s_b = dy.to_vec();
        scale(&mut s_b, self.scale);
        let s_a = b.apply_backward(&s_b, m);
        if let Some(dx) = dx {
            add_into(dx, &a.apply_backward(&s_a, m));
        }
        (s_a, s_b)
    }

    /// A row-major [r, in].
    pub fn a(&self) -> Vec<f32> {
        match (self.linear.get(), self.compact.get()) {
            (Some([a, _]), _) => a.to_weight(),
            (None, Some(compact)) => compact.a(),
            (None, None) => unreachable!("a module has one of its forms"),
        }
    }

    /// B row-major [out, r].
    pub fn b(&self) -> Vec<f32> {
        match (self.linear.get(), self.compact.get()) {
            (Some([_, b]), _) => b.to_weight(),
            (None, Some(compact)) => compact.b(),
            (None, None) => unreachable!("a module has one of its forms"),
        }
    }

    pub fn out_dim(&self) -> usize {
        self.linear.get().map_or_else(|| self.compact().out_dim(), |[_, b]| b.out_dim())
    }

    pub fn in_dim(&self) -> usize {
        self.linear.get().map_or_else(|| self.compact().in_dim(), |[a, _]| a.in_dim())
    }

    fn bytes(&self) -> usize {
        let linear = self.linear.get().map_or(0, |[a, b]| a.bytes() + b.bytes());
        linear + self.compact.get().map_or(0, Compact::bytes)
    }
}

#[derive(Debug)]
pub struct Adapter {
    pub config: LoraConfig,
    /// Layer by layer, targets in `Target` order.
    modules: Vec<LoraModule>,
    /// The copy on a card.
    pub on_gpu: Resident<GpuAdapter>,
}

impl Adapter {
    /// Lays flat parameters (module by module, A then B) over a model's maps.
    pub fn from_parameters(model: &LlamaConfig, config: &LoraConfig, flat: &[f32]) -> Self {
        assert_eq!(flat.len(), config.parameters(model), "parameters do not fit the model");
        let mut modules = Vec::with_capacity(model.layers * config.targets.len());
        let mut at = 0;
        for layer in 0..model.layers {
            for &target in &config.targets {
                let (out, inn) = model.linear_shape(target);
                let (a, b) = config.factor_sizes(model, target);
                let linear = [
                    Linear::new(&flat[at..at + a], config.rank, inn),
                    Linear::new(&flat[at + a..at + a + b], out, config.rank),
                ];
                modules.push(LoraModule {
                    layer,
                    target,
                    scale: config.scale(),
                    rank: config.rank,
                    linear: linear.into(),
                    compact: OnceLock::new(),
                });
                at += a + b;
            }
        }
        Self { config: config.clone(), modules, on_gpu: Resident::empty() }
    }

    /// The start of training: A uniform in +-1/sqrt(in) by the counter PRNG, B zero.
    pub fn initial_parameters(model: &LlamaConfig, config: &LoraConfig, seed: u64) -> Vec<f32> {
        let mut flat = Vec::with_capacity(config.parameters(model));
        let mut lane = 0;
        for _ in 0..model.layers {
            for &target in &config.targets {
                let bound = 1.0 / (model.linear_shape(target).1 as f32).sqrt();
                let (a, b) = config.factor_sizes(model, target);
                flat.extend(
                    (0..a as u64)
                        .map(|i| bound * (2.0 * uniform(seed, Stream::LoraInit, lane, i) - 1.0)),
                );
                flat.extend(std::iter::repeat_n(0.0, b));
                lane += 1;
            }
        }
        flat
    }

    /// The flat parameters in the order `from_parameters` takes them.
    pub fn to_parameters(&self) -> Vec<f32> {
        self.modules.iter().flat_map(|m| m.a().into_iter().chain(m.b())).collect()
    }

    /// Bytes of the factors in memory.
    pub fn bytes(&self) -> usize {
        self.modules.iter().map(LoraModule::bytes).sum()
    }

    /// Keeps only the form that serving reads.
    pub fn into_compact(mut self) -> Self {
        for module in &mut self.modules {
            module.compact();
            module.linear = OnceLock::new();
        }
        self
    }

    pub fn modules(&self) -> &[LoraModule] {
        &self.modules
    }

    /// Position of a map's module in `modules()`.
    pub fn module_index(&self, layer: usize, target: Target) -> Option<usize> {
        let at = self.config.targets.iter().position(|t| *t == target)?;
        Some(layer * self.config.targets.len() + at)
    }

    pub fn module(&self, layer: usize, target: Target) -> Option<&LoraModule> {
        self.module_index(layer, target).and_then(|i| self.modules.get(i))
    }

    /// Fails when the adapter was made for another shape of model.
    pub fn check_fits(&self, model: &LlamaConfig) -> Result<()> {
        let layers = self.modules.len() / self.config.targets.len();
        if layers != model.layers {
            bail!(BadAdapter, "the adapter has {layers} layers, the model {}", model.layers);
        }
        for m in &self.modules {
            let (out, inn) = model.linear_shape(m.target);
            if (m.out_dim(), m.in_dim()) != (out, inn) {
                bail!(
                    BadAdapter,
                    "the adapter's {} of layer {} maps {} to {}, the model's {inn} to {out}",
                    m.target.name(),
                    m.layer,
                    m.in_dim(),
                    m.out_dim()
                );
            }
        }
        Ok(())
    }
}
