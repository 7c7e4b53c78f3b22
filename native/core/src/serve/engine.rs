//! The scheduler at work: one thread that plans, computes (with `pool::each`) and absorbs, and loaders that bring
//! adapters. Callers only take the lock for a moment; a step runs without it.

use super::forward::{Applied, Cpu, Piece};
use super::kv::page_bytes;
use super::options::Options;
use super::registry::{Load, Source};
use super::scheduler::{Choice, Chosen, Event, Scheduler, Stats, Step};
use super::sequence::Job;
use crate::error::contain;
use crate::generate::trace_leaf;
use crate::lora::Adapter;
use crate::model::Model;
use crate::model::weights::Weights;
use crate::{Result, pool};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

/// What the engine asks of whoever embeds it. Called from the engine's threads, without its lock.
pub trait Host: Send + Sync + 'static {
    /// What happened in a step, in order.
    fn events(&self, events: Vec<Event>);
    /// Find a directory for this adapter, then call `Engine::fetched`.
    fn fetch(&self, load: Load);
}

struct Shared {
    model: Arc<Model>,
    scheduler: Mutex<Scheduler>,
    /// Something came that may let the next step begin.
    wake: Condvar,
    host: Box<dyn Host>,
    kv_bytes: AtomicUsize,
}

pub struct Engine {
    shared: Arc<Shared>,
}

impl Engine {
    pub fn start(model: Arc<Model>, options: Options, host: Box<dyn Host>) -> Result<Self> {
        let pages = pages_of(&model.weights, &options);
        let scheduler = Scheduler::new(model.config().clone(), options.clone(), pages)?;
        let shared = Arc::new(Shared {
            model,
            scheduler: Mutex::new(scheduler),
            wake: Condvar::new(),
            host,
            kv_bytes: AtomicUsize::new(0),
        });
        let worker = shared.clone();
        pool::spawn("openledger-serve", move || run(&worker, pages))?;
        Ok(Self { shared })
    }

    fn with<T>(&self, change: impl FnOnce(&mut Scheduler) -> T) -> T {
        let result = change(&mut self.shared.lock());
        self.shared.wake.notify_all();
        result
    }

    /// The ticket of the request; its events carry it.
    pub fn submit(&self, job: Job) -> Result<u64> {
        self.with(|scheduler| scheduler.submit(job))
    }

    pub fn cancel(&self, ticket: u64) {
        self.with(|scheduler| scheduler.cancel(ticket));
    }

    pub fn register(&self, name: &str, source: Source) -> Result<()> {
        self.with(|scheduler| scheduler.register(name, source))
    }

    pub fn unregister(&self, name: &str) -> Result<()> {
        self.with(|scheduler| scheduler.unregister(name))
    }

    pub fn pin(&self, name: &str, pinned: bool) -> Result<()> {
        self.with(|scheduler| scheduler.pin(name, pinned))
    }

    /// The fetcher's answer to `Host::fetch`.
    pub fn fetched(&self, load: Load, directory: Result<Box<Path>>) {
        match directory {
            Ok(directory) => {
                self.shared.load(Load { source: Source::Directory(directory), ..load })
            }
            Err(error) => self.with(|scheduler| scheduler.load_ended(&load, Err(error))),
        }
    }

    pub fn stats(&self) -> Stats {
        self.shared.lock().stats()
    }

    /// Bytes of keys and values in memory.
    pub fn kv_bytes(&self) -> usize {
        self.shared.kv_bytes.load(Ordering::Relaxed)
    }

    /// Takes nothing new; what waits fails; what runs is finished, or cancelled unless `finish`. The thread ends by
    /// itself after the last answer.
    pub fn close(&self, finish: bool) {
        self.with(|scheduler| scheduler.close(finish));
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close(false);
    }
}

fn pages_of(weights: &Weights, options: &Options) -> usize {
    let most = weights.config.max_positions.div_ceil(super::pages::PAGE) * options.running_max;
    (options.kv_bytes_max / page_bytes(weights)).min(most)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Scheduler> {
        self.scheduler.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings an adapter on a thread of its own; a fetched one is asked for first.
    fn load(self: &Arc<Self>, load: Load) {
        let Source::Directory(directory) = &load.source else {
            self.host.fetch(load);
            return;
        };
        let (shared, directory, task) = (self.clone(), directory.clone(), load.clone());
        let job = move || {
            let result = contain(|| Adapter::load(&directory, shared.model.config()));
            shared.lock().load_ended(&task, result);
            shared.wake.notify_all();
        };
        if let Err(e) = pool::spawn("openledger-load", job) {
            self.lock().load_ended(&load, Err(e));
        }
    }
}

/// The engine's thread.
fn run(shared: &Arc<Shared>, pages: usize) {
    let mut cpu = Cpu::new(&shared.model.weights, pages);
    loop {
        let mut scheduler = shared.lock();
        let step = scheduler.plan();
        let (events, loads) = (scheduler.take_events(), scheduler.take_loads());
        if step.is_none() && events.is_empty() && loads.is_empty() {
            if scheduler.closing() && scheduler.is_idle() {
                return;
            }
            drop(shared.wake.wait(scheduler).unwrap_or_else(PoisonError::into_inner));
            continue;
        }
        drop(scheduler);
        if !events.is_empty() {
            shared.host.events(events);
        }
        loads.into_iter().for_each(|load| shared.load(load));
        let Some(step) = step else { continue };
        let weights = &shared.model.weights;
        let result = contain(|| Ok(execute(&mut cpu, weights, &step)));
        shared.kv_bytes.store(cpu.kv_bytes(), Ordering::Relaxed);
        let mut scheduler = shared.lock();
        match result {
            Ok(chosen) => scheduler.absorb(&step, &chosen),
            Err(error) => scheduler.fail_running(&error),
        }
    }
}

/// Runs a step on the calling thread and those of `pool::each`.
pub fn execute(cpu: &mut Cpu, weights: &Weights, step: &Step) -> Vec<Chosen> {
    let pieces: Vec<Piece> = step
        .shares
        .iter()
        .map(|share| Piece {
            tokens: &share.tokens,
            first: share.first,
            pages: &share.pages,
            adapter: share
                .adapter
                .as_deref()
                .map(|adapter| Applied { adapter, scale: share.scale }),
            logits_from: share.tokens.len() - usize::from(share.choice.is_some()),
        })
        .collect();
    let logits = cpu.forward(weights, &pieces);
    let choices: Vec<Choice> = step.shares.iter().filter_map(|share| share.choice).collect();
    let chosen: Vec<OnceLock<(u32, Option<[u8; 32]>)>> =
        choices.iter().map(|_| OnceLock::new()).collect();
    let vocab = weights.config.vocab;
    pool::each(choices.len(), &|i| {
        let (logits, choice) = (&logits[i * vocab..(i + 1) * vocab], &choices[i]);
        let token = choice.sampler.choose(logits, choice.position);
        let leaf = choice.trace.then(|| trace_leaf(choice.position, token, logits));
        chosen[i].get_or_init(|| (token, leaf));
    });
    let mut chosen =
        chosen.into_iter().map(|cell| cell.into_inner().expect("every row was chosen for"));
    step.shares.iter().map(|share| share.choice.and_then(|_| chosen.next())).collect()
}
