//! Code for Linux, with glibc or musl.

use std::fs;
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::file_facts::Inode;
pub use super::unix::{fork, local_path, sqlite};

pub mod clock;
pub mod files;
mod open_no_follow;
pub mod thread;

/// Returns whether this process has the file at `path` open. `file`: the file's identity.
pub fn is_open(path: &Path, file: Inode) -> bool {
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else {
        return false;
    };
    descriptors.flatten().map(|link| link.path()).any(|link| {
        // Read the metadata only of files with the same name, so that a hanging disk is not accessed.
        fs::read_link(&link).is_ok_and(|target| target.file_name() == path.file_name())
            && Inode::of_target(&link) == Some(file)
    })
}

/// Returns an identifier for the current boot; `None` if it cannot be read.
pub fn boot() -> Option<Vec<u8>> {
    // One read returns the whole identifier: a UUID of 32 digits, with hyphens and a newline.
    let mut id = [0; 64];
    let mut file = fs::File::open("/proc/sys/kernel/random/boot_id").ok()?;
    let length = file.read(&mut id).ok().filter(|length| *length >= 32)?;
    Some(id[..length].to_vec())
}

/// Starts writing a file's dirty pages to disk, without waiting.
pub fn write_out(file: &fs::File) {
    // SAFETY: a plain call with an open descriptor and numbers. Length 0 means the whole file.
    unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Does nothing, since shutting down a connection wakes its readers on Linux.
pub fn wake_readers(_: &TcpStream) {}

/// Returns `false`, since only Windows has a special error for a reader that [`wake_readers`] woke.
pub fn is_wake(_: &io::Error) -> bool {
    false
}
