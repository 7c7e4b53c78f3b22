use super::engine::execute;
use super::forward::Cpu;
use super::scheduler::Scheduler;
use super::*;
use crate::generate::sampler::GREEDY;
use crate::generate::{Answer, Finish, Request, Sampler, generate};
use crate::lora::Adapter;
use crate::math::philox::{Stream, uniform};
use crate::math::simd;
use crate::model::config::Target;
use crate::model::testing::{random_adapter, random_weights, tiny_config, tokens};
use crate::model::weights::Weights;
use crate::{EngineError, ErrorCode, Result, bail, pool};
use std::collections::HashMap;

/// A scheduler with its pages, driven by hand: adapters load at once from a list.
struct Bench {
    weights: Weights,
    scheduler: Scheduler,
    cpu: Cpu,
    adapters: Vec<(LoraSpec, u64)>,
    answers: HashMap<u64, Result<Answer>>,
    streamed: HashMap<u64, Vec<u32>>,
}

type LoraSpec = (&'static [Target], usize);

/// Ranks and targets mixed; 20 fills more than a panel.
const SPECS: [LoraSpec; 4] = [
    (&Target::ALL, 3),
    (&[Target::Q, Target::V], 8),
    (&[Target::K, Target::O, Target::Down], 20),
    (&[Target::Gate, Target::Up], 1),
];

/// Few, so that sequences make room for others.
const PAGES: usize = 9;

impl Bench {
    fn new(options: Options, pages: usize) -> Self {
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

    fn adapter(&self, name: &str) -> Adapter {
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
    fn turn(&mut self) -> bool {
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

    fn run(&mut self) {
        while self.turn() {}
        assert!(self.scheduler.is_idle(), "nobody is left behind");
        assert_eq!(self.scheduler.stats().pages_used, 0, "all pages came back");
    }

    fn alone(&self, job: &Job) -> Answer {
        let adapter = job.adapter.as_ref().map(|name| self.adapter(name));
        generate(&self.weights, adapter.as_ref(), &job.request, &mut |_, _| true).expect("it runs")
    }
}

fn options() -> Options {
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

fn random_schedule(seed: u64, requests: usize, threads: usize) -> Stats {
    let mut dice = Dice(seed, 0);
    let mut bench = Bench::new(options(), PAGES);
    let mut asked: Vec<(u64, Job, bool)> = vec![];
    pool::build(threads).install(|| {
        while asked.len() < requests {
            for _ in 0..dice.below(5) {
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

#[test]
fn any_schedule_gives_every_request_the_bytes_it_has_alone() {
    let all = [(1, 1), (2, 3), (3, 2), (4, 2)].map(|(seed, n)| random_schedule(seed, 40, n));
    let happened = |count: fn(&Stats) -> u64| all.iter().map(count).sum::<u64>() > 0;
    assert!(happened(|s| s.put_back) && happened(|s| s.tokens_reused), "{all:?}");
    assert!(happened(|s| s.adapters.evictions), "{all:?}");
}

#[test]
fn every_simd_level_serves_the_same_bytes() {
    let before = simd::active();
    for level in simd::supported() {
        simd::set_active(level);
        random_schedule(9, 12, 2);
    }
    simd::set_active(before);
}

fn job(adapter: Option<&str>, prompt: Vec<u32>, max_tokens: usize) -> Job {
    let request = Request { prompt, max_tokens, sampler: GREEDY, stop: vec![] };
    Job { request, adapter: adapter.map(Into::into), scale: 1.0, payer: "p".into(), trace: true }
}

fn ask(bench: &mut Bench, job: Job) -> Answer {
    let ticket = bench.scheduler.submit(job).expect("there is room");
    bench.run();
    bench.answers.remove(&ticket).expect("answered").expect("no error")
}

#[test]
fn scale_zero_is_the_base_to_the_bit_and_scale_one_the_adapter() {
    let mut bench = Bench::new(options(), PAGES);
    let prompt = tokens(3, 70, 50);
    let base = ask(&mut bench, job(None, prompt.clone(), 9));
    let zero = Job { scale: 0.0, ..job(Some("a0"), prompt.clone(), 9) };
    assert_eq!(ask(&mut bench, zero), base);
    let one = ask(&mut bench, job(Some("a0"), prompt.clone(), 9));
    let half = ask(&mut bench, Job { scale: 0.5, ..job(Some("a0"), prompt, 9) });
    assert_ne!(one.trace, base.trace);
    assert_ne!(half.trace, one.trace);
}

#[test]
fn an_adapter_loaded_unloaded_and_loaded_again_answers_with_the_same_bytes() {
    let mut bench = Bench::new(Options { resident_max: 1, ..options() }, PAGES);
    let first = ask(&mut bench, job(Some("a1"), tokens(3, 70, 50), 9));
    ask(&mut bench, job(Some("a2"), tokens(3, 70, 50), 9));
    assert_eq!(bench.scheduler.stats().adapters.evictions, 1);
    assert_eq!(ask(&mut bench, job(Some("a1"), tokens(3, 70, 50), 9)), first);
    bench.scheduler.unregister("a1").expect("it was there");
    bench.scheduler.register("a1", Source::Fetched).expect("a new name again");
    assert_eq!(ask(&mut bench, job(Some("a1"), tokens(3, 70, 50), 9)), first);
    // Under the same name, but another adapter: nothing of the first is taken over.
    bench.scheduler.unregister("a1").expect("it was there");
    bench.scheduler.register("a1", Source::Fetched).expect("a new name again");
    bench.adapters[1] = (SPECS[0], 999);
    let other = ask(&mut bench, job(Some("a1"), tokens(3, 70, 50), 9));
    assert_ne!(other.trace, first.trace);
    assert_eq!(other, bench.alone(&job(Some("a1"), tokens(3, 70, 50), 9)));
}

#[test]
fn a_prompt_that_begins_like_an_earlier_one_skips_what_is_there() {
    let mut bench = Bench::new(options(), PAGES);
    ask(&mut bench, job(None, tokens(3, 130, 50), 1));
    let rows = bench.scheduler.stats().rows;
    ask(&mut bench, job(None, tokens(3, 130, 50), 1));
    let stats = bench.scheduler.stats();
    assert_eq!((stats.tokens_reused, stats.rows - rows), (128, 2));
    ask(&mut bench, job(Some("a0"), tokens(3, 130, 50), 1));
    assert_eq!(bench.scheduler.stats().tokens_reused, 128, "another adapter shares nothing");
}

#[test]
fn one_payer_with_many_requests_does_not_keep_another_waiting() {
    let mut bench = Bench::new(Options { running_max: 2, ..options() }, PAGES);
    let crowd: Vec<u64> = (0..10)
        .map(|i| bench.scheduler.submit(job(None, tokens(i, 5, 50), 4)).expect("room"))
        .collect();
    let other = Job { payer: "q".into(), ..job(None, tokens(99, 5, 50), 4) };
    let ticket = bench.scheduler.submit(other).expect("room");
    while !bench.answers.contains_key(&ticket) {
        assert!(bench.turn());
    }
    let before = crowd.iter().filter(|t| bench.answers.contains_key(t)).count();
    assert!(before <= 2, "{before} of the crowd came first");
    bench.run();
}

#[test]
fn what_cannot_be_taken_in_is_refused_with_a_code_that_says_what_to_do() {
    let mut bench = Bench::new(Options { waiting_max: 2, ..options() }, PAGES);
    let code = |bench: &mut Bench, job: Job| bench.scheduler.submit(job).expect_err("refused").code;
    let good = job(None, tokens(1, 5, 50), 4);
    assert_eq!(code(&mut bench, job(Some("nobody"), vec![1], 4)), ErrorCode::UnknownAdapter);
    assert_eq!(code(&mut bench, job(None, vec![50], 4)), ErrorCode::BadInput);
    assert_eq!(code(&mut bench, Job { scale: f32::NAN, ..good.clone() }), ErrorCode::BadInput);
    let tickets = [0, 1].map(|_| bench.scheduler.submit(good.clone()).expect("room"));
    assert_eq!(code(&mut bench, good.clone()), ErrorCode::QueueFull);
    assert!(bench.turn());
    let waiting = bench.scheduler.submit(good.clone()).expect("room again");
    bench.scheduler.close(true);
    assert_eq!(code(&mut bench, good), ErrorCode::ShuttingDown);
    bench.run();
    let error = bench.answers[&waiting].as_ref().expect_err("it never ran");
    assert_eq!(error.code, ErrorCode::ShuttingDown);
    assert!(tickets.iter().all(|t| bench.answers[t].is_ok()), "what ran is finished");
}

#[test]
fn an_adapter_that_cannot_be_brought_fails_those_who_wait_and_may_be_tried_again() {
    let mut bench = Bench::new(options(), PAGES);
    let lost = bench.scheduler.submit(job(Some("a0"), tokens(1, 5, 50), 4)).expect("room");
    let fine = bench.scheduler.submit(job(None, tokens(1, 5, 50), 4)).expect("room");
    let step = bench.scheduler.plan().expect("the base's request runs");
    let [load] = &bench.scheduler.take_loads()[..] else { panic!("one load") };
    let reason: Result<Adapter> = (|| bail!(Io, "no peer has it"))();
    bench.scheduler.load_ended(load, reason);
    let chosen = execute(&mut bench.cpu, &bench.weights, &step);
    bench.scheduler.absorb(&step, &chosen);
    bench.run();
    let error = EngineError::new(ErrorCode::Io, "no peer has it");
    assert_eq!(bench.answers[&lost], Err(error));
    assert!(bench.answers[&fine].is_ok());
    ask(&mut bench, job(Some("a0"), tokens(1, 5, 50), 4));
}

#[test]
fn ten_thousand_idle_adapters_take_less_than_four_kilobytes_each() {
    let options = Options::default();
    let mut registry = super::registry::Registry::new(&options);
    let before = crate::testing::allocated();
    for i in 0..10_000 {
        let name = format!("0x{i:064x}");
        let source = Source::directory(format!("/var/lib/openledger/adapters/{name}"));
        registry.register(&name, source).expect("a new name");
    }
    let each = (crate::testing::allocated() - before) / 10_000;
    assert!((100..1024).contains(&each), "{each} bytes each");
}

#[test]
fn pinned_and_used_adapters_stay_and_one_slot_is_left_for_the_others() {
    let mut bench = Bench::new(Options { resident_max: 2, ..options() }, PAGES);
    bench.scheduler.pin("a0", true).expect("a slot is left");
    let error = bench.scheduler.pin("a1", true).expect_err("the last slot");
    assert!(error.message.contains("1 adapters are pinned"), "{error}");
    bench.run();
    for name in ["a1", "a2", "a3", "a1"] {
        ask(&mut bench, job(Some(name), tokens(1, 5, 50), 2));
    }
    let loads = bench.scheduler.stats().adapters.loads;
    ask(&mut bench, job(Some("a0"), tokens(1, 5, 50), 2));
    assert_eq!((loads, bench.scheduler.stats().adapters.loads), (5, 5));
}
