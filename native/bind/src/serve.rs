//! Serving: one engine a base, events in batches to one callback. Callbacks are weak: an idle engine does not keep the
//! process alive (`engine.ts` does so while requests are out).

use crate::cast::{guard, size, to_napi, whole};
use crate::model::NativeModel;
use crate::run::{AnswerOutput, RequestInput, TokenEvent};
use napi::Status;
use napi::bindgen_prelude::JsValuesTupleIntoVec;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;
use openledger_core::serve::{Engine, Event, Host, Job, Load, Options, Source};
use openledger_core::{EngineError, ErrorCode};
use std::path::PathBuf;

/// What waits for JavaScript is bounded by the requests that run, so the queue itself is not.
type Weak<T> = ThreadsafeFunction<T, (), T, Status, false, true, 0>;

/// What is left out has the default of `openledger_core::serve::Options`.
#[napi(object)]
pub struct EngineOptions {
    pub running_max: Option<f64>,
    pub step_rows_max: Option<f64>,
    pub waiting_max: Option<f64>,
    pub waiting_per_payer_max: Option<f64>,
    pub kv_bytes_max: Option<f64>,
    pub registered_max: Option<f64>,
    pub resident_max: Option<f64>,
    pub resident_bytes_max: Option<f64>,
}

impl EngineOptions {
    fn cast(&self) -> openledger_core::Result<Options> {
        let mut options = Options::default();
        let Options {
            running_max,
            step_rows_max,
            waiting_max,
            waiting_per_payer_max,
            kv_bytes_max,
            registered_max,
            resident_max,
            resident_bytes_max,
        } = &mut options;
        for (name, given, limit) in [
            ("runningMax", self.running_max, running_max),
            ("stepRowsMax", self.step_rows_max, step_rows_max),
            ("waitingMax", self.waiting_max, waiting_max),
            ("waitingPerPayerMax", self.waiting_per_payer_max, waiting_per_payer_max),
            ("kvBytesMax", self.kv_bytes_max, kv_bytes_max),
            ("registeredMax", self.registered_max, registered_max),
            ("residentMax", self.resident_max, resident_max),
            ("residentBytesMax", self.resident_bytes_max, resident_bytes_max),
        ] {
            if let Some(given) = given {
                *limit = size(name, given, 0, 1 << 46)?;
            }
        }
        Ok(options)
    }
}

/// A token of one request.
#[napi(object)]
pub struct StreamedToken {
    pub ticket: f64,
    pub event: TokenEvent,
}

/// One request's end: an answer, or `CODE: message`.
#[napi(object)]
pub struct Ended {
    pub ticket: f64,
    pub answer: Option<AnswerOutput>,
    pub error: Option<String>,
}

/// What happened in a step. A request's tokens come before its end.
#[napi(object)]
pub struct StepEvents {
    pub tokens: Vec<StreamedToken>,
    pub ended: Vec<Ended>,
}

#[napi(object)]
pub struct FetchEvent {
    pub name: String,
    pub number: f64,
}

#[napi(object)]
pub struct JobInput {
    pub request: RequestInput,
    pub adapter: Option<String>,
    pub scale: f64,
    pub payer: String,
    pub trace: bool,
}

/// Since the start, and now.
#[napi(object)]
pub struct EngineStats {
    pub running: f64,
    pub waiting: f64,
    pub pages: f64,
    pub pages_used: f64,
    pub pages_kept: f64,
    pub kv_bytes: f64,
    pub registered: f64,
    pub resident: f64,
    pub resident_bytes: f64,
    pub pinned: f64,
    pub loads: f64,
    pub evictions: f64,
    pub steps: f64,
    pub rows: f64,
    pub tokens_out: f64,
    pub tokens_reused: f64,
    pub answers: f64,
    pub put_back: f64,
}

struct JavaScript {
    events: Weak<StepEvents>,
    fetch: Weak<FetchEvent>,
}

fn send<T: 'static + JsValuesTupleIntoVec>(to: &Weak<T>, value: T) {
    // Fails only when JavaScript is gone, and then nobody listens.
    to.call(value, ThreadsafeFunctionCallMode::NonBlocking);
}

