//! Operations on files relative to a descriptor of their folder, without following symbolic links.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, Mode, OFlags, access, fstat, mkdirat, openat, renameat, stat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk, geteuid};

use super::super::file_facts::{FileFacts, FileType, Inode};

/// Converts bytes to a path. On Unix, the bytes stay unchanged.
pub fn named(bytes: Vec<u8>) -> PathBuf {
    OsString::from_vec(bytes).into()
}

/// A folder, identified by its descriptor, so that renaming the folder does not redirect operations in it.
pub struct OpenFolder(pub OwnedFd);

impl OpenFolder {
    /// Creates a file with mode 0600; fails if the name exists.
    pub fn create(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR)?);
        // The host's umask may have removed permissions that its own user needs to open the file again.
        let _ = file.set_permissions(fs::Permissions::from_mode(0o600));
        give_to_owner(&file, &self.0);
        Ok(file)
    }

    /// Removes a file or a link from the folder.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, name, AtFlags::empty())?)
    }

    /// Renames a file within the folder, and replaces an existing file.
    pub fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(renameat(&self.0, from, &self.0, to)?)
    }
}

/// Returns the flags for opening a file for reading, and also for writing if `writes` is `true`. With these flags,
/// opening a pipe does not block, and opening a link fails.
pub fn flags(writes: bool) -> OFlags {
    let access = if writes { OFlags::RDWR } else { OFlags::RDONLY };
    access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
}

/// Calls `remove` to remove the file's name now, so that no crash leaves the file behind. The file itself exists until
/// it is closed.
pub fn remove_when_closed(file: File, remove: impl FnOnce() -> io::Result<()>) -> io::Result<File> {
    remove().map(|()| file)
}

/// Reads bytes at this offset until `to` is full.
pub fn read_at(file: &File, to: &mut [u8], at: u64) -> io::Result<()> {
    file.read_exact_at(to, at)
}

/// Writes bytes at this offset.
pub fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

/// Creates one folder with mode 0700. `parent_flags`: the system's flags for opening its existing parent.
pub fn make_private_folder_in(path: &Path, parent_flags: OFlags) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let current_folder = Path::new(".");
    let flags = parent_flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent_folder = openat(rustix::fs::CWD, parent.unwrap_or(current_folder), flags, Mode::empty())?;
    let name = path.file_name().unwrap_or(path.as_os_str());
    match mkdirat(&parent_folder, name, Mode::RWXU) {
        // Another process has created the folder.
        Err(Errno::EXIST) if path.is_dir() => return Ok(()),
        made => made?,
    }
    // The host's umask may have removed permissions that its own user needs. If setting the permissions fails, later
    // steps report the error. Call libc, since rustix cannot change permissions without following links.
    let c_name = CString::new(name.as_bytes())?;
    // SAFETY: a plain call with an open descriptor and a NUL-terminated name.
    unsafe {
        libc::fchmodat(
            parent_folder.as_raw_fd(),
            c_name.as_ptr(),
            0o700,
            libc::AT_SYMLINK_NOFOLLOW,
        )
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    give_to_owner(
        &openat(&parent_folder, name, flags, Mode::empty())?.into(),
        &parent_folder,
    );
    Ok(())
}

/// If root created a file or folder, for example in a container, changes its owner to the owner of the parent folder,
/// so that the parent's owner can continue without root. Ignores errors, after which root remains the owner.
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

/// Reads a file's facts. If the file is a link and `follows` is `false`, reads the link's own facts.
pub fn facts(path: &Path, follows: bool) -> io::Result<FileFacts> {
    let metadata = if follows {
        fs::metadata(path)
    } else {
        fs::symlink_metadata(path)
    };
    metadata.map(|metadata| facts_in(&metadata))
}

/// Reads an open file's facts.
pub fn facts_of_open(file: &File) -> io::Result<FileFacts> {
    file.metadata().map(|metadata| facts_in(&metadata))
}

/// Converts the standard library's metadata.
fn facts_in(metadata: &fs::Metadata) -> FileFacts {
    let kind = metadata.file_type();
    FileFacts {
        inode: Inode {
            device: metadata.dev(),
            number: metadata.ino().into(),
            made: metadata.created().ok(),
        },
        kind: if kind.is_file() {
            FileType::File
        } else if kind.is_dir() {
            FileType::Folder
        } else if kind.is_symlink() {
            FileType::Link
        } else if kind.is_fifo() {
            FileType::Pipe
        } else {
            FileType::Other
        },
        length: metadata.len(),
        written: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// Syncs a file to disk. Falls back to a plain `fsync`, since network shares and FUSE on macOS do not support the
/// stronger call that `sync_all` makes.
pub fn sync(file: &File) -> io::Result<()> {
    file.sync_all().or_else(|error| match error.raw_os_error() {
        Some(libc::ENOTSUP | libc::ENOTTY | libc::EINVAL) => Ok(rustix::fs::fsync(file)?),
        _ => Err(error),
    })
}

/// Returns `None`, since the log's file times show each commit on Unix.
pub fn log_version(_: &Path) -> Option<[u8; 48]> {
    None
}

/// Returns whether a link or a wrong file type may have caused an error.
pub fn may_be_an_obstacle(error: &io::Error) -> bool {
    let codes = [
        libc::ELOOP,
        libc::EMLINK,
        libc::EISDIR,
        libc::ENOTDIR,
        libc::ENXIO,
        libc::EPERM,
    ];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Returns whether an error proves that a file does not exist.
pub fn is_gone(error: &io::Error) -> bool {
    const GONE: [i32; 4] = [libc::ENOENT, libc::ENOTDIR, libc::ELOOP, libc::ENAMETOOLONG];
    error.raw_os_error().is_some_and(|number| GONE.contains(&number))
}

/// Returns whether an error means that a file system does not support locks.
pub fn has_no_locks(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ENOLCK | libc::ENOSYS | libc::EINVAL | libc::ENOTSUP)
    )
}

/// Returns the id of another process that holds a POSIX lock on one of the bytes at `start`, such as a lock of SQLite;
/// `None` if there is none, or if the system does not tell. This process must have the file open: it queries one of its
/// descriptors, because closing a new one would release all of its own locks on the file.
pub fn lock_holder(path: &Path, start: u64, length: u64) -> Option<u32> {
    let wanted = stat(path).ok()?;
    let names = fs::read_dir("/dev/fd").ok()?.flatten().map(|entry| entry.file_name());
    let query = Flock {
        start,
        length,
        ..Flock::from(FlockType::WriteLock)
    };
    names.filter_map(|name| name.to_str()?.parse().ok()).find_map(|number| {
        // SAFETY: both calls only query. If another thread has closed the descriptor, they fail, or query the file that
        // has its number now.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let facts = fstat(descriptor).ok()?;
        let is_wanted = (facts.st_dev, facts.st_ino) == (wanted.st_dev, wanted.st_ino);
        let lock = is_wanted.then(|| fcntl_getlk(descriptor, &query).ok()?)?;
        lock?.pid?.as_raw_nonzero().get().try_into().ok()
    })
}

/// Returns whether an error means that the limit on open files is reached.
pub fn is_out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// The remedy for too many open files.
pub const MORE_OPEN_FILES: &str = "raise the limit on open files (ulimit -n)";

/// Returns whether the permissions allow this user to read a file.
pub fn may_read(path: &Path) -> bool {
    access(path, Access::READ_OK).is_ok()
}

/// Checks that the permissions allow this user to create files in a folder.
pub fn expect_writable(folder: &Path) -> io::Result<()> {
    Ok(access(folder, Access::WRITE_OK | Access::EXEC_OK)?)
}
