//! What a card is worth: first equality with the CPU (every kernel, whole passes, training, attribution), then speed.
//!
//!   cargo build --release --example cuda_check
//!   target/release/examples/cuda_check native/models/base [golden.json]
//!
//! Needs a card of compute capability 8.0 and its driver, nothing else. The last line says how many values were compared
//! and how many differ; golden.json gets the hashes that `tests/cuda.rs` computes on the CPU. Instead of it:
//!
//!   kernels            equality of every kernel alone
//!   products [M N K]   the figures of the products, or of one
//!   decode             those of decoding
//!   speed              all figures
//!   failing N          a card whose context dies after N launches
//!   crowded            a card that others have filled

#[allow(dead_code)]
#[path = "../../tests/equality/mod.rs"]
mod equality;
mod failing;
mod figures;

use equality::golden::Vectors;
use equality::whole::{self, Case};
use equality::{Tally, operators};
use openledger_core::cuda::{self, Gpu};
use openledger_core::model::Model;
use openledger_core::model::config::Target;
use openledger_core::model::testing::{in_int8, random_adapter, random_weights, smol_config};
use openledger_core::model::weights::Weights;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let base = arguments.first().map_or("models/base", |a| a.as_str());
    openledger_core::pool::threads();
    match arguments.get(1).map(String::as_str) {
        Some("failing") => return failing::vanishing(base, arguments.get(2)),
        Some("crowded") => return failing::crowded(base),
        _ => {}
    }
    let gpu = match cuda::shared() {
        Ok(gpu) => gpu,
        Err(reason) => {
            eprintln!("no card to check: {reason}");
            std::process::exit(2);
        }
    };
    println!("{}", gpu.describe());
    println!(
        "CPU: {}, {} threads",
        openledger_core::math::simd::active().name(),
        openledger_core::pool::threads()
    );
    let mut tally = Tally::default();
    if arguments.get(1).map(String::as_str) == Some("kernels") {
        operators::all(&gpu, false, &mut tally).expect("the card works");
        tell(&mut tally);
        std::process::exit(i32::from(tally.differing > 0));
    }
    if arguments.get(1).map(String::as_str) == Some("products") {
        let shape: Vec<usize> = arguments[2..].iter().filter_map(|n| n.parse().ok()).collect();
        return match shape[..] {
            [m, n, k] => figures::products_of(&gpu, n, k, &[m]),
            _ => figures::products(&gpu),
        };
    }
    let smol =
        timed("random weights of SmolLM2-135M's shape", || random_weights(smol_config(30), 1));
    if arguments.get(1).map(String::as_str) == Some("decode") {
        return figures::decoding(&gpu, &smol, "f32");
    }
    if arguments.get(1).map(String::as_str) != Some("speed") {
        let golden = equality_run(&gpu, Path::new(base), &smol, &mut tally);
        if let Some(path) = arguments.get(1) {
            std::fs::write(path, golden_json(&gpu.describe(), &golden))
                .expect("the file can be written");
        }
        println!("EQUALITY: {} values equal, {} differ", tally.equal, tally.differing);
    }
    figures::all(&gpu, &smol);
    std::process::exit(i32::from(tally.differing > 0));
}

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let out = work();
    println!("  {what}: {:.2} s", start.elapsed().as_secs_f64());
    out
}

fn golden_json(card: &str, vectors: &Vectors) -> String {
    let results: serde_json::Map<String, serde_json::Value> =
        vectors.iter().map(|(name, hash)| (name.clone(), hash.clone().into())).collect();
    let json = serde_json::json!({
        "about": "keccak-256 of results computed on a card; tests/cuda.rs computes them on the CPU",
        "card": card,
        "kernelSet": openledger_core::KERNEL_SET,
        "results": results,
    });
    format!("{json:#}\n")
}

fn equality_run(gpu: &Arc<Gpu>, base: &Path, smol: &Weights, tally: &mut Tally) -> Vectors {
    timed("every kernel", || operators::all(gpu, true, tally).expect("the card works"));
    tell(tally);
    let base = Model::load(base).expect("the embedded base").weights;
    let mut golden = vec![];
    // The whole depth is compared here; four layers of it are what CI computes again.
    let shallow = random_weights(smol_config(4), 1);
    golden.extend(whole::products("smollm2 shape", &shallow, 0, gpu, tally));
    let base_i8 = in_int8(&base);
    let lengths = [3usize, 65, 130, 200, 7, 64, 128, 90];
    for (name, weights, lengths, scale) in [
        ("base", &base, &lengths[..], 1),
        ("base in int8", &base_i8, &lengths[..], 1),
        ("30 layers", smol, &[3, 65, 40, 70][..], 0),
    ] {
        let config = &weights.config;
        let adapters = vec![
            Arc::new(random_adapter(config, &Target::ALL, 8, 1)),
            Arc::new(random_adapter(config, &[Target::Q, Target::V], 16, 2)),
            Arc::new(random_adapter(config, &[Target::O, Target::Up, Target::Down], 33, 3)),
        ];
        let case = Case { name, weights, adapters, lengths };
        timed(&format!("{name}: mixed batch"), || {
            case.mixed_batch(gpu, tally).expect("the card works")
        });
        timed(&format!("{name}: gradients"), || {
            case.gradients(gpu, tally).expect("the card works")
        });
        timed(&format!("{name}: answers, training, sketches"), || {
            let results = whole::products(name, weights, scale, gpu, tally);
            golden.extend(if scale > 0 { results } else { vec![] });
        });
        tell(tally);
    }
    golden
}

/// Says how many values were compared so far, and what differed since the last time.
fn tell(tally: &mut Tally) {
    println!("  so far {} equal, {} differ", tally.equal, tally.differing);
    tally.failures.drain(..).take(20).for_each(|f| println!("  DIFFERS {f}"));
}
