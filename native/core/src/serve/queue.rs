//! Requests that wait, fairly: the payer who has the fewest running comes next (among equals the one served
//! longest ago), and within a payer its adapters take turns. Nobody gains by asking more often or under
//! more adapters; nobody waits behind a neighbour's queue. Bounded, in all and by payer.

use crate::{Result, bail};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What the queue must know of an entry.
pub trait Queued {
    fn payer(&self) -> &Arc<str>;
    /// None is the base alone.
    fn adapter(&self) -> Option<&Arc<str>>;
}

/// One payer's entries: adapters in the order of their turns, each with its own line.
struct Payer<T> {
    lines: VecDeque<(Option<Arc<str>>, VecDeque<T>)>,
    waiting: usize,
    running: usize,
    served_at: u64,
}

pub struct FairQueue<T> {
    payers: HashMap<Arc<str>, Payer<T>>,
    waiting: usize,
    clock: u64,
    most: usize,
    most_per_payer: usize,
}

impl<T: Queued> FairQueue<T> {
    pub fn new(most: usize, most_per_payer: usize) -> Self {
        Self { payers: HashMap::new(), waiting: 0, clock: 0, most, most_per_payer }
    }

    pub fn len(&self) -> usize {
        self.waiting
    }

    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Fails with `QueueFull` when there is no room for one more of this payer.
    pub fn check_room(&self, payer: &str) -> Result<()> {
        if self.waiting >= self.most {
            let most = self.most;
            bail!(QueueFull, "{most} requests are waiting, which is the most; try again soon");
        }
        let of_payer = self.payers.get(payer).map_or(0, |p| p.waiting);
        if of_payer >= self.most_per_payer {
            bail!(
                QueueFull,
                "{of_payer} requests of this payer are waiting, which is the most; try again soon"
            );
        }
        Ok(())
    }

    fn payer(&mut self, name: &Arc<str>) -> &mut Payer<T> {
        let served_at = self.clock;
        self.payers.entry(name.clone()).or_insert_with(|| Payer {
            lines: VecDeque::new(),
            waiting: 0,
            running: 0,
            served_at,
        })
    }

    fn line(&mut self, entry: &T) -> &mut VecDeque<T> {
        self.waiting += 1;
        let adapter = entry.adapter().cloned();
        let payer = self.payer(entry.payer());
        payer.waiting += 1;
        let at = payer.lines.iter().position(|(a, _)| *a == adapter).unwrap_or_else(|| {
            payer.lines.push_back((adapter, VecDeque::new()));
            payer.lines.len() - 1
        });
        &mut payer.lines[at].1
    }

    /// The limits were checked by `check_room`.
    pub fn push(&mut self, entry: T) {
        self.line(&entry).push_back(entry);
    }

    /// Back to the front of its line: it ran before and made room.
    pub fn put_back(&mut self, entry: T) {
        self.line(&entry).push_front(entry);
    }

    /// The next entry that `ready` accepts. It counts as its payer's running one until `finished`.
    pub fn pop(&mut self, mut ready: impl FnMut(&T) -> bool) -> Option<T> {
        let mut order: Vec<(usize, u64, Arc<str>)> = self
            .payers
            .iter()
            .filter(|(_, p)| p.waiting > 0)
            .map(|(name, p)| (p.running, p.served_at, name.clone()))
            .collect();
        order.sort();
        for (_, _, name) in order {
            let Some(payer) = self.payers.get_mut(&name) else { continue };
            let found =
                payer.lines.iter().position(|(_, line)| line.front().is_some_and(&mut ready));
            let Some(at) = found else { continue };
            let Some((adapter, mut line)) = payer.lines.remove(at) else { continue };
            let entry = line.pop_front();
            if !line.is_empty() {
                payer.lines.push_back((adapter, line));
            }
            payer.waiting -= 1;
            payer.running += 1;
            self.waiting -= 1;
            self.clock += 1;
            payer.served_at = self.clock;
            return entry;
        }
        None
    }

    /// An entry of this payer runs no more.
    pub fn finished(&mut self, name: &Arc<str>) {
        if let Some(payer) = self.payers.get_mut(name) {
            payer.running -= 1;
            if payer.running == 0 && payer.waiting == 0 {
                self.payers.remove(name);
            }
        }
    }

    /// Takes out every waiting entry that `gone` accepts.
    pub fn remove(&mut self, gone: impl Fn(&T) -> bool) -> Vec<T> {
        let mut removed = vec![];
        for payer in self.payers.values_mut() {
            for (_, line) in &mut payer.lines {
                let (out, stay): (VecDeque<T>, VecDeque<T>) = line.drain(..).partition(&gone);
                payer.waiting -= out.len();
                removed.extend(out);
                *line = stay;
            }
            payer.lines.retain(|(_, line)| !line.is_empty());
        }
        self.payers.retain(|_, p| p.running > 0 || p.waiting > 0);
        self.waiting -= removed.len();
        removed
    }

    pub fn any(&self, test: impl Fn(&T) -> bool) -> bool {
        let mut lines = self.payers.values().flat_map(|p| &p.lines);
        lines.any(|(_, line)| line.iter().any(&test))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Entry(Arc<str>, Option<Arc<str>>, u32);

    impl Queued for Entry {
        fn payer(&self) -> &Arc<str> {
            &self.0
        }
        fn adapter(&self) -> Option<&Arc<str>> {
            self.1.as_ref()
        }
    }

    fn entry(payer: &str, adapter: &str, n: u32) -> Entry {
        Entry(payer.into(), Some(adapter.into()), n)
    }

    fn drain(queue: &mut FairQueue<Entry>) -> Vec<u32> {
        std::iter::from_fn(|| queue.pop(|_| true)).map(|e| e.2).collect()
    }

    #[test]
    fn payers_take_turns_and_so_do_the_adapters_of_one_payer() {
        let mut queue = FairQueue::new(100, 100);
        for n in 0..4 {
            queue.push(entry("many", "a", n));
        }
        queue.push(entry("many", "b", 10));
        queue.push(entry("few", "a", 20));
        // few has nothing running after many's first; many's adapter b comes before a's second.
        assert_eq!(drain(&mut queue), [20, 0, 10, 1, 2, 3]);
        assert!(queue.is_empty());
    }

    #[test]
    fn an_entry_that_is_not_ready_holds_up_only_its_own_line() {
        let mut queue = FairQueue::new(100, 100);
        queue.push(entry("p", "slow", 1));
        queue.push(entry("p", "fast", 2));
        let next = queue.pop(|e| e.1.as_deref() != Some("slow"));
        assert_eq!(next.map(|e| e.2), Some(2));
        assert!(queue.pop(|e| e.1.as_deref() != Some("slow")).is_none());
        assert_eq!(drain(&mut queue), [1]);
    }

    #[test]
    fn room_ends_for_all_and_for_one_payer_with_a_clear_error() {
        let mut queue = FairQueue::new(3, 2);
        queue.push(entry("p", "a", 1));
        queue.push(entry("p", "a", 2));
        let error = queue.check_room("p").expect_err("full for p");
        assert!(error.message.contains("2 requests of this payer"), "{error}");
        queue.check_room("q").expect("room for q");
        queue.push(entry("q", "a", 3));
        let error = queue.check_room("r").expect_err("full for all");
        assert!(error.message.contains("3 requests are waiting"), "{error}");
        assert_eq!(queue.remove(|e| e.2 == 2).len(), 1);
        queue.check_room("p").expect("room again");
        assert_eq!(queue.len(), 2);
    }
}
