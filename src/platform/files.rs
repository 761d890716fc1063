//! Files that only their owner may read, and properties of file systems.
//!
//! The folder may belong to another user than the process, for example if root in a container works for a user of the
//! host. No file or link of that user may redirect this process. So names are looked up in a descriptor of their
//! folder, symbolic links are not followed, files are created exclusively, and only files created here change owner.

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

use super::failpoint::{FileStep, is_network_simulated, reach};
use super::walk::{ONLY_A_PLACE, open_at_once, walk};

/// Returns the path with these bytes.
#[must_use]
pub fn named(bytes: impl Into<Vec<u8>>) -> PathBuf {
    OsString::from_vec(bytes.into()).into()
}

/// Returns the bytes of a path.
#[must_use]
pub fn bytes_of(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// Maximum number of attempts if other processes create and remove the file meanwhile.
const CREATE_ATTEMPTS: u32 = 8;

/// Opens a file for reading and writing; creates it with mode 0600 if it is missing.
///
/// # Errors
/// Errors of the operating system; [`io::ErrorKind::AlreadyExists`] if the name is not that of a file.
pub fn open_or_create(path: &Path) -> io::Result<File> {
    for _ in 0..CREATE_ATTEMPTS {
        match existing(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => return done,
        }
        let (folder, name) = open_parent(path)?;
        reach(FileStep::Make(path))?;
        match create_in(&folder, name) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {} // another process was faster
            done => return done.map_err(|error| name_obstacle(error, path)),
        }
    }
    Err(in_the_way(
        path,
        "made and removed again and again: look for the program that does that",
    ))
}

/// Opens an existing file for reading and writing.
///
/// # Errors
/// As [`open_or_create`].
pub fn existing(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDWR)
}

/// Opens an existing file for reading.
///
/// # Errors
/// As [`open_or_create`].
pub fn readable(path: &Path) -> io::Result<File> {
    open(path, OFlags::RDONLY)
}

/// Creates a file with mode 0600 for writing; removes an existing one first.
///
/// # Errors
/// As [`open_or_create`].
pub fn fresh(path: &Path) -> io::Result<File> {
    let (folder, name) = open_parent(path)?;
    match unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(name_obstacle(error.into(), path)),
    }
    reach(FileStep::Make(path))?;
    create_in(&folder, name).map_err(|error| name_obstacle(error, path))
}

/// Creates a temporary file and removes its name at once.
///
/// # Errors
/// As [`open_or_create`].
pub fn unnamed(path: &Path) -> io::Result<File> {
    let file = fresh(path)?;
    remove(path)?;
    Ok(file)
}

/// Fills `to` from this offset, without moving the file position.
///
/// # Errors
/// Errors of the operating system; the end of the file.
pub fn read_at(file: &File, to: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, to, at)
}

/// Overwrites bytes at this offset.
///
/// # Errors
/// Errors of the operating system.
pub fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

/// Syncs a file to disk.
///
/// # Errors
/// Errors of the operating system.
pub fn sync(file: &File, path: &Path) -> io::Result<()> {
    reach(FileStep::Sync(path))?;
    file.sync_all()
}

/// Syncs the names in a folder to disk.
///
/// # Errors
/// Errors of the operating system.
pub fn sync_names(path: &Path) -> io::Result<()> {
    reach(FileStep::SyncNames(path))?;
    folder(path)?.sync_all()
}

/// Opens an existing folder, for locking it.
///
/// # Errors
/// Errors of the operating system.
pub fn folder(path: &Path) -> io::Result<File> {
    walk(path, OFlags::RDONLY)
        .map(File::from)
        .map_err(|error| name_obstacle(error, path))
}

/// Removes a file, or a link.
///
/// # Errors
/// As [`open_or_create`].
pub fn remove(path: &Path) -> io::Result<()> {
    let (folder, name) = open_parent(path)?;
    reach(FileStep::Remove(path))?;
    unlinkat(&folder, name, AtFlags::empty()).map_err(|error| name_obstacle(error.into(), path))
}

