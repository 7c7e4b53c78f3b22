//! A card that fails in mid-run, provoked on a real one: its context dies, or its memory is full. Either way the CPU must
//! go on to the same bytes.

use crate::equality::golden::{Vectors, of_model};
use openledger_core::cuda::Gpu;
use openledger_core::cuda::device::{Address, Arguments, Device, Launch, Result};
use openledger_core::cuda::driver::Driver;
use openledger_core::cuda::memory::Buffer;
use openledger_core::model::Model;
use openledger_core::model::testing::in_int8;
use openledger_core::model::weights::Weights;
use std::ffi::c_void;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// A card for `left` launches more. Then a kernel writes where no memory is, which ends the context: from there on the
/// driver answers every call with an error, as for a card that is gone.
struct Failing {
    driver: Driver,
    left: AtomicI64,
}

impl Failing {
    fn count(&self, launches: usize) -> Result<()> {
        let left = self.left.fetch_sub(launches as i64, Ordering::Relaxed);
        if left <= 0 || left > launches as i64 {
            return Ok(());
        }
        println!("  the card fails now");
        let nowhere = Arguments::default().at(256).at(256).u64(1);
        // SAFETY: the kernel is made to fault; the card's memory protection stops it.
        unsafe { self.driver.launch("add_into", [1; 3], 256, &mut { nowhere }.pointers()) }
    }
}

impl Device for Failing {
    fn describe(&self) -> String {
        self.driver.describe()
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        self.driver.allocate(bytes)
    }

    fn release(&self, at: Address) {
        self.driver.release(at);
    }

    unsafe fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        // SAFETY: the caller's promise, here and below.
        unsafe { self.driver.upload(to, bytes) }
    }

    unsafe fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        unsafe { self.driver.download(from, bytes) }
    }

    unsafe fn copy(&self, from: Address, to: Address, bytes: usize) -> Result<()> {
        unsafe { self.driver.copy(from, to, bytes) }
    }

    unsafe fn zero(&self, at: Address, bytes: usize) -> Result<()> {
        unsafe { self.driver.zero(at, bytes) }
    }

    unsafe fn launch(
        &self,
        kernel: &str,
        grid: [u32; 3],
        threads: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<()> {
        self.count(1)?;
        unsafe { self.driver.launch(kernel, grid, threads, arguments) }
    }

    unsafe fn prepare(&self, launches: &[Launch]) -> Result<u64> {
        unsafe { self.driver.prepare(launches) }
    }

    unsafe fn replay(&self, graph: u64, launches: &[Launch]) -> Result<()> {
        self.count(launches.len())?;
        unsafe { self.driver.replay(graph, launches) }
    }

    fn forget(&self, graph: u64) {
        self.driver.forget(graph);
    }
}

/// The embedded base with what the CPU makes of it, in int8 for odd `variant`.
fn wanted(base: &str, variant: i64) -> (Weights, Vectors) {
    let weights = Model::load(Path::new(base)).expect("the embedded base").weights;
    let weights = if variant % 2 == 1 { in_int8(&weights) } else { weights };
    let want = of_model("base", &weights, 1);
    (weights, want)
}

/// Compares, and ends the process with 1 when the card was not given up or a byte differs.
fn compare(what: &str, weights: &Weights, want: &Vectors) {
    let got = of_model("base", weights, 1);
    let equal = got.iter().zip(want).filter(|(got, want)| got == want).count();
    let given_up = weights.on_gpu.get().is_none();
    println!("{what}: {equal} of {} results equal, card given up: {given_up}", want.len());
    std::process::exit(i32::from(equal < want.len() || !given_up));
}

/// Answers, losses, training, index and sketches while the card's context dies after as many launches.
pub fn vanishing(base: &str, launches: Option<&String>) {
    let left: i64 = launches.and_then(|n| n.parse().ok()).expect("a number of launches");
    let (weights, want) = wanted(base, left);
    let driver = Driver::open().expect("a card");
    let limit = driver.free_bytes / 2;
    let gpu = Gpu::new(Box::new(Failing { driver, left: AtomicI64::new(left) }), limit);
    weights.use_gpu(&gpu).expect("there is room");
    compare(&format!("a context that dies after {left} launches"), &weights, &want);
}

/// The same on a card whose memory is full but for the weights.
pub fn crowded(base: &str) {
    const SMALLEST: usize = 1 << 20;
    let (weights, want) = wanted(base, 0);
    let driver = Driver::open().expect("a card");
    let gpu: Arc<Gpu> = Gpu::new(Box::new(driver), usize::MAX);
    let mut taken: Vec<Buffer<i8>> = vec![];
    let mut size = 16 << 30;
    while size >= SMALLEST {
        match gpu.empty(size) {
            Ok(buffer) => taken.push(buffer),
            Err(_) => size /= 2,
        }
    }
    println!("  {} bytes of the card are taken", gpu.held_bytes());
    while let Err(e) = weights.use_gpu(&gpu) {
        println!("  no room for the weights: {e}");
        drop(taken.pop().expect("the weights alone find room"));
    }
    compare("a card without room", &weights, &want);
}
