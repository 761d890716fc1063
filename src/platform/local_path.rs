//! Full paths on this machine, with `/` as the separator on all systems. The path of a folder ends in `/` only if the
//! folder is a root.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{bytes_of, path_from_bytes};
use super::system::local_path as system;

/// Normalizes a path from the host, so that the separator is `/`. On Windows, also removes the prefix `\\?\`, and
/// changes names to their case on disk.
#[must_use]
pub fn normalize_host_path(path: &[u8]) -> Cow<'_, [u8]> {
    system::normalize_host_path(path)
}

/// Converts a normalized path to the form in which users of this system write paths.
#[must_use]
pub fn to_native(path: &[u8]) -> Cow<'_, [u8]> {
    system::shown(path)
}

/// Resolves the links and dots in a path. Removes the prefix `\\?\`, which Windows adds to resolved paths. On a Windows
/// drive whose links cannot be resolved, returns the absolute path.
///
/// # Errors
/// Operating system errors.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    let path = path
        .canonicalize()
        .or_else(|error| system::absolute_if_exists(path, error))?;
    Ok(path_from_bytes(to_native(bytes_of(&path))))
}

/// Returns a path that SQLite can open. On Windows, adds the prefix `\\?\` to a long path.
#[must_use]
pub fn for_sqlite(path: &Path) -> Cow<'_, Path> {
    system::for_sqlite(path)
}

/// Returns a path's root: `/`, or, on Windows, `D:/` or `//server/share/`. The root of a relative path is empty.
#[must_use]
pub fn root(path: &[u8]) -> &[u8] {
    system::root(path)
}

#[cfg(test)]
#[path = "local_path_tests.rs"]
mod tests;