impl Host for JavaScript {
    fn events(&self, events: Vec<Event>) {
        let mut all = StepEvents { tokens: vec![], ended: vec![] };
        for event in events {
            match event {
                Event::Token { ticket, token, index } => all.tokens.push(StreamedToken {
                    ticket: ticket as f64,
                    event: TokenEvent { token, index: index as u32 },
                }),
                Event::Done { ticket, result } => {
                    let (answer, error) = match result {
                        Ok(answer) => (Some(AnswerOutput::new(answer, 0)), None),
                        Err(error) => (None, Some(to_napi(error).reason.to_string())),
                    };
                    all.ended.push(Ended { ticket: ticket as f64, answer, error });
                }
            }
        }
        send(&self.events, all);
    }

    fn fetch(&self, load: Load) {
        let event = FetchEvent { name: load.name.to_string(), number: load.number as f64 };
        send(&self.fetch, event);
    }
}

#[napi]
pub struct NativeEngine {
    inner: Engine,
}

#[napi]
impl NativeEngine {
    #[napi(constructor)]
    pub fn new(
        model: &NativeModel,
        options: EngineOptions,
        events: Weak<StepEvents>,
        fetch: Weak<FetchEvent>,
    ) -> napi::Result<Self> {
        guard(|| {
            let host = Box::new(JavaScript { events, fetch });
            let inner = Engine::start(model.inner.clone(), options.cast()?, host)?;
            Ok(Self { inner })
        })
    }

    /// A PEFT directory under a name; without one, the fetcher finds it when it is first needed.
    #[napi]
    pub fn register(&self, name: String, directory: Option<String>) -> napi::Result<()> {
        let source = directory.map_or(Source::Fetched, Source::directory);
        guard(|| self.inner.register(&name, source))
    }

    #[napi]
    pub fn unregister(&self, name: String) -> napi::Result<()> {
        guard(|| self.inner.unregister(&name))
    }

    #[napi]
    pub fn pin(&self, name: String, pinned: bool) -> napi::Result<()> {
        guard(|| self.inner.pin(&name, pinned))
    }

    /// The fetcher's answer: a directory, or why there is none.
    #[napi]
    pub fn fetched(
        &self,
        name: String,
        number: f64,
        directory: Option<String>,
        reason: String,
    ) -> napi::Result<()> {
        guard(|| {
            let number = whole("the number of the load", number, 0, 1 << 53)?;
            let load = Load { name: name.into(), number, source: Source::Fetched };
            let found = directory.map(|d| PathBuf::from(d).into_boxed_path());
            self.inner.fetched(load, found.ok_or(EngineError::new(ErrorCode::Io, reason)));
            Ok(())
        })
    }

    /// The ticket that the request's events carry.
    #[napi]
    pub fn submit(&self, job: JobInput) -> napi::Result<f64> {
        guard(|| {
            let job = Job {
                request: job.request.cast()?,
                adapter: job.adapter.map(Into::into),
                scale: job.scale as f32,
                payer: job.payer.into(),
                trace: job.trace,
            };
            self.inner.submit(job).map(|ticket| ticket as f64)
        })
    }

    #[napi]
    pub fn cancel(&self, ticket: f64) -> napi::Result<()> {
        guard(|| {
            self.inner.cancel(whole("the ticket", ticket, 0, 1 << 53)?);
            Ok(())
        })
    }

    #[napi]
    pub fn close(&self, finish: bool) {
        self.inner.close(finish);
    }

    #[napi]
    pub fn stats(&self) -> EngineStats {
        let s = self.inner.stats();
        EngineStats {
            running: s.running as f64,
            waiting: s.waiting as f64,
            pages: s.pages as f64,
            pages_used: s.pages_used as f64,
            pages_kept: s.pages_kept as f64,
            kv_bytes: self.inner.kv_bytes() as f64,
            registered: s.adapters.registered as f64,
            resident: s.adapters.resident as f64,
            resident_bytes: s.adapters.resident_bytes as f64,
            pinned: s.adapters.pinned as f64,
            loads: s.adapters.loads as f64,
            evictions: s.adapters.evictions as f64,
            steps: s.steps as f64,
            rows: s.rows as f64,
            tokens_out: s.tokens_out as f64,
            tokens_reused: s.tokens_reused as f64,
            answers: s.answers as f64,
            put_back: s.put_back as f64,
        }
    }
}
