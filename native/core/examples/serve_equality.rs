//! Every sequence served in random company has the bytes (tokens and trace over all logits) it has alone:
//!
//!   cargo run --release --example serve_equality -- [sequences, 100000]
//!
//! Schedules go over random neighbours, adapters (mixed ranks and targets), arrivals, cancellations, cut prompts, shared
//! prefixes and evictions, batches of up to 8, 16, 32 or 64, 1 to 4 threads and every SIMD level of the
//! machine; the lone run they are compared with is at the best level. Exits with 1 at the first difference.

use openledger_core::math::simd;
use openledger_core::serve::Options;
use openledger_core::serve::testing::{Schedule, options, random_schedule};

/// Sequences of one schedule.
const SCHEDULE: usize = 100;

fn main() {
    let sequences: usize = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let levels = simd::supported();
    let (mut done, mut reused, mut put_back, mut widest) = (0, 0, 0, 0);
    let mut seed = 0u64;
    while done < sequences {
        let level = levels[seed as usize % levels.len()];
        let batch = [8, 16, 32, 64][seed as usize / 12 % 4];
        let limits = Options { running_max: batch, step_rows_max: 3 * batch, ..options() };
        let pages = if batch == 8 { 9 } else { 2 * batch };
        let threads = 1 + seed as usize % 4;
        let stats = random_schedule(Schedule {
            seed,
            requests: SCHEDULE,
            threads,
            level,
            options: limits,
            pages,
        });
        done += SCHEDULE;
        reused += stats.tokens_reused;
        put_back += stats.put_back;
        widest = widest.max(stats.widest);
        seed += 1;
        if seed.is_multiple_of(100) {
            eprintln!("{done} sequences");
        }
    }
    let names: Vec<&str> = levels.iter().map(|level| level.name()).collect();
    println!(
        "# {done} sequences over {} with 1 to 4 threads, batches up to {widest}; {reused} tokens taken over, {put_back} put back",
        names.join(", ")
    );
    println!("serve-equal {done} sequences alone 1.000");
}
