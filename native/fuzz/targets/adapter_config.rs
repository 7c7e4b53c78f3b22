//! The adapter_config.json of a PEFT directory.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openledger_core::lora::Adapter;
use openledger_core::model::testing::tiny_config;
use openledger_fuzz::{Folder, adapter};
use std::sync::LazyLock;

static FOLDER: LazyLock<Folder> =
    LazyLock::new(|| adapter("adapter_config", "adapter_config.json"));

fuzz_target!(init: LazyLock::force(&FOLDER), |data: &[u8]| {
    let _ = Adapter::load(FOLDER.with(data), &tiny_config());
});
