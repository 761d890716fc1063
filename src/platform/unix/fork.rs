//! Fork handlers, and descriptors that a child closes.

use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

/// The number of an open file in this process and its child.
pub type Descriptor = RawFd;

/// Returns the descriptor of a file.
pub fn descriptor(file: &File) -> Descriptor {
    file.as_raw_fd()
}

/// Closes a descriptor, which the child of a fork got from its parent.
///
/// # Safety
/// It must be open, and nothing may use it any more.
pub unsafe fn close(descriptor: Descriptor) {
    // SAFETY: the caller's promise.
    unsafe { libc::close(descriptor) };
}

/// Drops a file without closing its descriptor, which is closed already, so that another file may have the number.
pub fn forget(file: File) {
    _ = file.into_raw_fd();
}

/// Calls these functions at each fork from now on. glibc removes them when the library is unloaded.
pub fn register(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: the handlers are functions of this library.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}
