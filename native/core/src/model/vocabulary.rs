//! Trains a byte-level BPE tokenizer: every text can be encoded, every id decoded.

use crate::{EngineError, ErrorCode, Result, bail};
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer, TokenizerBuilder};

pub const VOCABULARY_MAX: usize = 65_536;

/// `tokenizer.json` of `size` ids trained on the texts: special tokens first, then the 256 bytes, then
/// merges by frequency (ties by id). The same input gives the same text.
pub fn train_vocabulary(texts: &[String], size: usize, special: &[String]) -> Result<String> {
    if size < special.len() + 256 || size > VOCABULARY_MAX {
        bail!(BadInput, "vocabulary of {size}, must be {}..={VOCABULARY_MAX}", special.len() + 256);
    }
    let fail = |e: tokenizers::Error| {
        EngineError::new(ErrorCode::BadInput, format!("the tokenizer cannot be trained: {e}"))
    };
    let bytes = ByteLevel::new(false, false, true);
    let mut trainer = BpeTrainerBuilder::new()
        .vocab_size(size)
        .min_frequency(2)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(special.iter().map(|s| AddedToken::from(s.clone(), true)).collect())
        .build();
    let mut tokenizer = TokenizerBuilder::new()
        .with_model(BPE::default())
        .with_normalizer(None::<tokenizers::NormalizerWrapper>)
        .with_pre_tokenizer(Some(bytes))
        .with_post_processor(Some(bytes))
        .with_decoder(Some(bytes))
        .build()
        .map_err(fail)?;
    tokenizer.train(&mut trainer, texts.iter().map(String::as_str)).map_err(fail)?;
    let tokenizer: Tokenizer = tokenizer.into();
    let found = tokenizer.get_vocab_size(true);
    if found != size {
        bail!(BadInput, "the texts give a vocabulary of {found}, asked for {size}");
    }
    tokenizer.to_string(true).map_err(fail)
}
