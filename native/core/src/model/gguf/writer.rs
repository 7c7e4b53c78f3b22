//! Writes small GGUF files, good ones and bad ones, for tests.

use super::blocks::Kind;
use super::llama::name_in_file;
use crate::model::{LlamaConfig, Weights};
use half::{bf16, f16};

/// A metadata value as it goes to the file: type number and bytes.
pub struct Raw(pub u32, pub Vec<u8>);

pub fn int(n: u32) -> Raw {
    Raw(4, n.to_le_bytes().to_vec())
}

pub fn float(x: f32) -> Raw {
    Raw(6, x.to_le_bytes().to_vec())
}

pub fn text(s: &str) -> Raw {
    Raw(8, counted(s))
}

pub fn texts(all: &[String]) -> Raw {
    let mut bytes =
        [8u32.to_le_bytes().to_vec(), (all.len() as u64).to_le_bytes().to_vec()].concat();
    all.iter().for_each(|s| bytes.extend(counted(s)));
    Raw(9, bytes)
}

pub fn ints(all: &[i32]) -> Raw {
    let mut bytes =
        [5u32.to_le_bytes().to_vec(), (all.len() as u64).to_le_bytes().to_vec()].concat();
    all.iter().for_each(|n| bytes.extend(n.to_le_bytes()));
    Raw(9, bytes)
}

fn counted(s: &str) -> Vec<u8> {
    [(s.len() as u64).to_le_bytes().to_vec(), s.as_bytes().to_vec()].concat()
}

/// A row of the table and its data.
pub struct Stored {
    pub name: String,
    /// As in the file: the row length first.
    pub dims: Vec<u64>,
    pub kind: u32,
    pub bytes: Vec<u8>,
    /// Offset that the table claims; None is the true one.
    pub at: Option<u64>,
}

pub fn file(metadata: &[(&str, Raw)], tensors: &[Stored]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((metadata.len() as u64).to_le_bytes());
    for (key, Raw(kind, bytes)) in metadata {
        out.extend(counted(key));
        out.extend(kind.to_le_bytes());
        out.extend(bytes);
    }
    let mut data = vec![];
    for tensor in tensors {
        data.resize(data.len().next_multiple_of(32), 0);
        out.extend(counted(&tensor.name));
        out.extend((tensor.dims.len() as u32).to_le_bytes());
        tensor.dims.iter().for_each(|d| out.extend(d.to_le_bytes()));
        out.extend(tensor.kind.to_le_bytes());
        out.extend(tensor.at.unwrap_or(data.len() as u64).to_le_bytes());
        data.extend(&tensor.bytes);
    }
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(data);
    out
}

pub fn metadata(config: &LlamaConfig) -> Vec<(&'static str, Raw)> {
    vec![
        ("general.architecture", text("llama")),
        ("llama.embedding_length", int(config.hidden as u32)),
        ("llama.block_count", int(config.layers as u32)),
        ("llama.attention.head_count", int(config.heads as u32)),
        ("llama.attention.head_count_kv", int(config.kv_heads as u32)),
        ("llama.rope.dimension_count", int(config.head_dim as u32)),
        ("llama.feed_forward_length", int(config.ffn as u32)),
        ("llama.context_length", int(config.max_positions as u32)),
        ("llama.attention.layer_norm_rms_epsilon", float(config.rms_eps as f32)),
        ("llama.rope.freq_base", float(config.rope_theta as f32)),
        ("tokenizer.ggml.eos_token_id", int(config.eos[0])),
    ]
}

/// The model as a converter would store it: vectors as f32, maps as `kind`, query and key rows interleaved.
pub fn stored(weights: &Weights, kind: Kind) -> Vec<Stored> {
    let c = &weights.config;
    let one = |(name, shape, values): (String, Vec<usize>, Vec<f32>)| {
        let kind = if shape.len() == 1 { Kind::F32 } else { kind };
        let values = match &name {
            n if n.ends_with("q_proj.weight") => interleaved(&values, c.heads, shape[1]),
            n if n.ends_with("k_proj.weight") => interleaved(&values, c.kv_heads, shape[1]),
            _ => values,
        };
        Stored {
            name: name_in_file(&name),
            dims: shape.iter().rev().map(|d| *d as u64).collect(),
            kind: kind.id(),
            bytes: encode(kind, &values),
            at: None,
        }
    };
    weights.tensors().into_iter().map(one).collect()
}

/// Row r of a head goes to 2r, or, from the second half, to the odd place after its partner.
fn interleaved(w: &[f32], heads: usize, columns: usize) -> Vec<f32> {
    let rows = w.len() / columns;
    let d = rows / heads;
    let mut out = vec![0.0; w.len()];
    for row in 0..rows {
        let (head, r) = (row / d, row % d);
        let to = head * d + if r < d / 2 { 2 * r } else { 2 * (r - d / 2) + 1 };
        out[to * columns..(to + 1) * columns]
            .copy_from_slice(&w[row * columns..(row + 1) * columns]);
    }
    out
}

/// Quantises plainly; good enough to test reading.
pub fn encode(kind: Kind, values: &[f32]) -> Vec<u8> {
    let (numbers, _) = kind.block();
    let mut out = vec![];
    for block in values.chunks(numbers) {
        let largest = block.iter().fold(0f32, |a, x| a.max(x.abs()));
        let (low, high) =
            block.iter().fold((f32::MAX, f32::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
        match kind {
            Kind::F32 => out.extend(block[0].to_le_bytes()),
            Kind::F16 => out.extend(f16::from_f32(block[0]).to_le_bytes()),
            Kind::Bf16 => out.extend(bf16::from_f32(block[0]).to_le_bytes()),
            Kind::Q8_0 => {
                let d = f16::from_f32(largest / 127.0);
                out.extend(d.to_le_bytes());
                out.extend(block.iter().map(|x| (x / d.to_f32()).round() as i8 as u8));
            }
            Kind::Q4_0 => {
                let d = f16::from_f32(largest / 7.0);
                out.extend(d.to_le_bytes());
                out.extend(packed(block, |x| x / d.to_f32() + 8.0));
            }
            Kind::Q4_1 => {
                let (d, m) = (f16::from_f32((high - low) / 15.0), f16::from_f32(low));
                out.extend(d.to_le_bytes());
                out.extend(m.to_le_bytes());
                out.extend(packed(block, |x| (x - m.to_f32()) / d.to_f32()));
            }
        }
    }
    out
}

fn packed(block: &[f32], step: impl Fn(f32) -> f32) -> Vec<u8> {
    let q = |x: f32| step(x).round().clamp(0.0, 15.0) as u8;
    (0..16).map(|i| q(block[i]) | q(block[i + 16]) << 4).collect()
}
