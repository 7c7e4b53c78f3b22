//! The CUDA kernels of `native/kernels`, compiled for the CPU by a C++ compiler: only tests link this.

use std::ffi::{CString, c_char, c_int, c_uint, c_void};

unsafe extern "C" {
    fn openledger_shim_launch(
        name: *const c_char,
        grid: *const c_uint,
        threads: c_uint,
        arguments: *mut *mut c_void,
        reversed: c_int,
    ) -> c_int;
}

/// Runs a kernel to its end. `reversed` turns round the order in which a block's threads go on.
///
/// # Safety
/// `arguments` points to every parameter of the kernel, in order and of its type, and what they point to is
/// as large as the kernel expects.
pub unsafe fn launch(
    name: &str,
    grid: [u32; 3],
    threads: u32,
    arguments: &mut [*mut c_void],
    reversed: bool,
) -> Result<(), String> {
    let name_c = CString::new(name).map_err(|e| e.to_string())?;
    // SAFETY: the caller's promise; name and grid live through the call.
    let code = unsafe {
        openledger_shim_launch(
            name_c.as_ptr(),
            grid.as_ptr(),
            threads,
            arguments.as_mut_ptr(),
            c_int::from(reversed),
        )
    };
    match code {
        0 => Ok(()),
        1 => Err(format!("no kernel is called {name}")),
        _ => Err(format!("{name} was launched with {threads} threads")),
    }
}
