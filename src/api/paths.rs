//! Paths in and out. The index knows bytes: those of Unix, and the server's text.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

pub fn bytes_of<P: AsRef<Path> + ?Sized>(path: &P) -> &[u8] {
    path.as_ref().as_os_str().as_bytes()
}

pub fn path_of(bytes: impl Into<Vec<u8>>) -> PathBuf {
    OsString::from_vec(bytes.into()).into()
}

/// What an empty text stands for below.
pub fn known(text: impl Into<String>) -> Option<String> {
    Some(text.into()).filter(|text| !text.is_empty())
}
