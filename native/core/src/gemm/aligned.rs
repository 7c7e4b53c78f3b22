//! Memory that starts on a cache line: a 64-byte load from it never touches two lines. Large matrices start on a
//! huge page and ask the system for such pages: one row times a matrix reads it straight through, and
//! with pages of 4 KiB it waits for addresses as much as for numbers.

use crate::memory::give_up;
use std::alloc::{Layout, alloc, dealloc};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

const LINE: usize = 64;
const HUGE_PAGE: usize = 2 << 20;

/// Numbers for which every pattern of bytes is a value.
pub trait Plain: Copy + Default {}
impl Plain for f32 {}
impl Plain for u8 {}

/// A fixed number of values, zero at first.
pub struct Aligned<T> {
    start: NonNull<T>,
    len: usize,
}

// SAFETY: the memory belongs to this value alone, and numbers may go anywhere.
unsafe impl<T: Plain + Send> Send for Aligned<T> {}
// SAFETY: as above.
unsafe impl<T: Plain + Sync> Sync for Aligned<T> {}

impl<T> Aligned<T> {
    fn layout(len: usize) -> Layout {
        let size = len.checked_mul(size_of::<T>()).expect("a matrix fits the address space");
        let align = if size >= HUGE_PAGE { HUGE_PAGE } else { LINE };
        Layout::from_size_align(size, align).expect("a matrix fits the address space")
    }
}

impl<T: Plain> Aligned<T> {
    pub fn zeros(len: usize) -> Self {
        let layout = Self::layout(len);
        if layout.size() == 0 {
            return Self::default();
        }
        // SAFETY: the size is not zero; every byte is written before anybody reads; zeros are a value.
        unsafe {
            let start = NonNull::new(alloc(layout).cast::<T>());
            let start = start.unwrap_or_else(|| give_up("a packed matrix", layout.size()));
            if layout.align() == HUGE_PAGE {
                ask_for_huge_pages(start.as_ptr().cast(), layout.size());
            }
            start.write_bytes(0, len);
            Self { start, len }
        }
    }
}

/// A hint, to be given before the memory is touched. Only whole pages inside it are asked for, so that no more memory
/// is taken than was allocated.
#[allow(unused_variables)]
fn ask_for_huge_pages(start: *mut u8, size: usize) {
    #[cfg(target_os = "linux")]
    // SAFETY: the range was allocated, and the advice changes no content.
    unsafe {
        libc::madvise(start.cast(), size / HUGE_PAGE * HUGE_PAGE, libc::MADV_HUGEPAGE);
    }
}

impl<T> Drop for Aligned<T> {
    fn drop(&mut self) {
        let layout = Self::layout(self.len);
        if layout.size() > 0 {
            // SAFETY: allocated with this layout, and nobody else has it.
            unsafe { dealloc(self.start.as_ptr().cast(), layout) };
        }
    }
}

impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self { start: NonNull::dangling(), len: 0 }
    }
}

impl<T: Plain> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T> fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aligned({})", self.len)
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: the memory holds `len` values (none: a dangling start will do).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::contain;

    #[test]
    fn memory_of_any_size_is_zero_aligned_and_copied() {
        for len in [0, 1, 15, 16, 1000, HUGE_PAGE / 4, HUGE_PAGE + 3] {
            let mut values = Aligned::<f32>::zeros(len);
            assert!(values.len() == len && values.iter().all(|x| x.to_bits() == 0));
            let align = if len * 4 >= HUGE_PAGE { HUGE_PAGE } else { LINE };
            assert!(len == 0 || (values.as_ptr() as usize).is_multiple_of(align));
            values.fill(1.5);
            let copy = values.clone();
            drop(values);
            assert!(copy.len() == len && copy.iter().all(|x| *x == 1.5));
        }
    }

    #[test]
    fn more_than_there_is_is_an_error_that_says_how_much() {
        let error = contain(|| Ok(Aligned::<u8>::zeros(1 << 60))).expect_err("refused");
        assert!(error.message.contains("refused 1152921504606846976 bytes"), "{error}");
    }
}
