//! Speed of serving many adapters at once on a model of SmolLM2-135M's shape (random weights) or a smaller one:
//!
//!   cargo run --release --example serve_speed -- [f32|int8] [threads] [batch] [new tokens] [adapters]
//!
//! Prints lines `name value unit peer ratio`. Every sequence has its own prompt of 16 tokens; decoding of
//! full batches only is timed, by the wall clock, or on one thread by its processor time, which a busy
//! machine disturbs less. Ratios are medians of rounds in which the kinds take turns.

use half::f16;
use openledger_core::generate::Request;
use openledger_core::generate::sampler::GREEDY;
use openledger_core::lora::{Adapter, LoraConfig};
use openledger_core::math::philox::{Stream, uniform};
use openledger_core::math::simd;
use openledger_core::model::config::{LlamaConfig, Target};
use openledger_core::model::testing::{random_weights_as, smol_config, tokens};
use openledger_core::model::weights::{Precision, Weights};
use openledger_core::pool;
use openledger_core::serve::engine::execute;
use openledger_core::serve::forward::Cpu;
use openledger_core::serve::scheduler::Scheduler;
use openledger_core::serve::{Job, Options, Source};
use std::time::Instant;

const PROMPT: usize = 16;
const ROUNDS: usize = 5;
const TARGETS: [Target; 4] = [Target::Q, Target::K, Target::V, Target::O];

/// Factors as published adapters have them: f16 values.
fn adapter(config: &LlamaConfig, seed: u64) -> Adapter {
    let lora = LoraConfig::new(8, 16.0, false, TARGETS.to_vec()).expect("a valid LoRA");
    let flat: Vec<f32> = (0..lora.parameters(config) as u64)
        .map(|i| uniform(seed, Stream::LoraInit, 1, i) - 0.5)
        .map(|x| f16::from_f32(0.02 * x).to_f32())
        .collect();
    Adapter::from_parameters(config, &lora, &flat)
}

/// Seconds by the wall, or of this thread's processor time.
struct Clock(Option<Instant>);

impl Clock {
    fn now(&self) -> f64 {
        match self.0 {
            Some(start) => start.elapsed().as_secs_f64(),
            None => {
                let text = std::fs::read_to_string("/proc/thread-self/schedstat");
                let text = text.expect("Linux counts processor time");
                let nanos = text.split(' ').next().and_then(|n| n.parse::<f64>().ok());
                nanos.expect("a number") * 1e-9
            }
        }
    }
}

struct Bench {
    clock: Clock,
    weights: Weights,
    scheduler: Scheduler,
    /// One that has never heard of an adapter.
    plain: Scheduler,
    cpu: Cpu,
    adapters: usize,
}

impl Bench {
    /// Seconds of decoding `new` tokens with every one of `names` in one batch.
    fn decode(&mut self, names: &[Option<usize>], new: usize, round: u64) -> f64 {
        for (i, name) in names.iter().enumerate() {
            // Prompts nobody had before, so that no page is taken over.
            let prompt = tokens(round * 1000 + i as u64, PROMPT, 49_000);
            let request = Request { prompt, max_tokens: new + 1, sampler: GREEDY, stop: vec![] };
            let job = Job {
                request,
                adapter: name.map(|a| format!("a{a}").into()),
                scale: 1.0,
                payer: "bench".into(),
                trace: false,
            };
            self.scheduler.submit(job).expect("there is room");
        }
        // Prompts first, then whole batches of one row a sequence.
        let mut seconds = 0.0;
        while let Some(step) = self.plan() {
            let decoding = step.shares.iter().all(|share| share.tokens.len() == 1);
            let full = decoding && step.shares.len() == names.len();
            let start = self.clock.now();
            let chosen = execute(&mut self.cpu, &self.weights, &step);
            if full {
                seconds += self.clock.now() - start;
            }
            self.scheduler.absorb(&step, &chosen);
            self.scheduler.take_events();
        }
        seconds
    }

