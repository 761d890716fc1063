//! Files that only their owner may read, and what kind of disk they are on.
//!
//! The folder may belong to another user than this process's, as when root in a container works for the user of the
//! host. What that user can put into it must not lead this process elsewhere. So each name is looked up in a descriptor of
//! its folder, no symbolic link is followed, what is made is new, and only what was made here is given away.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{Access, AtFlags, Mode, OFlags, access, mkdirat, openat, renameat, unlinkat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::walk::{ONLY_A_PLACE, open_at_once, walk};
use super::witness::{FileStep, is_on_a_network, tell};

/// The path that the index and C hosts write as these bytes: here the bytes are the path.
#[must_use]
pub fn named(bytes: impl Into<Vec<u8>>) -> PathBuf {
    OsString::from_vec(bytes.into()).into()
}

/// These bytes of a path.
#[must_use]
pub fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// How often a file is looked for that others make and remove meanwhile.
const TURNS: u32 = 8;

/// A file for reading and writing, made with mode 0600 when it is missing.
///
/// # Errors
/// The operating system's; [`io::ErrorKind::AlreadyExists`] when something else than a file has the name.
pub fn private(path: &Path) -> io::Result<File> {
    for _ in 0..TURNS {
        match existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
        let (folder, name) = place(path)?;
        tell(FileStep::Make(path))?;
        match make_in(&folder, name) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {} // another process was faster
            done => return done.map_err(|error| explain(error, path)),
        }
    }
    Err(in_the_way(
        path,
        "made and removed again and again: look for the program that does that",
    ))
}

/// A file that is there, for reading and writing.
///
/// # Errors
/// As [`private`].
pub fn existing(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDWR)
}

/// A file that is there, for reading.
///
/// # Errors
/// As [`private`].
pub fn readable(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDONLY)
}

/// A new file with mode 0600, for writing; what has the name is removed first.
///
/// # Errors
/// As [`private`].
pub fn fresh(path: &Path) -> io::Result<File> {
    let (folder, name) = place(path)?;
    match unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(explain(error.into(), path)),
    }
    tell(FileStep::Make(path))?;
    make_in(&folder, name).map_err(|error| explain(error, path))
}

/// A file of this process alone, which is gone when it is closed. It has the name for a moment.
///
/// # Errors
/// As [`private`].
pub fn unnamed(path: &Path) -> io::Result<File> {
    let file = fresh(path)?;
    remove(path)?;
    Ok(file)
}

/// Fills `to` from a byte of a file on, wherever the file is read or written next.
///
/// # Errors
/// The operating system's; the file ends before.
pub fn read_at(file: &File, to: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, to, at)
}

/// Writes over what a file has from a byte on.
///
/// # Errors
/// The operating system's.
pub fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

/// Forces what was written to a file to the disk.
///
/// # Errors
/// The operating system's.
pub fn sync(file: &File, path: &Path) -> io::Result<()> {
    tell(FileStep::Sync(path))?;
    file.sync_all()
}

/// Forces the names in a folder to the disk.
///
/// # Errors
/// The operating system's.
pub fn sync_names(path: &Path) -> io::Result<()> {
    tell(FileStep::SyncNames(path))?;
    folder(path)?.sync_all()
}

/// A folder, for locking it. It is not made when it is missing.
///
/// # Errors
/// The operating system's.
pub fn folder(path: &Path) -> io::Result<File> {
    walk(path, OFlags::RDONLY)
        .map(File::from)
        .map_err(|error| explain(error, path))
}

/// Removes a file, or a link.
///
/// # Errors
/// As [`private`].
pub fn remove(path: &Path) -> io::Result<()> {
    let (folder, name) = place(path)?;
    tell(FileStep::Remove(path))?;
    unlinkat(&folder, name, AtFlags::empty()).map_err(|error| explain(error.into(), path))
}

/// Gives a file another name in the same folder. What has that name is replaced; a directory that has it is renamed.
///
/// # Errors
/// The operating system's.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (folder, name) = place(to)?;
    tell(FileStep::Rename(from, to))?;
    let from = from.file_name().unwrap_or_default();
    match renameat(&folder, from, &folder, name) {
        Err(Errno::ISDIR | Errno::NOTEMPTY | Errno::EXIST) => {
            let number = u32::from_le_bytes(random()?);
            let aside = format!("{}.{number:x}.broken", name.to_string_lossy());
            renameat(&folder, name, &folder, &aside)?;
            log::warn!("{} was a directory; it is renamed to {aside}", to.display());
            renameat(&folder, from, &folder, name)
        }
        done => done,
    }
    .map_err(Into::into)
}

