//! Overwriting secrets: a core image that is written later does not hold them.

use std::sync::atomic::{Ordering, compiler_fence};

/// Makes all bytes zero, also where nothing reads them afterwards: plain writes to memory that is about to be given back
/// are left out by compilers.
pub fn wipe(bytes: &mut [u8]) {
    for byte in bytes {
        // SAFETY: a reference to one byte is valid for a write.
        unsafe { std::ptr::write_volatile(byte, 0) };
    }
    compiler_fence(Ordering::SeqCst);
}
