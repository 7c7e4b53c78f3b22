//! The safetensors of a model directory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openledger_core::model::Model;
use openledger_fuzz::{Folder, model};
use std::sync::LazyLock;

static FOLDER: LazyLock<Folder> = LazyLock::new(|| model("tensors", "model.safetensors"));

fuzz_target!(init: LazyLock::force(&FOLDER), |data: &[u8]| {
    let _ = Model::load(FOLDER.with(data));
});
