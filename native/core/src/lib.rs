//! OpenLedger's AI plane: Llama-architecture models, LoRA and data attribution, with one
//! arithmetic that gives the same bits on every machine. Knows nothing of chains or JavaScript.

pub mod attribution;
