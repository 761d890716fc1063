//! Opens paths without following symbolic links.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// Flags for a descriptor that is used only to look up names, which requires no read permission.
pub const LOOKUP_ONLY: OFlags = OFlags::PATH;

/// Flags for opening a folder that is not a link.
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a folder without following links, since a user who can rename a folder in the path could replace the folder
/// with a link. `flags`: the access to the folder, such as [`LOOKUP_ONLY`].
pub fn open_folder(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    open_with_openat2(path, flags | OFlags::DIRECTORY).unwrap_or_else(|| open_folder_stepwise(path, flags))
}

/// Opens a folder component by component without following links, for kernels without `openat2`. Uses `flags` only for
/// the last component.
fn open_folder_stepwise(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let start = if path.is_absolute() { "/" } else { "." };
    let mut folder = openat(CWD, start, LOOKUP_ONLY | FOLDER, Mode::empty())?;
    for component in path.components() {
        if !matches!(component, Component::RootDir | Component::CurDir) {
            folder = openat(&folder, component.as_os_str(), LOOKUP_ONLY | FOLDER, Mode::empty())?;
        }
    }
    if flags == LOOKUP_ONLY {
        return Ok(folder);
    }
    Ok(openat(&folder, ".", flags | FOLDER, Mode::empty())?)
}

/// Opens a path with one system call, which fails if any component is a link. Returns `None` if the system call is not
/// available (before Linux 5.6, and in some containers).
pub fn open_with_openat2(path: &Path, flags: OFlags) -> Option<io::Result<OwnedFd>> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOSYS | Errno::PERM) => None,
        opened => Some(opened.map_err(Into::into)),
    }
}

#[cfg(test)]
#[path = "open_no_follow_tests.rs"]
mod tests;
