//! Causal attention with grouped key-value heads, over a cache kept in packed panels.
//!
//! For one head: S = scale * Q K^T, P = exp(S - max), O = (P V) / sum(P). Sums over keys run in
//! tiles of 64 from position 0, whatever the cache holds beyond and however many queries
//! come at once. The keys of a KV head are panels [key / 16][d][16] (B of Q K^T), the values panels
//! [d / 16][key][16] (B of P V): appending a token never moves another.

use super::elementwise::{exp_shifted, max, scale, sum};
use crate::gemm::{BLOCK, MatRef, PANEL, Packed, PanelsRef, gemm};
use crate::memory::{copy, zeros};
use rayon::prelude::*;

/// Keys per tile of every sum over keys.
pub const KEY_TILE: usize = 64;

/// What memory is for, in errors.
const WAY_BACK: &str = "attention's way back";

#[derive(Clone, Copy, Debug)]
pub struct Heads {
    pub query: usize,
    pub kv: usize,
    pub dim: usize,
}

impl Heads {
    pub fn group(&self) -> usize {
        self.query / self.kv
    }
    pub fn scale(&self) -> f32 {
        1.0 / (self.dim as f32).sqrt()
    }
}

/// Keys and values of one layer, for all KV heads.
#[derive(Clone, Debug)]
pub struct KvLayer {
    heads: Heads,
    capacity: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl KvLayer {
    /// Room for `positions` tokens (rounded up to whole tiles).
    pub fn new(heads: Heads, positions: usize) -> Self {
        let capacity = positions.next_multiple_of(KEY_TILE);
        let value_panels = heads.dim.div_ceil(PANEL);
        Self {
            heads,
            capacity,
            keys: zeros("keys of a sequence", heads.kv * capacity * heads.dim),
            values: zeros("values of a sequence", heads.kv * value_panels * capacity * PANEL),
        }
    }

    /// Stores k, v [rows, kv * dim] (keys already rotated) at positions `first`...
    pub fn append(&mut self, k: &[f32], v: &[f32], first: usize) {
        let Heads { kv, dim, .. } = self.heads;
        let rows = k.len() / (kv * dim);
        assert!(first + rows <= self.capacity, "the key-value cache is full");
        let value_panels = dim.div_ceil(PANEL);
        for r in 0..rows {
            let position = first + r;
            for h in 0..kv {
                let from = (r * kv + h) * dim;
                let key = (h * self.capacity + position / PANEL * PANEL) * dim + position % PANEL;
                let value = (h * value_panels * self.capacity + position) * PANEL;
                for d in 0..dim {
                    self.keys[key + d * PANEL] = k[from + d];
                    let panel = d / PANEL * self.capacity * PANEL;
                    self.values[value + panel + d % PANEL] = v[from + d];
                }
            }
        }
    }

    fn key_panels(&self, head: usize, n: usize) -> PanelsRef<'_> {
        let dim = self.heads.dim;
        let start = head * self.capacity * dim;
        PanelsRef {
            data: &self.keys[start..start + self.capacity * dim],
            k: dim,
            n,
            stride: dim * PANEL,
        }
    }

    fn value_panels(&self, head: usize, k: usize) -> PanelsRef<'_> {
        let size = self.heads.dim.div_ceil(PANEL) * self.capacity * PANEL;
        let data = &self.values[head * size..(head + 1) * size];
        PanelsRef { data, k, n: self.heads.dim, stride: self.capacity * PANEL }
    }
}

/// What one head leaves for the way back: P [m, keys] unnormalised and 1 / sum(P) [m].
#[derive(Clone, Debug, Default)]
pub struct HeadTape {
    pub p: Vec<f32>,
    pub inverse: Vec<f32>,
}

/// q [m, query * dim] at positions `first`.. -> out of the same shape. The cache already holds
/// positions 0..first + m. `tapes` (one per query head) is filled when given.
pub fn attention(
    q: &[f32],
    cache: &KvLayer,
    first: usize,
    out: &mut [f32],
    tapes: Option<&mut [HeadTape]>,
) {
    let heads = cache.heads;
    let width = heads.query * heads.dim;
    let m = q.len() / width;
    let (keys, keep) = (first + m, tapes.is_some());
    let one = |h: usize| -> (Vec<f32>, HeadTape) {
        let kv = h / heads.group();
        let mut p = zeros("attention's weights", m * keys);
        let view = MatRef { data: &q[h * heads.dim..], row: width, col: 1 };
        gemm(view, m, cache.key_panels(kv, keys), &mut p, keys, BLOCK);
        let mut inverse = vec![0.0; m];
        for (r, row) in p.chunks_exact_mut(keys).enumerate() {
            let (seen, masked) = row.split_at_mut(first + r + 1);
            masked.fill(0.0);
            scale(seen, heads.scale());
            let top = max(seen);
            exp_shifted(seen, top);
            inverse[r] = 1.0 / sum(seen, KEY_TILE);
        }
        let mut o = zeros("attention", m * heads.dim);
        gemm(MatRef::rows(&p, keys), m, cache.value_panels(kv, keys), &mut o, heads.dim, KEY_TILE);
        for (row, inverse) in o.chunks_exact_mut(heads.dim).zip(&inverse) {
            // Adding +0 makes every zero positive: masked keys add zeros of either sign.
            row.iter_mut().for_each(|x| *x = *x * inverse + 0.0);
        }
        (o, if keep { HeadTape { p, inverse } } else { HeadTape::default() })
    };
    let work = m * keys * width;
    let results: Vec<_> = if work > 1 << 18 {
        (0..heads.query).into_par_iter().map(one).collect()
    } else {
        (0..heads.query).map(one).collect()
    };
    for (h, (o, _)) in results.iter().enumerate() {
        for r in 0..m {
            let to = r * width + h * heads.dim;
            out[to..to + heads.dim].copy_from_slice(&o[r * heads.dim..(r + 1) * heads.dim]);
        }
    }
    if let Some(tapes) = tapes {
        for (tape, (_, kept)) in tapes.iter_mut().zip(results) {
            *tape = kept;
        }
    }
}

