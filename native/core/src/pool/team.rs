//! Threads that wait spinning for the next loop: a token of a small model is a few hundred loops of some
//! microseconds, each shorter than the time a sleeping thread takes to wake.
//!
//!   leader:  idle --publish--> open --own share--> close, wait until nobody is inside --> idle
//!   helper:  spin (then sleep) --sees open--> inside --no task left--> spin
//!
//! Tasks are taken by a counter, so a helper that the system has put aside delays nobody: a loop closed before
//! it came in is no longer its business. A helper counts itself in before it looks again whether the loop
//! is still open, the leader closes before it looks who is inside; both orders are sequentially consistent.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Looks at the door before a helper goes to sleep: about 100 microseconds.
const SPINS: u32 = 1 << 12;

type Panic = Box<dyn Any + Send>;
type Task<'a> = dyn Fn(usize) + Sync + 'a;

struct Shared {
    /// Odd while a loop is open.
    epoch: AtomicU64,
    /// What the open loop does: valid while the epoch is odd or somebody is inside.
    task: UnsafeCell<Option<&'static Task<'static>>>,
    count: AtomicUsize,
    next: AtomicUsize,
    inside: AtomicUsize,
    /// What the first task of the open loop that panicked on a helper said.
    panicked: Mutex<Option<Panic>>,
    asleep: Mutex<()>,
    wake: Condvar,
    sleepers: AtomicUsize,
}

// SAFETY: `task` is written by the leader alone, while no loop is open and nobody inside.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

thread_local! {
    /// This thread is running a task of a team: loops inside it run on it alone.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is at work for a team.
pub fn is_inside() -> bool {
    INSIDE.get()
}

/// A leader (whoever calls `run`) and its helpers.
pub struct Team {
    shared: Arc<Shared>,
    leader: Mutex<()>,
}

impl Team {
    /// Starts `helpers` threads; `begin` runs first on each.
    pub fn start(helpers: usize, begin: fn()) -> Self {
        let shared = Arc::new(Shared {
            epoch: AtomicU64::new(0),
            task: UnsafeCell::new(None),
            count: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            panicked: Mutex::new(None),
            asleep: Mutex::new(()),
            wake: Condvar::new(),
            sleepers: AtomicUsize::new(0),
        });
        for i in 0..helpers {
            let shared = shared.clone();
            std::thread::Builder::new()
                .name(format!("openledger-team-{i}"))
                .spawn(move || {
                    begin();
                    INSIDE.set(true);
                    help(&shared);
                })
                .expect("the operating system starts threads");
        }
        Self { shared, leader: Mutex::new(()) }
    }

    /// Calls `task` for 0..count, each once, on the caller and the helpers. False, with nothing done, when another
    /// loop is under way.
    pub fn run(&self, count: usize, task: &Task) -> bool {
        let lead = match self.leader.try_lock() {
            Ok(lead) => lead,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return false,
        };
        let shared = &*self.shared;
        // SAFETY: no loop is open and nobody inside: this thread leads. The reference is used until this function
        // has seen everybody out.
        unsafe {
            *shared.task.get() =
                Some(std::mem::transmute::<&Task<'_>, &'static Task<'static>>(task));
        }
        shared.count.store(count, Relaxed);
        shared.next.store(0, Relaxed);
        shared.epoch.fetch_add(1, SeqCst);
        if shared.sleepers.load(SeqCst) > 0 {
            drop(shared.asleep.lock().unwrap_or_else(PoisonError::into_inner));
            shared.wake.notify_all();
        }
        INSIDE.set(true);
        let own = catch_unwind(AssertUnwindSafe(|| shared.work(task)));
        INSIDE.set(false);
        shared.next.store(count, Relaxed);
        shared.epoch.fetch_add(1, SeqCst);
        let mut spins = 0u32;
        while shared.inside.load(SeqCst) > 0 {
            spins += 1;
            if spins.is_multiple_of(SPINS) {
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
        let helpers = shared.panicked.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(lead);
        match own.err().or(helpers) {
            Some(panic) => resume_unwind(panic),
            None => true,
        }
    }
}

impl Shared {
    /// Takes tasks until there are none.
    fn work(&self, task: &Task) {
        let count = self.count.load(Relaxed);
        loop {
            let i = self.next.fetch_add(1, Relaxed);
            if i >= count {
                return;
            }
            task(i);
        }
    }

    /// Waits until the epoch is odd and another than `seen`.
    fn await_open(&self, seen: u64) -> u64 {
        let is_new = |epoch: u64| epoch % 2 == 1 && epoch != seen;
        for _ in 0..SPINS {
            let epoch = self.epoch.load(SeqCst);
            if is_new(epoch) {
                return epoch;
            }
            std::hint::spin_loop();
        }
        let mut asleep = self.asleep.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.fetch_add(1, SeqCst);
        loop {
            let epoch = self.epoch.load(SeqCst);
            if is_new(epoch) {
                self.sleepers.fetch_sub(1, SeqCst);
                return epoch;
            }
            asleep = self.wake.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn help(shared: &Shared) {
    let mut seen = 0;
    loop {
        seen = shared.await_open(seen);
        shared.inside.fetch_add(1, SeqCst);
        if shared.epoch.load(SeqCst) == seen {
            // SAFETY: the loop was open after this thread had counted itself in: the leader waits for it.
            let task = unsafe { *shared.task.get() };
            let done = catch_unwind(AssertUnwindSafe(|| task.map(|task| shared.work(task))));
            if let Err(panic) = done {
                let mut first = shared.panicked.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(panic);
            }
        }
        shared.inside.fetch_sub(1, SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn team(helpers: usize) -> Team {
        Team::start(helpers, || {})
    }

    #[test]
    fn every_task_of_many_loops_runs_once() {
        let team = team(3);
        for count in (0..200).chain([1000, 5000]) {
            let counts: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            assert!(team.run(count, &|i| {
                counts[i].fetch_add(1, Relaxed);
            }));
            assert!(counts.iter().all(|n| n.load(Relaxed) == 1), "{count} tasks");
        }
    }

    #[test]
    fn helpers_that_went_to_sleep_are_no_obstacle() {
        let team = team(2);
        for _ in 0..20 {
            while team.shared.sleepers.load(SeqCst) < 2 {
                std::thread::yield_now();
            }
            let sum = AtomicUsize::new(0);
            assert!(team.run(100, &|i| {
                sum.fetch_add(i, Relaxed);
            }));
            assert_eq!(sum.load(Relaxed), 4950);
        }
    }

    #[test]
    fn a_second_leader_is_sent_away_and_a_loop_inside_a_task_too() {
        let team = team(1);
        let refused = AtomicUsize::new(0);
        let run = team.run(4, &|_| {
            refused.fetch_add(usize::from(is_inside() && !team.run(2, &|_| {})), Relaxed);
        });
        assert!(run);
        assert_eq!(refused.load(Relaxed), 4);
    }

    #[test]
    fn a_panic_reaches_the_leader_and_the_team_lives_on() {
        let team = team(2);
        for _ in 0..10 {
            let run = catch_unwind(AssertUnwindSafe(|| {
                team.run(64, &|i| assert!(i != 17, "task {i} fails on purpose"));
            }));
            let said = run.expect_err("task 17").downcast::<String>().expect("a text");
            assert_eq!(*said, "task 17 fails on purpose");
            assert!(team.run(8, &|_| {}));
        }
    }
}
