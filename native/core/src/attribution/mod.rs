//! Proof of Attribution: which training samples, and so whose, shaped an answer (DESIGN 7.1-7.3).

pub mod source;

pub use source::{FactorShape, GradientSource, Labels};