/// Which file it is, whatever its name: the device, the number on it, and when it was made, where the file system knows. The
/// number of a file that is removed, and open nowhere, goes to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode(u64, u64, Option<SystemTime>);

impl Inode {
    pub(super) fn new(facts: &fs::Metadata) -> Self {
        Self(facts.dev(), facts.ino(), facts.created().ok())
    }

    /// The file that is open here.
    ///
    /// # Errors
    /// The operating system's.
    pub fn of_open(file: &File) -> io::Result<Self> {
        file.metadata().map(|facts| Self::new(&facts))
    }

    /// Other bytes for each file.
    pub(super) fn bytes(&self) -> [u8; 29] {
        let Self(device, number, made) = self;
        let since = made.map(|made| made.duration_since(UNIX_EPOCH));
        let (told, since) = match since {
            None => (0, Duration::ZERO),
            Some(Ok(since)) => (1, since),
            Some(Err(before)) => (2, before.duration()),
        };
        let mut bytes = [told; 29];
        bytes[..8].copy_from_slice(&device.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        bytes[16..24].copy_from_slice(&since.as_secs().to_le_bytes());
        bytes[24..28].copy_from_slice(&since.subsec_nanos().to_le_bytes());
        bytes
    }

    /// The inode that has this name now; links are not followed.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|facts| Self::new(&facts))
    }

    /// The inode that a name leads to; links are followed.
    #[must_use]
    pub fn behind(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|facts| Self::new(&facts))
    }
}

/// The files that have these names in a folder now; `None` without one.
///
/// # Errors
/// As [`private`].
pub fn regular<const N: usize>(folder: &Path, names: [&Path; N]) -> io::Result<[Option<Inode>; N]> {
    // It is no link, nor in a place behind one.
    match walk(folder, ONLY_A_PLACE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok([None; N]),
        walked => walked.map_err(|error| explain(error, folder))?,
    };
    let mut found = [None; N];
    for (found, name) in found.iter_mut().zip(names) {
        match fs::symlink_metadata(name) {
            Ok(facts) if facts.is_file() => *found = Some(Inode::new(&facts)),
            Ok(facts) => return Err(no_file(name, &facts)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Makes a directory and its parents with mode 0700; an existing one is left as it is. Links that are there already are
/// followed: the host that names the folder says what is meant.
///
/// # Errors
/// The operating system's.
pub fn private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    // Each in turn, so that each belongs to the owner of the one above it.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        private_dir(parent)?;
    }
    let here = Path::new(".");
    let flags = ONLY_A_PLACE | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let above = openat(rustix::fs::CWD, parent.unwrap_or(here), flags, Mode::empty())?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    match mkdirat(&above, name, Mode::RWXU) {
        // Another process was faster; or it is a file, and then using it fails.
        Err(Errno::EXIST) if path.is_dir() => return Ok(()),
        made => made?,
    }
    // The host's mask may have taken rights of its own user. Where that cannot be put right, what follows says so. rustix does
    // not change the rights of what is no link, as it has no such system call.
    let c_name = CString::new(name.as_bytes())?;
    // SAFETY: a plain call with an open descriptor and a NUL-terminated name.
    unsafe { libc::fchmodat(above.as_raw_fd(), c_name.as_ptr(), 0o700, libc::AT_SYMLINK_NOFOLLOW) };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    give_to_owner(&openat(&above, name, flags, Mode::empty())?.into(), &above);
    Ok(())
}

/// The folder of a file, and the file's name in it.
fn place(path: &Path) -> io::Result<(OwnedFd, &OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let opened = walk(folder, ONLY_A_PLACE).map_err(|error| explain(error, folder))?;
    Ok((opened, name))
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    // A pipe would be waited for.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = open_at_once(path, flags).unwrap_or_else(|| {
        let (folder, name) = place(path)?;
        Ok(openat(&folder, name, flags, Mode::empty())?)
    });
    let file = File::from(opened.map_err(|error| explain(error, path))?);
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(no_file(path, &facts));
    }
    Ok(file)
}

