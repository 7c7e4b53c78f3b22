//! Attention over paged keys and values, and its way back.

use super::*;

/// Where the rows of a batch find their keys and values: one layer's pages.
#[derive(Clone, Copy)]
pub struct Paged<'a> {
    pub pool: Address,
    /// [sequences, pages_max].
    pub pages: &'a Buffer<u32>,
    pub pages_max: usize,
    /// [rows].
    pub sequences: &'a Buffer<u32>,
    pub positions: &'a Buffer<u32>,
}

/// Turns the queries and keys of `qkv` [rows, (query + 2 kv) * dim] in place and stores keys and values.
pub fn kv_append(
    gpu: &Gpu,
    qkv: Matrix,
    heads: Heads,
    to: Paged,
    rotation: &Rotation,
) -> Result<()> {
    let Heads { query, kv, dim, .. } = heads;
    assert!(qkv.cols == (query + 2 * kv) * dim && rotation.half * 2 == dim);
    let arguments = Arguments::default()
        .at(qkv.at())
        .at(to.pool)
        .at(to.pages.at(0))
        .at(to.sequences.at(0))
        .at(to.positions.at(0))
        .at(rotation.cos.at(0))
        .at(rotation.sin.at(0))
        .u32(to.pages_max)
        .u32(query)
        .u32(kv)
        .u32(dim)
        .u64(qkv.ld);
    let work = (query + kv) * rotation.half + kv * dim;
    // SAFETY: pages are numbers of the pool's own pages; positions are below the table's by the batch that made them.
    unsafe { gpu.launch("kv_append", [work.div_ceil(128), qkv.rows, 1], 128, arguments) }
}

/// The weights attention leaves behind: p [query heads][rows][ldp], inverse [query heads][rows].
pub struct Weights<'a> {
    pub p: &'a Buffer<f32>,
    pub inverse: &'a Buffer<f32>,
    pub ldp: usize,
}

pub fn attention(
    gpu: &Gpu,
    q: Matrix,
    heads: Heads,
    from: Paged,
    left: &Weights,
    out: Matrix,
) -> Result<()> {
    assert!(q.cols == heads.query * heads.dim && out.ld == q.cols && heads.dim <= HEAD_DIM_MAX);
    assert!(left.p.len() >= heads.query * q.rows * left.ldp && left.ldp <= KEYS_MAX);
    let arguments = Arguments::default()
        .at(q.at())
        .at(from.pool)
        .at(from.pages.at(0))
        .at(from.sequences.at(0))
        .at(from.positions.at(0))
        .at(left.p.at(0))
        .at(left.inverse.at(0))
        .at(out.at())
        .u32(q.rows)
        .u32(from.pages_max)
        .u32(heads.kv)
        .u32(heads.dim)
        .u64(q.ld)
        .u64(left.ldp)
        .f32(heads.scale());
    // SAFETY: as `kv_append`; positions are below `ldp`.
    unsafe { gpu.launch("attention", [q.rows, heads.query, 1], 128, arguments) }
}

/// The rows of each row's sequence, [rows] each: where it starts and ends in the batch, and how far in the row is.
pub struct Spans {
    pub starts: Buffer<u32>,
    pub ends: Buffer<u32>,
    pub positions: Buffer<u32>,
}

/// p becomes P normalised; ds the gradient of the scores.
#[allow(clippy::too_many_arguments)]
pub fn attention_backward_scores(
    gpu: &Gpu,
    v: Matrix,
    out: Matrix,
    d_out: Matrix,
    left: &Weights,
    ds: &Buffer<f32>,
    spans: &Spans,
    heads: Heads,
) -> Result<()> {
    let rows = out.rows;
    assert!(
        out.ld == heads.query * heads.dim
            && d_out.ld == out.ld
            && ds.len() >= heads.query * rows * left.ldp
    );
    let arguments = Arguments::default()
        .at(v.at())
        .at(out.at())
        .at(d_out.at())
        .at(left.p.at(0))
        .at(ds.at(0))
        .at(left.inverse.at(0))
        .at(spans.starts.at(0))
        .u32(rows)
        .u32(heads.kv)
        .u32(heads.dim)
        .u64(v.ld)
        .u64(left.ldp)
        .f32(heads.scale());
    // SAFETY: sizes were checked; spans lie inside the rows.
    unsafe { gpu.launch("attention_backward_scores", [rows, heads.query, 1], 128, arguments) }
}

pub fn attention_backward_query(
    gpu: &Gpu,
    k: Matrix,
    ds: &Buffer<f32>,
    ldp: usize,
    dq: Matrix,
    spans: &Spans,
    heads: Heads,
) -> Result<()> {
    let rows = dq.rows;
    assert!(dq.ld == heads.query * heads.dim && ds.len() >= heads.query * rows * ldp);
    let arguments = Arguments::default()
        .at(k.at())
        .at(ds.at(0))
        .at(dq.at())
        .at(spans.starts.at(0))
        .at(spans.ends.at(0))
        .u32(rows)
        .u32(heads.kv)
        .u32(heads.dim)
        .u64(k.ld)
        .u64(ldp);
    // SAFETY: as above.
    unsafe { gpu.launch("attention_backward_query", [rows, heads.query, 1], 64, arguments) }
}

#[allow(clippy::too_many_arguments)]
pub fn attention_backward_keys(
    gpu: &Gpu,
    q: Matrix,
    d_out: Matrix,
    left: &Weights,
    ds: &Buffer<f32>,
    dk: Matrix,
    dv: Matrix,
    spans: &Spans,
    heads: Heads,
) -> Result<()> {
    let rows = q.rows;
    assert!(d_out.ld == heads.query * heads.dim && dk.ld == heads.kv * heads.dim && dv.ld == dk.ld);
    let arguments = Arguments::default()
        .at(q.at())
        .at(d_out.at())
        .at(left.p.at(0))
        .at(ds.at(0))
        .at(dk.at())
        .at(dv.at())
        .at(spans.starts.at(0))
        .at(spans.ends.at(0))
        .u32(rows)
        .u32(heads.query)
        .u32(heads.dim)
        .u64(q.ld)
        .u64(left.ldp);
    // SAFETY: as above.
    unsafe { gpu.launch("attention_backward_keys", [rows, heads.kv, 1], 64, arguments) }
}
