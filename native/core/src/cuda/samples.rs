//! Forward and back for a batch of samples on the device: the twin of `gradients::sample_gradient`.

use super::batch::{Batch, KvPool, Piece};
use super::device::Result;
use super::forward::Tape;
use super::memory::Buffer;
use super::model::{AdapterTable, GpuAdapter, GpuModel};
use super::ops;
use crate::gradients::Sample;
use crate::ops::attention::KEY_TILE;
use std::sync::Arc;

/// Bytes of logits held at once.
const LOGIT_BYTES: usize = 512 << 20;
/// Rows and attention weights (of one layer, over all heads) that one pass keeps for its way back.
const ROWS_MAX: usize = 8192;
const WEIGHTS_MAX: usize = 1 << 27;

/// Where the labels of a loss come from.
#[derive(Clone, Copy)]
pub enum LabelSource<'a> {
    Data,
    /// The number in [0, 1) that draws the label of (sample, position).
    Drawn(&'a dyn Fn(usize, usize) -> f32),
}

/// A model with one adapter, ready to run samples.
pub struct Runner {
    pub model: Arc<GpuModel>,
    pub adapter: Option<Arc<GpuAdapter>>,
    table: AdapterTable,
}

/// Consecutive samples that one pass can take, at least one.
pub fn groups<'a, 'b>(model: &GpuModel, samples: &'b [&'a Sample]) -> Vec<&'b [&'a Sample]> {
    let (mut all, mut from, mut rows, mut keys) = (vec![], 0, 0, 0);
    for (i, sample) in samples.iter().enumerate() {
        let n = sample.tokens.len() - 1;
        let (next_rows, next_keys) = (rows + n, keys.max(n));
        let fits =
            next_rows <= ROWS_MAX && next_rows * next_keys * model.config.heads <= WEIGHTS_MAX;
        if i > from && !fits {
            all.push(&samples[from..i]);
            (from, rows, keys) = (i, n, n);
        } else {
            (rows, keys) = (next_rows, next_keys);
        }
    }
    all.push(&samples[from..]);
    all
}

/// The passes' common start: rows of all inputs, pages of one layer.
struct Started {
    batch: Batch,
    pool: KvPool,
}

fn start(model: &GpuModel, samples: &[&Sample]) -> Result<Started> {
    let inputs: Vec<&[u32]> = samples.iter().map(|s| &s.tokens[..s.tokens.len() - 1]).collect();
    let count = inputs.iter().map(|i| i.len().div_ceil(KEY_TILE)).sum();
    let mut pool = KvPool::new(model, 1, count)?;
    let pages: Vec<Vec<u32>> = inputs.iter().map(|i| pool.take(i.len())).collect::<Result<_>>()?;
    let pieces: Vec<Piece> = inputs
        .iter()
        .zip(&pages)
        .map(|(tokens, pages)| Piece { tokens, first: 0, pages, slot: 0 })
        .collect();
    Ok(Started { batch: Batch::new(&model.gpu, &pieces)?, pool })
}

/// The rows whose next token is a target, what they should say, and how many each sample has.
struct Targets {
    rows: Vec<u32>,
    labels: Vec<u32>,
    counts: Vec<usize>,
}

fn targets(samples: &[&Sample], starts: &[usize]) -> Targets {
    let (mut rows, mut labels, mut counts) = (vec![], vec![], vec![]);
    for (sample, start) in samples.iter().zip(starts) {
        let first = sample.loss_from - 1;
        rows.extend((first..sample.tokens.len() - 1).map(|r| (start + r) as u32));
        labels.extend_from_slice(&sample.tokens[sample.loss_from..]);
        counts.push(sample.targets());
    }
    Targets { rows, labels, counts }
}

impl Runner {
    pub fn new(model: Arc<GpuModel>, adapter: Option<Arc<GpuAdapter>>) -> Result<Self> {
        let table = AdapterTable::new(&model, vec![adapter.clone()])?;
        Ok(Self { model, adapter, table })
    }

