//! The engine's own threads. They start with the IEEE default floating-point environment
//! (round to nearest, subnormals kept) whatever another native library in the process has set,
//! and every job runs on one.
//!
//! Loops inside a product go to the `team`, whose threads wait spinning, while one job has it; otherwise, and
//! where a loop over samples is parallel already, to rayon.

mod team;

use crate::{Result, bail};
use rayon::prelude::*;
use std::sync::OnceLock;
use team::Team;

/// Puts the calling thread's floating-point control word back to the IEEE default.
pub fn reset_float_environment() {
    #[cfg(target_arch = "x86_64")]
    {
        let control: u32 = 0x1f80;
        // SAFETY: loads a valid control word: all exceptions masked, nearest, FTZ and DAZ off.
        unsafe {
            std::arch::asm!("ldmxcsr [{0}]", in(reg) &control, options(nostack, readonly));
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        // SAFETY: zero is the architectural default of FPCR.
        unsafe { std::arch::asm!("msr fpcr, xzr", options(nomem, nostack)) };
    }
}

/// True when the calling thread rounds to nearest and keeps subnormals.
pub fn float_environment_is_default() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        let mut control: u32 = 0;
        // SAFETY: stores the control word into a local.
        unsafe { std::arch::asm!("stmxcsr [{0}]", in(reg) &mut control, options(nostack)) };
        // FTZ bit 15, rounding bits 13-14, DAZ bit 6
        control & 0xe040 == 0
    }
    #[cfg(target_arch = "aarch64")]
    {
        let control: u64;
        // SAFETY: reads a register.
        unsafe { std::arch::asm!("mrs {0}, fpcr", out(reg) control, options(nomem, nostack)) };
        control & 0x01c8_0000 == 0
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    {
        true
    }
}

/// A pool of `threads` (0: one per core).
pub fn build(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|i| format!("openledger-{i}"))
        .start_handler(|_| reset_float_environment())
        .build()
        .expect("the operating system starts threads")
}

/// Makes the engine's threads the ones every parallel loop uses; the first call decides.
fn start() {
    static STARTED: OnceLock<bool> = OnceLock::new();
    STARTED.get_or_init(|| {
        rayon::ThreadPoolBuilder::new()
            .thread_name(|i| format!("openledger-{i}"))
            .start_handler(|_| reset_float_environment())
            .build_global()
            .is_ok()
    });
}

/// Of a job's thread.
const STACK_BYTES: usize = 8 << 20;

/// Multiply-adds of f32 below which a product is not worth another thread.
pub const TASK_WORK: usize = 1 << 17;

/// Calls `task` for 0..count, in parallel where that pays. Nothing may depend on who runs what.
pub fn each(count: usize, task: &(dyn Fn(usize) + Sync)) {
    static TEAM: OnceLock<Team> = OnceLock::new();
    if count <= 1 || team::is_inside() || threads() == 1 {
        return (0..count).for_each(task);
    }
    if rayon::current_thread_index().is_none() {
        let team = TEAM.get_or_init(|| Team::start(threads() - 1, reset_float_environment));
        if team.run(count, task) {
            return;
        }
    }
    (0..count).into_par_iter().for_each(task);
}

/// Items a task of a loop over `items` should take when all cost `work` together and a task at least `least`;
/// a multiple of `group`.
pub fn chunk(items: usize, work: usize, least: usize, group: usize) -> usize {
    let tasks = (work / least).clamp(1, 4 * threads());
    items.div_ceil(tasks).next_multiple_of(group)
}

/// Number of threads computations may use.
pub fn threads() -> usize {
    start();
    rayon::current_num_threads()
}

/// Starts a thread of its own for one job, with the default float environment (which threads started
/// by the job inherit).
pub fn spawn(name: &str, job: impl FnOnce() + Send + 'static) -> Result<()> {
    start();
    let named = std::thread::Builder::new().name(name.to_string()).stack_size(STACK_BYTES);
    let started = named.spawn(|| {
        reset_float_environment();
        assert!(float_environment_is_default(), "the float environment cannot be set");
        job();
    });
    match started {
        Ok(_) => Ok(()),
        Err(e) => bail!(
            OutOfMemory,
            "out of memory or of threads: {name} with a stack of {STACK_BYTES} bytes cannot be started: {e}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn pool_threads_keep_subnormals_even_when_the_starter_flushes_them() {
        std::thread::spawn(|| {
            let control: u32 = 0x1f80 | 0x8040;
            // SAFETY: a valid control word, on a thread of this test's own.
            unsafe {
                std::arch::asm!("ldmxcsr [{0}]", in(reg) &control, options(nostack, readonly));
            }
            assert!(!float_environment_is_default());
            let pool = build(2);
            assert!(pool.install(float_environment_is_default));
        })
        .join()
        .expect("the test thread ends well");
    }
}
