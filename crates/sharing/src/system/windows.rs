//! Sockets and file permissions on Windows.

use std::fs::File;
use std::io;
use std::net::TcpListener;
pub use std::net::TcpStream as Socket;
use std::path::PathBuf;

pub use tokio::net::TcpStream as AsyncSocket;

/// Returns two connected sockets, over the loopback interface, since Windows has no socket pairs.
///
/// # Errors
/// Errors of the operating system.
pub fn pair() -> io::Result<(Socket, Socket)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let client = Socket::connect(listener.local_addr()?)?;
    loop {
        // Another program may have connected first.
        let (server, peer_address) = listener.accept()?;
        if peer_address == client.local_addr()? {
            return Ok((client, server));
        }
    }
}

/// Fails: this library cannot use Unix sockets on Windows.
///
/// # Errors
/// Always.
pub async fn connect(path: PathBuf) -> io::Result<AsyncSocket> {
    let text = format!(
        "cannot connect to {}: Windows has no Unix sockets; use a host name",
        path.display()
    );
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// Returns `false` without a check: files inherit the permissions of their folder.
#[allow(clippy::unnecessary_wraps)] // other systems have errors
pub fn is_open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}
