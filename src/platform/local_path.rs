//! Full paths of this machine as text, with `/` between their names on each system. A folder other than a root has no `/`
//! at its end.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use super::files::{bytes_of, named};
use super::system::local_path as system;

/// Returns a path that a caller gave with `/` between its names. On Windows, names of letters in another case become those
/// that are on the disk, and `\\?\` goes.
#[must_use]
pub fn taken(path: &[u8]) -> Cow<'_, [u8]> {
    system::taken(path)
}

/// Returns a path as users of this system write it.
#[must_use]
pub fn shown(path: &[u8]) -> Cow<'_, [u8]> {
    system::shown(path)
}

/// Returns a path without links, dots and `\\?\`, with which Windows itself writes such paths.
///
/// # Errors
/// Errors of the operating system.
pub fn canonical(path: &Path) -> io::Result<PathBuf> {
    let path = path.canonicalize().or_else(|error| system::named_only(path, error))?;
    Ok(named(shown(bytes_of(&path))))
}

/// Returns a path as `SQLite` can open it: with `\\?\` if it is too long for Windows otherwise.
#[must_use]
pub fn for_sqlite(path: &Path) -> Cow<'_, Path> {
    system::for_sqlite(path)
}

/// Returns the beginning that every path of a disk has: `/`, or `D:/` and `//server/share/` on Windows. It is empty if the
/// path is not full: where it lies depends on the current folder.
#[must_use]
pub fn root(path: &[u8]) -> &[u8] {
    system::root(path)
}

#[cfg(test)]
#[path = "local_path_tests.rs"]
mod tests;