    /// Token-summed loss of each sample.
    pub fn losses(&self, samples: &[&Sample]) -> Result<Vec<f64>> {
        let mut all = vec![];
        for group in groups(&self.model, samples) {
            let Started { batch, pool } = start(&self.model, group)?;
            let hidden = self.model.forward(&batch, &pool, &self.table, None)?;
            let targets = targets(group, &batch.starts);
            all.extend(self.heads(&hidden, &targets, None, None)?);
        }
        Ok(all)
    }

    /// Losses of one group of samples (see `groups`); `sink` hears every adapted map's gradient on the way back, with
    /// the batch whose rows it speaks of. Drawn labels are asked for by the sample's place in the group.
    pub fn gradients(
        &self,
        group: &[&Sample],
        labels: LabelSource,
        sink: &mut dyn FnMut(&Batch, super::backward::LinearGradient) -> Result<()>,
    ) -> Result<Vec<f64>> {
        let model = &self.model;
        let adapter = self.adapter.as_ref().expect("gradients are an adapter's");
        let Started { batch, pool } = start(model, group)?;
        let mut tape = Tape::default();
        let hidden = model.forward(&batch, &pool, &self.table, Some(&mut tape))?;
        drop(pool);
        let targets = targets(group, &batch.starts);
        let draws: Option<Vec<f32>> = match labels {
            LabelSource::Data => None,
            LabelSource::Drawn(u) => {
                let each = group.iter().enumerate().flat_map(|(i, s)| {
                    (s.loss_from..s.tokens.len()).map(move |position| u(i, position))
                });
                Some(each.collect())
            }
        };
        let d_hidden = model.gpu.zeros(batch.rows * model.config.hidden)?;
        let losses = self.heads(&hidden, &targets, draws.as_deref(), Some(&d_hidden))?;
        model.backward(adapter, &batch, &tape, &d_hidden, &mut |g| sink(&batch, g))?;
        Ok(losses)
    }

    /// Losses per sample from the hidden rows; fills the target rows of `d_hidden` when given. With `draws` the
    /// labels are drawn from the model, and the losses are still those of `labels`.
    fn heads(
        &self,
        hidden: &Buffer<f32>,
        targets: &Targets,
        draws: Option<&[f32]>,
        d_hidden: Option<&Buffer<f32>>,
    ) -> Result<Vec<f64>> {
        let (model, gpu) = (&self.model, &self.model.gpu);
        let (h, vocab) = (model.config.hidden, model.config.vocab);
        let count = targets.rows.len();
        let (ids, labels) = (gpu.upload(&targets.rows)?, gpu.upload(&targets.labels)?);
        let draws = draws.map(|u| gpu.upload(u)).transpose()?;
        let (rows, losses) = (gpu.empty(count * h)?, gpu.empty::<f32>(count)?);
        ops::gather_rows(gpu, hidden.rows(h), &ids, rows.rows(h))?;
        let step = (LOGIT_BYTES / (4 * vocab)).clamp(1, count.max(1));
        for from in (0..count).step_by(step) {
            let n = step.min(count - from);
            let logits = model.logits(rows.rows(h).slice(from, n))?;
            let all = logits.rows(vocab);
            ops::softmax_loss(gpu, all, labels.at(from), losses.at(from))?;
            let Some(d_hidden) = d_hidden else { continue };
            if let Some(u) = &draws {
                ops::draw_labels(gpu, all, u.at(from), labels.at(from))?;
            }
            ops::subtract_one_hot(gpu, all, labels.at(from))?;
            let d_rows = gpu.empty(n * h)?;
            ops::apply_backward(gpu, all, model.head().matrix(), d_rows.rows(h))?;
            ops::scatter_rows(gpu, d_rows.rows(h), ids.at(from), d_hidden.rows(h))?;
        }
        let losses = losses.to_vec()?;
        let mut at = 0;
        let sum = |n: &usize| {
            at += n;
            losses[at - n..at].iter().fold(0.0, |sum, loss| sum + f64::from(*loss))
        };
        Ok(targets.counts.iter().map(sum).collect())
    }
}
