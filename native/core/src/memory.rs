//! Memory that may be refused. Rust's own collections end the process when the system has none left, and Linux
//! ends it when more is used than there is; a node must survive both, and the caller must hear what needed how much.
//!
//!   afford, claim         before a large piece of work, while nothing is lost: an error, or one that unwinds
//!   zeros, copy, resize   the large buffers themselves: what the system refuses or has not unwinds as an `OutOfMemory` error
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
    is_there(what, bytes)?;
    // The system is asked, and what it grants given back untouched.
    match Vec::<u8>::new().try_reserve_exact(bytes + ROOM) {
        Ok(()) => Ok(()),
        Err(_) => Err(refused(what, bytes)),
    }
}

/// Holds what is large against what the machine has left: systems grant more than there is.
fn is_there(what: &str, bytes: usize) -> Result<()> {
    if bytes >= LARGE
        && let Some(left) = left()
        && bytes > left
    {
        bail!(
            OutOfMemory,
            "out of memory: {what} needs {bytes} bytes, this machine has {left} left"
        );
    }
    Ok(())
}

/// `len` zeros. Unwinds when the system refuses them.
pub fn zeros<T: Plain>(what: &str, len: usize) -> Vec<T> {
    let Ok(layout) = Layout::array::<T>(len) else { give_up(what, usize::MAX) };
    if layout.size() == 0 {
        return vec![];
    }
    if layout.size() >= LARGE {
        // Asked for and given back untouched: an allocator may write the zeros itself, into memory that is not there.
        drop(with_capacity::<T>(what, len));
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
    or_unwind(is_there(what, len * size_of::<T>()));
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
    or_unwind(afford(what, Some(bytes)));
}

fn or_unwind(result: Result<()>) {
    result.unwrap_or_else(|error| resume_unwind(Box::new(error)));
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
    let machine = field(&read("/proc/meminfo")?, "MemAvailable:")? << 10;
    // Of a container or a service, by version 2 of Linux's control groups.
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    let of = |name: &str| read(&format!("/sys/fs/cgroup{own}/{name}"));
    let group = left_of_group(of("memory.max"), of("memory.current"), of("memory.stat"));
    Some(group.map_or(machine, |group| group.min(machine)))
}

/// A group's limit less what it holds, of which pages of files go when others are asked for. None: no limit.
fn left_of_group(
    max: Option<String>,
    current: Option<String>,
    stat: Option<String>,
) -> Option<usize> {
    let whole = |text: Option<String>| text?.trim().parse::<usize>().ok();
    let max = whole(max)?;
    let files = stat.and_then(|stat| field(&stat, "inactive_file")).unwrap_or(0);
    Some(max.saturating_sub(whole(current).unwrap_or(0).saturating_sub(files)))
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The number behind a name at the head of a line.
fn field(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
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
    #[cfg(target_os = "linux")]
    fn what_the_system_grants_but_has_not_unwinds_as_an_error() {
        let all = field(&read("/proc/meminfo").expect("Linux"), "MemTotal:").expect("a size") << 10;
        for buffer in [
            |len| drop(zeros::<u8>("a stack", len)),
            |len| drop(with_capacity::<u8>("a stack", len)),
        ] {
            let run = || {
                buffer(all);
                Ok(())
            };
            let error = contain(run).expect_err("refused");
            assert_eq!(error.code, ErrorCode::OutOfMemory, "{error}");
            assert!(error.message.contains("a stack"), "{error}");
        }
    }

    #[test]
    fn a_group_has_left_what_its_limit_leaves_beside_pages_that_cannot_go() {
        let text = |text: &str| Some(text.to_string());
        let stat = || text("anon 1\nfile 500\ninactive_file 300\nactive_file 200\n");
        for (max, current, stat, left) in [
            (text("4000\n"), text("3500\n"), stat(), Some(800)),
            (text("4000\n"), text("3500\n"), None, Some(500)),
            (text("4000\n"), text("4100\n"), None, Some(0)),
            (text("4000\n"), None, None, Some(4000)),
            (text("max\n"), text("3500\n"), stat(), None),
            (None, None, None, None),
        ] {
            assert_eq!(left_of_group(max, current, stat), left);
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
