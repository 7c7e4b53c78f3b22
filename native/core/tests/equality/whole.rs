//! Whole passes against the CPU: logits, generation, losses, gradients, training.

use super::Tally;
use super::golden::{Vectors, of_model};
use openledger_core::cuda::batch::{Batch, KvPool, Piece};
use openledger_core::cuda::decode::Decoder;
use openledger_core::cuda::device::Result;
use openledger_core::cuda::model::AdapterTable;
use openledger_core::cuda::samples::{LabelSource, Runner, groups};
use openledger_core::cuda::train::Learner;
use openledger_core::cuda::{Gpu, GpuAdapter, GpuModel};
use openledger_core::gradients::{Sample, sample_loss};
use openledger_core::lora::Adapter;
use openledger_core::model::forward::KvCache;
use openledger_core::model::testing::tokens;
use openledger_core::model::weights::Weights;
use openledger_core::train::lora::lora_gradient;
use std::sync::Arc;

/// A model with adapters of different ranks and targets, and how long its sequences are.
pub struct Case<'a> {
    pub name: &'a str,
    pub weights: &'a Weights,
    pub adapters: Vec<Arc<Adapter>>,
    /// Tokens of each sequence of a batch; sequence i uses adapter i modulo (adapters + 1), the last being none.
    pub lengths: &'a [usize],
}

fn cpu_logits(weights: &Weights, adapter: Option<&Adapter>, ids: &[u32]) -> Vec<f32> {
    let hidden = weights.forward(adapter, ids, &mut KvCache::new(weights, ids.len()), None);
    weights.logits(&hidden)
}

