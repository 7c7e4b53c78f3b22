//! The narrow door to a machine that runs kernels: memory, copies, launches. Two things stand behind it: a GPU
//! through CUDA's driver (`driver.rs`), and, in tests, the same kernels compiled for the CPU.
//!
//! Work is done in the order it was asked for, on one stream; a download waits for all of it.

use std::ffi::c_void;
use std::fmt;

/// The device failed or is gone. What was being computed is computed again on the CPU, with the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceError(pub String);

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub type Result<T> = std::result::Result<T, DeviceError>;

/// An address in the device's memory.
pub type Address = u64;

pub trait Device: Send + Sync {
    /// Card, driver and the like, for people.
    fn describe(&self) -> String;

    /// Uninitialised memory, aligned to 256 bytes.
    fn allocate(&self, bytes: usize) -> Result<Address>;

    /// Gives memory of `allocate` back.
    fn release(&self, at: Address);

    /// # Safety
    /// `to` has room for the bytes.
    unsafe fn upload(&self, to: Address, bytes: &[u8]) -> Result<()>;

    /// # Safety
    /// `from` holds as many bytes.
    unsafe fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()>;

    /// # Safety
    /// Both hold `bytes` and do not overlap.
    unsafe fn copy(&self, from: Address, to: Address, bytes: usize) -> Result<()>;

    /// # Safety
    /// `at` holds `bytes`.
    unsafe fn zero(&self, at: Address, bytes: usize) -> Result<()>;

    /// # Safety
    /// `arguments` points to every parameter of the kernel, in order and of its type; the memory they name is
    /// as large as the kernel's header says.
    unsafe fn launch(
        &self,
        kernel: &str,
        grid: [u32; 3],
        threads: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<()>;

    /// Makes a list of launches ready to be asked for at once, again and again; returns what `replay` knows it by.
    /// A device without such graphs has nothing to do.
    ///
    /// # Safety
    /// As `launch`, for each of them at every replay.
    unsafe fn prepare(&self, _launches: &[Launch]) -> Result<u64> {
        Ok(0)
    }

    /// Runs the launches of a graph in their order.
    ///
    /// # Safety
    /// `graph` came from `prepare` with these launches and was not forgotten; as `launch`, for each.
    unsafe fn replay(&self, _graph: u64, launches: &[Launch]) -> Result<()> {
        for launch in launches {
            let mut arguments = launch.arguments;
            // SAFETY: the caller's promise.
            unsafe {
                self.launch(launch.kernel, launch.grid, launch.threads, &mut arguments.pointers())?
            };
        }
        Ok(())
    }

    /// Gives a graph of `prepare` back.
    fn forget(&self, _graph: u64) {}
}

/// Most parameters a kernel has.
const PARAMETERS_MAX: usize = 24;

/// A kernel and all that it is launched with.
pub struct Launch {
    pub kernel: &'static str,
    pub grid: [u32; 3],
    pub threads: u32,
    pub arguments: Arguments,
}

/// The parameters of one launch, in order.
#[derive(Clone, Copy, Default)]
pub struct Arguments {
    cells: [u64; PARAMETERS_MAX],
    count: usize,
}

impl Arguments {
    fn push(mut self, cell: u64) -> Self {
        self.cells[self.count] = cell;
        self.count += 1;
        self
    }

    pub fn at(self, address: Address) -> Self {
        self.push(address)
    }

    pub fn u32(self, value: usize) -> Self {
        self.push(u64::from(u32::try_from(value).expect("sizes of a launch fit 32 bits")))
    }

    pub fn u64(self, value: usize) -> Self {
        self.push(value as u64)
    }

    pub fn f32(self, value: f32) -> Self {
        self.push(u64::from(value.to_bits()))
    }

    /// Pointers to each: on little-endian machines a narrow value lies at the start of its cell.
    pub fn pointers(&mut self) -> [*mut c_void; PARAMETERS_MAX] {
        self.cells.each_mut().map(|cell| std::ptr::from_mut(cell).cast())
    }
}
