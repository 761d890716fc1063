//! Converts between the host's paths and the bytes that the index uses.

use std::path::{Path, PathBuf};

use crate::platform::files;

/// Returns the bytes of a path, as the index stores them.
pub fn bytes_of<P: AsRef<Path> + ?Sized>(path: &P) -> &[u8] {
    files::bytes_of(path.as_ref())
}

/// Converts bytes to a path.
pub fn path_of(bytes: impl Into<Vec<u8>>) -> PathBuf {
    files::path_from_bytes(bytes)
}
