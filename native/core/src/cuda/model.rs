//! A model and its adapters in device memory, in the form the kernels read: row-major weights, the three maps
//! that read the attention norm side by side, gate and up likewise. Bounded by the device's limit.

use super::device::{Address, Result};
use super::memory::{Buffer, Gpu};
use super::ops::{self, Matrix, Rotation, RowsI8, WeightI8};
use crate::lora::Adapter;
use crate::model::config::{LlamaConfig, Target};
use crate::model::weights::{Linear, Weights};
use crate::ops::attention::{Heads, KEY_TILE};
use std::sync::Arc;

pub struct GpuLayer {
    pub attention_norm: Buffer<f32>,
    pub mlp_norm: Buffer<f32>,
    /// [(query + 2 kv) * dim, h]: Q, K and V.
    pub qkv: GpuMap,
    pub o: GpuMap,
    /// [2 ffn, h]: gate and up.
    pub gate_up: GpuMap,
    pub down: GpuMap,
}

/// One or more linear maps of the same inputs, row after row.
pub struct GpuMap {
    /// What gradients go back through; of an int8 map the f32 it stands for.
    pub weight: Buffer<f32>,
    /// What the forward pass multiplies by, when the model is in int8.
    int8: Option<WeightI8>,
    inn: usize,
}

impl GpuMap {
    fn upload(gpu: &Arc<Gpu>, maps: &[&Linear]) -> Result<Self> {
        let all: Vec<f32> = maps.iter().flat_map(|map| map.to_weight()).collect();
        let int8: Vec<_> = maps.iter().filter_map(|map| map.int8()).collect();
        let int8 = (!int8.is_empty()).then(|| WeightI8::upload(gpu, &int8)).transpose()?;
        Ok(Self { weight: gpu.upload(&all)?, int8, inn: maps[0].in_dim() })
    }

    /// W row-major [out, in].
    pub fn matrix(&self) -> Matrix<'_> {
        self.weight.rows(self.inn)
    }

    /// Room for m rows of x in int8, when that is what the map multiplies.
    pub fn rows_i8(&self, m: usize) -> Result<Option<RowsI8>> {
        self.int8.as_ref().map(|_| RowsI8::empty(self.weight.gpu(), m, self.inn)).transpose()
    }

    /// y [m, out] = x [m, in] W^T; `q` is x in int8, where somebody has made it.
    pub fn apply(&self, x: Matrix, q: Option<&RowsI8>, y: Matrix) -> Result<()> {
        let gpu = self.weight.gpu();
        match (&self.int8, q) {
            (Some(int8), Some(q)) => ops::multiply_i8(gpu, q, int8, y, None),
            (Some(int8), None) => ops::apply_i8(gpu, x, int8, y),
            (None, _) => ops::apply(gpu, x, self.matrix(), y),
        }
    }
}

pub struct GpuModel {
    pub gpu: Arc<Gpu>,
    pub config: LlamaConfig,
    pub embedding: GpuMap,
    pub head: Option<GpuMap>,
    pub final_norm: Buffer<f32>,
    pub layers: Vec<GpuLayer>,
    pub rotation: Rotation,
}

impl GpuModel {
    pub fn upload(gpu: &Arc<Gpu>, weights: &Weights) -> Result<Self> {
        let side_by_side = |layer: usize, targets: &[Target]| {
            let maps: Vec<_> = targets.iter().map(|t| weights.layers[layer].linear(*t)).collect();
            GpuMap::upload(gpu, &maps)
        };
        let mut layers = vec![];
        for (i, layer) in weights.layers.iter().enumerate() {
            layers.push(GpuLayer {
                attention_norm: gpu.upload(&layer.attention_norm)?,
                mlp_norm: gpu.upload(&layer.mlp_norm)?,
                qkv: side_by_side(i, &[Target::Q, Target::K, Target::V])?,
                o: side_by_side(i, &[Target::O])?,
                gate_up: side_by_side(i, &[Target::Gate, Target::Up])?,
                down: side_by_side(i, &[Target::Down])?,
            });
        }
        let (cos, sin) = weights.rope.tables();
        Ok(Self {
            gpu: gpu.clone(),
            config: weights.config.clone(),
            embedding: GpuMap::upload(gpu, &[&weights.embedding])?,
            head: weights.head.as_ref().map(|h| GpuMap::upload(gpu, &[h])).transpose()?,
            final_norm: gpu.upload(&weights.final_norm)?,
            layers,
            rotation: Rotation {
                cos: gpu.upload(cos)?,
                sin: gpu.upload(sin)?,
                half: weights.config.head_dim / 2,
            },
        })
    }

