//! A GGUF file: header, tensor table, blocks, vocabulary.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openledger_core::model::Model;
use openledger_core::model::gguf::blocks::Kind;
use openledger_core::model::gguf::writer::{file, ints, metadata, stored, text, texts};
use openledger_core::model::testing::{random_weights, tiny_config};
use openledger_fuzz::Folder;
use std::sync::LazyLock;

static FOLDER: LazyLock<Folder> = LazyLock::new(|| {
    Folder::new("gguf", "model.gguf", |dir| {
        std::fs::write(dir.join("model.gguf"), good()).expect("written")
    })
});

/// Rows of 32, so that every kind of block fits, and a tokenizer inside.
fn good() -> Vec<u8> {
    let mut config = tiny_config();
    (config.hidden, config.head_dim, config.ffn, config.layers) = (32, 8, 64, 1);
    let mut all: Vec<String> =
        ["<|end|>", "a", "b", "1", "2", "ab", "12", "\u{120}"].map(String::from).into();
    all.extend((all.len()..config.vocab).map(|i| format!("unused{i}")));
    let mut kinds = vec![1; all.len()];
    kinds[0] = 3;
    let mut header = metadata(&config);
    header.extend([
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("smollm")),
        ("tokenizer.ggml.tokens", texts(&all)),
        ("tokenizer.ggml.token_type", ints(&kinds)),
        ("tokenizer.ggml.merges", texts(&["a b".into(), "1 2".into()])),
        ("tokenizer.chat_template", text("{{ messages }}")),
    ]);
    file(&header, &stored(&random_weights(config, 5), Kind::Q8_0))
}

fuzz_target!(init: LazyLock::force(&FOLDER), |data: &[u8]| {
    FOLDER.with(data);
    let _ = Model::load(&FOLDER.path());
});
