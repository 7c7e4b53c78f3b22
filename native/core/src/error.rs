//! One error type for the engine. The code tells the caller what to do; the message says what was
//! wrong, with the value, and what was expected.

use crate::bail;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// What kind of failure it is; the door hands it to JavaScript as `error.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// A file or directory could not be read or written.
    Io,
    /// The model directory is not a model this engine can run exactly.
    BadModel,
    /// The adapter directory is malformed or does not fit the model.
    BadAdapter,
    /// A well-formed request for something this engine does not do.
    Unsupported,
    /// An argument is out of range or inconsistent.
    BadInput,
    /// The attribution artefact or its inputs are malformed.
    BadIndex,
    /// The caller asked to stop.
    Cancelled,
    /// Too much waits already; the same request may go through later.
    QueueFull,
    /// The service is stopping and takes nothing new.
    ShuttingDown,
    /// No adapter of that name is registered.
    UnknownAdapter,
    /// The system has not the memory it takes; less at once may do.
    OutOfMemory,
    /// The run itself failed: numbers left the finite range.
    Diverged,
    /// A bug in the engine, caught at the border.
    Internal,
}

impl ErrorCode {
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorCode::Io => "NATIVE_IO",
            ErrorCode::BadModel => "NATIVE_BAD_MODEL",
            ErrorCode::BadAdapter => "NATIVE_BAD_ADAPTER",
            ErrorCode::Unsupported => "NATIVE_UNSUPPORTED",
            ErrorCode::BadInput => "NATIVE_BAD_INPUT",
            ErrorCode::BadIndex => "NATIVE_BAD_INDEX",
            ErrorCode::Cancelled => "NATIVE_CANCELLED",
            ErrorCode::QueueFull => "NATIVE_QUEUE_FULL",
            ErrorCode::ShuttingDown => "NATIVE_SHUTTING_DOWN",
            ErrorCode::UnknownAdapter => "NATIVE_UNKNOWN_ADAPTER",
            ErrorCode::OutOfMemory => "NATIVE_OUT_OF_MEMORY",
            ErrorCode::Diverged => "NATIVE_DIVERGED",
            ErrorCode::Internal => "NATIVE_INTERNAL",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError {
    pub code: ErrorCode,
    pub message: String,
}

pub type Result<T, E = EngineError> = std::result::Result<T, E>;

impl EngineError {
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// The same with the path in front, where the message does not have it: a user may have named several.
    pub fn at(mut self, path: &Path) -> Self {
        let path = path.display().to_string();
        if !names(&self.message, &path) {
            self.message = format!("{path}: {}", self.message);
        }
        self
    }
}

/// Whether the path stands in the text by itself, not as a part of a word.
fn names(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let after = text[at + path.len()..].chars().next();
        let begins = at == 0 || text[..at].ends_with(' ');
        begins && after.is_none_or(|c| "/ :,".contains(c))
    })
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EngineError {}

/// Runs a job; a panic becomes an error. An error that unwinds (`memory`) comes out as it is.
pub fn contain<T>(job: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|payload| {
        let payload = match payload.downcast::<EngineError>() {
            Ok(error) => return Err(*error),
            Err(payload) => payload,
        };
        let text = payload
            .downcast_ref::<&str>()
            .map(|s| (*s).to_string())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_string());
        bail!(Internal, "the engine panicked: {text}")
    })
}

/// `bail!(BadModel, "tensor {name} ...")` returns an error with that code.
#[macro_export]
macro_rules! bail {
    ($code:ident, $($arg:tt)*) => {
        return Err($crate::EngineError::new($crate::ErrorCode::$code, format!($($arg)*)))
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_put_in_front_of_what_does_not_name_it() {
        for (message, with_path) in [
            ("adapter_config.json: bias all", "ad: adapter_config.json: bias all"),
            ("cannot read ad/adapter_config.json", "cannot read ad/adapter_config.json"),
            ("ad is not a directory", "ad is not a directory"),
            ("cannot be read", "ad: cannot be read"),
        ] {
            let error = EngineError::new(ErrorCode::Io, message).at(Path::new("ad"));
            assert_eq!(error.message, with_path);
        }
    }
}
