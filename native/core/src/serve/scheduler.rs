//! Continuous batching, as a plain state machine: requests come in at any time, each step takes one token of
//! every sequence that decodes and parts of prompts with the rows that are left, and answers go out as they end.
//!
//!   submit -> queue -> (adapter there, pages there) -> running: prompt in chunks, then token by token -> answer
//!                 ^-- put back, pages given up <-- no page left: the youngest makes room
//!
//! No clock, no thread, no lock here: `plan` says what to run, somebody runs it, `absorb` takes the result. What a
//! request's answer is does not depend on any decision made here; when it comes does.

use super::options::{NAME_BYTES_MAX, Options};
use super::pages::{PAGE, Pages};
use super::queue::FairQueue;
use super::registry::{Load, Occupancy, Registry, Source};
use super::sequence::{Job, Sequence};
use crate::generate::{Answer, Finish, Sampler, check_request};
use crate::lora::Adapter;
use crate::model::LlamaConfig;
use crate::{EngineError, ErrorCode, Result, bail};
use std::collections::HashSet;
use std::sync::Arc;

/// What the embedder hears, in order.
#[derive(Debug)]
pub enum Event {
    Token { ticket: u64, token: u32, index: usize },
    Done { ticket: u64, result: Result<Answer> },
}

/// What is to be chosen from the logits of a share's last row.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    pub sampler: Sampler,
    pub position: u32,
    pub trace: bool,
}

/// One sequence's part of a step.
pub struct Share {
    /// Index among the running sequences.
    at: usize,
    pub tokens: Vec<u32>,
    pub first: usize,
    pub pages: Vec<u32>,
    pub adapter: Option<Arc<Adapter>>,
    pub scale: f32,
    /// None in the middle of a prompt.
    pub choice: Option<Choice>,
}

/// Shares that use the same adapter stand side by side.
pub struct Step {
    pub shares: Vec<Share>,
}

/// The token chosen and, when asked for, its trace leaf; None for shares without a choice.
pub type Chosen = Option<(u32, Option<[u8; 32]>)>;

/// Since the start, and now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub running: usize,
    pub waiting: usize,
    pub pages: usize,
    pub pages_used: usize,
    /// Used by nobody, kept for prompts that begin alike.
    pub pages_kept: usize,
    pub adapters: Occupancy,
    pub steps: u64,
    pub rows: u64,
    /// Most sequences of one step.
    pub widest: usize,
    pub tokens_out: u64,
    /// Prompt tokens taken over from kept pages.
    pub tokens_reused: u64,
    pub answers: u64,
    pub put_back: u64,
}

pub struct Scheduler {
    config: LlamaConfig,
    options: Options,
    queue: FairQueue<Sequence>,
    /// In the order they were admitted.
    running: Vec<Sequence>,
    pages: Pages,
    registry: Registry,
    cancelled: HashSet<u64>,
    next_ticket: u64,
    closing: bool,
    events: Vec<Event>,
    loads: Vec<Load>,
    stats: Stats,
}

impl Scheduler {
    /// `pages` are those of the cache; a sequence that needs more is refused.
    pub fn new(config: LlamaConfig, options: Options, pages: usize) -> Result<Self> {
        options.check()?;
        if pages == 0 {
            bail!(BadInput, "kvBytesMax {} holds no page of this model", options.kv_bytes_max);
        }
        Ok(Self {
            queue: FairQueue::new(options.waiting_max, options.waiting_per_payer_max),
            registry: Registry::new(&options),
            pages: Pages::new(pages),
            config,
            options,
            running: vec![],
            cancelled: HashSet::new(),
            next_ticket: 1,
            closing: false,
            events: vec![],
            loads: vec![],
            stats: Stats::default(),
        })
    }

