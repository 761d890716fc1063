//! Sockets and file permissions on Windows.

use std::fs::File;
use std::io;
use std::net::TcpListener;
pub use std::net::TcpStream as Socket;
use std::path::PathBuf;

pub use tokio::net::TcpStream as AsyncSocket;
use tokio_postgres::config::Host;

/// Returns a pair of connected sockets, so that a thread can wake another thread that waits on one of them. The sockets
/// use the loopback interface, since Windows has no `socketpair`.
///
/// # Errors
/// Operating system errors.
pub fn pair() -> io::Result<(Socket, Socket)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let client = Socket::connect(listener.local_addr()?)?;
    loop {
        // Another program may have connected to the listener first.
        let (server, peer_address) = listener.accept()?;
        if peer_address == client.local_addr()? {
            return Ok((client, server));
        }
    }
}

/// Always fails, because plexindex does not support Unix sockets on Windows.
///
/// # Errors
/// Always [`io::ErrorKind::Unsupported`].
pub async fn connect(path: PathBuf) -> io::Result<AsyncSocket> {
    let text = format!(
        "cannot connect to {}: plexindex does not support Unix sockets on Windows; use a host name",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// Returns the folder of a Unix socket, to which [`connect`] fails; `None` for the name of a host.
pub fn socket_folder(host: &Host) -> Option<PathBuf> {
    let Host::Tcp(host) = host;
    host.starts_with('/').then(|| host.into())
}

/// Always returns `false`, because Windows has no permission bits for other users. A secret file inherits the
/// permissions of its folder, for which the user is responsible.
#[allow(clippy::unnecessary_wraps)] // fails on other systems
pub fn is_open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}
