//! Files on macOS. Checks only a path's last component for a link, since opening a parent requires read permission.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::super::file_facts::FileSystem;
pub use super::super::unix::files::*;

/// Opens a folder that is not a link.
fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

/// Opens a folder for operations on its entries.
pub fn parent_folder(path: &Path) -> io::Result<OpenFolder> {
    open_folder(path).map(OpenFolder)
}

/// Opens a file that is not a link.
pub fn open(path: &Path, writes: bool) -> io::Result<File> {
    Ok(openat(CWD, path, flags(writes), Mode::empty())?.into())
}

/// Opens the folder itself, since macOS can lock folders.
pub fn lock_of_folder(path: &Path) -> io::Result<File> {
    open_folder(path).map(File::from)
}

pub fn sync_names(path: &Path) -> io::Result<()> {
    sync(&lock_of_folder(path)?)
}

/// Creates one folder with mode 0700 in an existing parent.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    make_private_folder_in(path, OFlags::RDONLY)
}

/// Returns the properties of a directory's file system. If `statfs` fails, memory is treated as not shared.
pub fn disk(directory: &Path) -> FileSystem {
    let Ok(facts) = rustix::fs::statfs(directory) else {
        return FileSystem::default();
    };
    FileSystem {
        // Network file systems do not share memory.
        shares_memory: facts.f_flags & libc::MNT_LOCAL.cast_unsigned() != 0,
        free: Some(facts.f_bavail.saturating_mul(facts.f_bsize.into())),
        ..FileSystem::default()
    }
}
