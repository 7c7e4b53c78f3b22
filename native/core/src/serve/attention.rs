//! `ops::attention` over pages, for one KV head of one sequence's rows. Same order of every sum: S = scale * Q K^T,
//! P = exp(S - max), O = (P V) / sum(P), sums over keys in tiles of 64 from position 0. Each row stops at its
//! own position, so what stands behind it (another chunk's keys, garbage in a page) is never touched.

use super::kv::KvPass;
use super::pages::PAGE;
use crate::gemm::{BLOCK, MatRef, gemm};
use crate::memory::resize;
use crate::ops::attention::Heads;
use crate::ops::elementwise::{add_into, exp_shifted, max, scale, sum};

/// Buffers that a thread uses again and again.
#[derive(Default)]
pub struct Scratch {
    p: Vec<f32>,
    o: Vec<f32>,
    part: Vec<f32>,
}

/// Rows that attend together: row r sees the first `seen + r * step` keys.
struct Rows<'a> {
    q: MatRef<'a>,
    count: usize,
    seen: usize,
    step: usize,
}

impl Rows<'_> {
    fn seen(&self, row: usize) -> usize {
        self.seen + row * self.step
    }
}

/// q [rows, query * dim] at positions `first`.. of the sequence in `pages`, whose keys and values are stored up
/// to its last row. Calls `write(row, query head, o [dim])` for the query heads of KV head `kv`.
///
/// # Safety
/// Nobody writes KV head `kv` of these pages meanwhile.
pub unsafe fn attend(
    pass: &KvPass,
    heads: Heads,
    (pages, first): (&[u32], usize),
    kv: usize,
    q: &[f32],
    scratch: &mut Scratch,
    mut write: impl FnMut(usize, usize, &[f32]),
) {
    let (dim, width, group) = (heads.dim, heads.query * heads.dim, heads.group());
    let rows = q.len() / width;
    let at = |head: usize| &q[(kv * group + head) * dim..];
    if rows == 1 {
        // Decoding: the query heads of the group are the rows.
        let rows = Rows { q: MatRef::rows(at(0), dim), count: group, seen: first + 1, step: 0 };
        // SAFETY: the caller's promise.
        unsafe { attend_rows(pass, heads, (pages, kv), &rows, scratch) };
        for (head, o) in scratch.o.chunks_exact(dim).take(group).enumerate() {
            write(0, kv * group + head, o);
        }
        return;
    }
    for head in 0..group {
        let view = MatRef { data: at(head), row: width, col: 1 };
        let all = Rows { q: view, count: rows, seen: first + 1, step: 1 };
        // SAFETY: the caller's promise.
        unsafe { attend_rows(pass, heads, (pages, kv), &all, scratch) };
        for (row, o) in scratch.o.chunks_exact(dim).take(rows).enumerate() {
            write(row, kv * group + head, o);
        }
    }
}

/// Leaves O [count, dim] in the scratch.
unsafe fn attend_rows(
    pass: &KvPass,
    heads: Heads,
    (pages, kv): (&[u32], usize),
    rows: &Rows,
    scratch: &mut Scratch,
) {
    let (dim, count) = (heads.dim, rows.count);
    let keys = rows.seen(count - 1);
    let ldp = keys.next_multiple_of(PAGE);
    let Scratch { p, o, part } = &mut *scratch;
    for (buffer, len) in [(&mut *p, count * ldp), (o, count * dim), (part, count * dim)] {
        if buffer.len() < len {
            resize("attention's weights", buffer, len);
        }
    }
    for (tile, page) in pages.iter().take(ldp / PAGE).enumerate() {
        let n = PAGE.min(keys - tile * PAGE);
        // SAFETY: the caller's promise.
        let panels = unsafe { pass.keys(*page, kv, n) };
        gemm(rows.q, count, panels, &mut p[tile * PAGE..], ldp, BLOCK);
    }
    let mut inverse = vec![0.0; count];
    for (r, inverse) in inverse.iter_mut().enumerate() {
        let seen = &mut p[r * ldp..][..rows.seen(r)];
        scale(seen, heads.scale());
        let top = max(seen);
        exp_shifted(seen, top);
        *inverse = 1.0 / sum(seen, PAGE);
    }
    for (tile, page) in pages.iter().take(ldp / PAGE).enumerate() {
        let start = tile * PAGE;
        let mut product = |from: usize, m: usize, k: usize| {
            let view = MatRef { data: &p[from * ldp + start..], row: ldp, col: 1 };
            // SAFETY: the caller's promise.
            let panels = unsafe { pass.values(*page, kv, k) };
            let to = &mut o[from * dim..(from + m) * dim];
            if tile == 0 {
                gemm(view, m, panels, to, dim, PAGE);
            } else {
                let part = &mut part[..m * dim];
                gemm(view, m, panels, part, dim, PAGE);
                add_into(to, part);
            }
        };
        if rows.step == 0 {
            product(0, count, PAGE.min(keys - start));
            continue;
        }
        // Rows that see a part of the tile go alone, those that see all of it together.
        let whole = (start + PAGE).saturating_sub(rows.seen).min(count);
        for row in (start + 1).saturating_sub(rows.seen)..whole {
            product(row, 1, rows.seen(row) - start);
        }
        if whole < count {
            product(whole, count - whole, PAGE);
        }
    }
    for (row, inverse) in o.chunks_exact_mut(dim).zip(&inverse) {
        // Adding +0 makes every zero positive.
        row.iter_mut().for_each(|x| *x = *x * inverse + 0.0);
    }
}
