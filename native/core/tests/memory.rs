//! Out of memory, for real: this test's own program runs again under a limit on its address space and loads a model,
//! answers, serves and trains. Whatever the limit, each ends with a result or with an error that says what needed how
//! many bytes, and the process goes on to the next. Linux has the limit in this form.
#![cfg(target_os = "linux")]

use openledger_core::error::contain;
use openledger_core::generate::{Request, generate, sampler::GREEDY};
use openledger_core::gradients::Sample;
use openledger_core::lora::LoraConfig;
use openledger_core::model::config::{LlamaConfig, Target};
use openledger_core::model::testing::{random_weights, tiny_config, tokens};
use openledger_core::model::{Model, save};
use openledger_core::serve::{Engine, Event, Host, Job, Load, Options};
use openledger_core::tensors::Store;
use openledger_core::train::{OptimizerKind, TrainConfig, train_lora};
use openledger_core::{EngineError, ErrorCode, Result};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, mpsc};

/// Makes the program the child; the model's folder.
const FOLDER: &str = "OPENLEDGER_MEMORY_TEST";
/// Megabytes that it may take before it loads, or after that.
const ROOM: &str = "OPENLEDGER_MEMORY_ROOM";
const WORK: [&str; 4] = ["load", "generate", "serve", "train"];
const PROMPT_TOKENS: usize = 300;

/// 20 MB of weights; for the prompt 25 MB of tape, for a long answer 50 MB of keys and values.
fn config() -> LlamaConfig {
    let (hidden, heads, head_dim, ffn) = (256, 8, 32, 512);
    let shape = LlamaConfig { hidden, heads, kv_heads: heads, head_dim, ffn, ..tiny_config() };
    LlamaConfig { vocab: 16_000, max_positions: 16_384, ..shape }
}

fn limit_address_space(megabytes: usize) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a size");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    let bytes = (kilobytes << 10) + ((megabytes as u64) << 20);
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: a valid limit, for this process alone.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
}

/// Hands the end of the one request over.
struct Ends(mpsc::Sender<Result<usize>>);

impl Host for Ends {
    fn events(&self, events: Vec<Event>) {
        for event in events {
            if let Event::Done { result, .. } = event {
                self.0.send(result.map(|answer| answer.tokens.len())).expect("it waits");
            }
        }
    }

    fn fetch(&self, _: Load) {}
}

fn request() -> Request {
    let prompt = tokens(1, PROMPT_TOKENS, config().vocab);
    Request { prompt, max_tokens: 4, sampler: GREEDY, stop: vec![] }
}

fn serve(model: &Arc<Model>) -> Result<usize> {
    let (send, receive) = mpsc::channel();
    let options = Options { step_rows_max: 256, ..Options::default() };
    let engine = Engine::start(model.clone(), options, Box::new(Ends(send)))?;
    let job =
        Job { request: request(), adapter: None, scale: 1.0, payer: "p".into(), trace: false };
    // Twice: an engine that was out of memory takes the next request.
    engine.submit(job.clone())?;
    let first = receive.recv().expect("answered");
    engine.submit(job)?;
    let second = receive.recv().expect("answered");
    assert!(second.is_ok() || first.is_err(), "what went once goes again");
    second
}

fn train(model: &Model) -> Result<usize> {
    let sample = Sample { tokens: request().prompt, loss_from: 1 };
    let train = TrainConfig {
        lora: LoraConfig::new(8, 16.0, false, Target::ALL.to_vec())?,
        epochs: 1,
        batch: 2,
        learning_rate: 1e-3,
        learning_rate_floor: 0.0,
        warmup_steps: 0,
        weight_decay: 0.0,
        clip: 1.0,
        optimizer: OptimizerKind::AdamW { beta1: 0.9, beta2: 0.999, eps: 1e-8 },
        seed: 1,
    };
    train_lora(&model.weights, &[sample.clone(), sample], &train, &mut |_| true)
        .map(|adapter| adapter.to_parameters().len())
}

/// One line for each piece of work: `load ok`, `serve NATIVE_OUT_OF_MEMORY out of memory: ...`.
fn child(folder: &str, room: &str) {
    let (when, megabytes) = room.split_once(' ').expect("when and how much");
    let megabytes = megabytes.parse().expect("a number");
    // The threads' stacks are there before the limit.
    openledger_core::pool::each(64, &|_| {});
    rayon_threads();
    if when == "before" {
        limit_address_space(megabytes);
    }
    let told = |work: &str, end: Result<usize>| match end {
        Ok(_) => println!("{work} ok"),
        Err(EngineError { code, message }) => println!("{work} {} {message}", code.as_str()),
    };
    let mut model = None;
    let loaded = contain(|| Model::load(Path::new(folder)));
    told("load", loaded.map(|loaded| model = Some(Arc::new(loaded))).map(|()| 0));
    let Some(model) = model else { return };
    if when == "after" {
        limit_address_space(megabytes);
    }
    // Room for a long answer is taken at once; it is stopped early.
    let long = Request { max_tokens: 12_000, ..request() };
    let answer = || generate(&model.weights, None, &long, &mut |_, index| index < 3);
    told("generate", contain(answer).map(|answer| answer.tokens.len()));
    told("serve", contain(|| serve(&model)));
    told("train", contain(|| train(&model)));
}

/// Every thread of the pool begins.
fn rayon_threads() {
    let weights = random_weights(tiny_config(), 1);
    let sample = Sample { tokens: tokens(1, 40, 50), loss_from: 1 };
    let samples = vec![sample; 16];
    openledger_core::gradients::sample_losses(&weights, None, &samples);
}

#[test]
fn a_process_without_memory_answers_with_errors_and_lives() {
    if let Ok(folder) = std::env::var(FOLDER) {
        return child(&folder, &std::env::var(ROOM).expect("both are set"));
    }
    let folder = std::env::temp_dir().join(format!("openledger-memory-{}", std::process::id()));
    save::save(&random_weights(config(), 1), &folder, Store::F16).expect("saved");
    let mut ends = std::collections::BTreeSet::new();
    let rooms = ["before 4", "before 40", "before 60", "before 90", "before 110"];
    let after = ["after 0", "after 34", "after 42", "after 55", "after 75", "after 100000"];
    for room in rooms.iter().chain(&after) {
        let program = std::env::current_exe().expect("its own path");
        let run = Command::new(program)
            .args([
                "--exact",
                "a_process_without_memory_answers_with_errors_and_lives",
                "--nocapture",
            ])
            .env(FOLDER, &folder)
            .env(ROOM, room)
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&run.stdout);
        let complaint = String::from_utf8_lossy(&run.stderr);
        println!("room {room}\n{said}{complaint}");
        assert!(run.status.success(), "room {room}: {}\n{said}{complaint}", run.status);
        for line in said.lines() {
            let Some((work, end)) = line.split_once(' ') else { continue };
            if !WORK.contains(&work) {
                continue;
            }
            let is_clear =
                end.starts_with(ErrorCode::OutOfMemory.as_str()) && end.contains(" bytes");
            assert!(end == "ok" || is_clear, "room {room}: {line}");
            ends.insert((work.to_string(), end == "ok"));
        }
    }
    std::fs::remove_dir_all(&folder).ok();
    // Each was refused at some room and went well at another.
    assert_eq!(ends.len(), 2 * WORK.len(), "{ends:?}");
}
