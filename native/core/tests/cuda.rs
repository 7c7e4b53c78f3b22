//! The CUDA back end without a GPU: its kernels, compiled for the CPU, must give the CPU's bytes.

mod equality;

use equality::host::Host;
use equality::whole::Case;
use equality::{Tally, operators};
use openledger_core::cuda::Gpu;
use openledger_core::model::config::{LlamaConfig, Target};
use openledger_core::model::testing::{random_adapter, random_weights, tiny_config};
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
    for tied in [true, false] {
        let weights = random_weights(LlamaConfig { tied, ..tiny_config() }, 3);
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
