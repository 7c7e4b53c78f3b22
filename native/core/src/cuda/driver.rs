//! A GPU through CUDA's driver library, found at run time: the addon builds and starts without it.
//!
//! The kernels come as PTX made from native/kernels (native/kernels/openledger.ptx, committed); a driver too old for
//! it gets them compiled by NVRTC, where that library is installed. Either way `--fmad=false`, no fast-math.

use super::device::{Address, Device, DeviceError, Launch, Result};
use cudarc::driver::{result, sys};
use cudarc::nvrtc;
use std::cell::Cell;
use std::collections::HashMap;
use std::ffi::{CString, c_void};
use std::sync::Mutex;

/// Compute capability the PTX is written for.
const CAPABILITY_MIN: (i32, i32) = (8, 0);
const PTX: &str = include_str!("../../../kernels/openledger.ptx");
/// The kernels' source with its headers, in the order a compiler would read them.
const SOURCES: [&str; 28] = [
    include_str!("../../../kernels/common.cuh"),
    include_str!("../../../kernels/math.cuh"),
    include_str!("../../../kernels/gemm.cuh"),
    include_str!("../../../kernels/tensor.cuh"),
    include_str!("../../../kernels/chain.cuh"),
    include_str!("../../../kernels/quantise.cuh"),
    include_str!("../../../kernels/lora.cuh"),
    include_str!("../../../kernels/pages.cuh"),
    include_str!("../../../kernels/attention.cu"),
    include_str!("../../../kernels/attention_backward_keys.cu"),
    include_str!("../../../kernels/attention_backward_query.cu"),
    include_str!("../../../kernels/attention_backward_scores.cu"),
    include_str!("../../../kernels/cross_entropy.cu"),
    include_str!("../../../kernels/elementwise.cu"),
    include_str!("../../../kernels/gemm_f32.cu"),
    include_str!("../../../kernels/gemm_i8.cu"),
    include_str!("../../../kernels/gemm_rows_f32.cu"),
    include_str!("../../../kernels/gemm_samples_f32.cu"),
    include_str!("../../../kernels/kv_append.cu"),
    include_str!("../../../kernels/lora_expand.cu"),
    include_str!("../../../kernels/lora_shrink.cu"),
    include_str!("../../../kernels/optimizer.cu"),
    include_str!("../../../kernels/quantise_i8.cu"),
    include_str!("../../../kernels/rms_norm.cu"),
    include_str!("../../../kernels/rms_norm_backward.cu"),
    include_str!("../../../kernels/rope.cu"),
    include_str!("../../../kernels/score.cu"),
    include_str!("../../../kernels/swiglu.cu"),
];

impl From<result::DriverError> for DeviceError {
    fn from(error: result::DriverError) -> Self {
        DeviceError(format!("CUDA: {error:?}"))
    }
}

/// Card 0 with the kernels loaded.
pub struct Driver {
    context: sys::CUcontext,
    stream: sys::CUstream,
    functions: Mutex<HashMap<String, Function>>,
    module: sys::CUmodule,
    device: sys::CUdevice,
    description: String,
    /// Free bytes when it was opened.
    pub free_bytes: usize,
}