    pub fn stats(&self) -> Stats {
        Stats {
            running: self.running.len(),
            waiting: self.queue.len(),
            pages: self.pages.count(),
            pages_used: self.pages.count() - self.pages.available(),
            pages_kept: self.pages.kept(),
            adapters: self.registry.occupancy(),
            ..self.stats
        }
    }

    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    pub fn take_loads(&mut self) -> Vec<Load> {
        std::mem::take(&mut self.loads)
    }

    /// Takes a request in; its events carry the ticket.
    pub fn submit(&mut self, job: Job) -> Result<u64> {
        if self.closing {
            bail!(ShuttingDown, "the engine is shutting down and takes no new requests");
        }
        check_request(&self.config, &job.request)?;
        if job.payer.len() > NAME_BYTES_MAX {
            bail!(BadInput, "the payer has {} bytes, at most {NAME_BYTES_MAX}", job.payer.len());
        }
        if !job.scale.is_finite() {
            bail!(BadInput, "scale {} is not a finite number", job.scale);
        }
        if let Some(name) = &job.adapter
            && !self.registry.contains(name)
        {
            bail!(UnknownAdapter, "no adapter {name} is registered");
        }
        let positions = job.request.prompt.len() + job.request.max_tokens;
        if positions.div_ceil(PAGE) > self.pages.count() {
            bail!(
                BadInput,
                "{positions} positions need {} pages of the cache, which has {}",
                positions.div_ceil(PAGE),
                self.pages.count()
            );
        }
        self.queue.check_room(&job.payer)?;
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.queue.push(Sequence::new(ticket, job));
        Ok(ticket)
    }

    /// Ends a request at the next step at the latest; what it has so far is its answer.
    pub fn cancel(&mut self, ticket: u64) {
        for sequence in self.queue.remove(|s| s.ticket == ticket) {
            self.leave(sequence, |s| Ok(s.into_answer(Finish::Cancelled)));
        }
        if self.running.iter().any(|s| s.ticket == ticket) {
            self.cancelled.insert(ticket);
        }
    }

    /// Takes nothing new; what waits fails, what runs is finished (or, unless `finish`, cancelled).
    pub fn close(&mut self, finish: bool) {
        self.closing = true;
        for sequence in self.queue.remove(|_| true) {
            let text = "the engine is shutting down before this request had its turn";
            self.leave(sequence, |_| Err(EngineError::new(ErrorCode::ShuttingDown, text)));
        }
        if !finish {
            self.cancelled.extend(self.running.iter().map(|s| s.ticket));
        }
    }

    pub fn closing(&self) -> bool {
        self.closing
    }

    pub fn unregister(&mut self, name: &str) -> Result<()> {
        self.registry.unregister(name)?;
        for sequence in self.queue.remove(|s| s.job.adapter.as_deref() == Some(name)) {
            let text = format!("adapter {name} was unregistered while the request waited");
            self.leave(sequence, |_| Err(EngineError::new(ErrorCode::UnknownAdapter, text)));
        }
        Ok(())
    }

    pub fn pin(&mut self, name: &str, pinned: bool) -> Result<()> {
        self.registry.pin(name, pinned)?;
        if pinned {
            self.loads.extend(self.registry.want(name));
        }
        Ok(())
    }

    /// A load ended; a failure is the answer of all who wait for it.
    pub fn load_ended(&mut self, load: &Load, result: Result<Adapter>) {
        let fits = result.and_then(|adapter| {
            adapter.check_fits(&self.config)?;
            Ok(adapter.into_compact())
        });
        match fits {
            Ok(adapter) => {
                let awaited = self.is_awaited(&load.name);
                self.registry.loaded(load, adapter, awaited);
            }
            Err(error) => {
                self.registry.failed(load);
                for sequence in self.queue.remove(|s| s.job.adapter.as_ref() == Some(&load.name)) {
                    let error = error.clone();
                    self.leave(sequence, |_| Err(error));
                }
            }
        }
    }

