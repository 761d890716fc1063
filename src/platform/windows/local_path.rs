//! Drives, servers, `\`, and names in any case.

use std::borrow::Cow;
use std::ffi::OsString;
use std::os::windows::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::{fs, io};

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::Storage::FileSystem::{FindClose, FindFirstFileW, WIN32_FIND_DATAW};

use super::files::{is_gone, named};
use super::owner::verbatim;

/// Length from which a path counts as long: some characters below the limit of 260, as names are appended.
const LONG: usize = 200;

pub fn taken(path: &[u8]) -> Cow<'_, [u8]> {
    let mut path = with_separator(without_prefix(path), b'/');
    if let [drive @ b'a'..=b'z', b':', ..] = &mut *path {
        drive.make_ascii_uppercase();
    }
    if let Some(length) = share_length(&path) {
        path[..length].make_ascii_lowercase();
        // A root ends with `/`.
        if length == path.len() && !path.ends_with(b"/") {
            path.push(b'/');
        }
    }
    with_names_of_disk(&path).into()
}

pub fn shown(path: &[u8]) -> Cow<'_, [u8]> {
    with_separator(without_prefix(path), b'\\').into()
}

/// Drives that the system's mount manager does not know have no canonical name: links in the path stay.
pub fn named_only(path: &Path, error: io::Error) -> io::Result<PathBuf> {
    if is_gone(&error) || fs::metadata(path).is_err() {
        return Err(error);
    }
    std::path::absolute(path)
}

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

pub fn root(path: &[u8]) -> &[u8] {
    match path {
        [b'a'..=b'z' | b'A'..=b'Z', b':', b'/', ..] => &path[..3],
        _ => &path[..share_length(path).unwrap_or(0)],
    }
}

/// Removes `\\?\`, with which Windows itself writes long paths.
fn without_prefix(path: &[u8]) -> Cow<'_, [u8]> {
    match path.strip_prefix(br"\\?\") {
        Some([b'U' | b'u', b'N' | b'n', b'C' | b'c', b'\\', rest @ ..]) => [br"\\", rest].concat().into(),
        Some(rest @ [_, b':', ..]) => rest.into(),
        // Other names of this form, such as those of volumes, have no shorter one.
        _ => path.into(),
    }
}

fn with_separator(path: Cow<'_, [u8]>, separator: u8) -> Vec<u8> {
    let mut path = path.into_owned();
    for byte in path.iter_mut().filter(|byte| matches!(byte, b'/' | b'\\')) {
        *byte = separator;
    }
    path
}

/// Returns the length of the share that a path begins with: that of `//server/share/`, or without the last `/`.
fn share_length(path: &[u8]) -> Option<usize> {
    let mut names = path.strip_prefix(b"//")?.splitn(3, |byte| *byte == b'/');
    let (server, share) = (names.next()?, names.next()?);
    let is_share = !server.is_empty() && !share.is_empty();
    is_share.then(|| 3 + server.len() + share.len() + usize::from(names.next().is_some()))
}

/// Replaces names by those on the disk, since the same name may be written in several cases. From the first name that is
/// not there all stay as they are.
fn with_names_of_disk(path: &[u8]) -> Vec<u8> {
    let root = root(path);
    let mut known = root.to_vec();
    let mut looks = !root.is_empty();
    for (at, name) in path[root.len()..].split(|byte| *byte == b'/').enumerate() {
        if at > 0 {
            known.push(b'/');
        }
        let begin = known.len();
        known.extend(name);
        // `.` and `..` are no names, and these characters stand for others.
        looks &= !matches!(name, b"" | b"." | b"..") && !name.iter().any(|byte| br#"*?<>""#.contains(byte));
        if looks {
            match name_on_disk(&known) {
                Some(name) => known.splice(begin.., name).for_each(drop),
                None => looks = false,
            }
        }
    }
    known
}

/// Returns the last name of a path as it is on the disk.
fn name_on_disk(path: &[u8]) -> Option<Vec<u8>> {
    let path = verbatim(&named(path.to_vec())).ok()?;
    let mut found = WIN32_FIND_DATAW::default();
    // SAFETY: the path ends in a NUL, the call fills in a struct of ours, and its handle is closed once.
    unsafe {
        let handle = FindFirstFileW(path.as_ptr(), &raw mut found);
        if handle == INVALID_HANDLE_VALUE {
            return None;
        }
        FindClose(handle);
    }
    let end = found.cFileName.iter().position(|unit| *unit == 0)?;
    Some(OsString::from_wide(&found.cFileName[..end]).into_encoded_bytes())
}
