//! Sockets and rights of files on Unix.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
pub use std::os::unix::net::UnixStream as Socket;
use std::path::PathBuf;

pub use tokio::net::UnixStream as AsyncSocket;

/// A connection of this process to itself.
///
/// # Errors
/// Errors of the operating system.
pub fn pair() -> io::Result<(Socket, Socket)> {
    Socket::pair()
}

/// Connects to a socket that has a name.
///
/// # Errors
/// Errors of the operating system.
pub async fn connect(path: PathBuf) -> io::Result<AsyncSocket> {
    AsyncSocket::connect(path).await
}

/// Returns whether users besides the owner have rights to a file.
///
/// # Errors
/// Errors of the operating system.
pub fn is_open_to_others(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o077 != 0)
}
