//! Converts paths of the host from and to the bytes that the index uses.

use std::path::{Path, PathBuf};

use crate::platform::files;

pub fn bytes_of<P: AsRef<Path> + ?Sized>(path: &P) -> &[u8] {
    files::bytes_of(path.as_ref())
}

pub fn path_of(bytes: impl Into<Vec<u8>>) -> PathBuf {
    files::named(bytes)
}
