//! The weights in the form the kernels read: every linear map packed for y = x W^T, in f32 or in int8, and, once
//! somebody trains through it, for dx = dy W too. Of an int8 map the way back is that of the f32 weight it
//! stands for (entry times scale), in f32: rounding of activations counts as the identity.

use super::config::{LlamaConfig, Target};
use crate::cuda::{GpuModel, Resident};
use crate::gemm::int8::{self, PackedI8, Quantised};
use crate::gemm::{BLOCK, MatRef, Packed, gemm, gemm_side_by_side};
use crate::memory::{afford, resize, zeros};
use crate::ops::attention::Heads;
use crate::ops::rope::RopeTable;
use crate::{EngineError, bail};
use std::sync::{Arc, OnceLock};

/// How linear maps keep their numbers. Each form of a model has a hash and bytes of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    #[default]
    F32,
    /// `gemm::int8`: a scale a row of W, a scale a row of activations, sums in int32.
    Int8,
}

impl Precision {
    pub const ALL: [Precision; 2] = [Precision::F32, Precision::Int8];

    pub fn name(self) -> &'static str {
        match self {
            Precision::F32 => "f32",
            Precision::Int8 => "int8",
        }
    }

    pub fn from_name(name: &str) -> Result<Self, EngineError> {
        match Precision::ALL.into_iter().find(|p| p.name() == name) {
            Some(precision) => Ok(precision),
            None => bail!(BadInput, "precision is {name}; known are f32 and int8"),
        }
    }
}

#[derive(Debug)]
enum Form {
    F32(Packed),
    Int8(PackedI8),
}

/// A linear map without bias.
#[derive(Debug)]
pub struct Linear {
    form: Form,
    backward: OnceLock<Packed>,
}

impl Linear {
    /// W row-major [out, in], kept in f32.
    pub fn new(w: &[f32], out: usize, inn: usize) -> Self {
        Self::with(Precision::F32, w, out, inn)
    }

    /// W row-major [out, in].
    pub fn with(precision: Precision, w: &[f32], out: usize, inn: usize) -> Self {
        let form = match precision {
            Precision::F32 => Form::F32(Packed::from_weight(w, out, inn)),
            Precision::Int8 => Form::Int8(PackedI8::from_weight(w, out, inn)),
        };
        Self { form, backward: OnceLock::new() }
    }

    pub fn out_dim(&self) -> usize {
        match &self.form {
            Form::F32(w) => w.n(),
            Form::Int8(w) => w.n(),
        }
    }

    pub fn in_dim(&self) -> usize {
        match &self.form {
            Form::F32(w) => w.k(),
            Form::Int8(w) => w.k(),
        }
    }

    /// Entries and scales, when the map is kept in int8.
    pub fn int8(&self) -> Option<&PackedI8> {
        match &self.form {
            Form::F32(_) => None,
            Form::Int8(w) => Some(w),
        }
    }

    /// y [m, out] = x [m, in] W^T.
    pub fn apply(&self, x: &[f32], m: usize) -> Vec<f32> {
        let [y] = apply_all([self], x, m);
        y
    }

    /// dx [m, in] = dy [m, out] W.
    pub fn apply_backward(&self, dy: &[f32], m: usize) -> Vec<f32> {
        let packed = self
            .backward
            .get_or_init(|| Packed::from_rows(&self.to_weight(), self.out_dim(), self.in_dim()));
        let mut dx = zeros("gradients of rows", m * self.in_dim());
        gemm(MatRef::rows(dy, self.out_dim()), m, packed.view(), &mut dx, self.in_dim(), BLOCK);
        dx
    }

    /// Bytes of the packed forms in memory.
    pub fn bytes(&self) -> usize {
        let form = match &self.form {
            Form::F32(w) => w.bytes(),
            Form::Int8(w) => w.bytes(),
        };
        form + self.backward.get().map_or(0, Packed::bytes)
    }

    /// Row j of W: an embedding.
    pub fn row(&self, j: usize, out: &mut [f32]) {
        match &self.form {
            Form::F32(w) => w.copy_column(j, out),
            Form::Int8(w) => w.copy_row(j, out),
        }
    }

    /// W row-major [out, in]; of an int8 map what its entries and scales stand for.
    pub fn to_weight(&self) -> Vec<f32> {
        match &self.form {
            Form::F32(w) => w.to_weight(),
            Form::Int8(w) => w.to_weight(),
        }
    }
}

/// `apply` of several maps to the same rows in one parallel loop; the bits are those of one by one.
pub fn apply_all<const N: usize>(maps: [&Linear; N], x: &[f32], m: usize) -> [Vec<f32>; N] {
    let mut outs = maps.map(|_| vec![]);
    apply_all_to(maps, x, m, &mut outs);
    outs
}

/// `apply_all` into buffers that are there already; they get the length of the outputs.
pub fn apply_all_to<const N: usize>(
    maps: [&Linear; N],
    x: &[f32],
    m: usize,
    outs: &mut [Vec<f32>; N],
) {
    for (map, out) in maps.iter().zip(outs.iter_mut()) {
        resize("rows of a linear map", out, m * map.out_dim());
    }
    let int8: Vec<&PackedI8> = maps.iter().filter_map(|map| map.int8()).collect();
    if int8.len() == N {
        return int8::apply(&Quantised::rows_of(x, m), &int8, outs);
    }
    let packed = maps.map(|map| match &map.form {
        Form::F32(w) => w.view(),
        Form::Int8(_) => unreachable!("maps of one model have one precision"),
    });
    gemm_side_by_side(MatRef::rows(x, maps[0].in_dim()), m, &packed, outs, BLOCK);
}

