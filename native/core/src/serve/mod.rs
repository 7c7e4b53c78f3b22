//! Serving: many requests at once over one base, each with its own adapter or none.
//!
//!   engine (threads, lock) -> scheduler (who runs next; pure) -> queue, registry, pages (bookkeeping)
//!          \-> forward (the batch's arithmetic) -> kv, attention (pages in memory)
//!
//! A request's bytes never depend on its neighbours, on how its prompt was cut, on pages it took over or on threads.

pub mod attention;
pub mod engine;
pub mod forward;
pub mod kv;
pub mod options;
pub mod pages;
pub mod queue;
pub mod registry;
pub mod scheduler;
pub mod sequence;

pub use engine::{Engine, Host};
pub use options::Options;
pub use registry::{Load, Source};
pub use scheduler::{Event, Stats};
pub use sequence::Job;

#[doc(hidden)]
pub mod testing;
#[cfg(test)]
mod tests;
