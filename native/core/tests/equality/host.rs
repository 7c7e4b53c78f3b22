//! The kernels on the CPU behind the door of a GPU. Device memory is the process's own; fresh memory is NaN, so that
//! what a kernel reads must have been written.

use openledger_core::cuda::device::{Address, Device, DeviceError, Result};
use std::alloc::{Layout, alloc, dealloc};
use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::Mutex;

#[derive(Default)]
pub struct Host {
    sizes: Mutex<HashMap<Address, Layout>>,
    /// Lets the threads of a block go on in the opposite order.
    reversed: bool,
    /// Fails every launch after this many: a card that vanishes.
    launches_left: Option<Mutex<u64>>,
}

impl Host {
    pub fn new(reversed: bool) -> Self {
        Self { reversed, ..Self::default() }
    }

    pub fn vanishing(launches: u64) -> Self {
        Self { launches_left: Some(Mutex::new(launches)), ..Self::default() }
    }
}

impl Device for Host {
    fn describe(&self) -> String {
        "the kernels compiled for the CPU".into()
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        let layout = Layout::from_size_align(bytes, 256).map_err(|e| DeviceError(e.to_string()))?;
        // SAFETY: the size is not zero: classes start at 256 bytes.
        let at = unsafe { alloc(layout) };
        assert!(!at.is_null(), "{bytes} bytes of memory");
        // SAFETY: just allocated that long.
        unsafe { at.write_bytes(0xff, bytes) };
        self.sizes.lock().expect("no panic before").insert(at as u64, layout);
        Ok(at as u64)
    }

    fn release(&self, at: Address) {
        let layout =
            self.sizes.lock().expect("no panic before").remove(&at).expect("allocated here");
        // SAFETY: allocated with this layout, and no longer in the table.
        unsafe { dealloc(at as *mut u8, layout) };
    }

    unsafe fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) };
        Ok(())
    }

    unsafe fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe {
            std::ptr::copy_nonoverlapping(from as *const u8, bytes.as_mut_ptr(), bytes.len())
        };
        Ok(())
    }

    unsafe fn copy(&self, from: Address, to: Address, bytes: usize) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes) };
        Ok(())
    }

    unsafe fn zero(&self, at: Address, bytes: usize) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { (at as *mut u8).write_bytes(0, bytes) };
        Ok(())
    }

    unsafe fn launch(
        &self,
        kernel: &str,
        grid: [u32; 3],
        threads: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<()> {
        if let Some(left) = &self.launches_left {
            let mut left = left.lock().expect("no panic before");
            if *left == 0 {
                return Err(DeviceError("the card has vanished".into()));
            }
            *left -= 1;
        }
        // SAFETY: the caller's promise.
        unsafe { openledger_kernels_host::launch(kernel, grid, threads, arguments, self.reversed) }
            .map_err(DeviceError)
    }
}
