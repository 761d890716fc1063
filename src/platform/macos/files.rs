//! Files. Only the last name of a path is checked for a link, because opening each folder above would need the right to
//! read it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::super::file_facts::Disk;
pub use super::super::unix::files::*;

fn open_folder(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(CWD, path, flags, Mode::empty())?)
}

pub fn parent_folder(path: &Path) -> io::Result<OpenFolder> {
    open_folder(path).map(OpenFolder)
}

pub fn open(path: &Path, writes: bool) -> io::Result<File> {
    Ok(openat(CWD, path, flags(writes), Mode::empty())?.into())
}

pub fn lock_of_folder(path: &Path) -> io::Result<File> {
    open_folder(path).map(File::from)
}

pub fn sync_names(path: &Path) -> io::Result<()> {
    sync(&lock_of_folder(path)?)
}

pub fn make_private_folder(path: &Path) -> io::Result<()> {
    make_private_folder_in(path, OFlags::RDONLY)
}

pub fn disk(directory: &Path) -> Disk {
    let Ok(told) = rustix::fs::statfs(directory) else {
        return Disk::default();
    };
    Disk {
        // Memory is not shared between machines.
        shares_memory: told.f_flags & libc::MNT_LOCAL.cast_unsigned() != 0,
        free: Some(told.f_bavail.saturating_mul(told.f_bsize.into())),
        ..Disk::default()
    }
}
