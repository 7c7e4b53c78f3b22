//! The CUDA back end: the same bytes as the CPU, from kernels whose every sum runs in the CPU's order.
//!
//!   device (a door: memory, copies, launches) <- driver (CUDA) | the kernels on the CPU, in tests
//!   memory (buffers that come back) -> ops (a function a kernel) -> model, batch -> forward, backward
//!   -> session (generation), samples and train (gradients, fine-tuning), sketch (attribution)
//!
//! Whatever fails here (no card, no memory, a card that vanishes) is an error the callers in `generate`, `train` and
//! `gradients` answer by computing on the CPU: the result is the same, so nobody needs to know.

pub mod backward;
pub mod batch;
pub mod device;
pub mod driver;
pub mod forward;
pub mod memory;
pub mod model;
pub mod ops;
pub mod samples;
pub mod session;
pub mod train;

pub use device::{Device, DeviceError};
pub use memory::Gpu;
pub use model::{GpuAdapter, GpuModel};

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Part of a card's free memory that the engine may take.
const MEMORY_SHARE: f64 = 0.9;

/// The process's card, opened at the first call; the reason when there is none.
pub fn shared() -> Result<Arc<Gpu>, DeviceError> {
    static OPENED: OnceLock<Result<Arc<Gpu>, DeviceError>> = OnceLock::new();
    OPENED
        .get_or_init(|| {
            let driver = driver::Driver::open()?;
            let limit = (driver.free_bytes as f64 * MEMORY_SHARE) as usize;
            Ok(Gpu::new(Box::new(driver), limit))
        })
        .clone()
}

/// Something's copy on a device: made when it is first wanted, dropped when the device fails.
#[derive(Default)]
pub struct Resident<T>(Mutex<Option<Arc<T>>>);

impl<T> std::fmt::Debug for Resident<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.get().is_some() { "resident" } else { "not resident" })
    }
}

impl<T> Resident<T> {
    pub fn empty() -> Self {
        Self(Mutex::new(None))
    }

    pub fn get(&self) -> Option<Arc<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set(&self, value: Option<Arc<T>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }
}
