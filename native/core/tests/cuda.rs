//! The CUDA back end without a GPU: its kernels, compiled for the CPU, must give the CPU's bytes.

mod equality;

use equality::golden;
use equality::host::Host;
use equality::whole::{self, Case};
use equality::{Tally, operators};
use openledger_core::cuda::Gpu;
use openledger_core::cuda::graph::Graph;
use openledger_core::model::Model;
use openledger_core::model::config::{LlamaConfig, Target};
use openledger_core::model::testing::{
    in_int8, random_adapter, random_weights, smol_config, tiny_config,
};
use std::sync::Arc;

fn device(reversed: bool) -> Arc<Gpu> {
    Gpu::new(Box::new(Host::new(reversed)), 4 << 30)
}

fn expect_equal(tally: Tally) {
    assert_eq!(tally.failures, Vec::<String>::new());
    assert!(tally.equal > 0, "something was compared");
}

#[test]
fn every_kernel_gives_the_bytes_of_its_scalar_twin() {
    let mut tally = Tally::default();
    operators::all(&device(false), false, &mut tally).expect("it runs");
    expect_equal(tally);
}

#[test]
fn every_kernel_has_the_barriers_it_needs() {
    let mut tally = Tally::default();
    operators::all(&device(true), false, &mut tally).expect("it runs");
    expect_equal(tally);
}

fn cases(reversed: bool, run: impl Fn(&Case, &Arc<Gpu>, &mut Tally)) {
    let gpu = device(reversed);
    let mut tally = Tally::default();
    for (tied, int8) in [(true, false), (false, false), (true, true)] {
        let weights = random_weights(LlamaConfig { tied, ..tiny_config() }, 3);
        let weights = if int8 { in_int8(&weights) } else { weights };
        let config = &weights.config;
        let adapters = vec![
            Arc::new(random_adapter(config, &Target::ALL, 3, 1)),
            Arc::new(random_adapter(config, &[Target::Q, Target::V, Target::Down], 20, 2)),
        ];
        let case = Case { name: "tiny", weights: &weights, adapters, lengths: &[70, 2, 17, 130] };
        run(&case, &gpu, &mut tally);
    }
    expect_equal(tally);
}

#[test]
fn a_batch_of_different_adapters_gives_every_sequence_the_bytes_it_has_alone_on_the_cpu() {
    cases(false, |case, gpu, tally| case.mixed_batch(gpu, tally).expect("it runs"));
}

#[test]
fn losses_and_gradients_have_the_bytes_of_the_cpu() {
    cases(true, |case, gpu, tally| case.gradients(gpu, tally).expect("it runs"));
}

#[test]
fn answers_losses_training_and_sketches_have_the_bytes_of_the_cpu() {
    let weights = random_weights(tiny_config(), 3);
    for weights in [in_int8(&weights), weights] {
        let mut tally = Tally::default();
        whole::products("tiny", &weights, 0, &device(false), &mut tally);
        expect_equal(tally);
    }
}

#[test]
fn a_card_that_vanishes_in_mid_run_changes_no_byte() {
    let weights = random_weights(tiny_config(), 3);
    for weights in [in_int8(&weights), weights] {
        let want = golden::of_model("tiny", &weights, 0);
        for launches in [0, 50, 700] {
            let gpu = Gpu::new(Box::new(Host::vanishing(launches)), 1 << 30);
            weights.use_gpu(&gpu).expect("uploads still work");
            assert_eq!(golden::of_model("tiny", &weights, 0), want, "after {launches} launches");
            assert!(weights.on_gpu.get().is_none(), "the card was given up");
        }
    }
}

#[test]
fn a_card_without_room_is_named_with_its_limit() {
    let gpu = Gpu::new(Box::new(Host::new(false)), 1 << 14);
    let error = random_weights(tiny_config(), 3).use_gpu(&gpu).expect_err("too small");
    assert!(error.to_string().contains("limit of 16384 bytes"), "{error}");
}

#[test]
fn a_recording_takes_no_copies_and_gives_its_memory_back_when_it_fails() {
    let gpu = device(false);
    let read = || gpu.empty::<f32>(1000)?.to_vec();
    // SAFETY: nothing of it leaves.
    let error = unsafe { Graph::record(&gpu, read) }.err().expect("a download is no launch");
    assert!(error.to_string().contains("a download cannot be recorded"), "{error}");
    let held = gpu.held_bytes();
    let again = gpu.empty::<f32>(1000).expect("room");
    assert_eq!(
        gpu.held_bytes(),
        held,
        "{} values found the memory that was given back",
        again.len()
    );
}

fn committed(name: &str) -> String {
    let path = format!("{}/../../{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn the_cpu_gives_the_bytes_that_a_card_gave() {
    let golden: serde_json::Value =
        serde_json::from_str(&committed("test/vectors/cuda/golden.json")).expect("JSON");
    assert_eq!(golden["kernelSet"], openledger_core::KERNEL_SET);
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/base");
    let base = Model::load(std::path::Path::new(base)).expect("the embedded base").weights;
    let smol = random_weights(smol_config(4), 1);
    let mut got = golden::of_model("base", &base, 1);
    got.extend(golden::of_model("base in int8", &in_int8(&base), 1));
    got.extend(golden::of_model("smollm2 shape", &smol, 0));
    let before = got.len();
    let want = golden["results"].as_object().expect("results by name");
    // Bytes that have changed since a card was at hand; `cuda_check` on one writes them anew.
    let awaiting = golden["awaitingCard"].as_array().map_or(&[][..], |names| names);
    got.retain(|(name, _)| !awaiting.contains(&serde_json::json!(name)));
    assert_eq!(got.len() + awaiting.len(), before);
    assert_eq!(got.len(), want.len());
    for (name, hash) in got {
        assert_eq!(want[&name], hash, "{name}");
    }
}

#[test]
fn the_committed_ptx_names_the_sources_it_was_made_from() {
    let kernels = concat!(env!("CARGO_MANIFEST_DIR"), "/../kernels");
    let mut names: Vec<String> = std::fs::read_dir(kernels)
        .expect("the kernels")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .filter(|name| name.ends_with(".cu") || name.ends_with(".cuh"))
        .collect();
    names.sort();
    let text: String = names
        .iter()
        .map(|n| format!("{n}\n{}", committed(&format!("native/kernels/{n}"))))
        .collect();
    let hash = golden::hash([text.as_bytes()]);
    let ptx = committed("native/kernels/openledger.ptx");
    let first = ptx.lines().next().expect("a first line");
    assert_eq!(
        first,
        format!("// made from sources {hash}"),
        "run: npm run build:kernels -- --fetch"
    );
}

/// Entry points of a PTX text.
fn entries(ptx: &str) -> Vec<&str> {
    let mut names: Vec<&str> = ptx
        .lines()
        .filter_map(|line| line.split_once(".entry ")?.1.split(['(', ' ']).next())
        .collect();
    names.sort_unstable();
    names
}

/// NVRTC needs no card. Without it (PyPI `nvidia-cuda-nvrtc` has it, found through LD_LIBRARY_PATH) this test says so.
#[test]
fn nvrtc_makes_every_kernel_that_the_committed_ptx_has() {
    let committed = committed("native/kernels/openledger.ptx");
    assert!(entries(&committed).len() > 30);
    match openledger_core::cuda::driver::compile() {
        Ok(ptx) => assert_eq!(entries(&ptx), entries(&committed)),
        Err(e) if e.0 == "NVRTC is not installed" => eprintln!("not run: {e}"),
        Err(e) => panic!("{e}"),
    }
}