/// Renames a file within its folder. Replaces an existing file; renames an existing directory to `.broken`.
///
/// # Errors
/// Errors of the operating system.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let (folder, name) = open_parent(to)?;
    reach(FileStep::Rename(from, to))?;
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

/// The identity of a file: device, inode and creation time if known. The inode of a removed and closed file may be
/// reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode(u64, u64, Option<SystemTime>);

impl Inode {
    pub(super) fn new(facts: &fs::Metadata) -> Self {
        Self(facts.dev(), facts.ino(), facts.created().ok())
    }

    /// Returns the identity of an open file.
    ///
    /// # Errors
    /// Errors of the operating system.
    pub fn of_open(file: &File) -> io::Result<Self> {
        file.metadata().map(|facts| Self::new(&facts))
    }

    /// Encodes the identity; different files have different bytes.
    pub(super) fn bytes(&self) -> [u8; 29] {
        let Self(device, number, made) = self;
        let since = made.map(|made| made.duration_since(UNIX_EPOCH));
        let (has_time, since) = match since {
            None => (0, Duration::ZERO),
            Some(Ok(since)) => (1, since),
            Some(Err(before)) => (2, before.duration()),
        };
        let mut bytes = [has_time; 29];
        bytes[..8].copy_from_slice(&device.to_le_bytes());
        bytes[8..16].copy_from_slice(&number.to_le_bytes());
        bytes[16..24].copy_from_slice(&since.as_secs().to_le_bytes());
        bytes[24..28].copy_from_slice(&since.subsec_nanos().to_le_bytes());
        bytes
    }

    /// Returns the current file of this name; links are not followed.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        fs::symlink_metadata(path).ok().map(|facts| Self::new(&facts))
    }

    /// Returns the file that a name leads to; links are followed.
    #[must_use]
    pub fn of_target(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().map(|facts| Self::new(&facts))
    }
}

/// Returns the current files of these names in a folder; `None` for missing ones.
///
/// # Errors
/// As [`open_or_create`].
pub fn regular<const N: usize>(folder: &Path, names: [&Path; N]) -> io::Result<[Option<Inode>; N]> {
    // Checks that the folder's path contains no link.
    match walk(folder, ONLY_A_PLACE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok([None; N]),
        walked => walked.map_err(|error| name_obstacle(error, folder))?,
    };
    let mut found = [None; N];
    for (found, name) in found.iter_mut().zip(names) {
        match fs::symlink_metadata(name) {
            Ok(facts) if facts.is_file() => *found = Some(Inode::new(&facts)),
            Ok(facts) => return Err(wrong_type_error(name, &facts)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Creates a directory and its parents with mode 0700; an existing one is left unchanged. Follows existing links, since
/// the host chose the folder.
///
/// # Errors
/// Errors of the operating system.
pub fn private_dir(path: &Path) -> io::Result<()> {
    // Check the length first: the parents of a path that is too long may be short enough, and would be created and
    // stay.
    if let Err(error) = path.metadata()
        && error.kind() == io::ErrorKind::InvalidFilename
    {
        return Err(error);
    }
    let named = path.ancestors().filter(|folder| !folder.as_os_str().is_empty());
    let missing: Vec<&Path> = named.take_while(|folder| !folder.is_dir()).collect();
    // Create them one by one, so that each belongs to the owner of its parent.
    missing.into_iter().rev().try_for_each(private_dir_in_parent)
}

/// [`private_dir`] in a parent that exists.
fn private_dir_in_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let here = Path::new(".");
    let flags = ONLY_A_PLACE | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let above = openat(rustix::fs::CWD, parent.unwrap_or(here), flags, Mode::empty())?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    match mkdirat(&above, name, Mode::RWXU) {
        // Another process was faster.
        Err(Errno::EXIST) if path.is_dir() => return Ok(()),
        made => made?,
    }
    // The host's umask may have removed rights of its own user. If setting them fails, later steps report it. rustix
    // cannot change rights without following links.
    let c_name = CString::new(name.as_bytes())?;
    // SAFETY: a plain call with an open descriptor and a NUL-terminated name.
    unsafe { libc::fchmodat(above.as_raw_fd(), c_name.as_ptr(), 0o700, libc::AT_SYMLINK_NOFOLLOW) };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    give_to_owner(&openat(&above, name, flags, Mode::empty())?.into(), &above);
    Ok(())
}

/// Opens the folder of a file; returns it with the file's name.
fn open_parent(path: &Path) -> io::Result<(OwnedFd, &OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let opened = walk(folder, ONLY_A_PLACE).map_err(|error| name_obstacle(error, folder))?;
    Ok((opened, name))
}

fn open(path: &Path, flags: OFlags) -> io::Result<File> {
    // NONBLOCK: opening a pipe must not block.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = open_at_once(path, flags).unwrap_or_else(|| {
        let (folder, name) = open_parent(path)?;
        Ok(openat(&folder, name, flags, Mode::empty())?)
    });
    let file = File::from(opened.map_err(|error| name_obstacle(error, path))?);
    let facts = file.metadata()?;
    if !facts.is_file() {
        return Err(wrong_type_error(path, &facts));
    }
    Ok(file)
}

fn create_in(folder: &OwnedFd, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?);
    // The host's umask may have removed rights of its own user, who opens the file again later.
    let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
    give_to_owner(&file, folder);
    Ok(file)
}