    fn plan(&mut self) -> Option<openledger_core::serve::scheduler::Step> {
        loop {
            let step = self.scheduler.plan();
            let loads = self.scheduler.take_loads();
            if loads.is_empty() {
                return step;
            }
            for load in loads {
                let seed: u64 = load.name[1..].parse().expect("a number");
                let made = adapter(&self.weights.config, seed);
                self.scheduler.load_ended(&load, Ok(made));
            }
            if step.is_some() {
                return step;
            }
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let number =
        |at: usize, or: usize| std::env::args().nth(at).and_then(|n| n.parse().ok()).unwrap_or(or);
    let (threads, batch, new, adapters) =
        (number(2, 0), number(3, 32), number(4, 24), number(5, 1000));
    let precision = std::env::args().nth(1).unwrap_or_else(|| "f32".into());
    let precision = Precision::from_name(&precision).expect("f32 or int8");
    let weights = random_weights_as(precision, smol_config(30), 1);
    let options = Options {
        running_max: batch,
        step_rows_max: batch * PROMPT,
        resident_max: adapters + 1,
        resident_bytes_max: 1 << 40,
        ..Options::default()
    };
    let empty = || {
        Scheduler::new(weights.config.clone(), options.clone(), 4 * batch).expect("good options")
    };
    let (mut scheduler, plain) = (empty(), empty());
    for i in 0..adapters {
        scheduler.register(&format!("a{i}"), Source::Fetched).expect("a new name");
    }
    let cpu = Cpu::new(&weights, 4 * batch);
    let clock = Clock((threads != 1).then(Instant::now));
    let mut bench = Bench { clock, weights, scheduler, plain, cpu, adapters };
    pool::build(threads).install(|| run(&mut bench, batch, new));
}

fn run(bench: &mut Bench, batch: usize, new: usize) {
    let adapters = bench.adapters;
    println!(
        "# SmolLM2-135M's shape, {}, LoRA r8 on q,k,v,o (f16 values); batch {batch}, {PROMPT} + {new} tokens; {} with {} threads; median of {ROUNDS}; {} time",
        bench.weights.precision.name(),
        simd::active().name(),
        rayon::current_num_threads(),
        if bench.clock.0.is_some() { "wall" } else { "processor" }
    );
    // Everybody's adapter in memory before the clock starts.
    for from in (0..adapters).step_by(batch) {
        let names: Vec<_> = (from..(from + batch).min(adapters)).map(Some).collect();
        bench.decode(&names, 1, 1_000 + from as u64);
    }
    let mut dice = 0;
    let mut uniform_adapter = || {
        dice += 1;
        Some((uniform(7, Stream::DataOrder, 1, dice) * adapters as f32) as usize)
    };
    let mut times: [Vec<f64>; 5] = Default::default();
    for round in 0..ROUNDS as u64 {
        let kinds = [
            vec![None; batch],
            vec![Some(0); batch],
            (0..batch).map(|_| uniform_adapter()).collect(),
            (0..batch).map(|i| Some(i % adapters)).collect(),
        ];
        for (kind, names) in kinds.iter().enumerate() {
            times[kind].push(bench.decode(names, new, 2_000_000 + round * 10 + kind as u64));
        }
        std::mem::swap(&mut bench.scheduler, &mut bench.plain);
        times[4].push(bench.decode(&kinds[0], new, 2_000_004 + round * 10));
        std::mem::swap(&mut bench.scheduler, &mut bench.plain);
    }
    let rate = |kind: usize| (batch * new) as f64 / median(times[kind].clone());
    let ratio =
        |a: usize, b: usize| median(times[b].iter().zip(&times[a]).map(|(b, a)| b / a).collect());
    println!("no-adapter-known {:.1} tokens/s - -", rate(4));
    println!("base-only {:.1} tokens/s no-adapter-known {:.3}", rate(0), ratio(0, 4));
    println!("one-adapter {:.1} tokens/s base-only {:.3}", rate(1), ratio(1, 0));
    println!("uniform-over-{adapters} {:.1} tokens/s one-adapter {:.3}", rate(2), ratio(2, 1));
    println!("uniform-over-{adapters} {:.1} tokens/s base-only {:.3}", rate(2), ratio(2, 0));
    println!("all-distinct {:.1} tokens/s base-only {:.3}", rate(3), ratio(3, 0));
}
