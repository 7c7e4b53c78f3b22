//! One sequence being generated on the device: its pages, and how far it is.

use super::batch::{Batch, KvPool, Piece};
use super::device::Result;
use super::model::{AdapterTable, GpuAdapter, GpuModel};
use std::sync::Arc;

pub struct Session {
    model: Arc<GpuModel>,
    table: AdapterTable,
    pool: KvPool,
    pages: Vec<u32>,
    length: usize,
}

impl Session {
    /// Room for `positions` tokens.
    pub fn new(
        model: Arc<GpuModel>,
        adapter: Option<Arc<GpuAdapter>>,
        positions: usize,
    ) -> Result<Self> {
        let table = AdapterTable::new(&model, vec![adapter])?;
        let mut pool = KvPool::new(&model, model.config.layers, positions.div_ceil(64))?;
        let pages = pool.take(positions)?;
        Ok(Self { model, table, pool, pages, length: 0 })
    }

    /// Runs tokens after those before; returns the logits [.., vocab] of the rows from `from` on.
    pub fn run(&mut self, tokens: &[u32], from: usize) -> Result<Vec<f32>> {
        let (first, h) = (self.length, self.model.config.hidden);
        let piece = Piece { tokens, first, pages: &self.pages, slot: 0 };
        let batch = Batch::new(&self.model.gpu, &[piece])?;
        let hidden = self.model.forward(&batch, &self.pool, &self.table, None)?;
        self.length += tokens.len();
        if from == tokens.len() {
            return Ok(vec![]);
        }
        self.model.logits(hidden.rows(h).slice(from, tokens.len() - from))?.to_vec()
    }
}
