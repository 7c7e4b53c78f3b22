//! Memory that may be refused. Rust's own collections end the process when the system has none left, and Linux
//! ends it when more is used than there is; a node must survive both, and the caller must hear what needed how much.
//!
//!   afford, claim         before a large piece of work, while nothing is lost: an error, or one that unwinds
//!   zeros, copy, grow     the large buffers themselves: what the system refuses unwinds as an `OutOfMemory` error
//!
//! The unwinding ends at `error::contain`, which every job runs in, and is no panic: nothing is printed. Small and
//! bounded things (names, lists of rows) use the collections as they are: `afford` leaves room for them.

use crate::{EngineError, ErrorCode, Result, bail};
use std::alloc::{Layout, alloc_zeroed};
use std::panic::resume_unwind;

/// What `afford` leaves to everything that does not ask, bytes.
const ROOM: usize = 32 << 20;
/// From here on what is asked for is held against what the machine has left.
const LARGE: usize = 256 << 20;

/// Values for which all zero bytes are a value.
pub trait Plain: Copy {}
impl Plain for f32 {}
impl Plain for f64 {}
impl Plain for i8 {}
impl Plain for u8 {}
impl Plain for i32 {}

/// Makes sure that `bytes` (None: more than can be counted) can be had now.
pub fn afford(what: &str, bytes: Option<usize>) -> Result<()> {
    let Some(bytes) = bytes.filter(|bytes| *bytes <= isize::MAX as usize - ROOM) else {
        bail!(OutOfMemory, "out of memory: {what} needs more bytes than can be addressed");
    };
    if bytes >= LARGE
        && let Some(left) = left()
        && bytes > left
    {
        bail!(
            OutOfMemory,
            "out of memory: {what} needs {bytes} bytes, this machine has {left} left"
        );
    }
    // The system is asked, and what it grants given back untouched.
    match Vec::<u8>::new().try_reserve_exact(bytes + ROOM) {
        Ok(()) => Ok(()),
        Err(_) => Err(refused(what, bytes)),
    }
}

/// `len` zeros. Unwinds when the system refuses them.
pub fn zeros<T: Plain>(what: &str, len: usize) -> Vec<T> {
    let Ok(layout) = Layout::array::<T>(len) else { give_up(what, usize::MAX) };
    if layout.size() == 0 {
        return vec![];
    }
    // SAFETY: the size is not zero; the memory is of the global allocator, with the layout that a vector of `len`
    // values has, and all zero bytes are values.
    unsafe {
        let start = alloc_zeroed(layout).cast::<T>();
        if start.is_null() {
            give_up(what, layout.size());
        }
        Vec::from_raw_parts(start, len, len)
    }
}

/// A copy. Unwinds when the system refuses it.
pub fn copy<T: Plain>(what: &str, values: &[T]) -> Vec<T> {
    let mut all = with_capacity(what, values.len());
    all.extend_from_slice(values);
    all
}

/// An empty vector with room for `len` values. Unwinds when the system refuses it.
pub fn with_capacity<T: Plain>(what: &str, len: usize) -> Vec<T> {
    let mut all = vec![];
    if all.try_reserve_exact(len).is_err() {
        give_up(what, len.saturating_mul(size_of::<T>()));
    }
    all
}

/// Makes the vector `len` long; new values are zero. Unwinds when the system refuses the room.
pub fn resize(what: &str, values: &mut Vec<f32>, len: usize) {
    if values.try_reserve_exact(len.saturating_sub(values.len())).is_err() {
        give_up(what, len.saturating_mul(size_of::<f32>()));
    }
    values.resize(len, 0.0);
}

/// `afford` where no error can be handed on: unwinds.
pub fn claim(what: &str, bytes: usize) {
    afford(what, Some(bytes)).unwrap_or_else(|error| resume_unwind(Box::new(error)));
}

/// Unwinds to `contain` with an error that says what needed how many bytes.
pub fn give_up(what: &str, bytes: usize) -> ! {
    resume_unwind(Box::new(refused(what, bytes)))
}

fn refused(what: &str, bytes: usize) -> EngineError {
    let text = format!("out of memory: the system refused {bytes} bytes for {what}");
    EngineError::new(ErrorCode::OutOfMemory, text)
}

/// Bytes that could be used without pushing others out; None where the system does not say.
fn left() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let most = group.and_then(|text| text.trim().parse().ok()).unwrap_or(usize::MAX);
    Some((kilobytes << 10).min(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::contain;

    #[test]
    fn what_no_machine_has_is_an_error_that_names_what_needed_how_much() {
        for (bytes, says) in [
            (Some(1 << 60), "the weights needs 1152921504606846976 bytes, this machine has "),
            (Some(usize::MAX), "more bytes than can be addressed"),
            (None, "more bytes than can be addressed"),
        ] {
            let error = afford("the weights", bytes).expect_err("refused");
            assert!(
                error.code == ErrorCode::OutOfMemory && error.message.contains(says),
                "{error}"
            );
        }
        assert_eq!(afford("a page", Some(1 << 20)), Ok(()));
    }

    #[test]
    fn a_buffer_that_the_system_refuses_unwinds_as_an_error_from_any_thread() {
        let absurd = 1usize << 58;
        let buffers: [&(dyn Fn() + Sync); 5] = [
            &|| drop(zeros::<f32>("a tape", absurd)),
            &|| drop(zeros::<f64>("a tape", usize::MAX)),
            &|| drop(with_capacity::<u8>("a tape", 1 << 62)),
            &|| resize("a tape", &mut vec![1.0], absurd),
            &|| crate::pool::each(4, &|i| drop(zeros::<f32>("a tape", absurd * (i % 2)))),
        ];
        for buffer in buffers {
            let error = contain(|| {
                buffer();
                Ok(())
            });
            let error = error.expect_err("refused");
            assert_eq!(error.code, ErrorCode::OutOfMemory, "{error}");
            assert!(error.message.contains("bytes for a tape"), "{error}");
        }
    }

    #[test]
    fn what_is_granted_is_zero_and_as_long_as_asked_for() {
        assert_eq!(zeros::<f32>("", 3), [0.0; 3]);
        assert_eq!(zeros::<i8>("", 0), [0; 0]);
        assert_eq!(copy("", &[1.0f32, 2.0]), [1.0, 2.0]);
        let mut values = vec![1.0, 2.0];
        resize("", &mut values, 3);
        assert_eq!(values, [1.0, 2.0, 0.0]);
        resize("", &mut values, 1);
        assert_eq!(values, [1.0]);
    }
}
