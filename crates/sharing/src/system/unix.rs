//! Sockets and file permissions on Unix.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
pub use std::os::unix::net::UnixStream as Socket;
use std::path::PathBuf;

pub use tokio::net::UnixStream as AsyncSocket;
use tokio_postgres::config::Host;

/// Returns a pair of connected sockets, so that a thread can wake another thread that waits on one of them.
///
/// # Errors
/// Operating system errors.
pub fn pair() -> io::Result<(Socket, Socket)> {
    Socket::pair()
}

/// Connects to the Unix socket at `path`.
///
/// # Errors
/// Operating system errors.
pub async fn connect(path: PathBuf) -> io::Result<AsyncSocket> {
    AsyncSocket::connect(path).await
}

/// Returns the folder of a Unix socket; `None` for the name of a host.
pub fn socket_folder(host: &Host) -> Option<PathBuf> {
    match host {
        Host::Unix(folder) => Some(folder.clone()),
        Host::Tcp(_) => None,
    }
}

/// Returns whether the group or other users have any permission for a file.
///
/// # Errors
/// Operating system errors.
pub fn is_open_to_others(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o077 != 0)
}
