//! Full paths on Windows, with drives, shares, `\` as the separator, and case-insensitive names.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Storage::FileSystem::{FindClose, FindFirstFileW, WIN32_FIND_DATAW};

use super::files::{is_gone, named};
use super::owner::verbatim;

/// Length from which a path is treated as long, in UTF-16 units. The value is below the limit of 260, since SQLite
/// appends suffixes.
const LONG: usize = 200;

/// Normalizes a path from the host: replaces separators with `/`, removes the prefix `\\?\`, and changes names to their
/// case on disk.
pub fn normalize_host_path(path: &[u8]) -> Cow<'_, [u8]> {
    let mut path = with_separator(without_prefix(path), b'/');
    if let [drive @ b'a'..=b'z', b':', ..] = &mut *path {
        drive.make_ascii_uppercase();
    }
    if let Some(length) = share_length(&path) {
        path[..length].make_ascii_lowercase();
        // A root ends in `/`.
        if length == path.len() && !path.ends_with(b"/") {
            path.push(b'/');
        }
    }
    with_case_on_disk(&path).into()
}

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

/// Returns a path's root, such as `D:/` or `//server/share/`; an empty slice for a relative path.
pub fn root(path: &[u8]) -> &[u8] {
    match path {
        [b'a'..=b'z' | b'A'..=b'Z', b':', b'/', ..] => &path[..3],
        _ => &path[..share_length(path).unwrap_or(0)],
    }
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

/// Returns the length of `//server/share/` at the start of a path, including the last `/` if it is present; `None` if
/// the path does not start with a share.
fn share_length(path: &[u8]) -> Option<usize> {
    let mut names = path.strip_prefix(b"//")?.splitn(3, |byte| *byte == b'/');
    let (server, share) = (names.next()?, names.next()?);
    let is_share = !server.is_empty() && !share.is_empty();
    // 3: the slashes before and after the server's name.
    is_share.then(|| 3 + server.len() + share.len() + usize::from(names.next().is_some()))
}

/// Changes the names in a path to their case on disk. Leaves the first missing name and all later names unchanged.
fn with_case_on_disk(path: &[u8]) -> Vec<u8> {
    let root = root(path);
    let mut normalized = root.to_vec();
    let mut exists = !root.is_empty();
    for (index, name) in path[root.len()..].split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            normalized.push(b'/');
        }
        let name_offset = normalized.len();
        normalized.extend(name);
        // Skip dots, and names with wildcards for FindFirstFile.
        exists &= !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| br#"*?<>""#.contains(byte));
        if exists {
            match name_on_disk(&normalized) {
                Some(name) => normalized.splice(name_offset.., name).for_each(drop),
                None => exists = false,
            }
        }
    }
    normalized
}

/// Returns the last name in a path, in its case on disk; `None` if the path does not exist.
fn name_on_disk(path: &[u8]) -> Option<Vec<u8>> {
    let path = verbatim(&named(path.to_vec())).ok()?;
    let mut found = WIN32_FIND_DATAW::default();
    // SAFETY: the path ends with a NUL, the call fills in a local struct, and the handle is closed once.
    unsafe {
        let handle = FindFirstFileW(path.as_ptr(), &raw mut found);
        if handle == INVALID_HANDLE_VALUE {
            return None;
        }
        FindClose(handle);
    }
    let name_length = found.cFileName.iter().position(|unit| *unit == 0)?;
    Some(OsString::from_wide(&found.cFileName[..name_length]).into_encoded_bytes())
}
