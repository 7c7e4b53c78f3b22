//! Training: the optimiser and its curve, LoRA fine-tuning on a frozen base, and pre-training of the
//! embedded base. Samples run in parallel; their gradients are added in sample order, so
//! the bytes of the result do not depend on the number of threads.

pub mod base;
pub mod checkpoint;
pub mod lora;
pub mod optimizer;
pub mod schedule;

pub use lora::{Checkpoints, RunOptions, TrainConfig, Trained, train_lora, train_lora_with};
pub use optimizer::OptimizerKind;

/// One finished step, as told to the caller (who may stop the run by returning false).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done and to do.
    pub step: usize,
    pub steps: usize,
    /// Mean cross-entropy per target token of this step's batch, before the step.
    pub loss: f64,
    pub learning_rate: f64,
    /// Length of the gradient before clipping.
    pub gradient_norm: f64,
    /// Tokens run since the start.
    pub tokens: u64,
    /// Mean loss per target token of the evaluation samples, when they were evaluated after this step.
    pub evaluation: Option<f64>,
}

#[cfg(test)]
mod tests;
