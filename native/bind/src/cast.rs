//! Border checks: JavaScript numbers into the types of the core, errors and panics into napi errors.
//! An error's text is `CODE: message`; index.ts takes it apart again.

use openledger_core::attribution::AttributionError;
use openledger_core::error::contain;
use openledger_core::{EngineError, ErrorCode, Result, bail};

pub fn to_napi(error: EngineError) -> napi::Error {
    napi::Error::from_reason(format!("{}: {}", error.code.as_str(), error.message))
}

pub fn from_attribution(error: AttributionError) -> EngineError {
    let code = match error {
        AttributionError::InvalidArgument(_) => ErrorCode::BadInput,
        AttributionError::InvalidArtefact(_) => ErrorCode::BadIndex,
        AttributionError::NotFinite(_) | AttributionError::NoConvergence { .. } => {
            ErrorCode::Diverged
        }
        AttributionError::Cancelled => ErrorCode::Cancelled,
    };
    EngineError::new(code, error.to_string())
}

/// `contain` for functions that answer at once.
pub fn guard<T>(job: impl FnOnce() -> Result<T>) -> napi::Result<T> {
    contain(job).map_err(to_napi)
}

/// A whole number from a JavaScript one.
pub fn whole(name: &str, value: f64, min: u64, max: u64) -> Result<u64> {
    if value.fract() != 0.0 || !(value >= min as f64 && value <= max as f64) {
        bail!(BadInput, "{name} is {value}, must be a whole number in {min}..={max}");
    }
    Ok(value as u64)
}

pub fn size(name: &str, value: f64, min: usize, max: usize) -> Result<usize> {
    whole(name, value, min as u64, max as u64).map(|n| n as usize)
}

/// Most tokens of one list: more than any model has positions.
pub const TOKENS_MAX: usize = 1 << 20;

/// A copy of JavaScript's tokens; a list over the limit is refused before it is copied.
pub fn tokens(name: &str, list: &[u32]) -> Result<Vec<u32>> {
    if list.len() > TOKENS_MAX {
        bail!(BadInput, "{name} has {} tokens, at most {TOKENS_MAX}", list.len());
    }
    Ok(list.to_vec())
}

/// A 64-bit seed from a BigInt.
pub fn seed(value: napi::bindgen_prelude::BigInt) -> Result<u64> {
    match value.get_u64() {
        (false, seed, true) => Ok(seed),
        _ => bail!(BadInput, "the seed must be in 0..2^64"),
    }
}
