//! Llama-architecture models: configuration, weights from a Hugging Face directory, forward pass
//! and the way back.

pub mod backward;
pub mod config;
pub mod forward;
pub mod load;
pub mod save;
pub mod tape;
pub mod text;
pub mod vocabulary;
pub mod weights;

pub use config::{LlamaConfig, Target};
pub use forward::KvCache;
pub use text::Text;
pub use weights::{Layer, Weights};

/// A model ready to run: weights plus, when the directory has one, its tokenizer.
pub struct Model {
    pub weights: Weights,
    pub text: Option<Text>,
}

impl Model {
    pub fn config(&self) -> &LlamaConfig {
        &self.weights.config
    }
}

#[cfg(test)]
mod reference;
#[doc(hidden)]
pub mod testing;
