//! The pages' memory on the CPU. A page is one block of floats for all layers; in a layer, for every KV
//! head, its 64 keys as panels [key / 16][d][16], then its values as panels [d / 16][key][16]: what
//! `ops::attention` reads, cut at every 64th position.

use super::pages::PAGE;
use crate::gemm::{PANEL, PanelsRef};
use crate::memory::{claim, zeros};
use crate::model::weights::Weights;
use crate::ops::attention::Heads;

/// Floats of the keys, and of the values, of one head in one page.
#[derive(Clone, Copy)]
struct HeadShape {
    dim: usize,
    values: usize,
}

impl HeadShape {
    fn new(heads: Heads) -> Self {
        Self { dim: heads.dim, values: heads.dim.div_ceil(PANEL) * PAGE * PANEL }
    }

    fn keys(self) -> usize {
        PAGE * self.dim
    }

    fn floats(self) -> usize {
        self.keys() + self.values
    }
}

/// Bytes of one page of this model.
pub fn page_bytes(weights: &Weights) -> usize {
    let heads = weights.heads();
    4 * weights.layers.len() * heads.kv * HeadShape::new(heads).floats()
}

pub struct KvMemory {
    heads: Heads,
    shape: HeadShape,
    page_floats: usize,
    /// Allocated when a page is first used.
    pages: Vec<Box<[f32]>>,
}

impl KvMemory {
    pub fn new(weights: &Weights, count: usize) -> Self {
        let heads = weights.heads();
        Self {
            heads,
            shape: HeadShape::new(heads),
            page_floats: page_bytes(weights) / 4,
            pages: (0..count).map(|_| Box::default()).collect(),
        }
    }

    /// Makes sure that pages have memory; unwinds when there is none.
    pub fn allocate(&mut self, pages: &[u32]) {
        let missing = |page: &&u32| self.pages[**page as usize].is_empty();
        let count = pages.iter().filter(missing).count();
        if count == 0 {
            return;
        }
        claim("pages of keys and values", count * self.page_floats * size_of::<f32>());
        for page in pages {
            let memory = &mut self.pages[*page as usize];
            if memory.is_empty() {
                *memory = zeros("a page of keys and values", self.page_floats).into_boxed_slice();
            }
        }
    }

    pub fn bytes(&self) -> usize {
        self.pages.iter().map(|page| 4 * page.len()).sum()
    }

    /// One layer of all pages, for the rows of one pass.
    pub fn layer(&mut self, layer: usize) -> KvPass {
        KvPass {
            heads: self.heads,
            shape: self.shape,
            offset: layer * self.heads.kv * self.shape.floats(),
            pages: self.pages.iter_mut().map(|page| page.as_mut_ptr()).collect(),
        }
    }
}

/// One layer of the pages while threads fill and read it. Sound because every page that a pass writes belongs
/// to one sequence alone, and a sequence's rows are written before they are read, by one task.
pub struct KvPass {
    heads: Heads,
    shape: HeadShape,
    offset: usize,
    pages: Vec<*mut f32>,
}

// SAFETY: see above; the scheduler gives a page that is not full to one sequence only.
unsafe impl Sync for KvPass {}

impl KvPass {
    fn head(&self, page: u32, head: usize) -> *mut f32 {
        assert!(head < self.heads.kv);
        let at = self.offset + head * self.shape.floats();
        // SAFETY: within the page, which `allocate` made large enough for all layers and heads.
        unsafe { self.pages[page as usize].add(at) }
    }

    /// Stores one KV head of k, v [rows, kv * dim] at positions `first`... of a sequence.
    ///
    /// # Safety
    /// The pages from position `first` on have memory and are this sequence's own; no other thread reads or
    /// writes this head of them.
    pub unsafe fn append(&self, pages: &[u32], head: usize, k: &[f32], v: &[f32], first: usize) {
        let (dim, width) = (self.shape.dim, self.heads.kv * self.shape.dim);
        for (r, (k, v)) in k.chunks_exact(width).zip(v.chunks_exact(width)).enumerate() {
            let (k, v) = (&k[head * dim..][..dim], &v[head * dim..][..dim]);
            let (page, slot) = (pages[(first + r) / PAGE], (first + r) % PAGE);
            let base = self.head(page, head);
            // SAFETY: the caller's promise; slot < PAGE and d < dim keep all within the head.
            unsafe {
                let key = base.add(slot / PANEL * dim * PANEL + slot % PANEL);
                let value = base.add(self.shape.keys() + slot * PANEL);
                for d in 0..dim {
                    *key.add(d * PANEL) = k[d];
                    *value.add(d / PANEL * PAGE * PANEL + d % PANEL) = v[d];
                }
            }
        }
    }

    /// The first `n` keys of a page as B of Q K^T.
    ///
    /// # Safety
    /// The page has memory and nobody writes these keys meanwhile.
    pub unsafe fn keys(&self, page: u32, head: usize, n: usize) -> PanelsRef<'_> {
        let dim = self.shape.dim;
        // SAFETY: the caller's promise.
        let data = unsafe { std::slice::from_raw_parts(self.head(page, head), self.shape.keys()) };
        PanelsRef { data, k: dim, n, stride: dim * PANEL }
    }

    /// The values of the first `k` keys of a page as B of P V.
    ///
    /// # Safety
    /// As `keys`.
    pub unsafe fn values(&self, page: u32, head: usize, k: usize) -> PanelsRef<'_> {
        // SAFETY: the caller's promise.
        let data = unsafe {
            let start = self.head(page, head).add(self.shape.keys());
            std::slice::from_raw_parts(start, self.shape.values)
        };
        PanelsRef { data, k, n: self.shape.dim, stride: PAGE * PANEL }
    }
}
