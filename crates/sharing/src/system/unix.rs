//! Sockets and file permissions on Unix.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

/// Returns the folder of a Unix socket; `None` for the name of a host.
pub fn socket_folder(host: &Host) -> Option<PathBuf> {
    match host {
        Host::Unix(folder) => Some(folder.clone()),
        Host::Tcp(_) => None,
    }
}

/// Adds the socket in this folder to the addresses to connect to.
pub fn add_socket(config: &mut Config, folder: PathBuf) {
    config.host_path(folder);
}

/// Returns whether the group or other users have any permission for a file.
///
/// # Errors
/// Operating system errors.
pub fn is_open_to_others(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.mode() & 0o077 != 0)
}
