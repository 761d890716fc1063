//! Windows has no fork, so no handler ever runs.

use std::fs::File;
use std::os::windows::io::AsRawHandle;

pub type Descriptor = usize;

pub fn descriptor(file: &File) -> Descriptor {
    file.as_raw_handle() as usize
}

/// Never called.
///
/// # Safety
/// None is needed.
pub unsafe fn close(_: Descriptor) {}

/// Never called.
pub fn forget(file: File) {
    std::mem::forget(file);
}

pub fn register(_before: extern "C" fn(), _in_parent: extern "C" fn(), _in_child: extern "C" fn()) {}
