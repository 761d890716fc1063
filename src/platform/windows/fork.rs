//! Windows has no fork, so no handler ever runs.

use std::fs::File;
use std::os::windows::io::AsRawHandle;

/// A file's handle as a number.
pub type Descriptor = usize;

/// Returns a file's handle as a number.
pub fn descriptor(file: &File) -> Descriptor {
    file.as_raw_handle() as usize
}

/// Does nothing, and is never called.
///
/// # Safety
/// None is needed.
pub unsafe fn close(_: Descriptor) {}

/// Leaves a file open, and is never called.
pub fn forget(file: File) {
    std::mem::forget(file);
}

/// Does nothing, since Windows has no fork.
pub fn register(_before: extern "C" fn(), _in_parent: extern "C" fn(), _in_child: extern "C" fn()) {}
