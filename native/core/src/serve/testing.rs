//! A scheduler driven by hand over a tiny model, and random schedules by seed: what tests and
//! `examples/serve_equality.rs` share.

use super::engine::execute;
use super::forward::Cpu;
use super::scheduler::Scheduler;
use super::{Event, Job, Options, Source, Stats};
use crate::generate::sampler::GREEDY;
use crate::generate::{Answer, Finish, Request, Sampler, generate};
use crate::lora::Adapter;
use crate::math::philox::{Stream, uniform};
use crate::math::simd::{self, Simd};
use crate::model::config::Target;
use crate::model::testing::{random_adapter, random_weights, tiny_config, tokens};
use crate::model::weights::Weights;
use crate::{Result, pool};
use std::collections::HashMap;

/// A scheduler with its pages, driven by hand: adapters load at once from a list.
pub struct Bench {
    pub weights: Weights,
    pub scheduler: Scheduler,
    pub cpu: Cpu,
    pub adapters: Vec<(LoraSpec, u64)>,
    pub answers: HashMap<u64, Result<Answer>>,
    streamed: HashMap<u64, Vec<u32>>,
}

pub type LoraSpec = (&'static [Target], usize);

/// Ranks and targets mixed; 20 fills more than a panel.
pub const SPECS: [LoraSpec; 4] = [
    (&Target::ALL, 3),
    (&[Target::Q, Target::V], 8),
    (&[Target::K, Target::O, Target::Down], 20),
    (&[Target::Gate, Target::Up], 1),
];

/// Few, so that sequences make room for others.
pub const PAGES: usize = 9;

impl Bench {
    pub fn new(options: Options, pages: usize) -> Self {
        let weights = random_weights(tiny_config(), 1);
        let mut scheduler =
            Scheduler::new(weights.config.clone(), options, pages).expect("good options");
        let adapters: Vec<_> = (0..6).map(|i| (SPECS[i % SPECS.len()], 100 + i as u64)).collect();
        for i in 0..adapters.len() {
            scheduler.register(&format!("a{i}"), Source::Fetched).expect("a new name");
        }
        let cpu = Cpu::new(&weights, pages);
        let (answers, streamed) = (HashMap::new(), HashMap::new());
        Self { weights, scheduler, cpu, adapters, answers, streamed }
    }

    pub fn adapter(&self, name: &str) -> Adapter {
        let index: usize = name[1..].parse().expect("a number");
        let ((targets, rank), seed) = self.adapters[index];
        random_adapter(&self.weights.config, targets, rank, seed)
    }

    fn hear(&mut self) {
        for event in self.scheduler.take_events() {
            match event {
                Event::Token { ticket, token, index } => {
                    let tokens = self.streamed.entry(ticket).or_default();
                    assert_eq!(tokens.len(), index);
                    tokens.push(token);
                }
                Event::Done { ticket, result } => {
                    assert!(self.answers.insert(ticket, result).is_none(), "answered twice");
                }
            }
        }
    }

    /// One step; false when there was nothing to do.
    pub fn turn(&mut self) -> bool {
        let step = self.scheduler.plan();
        let loads = self.scheduler.take_loads();
        let brought = !loads.is_empty();
        for load in loads {
            let adapter = self.adapter(&load.name);
            self.scheduler.load_ended(&load, Ok(adapter));
        }
        if let Some(step) = &step {
            let chosen = execute(&mut self.cpu, &self.weights, step);
            self.scheduler.absorb(step, &chosen);
        }
        self.hear();
        step.is_some() || brought
    }

    pub fn run(&mut self) {
        while self.turn() {}
        assert!(self.scheduler.is_idle(), "nobody is left behind");
        assert_eq!(self.scheduler.stats().pages_used, 0, "all pages came back");
    }

    pub fn alone(&self, job: &Job) -> Answer {
        let adapter = job.adapter.as_ref().map(|name| self.adapter(name));
        generate(&self.weights, adapter.as_ref(), &job.request, &mut |_, _| true).expect("it runs")
    }
}

pub fn options() -> Options {
    Options { running_max: 8, step_rows_max: 24, resident_max: 4, ..Options::default() }
}

/// Random numbers of a test, by seed.
struct Dice(u64, u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.1 += 1;
        (uniform(self.0, Stream::DataOrder, 77, self.1) * n as f32) as usize
    }
}

/// Prompts share beginnings, so that pages are taken over.
fn random_job(dice: &mut Dice) -> Job {
    let mut prompt = tokens(5, 1 + dice.below(110), 50);
    prompt.extend(tokens(dice.below(1000) as u64, dice.below(8), 50));
    let sampler = match dice.below(3) {
        0 => Sampler { temperature: 0.9, top_p: 0.8, seed: dice.below(100) as u64 },
        _ => GREEDY,
    };
    let stop = (0..dice.below(3)).map(|_| dice.below(50) as u32).collect();
    Job {
        request: Request { prompt, max_tokens: 1 + dice.below(24), sampler, stop },
        adapter: (dice.below(3) > 0).then(|| format!("a{}", dice.below(6)).into()),
        scale: 1.0,
        payer: format!("p{}", dice.below(3)).into(),
        trace: true,
    }
}

/// What a random schedule is made of.
pub struct Schedule {
    pub seed: u64,
    pub requests: usize,
    pub threads: usize,
    /// What the served run computes with; the lone ones use the machine's best.
    pub level: Simd,
    pub options: Options,
    pub pages: usize,
}

impl Schedule {
    /// Eight sequences at once over few pages.
    pub fn small(seed: u64, requests: usize, threads: usize) -> Self {
        let level = simd::detect();
        Self { seed, requests, threads, level, options: options(), pages: PAGES }
    }
}

/// Serves random requests as they come; panics when one has other bytes than alone.
pub fn random_schedule(schedule: Schedule) -> Stats {
    let Schedule { seed, requests, threads, level, options, pages } = schedule;
    let mut dice = Dice(seed, 0);
    let at_once = options.running_max;
    let mut bench = Bench::new(options, pages);
    simd::set_active(level);
    let mut asked: Vec<(u64, Job, bool)> = vec![];
    pool::build(threads).install(|| {
        while asked.len() < requests {
            for _ in 0..dice.below(at_once) {
                let job = random_job(&mut dice);
                let ticket = bench.scheduler.submit(job.clone()).expect("there is room");
                asked.push((ticket, job, false));
            }
            if dice.below(4) == 0 && !asked.is_empty() {
                let at = dice.below(asked.len());
                bench.scheduler.cancel(asked[at].0);
                asked[at].2 = true;
            }
            bench.turn();
        }
        bench.run();
    });
    simd::set_active(simd::detect());
    for (ticket, job, cancelled) in asked {
        let made = bench.answers.remove(&ticket).expect("answered").expect("no error");
        assert_eq!(bench.streamed.remove(&ticket).unwrap_or_default(), made.tokens);
        let alone = bench.alone(&job);
        if cancelled && made.finish == Finish::Cancelled {
            let n = made.tokens.len();
            assert_eq!(
                (&made.tokens[..], &made.trace[..]),
                (&alone.tokens[..n], &alone.trace[..n])
            );
        } else {
            assert_eq!(made, alone, "seed {seed} ticket {ticket}");
        }
    }
    bench.scheduler.stats()
}
