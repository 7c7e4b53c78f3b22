//! The napi skin: checks lengths and widths at the border, runs long work on threads of its own, turns
//! panics into JavaScript errors. No arithmetic here.

// The macros register exports outside of test builds only.
#![cfg_attr(test, allow(dead_code))]

mod attribution;
mod cast;
mod crypto;
mod job;
mod model;
mod run;
mod train;

use napi_derive::napi;

#[napi(object)]
pub struct Capabilities {
    pub kernel_set: u32,
    pub simd: String,
    pub threads: u32,
    pub cuda: bool,
    pub cuda_reason: String,
}

/// What this build and machine can do.
#[napi]
pub fn capabilities() -> napi::Result<Capabilities> {
    cast::guard(|| {
        Ok(Capabilities {
            kernel_set: openledger_core::KERNEL_SET,
            simd: openledger_core::math::simd::active().name().to_string(),
            threads: openledger_core::pool::threads() as u32,
            cuda: false,
            cuda_reason: "this build has no CUDA kernels".to_string(),
        })
    })
}

/// Panics on purpose, so that a test can see the border hold. `late`: on a job's thread.
#[napi(ts_return_type = "Promise<void>")]
pub fn panic_for_test(
    env: &napi::Env,
    late: bool,
) -> napi::Result<napi::bindgen_prelude::Object<'_>> {
    if !late {
        cast::guard(|| -> openledger_core::Result<()> { panic!("asked to panic") })?;
    }
    job::start(env, || -> openledger_core::Result<()> { panic!("asked to panic") }, |()| Ok(()))
}