    /// What to run next; None when there is nothing to run now.
    pub fn plan(&mut self) -> Option<Step> {
        self.drop_cancelled();
        self.admit();
        let wants = self.divide_rows();
        let shares = self.give_pages(wants);
        if shares.is_empty() {
            return None;
        }
        self.stats.steps += 1;
        self.stats.widest = self.stats.widest.max(shares.len());
        self.stats.rows += shares.iter().map(|s| s.tokens.len() as u64).sum::<u64>();
        Some(Step { shares })
    }

    /// Takes what a step chose, share by share.
    pub fn absorb(&mut self, step: &Step, chosen: &[Chosen]) {
        assert_eq!(step.shares.len(), chosen.len(), "one choice a share");
        let mut ended: Vec<(usize, Finish)> = vec![];
        for (share, chosen) in step.shares.iter().zip(chosen) {
            let sequence = &mut self.running[share.at];
            let before = sequence.computed / PAGE;
            sequence.computed += share.tokens.len();
            for page in before..sequence.computed / PAGE {
                let name = sequence.chain(page);
                self.pages.publish(sequence.pages[page], name);
            }
            let Some((token, leaf)) = chosen else { continue };
            let (ticket, index) = (sequence.ticket, sequence.answered());
            self.events.push(Event::Token { ticket, token: *token, index });
            self.stats.tokens_out += 1;
            ended.extend(sequence.push(*token, *leaf).map(|finish| (share.at, finish)));
        }
        ended.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        for (at, finish) in ended {
            let sequence = self.running.remove(at);
            self.stats.answers += 1;
            self.leave_running(sequence, |s| Ok(s.into_answer(finish)));
        }
    }

    /// A step failed and cannot be tried again: so do all that run.
    pub fn fail_running(&mut self, error: &EngineError) {
        for sequence in std::mem::take(&mut self.running) {
            self.leave_running(sequence, |_| Err(error.clone()));
        }
        self.pages.forget();
    }

    fn leave(&mut self, sequence: Sequence, result: impl FnOnce(Sequence) -> Result<Answer>) {
        let ticket = sequence.ticket;
        if let Some(name) = &sequence.job.adapter
            && !self.is_awaited(name)
        {
            self.registry.unwanted(name);
        }
        self.events.push(Event::Done { ticket, result: result(sequence) });
    }

    fn is_awaited(&self, adapter: &Arc<str>) -> bool {
        self.queue.any(|s| s.job.adapter.as_ref() == Some(adapter))
    }

    fn leave_running(
        &mut self,
        mut sequence: Sequence,
        result: impl FnOnce(Sequence) -> Result<Answer>,
    ) {
        self.free(&mut sequence);
        self.cancelled.remove(&sequence.ticket);
        let ticket = sequence.ticket;
        self.events.push(Event::Done { ticket, result: result(sequence) });
    }

    /// Gives back pages, adapter and its place among the running.
    fn free(&mut self, sequence: &mut Sequence) {
        let (pages, loaded) = sequence.reset();
        self.pages.release(&pages);
        if let (Some(loaded), Some(name)) = (loaded, &sequence.job.adapter) {
            self.registry.release(name, loaded.number);
        }
        self.queue.finished(&sequence.job.payer);
    }

    fn put_back(&mut self, at: usize) {
        let mut sequence = self.running.remove(at);
        self.free(&mut sequence);
        self.stats.put_back += 1;
        self.queue.put_back(sequence);
    }

    fn drop_cancelled(&mut self) {
        for at in (0..self.running.len()).rev() {
            if self.cancelled.contains(&self.running[at].ticket) {
                let sequence = self.running.remove(at);
                self.leave_running(sequence, |s| Ok(s.into_answer(Finish::Cancelled)));
            }
        }
        self.cancelled.clear();
    }

