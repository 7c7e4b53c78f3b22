//! Llama-architecture models: configuration, weights from a Hugging Face directory or a
//! GGUF file, forward pass and the way back.

pub mod backward;
pub mod config;
mod digest;
mod embed;
pub mod forward;
pub mod gguf;
pub mod load;
pub mod operator;
pub mod save;
mod shards;
pub mod tape;
pub mod text;
pub mod vocabulary;
pub mod weights;

pub use config::{LlamaConfig, Target};
pub use embed::embed;
pub use forward::KvCache;
pub use text::Text;
pub use weights::{Layer, Precision, Weights};

/// A model ready to run: weights plus, when its files have them, tokenizer and chat template (Jinja).
pub struct Model {
    pub weights: Weights,
    pub text: Option<Text>,
    pub chat_template: Option<String>,
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
