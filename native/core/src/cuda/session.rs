//! One sequence being generated on the device: its pages, and how far it is.

use super::batch::{Batch, KvPool, Piece};
use super::decode::Decoder;
use super::device::Result;
use super::model::{AdapterTable, GpuAdapter, GpuModel};
use std::sync::Arc;

pub struct Session {
    model: Arc<GpuModel>,
    table: Arc<AdapterTable>,
    pool: Arc<KvPool>,
    pages: Vec<u32>,
    /// From the first step of decoding on.
    decoder: Option<Decoder>,
    length: usize,
}

impl Session {
    /// Room for `positions` tokens.
    pub fn new(
        model: Arc<GpuModel>,
        adapter: Option<Arc<GpuAdapter>>,
        positions: usize,
    ) -> Result<Self> {
        let table = Arc::new(AdapterTable::new(&model, vec![adapter])?);
        let mut pool = KvPool::new(&model, model.config.layers, positions.div_ceil(64))?;
        let pages = pool.take(positions)?;
        Ok(Self { model, table, pool: Arc::new(pool), pages, decoder: None, length: 0 })
    }

    /// Runs tokens after those before; returns the logits [.., vocab] of the rows from `from` on.
    pub fn run(&mut self, tokens: &[u32], from: usize) -> Result<Vec<f32>> {
        let (first, h) = (self.length, self.model.config.hidden);
        if let ([_], 0) = (tokens, from) {
            let logits = self.decoder()?.step(tokens, &[first as u32])?.to_vec()?;
            self.length += 1;
            return Ok(logits);
        }
        let piece = Piece { tokens, first, pages: &self.pages, slot: 0 };
        let batch = Batch::new(&self.model.gpu, &[piece])?;
        let hidden = self.model.forward(&batch, &self.pool, &self.table, None)?;
        self.length += tokens.len();
        if from == tokens.len() {
            return Ok(vec![]);
        }
        self.model.logits(hidden.rows(h).slice(from, tokens.len() - from))?.to_vec()
    }

    fn decoder(&mut self) -> Result<&Decoder> {
        if self.decoder.is_none() {
            let (model, pool, table) = (self.model.clone(), self.pool.clone(), self.table.clone());
            self.decoder = Some(Decoder::new(model, pool, table, &[(&self.pages, 0)])?);
        }
        Ok(self.decoder.as_ref().expect("just made"))
    }
}
