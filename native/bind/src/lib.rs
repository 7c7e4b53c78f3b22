//! The napi skin: checks lengths and widths at the border, runs long work on threads of its own, turns
//! panics into JavaScript errors. No arithmetic here.

// The macros register exports outside of test builds only.
#![cfg_attr(test, allow(dead_code))]

mod attribution;
mod cast;
mod crypto;
mod job;
mod model;
mod opening;
mod run;
mod serve;
mod suffix;
mod train;

use napi_derive::napi;
use openledger_core::cuda::{DeviceError, Gpu};
use std::sync::Arc;

#[napi(object)]
pub struct Capabilities {
    pub kernel_set: u32,
    pub simd: String,
    pub threads: u32,
    pub cuda: bool,
    /// The card, or why there is none.
    pub cuda_reason: String,
}

/// What this build and machine can do.
#[napi]
pub fn capabilities() -> napi::Result<Capabilities> {
    cast::guard(|| {
        let card = card();
        Ok(Capabilities {
            kernel_set: openledger_core::KERNEL_SET,
            simd: openledger_core::math::simd::active().name().to_string(),
            threads: openledger_core::pool::threads() as u32,
            cuda: card.is_ok(),
            cuda_reason: card.map_or_else(|e| e.to_string(), |gpu| gpu.describe()),
        })
    })
}

/// The card that models are put on: the first CUDA card, unless OPENLEDGER_DEVICE is `cpu`.
fn card() -> Result<Arc<Gpu>, DeviceError> {
    if std::env::var("OPENLEDGER_DEVICE").is_ok_and(|device| device == "cpu") {
        return Err(DeviceError("OPENLEDGER_DEVICE is cpu".into()));
    }
    openledger_core::cuda::shared()
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
