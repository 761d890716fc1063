//! Full paths of this machine, with `/` as separator on all systems. A folder other than a root does not end in `/`.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{bytes_of, named};
use super::system::local_path as system;

/// Normalizes a path of the host to `/` as separator. On Windows, also removes `\\?\` and changes the case of names to
/// that on the disk.
#[must_use]
pub fn normalize_host_path(path: &[u8]) -> Cow<'_, [u8]> {
    system::normalize_host_path(path)
}

/// Converts a normalized path to the form that users of this system write.
#[must_use]
pub fn shown(path: &[u8]) -> Cow<'_, [u8]> {
    system::shown(path)
}

/// Returns a path without links, dots and the prefix `\\?\`, which Windows adds to such paths.
///
/// # Errors
/// Errors of the operating system.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    let path = path.canonicalize().or_else(|error| system::named_only(path, error))?;
    Ok(named(shown(bytes_of(&path))))
}

/// Returns a path that SQLite can open: with the prefix `\\?\` if it is too long for Windows otherwise.
#[must_use]
pub fn for_sqlite(path: &Path) -> Cow<'_, Path> {
    system::for_sqlite(path)
}

/// Returns the root of a path: `/`, or `D:/` or `//server/share/` on Windows. Empty for a relative path.
#[must_use]
pub fn root(path: &[u8]) -> &[u8] {
    system::root(path)
}

#[cfg(test)]
#[path = "local_path_tests.rs"]
mod tests;
