//! The bytes of an attribution index.
#![no_main]

use libfuzzer_sys::fuzz_target;
use openledger_core::attribution::{AttributionIndex, IndexConfig, build_index};
use openledger_core::gradients::{LoraGradients, Sample};
use openledger_core::model::config::Target;
use openledger_core::model::testing::{random_adapter, random_weights, tiny_config, tokens};

fn good() -> Vec<u8> {
    let weights = random_weights(tiny_config(), 1);
    let adapter = random_adapter(&weights.config, &[Target::V], 2, 1);
    let samples: Vec<Sample> =
        (0..4).map(|i| Sample { tokens: tokens(i, 8, 50), loss_from: 1 }).collect();
    let source = LoraGradients::new(&weights, &adapter, &samples).expect("it fits");
    let config = IndexConfig {
        contributors: &[0, 1, 0, 1],
        contributor_count: 2,
        k: 3,
        damping: 0.1,
        label_draws: 1,
        seed: 1,
    };
    build_index(&source, &config, &mut |_, _, _| true).expect("built").index.to_bytes()
}

fuzz_target!(init: openledger_fuzz::seed("index", &good()), |data: &[u8]| {
    let _ = AttributionIndex::from_bytes(data);
});
