//! Opening by a path on which no name is a symbolic link.

use std::ffi::{CStr, CString, OsStr};
use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::fd::AsRawFd;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::path::Component;
use std::path::Path;

/// A descriptor that only names in it are looked up with: needs no right to read.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub const ONLY_A_PLACE: libc::c_int = libc::O_PATH;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub const ONLY_A_PLACE: libc::c_int = libc::O_RDONLY;

/// Opens a folder by its path without following a link: a user who may rename a folder on the way could put one there.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub fn walk(path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    #[cfg(target_os = "linux")]
    match open_without_links(path, flags | libc::O_DIRECTORY) {
        Err(error) if is_missing(&error) => {}
        done => return done,
    }
    walk_stepwise(path, flags)
}

/// Opens what has this path in one call, if no name on the way and at the end is a link. Before Linux 5.6, and in some
/// containers, there is no such call ([`is_missing`]).
#[cfg(target_os = "linux")]
fn open_without_links(path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    let name = c_name(path.as_os_str())?;
    // SAFETY: a struct of integers, for which 0 is a value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::from((flags | libc::O_NOFOLLOW | libc::O_CLOEXEC).cast_unsigned());
    how.resolve = libc::RESOLVE_NO_SYMLINKS;
    let (how, size) = (&raw const how, size_of::<libc::open_how>());
    // SAFETY: a plain call with a NUL-terminated name, and a struct of that size which outlives it.
    let opened = unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, name.as_ptr(), how, size) };
    let opened = RawFd::try_from(opened).unwrap_or(-1);
    if opened < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened just now, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}

/// Whether the error says that the system has no such call: a container that does not know it refuses it.
#[cfg(target_os = "linux")]
fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM))
}

/// The same as [`walk`], step by step.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn walk_stepwise(path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    let step = |from: &OwnedFd, name: &OsStr, flags| {
        open_at(
            from.as_raw_fd(),
            &c_name(name)?,
            flags | libc::O_DIRECTORY | libc::O_NOFOLLOW,
        )
    };
    let start = if path.is_absolute() { c"/" } else { c"." };
    let mut here = open_at(libc::AT_FDCWD, start, ONLY_A_PLACE | libc::O_DIRECTORY)?;
    for component in path.components() {
        if !matches!(component, Component::RootDir | Component::CurDir) {
            here = step(&here, component.as_os_str(), ONLY_A_PLACE)?;
        }
    }
    if flags == ONLY_A_PLACE {
        return Ok(here);
    }
    step(&here, OsStr::new("."), flags)
}

/// Opens a folder by its path. Only its last name must be no link: elsewhere each step would need the right to read.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub fn walk(path: &Path, flags: libc::c_int) -> io::Result<OwnedFd> {
    open_at(
        libc::AT_FDCWD,
        &c_name(path.as_os_str())?,
        flags | libc::O_DIRECTORY | libc::O_NOFOLLOW,
    )
}

/// Opens a file by its path without following a link, nor one in the place of the file. `None` where the system has no such
/// call: the caller walks to the folder.
pub fn open_at_once(path: &Path, flags: libc::c_int) -> Option<io::Result<OwnedFd>> {
    #[cfg(target_os = "linux")]
    match open_without_links(path, flags) {
        Err(error) if is_missing(&error) => None,
        done => Some(done),
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (path, flags);
        None
    }
}

pub fn c_name(name: &OsStr) -> io::Result<CString> {
    Ok(CString::new(name.as_bytes())?)
}

pub fn open_at(folder: RawFd, name: &CStr, flags: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: a plain call with a descriptor that is open, or AT_FDCWD, and a NUL-terminated name.
    let opened = unsafe { libc::openat(folder, name.as_ptr(), flags | libc::O_CLOEXEC, 0o600 as libc::c_uint) };
    if opened < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened just now, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(opened) })
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
