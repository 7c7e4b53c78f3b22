//! What can go wrong while an index is built, read or asked. Every message names the value and the
//! limit it broke; nothing in this room panics on bad input, and an error leaves no half-made state.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributionError {
    /// An argument breaks its contract (wrong length, zero, over a limit).
    InvalidArgument(String),
    /// Bytes are no attribution index, or not one this version reads.
    InvalidArtefact(String),
    /// A gradient, curvature or sketch holds NaN or infinity; the text says where.
    NotFinite(String),
    /// The eigen-solver passed its iteration limit (never seen on finite input).
    NoConvergence { dimension: usize },
    /// The caller's progress function asked to stop.
    Cancelled,
}

pub type Result<T> = std::result::Result<T, AttributionError>;

impl AttributionError {
    /// A stable word for the JavaScript door's `code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidArgument(_) => "ATTRIBUTION_INVALID_ARGUMENT",
            Self::InvalidArtefact(_) => "ATTRIBUTION_INVALID_ARTEFACT",
            Self::NotFinite(_) => "ATTRIBUTION_NOT_FINITE",
            Self::NoConvergence { .. } => "ATTRIBUTION_NO_CONVERGENCE",
            Self::Cancelled => "ATTRIBUTION_CANCELLED",
        }
    }
}

impl fmt::Display for AttributionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidArgument(text) => write!(f, "invalid argument: {text}"),
            Self::InvalidArtefact(text) => write!(f, "not a readable attribution index: {text}"),
            Self::NotFinite(text) => write!(f, "not a finite number: {text}"),
            Self::NoConvergence { dimension } => {
                write!(f, "the eigen-solver did not converge at dimension {dimension}")
            }
            Self::Cancelled => write!(f, "cancelled by the caller"),
        }
    }
}

impl std::error::Error for AttributionError {}

/// `Err(InvalidArgument)` with the text unless `condition` holds.
pub(crate) fn require(condition: bool, text: impl FnOnce() -> String) -> Result<()> {
    if condition { Ok(()) } else { Err(AttributionError::InvalidArgument(text())) }
}