    pub fn heads(&self) -> Heads {
        let c = &self.config;
        Heads { query: c.heads, kv: c.kv_heads, dim: c.head_dim }
    }

    /// W [vocab, h] of the logits.
    pub fn head(&self) -> &GpuMap {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Floats of one page of one layer: keys and values of KEY_TILE positions.
    pub fn page_floats(&self) -> usize {
        2 * self.config.kv_heads * self.config.head_dim * KEY_TILE
    }

    /// W [out, in] of one linear map.
    pub fn linear(&self, layer: usize, target: Target) -> Matrix<'_> {
        let (c, layer) = (&self.config, &self.layers[layer]);
        let (out, inn) = c.linear_shape(target);
        let (q, kv) = (c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let (map, before) = match target {
            Target::Q => (&layer.qkv, 0),
            Target::K => (&layer.qkv, q),
            Target::V => (&layer.qkv, q + kv),
            Target::O => (&layer.o, 0),
            Target::Gate => (&layer.gate_up, 0),
            Target::Up => (&layer.gate_up, c.ffn),
            Target::Down => (&layer.down, 0),
        };
        map.weight.matrix(before * inn, out, inn, inn)
    }
}

/// An adapter's flat parameters (module by module, A then B) on the device.
pub struct GpuAdapter {
    pub flat: Buffer<f32>,
    pub rank: usize,
    pub scale: f32,
    pub targets: Vec<Target>,
    /// Where each module's A starts; its B follows.
    offsets: Vec<usize>,
}

impl GpuAdapter {
    pub fn upload(gpu: &Arc<Gpu>, adapter: &Adapter) -> Result<Self> {
        let flat = gpu.upload(&adapter.to_parameters())?;
        Ok(Self {
            flat,
            rank: adapter.config.rank,
            scale: adapter.config.scale(),
            targets: adapter.config.targets.clone(),
            offsets: crate::train::lora::module_offsets(adapter),
        })
    }

    /// A [r, in] and B [out, r] of one map.
    pub fn module(
        &self,
        config: &LlamaConfig,
        layer: usize,
        target: Target,
    ) -> Option<[Matrix<'_>; 2]> {
        let at = layer * self.targets.len() + self.targets.iter().position(|t| *t == target)?;
        let (out, inn) = config.linear_shape(target);
        let start = self.offsets[at];
        Some([
            self.flat.matrix(start, self.rank, inn, inn),
            self.flat.matrix(start + self.rank * inn, out, self.rank, self.rank),
        ])
    }

    /// Where a map's parameters lie in the flat order.
    pub fn offset(&self, layer: usize, target: Target) -> Option<usize> {
        let at = self.targets.iter().position(|t| *t == target)?;
        Some(self.offsets[layer * self.targets.len() + at])
    }
}

/// The table the LoRA kernels look adapters up in: for every map, one entry a slot (lora.cuh: Module).
pub struct AdapterTable {
    slots: Vec<Option<Arc<GpuAdapter>>>,
    /// [layers][7][slots] entries of three words.
    entries: Buffer<u64>,
    pub rank_max: usize,
}

const WORDS: usize = 3;

impl AdapterTable {
    /// Slot i of the table is the i-th adapter; None is the base alone.
    pub fn new(model: &GpuModel, slots: Vec<Option<Arc<GpuAdapter>>>) -> Result<Self> {
        let mut words = vec![];
        for layer in 0..model.config.layers {
            for target in Target::ALL {
                for slot in &slots {
                    let module = slot.as_ref().and_then(|a| {
                        a.module(&model.config, layer, target).map(|m| (m, a.rank, a.scale))
                    });
                    match module {
                        Some(([a, b], rank, scale)) => {
                            let last = rank as u64 | u64::from(scale.to_bits()) << 32;
                            words.extend([a.at(), b.at(), last]);
                        }
                        None => words.extend([0; WORDS]),
                    }
                }
            }
        }
        let rank_max = slots.iter().flatten().map(|a| a.rank).max().unwrap_or(0);
        Ok(Self { entries: model.gpu.upload(&words)?, slots, rank_max })
    }

    /// The entries of a map and of those after it, and whether any slot adapts a map of this name.
    pub fn map(&self, layer: usize, target: Target) -> Address {
        self.entries.at((layer * 7 + target as usize) * self.slots.len() * WORDS)
    }

    pub fn adapts(&self, target: Target) -> bool {
        self.slots.iter().flatten().any(|a| a.targets.contains(&target))
    }

    pub fn slots(&self) -> &[Option<Arc<GpuAdapter>>] {
        &self.slots
    }
}
