//! Sockets and file permissions on Windows.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Returns the folder of a Unix socket, to which no client connects; `None` for the name of a host.
pub fn socket_folder(host: &Host) -> Option<PathBuf> {
    let Host::Tcp(host) = host;
    host.starts_with('/').then(|| host.into())
}

/// Adds no address, because plexindex does not support Unix sockets on Windows.
pub fn add_socket(_: &mut Config, _: PathBuf) {}

/// Always returns `false`, because Windows has no permission bits for other users. A secret file inherits the
/// permissions of its folder, for which the user is responsible.
#[allow(clippy::unnecessary_wraps)] // fails on other systems
pub fn is_open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}
