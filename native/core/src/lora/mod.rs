//! Low-rank adapters: y += scale * B (A x) on chosen linear maps, their PEFT directories, and the
//! gradients of their factors.

pub mod adapter;
mod compact;
pub mod peft;

pub use adapter::{Adapter, LoraConfig, LoraModule};
