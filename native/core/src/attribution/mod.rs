//! Proof of Attribution: which training samples, and so whose, shaped an answer (DESIGN 7.1-7.3).
//!
//!   source ─► curvature ─► whiten ─► basis ─► index (sketches, contributor sums) ─► codec, merkle
//!   a query's gradient ─► whiten ─► sketch (int8) ─► score (integers) ─► weights of 2^32
//!
//! Everything up to the integers is arithmetic in one fixed order: any machine, any thread count, same
//! bytes. See README.md for the files and the measurements behind the storage widths.

pub mod basis;
pub mod codec;
pub mod curvature;
pub mod ensemble;
pub mod error;
pub mod gemm;
pub mod gram_schmidt;
pub mod index;
pub mod influence;
pub mod linalg;
pub mod merkle;
pub mod packed;
pub mod parallel;
pub mod scan;
pub mod score;
pub mod simd;
pub mod sketch;
pub mod source;
pub mod stack;
pub mod syrk;
pub mod tridiagonal;
pub mod whiten;

#[cfg(test)]
mod tests;

pub use ensemble::Ensemble;
pub use error::AttributionError;
pub use index::{AttributionIndex, BuiltIndex, IndexConfig, Phase, build_index};
pub use influence::{InfluenceConfig, influence};
pub use score::{Score, score};
pub use sketch::sketch_query;
pub use source::{FactorShape, GradientSink, GradientSource, Labels};
