//! Text to token ids and back, by the model's own tokenizer.json.

use crate::memory::afford;
use crate::{EngineError, ErrorCode, Result, bail};
use std::panic::catch_unwind;
use tokenizers::Tokenizer;

/// Longest text encoded at once, in bytes.
pub const TEXT_BYTES_MAX: usize = 64 << 20;

/// What reading a tokenizer.json holds, bytes for each of its own: it is parsed, and every entry kept in maps.
const HELD_PER_BYTE: usize = 16;

pub struct Text {
    tokenizer: Tokenizer,
}

impl Text {
    pub fn from_bytes(bytes: &[u8]) -> Result<Text> {
        let what = format!("a tokenizer.json of {} bytes", bytes.len());
        afford(&what, bytes.len().checked_mul(HELD_PER_BYTE))?;
        // The crate panics at some files: a decoder that is no JSON, for one.
        let read = catch_unwind(|| Tokenizer::from_bytes(bytes));
        match read.unwrap_or_else(|_| Err("its parser panicked".into())) {
            Ok(mut tokenizer) => {
                // Cutting or padding would silently change what was asked.
                let _ = tokenizer.with_truncation(None);
                tokenizer.with_padding(None);
                Ok(Text { tokenizer })
            }
            Err(e) => bail!(BadModel, "tokenizer.json cannot be read: {e}"),
        }
    }

    /// The tokenizer.json it amounts to (without cutting or padding); the same bytes on every machine.
    pub fn to_json(&self) -> Result<String> {
        self.tokenizer.to_string(false).map_err(|e| {
            EngineError::new(ErrorCode::Internal, format!("the tokenizer cannot be written: {e}"))
        })
    }

    /// Number of ids, added tokens included.
    pub fn vocab_size(&self) -> usize {
        self.tokenizer.get_vocab_size(true)
    }

    /// Ids of a text, nothing added around it; special tokens written in it are recognised.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        if text.len() > TEXT_BYTES_MAX {
            bail!(BadInput, "text of {} bytes, at most {TEXT_BYTES_MAX}", text.len());
        }
        match self.tokenizer.encode_fast(text, false) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(e) => bail!(BadInput, "the text cannot be encoded: {e}"),
        }
    }

    /// Text of ids; special tokens are left out unless asked for.
    pub fn decode(&self, ids: &[u32], keep_special: bool) -> Result<String> {
        self.tokenizer.decode(ids, !keep_special).map_err(|e| {
            EngineError::new(ErrorCode::BadInput, format!("the tokens cannot be decoded: {e}"))
        })
    }
}