#[derive(Debug)]
pub struct Layer {
    pub attention_norm: Vec<f32>,
    pub mlp_norm: Vec<f32>,
    /// In `Target::ALL` order.
    pub linears: [Linear; 7],
}

impl Layer {
    pub fn linear(&self, target: Target) -> &Linear {
        &self.linears[target as usize]
    }
}

#[derive(Debug)]
pub struct Weights {
    pub config: LlamaConfig,
    pub precision: Precision,
    pub embedding: Linear,
    /// None when tied to the embedding.
    pub head: Option<Linear>,
    pub final_norm: Vec<f32>,
    pub layers: Vec<Layer>,
    pub rope: Arc<RopeTable>,
    /// The copy on a card, when there is one: what runs there has the same bytes.
    pub on_gpu: Resident<GpuModel>,
}

impl Weights {
    pub fn head(&self) -> &Linear {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    pub fn heads(&self) -> Heads {
        let c = &self.config;
        Heads { query: c.heads, kv: c.kv_heads, dim: c.head_dim }
    }

    /// Makes sure, before any tensor is read, that the weights that `file` has can be held: packed, with one tensor at
    /// a time as it is stored and as f32 besides, and the table of rotations.
    pub fn afford(
        precision: Precision,
        config: &LlamaConfig,
        file: &str,
    ) -> Result<(), EngineError> {
        let width = if precision == Precision::F32 { 4 } else { 1 };
        let tensor = config.hidden * config.vocab.max(config.ffn);
        let table = config.max_positions * config.head_dim;
        let packed = config.parameters().checked_mul(width);
        let bytes = packed.and_then(|packed| packed.checked_add(8 * tensor + 4 * table));
        let (n, kind) = (config.parameters(), precision.name());
        afford(&format!("{file}: a model of {n} parameters in {kind}"), bytes)
    }

    /// Builds the weights in f32 from a source of named tensors (row-major, shape already agreed on).
    pub fn build<E>(
        config: LlamaConfig,
        tensor: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        Self::build_as(Precision::F32, config, tensor)
    }

    /// `build` in a precision; the f32 of one map at a time is held besides.
    pub fn build_as<E>(
        precision: Precision,
        config: LlamaConfig,
        tensor: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let rope = RopeTable::new(config.max_positions, config.head_dim, config.rope_theta);
        Self::build_with(precision, config, Arc::new(rope), tensor)
    }

    /// `build_as` with a rotation table made before. Tensors are asked for in the order of `tensors`.
    pub fn build_with<E>(
        precision: Precision,
        config: LlamaConfig,
        rope: Arc<RopeTable>,
        mut tensor: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let (h, v) = (config.hidden, config.vocab);
        let linear = |w: Vec<f32>, out, inn| Linear::with(precision, &w, out, inn);
        let embedding = linear(tensor("model.embed_tokens.weight", &[v, h])?, v, h);
        let mut layers = Vec::with_capacity(config.layers);
        for l in 0..config.layers {
            let mut linears = Vec::with_capacity(7);
            for target in Target::ALL {
                let (out, inn) = config.linear_shape(target);
                let name = format!("model.layers.{l}.{}.weight", target.path());
                linears.push(linear(tensor(&name, &[out, inn])?, out, inn));
            }
            let norm = |name: &str| format!("model.layers.{l}.{name}.weight");
            layers.push(Layer {
                attention_norm: tensor(&norm("input_layernorm"), &[h])?,
                mlp_norm: tensor(&norm("post_attention_layernorm"), &[h])?,
                linears: linears.try_into().unwrap_or_else(|_| unreachable!("seven targets")),
            });
        }
        let final_norm = tensor("model.norm.weight", &[h])?;
        let head =
            if config.tied { None } else { Some(linear(tensor("lm_head.weight", &[v, h])?, v, h)) };
        let on_gpu = Resident::empty();
        Ok(Self { config, precision, embedding, head, final_norm, layers, rope, on_gpu })
    }

    /// Every tensor with its Hugging Face name and shape, in a fixed order.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let (h, v) = (self.config.hidden, self.config.vocab);
        let mut all =
            vec![("model.embed_tokens.weight".into(), vec![v, h], self.embedding.to_weight())];
        for (l, layer) in self.layers.iter().enumerate() {
            for target in Target::ALL {
                let linear = layer.linear(target);
                let name = format!("model.layers.{l}.{}.weight", target.path());
                all.push((name, vec![linear.out_dim(), linear.in_dim()], linear.to_weight()));
            }
            let name = |n: &str| format!("model.layers.{l}.{n}.weight");
            all.push((name("input_layernorm"), vec![h], layer.attention_norm.clone()));
            all.push((name("post_attention_layernorm"), vec![h], layer.mlp_norm.clone()));
        }
        all.push(("model.norm.weight".into(), vec![h], self.final_norm.clone()));
        if let Some(head) = &self.head {
            all.push(("lm_head.weight".into(), vec![v, h], head.to_weight()));
        }
        all
    }
}
