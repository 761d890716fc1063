//! Code for macOS, and for other POSIX systems except Linux (untested).

use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::file_facts::{FileSystem, Inode};
pub use super::unix::*;

/// Returns whether this process has the file open; always `false`, since plexindex cannot detect this on macOS.
pub fn is_open(_: &Path, _: Inode) -> bool {
    false
}

/// Does nothing, since macOS has no call that starts writing a file to disk.
pub fn write_out(_: &File) {}

/// Does nothing, since shutting down a connection wakes its readers on macOS.
pub fn wake_readers(_: &TcpStream) {}

/// Returns `false`, since only Windows has a special error for a reader that [`wake_readers`] woke.
pub fn is_wake(_: &io::Error) -> bool {
    false
}

/// Opens a folder that is not a link.
fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// Opens a folder for operations on its entries.
pub fn parent_folder(path: &Path) -> io::Result<OpenFolder> {
    open_folder(path).map(OpenFolder)
}

/// Opens a file that is not a link.
pub fn open(path: &Path, writes: bool) -> io::Result<File> {
    Ok(openat(CWD, path, flags(writes), Mode::empty())?.into())
}

/// Opens the folder itself, since macOS can lock folders.
pub fn lock_of_folder(path: &Path) -> io::Result<File> {
    open_folder(path).map(File::from)
}

pub fn sync_names(path: &Path) -> io::Result<()> {
    sync(&lock_of_folder(path)?)
}

/// Creates one folder with mode 0700 in an existing parent.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    make_private_folder_in(path, OFlags::RDONLY)
}

/// Returns the properties of a directory's file system. If `statfs` fails, memory is treated as not shared.
pub fn disk(directory: &Path) -> FileSystem {
    let Ok(facts) = rustix::fs::statfs(directory) else {
        return FileSystem::default();
    };
    FileSystem {
        // Network file systems do not share memory.
        shares_memory: facts.f_flags & libc::MNT_LOCAL.cast_unsigned() != 0,
        free: Some(facts.f_bavail.saturating_mul(facts.f_bsize.into())),
        ..FileSystem::default()
    }
}

/// Calls a host function. If it ends the thread, macOS unwinds no frame of this library, so no handler is needed.
pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    call()
}

/// Returns `None`, since macOS has no coarse clock for the time of day.
pub fn coarse_unix_ms() -> Option<i64> {
    None
}

/// Returns the monotonic clock's time in milliseconds.
pub fn coarse_ms() -> u64 {
    read_ms(libc::CLOCK_MONOTONIC)
}

/// Returns the monotonic clock's time, with the time in which the system slept.
pub fn steady() -> Duration {
    let (seconds, nanoseconds) = read_clock(libc::CLOCK_MONOTONIC).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}
