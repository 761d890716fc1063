//! Full paths on this machine.

use std::io;
use std::path::{Path, PathBuf};

use super::files::{bytes_of, path_from_bytes};
pub use super::system::local_path::for_sqlite;
use super::system::local_path::{absolute_if_exists, shown};

/// Resolves the links and dots in a path. Removes the prefix `\\?\`, which Windows adds to resolved paths. On a Windows
/// drive whose links cannot be resolved, returns the absolute path.
///
/// # Errors
/// Operating system errors.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    let path = path.canonicalize().or_else(|error| absolute_if_exists(path, error))?;
    Ok(path_from_bytes(shown(bytes_of(&path))))
}

#[cfg(test)]
#[path = "local_path_tests.rs"]
mod tests;
