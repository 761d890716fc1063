//! A connection of a process to itself.

use std::io;
pub use std::os::unix::net::UnixStream as Socket;
use std::path::PathBuf;

pub use tokio::net::UnixStream as AsyncSocket;

pub fn pair() -> io::Result<(Socket, Socket)> {
    Socket::pair()
}

/// # Errors
/// Errors of the operating system.
pub async fn connect(path: PathBuf) -> io::Result<AsyncSocket> {
    AsyncSocket::connect(path).await
}
