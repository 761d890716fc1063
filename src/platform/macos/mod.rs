//! Code for macOS, and for other POSIX systems except Linux (untested).

use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::path::Path;

use super::file_facts::Inode;
pub use super::unix::{fork, local_path, sqlite};

pub mod clock;
pub mod files;
pub mod thread;

/// Returns whether this process has the file open; always `false`, since plexindex cannot detect this on macOS.
pub fn is_open(_: &Path, _: Inode) -> bool {
    false
}

/// Returns an identifier for the current boot, a UUID with at least 32 digits; `None` if it cannot be read.
pub fn boot() -> Option<Vec<u8>> {
    let mut id = vec![0_u8; 64];
    let mut length = id.len();
    // SAFETY: the name ends with a NUL, and the call writes at most `length` bytes into `id`.
    let status = unsafe {
        libc::sysctlbyname(
            c"kern.bootsessionuuid".as_ptr(),
            id.as_mut_ptr().cast(),
            &raw mut length,
            std::ptr::null_mut(),
            0,
        )
    };
    id.truncate(length);
    (status == 0 && id.len() >= 32).then_some(id)
}

/// Does nothing, since macOS has no call that starts writing a file to disk.
pub fn write_out(_: &File) {}

/// Does nothing, since shutting down a connection wakes its readers on macOS.
pub fn wake_readers(_: &TcpStream) {}

/// Returns `false`, since only Windows has a special error for a reader that [`wake_readers`] woke.
pub fn is_wake(_: &io::Error) -> bool {
    false
}
