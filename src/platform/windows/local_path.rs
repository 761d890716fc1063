//! Full paths on Windows, with drives, shares, `\` as the separator, and case-insensitive names.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::files::is_gone;
use super::owner::verbatim;

/// Length from which a path is treated as long, in UTF-16 units. The value is below the limit of 260, since SQLite
/// appends suffixes.
const LONG: usize = 200;

/// Converts a normalized path to the form in which users write paths, with `\` as the separator.
pub fn shown(path: &[u8]) -> Cow<'_, [u8]> {
    with_separator(without_prefix(path), b'\\').into()
}

/// Returns an existing file's absolute path, without resolving links, for a path that the system cannot canonicalize,
/// such as a path on a drive that the system's mount manager does not know. Returns `error`, the error from
/// canonicalizing the path, if the file does not exist.
pub fn absolute_if_exists(path: &Path, error: io::Error) -> io::Result<PathBuf> {
    if is_gone(&error) || fs::metadata(path).is_err() {
        return Err(error);
    }
    std::path::absolute(path)
}

/// Returns the path. Adds the prefix `\\?\` to a long path, since SQLite cannot open the path otherwise.
pub fn for_sqlite(path: &Path) -> Cow<'_, Path> {
    if path.as_os_str().encode_wide().count() < LONG {
        return path.into();
    }
    let Ok(mut long) = verbatim(path) else {
        return path.into();
    };
    long.pop(); // the NUL
    PathBuf::from(OsString::from_wide(&long)).into()
}

/// Removes the prefix `\\?\` (`\\?\UNC\` for a share), which Windows adds to long paths.
fn without_prefix(path: &[u8]) -> Cow<'_, [u8]> {
    match path.strip_prefix(br"\\?\") {
        Some([b'U' | b'u', b'N' | b'n', b'C' | b'c', b'\\', share @ ..]) => [br"\\", share].concat().into(),
        Some(drive_path @ [_, b':', ..]) => drive_path.into(),
        // Other paths with this prefix, such as volume paths, have no shorter form.
        _ => path.into(),
    }
}

/// Replaces all separators in a path with `separator`.
fn with_separator(path: Cow<'_, [u8]>, separator: u8) -> Vec<u8> {
    let mut path = path.into_owned();
    for byte in path.iter_mut().filter(|byte| matches!(byte, b'/' | b'\\')) {
        *byte = separator;
    }
    path
}
