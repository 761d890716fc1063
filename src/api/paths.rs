//! Paths in and out. The index knows bytes: those of Unix, and the server's text.

use std::path::{Path, PathBuf};

use crate::platform::files;

pub fn bytes_of<P: AsRef<Path> + ?Sized>(path: &P) -> &[u8] {
    files::bytes_of(path.as_ref())
}

pub fn path_of(bytes: impl Into<Vec<u8>>) -> PathBuf {
    files::named(bytes)
}
