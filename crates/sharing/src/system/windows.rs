//! Sockets and rights of files on Windows.

use std::fs::File;
use std::io;
use std::net::TcpListener;
pub use std::net::TcpStream as Socket;
use std::path::PathBuf;

pub use tokio::net::TcpStream as AsyncSocket;

/// A connection of this process to itself, over its own network: there is no pair of sockets.
///
/// # Errors
/// Errors of the operating system.
pub fn pair() -> io::Result<(Socket, Socket)> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let one = Socket::connect(listener.local_addr()?)?;
    loop {
        // Another program may have connected first.
        let (other, from) = listener.accept()?;
        if from == one.local_addr()? {
            return Ok((one, other));
        }
    }
}

/// Connects to a socket that has a name.
///
/// # Errors
/// Always: `PostgreSQL` has no such sockets there that this library can use.
pub async fn connect(path: PathBuf) -> io::Result<AsyncSocket> {
    let text = format!("{}: there are no Unix sockets on Windows: name a host", path.display());
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}

/// Not looked at: files inherit the rights of their folder.
#[allow(clippy::unnecessary_wraps)] // other systems have errors
pub fn is_open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}