thread_local! {
    /// The context this thread has entered.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

#[derive(Clone, Copy)]
struct Function(sys::CUfunction);
// SAFETY: a handle; the driver may be called with it from any thread.
unsafe impl Send for Function {}
// SAFETY: the driver's functions are thread-safe; the handles stay valid until `drop`.
unsafe impl Send for Driver {}
// SAFETY: as above.
unsafe impl Sync for Driver {}

impl Driver {
    /// Opens the first card, or says why there is none to use.
    pub fn open() -> Result<Self> {
        // SAFETY: looks for a shared library.
        if !unsafe { sys::is_culib_present() } {
            return Err(DeviceError("no CUDA driver library on this machine".into()));
        }
        result::init()?;
        if result::device::get_count()? == 0 {
            return Err(DeviceError("the CUDA driver sees no card".into()));
        }
        let device = result::device::get(0)?;
        let name = result::device::get_name(device)?;
        use sys::CUdevice_attribute as Attribute;
        // SAFETY: `device` is a handle the driver gave.
        let (major, minor) = unsafe {
            (
                result::device::get_attribute(
                    device,
                    Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                )?,
                result::device::get_attribute(
                    device,
                    Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                )?,
            )
        };
        if (major, minor) < CAPABILITY_MIN {
            return Err(DeviceError(format!(
                "{name} has compute capability {major}.{minor}, the kernels need {}.{}",
                CAPABILITY_MIN.0, CAPABILITY_MIN.1
            )));
        }
        // SAFETY: as above; the context is made current before anything else is called.
        let context = unsafe { result::primary_ctx::retain(device)? };
        // SAFETY: the context was just retained.
        unsafe { result::ctx::set_current(context)? };
        let (module, origin) = load()?;
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking)?;
        let (free_bytes, _) = result::mem_get_info()?;
        let mut version = 0;
        // SAFETY: writes one integer.
        unsafe { sys::cuDriverGetVersion(&mut version).result()? };
        let description = format!(
            "{name}, compute capability {major}.{minor}, driver for CUDA {}.{}, kernels from {origin}",
            version / 1000,
            version % 1000 / 10
        );
        let functions = Mutex::new(HashMap::new());
        Ok(Self { context, stream, functions, module, device, description, free_bytes })
    }

    /// Makes the card's context this thread's own; nothing else in the process has another.
    fn enter(&self) -> Result<()> {
        if CURRENT.get() != self.context as usize {
            // SAFETY: the context lives until `drop`.
            unsafe { result::ctx::set_current(self.context)? };
            CURRENT.set(self.context as usize);
        }
        Ok(())
    }

    fn function(&self, name: &str) -> Result<sys::CUfunction> {
        let mut known = self.functions.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(Function(found)) = known.get(name) {
            return Ok(*found);
        }
        let name_c = CString::new(name).map_err(|e| DeviceError(e.to_string()))?;
        // SAFETY: the module lives until `drop`.
        let found = unsafe { result::module::get_function(self.module, name_c)? };
        known.insert(name.to_string(), Function(found));
        Ok(found)
    }

    /// Adds kernels to a graph, each after the one before.
    ///
    /// # Safety
    /// As `launch`, for each; `graph` is a graph of this driver.
    unsafe fn add_chain(&self, graph: sys::CUgraph, launches: &[Launch]) -> Result<()> {
        let mut before: Option<sys::CUgraphNode> = None;
        for launch in launches {
            let mut arguments = launch.arguments;
            let mut pointers = arguments.pointers();
            let [grid_x, grid_y, grid_z] = launch.grid;
            let node = sys::CUDA_KERNEL_NODE_PARAMS {
                func: self.function(launch.kernel)?,
                gridDimX: grid_x,
                gridDimY: grid_y,
                gridDimZ: grid_z,
                blockDimX: launch.threads,
                blockDimY: 1,
                blockDimZ: 1,
                kernelParams: pointers.as_mut_ptr(),
                // SAFETY: plain numbers and pointers, of which zero means none.
                ..unsafe { std::mem::zeroed() }
            };
            let mut added = std::ptr::null_mut();
            let (after, count) =
                before.as_ref().map_or((std::ptr::null(), 0), |b| (&raw const *b, 1));
            // SAFETY: the driver copies the parameters; the rest is the caller's promise.
            unsafe {
                sys::cuGraphAddKernelNode_v2(&mut added, graph, after, count, &node).result()?;
            }
            before = Some(added);
        }
        Ok(())
    }
}

fn load() -> Result<(sys::CUmodule, &'static str)> {
    let image = |text: String| CString::new(text).map_err(|e| DeviceError(e.to_string()));
    let ptx = image(PTX.to_string())?;
    // SAFETY: a NUL-terminated text; the driver copies what it needs.
    match unsafe { result::module::load_data(ptx.as_ptr().cast()) } {
        Ok(module) => Ok((module, "the built-in PTX")),
        Err(refused) => {
            let compiled = image(compile().map_err(|e| {
                DeviceError(format!(
                    "the driver refuses the built-in PTX ({refused:?}), and {}",
                    e.0
                ))
            })?)?;
            // SAFETY: as above.
            let module = unsafe { result::module::load_data(compiled.as_ptr().cast())? };
            Ok((module, "NVRTC"))
        }
    }
}

/// The kernels' source as one text without includes.
fn source() -> String {
    let lines = SOURCES.iter().flat_map(|text| text.lines());
    let kept =
        lines.filter(|line| !line.starts_with("#include") && !line.starts_with("#pragma once"));
    kept.flat_map(|line| [line, "\n"]).collect()
}

