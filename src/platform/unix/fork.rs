//! Fork handlers, and descriptors that a child closes.

use std::fs::File;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};

/// A file descriptor, which a forked child inherits.
pub type Descriptor = RawFd;

/// Returns a file's descriptor.
pub fn descriptor(file: &File) -> Descriptor {
    file.as_raw_fd()
}

/// Closes a descriptor that a forked child inherited from its parent.
///
/// # Safety
/// The descriptor must be open, and nothing may use it afterwards.
pub unsafe fn close(descriptor: Descriptor) {
    // SAFETY: guaranteed by the caller.
    unsafe { libc::close(descriptor) };
}

/// Drops a file without closing its descriptor, which is already closed: another file may have the same number.
pub fn forget(file: File) {
    _ = file.into_raw_fd();
}

/// Registers functions that the C library calls at each fork from now on. glibc removes the functions when the host
/// unloads the library.
pub fn register(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: the handlers are functions of this library.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}