impl Case<'_> {
    fn slot(&self, i: usize) -> usize {
        i % (self.adapters.len() + 1)
    }

    fn sequences(&self) -> Vec<Vec<u32>> {
        let vocab = self.weights.config.vocab;
        self.lengths.iter().enumerate().map(|(i, n)| tokens(40 + i as u64, *n, vocab)).collect()
    }

    /// Sequences with different adapters in one batch, first all but their last tokens, then the last of each in a
    /// second pass, and once more as a step of decoding: every row as if it were alone.
    pub fn mixed_batch(&self, gpu: &Arc<Gpu>, tally: &mut Tally) -> Result<()> {
        let model = Arc::new(GpuModel::upload(gpu, self.weights)?);
        let mut slots = vec![];
        for adapter in &self.adapters {
            slots.push(Some(Arc::new(GpuAdapter::upload(gpu, adapter)?)));
        }
        slots.push(None);
        let table = Arc::new(AdapterTable::new(&model, slots)?);
        let sequences = self.sequences();
        let count = sequences.iter().map(|s| s.len().div_ceil(64)).sum();
        let mut pool = KvPool::new(&model, model.config.layers, count)?;
        let pages: Vec<Vec<u32>> =
            sequences.iter().map(|s| pool.take(s.len())).collect::<Result<_>>()?;
        let pool = Arc::new(pool);
        let (h, vocab) = (model.config.hidden, model.config.vocab);
        let mut got: Vec<Vec<f32>> = vec![vec![]; sequences.len()];
        for last in [false, true] {
            let pieces: Vec<Piece> = sequences
                .iter()
                .zip(&pages)
                .enumerate()
                .map(|(i, (s, pages))| {
                    let (first, tokens) = if last {
                        (s.len() - 1, &s[s.len() - 1..])
                    } else {
                        (0, &s[..s.len() - 1])
                    };
                    Piece { tokens, first, pages, slot: self.slot(i) }
                })
                .collect();
            let batch = Batch::new(gpu, &pieces)?;
            let hidden = model.forward(&batch, &pool, &table, None)?;
            let logits = model.logits(hidden.rows(h))?.to_vec()?;
            for (i, pair) in batch.starts.windows(2).enumerate() {
                got[i].extend_from_slice(&logits[pair[0] * vocab..pair[1] * vocab]);
            }
        }
        let on_card: Vec<(&[u32], usize)> =
            pages.iter().enumerate().map(|(i, pages)| (&pages[..], self.slot(i))).collect();
        let decoder = Decoder::new(model.clone(), pool, table, &on_card)?;
        let last: Vec<u32> = sequences.iter().map(|s| s[s.len() - 1]).collect();
        let at: Vec<u32> = sequences.iter().map(|s| s.len() as u32 - 1).collect();
        // The second time with what the first has left behind.
        decoder.step(&last.iter().map(|id| (id + 1) % vocab as u32).collect::<Vec<_>>(), &at)?;
        let decoded = decoder.step(&last, &at)?.to_vec()?;
        for (i, decoded) in decoded.chunks(vocab).enumerate() {
            let want = &got[i][got[i].len() - vocab..];
            tally.floats(&format!("{}: decoding of sequence {i}", self.name), decoded, want);
        }
        for (i, ids) in sequences.iter().enumerate() {
            let adapter = self.adapters.get(self.slot(i)).map(|a| &**a);
            let want = cpu_logits(self.weights, adapter, ids);
            tally.floats(&format!("{}: logits of sequence {i}", self.name), &got[i], &want);
        }
        Ok(())
    }

    pub fn samples(&self) -> Vec<Sample> {
        let loss_from = |i: usize, n: usize| if i.is_multiple_of(2) { 1 } else { n / 2 };
        let each = self.sequences().into_iter().enumerate();
        each.map(|(i, tokens)| Sample { loss_from: loss_from(i, tokens.len()), tokens }).collect()
    }

    /// Losses with and without adapter; gradients summed over all samples, and one by one.
    pub fn gradients(&self, gpu: &Arc<Gpu>, tally: &mut Tally) -> Result<()> {
        let model = Arc::new(GpuModel::upload(gpu, self.weights)?);
        let samples = self.samples();
        let all: Vec<&Sample> = samples.iter().collect();
        let base = Runner::new(model.clone(), None)?;
        let want: Vec<f64> = samples.iter().map(|s| sample_loss(self.weights, None, s)).collect();
        tally.exact(&format!("{}: losses", self.name), &base.losses(&all)?, &want);
        for (i, adapter) in self.adapters.iter().enumerate() {
            let name = format!("{}, adapter {i}", self.name);
            let parts: Vec<(f64, Vec<f32>)> =
                samples.iter().map(|s| lora_gradient(self.weights, adapter, s)).collect();
            let mut sum = vec![0.0; parts[0].1.len()];
            let mut loss = 0.0;
            for (part, g) in &parts {
                loss += part;
                openledger_core::ops::elementwise::add_into(&mut sum, g);
            }
            openledger_core::ops::elementwise::scale(&mut sum, 0.125);
            let mut learner = Learner::new(model.clone(), adapter)?;
            let (got_loss, got_norm) = learner.gradient(&all, 0.125)?;
            let norm = openledger_core::train::optimizer::length(&sum);
            tally.exact(&format!("{name}: loss and length"), &[got_loss, got_norm], &[loss, norm]);
            tally.floats(&format!("{name}: gradient"), &learner.gradient_values()?, &sum);
            let runner =
                Runner::new(model.clone(), Some(Arc::new(GpuAdapter::upload(gpu, adapter)?)))?;
            for group in groups(&model, &all) {
                let mut maps = 0;
                runner.gradients(group, LabelSource::Data, &mut |_, _| {
                    maps += 1;
                    Ok(())
                })?;
                tally.exact(&format!("{name}: maps"), &[maps], &[adapter.modules().len()]);
            }
        }
        Ok(())
    }
}

/// Runs a model's whole list of results on the CPU and on the device.
pub fn products(
    name: &str,
    weights: &Weights,
    scale: usize,
    gpu: &Arc<Gpu>,
    tally: &mut Tally,
) -> Vectors {
    let want = of_model(name, weights, scale);
    weights.use_gpu(gpu).expect("there is room");
    let got = of_model(name, weights, scale);
    assert!(weights.on_gpu.get().is_some(), "the device did all of it");
    weights.on_gpu.set(None);
    for ((name, got), (_, want)) in got.iter().zip(&want) {
        tally.exact(name, got.as_bytes(), want.as_bytes());
    }
    got
}
