//! OpenLedger's AI plane: Llama-architecture models, LoRA and data attribution, with one
//! arithmetic that gives the same bits on every machine. Knows nothing of chains or JavaScript.
//!
//! Reading order: `math` (exp, log, PRNG, SIMD dispatch) -> `gemm` -> `ops` -> `model` -> `lora` ->
//! `train` -> `generate` -> `attribution`.
//!
//! The canonical arithmetic, in short: every sum is a chain of fused multiply-adds in ascending
//! index order inside blocks of 256 (64 over attention keys), block sums added in ascending order;
//! vectors and threads run over outputs, never along a sum.

pub mod attribution;
pub mod cuda;
pub mod error;
pub mod gemm;
pub mod generate;
pub mod gradients;
pub mod hash;
pub mod lora;
pub mod math;
pub mod memory;
pub mod model;
pub mod ops;
pub mod pool;
pub mod serve;
pub mod suffix;
pub mod tensors;
pub mod train;

pub use error::{EngineError, ErrorCode, Result};

/// Version of the arithmetic. Any change that can move one output bit raises it.
pub const KERNEL_SET: u32 = 2;

/// Bytes that the tests' threads hold, to measure what things cost.
#[cfg(test)]
pub(crate) mod testing {
    use std::alloc::{GlobalAlloc, Layout, System};
    use std::cell::Cell;

    struct Counting;

    thread_local! {
        static HELD: Cell<usize> = const { Cell::new(0) };
    }

    /// Bytes allocated and not freed by the calling thread.
    pub fn allocated() -> usize {
        HELD.get()
    }

    // SAFETY: hands everything on to the system's allocator.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let _ = HELD.try_with(|held| held.set(held.get().wrapping_add(layout.size())));
            // SAFETY: the caller's promise.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
            let _ = HELD.try_with(|held| held.set(held.get().wrapping_sub(layout.size())));
            // SAFETY: the caller's promise.
            unsafe { System.dealloc(pointer, layout) }
        }
    }

    #[global_allocator]
    static COUNTING: Counting = Counting;
}