/// Gradients (dq, dk, dv) of a whole sequence that started at position 0.
/// q, o, d_out [t, query * dim]; k, v [t, kv * dim].
pub fn attention_backward(
    heads: Heads,
    q: &[f32],
    k: &[f32],
    v: &[f32],
    o: &[f32],
    tapes: &[HeadTape],
    d_out: &[f32],
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let (dim, width, kv_width) = (heads.dim, heads.query * heads.dim, heads.kv * heads.dim);
    let t = q.len() / width;
    let (mut dq, mut dk, mut dv) =
        (zeros(WAY_BACK, t * width), zeros(WAY_BACK, t * kv_width), zeros(WAY_BACK, t * kv_width));
    let mut part = zeros(WAY_BACK, t * dim);
    let mut ds = zeros(WAY_BACK, t * t);
    for h in 0..heads.query {
        let kv = h / heads.group();
        let tape = &tapes[h];
        let q_panels = Packed::new(&q[h * dim..], t, dim, width, 1);
        let d_out_panels = Packed::new(&d_out[h * dim..], t, dim, width, 1);
        let k_panels = Packed::new(&k[kv * dim..], t, dim, kv_width, 1);
        let v_columns = Packed::new(&v[kv * dim..], dim, t, 1, kv_width);
        // dP = dO V^T, then dS = P (dP - sum_d dO O) * scale on the causal half
        let view = MatRef { data: &d_out[h * dim..], row: width, col: 1 };
        gemm(view, t, v_columns.view(), &mut ds, t, BLOCK);
        let mut p = copy(WAY_BACK, &tape.p);
        for r in 0..t {
            let at = r * width + h * dim;
            let pull = dot(&d_out[at..at + dim], &o[at..at + dim]);
            let row = r * t..r * t + r + 1;
            softmax_backward(
                &mut p[row.clone()],
                &mut ds[row],
                tape.inverse[r],
                pull,
                heads.scale(),
            );
            ds[r * t + r + 1..(r + 1) * t].fill(0.0);
        }
        gemm(MatRef::rows(&ds, t), t, k_panels.view(), &mut dq[h * dim..], width, KEY_TILE);
        gemm(MatRef::transposed(&ds, t), t, q_panels.view(), &mut part, dim, KEY_TILE);
        add_head(&mut dk, &part, kv, dim, kv_width, h % heads.group() == 0);
        gemm(MatRef::transposed(&p, t), t, d_out_panels.view(), &mut part, dim, KEY_TILE);
        add_head(&mut dv, &part, kv, dim, kv_width, h % heads.group() == 0);
    }
    (dq, dk, dv)
}

crate::kernel! {
    /// p becomes P normalised; ds (holding dP) becomes P (dP - pull) * scale.
    fn softmax_backward(p: &mut [f32], ds: &mut [f32], inverse: f32, pull: f32, scale: f32) {
        for (p, ds) in p.iter_mut().zip(ds.iter_mut()) {
            *p *= inverse;
            *ds = (*p * (*ds - pull)) * scale;
        }
    }
}

crate::kernel! {
    fn dot(a: &[f32], b: &[f32]) -> f32 {
        let mut total = 0f32;
        for (i, (a, b)) in a.chunks(BLOCK).zip(b.chunks(BLOCK)).enumerate() {
            let mut sum = 0f32;
            for (a, b) in a.iter().zip(b) {
                sum = a.mul_add(*b, sum);
            }
            total = if i == 0 { sum } else { total + sum };
        }
        total
    }
}

/// Adds one query head's part [t, dim] to its KV head's columns; query heads come in order.
fn add_head(to: &mut [f32], part: &[f32], kv: usize, dim: usize, width: usize, first: bool) {
    for (row, part) in to.chunks_exact_mut(width).zip(part.chunks_exact(dim)) {
        for (t, p) in row[kv * dim..(kv + 1) * dim].iter_mut().zip(part) {
            *t = if first { *p } else { *t + *p };
        }
    }
}
