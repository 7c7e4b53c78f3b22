//! The CUDA back end: the same bytes as the CPU, from kernels whose every sum runs in the CPU's order.
//!
//!   device (a door: memory, copies, launches) <- driver (CUDA) | the kernels on the CPU, in tests
//!   memory (buffers that come back) -> ops (a function a kernel) -> model, batch -> forward, backward
//!   -> decode (a recorded step, by graph) -> session (generation), samples and train (gradients, fine-tuning), sketch (attribution)
//!
//! Whatever fails here (no card, no memory, a card that vanishes) is an error the callers in `generate`, `train` and
//! `gradients` answer by computing on the CPU: the result is the same, so nobody needs to know.

pub mod backward;
pub mod batch;
pub mod decode;
pub mod device;
pub mod driver;
pub mod forward;
pub mod graph;
pub mod memory;
pub mod model;
pub mod ops;
pub mod samples;
pub mod session;
pub mod sketch;
pub mod train;

pub use device::{Device, DeviceError};
pub use memory::Gpu;
pub use model::{GpuAdapter, GpuModel};

use crate::lora::Adapter;
use crate::model::weights::Weights;
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

/// Something's copy on a card, or nothing.
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

impl Weights {
    /// Puts a copy of the weights on the card; from then on passes run there.
    pub fn use_gpu(&self, gpu: &Arc<Gpu>) -> Result<(), DeviceError> {
        self.on_gpu.set(Some(Arc::new(GpuModel::upload(gpu, self)?)));
        Ok(())
    }

    /// Gives the card up after it failed: from here on the CPU computes. Answers nothing, so that a
    /// caller can write `result.map_err(|e| weights.leave_gpu(e)).ok()`.
    pub fn leave_gpu(&self, reason: DeviceError) {
        eprintln!("openledger: the card failed ({reason}); the CPU goes on with the same result");
        self.on_gpu.set(None);
    }
}

/// An adapter's copy beside its model, made when it is first wanted.
pub fn adapter_on(
    model: &GpuModel,
    adapter: Option<&Adapter>,
) -> Result<Option<Arc<GpuAdapter>>, DeviceError> {
    let Some(adapter) = adapter else { return Ok(None) };
    if let Some(copy) = adapter.on_gpu.get()
        && Arc::ptr_eq(copy.flat.gpu(), &model.gpu)
    {
        return Ok(Some(copy));
    }
    let copy = Arc::new(GpuAdapter::upload(&model.gpu, adapter)?);
    adapter.on_gpu.set(Some(copy.clone()));
    Ok(Some(copy))
}
