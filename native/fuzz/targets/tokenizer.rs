//! A tokenizer.json: what is read also encodes and decodes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openledger_core::model::Text;
use openledger_core::model::vocabulary::train_vocabulary;

fn good() -> Vec<u8> {
    let texts = ["the cat sat on the mat".to_string(), "12 cats, 34 mats".to_string()];
    train_vocabulary(&texts, 264, &["<end>".to_string()]).expect("trained").into_bytes()
}

fuzz_target!(init: openledger_fuzz::seed("tokenizer", &good()), |data: &[u8]| {
    if let Ok(text) = Text::from_bytes(data)
        && let Ok(ids) = text.encode("the cat 12 \u{1d54f}")
    {
        let _ = text.decode(&ids, true);
    }
});
