//! Steps of decoding: one more token of each of a few sequences, recorded once as a graph and replayed with other tokens
//! and positions.

use super::batch::{Batch, KvPool, Piece};
use super::device::Result;
use super::graph::Graph;
use super::memory::Buffer;
use super::model::{AdapterTable, GpuModel};
use crate::ops::attention::KEY_TILE;
use std::sync::Arc;

/// The sequences of a batch, with all pages they will ever have.
pub struct Decoder {
    graph: Graph<Buffer<f32>>,
    batch: Batch,
    /// Positions for which each sequence has pages.
    room: Vec<usize>,
    /// What the graph reads beside the batch.
    _kept: (Arc<GpuModel>, Arc<KvPool>, Arc<AdapterTable>),
}

impl Decoder {
    /// Of each sequence its pages in `pool` and its slot in `table`.
    pub fn new(
        model: Arc<GpuModel>,
        pool: Arc<KvPool>,
        table: Arc<AdapterTable>,
        sequences: &[(&[u32], usize)],
    ) -> Result<Self> {
        let room: Vec<usize> = sequences.iter().map(|(pages, _)| pages.len() * KEY_TILE).collect();
        // As long as a step may ever be: the weights of attention then always have room.
        let pieces: Vec<Piece> = sequences
            .iter()
            .zip(&room)
            .map(|((pages, slot), room)| Piece {
                tokens: &[0],
                first: room - 1,
                pages,
                slot: *slot,
            })
            .collect();
        let batch = Batch::new(&model.gpu, &pieces)?;
        let step = || {
            let hidden = model.forward(&batch, &pool, &table, None)?;
            model.logits(hidden.rows(model.config.hidden))
        };
        // SAFETY: model, pool, table and batch are kept beside the graph, which is dropped first.
        let graph = unsafe { Graph::record(&model.gpu, step)? };
        Ok(Self { graph, batch, room, _kept: (model, pool, table) })
    }

    /// Runs a token at its position for each sequence; returns the logits [sequences, vocab], good until the next step.
    pub fn step(&self, tokens: &[u32], positions: &[u32]) -> Result<&Buffer<f32>> {
        assert!(tokens.len() == self.room.len() && positions.len() == self.room.len());
        assert!(positions.iter().zip(&self.room).all(|(at, room)| (*at as usize) < *room));
        self.batch.tokens.write(tokens)?;
        self.batch.positions.write(positions)?;
        self.graph.replay()
    }
}
