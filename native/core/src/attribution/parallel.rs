//! Threads over independent outputs, never inside a sum: a worker owns a slice no other worker sees,
//! so the number of threads cannot change a bit of any result. The workers are the engine's pool (rayon):
//! a source's own parallel loops then run on the same threads instead of waiting for others.

use std::sync::Mutex;

/// Upper limit of worker threads, whatever the machine offers.
pub const THREADS_MAX: usize = 64;

/// One worker per thread of the pool, at most `THREADS_MAX`.
pub fn default_threads() -> usize {
    rayon::current_num_threads().min(THREADS_MAX)
}

/// Calls `work(index, item)` once for every item, on up to `threads` threads, in no promised order.
pub fn for_each<T, I>(threads: usize, items: I, work: impl Fn(usize, T) + Sync)
where
    T: Send,
    I: ExactSizeIterator<Item = T> + Send,
{
    let workers = threads.clamp(1, THREADS_MAX).min(items.len());
    if workers <= 1 {
        items.enumerate().for_each(|(index, item)| work(index, item));
        return;
    }
    let queue = Mutex::new(items.enumerate());
    let run = || {
        loop {
            // The lock is released before the work; a poisoned lock means a worker panicked, and
            // the scope below passes that panic on.
            let next = match queue.lock() {
                Ok(mut queue) => queue.next(),
                Err(_) => None,
            };
            let Some((index, item)) = next else { break };
            work(index, item);
        }
    };
    rayon::scope(|scope| {
        for _ in 1..workers {
            scope.spawn(|_| run());
        }
        run();
    });
}

/// `for_each` over `chunk_len`-long pieces of one buffer.
pub fn for_each_chunk<T: Send>(
    threads: usize,
    data: &mut [T],
    chunk_len: usize,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    if !data.is_empty() {
        for_each(threads, data.chunks_mut(chunk_len.max(1)), work);
    }
}

/// `for_each` for work that can fail: everything is tried, the error of the lowest index is returned,
/// so that the outcome does not depend on which worker was first.
pub fn try_for_each<T, I, E>(
    threads: usize,
    items: I,
    work: impl Fn(usize, T) -> Result<(), E> + Sync,
) -> Result<(), E>
where
    T: Send,
    I: ExactSizeIterator<Item = T> + Send,
    E: Send,
{
    let first: Mutex<Option<(usize, E)>> = Mutex::new(None);
    for_each(threads, items, |index, item| {
        if let Err(error) = work(index, item)
            && let Ok(mut first) = first.lock()
            && first.as_ref().is_none_or(|(lowest, _)| index < *lowest)
        {
            *first = Some((index, error));
        }
    });
    match first.into_inner() {
        Ok(Some((_, error))) => Err(error),
        _ => Ok(()),
    }
}
