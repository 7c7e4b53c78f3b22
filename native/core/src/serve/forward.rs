//! The forward pass of many sequences at once: every base weight is read once for all their rows, every
//! adapter's factors once for its own rows. A row's bits do not depend on what else is in the batch: the base's
//! products keep rows apart, and all else goes row by row or sequence by sequence.
//!
//!   rows sorted by adapter -> [base q k v] -> units: LoRA, RoPE -> sequences x KV heads: store, attend
//!     -> [base o] -> units: LoRA, residual, norm -> [base gate up] -> units: LoRA, SwiGLU
//!     -> [base down] -> units: LoRA, residual, norm of the next layer
//!
//! A unit is up to 16 rows that share an adapter (a segment of SGMV, cut for the threads).

use super::attention::{Scratch, attend};
use super::kv::KvMemory;
use crate::lora::Adapter;
use crate::memory::resize;
use crate::model::config::Target;
use crate::model::weights::{Layer, Weights, apply_all_to};
use crate::ops::elementwise::{add_into, silu_mul};
use crate::ops::norm::rms_norm;
use crate::pool::each;
use std::cell::RefCell;
use std::ops::Range;

/// Rows of a unit.
const UNIT_ROWS: usize = 16;

/// An adapter and what its scale is multiplied by.
#[derive(Clone, Copy)]
pub struct Applied<'a> {
    pub adapter: &'a Adapter,
    pub scale: f32,
}

/// One sequence's share of a pass: `tokens` at positions `first`.., whose keys and values `pages` hold.
pub struct Piece<'a> {
    pub tokens: &'a [u32],
    pub first: usize,
    pub pages: &'a [u32],
    pub adapter: Option<Applied<'a>>,
    /// Logits are wanted of the rows from here on.
    pub logits_from: usize,
}

struct Unit<'a> {
    rows: Range<usize>,
    adapter: Option<Applied<'a>>,
}

/// Cuts the rows into units. Pieces of one adapter should stand side by side.
fn units<'a>(pieces: &[Piece<'a>]) -> Vec<Unit<'a>> {
    let same = |a: &Option<Applied>, b: &Option<Applied>| match (a, b) {
        (Some(a), Some(b)) => std::ptr::eq(a.adapter, b.adapter) && a.scale == b.scale,
        (None, None) => true,
        _ => false,
    };
    let mut all: Vec<Unit<'a>> = vec![];
    let mut row = 0;
    for piece in pieces {
        let mut left = piece.tokens.len();
        while left > 0 {
            let room = match all.last_mut() {
                Some(unit) if same(&unit.adapter, &piece.adapter) => {
                    let take = left.min(UNIT_ROWS - unit.rows.len());
                    unit.rows.end += take;
                    take
                }
                _ => 0,
            };
            if room == 0 {
                all.push(Unit { rows: row..row, adapter: piece.adapter });
            }
            row += room;
            left -= room;
        }
    }
    all
}

/// A buffer of rows that several threads write, each its own.
#[derive(Clone, Copy)]
struct Split {
    data: *mut f32,
    width: usize,
    rows: usize,
}

// SAFETY: threads take disjoint parts, see the calls of `rows`.
unsafe impl Sync for Split {}
// SAFETY: as above.
unsafe impl Send for Split {}

impl Split {
    fn new(data: &mut [f32], width: usize) -> Self {
        Self { data: data.as_mut_ptr(), width, rows: data.len() / width }
    }

    /// # Safety
    /// The buffer lives, and no other thread holds any of these rows.
    #[allow(clippy::mut_from_ref)]
    unsafe fn rows(&self, rows: &Range<usize>) -> &mut [f32] {
        assert!(rows.start <= rows.end && rows.end <= self.rows);
        // SAFETY: within the buffer, and the caller's promise.
        unsafe {
            let start = self.data.add(rows.start * self.width);
            std::slice::from_raw_parts_mut(start, rows.len() * self.width)
        }
    }

