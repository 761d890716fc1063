//! Full paths on Unix, which need no conversion.

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

pub fn normalize_host_path(path: &[u8]) -> Cow<'_, [u8]> {
    path.into()
}

pub fn shown(path: &[u8]) -> Cow<'_, [u8]> {
    path.into()
}

pub fn named_only(_: &Path, error: io::Error) -> io::Result<PathBuf> {
    Err(error)
}

pub fn for_sqlite(path: &Path) -> Cow<'_, Path> {
    path.into()
}

pub fn root(path: &[u8]) -> &[u8] {
    &path[..usize::from(path.starts_with(b"/"))]
}
