//! Opens paths without following symbolic links.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// Flags of a descriptor that only serves to look up names, which requires no read permission.
pub const ONLY_A_PLACE: OFlags = OFlags::PATH;

/// Flags for opening a folder that is not a link.
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a folder without following links, since a user who may rename a folder in the path could replace it by a link.
/// `flags`: the access to the folder.
pub fn walk(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    open_at_once(path, flags | OFlags::DIRECTORY).unwrap_or_else(|| walk_stepwise(path, flags))
}

/// Does the work of [`walk`] component by component, for kernels without `openat2`.
fn walk_stepwise(path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let start = if path.is_absolute() { "/" } else { "." };
    let mut here = openat(CWD, start, ONLY_A_PLACE | FOLDER, Mode::empty())?;
    for component in path.components() {
        if !matches!(component, Component::RootDir | Component::CurDir) {
            here = openat(&here, component.as_os_str(), ONLY_A_PLACE | FOLDER, Mode::empty())?;
        }
    }
    if flags == ONLY_A_PLACE {
        return Ok(here);
    }
    Ok(openat(&here, ".", flags | FOLDER, Mode::empty())?)
}

/// Opens a path with one system call, which fails if any component is a link. `None` if the system call is missing
/// (before Linux 5.6, in some containers).
pub fn open_at_once(path: &Path, flags: OFlags) -> Option<io::Result<OwnedFd>> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOSYS | Errno::PERM) => None,
        opened => Some(opened.map_err(Into::into)),
    }
}

#[cfg(test)]
#[path = "open_no_follow_tests.rs"]
mod tests;