/// Gives a file or folder that root created, as in a container, to the owner of its folder. The host's own user must be
/// able to continue without root. Errors are ignored, because the state is then as before.
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

/// Returns an error that names the link or the wrong type in the path, if that is the cause; else the error itself.
fn name_obstacle(error: io::Error, path: &Path) -> io::Error {
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
        Ok(facts) if !facts.is_file() => wrong_type_error(path, &facts),
        _ => error,
    }
}

/// Returns whether the disk or the user's quota is full.
#[must_use]
pub fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Returns whether the error is one of `in_the_way`: a link or something else has the name of a file.
#[must_use]
pub fn is_in_the_way(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AlreadyExists && error.raw_os_error().is_none()
}

fn in_the_way(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is {what}", path.display()))
}

fn wrong_type_error(path: &Path, facts: &fs::Metadata) -> io::Error {
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

/// Properties of a file system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Disk {
    /// Its kind, such as `ext4`; a number for other kinds, `None` if unknown.
    pub kind: Option<String>,
    /// Whether shared memory works between processes, and so WAL does. It does not on network file systems and FUSE
    /// unions.
    pub shares_memory: bool,
    /// Whether file times come from [`file_clock`](super::clock::file_clock): on Linux, with known local file systems.
    pub has_our_clock: bool,
    /// Bytes available to this user.
    pub free: Option<u64>,
}

/// File systems by their number in statfs(2), and whether shared memory works between processes there. Unknown file
/// systems count as local.
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
        // the type differs by platform
        let number = (facts.f_type as i64) & 0xFFFF_FFFF;
        let known = KINDS.iter().find(|(kind, ..)| *kind == number);
        #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // these types too
        let free = (facts.f_bavail as u64).checked_mul(facts.f_bsize as u64);
        Disk {
            kind: Some(known.map_or_else(|| format!("{number:#x}"), |(_, name, _)| (*name).to_owned())),
            shares_memory: known.is_none_or(|(.., shares)| *shares) && !is_network_simulated(),
            has_our_clock: known.is_some_and(|(.., shares)| *shares),
            free,
        }
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = directory;
        Disk {
            shares_memory: !is_network_simulated(),
            ..local
        }
    }
}

/// Returns whether the error proves that the file does not exist. Missing rights or a hanging mount prove nothing.
#[must_use]
pub fn is_gone(error: &io::Error) -> bool {
    const GONE: [i32; 4] = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::ENAMETOOLONG];
    error.raw_os_error().is_some_and(|number| GONE.contains(&number))
}

/// Returns whether the permissions allow this user to read a file. Does not open the file.
#[must_use]
pub fn may_read(path: &Path) -> bool {
    access(path, Access::READ_OK).is_ok()
}

/// Checks that permissions and mount allow this user to create files in a folder. Does not create a file.
///
/// # Errors
/// Errors of the operating system.
pub fn expect_writable(folder: &Path) -> io::Result<()> {
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Returns random bytes from the operating system.
///
/// # Errors
/// Errors of the operating system.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