    /// Lets waiting sequences in while there are places, pages for their tokens, and their adapter.
    fn admit(&mut self) {
        while self.running.len() < self.options.running_max {
            let (registry, loads) = (&mut self.registry, &mut self.loads);
            // Those that run may still grow: leave a page for each.
            let room = self.pages.available().saturating_sub(self.running.len());
            let alone = self.running.is_empty();
            let next = self.queue.pop(|s| {
                if !alone && s.tokens.len().div_ceil(PAGE) > room {
                    return false;
                }
                let Some(name) = &s.job.adapter else { return true };
                if registry.resident(name).is_some() {
                    return true;
                }
                loads.extend(registry.want(name));
                false
            });
            let Some(mut sequence) = next else { return };
            if let Some(name) = &sequence.job.adapter
                && let Some(loaded) = self.registry.resident(name).cloned()
            {
                self.registry.hold(name, loaded.number);
                sequence.loaded = Some(loaded);
            }
            self.reuse_prefix(&mut sequence);
            self.running.push(sequence);
        }
    }

    fn reuse_prefix(&mut self, sequence: &mut Sequence) {
        for index in 0..sequence.shareable() {
            let name = sequence.chain(index);
            let Some(page) = self.pages.share(&name) else { break };
            sequence.pages.push(page);
            sequence.computed += PAGE;
            self.stats.tokens_reused += PAGE as u64;
        }
    }

    /// Rows of each running sequence: one for those that decode; the rest is shared evenly by the prompts.
    fn divide_rows(&self) -> Vec<usize> {
        let mut wants = vec![0; self.running.len()];
        let mut left = self.options.step_rows_max;
        let mut prompts: Vec<usize> = vec![];
        for (at, sequence) in self.running.iter().enumerate() {
            if sequence.left() == 1 {
                wants[at] = 1;
                left -= 1;
            } else {
                prompts.push(at);
            }
        }
        prompts.sort_by_key(|at| self.running[*at].left());
        let mut sharers = prompts.len();
        for at in prompts {
            wants[at] = self.running[at].left().min(left.div_ceil(sharers.max(1)));
            left -= wants[at];
            sharers -= 1;
        }
        wants
    }

    /// Makes sure that every share has its pages, oldest sequence first; when none is left, the youngest makes room.
    fn give_pages(&mut self, wants: Vec<usize>) -> Vec<Share> {
        let mut at = 0;
        while at < self.running.len() {
            let need = (self.running[at].computed + wants[at]).div_ceil(PAGE);
            if self.running[at].pages.len() >= need {
                at += 1;
            } else if let Some(page) = self.pages.take() {
                self.running[at].pages.push(page);
            } else {
                self.put_back(self.running.len() - 1);
            }
        }
        let mut shares: Vec<(u64, Share)> = self
            .running
            .iter()
            .zip(wants)
            .enumerate()
            .filter(|(_, (_, rows))| *rows > 0)
            .map(|(at, (sequence, rows))| {
                let number = sequence.loaded.as_ref().map_or(0, |l| l.number);
                (number, share(at, sequence, rows))
            })
            .collect();
        shares.sort_by_key(|(number, share)| (*number, share.scale.to_bits()));
        shares.into_iter().map(|(_, share)| share).collect()
    }

    /// Nothing waits and nothing runs.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.queue.is_empty()
    }

    pub fn register(&mut self, name: &str, source: Source) -> Result<()> {
        self.registry.register(name, source)
    }
}

fn share(at: usize, sequence: &Sequence, rows: usize) -> Share {
    let first = sequence.computed;
    let job = &sequence.job;
    let choice = (rows == sequence.left()).then_some(Choice {
        sampler: job.request.sampler,
        position: sequence.tokens.len() as u32,
        trace: job.trace,
    });
    Share {
        at,
        tokens: sequence.tokens[first..first + rows].to_vec(),
        first,
        pages: sequence.pages.clone(),
        adapter: sequence.loaded.as_ref().map(|l| l.adapter.clone()),
        scale: job.scale,
        choice,
    }
}
