//! An adapter in memory, and its share of the forward and backward pass.

use crate::cuda::{GpuAdapter, Resident};
use crate::math::philox::{Stream, uniform};
use crate::model::config::{LlamaConfig, Target};
use crate::model::weights::Linear;
use crate::ops::elementwise::{add_into, add_scaled, scale};
use crate::{Result, bail};

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

/// A and B of one linear map.
#[derive(Debug)]
pub struct LoraModule {
    pub layer: usize,
    pub target: Target,
    scale: f32,
    /// [r, in]
    a: Linear,
    /// [out, r]
    b: Linear,
}

impl LoraModule {
    /// y [m, out] += scale * (x A^T) B^T; returns the low rows x A^T [m, r].
    pub fn apply(&self, x: &[f32], m: usize, y: &mut [f32]) -> Vec<f32> {
        let low = self.a.apply(x, m);
        add_scaled(y, &self.b.apply(&low, m), self.scale);
        low
    }

    /// y [m, out] += scale * times * (x A^T) B^T; `times` 1 gives the bits of `apply`.
    pub fn update(&self, x: &[f32], times: f32, y: &mut [f32]) {
        let m = x.len() / self.in_dim();
        let low = self.a.apply(x, m);
        add_scaled(y, &self.b.apply(&low, m), self.scale * times);
    }

    /// From dy: s_b = scale * dy [m, out] and s_a = s_b B [m, r]; dx += s_a A.
    pub fn backward(
        &self,
        dy: &[f32],
        m: usize,
        dx: Option<&mut Vec<f32>>,
    ) -> (Vec<f32>, Vec<f32>) {
        let mut s_b = dy.to_vec();
        scale(&mut s_b, self.scale);
        let s_a = self.b.apply_backward(&s_b, m);
        if let Some(dx) = dx {
            add_into(dx, &self.a.apply_backward(&s_a, m));
        }
        (s_a, s_b)
    }

    /// A row-major [r, in].
    pub fn a(&self) -> Vec<f32> {
        self.a.to_weight()
    }

    /// B row-major [out, r].
    pub fn b(&self) -> Vec<f32> {
        self.b.to_weight()
    }

    pub fn out_dim(&self) -> usize {
        self.b.out_dim()
    }

    pub fn in_dim(&self) -> usize {
        self.a.in_dim()
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
                modules.push(LoraModule {
                    layer,
                    target,
                    scale: config.scale(),
                    a: Linear::new(&flat[at..at + a], config.rank, inn),
                    b: Linear::new(&flat[at + a..at + a + b], out, config.rank),
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
        self.modules.iter().map(|m| m.a.bytes() + m.b.bytes()).sum()
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
