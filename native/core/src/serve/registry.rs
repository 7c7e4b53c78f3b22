//! The adapters a base can serve. Registering one costs a few hundred bytes; its factors are brought when a
//! request first needs them and stay in a bounded number of slots, least recently used out first, but never one
//! that is pinned, in use, or just brought for somebody.
//!
//!   idle --wanted--> loading --loaded--> resident --evicted--> idle
//!                       \--failed--> idle (the waiting requests fail with the reason)

use super::options::{NAME_BYTES_MAX, Options};
use crate::lora::Adapter;
use crate::{Result, bail};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where an adapter comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A PEFT directory.
    Directory(Box<Path>),
    /// The embedder's fetcher finds a directory for the adapter's name.
    Fetched,
}

/// An adapter in memory. `number` is new with each load: what was computed with one load of a name is never
/// taken for another's.
#[derive(Clone)]
pub struct Loaded {
    pub adapter: Arc<Adapter>,
    pub number: u64,
}

enum State {
    Idle,
    Loading,
    /// `awaited` until the first of those who wait for it begins: not evicted before.
    Resident {
        loaded: Loaded,
        bytes: usize,
        users: usize,
        awaited: bool,
        used_at: u64,
    },
}

struct Entry {
    source: Source,
    pinned: bool,
    /// New with each registration: a load that was begun for an earlier one is thrown away.
    number: u64,
    state: State,
}

/// What somebody must do: load the adapter and report with `loaded` or `failed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    pub name: Arc<str>,
    pub number: u64,
    pub source: Source,
}

/// Counts for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    pub registered: usize,
    pub resident: usize,
    pub resident_bytes: usize,
    pub pinned: usize,
    pub loads: u64,
    pub evictions: u64,
}

pub struct Registry {
    entries: HashMap<Arc<str>, Entry>,
    /// Resident adapters by last use.
    order: BTreeMap<u64, Arc<str>>,
    /// Slots taken: loading or resident.
    slots: usize,
    bytes: usize,
    pinned: usize,
    clock: u64,
    loads: u64,
    evictions: u64,
    registered_max: usize,
    resident_max: usize,
    resident_bytes_max: usize,
}