    /// # Safety
    /// As `rows`, for these columns of one row.
    unsafe fn write(&self, row: usize, column: usize, values: &[f32]) {
        assert!(row < self.rows && column + values.len() <= self.width);
        // SAFETY: within the buffer, and the caller's promise.
        unsafe {
            let to = self.data.add(row * self.width + column);
            std::ptr::copy_nonoverlapping(values.as_ptr(), to, values.len());
        }
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The buffers of a pass; kept from step to step.
#[derive(Default)]
struct Buffers {
    x: Vec<f32>,
    normed: Vec<f32>,
    inverse: Vec<f32>,
    qkv: [Vec<f32>; 3],
    o: Vec<f32>,
    added: [Vec<f32>; 1],
    gate_up: [Vec<f32>; 2],
    activated: Vec<f32>,
    hidden: Vec<f32>,
    logits: [Vec<f32>; 1],
}

/// The CPU's side of serving: pages and buffers of one base.
pub struct Cpu {
    kv: KvMemory,
    buffers: Buffers,
}

impl Cpu {
    pub fn new(weights: &Weights, pages: usize) -> Self {
        Self { kv: KvMemory::new(weights, pages), buffers: Buffers::default() }
    }

    /// Bytes of pages in memory.
    pub fn kv_bytes(&self) -> usize {
        self.kv.bytes()
    }

    /// Runs the pieces; returns the logits [rows wanted, vocab] in the order of the pieces.
    ///
    /// Panics when a token is outside the vocabulary or pages are missing: the scheduler checks before.
    pub fn forward(&mut self, weights: &Weights, pieces: &[Piece]) -> &[f32] {
        let h = weights.config.hidden;
        let starts: Vec<usize> = pieces
            .iter()
            .scan(0, |row, piece| {
                let start = *row;
                *row += piece.tokens.len();
                Some(start)
            })
            .collect();
        for piece in pieces {
            self.kv.allocate(piece.pages);
        }
        let positions = pieces.iter().flat_map(|p| p.first..p.first + p.tokens.len()).collect();
        let pass = Pass { weights, pieces, starts, positions, units: units(pieces) };
        pass.run(&mut self.kv, &mut self.buffers);
        let buffers = &mut self.buffers;
        buffers.hidden.clear();
        for (piece, start) in pieces.iter().zip(&pass.starts) {
            let rows = (start + piece.logits_from)..(start + piece.tokens.len());
            buffers.hidden.extend_from_slice(&buffers.normed[rows.start * h..rows.end * h]);
        }
        let rows = buffers.hidden.len() / h;
        if rows == 0 {
            return &[];
        }
        apply_all_to([weights.head()], &buffers.hidden, rows, &mut buffers.logits);
        &buffers.logits[0]
    }
}

/// The first `n` floats of a buffer that grows but never shrinks.
fn sized(buffer: &mut Vec<f32>, n: usize) -> &mut [f32] {
    if buffer.len() < n {
        resize("rows of a step", buffer, n);
    }
    &mut buffer[..n]
}

struct Pass<'a> {
    weights: &'a Weights,
    pieces: &'a [Piece<'a>],
    /// The first row of each piece.
    starts: Vec<usize>,
    /// Where each row stands in its sequence.
    positions: Vec<usize>,
    units: Vec<Unit<'a>>,
}

