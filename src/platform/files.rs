//! Files that nobody else may read, and what kind of disk they are on.

use std::ffi::CString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::path::Path;

/// Opens a file for reading and writing, made with mode 0600 when it is missing.
///
/// # Errors
/// The operating system's.
pub fn private(path: &Path) -> io::Result<File> {
    let made = !path.exists();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if made {
        give_to_owner(path);
    }
    Ok(file)
}

/// Makes a directory and its parents with mode 0700; an existing one is left as it is.
///
/// # Errors
/// The operating system's.
pub fn private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    // Each in turn, so that each belongs to the owner of the one above it.
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        private_dir(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => give_to_owner(path),
        // Another process was faster; or it is a file, and then whoever uses it will see.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// When root (in a container) made `path`, hands it to whom its directory belongs: the host's own user must be able to
/// go on without root. Failure is fine: then nothing is worse than before.
pub fn give_to_owner(path: &Path) {
    // SAFETY: takes no argument and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return;
    }
    if let Some(parent) = path.parent()
        && let Ok(owner) = parent.metadata()
        && owner.uid() != 0
    {
        let _ = chown(path, Some(owner.uid()), Some(owner.gid()));
    }
}

/// What a directory's file system is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Its kind, such as `ext4`; a number where it has no name here, `None` where the system does not say.
    pub kind: Option<String>,
    /// Whether memory shared between processes can be relied upon.
    pub shares_memory: bool,
    /// Bytes that are left for this user.
    pub free: Option<u64>,
}

/// Kinds of file systems by statfs(2)'s number, and whether memory shared between processes can be relied upon there. An
/// unknown one is taken for a local one.
#[cfg(target_os = "linux")]
const KINDS: &[(i64, &str, bool)] = &[
    (0x6969, "NFS", false),
    (0x517B, "SMB", false),
    (0xFF53_4D42, "CIFS", false),
    (0xFE53_4D42, "SMB2", false),
    (0x6573_5546, "FUSE", false),
    (0x0102_1997, "9P", false),
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

/// What file system this directory is on.
#[must_use]
pub fn disk(directory: &Path) -> Disk {
    let local = Disk {
        shares_memory: true,
        ..Disk::default()
    };
    let Ok(name) = CString::new(directory.as_os_str().as_bytes()) else {
        return Disk::default();
    };
    #[cfg(target_os = "linux")]
    {
        // SAFETY: `name` is NUL-terminated, and the struct is plain data that the call fills in.
        let facts = unsafe {
            let mut facts: libc::statfs = std::mem::zeroed();
            if libc::statfs(name.as_ptr(), &raw mut facts) != 0 {
                return local;
            }
            facts
        };
        #[allow(clippy::unnecessary_cast, clippy::cast_lossless)] // its type differs by platform
        let number = (facts.f_type as i64) & 0xFFFF_FFFF;
        let known = KINDS.iter().find(|(kind, ..)| *kind == number);
        #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // theirs too
        let free = (facts.f_bavail as u64).checked_mul(facts.f_bsize as u64);
        Disk {
            kind: Some(known.map_or_else(|| format!("{number:#x}"), |(_, name, _)| (*name).to_owned())),
            shares_memory: known.is_none_or(|(.., shares)| *shares),
            free,
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = name;
        local
    }
}

/// Whether memory shared between processes, and so WAL, can be relied upon in this directory: not on network file
/// systems and FUSE unions.
#[must_use]
pub fn shares_memory(directory: &Path) -> bool {
    disk(directory).shares_memory
}

/// Random bytes from the operating system.
///
/// # Errors
/// The operating system's.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    use std::io::Read;
    let mut bytes = [0; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}
