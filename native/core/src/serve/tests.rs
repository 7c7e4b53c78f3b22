use super::engine::execute;
use super::testing::{Bench, PAGES, SPECS, Schedule, options, random_schedule};
use super::*;
use crate::generate::sampler::GREEDY;
use crate::generate::{Answer, Request};
use crate::lora::Adapter;
use crate::math::simd;
use crate::model::testing::tokens;
use crate::{EngineError, ErrorCode, Result, bail};

#[test]
fn any_schedule_gives_every_request_the_bytes_it_has_alone() {
    let all = [(1, 1), (2, 3), (3, 2), (4, 2)]
        .map(|(seed, n)| random_schedule(Schedule::small(seed, 40, n)));
    let happened = |count: fn(&Stats) -> u64| all.iter().map(count).sum::<u64>() > 0;
    assert!(happened(|s| s.put_back) && happened(|s| s.tokens_reused), "{all:?}");
    assert!(happened(|s| s.adapters.evictions), "{all:?}");
}

#[test]
fn every_simd_level_serves_the_same_bytes() {
    for level in simd::supported() {
        random_schedule(Schedule { level, ..Schedule::small(9, 12, 2) });
    }
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
fn an_adapter_brought_for_nobody_any_more_gives_its_slot_to_the_next() {
    let mut bench = Bench::new(Options { resident_max: 2, ..options() }, PAGES);
    let ticket = bench.scheduler.submit(job(Some("a0"), tokens(1, 5, 50), 4)).expect("room");
    assert!(bench.scheduler.plan().is_none());
    bench.scheduler.pin("a1", true).expect("a slot is left");
    let loads = bench.scheduler.take_loads();
    assert_eq!(loads.len(), 2);
    // While both are under way, the request is cancelled and the pin taken off.
    bench.scheduler.cancel(ticket);
    bench.scheduler.pin("a1", false).expect("it was pinned");
    for load in loads {
        let adapter = bench.adapter(&load.name);
        bench.scheduler.load_ended(&load, Ok(adapter));
    }
    for name in ["a2", "a3", "a4"] {
        ask(&mut bench, job(Some(name), tokens(1, 5, 50), 4));
    }
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