impl Pass<'_> {
    fn run(&self, kv: &mut KvMemory, buffers: &mut Buffers) {
        let (weights, c) = (self.weights, &self.weights.config);
        let rows = self.units.last().map_or(0, |unit| unit.rows.end);
        let h = c.hidden;
        let Buffers { qkv, added, gate_up, .. } = buffers;
        let x = sized(&mut buffers.x, rows * h);
        let normed = sized(&mut buffers.normed, rows * h);
        let inverse = sized(&mut buffers.inverse, rows);
        let o = sized(&mut buffers.o, rows * c.heads * c.head_dim);
        let activated = sized(&mut buffers.activated, rows * c.ffn);
        let tokens = self.pieces.iter().flat_map(|piece| piece.tokens);
        for (row, token) in x.chunks_exact_mut(h).zip(tokens) {
            weights.embedding.row(*token as usize, row);
        }
        let norm = |w: &[f32], x: &[f32], to: &mut [f32], inverse: &mut [f32]| {
            rms_norm(x, w, c.rms_eps as f32, to, inverse);
        };
        norm(&weights.layers[0].attention_norm, x, normed, inverse);
        for (index, layer) in weights.layers.iter().enumerate() {
            let maps = |targets: [Target; 1]| targets.map(|t| layer.linear(t));
            let three = [Target::Q, Target::K, Target::V].map(|t| layer.linear(t));
            apply_all_to(three, normed, rows, qkv);
            self.queries(index, normed, qkv);
            self.attention(index, kv, qkv, o);
            let after = |target, from: &[f32], norm_weight: &[f32], buffers: [&mut [f32]; 4]| {
                self.residual(index, target, from, norm_weight, buffers);
            };
            apply_all_to(maps([Target::O]), o, rows, added);
            let buffers = [&mut added[0][..], &mut *x, &mut *normed, &mut *inverse];
            after(Target::O, o, &layer.mlp_norm, buffers);
            let two = [Target::Gate, Target::Up].map(|t| layer.linear(t));
            apply_all_to(two, normed, rows, gate_up);
            self.activate(index, normed, gate_up, activated);
            apply_all_to(maps([Target::Down]), activated, rows, added);
            let next: Option<&Layer> = weights.layers.get(index + 1);
            let next = next.map_or(&weights.final_norm, |layer| &layer.attention_norm);
            let buffers = [&mut added[0][..], &mut *x, &mut *normed, &mut *inverse];
            after(Target::Down, activated, next, buffers);
        }
    }

    /// LoRA on q, k, v of a unit's rows, then the rotation of each row to its position.
    fn queries(&self, layer: usize, x: &[f32], [q, k, v]: &mut [Vec<f32>; 3]) {
        let c = &self.weights.config;
        let (h, wide, narrow) = (c.hidden, c.heads * c.head_dim, c.kv_heads * c.head_dim);
        let (q, k, v) = (Split::new(q, wide), Split::new(k, narrow), Split::new(v, narrow));
        each(self.units.len(), &|i| {
            let Unit { rows, adapter } = &self.units[i];
            let x = &x[rows.start * h..rows.end * h];
            // SAFETY: units have disjoint rows.
            let (q, k, v) = unsafe { (q.rows(rows), k.rows(rows), v.rows(rows)) };
            if let Some(applied) = adapter {
                update(applied, layer, Target::Q, x, q);
                update(applied, layer, Target::K, x, k);
                update(applied, layer, Target::V, x, v);
            }
            let parts = q.chunks_exact_mut(wide).zip(k.chunks_exact_mut(narrow));
            for ((q, k), position) in parts.zip(&self.positions[rows.clone()]) {
                self.weights.rope.apply(q, c.heads, *position);
                self.weights.rope.apply(k, c.kv_heads, *position);
            }
        });
    }

    fn attention(&self, layer: usize, kv: &mut KvMemory, [q, k, v]: &[Vec<f32>; 3], o: &mut [f32]) {
        let heads = self.weights.heads();
        let (wide, narrow) = (heads.query * heads.dim, heads.kv * heads.dim);
        let (pass, o) = (kv.layer(layer), Split::new(o, wide));
        each(self.pieces.len() * heads.kv, &|i| {
            let (piece, head) = (&self.pieces[i / heads.kv], i % heads.kv);
            let start = self.starts[i / heads.kv];
            let rows = start..start + piece.tokens.len();
            let part = |x: &'_ [f32], width: usize| -> Range<usize> {
                debug_assert!(x.len() >= rows.end * width);
                rows.start * width..rows.end * width
            };
            let (k, v) = (&k[part(k, narrow)], &v[part(v, narrow)]);
            let write = |row: usize, query: usize, values: &[f32]| {
                // SAFETY: this row and query head are this task's alone.
                unsafe { o.write(start + row, query * heads.dim, values) };
            };
            SCRATCH.with_borrow_mut(|scratch| {
                // SAFETY: one task a sequence and head, and pages from `first` on are the sequence's own.
                unsafe {
                    pass.append(piece.pages, head, k, v, piece.first);
                    let place = (piece.pages, piece.first);
                    attend(&pass, heads, place, head, &q[part(q, wide)], scratch, write);
                }
            });
        });
    }

    /// added += LoRA(from); x += added; normed = the next norm of x.
    fn residual(
        &self,
        layer: usize,
        target: Target,
        from: &[f32],
        norm: &[f32],
        [added, x, normed, inverse]: [&mut [f32]; 4],
    ) {
        let (h, inn) = (self.weights.config.hidden, self.weights.config.linear_shape(target).1);
        let eps = self.weights.config.rms_eps as f32;
        let (added, x) = (Split::new(added, h), Split::new(x, h));
        let (normed, inverse) = (Split::new(normed, h), Split::new(inverse, 1));
        each(self.units.len(), &|i| {
            let Unit { rows, adapter } = &self.units[i];
            // SAFETY: units have disjoint rows.
            let (added, x) = unsafe { (added.rows(rows), x.rows(rows)) };
            if let Some(applied) = adapter {
                update(applied, layer, target, &from[rows.start * inn..rows.end * inn], added);
            }
            add_into(x, added);
            // SAFETY: as above.
            unsafe { rms_norm(x, norm, eps, normed.rows(rows), inverse.rows(rows)) };
        });
    }

    /// LoRA on gate and up, then SwiGLU.
    fn activate(
        &self,
        layer: usize,
        x: &[f32],
        [gate, up]: &mut [Vec<f32>; 2],
        activated: &mut [f32],
    ) {
        let (h, ffn) = (self.weights.config.hidden, self.weights.config.ffn);
        let (gate, up) = (Split::new(gate, ffn), Split::new(up, ffn));
        let activated = Split::new(activated, ffn);
        each(self.units.len(), &|i| {
            let Unit { rows, adapter } = &self.units[i];
            // SAFETY: units have disjoint rows.
            let (gate, up, activated) =
                unsafe { (gate.rows(rows), up.rows(rows), activated.rows(rows)) };
            if let Some(applied) = adapter {
                let x = &x[rows.start * h..rows.end * h];
                update(applied, layer, Target::Gate, x, gate);
                update(applied, layer, Target::Up, x, up);
            }
            silu_mul(gate, up, activated);
        });
    }
}

fn update(applied: &Applied, layer: usize, target: Target, x: &[f32], y: &mut [f32]) {
    if let Some(module) = applied.adapter.module(layer, target) {
        module.update(x, applied.scale, y);
    }
}
