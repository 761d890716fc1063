//! Full paths on Unix, which need no conversion.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

/// Returns the path unchanged, since users write paths in this form.
pub fn shown(path: &[u8]) -> Cow<'_, [u8]> {
    path.into()
}

/// Returns the error from canonicalizing a path, since every existing path has a canonical name on Unix.
pub fn absolute_if_exists(_: &Path, error: io::Error) -> io::Result<PathBuf> {
    Err(error)
}

/// Returns the path unchanged, since SQLite can open any path.
pub fn for_sqlite(path: &Path) -> Cow<'_, Path> {
    path.into()
}
