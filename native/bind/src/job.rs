//! Long work: one thread per job, a promise for its result, a handle to cancel it, events to a
//! JavaScript callback with back-pressure (the job waits when JavaScript lags behind).

use crate::cast::to_napi;
use napi::bindgen_prelude::{Object, ToNapiValue};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi::{Env, Status};
use napi_derive::napi;
use openledger_core::Result;
use openledger_core::error::contain;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Events waiting for JavaScript before a job pauses.
pub const EVENTS_MAX: usize = 256;

/// A JavaScript callback as a job calls it.
pub type Events<T> = ThreadsafeFunction<T, (), T, Status, false, false, EVENTS_MAX>;

/// Hands one event over; waits while the queue is full.
pub fn emit<T>(events: &Option<Events<T>>, event: T)
where
    T: 'static + napi::bindgen_prelude::JsValuesTupleIntoVec,
{
    if let Some(events) = events {
        events.call(event, ThreadsafeFunctionCallMode::Blocking);
    }
}

/// Stops a job at its next step.
#[napi]
#[derive(Clone, Default)]
pub struct CancelHandle {
    flag: Arc<AtomicBool>,
}

#[napi]
impl CancelHandle {
    #[napi(constructor)]
    pub fn new() -> Self {
        Self::default()
    }

    #[napi]
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    pub(crate) fn cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed)
    }
}

/// Runs `job` on its own thread; the promise resolves to `finish(result)`, made on the JavaScript thread.
pub fn start<'e, T, J, R, F>(env: &'e Env, job: J, finish: F) -> napi::Result<Object<'e>>
where
    T: Send + 'static,
    J: FnOnce() -> Result<T> + Send + 'static,
    R: ToNapiValue + 'static,
    F: FnOnce(T) -> napi::Result<R> + Send + 'static,
{
    let (deferred, promise) = env.create_deferred()?;
    let work = move || match contain(job) {
        Ok(result) => deferred.resolve(Box::new(move |_: Env| finish(result)) as Finish<R>),
        Err(error) => deferred.reject(to_napi(error)),
    };
    openledger_core::pool::spawn("openledger-job", work).map_err(to_napi)?;
    Ok(promise)
}

type Finish<R> = Box<dyn FnOnce(Env) -> napi::Result<R> + Send>;
