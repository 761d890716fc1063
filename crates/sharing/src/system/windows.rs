//! File permissions on Windows, which has no Unix sockets.

use std::fs::File;
use std::io;

use tokio_postgres::config::Host;

/// Returns the name of a host. To the folder of a Unix socket, no client connects.
pub fn host_name(host: &Host) -> String {
    let Host::Tcp(host) = host;
    host.clone()
}

/// Always returns `false`, because Windows has no permission bits for other users. A secret file inherits the
/// permissions of its folder, for which the user is responsible.
#[allow(clippy::unnecessary_wraps)] // fails on other systems
pub fn is_open_to_others(_: &File) -> io::Result<bool> {
    Ok(false)
}