fn make_in(folder: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?);
    // The host's mask may have taken rights of its own user, who opens it again later.
    let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
    give_to_owner(&file, folder);
    Ok(file)
}

/// When root (in a container) made this, hands it to whom its directory belongs: the host's own user must be able to
/// go on without root. Failure is fine: then nothing is worse than before.
fn give_to_owner(made: &File, folder: &OwnedFd) {
    if !geteuid().is_root() {
        return;
    }
    let owner = folder.try_clone().map(File::from).and_then(|folder| folder.metadata());
    if let Ok(owner) = owner
        && owner.uid() != 0
    {
        let _ = fchown(made, Some(owner.uid()), Some(owner.gid()));
    }
}

/// Says which name on the way, or at the end, is something else than it should be.
fn explain(error: io::Error, path: &Path) -> io::Error {
    let wrong = [
        libc::ELOOP,
        libc::EMLINK,
        libc::EISDIR,
        libc::ENOTDIR,
        libc::ENXIO,
        libc::EPERM,
    ];
    if !error.raw_os_error().is_some_and(|code| wrong.contains(&code)) {
        return error;
    }
    let link = path
        .ancestors()
        .find(|name| fs::symlink_metadata(name).is_ok_and(|facts| facts.is_symlink()));
    if let Some(link) = link {
        return in_the_way(link, "a symbolic link: remove it");
    }
    match fs::symlink_metadata(path) {
        Ok(facts) if !facts.is_file() => no_file(path, &facts),
        _ => error,
    }
}

/// Whether the error says that there is no room left on the disk, or none for this user.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Whether the error says that something else than a file of ours has the name.
#[must_use]
pub fn is_in_the_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists && error.raw_os_error().is_none()
}

fn in_the_way(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is {what}", path.display()))
}

fn no_file(path: &Path, facts: &fs::Metadata) -> io::Error {
    let kind = facts.file_type();
    let what = if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a pipe"
    } else {
        "no regular file"
    };
    in_the_way(path, &format!("{what}: remove it"))
}

/// The file system of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Its kind, such as `ext4`; a number where it has no name here, `None` where the system does not say.
    pub kind: Option<String>,
    /// Whether memory shared between processes, and so WAL, can be relied upon: not on network file systems and FUSE unions.
    pub shares_memory: bool,
    /// Whether the clock of [`file_clock`](super::clock::file_clock) says when a file changed: with Linux, on local file systems
    /// that are known here.
    pub has_our_clock: bool,
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

/// Returns the file system of this directory.
#[must_use]
pub fn disk(directory: &Path) -> Disk {
    let local = Disk {
        shares_memory: true,
        ..Disk::default()
    };
    #[cfg(target_os = "linux")]
    {
        let Ok(facts) = rustix::fs::statfs(directory) else {
            return local;
        };
        #[allow(clippy::unnecessary_cast, clippy::cast_lossless, clippy::cast_possible_wrap)]
        // its type differs by platform
        let number = (facts.f_type as i64) & 0xFFFF_FFFF;
        let known = KINDS.iter().find(|(kind, ..)| *kind == number);
        #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // theirs too
        let free = (facts.f_bavail as u64).checked_mul(facts.f_bsize as u64);
        Disk {
            kind: Some(known.map_or_else(|| format!("{number:#x}"), |(_, name, _)| (*name).to_owned())),
            shares_memory: known.is_none_or(|(.., shares)| *shares) && !is_on_a_network(),
            has_our_clock: known.is_some_and(|(.., shares)| *shares),
            free,
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = directory;
        Disk {
            shares_memory: !is_on_a_network(),
            ..local
        }
    }
}

/// Whether an error says that there certainly is no such file: no right to look, or a mount that does not answer, says nothing.
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    const GONE: [i32; 4] = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::ENAMETOOLONG];
    error.raw_os_error().is_some_and(|number| GONE.contains(&number))
}

/// Whether this user may read a file, by its rights: it is not opened.
#[must_use]
pub fn may_read(path: &Path) -> bool {
    access(path, Access::READ_OK).is_ok()
}

/// That this user may make files in a folder, by its rights and its mount: none is made.
///
/// # Errors
/// Why not.
pub fn expect_writable(folder: &Path) -> io::Result<()> {
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Random bytes from the operating system.
///
/// # Errors
/// The operating system's.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
