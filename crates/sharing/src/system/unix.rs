//! Sockets and file permissions on Unix.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use tokio_postgres::config::Host;

/// Returns the name of a host, or the folder of a Unix socket.
pub fn host_name(host: &Host) -> String {
    match host {
        Host::Unix(folder) => folder.to_string_lossy().into_owned(),
        Host::Tcp(host) => host.clone(),
    }
}

/// Returns whether the group or other users have any permission for a file.
///
/// # Errors
/// Operating system errors.
pub fn is_open_to_others(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o077 != 0)
}
