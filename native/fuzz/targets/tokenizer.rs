//! A tokenizer.json: what is read also encodes and decodes. The crate's parser panics at some files, which `Text` turns
//! into errors (`core/tests/hostile.rs` has one); the fuzzer would stop at each, so its hook is taken out: a panic that
//! nobody catches still ends it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openledger_core::model::Text;
use openledger_core::model::vocabulary::train_vocabulary;

fn good() -> Vec<u8> {
    let texts = ["the cat sat on the mat".to_string(), "12 cats, 34 mats".to_string()];
    train_vocabulary(&texts, 264, &["<end>".to_string()]).expect("trained").into_bytes()
}

fn begin() {
    std::panic::set_hook(Box::new(|_| {}));
    openledger_fuzz::seed("tokenizer", &good());
}

fuzz_target!(init: begin(), |data: &[u8]| {
    if let Ok(text) = Text::from_bytes(data)
        && let Ok(ids) = text.encode("the cat 12 \u{1d54f}")
    {
        let _ = text.decode(&ids, true);
    }
});
