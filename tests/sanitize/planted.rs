//! Mistakes in Rust that a sanitizer has to find: see planted.c.

use std::ffi::c_char;

/// Reads beyond what the caller has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn planted_read(data: *const c_char, at: usize) -> i32 {
    i32::from(unsafe { data.add(at).read_volatile() })
}

/// Forgets memory, and where it is.
#[unsafe(no_mangle)]
pub extern "C" fn planted_leak() {
    std::mem::forget(std::hint::black_box(vec![1_u8; 1000]));
}