impl Registry {
    pub fn new(options: &Options) -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeMap::new(),
            slots: 0,
            bytes: 0,
            pinned: 0,
            clock: 0,
            loads: 0,
            evictions: 0,
            registered_max: options.registered_max,
            resident_max: options.resident_max,
            resident_bytes_max: options.resident_bytes_max,
        }
    }

    pub fn occupancy(&self) -> Occupancy {
        Occupancy {
            registered: self.entries.len(),
            resident: self.order.len(),
            resident_bytes: self.bytes,
            pinned: self.pinned,
            loads: self.loads,
            evictions: self.evictions,
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    pub fn register(&mut self, name: &str, source: Source) -> Result<()> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            let most = NAME_BYTES_MAX;
            bail!(BadInput, "an adapter's name has {} bytes, must have 1..={most}", name.len());
        }
        if self.entries.contains_key(name) {
            bail!(BadInput, "adapter {name} is registered already; unregister it first");
        }
        if self.entries.len() >= self.registered_max {
            bail!(BadInput, "{} adapters are registered, which is the most", self.entries.len());
        }
        let number = self.tick();
        let entry = Entry { source, pinned: false, number, state: State::Idle };
        self.entries.insert(name.into(), entry);
        Ok(())
    }

    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Forgets an adapter. Sequences that run with it keep their copy to the end.
    pub fn unregister(&mut self, name: &str) -> Result<()> {
        let Some(entry) = self.entries.remove(name) else {
            bail!(UnknownAdapter, "no adapter {name} is registered");
        };
        self.pinned -= usize::from(entry.pinned);
        match entry.state {
            State::Idle => {}
            State::Loading => self.slots -= 1,
            State::Resident { bytes, used_at, .. } => {
                self.order.remove(&used_at);
                self.slots -= 1;
                self.bytes -= bytes;
            }
        }
        Ok(())
    }

    /// A pinned adapter is not evicted. One slot always stays for the others.
    pub fn pin(&mut self, name: &str, pinned: bool) -> Result<()> {
        let most = self.resident_max - 1;
        let full = self.pinned >= most;
        let Some(entry) = self.entries.get_mut(name) else {
            bail!(UnknownAdapter, "no adapter {name} is registered");
        };
        if entry.pinned == pinned {
            return Ok(());
        }
        if pinned && full {
            bail!(BadInput, "{most} adapters are pinned, which is the most");
        }
        entry.pinned = pinned;
        self.pinned = if pinned { self.pinned + 1 } else { self.pinned - 1 };
        Ok(())
    }

    /// The adapter, when it is in memory.
    pub fn resident(&self, name: &str) -> Option<&Loaded> {
        match &self.entries.get(name)?.state {
            State::Resident { loaded, .. } => Some(loaded),
            State::Idle | State::Loading => None,
        }
    }

    /// Asks for an idle adapter; None when it is under way already, or no slot can be had now.
    pub fn want(&mut self, name: &str) -> Option<Load> {
        if !matches!(self.entries.get(name)?.state, State::Idle) {
            return None;
        }
        if self.slots >= self.resident_max && !self.evict_one() {
            return None;
        }
        self.slots += 1;
        let (key, _) = self.entries.get_key_value(name)?;
        let key = key.clone();
        let entry = self.entries.get_mut(name)?;
        entry.state = State::Loading;
        Some(Load { name: key, number: entry.number, source: entry.source.clone() })
    }

    /// The load is done; `awaited`: somebody waits for it. Thrown away when it was begun for an earlier registration.
    pub fn loaded(&mut self, load: &Load, adapter: Adapter, awaited: bool) {
        let (number, used_at) = (self.tick(), self.tick());
        let Some(entry) = self.entries.get_mut(&load.name) else { return };
        if entry.number != load.number || !matches!(entry.state, State::Loading) {
            return;
        }
        let bytes = adapter.bytes();
        let loaded = Loaded { adapter: Arc::new(adapter), number };
        entry.state = State::Resident { loaded, bytes, users: 0, awaited, used_at };
        self.order.insert(used_at, load.name.clone());
        self.bytes += bytes;
        self.loads += 1;
        while self.bytes > self.resident_bytes_max && self.evict_one() {}
    }

    pub fn failed(&mut self, load: &Load) {
        if let Some(entry) = self.entries.get_mut(&load.name)
            && entry.number == load.number
            && matches!(entry.state, State::Loading)
        {
            entry.state = State::Idle;
            self.slots -= 1;
        }
    }

    /// A sequence begins to run with this load; `release` undoes it.
    pub fn hold(&mut self, name: &str, number: u64) {
        self.touch(name, number, |users| users + 1);
    }

    pub fn release(&mut self, name: &str, number: u64) {
        self.touch(name, number, |users| users - 1);
    }

    /// Nobody waits for this adapter any more: it may be evicted before it was used.
    pub fn unwanted(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name)
            && let State::Resident { awaited, .. } = &mut entry.state
        {
            *awaited = false;
        }
    }

    fn touch(&mut self, name: &str, number: u64, change: impl Fn(usize) -> usize) {
        let now = self.tick();
        let Some(entry) = self.entries.get_mut(name) else { return };
        let State::Resident { loaded, users, awaited, used_at, .. } = &mut entry.state else {
            return;
        };
        if loaded.number != number {
            return;
        }
        *users = change(*users);
        *awaited = false;
        if let Some(name) = self.order.remove(used_at) {
            self.order.insert(now, name);
        }
        *used_at = now;
    }

    /// Frees the slot of the least recently used adapter that may go.
    fn evict_one(&mut self) -> bool {
        let idle = |name: &Arc<str>| {
            self.entries.get(name).is_some_and(|entry| {
                let free = matches!(entry.state, State::Resident { users: 0, awaited: false, .. });
                free && !entry.pinned
            })
        };
        let Some((at, name)) = self.order.iter().find(|(_, name)| idle(name)) else {
            return false;
        };
        let (at, name) = (*at, name.clone());
        self.order.remove(&at);
        if let Some(entry) = self.entries.get_mut(&name)
            && let State::Resident { bytes, .. } = entry.state
        {
            entry.state = State::Idle;
            self.bytes -= bytes;
            self.slots -= 1;
            self.evictions += 1;
        }
        true
    }
}

impl Source {
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Source::Directory(path.into().into_boxed_path())
    }
}
