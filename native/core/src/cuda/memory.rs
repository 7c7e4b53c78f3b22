//! Device memory with an owner: buffers return to a free list when dropped and are handed out again in
//! stream order, so that a step of decoding allocates nothing. What is held is bounded.

use super::device::{Address, Arguments, Device, DeviceError, Launch, Result};
use super::graph;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Sizes are rounded up to one of four steps per power of two, at least this.
const SMALLEST: usize = 256;
/// Counters that the blocks of one launch share.
pub(super) const TICKETS: usize = 16_384;

/// One device, its free memory and its limit.
pub struct Gpu {
    pub(super) device: Box<dyn Device>,
    free: Mutex<BTreeMap<usize, Vec<Address>>>,
    held: AtomicUsize,
    limit_bytes: usize,
    tickets: Mutex<Option<Address>>,
}

/// Types that may lie in device memory: plain bits.
pub trait Plain: Copy + Send + Sync + 'static {}
impl Plain for f32 {}
impl Plain for u32 {}
impl Plain for i32 {}
impl Plain for i64 {}
impl Plain for i16 {}
impl Plain for i8 {}
impl Plain for u64 {}

fn bytes_of<T: Plain>(values: &[T]) -> &[u8] {
    // SAFETY: plain bits, every byte initialised.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

/// `len` values of T on the device.
pub struct Buffer<T: Plain> {
    gpu: Arc<Gpu>,
    at: Address,
    class: usize,
    len: usize,
    /// Made while launches were recorded: the graph owns the memory.
    recorded: bool,
    kind: PhantomData<T>,
}

/// The size a request is served with.
fn class(bytes: usize) -> usize {
    let bytes = bytes.max(SMALLEST);
    let step = (bytes.next_power_of_two() / 8).max(SMALLEST);
    bytes.next_multiple_of(step)
}

impl Gpu {
    pub fn new(device: Box<dyn Device>, limit_bytes: usize) -> Arc<Self> {
        let (free, held) = (Mutex::new(BTreeMap::new()), AtomicUsize::new(0));
        Arc::new(Self { device, free, held, limit_bytes, tickets: Mutex::new(None) })
    }

    pub fn describe(&self) -> String {
        self.device.describe()
    }

    /// Bytes taken from the device, in use or waiting to be used again.
    pub fn held_bytes(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Vec<Address>>> {
        self.free.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// TICKETS counters at zero; every launch that counts leaves them so.
    pub(super) fn tickets(&self) -> Result<Address> {
        let mut tickets = self.tickets.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(at) = *tickets {
            return Ok(at);
        }
        let bytes = class(TICKETS * size_of::<u32>());
        let at = self.take(bytes)?;
        // SAFETY: just taken that long.
        unsafe { self.device.zero(at, bytes)? };
        *tickets = Some(at);
        Ok(at)
    }

    /// Gives all waiting memory back to the device.
    fn trim(&self) {
        for (class, list) in std::mem::take(&mut *self.lock()) {
            for at in list {
                self.device.release(at);
                self.held.fetch_sub(class, Ordering::Relaxed);
            }
        }
    }

    pub(super) fn take(&self, class: usize) -> Result<Address> {
        if let Some(at) = self.lock().get_mut(&class).and_then(Vec::pop) {
            return Ok(at);
        }
        if self.held_bytes() + class > self.limit_bytes {
            self.trim();
        }
        if self.held_bytes() + class > self.limit_bytes {
            return Err(DeviceError(format!(
                "{class} bytes more than the {} held would pass the limit of {} bytes",
                self.held_bytes(),
                self.limit_bytes
            )));
        }
        let at = self.device.allocate(class).or_else(|_| {
            self.trim();
            self.device.allocate(class)
        })?;
        self.held.fetch_add(class, Ordering::Relaxed);
        Ok(at)
    }

    /// Gives memory of `take` back, to be taken again.
    pub(super) fn put(&self, class: usize, at: Address) {
        self.lock().entry(class).or_default().push(at);
    }

    /// Uninitialised memory for `len` values.
    pub fn empty<T: Plain>(self: &Arc<Self>, len: usize) -> Result<Buffer<T>> {
        let class = class(len * size_of::<T>());
        let recorded = graph::recording(|recording| recording.take(self, class));
        let (recorded, at) = (recorded.is_some(), recorded.unwrap_or_else(|| self.take(class))?);
        Ok(Buffer { gpu: self.clone(), at, class, len, recorded, kind: PhantomData })
    }

    pub fn zeros<T: Plain>(self: &Arc<Self>, len: usize) -> Result<Buffer<T>> {
        graph::not_recording("zeros")?;
        let buffer = self.empty(len)?;
        // SAFETY: the buffer was made that long.
        unsafe { self.device.zero(buffer.at, len * size_of::<T>())? };
        Ok(buffer)
    }

    pub fn upload<T: Plain>(self: &Arc<Self>, values: &[T]) -> Result<Buffer<T>> {
        graph::not_recording("an upload")?;
        let buffer = self.empty(values.len())?;
        // SAFETY: the buffer was made that long.
        unsafe { self.device.upload(buffer.at, bytes_of(values))? };
        Ok(buffer)
    }

    /// Launches a kernel over `grid` blocks, or records that; an empty grid is no work.
    ///
    /// # Safety
    /// As `Device::launch`.
    pub unsafe fn launch(
        &self,
        kernel: &'static str,
        grid: [usize; 3],
        threads: u32,
        mut arguments: Arguments,
    ) -> Result<()> {
        if grid.contains(&0) {
            return Ok(());
        }
        if grid[0] > i32::MAX as usize || grid[1] > 65_535 || grid[2] > 65_535 {
            return Err(DeviceError(format!("{kernel}: a grid of {grid:?} blocks is too large")));
        }
        let grid = grid.map(|g| g as u32);
        let launch = Launch { kernel, grid, threads, arguments };
        if graph::recording(|recording| recording.launches.push(launch)).is_some() {
            return Ok(());
        }
        // SAFETY: the caller's promise.
        unsafe { self.device.launch(kernel, grid, threads, &mut arguments.pointers()) }
    }
}

impl<T: Plain> Buffer<T> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn gpu(&self) -> &Arc<Gpu> {
        &self.gpu
    }

    /// The address of value `index`.
    pub fn at(&self, index: usize) -> Address {
        assert!(index <= self.len, "value {index} of {}", self.len);
        self.at + (index * size_of::<T>()) as u64
    }

    pub fn to_vec(&self) -> Result<Vec<T>> {
        self.range(0, self.len)
    }

    /// Values `from .. from + len`, when all work before is done.
    pub fn range(&self, from: usize, len: usize) -> Result<Vec<T>> {
        graph::not_recording("a download")?;
        assert!(from + len <= self.len, "values {from}..{} of {}", from + len, self.len);
        let mut values: Vec<T> = Vec::with_capacity(len);
        // SAFETY: the vector has room for `len` plain values, all written before it gets its length.
        unsafe {
            let bytes = std::slice::from_raw_parts_mut(
                values.as_mut_ptr().cast::<u8>(),
                len * size_of::<T>(),
            );
            self.gpu.device.download(self.at(from), bytes)?;
            values.set_len(len);
        }
        Ok(values)
    }

    /// Overwrites the first values.
    pub fn write(&self, values: &[T]) -> Result<()> {
        graph::not_recording("an upload")?;
        assert!(values.len() <= self.len, "{} values into {}", values.len(), self.len);
        // SAFETY: checked.
        unsafe { self.gpu.device.upload(self.at, bytes_of(values)) }
    }

    pub fn duplicate(&self) -> Result<Self> {
        graph::not_recording("a copy")?;
        let buffer = self.gpu.empty(self.len)?;
        // SAFETY: both are that long, and different allocations.
        unsafe { self.gpu.device.copy(self.at, buffer.at, self.len * size_of::<T>())? };
        Ok(buffer)
    }
}

impl<T: Plain> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.recorded {
            // Without a recording, the graph gives it back with all of its memory.
            graph::recording(|recording| recording.put(self.class, self.at));
        } else {
            self.gpu.put(self.class, self.at);
        }
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        let tickets = self.tickets.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(at) = tickets.take() {
            self.device.release(at);
        }
        self.trim();
    }
}
