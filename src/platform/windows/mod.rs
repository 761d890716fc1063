//! Code for Windows 10 and later.

use std::fs::File;
use std::io;
use std::net::TcpStream;
use std::os::windows::io::AsRawSocket;
use std::path::Path;
use std::ptr::null;

use windows_sys::Win32::Foundation::{ERROR_OPERATION_ABORTED, HANDLE};
use windows_sys::Win32::System::IO::CancelIoEx;

use super::file_facts::Inode;

pub mod clock;
pub mod files;
pub mod fork;
mod host_call;
pub mod local_path;
mod owner;
pub mod sqlite;
pub mod thread;

/// Returns whether this process has the file open; always `false`, since Windows needs no check: its locks belong to
/// handles, so two copies of SQLite see each other's locks.
pub fn is_open(_: &Path, _: Inode) -> bool {
    false
}

/// Returns `None`, since Windows has no identifier for the current boot.
pub fn boot() -> Option<Vec<u8>> {
    None
}

/// Does nothing, since Windows has no call that starts writing a file to disk.
pub fn write_out(_: &File) {}

/// Cancels reads and writes on a connection, since shutting down the connection does not wake them on Windows.
pub fn wake_readers(stream: &TcpStream) {
    // SAFETY: the socket is open as long as the stream, and a socket is a handle.
    unsafe { CancelIoEx(stream.as_raw_socket() as HANDLE, null()) };
}

/// Returns whether [`wake_readers`] cancelled the failed operation. The standard library reports this error as a
/// timeout.
pub fn is_wake(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ERROR_OPERATION_ABORTED.cast_signed())
}
