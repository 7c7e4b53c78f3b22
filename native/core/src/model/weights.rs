//! The weights in the form the kernels read: every linear map packed for y = x W^T, and, once
//! somebody trains through it, for dx = dy W too.

use super::config::{LlamaConfig, Target};
use crate::cuda::{GpuModel, Resident};
use crate::gemm::{BLOCK, MatRef, Packed, gemm};
use crate::ops::attention::Heads;
use crate::ops::rope::RopeTable;
use std::sync::{Arc, OnceLock};

/// A linear map without bias.
#[derive(Debug)]
pub struct Linear {
    forward: Packed,
    backward: OnceLock<Packed>,
}

impl Linear {
    /// W row-major [out, in].
    pub fn new(w: &[f32], out: usize, inn: usize) -> Self {
        Self { forward: Packed::from_weight(w, out, inn), backward: OnceLock::new() }
    }

    pub fn out_dim(&self) -> usize {
        self.forward.n()
    }

    pub fn in_dim(&self) -> usize {
        self.forward.k()
    }

    /// y [m, out] = x [m, in] W^T.
    pub fn apply(&self, x: &[f32], m: usize) -> Vec<f32> {
        let mut y = vec![0.0; m * self.out_dim()];
        self.apply_to(x, m, &mut y);
        y
    }

    /// `apply` into a buffer that is there already.
    pub fn apply_to(&self, x: &[f32], m: usize, y: &mut [f32]) {
        gemm(MatRef::rows(x, self.in_dim()), m, self.forward.view(), y, self.out_dim(), BLOCK);
    }

    /// dx [m, in] = dy [m, out] W.
    pub fn apply_backward(&self, dy: &[f32], m: usize) -> Vec<f32> {
        let packed = self.backward.get_or_init(|| {
            Packed::from_rows(&self.forward.to_weight(), self.out_dim(), self.in_dim())
        });
        let mut dx = vec![0.0; m * self.in_dim()];
        gemm(MatRef::rows(dy, self.out_dim()), m, packed.view(), &mut dx, self.in_dim(), BLOCK);
        dx
    }

    /// Bytes of the packed forms in memory.
    pub fn bytes(&self) -> usize {
        self.forward.bytes() + self.backward.get().map_or(0, Packed::bytes)
    }

    /// Row j of W: an embedding.
    pub fn row(&self, j: usize, out: &mut [f32]) {
        self.forward.copy_column(j, out);
    }

    /// W row-major [out, in].
    pub fn to_weight(&self) -> Vec<f32> {
        self.forward.to_weight()
    }
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

    /// Builds the weights from a source of named tensors (row-major, shape already agreed on).
    pub fn build<E>(
        config: LlamaConfig,
        tensor: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let rope = RopeTable::new(config.max_positions, config.head_dim, config.rope_theta);
        Self::build_with(config, Arc::new(rope), tensor)
    }

    /// `build` with a rotation table made before. Tensors are asked for in the order of `tensors`.
    pub fn build_with<E>(
        config: LlamaConfig,
        rope: Arc<RopeTable>,
        mut tensor: impl FnMut(&str, &[usize]) -> Result<Vec<f32>, E>,
    ) -> Result<Self, E> {
        let (h, v) = (config.hidden, config.vocab);
        let embedding = Linear::new(&tensor("model.embed_tokens.weight", &[v, h])?, v, h);
        let mut layers = Vec::with_capacity(config.layers);
        for l in 0..config.layers {
            let mut linears = Vec::with_capacity(7);
            for target in Target::ALL {
                let (out, inn) = config.linear_shape(target);
                let name = format!("model.layers.{l}.{}.weight", target.path());
                linears.push(Linear::new(&tensor(&name, &[out, inn])?, out, inn));
            }
            let norm = |name: &str| format!("model.layers.{l}.{name}.weight");
            layers.push(Layer {
                attention_norm: tensor(&norm("input_layernorm"), &[h])?,
                mlp_norm: tensor(&norm("post_attention_layernorm"), &[h])?,
                linears: linears.try_into().unwrap_or_else(|_| unreachable!("seven targets")),
            });
        }
        let final_norm = tensor("model.norm.weight", &[h])?;
        let head = if config.tied {
            None
        } else {
            Some(Linear::new(&tensor("lm_head.weight", &[v, h])?, v, h))
        };
        let on_gpu = Resident::empty();
        Ok(Self { config, embedding, head, final_norm, layers, rope, on_gpu })
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
