//! Losses, labels, optimisers.

use super::rows::blocks;
use super::*;

/// Logits become probabilities; loss[r] is the cross-entropy of labels[r]. Addresses: [rows] each.
pub fn softmax_loss(gpu: &Gpu, logits: Matrix, labels: Address, loss: Address) -> Result<()> {
    assert!(logits.ld == logits.cols && logits.cols <= VOCAB_MAX);
    let arguments = Arguments::default().at(logits.at()).at(labels).at(loss).u32(logits.cols);
    // SAFETY: sizes were checked; labels are below the vocabulary.
    unsafe { gpu.launch("softmax_loss", [logits.rows, 1, 1], 256, arguments) }
}

/// labels[r] drawn from row r by u[r].
pub fn draw_labels(gpu: &Gpu, probabilities: Matrix, u: Address, labels: Address) -> Result<()> {
    assert!(probabilities.ld == probabilities.cols);
    let (rows, vocab) = (probabilities.rows, probabilities.cols);
    let arguments =
        Arguments::default().at(probabilities.at()).at(u).at(labels).u32(rows).u32(vocab);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("draw_labels", [rows.div_ceil(32), 1, 1], 32, arguments) }
}

pub fn subtract_one_hot(gpu: &Gpu, probabilities: Matrix, labels: Address) -> Result<()> {
    assert!(probabilities.ld == probabilities.cols);
    let (rows, vocab) = (probabilities.rows, probabilities.cols);
    let arguments = Arguments::default().at(probabilities.at()).at(labels).u32(rows).u32(vocab);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("subtract_one_hot", [rows.div_ceil(128), 1, 1], 128, arguments) }
}

/// The numbers of one AdamW step, see `train::optimizer`.
#[derive(Clone, Copy)]
pub struct AdamW {
    pub beta: [f32; 4],
    pub correction: [f32; 2],
    pub eps: f32,
    pub rate: f32,
    pub decay: f32,
}

pub fn adamw(
    gpu: &Gpu,
    p: &Buffer<f32>,
    g: &Buffer<f32>,
    m: &Buffer<f32>,
    v: &Buffer<f32>,
    step: AdamW,
) -> Result<()> {
    let n = p.len();
    assert!([g, m, v].iter().all(|b| b.len() == n));
    let mut arguments = Arguments::default().at(p.at(0)).at(g.at(0)).at(m.at(0)).at(v.at(0)).u64(n);
    for value in
        step.beta.into_iter().chain(step.correction).chain([step.eps, step.rate, step.decay])
    {
        arguments = arguments.f32(value);
    }
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("adamw", blocks(n), 256, arguments) }
}

pub fn sgd(gpu: &Gpu, p: &Buffer<f32>, g: &Buffer<f32>, rate: f32, decay: f32) -> Result<()> {
    let n = p.len();
    assert!(g.len() == n);
    let arguments = Arguments::default().at(p.at(0)).at(g.at(0)).u64(n).f32(rate).f32(decay);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("sgd", blocks(n), 256, arguments) }
}

/// Chains of squares, 256 values each.
pub fn squares(gpu: &Gpu, values: &Buffer<f32>, sums: &Buffer<f32>) -> Result<()> {
    let n = values.len();
    assert!(sums.len() == n.div_ceil(256));
    let arguments = Arguments::default().at(values.at(0)).at(sums.at(0)).u64(n);
    // SAFETY: sizes were checked.
    unsafe { gpu.launch("squares", [sums.len().div_ceil(64), 1, 1], 64, arguments) }
}