/// PTX made on this machine.
pub fn compile() -> Result<String> {
    // SAFETY: looks for a shared library.
    if !unsafe { nvrtc::sys::is_culib_present() } {
        return Err(DeviceError("NVRTC is not installed".into()));
    }
    let fail =
        |what: &str, e: nvrtc::result::NvrtcError| DeviceError(format!("NVRTC {what}: {e:?}"));
    let text = CString::new(source()).map_err(|e| DeviceError(e.to_string()))?;
    let program = nvrtc::result::create_program(&text, None).map_err(|e| fail("starts", e))?;
    let options = ["--fmad=false", "--std=c++17", "--gpu-architecture=compute_80"];
    // SAFETY: the program was made above and is used by this thread alone.
    unsafe {
        let done = nvrtc::result::compile_program(program, &options);
        let out = match done {
            Ok(()) => nvrtc::result::get_ptx(program).map_err(|e| fail("answers", e)),
            Err(e) => {
                let log = nvrtc::result::get_program_log(program).unwrap_or_default();
                let log: String = log.iter().map(|c| *c as u8 as char).collect();
                Err(DeviceError(format!("NVRTC compiles: {e:?}: {log}")))
            }
        };
        let _ = nvrtc::result::destroy_program(program);
        let ptx = out?;
        Ok(ptx.iter().map(|c| *c as u8 as char).take_while(|c| *c != '\0').collect())
    }
}

impl Device for Driver {
    fn describe(&self) -> String {
        self.description.clone()
    }

    fn allocate(&self, bytes: usize) -> Result<Address> {
        self.enter()?;
        // SAFETY: the context is current.
        Ok(unsafe { result::malloc_sync(bytes)? })
    }

    fn release(&self, at: Address) {
        if self.enter().is_ok() {
            // SAFETY: `at` came from `allocate`; freeing waits for work that uses it.
            let _ = unsafe { result::free_sync(at) };
        }
    }

    unsafe fn upload(&self, to: Address, bytes: &[u8]) -> Result<()> {
        self.enter()?;
        // SAFETY: the caller's promise. From pageable memory the driver has taken the bytes when it returns.
        unsafe { result::memcpy_htod_async(to, bytes, self.stream)? };
        Ok(())
    }

    unsafe fn download(&self, from: Address, bytes: &mut [u8]) -> Result<()> {
        self.enter()?;
        // SAFETY: the caller's promise; the stream is waited for before the bytes are used.
        unsafe {
            result::memcpy_dtoh_async(bytes, from, self.stream)?;
            result::stream::synchronize(self.stream)?;
        }
        Ok(())
    }

    unsafe fn copy(&self, from: Address, to: Address, bytes: usize) -> Result<()> {
        self.enter()?;
        // SAFETY: the caller's promise.
        unsafe { result::memcpy_dtod_async(to, from, bytes, self.stream)? };
        Ok(())
    }

    unsafe fn zero(&self, at: Address, bytes: usize) -> Result<()> {
        self.enter()?;
        // SAFETY: the caller's promise.
        unsafe { result::memset_d8_async(at, 0, bytes, self.stream)? };
        Ok(())
    }

    unsafe fn launch(
        &self,
        kernel: &str,
        grid: [u32; 3],
        threads: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<()> {
        self.enter()?;
        let function = self.function(kernel)?;
        let [x, y, z] = grid;
        // SAFETY: the caller's promise.
        unsafe {
            result::launch_kernel(function, (x, y, z), (threads, 1, 1), 0, self.stream, arguments)
        }
        .map_err(|e| DeviceError(format!("CUDA: {kernel}: {e:?}")))
    }

    unsafe fn prepare(&self, launches: &[Launch]) -> Result<u64> {
        self.enter()?;
        let mut graph = std::ptr::null_mut();
        // SAFETY: writes a handle.
        unsafe { sys::cuGraphCreate(&mut graph, 0).result()? };
        // SAFETY: the graph was just made, and is not needed once instantiated.
        let made = unsafe {
            let added = self.add_chain(graph, launches);
            let made = added.and_then(|()| {
                Ok(result::graph::instantiate(graph, sys::CUgraphInstantiate_flags(0))?)
            });
            let _ = result::graph::destroy(graph);
            made?
        };
        Ok(made as u64)
    }

    unsafe fn replay(&self, graph: u64, _launches: &[Launch]) -> Result<()> {
        self.enter()?;
        // SAFETY: the caller's promise.
        unsafe { result::graph::launch(graph as sys::CUgraphExec, self.stream)? };
        Ok(())
    }

    fn forget(&self, graph: u64) {
        if self.enter().is_ok() {
            // SAFETY: `graph` came from `prepare`; nothing runs it any more.
            unsafe {
                let _ = result::stream::synchronize(self.stream);
                let _ = result::graph::exec_destroy(graph as sys::CUgraphExec);
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.enter().is_ok() {
            // SAFETY: nothing uses the handles any more. The card may be gone: errors have no one to tell.
            unsafe {
                let _ = result::stream::synchronize(self.stream);
                let _ = result::module::unload(self.module);
                let _ = result::stream::destroy(self.stream);
                let _ = result::primary_ctx::release(self.device);
            }
        }
    }
}
