//! Files and file systems on Linux.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat};

use super::super::file_facts::FileSystem;
pub use super::super::unix::files::*;
use super::open_no_follow::{LOOKUP_ONLY, open_folder, open_with_openat2};

/// Opens a folder for operations on its entries, without following links.
pub fn parent_folder(path: &Path) -> io::Result<OpenFolder> {
    open_folder(path, LOOKUP_ONLY).map(OpenFolder)
}

/// Opens a file for reading, and also for writing if `writes` is `true`, without following links in its path. Falls
/// back to opening folder by folder if the kernel lacks `openat2`.
pub fn open(path: &Path, writes: bool) -> io::Result<File> {
    let opened = open_with_openat2(path, flags(writes)).unwrap_or_else(|| {
        let parent = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = open_folder(parent.unwrap_or(Path::new(".")), LOOKUP_ONLY)?;
        let name = path.file_name().unwrap_or_default();
        Ok(openat(&folder, name, flags(writes), Mode::empty())?)
    });
    opened.map(File::from)
}

/// Opens the folder itself, since Linux can lock folders.
pub fn lock_of_folder(path: &Path) -> io::Result<File> {
    open_folder(path, OFlags::RDONLY).map(File::from)
}

/// Syncs the names in a folder to disk.
pub fn sync_names(path: &Path) -> io::Result<()> {
    lock_of_folder(path)?.sync_all()
}

/// Creates one folder with mode 0700 in an existing parent.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    make_private_folder_in(path, LOOKUP_ONLY)
}

/// File system types: number in statfs(2), name, and whether processes can share memory through a file. Unknown file
/// systems are treated as local.
const KINDS: &[(i64, &str, bool)] = &[
    (0x6969, "NFS", false),
    (0x517B, "SMB", false),
    (0xFF53_4D42, "CIFS", false),
    (0xFE53_4D42, "SMB2", false),
    (0x6573_5546, "FUSE", false),
    (0x0102_1997, "9P", false),
    (0x786F_4256, "VirtualBox's shared folders", false),
    (0xBACB_ACBC, "VMware's shared folders", false),
    (0x7375_7245, "Coda", false),
    (0x5346_414F, "AFS", false),
    (0x00C3_6400, "Ceph", false),
    (0xEF53, "ext4", true),
    (0x5846_5342, "XFS", true),
    (0x9123_683E, "btrfs", true),
    (0x2FC1_2FC1, "ZFS", true),
    (0xF2F5_2010, "F2FS", true),
    (0xCA45_1A4E, "bcachefs", true),
    (0x0102_1994, "tmpfs", true),
    (0x794C_7630, "overlayfs", true),
    (0xF15F, "eCryptfs", true),
    (0x4D44, "FAT", true),
    (0x2011_BAB0, "exFAT", true),
    (0x7366_746E, "NTFS", true),
];

/// Returns the properties of a directory's file system. If the system does not report the properties, the file system
/// is treated as local.
pub fn disk(directory: &Path) -> FileSystem {
    let Ok(facts) = rustix::fs::statfs(directory) else {
        return FileSystem {
            shares_memory: true,
            ..FileSystem::default()
        };
    };
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless, clippy::cast_possible_wrap)]
    // the type differs by processor, and a 32-bit number may be sign-extended
    let number = (facts.f_type as i64) & 0xFFFF_FFFF;
    let known = KINDS.iter().find(|(kind, ..)| *kind == number);
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless, clippy::cast_sign_loss)] // so do these types
    let free = (facts.f_bavail as u64).checked_mul(facts.f_bsize as u64);
    FileSystem {
        kind: Some(known.map_or_else(|| format!("{number:#x}"), |(_, name, _)| (*name).to_owned())),
        shares_memory: known.is_none_or(|(.., shares)| *shares),
        free,
    }
}
