//! Launches recorded once and asked for at once, as often as wanted: what a step of decoding costs is then the work and
//! no longer the asking.
//!
//! While a thread records, its launches are written down instead of done, and its buffers come from memory that the graph
//! keeps, each handed out again as soon as it is dropped. Between two replays others may overwrite nothing of it.

use super::device::{Address, DeviceError, Launch, Result};
use super::memory::Gpu;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

thread_local! {
    static RECORDING: RefCell<Option<Recording>> = const { RefCell::new(None) };
}

/// What this thread has recorded so far.
#[derive(Default)]
pub(super) struct Recording {
    pub(super) launches: Vec<Launch>,
    free: BTreeMap<usize, Vec<Address>>,
    /// Class and address of all memory taken.
    taken: Vec<(usize, Address)>,
}

impl Recording {
    pub(super) fn take(&mut self, gpu: &Gpu, class: usize) -> Result<Address> {
        if let Some(at) = self.free.get_mut(&class).and_then(Vec::pop) {
            return Ok(at);
        }
        let at = gpu.take(class)?;
        self.taken.push((class, at));
        Ok(at)
    }

    pub(super) fn put(&mut self, class: usize, at: Address) {
        self.free.entry(class).or_default().push(at);
    }
}

/// Does something to this thread's recording, if there is one.
pub(super) fn recording<R>(work: impl FnOnce(&mut Recording) -> R) -> Option<R> {
    RECORDING.with_borrow_mut(|recording| recording.as_mut().map(work))
}

/// Copies between host and device are no part of a graph.
pub(super) fn not_recording(what: &str) -> Result<()> {
    match recording(|_| ()) {
        Some(()) => Err(DeviceError(format!("{what} cannot be recorded"))),
        None => Ok(()),
    }
}

/// Recorded launches, the memory they work in and the result they leave there.
pub struct Graph<T> {
    gpu: Arc<Gpu>,
    launches: Vec<Launch>,
    handle: u64,
    taken: Vec<(usize, Address)>,
    result: T,
}

impl<T> Graph<T> {
    /// Records what `work` launches on `gpu` alone, and does none of it.
    ///
    /// # Safety
    /// All memory that the launches name and that `work` did not make outlives the graph. Nothing that `work` made
    /// leaves it but as its result.
    pub unsafe fn record(gpu: &Arc<Gpu>, work: impl FnOnce() -> Result<T>) -> Result<Self> {
        /// Ends the recording also when `work` panics.
        struct End;
        impl Drop for End {
            fn drop(&mut self) {
                RECORDING.take();
            }
        }
        gpu.tickets()?;
        let before = RECORDING.replace(Some(Recording::default()));
        assert!(before.is_none(), "a recording inside a recording");
        let end = End;
        let result = work();
        let Recording { launches, taken, .. } = RECORDING.take().expect("begun above");
        drop(end);
        // SAFETY: the caller's promise; what `work` made is kept by the graph.
        let made =
            result.and_then(|result| Ok((unsafe { gpu.device.prepare(&launches)? }, result)));
        match made {
            Ok((handle, result)) => Ok(Self { gpu: gpu.clone(), launches, handle, taken, result }),
            Err(e) => {
                taken.into_iter().for_each(|(class, at)| gpu.put(class, at));
                Err(e)
            }
        }
    }

    /// Launches all of it; the result's values are those of the last replay.
    pub fn replay(&self) -> Result<&T> {
        // SAFETY: by the promise of `record`.
        unsafe { self.gpu.device.replay(self.handle, &self.launches)? };
        Ok(&self.result)
    }
}

impl<T> Drop for Graph<T> {
    fn drop(&mut self) {
        self.gpu.device.forget(self.handle);
        self.taken.drain(..).for_each(|(class, at)| self.gpu.put(class, at));
    }
}
