//! Code for all POSIX systems.

use std::borrow::Cow;
use std::ffi::{CString, OsStr, OsString, c_int, c_void};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rusqlite::ffi::sqlite3_vfs_find;
use rustix::fs::{Access, AtFlags, Mode, OFlags, access, fstat, mkdirat, openat, renameat, stat, unlinkat};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk, geteuid};

use super::file_facts::{FileFacts, FileType, Inode};

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

/// Returns whether the group or other users have any permission for a file.
#[must_use]
pub fn is_open_to_others(file: &File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.mode() & 0o077 != 0)
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

/// Returns the path unchanged, since users write paths in this form.
pub fn shown(path: &[u8]) -> Cow<'_, [u8]> {
    path.into()
}

/// Returns the error from canonicalizing a path, since every existing path has a canonical name on Unix.
pub fn absolute_if_exists(_: &Path, error: io::Error) -> io::Result<PathBuf> {
    Err(error)
}

/// Returns the path unchanged, since SQLite can open any path.
pub fn for_sqlite(path: &Path) -> Cow<'_, Path> {
    path.into()
}

/// Length in bytes of the longest path of a database that SQLite opens.
pub const MAX_DATABASE_PATH: usize = 504;

/// Prevents this copy of SQLite from changing the owner of files while `keeps` returns `true`. A change of owner
/// would also change file times, and take files away from other users. Only the first call has an effect.
pub fn suppress_chown_while(keeps: fn() -> bool) {
    /// The condition, for which `chown` has no parameter, since it has the system call's signature.
    static KEEPS: std::sync::OnceLock<fn() -> bool> = std::sync::OnceLock::new();
    /// Replaces `fchown`: succeeds without effect while the condition is true.
    unsafe extern "C" fn chown(file: c_int, user: libc::uid_t, group: libc::gid_t) -> c_int {
        if KEEPS.get().is_some_and(|keeps| keeps()) {
            return 0;
        }
        // SAFETY: the arguments are plain numbers.
        unsafe { libc::fchown(file, user, group) }
    }
    if KEEPS.set(keeps).is_err() {
        return;
    }
    // SAFETY: the default VFS accepts a replacement for each system call in its table. The replacement has the same
    // signature, and stays loaded as long as SQLite's code, which is in the same library.
    unsafe {
        let vfs = sqlite3_vfs_find(std::ptr::null());
        if let Some(set) = vfs.as_ref().and_then(|vfs| vfs.xSetSystemCall) {
            type Chown = unsafe extern "C" fn(c_int, libc::uid_t, libc::gid_t) -> c_int;
            set(
                vfs,
                c"fchown".as_ptr(),
                Some(std::mem::transmute::<Chown, unsafe extern "C" fn()>(chown)),
            );
        }
    }
}

/// A POSIX thread. A thread of the standard library would leave thread-local values in the thread that starts it, so a
/// host could not unload this library. The C library's handle is a number in glibc, and a pointer in musl and on macOS.
pub struct Thread {
    handle: libc::pthread_t,
    /// The process that has the thread, since a forked child does not; 0 for a detached thread.
    process: u32,
}

// SAFETY: any thread in the process can join any other thread. The handle is not dereferenced here, but only passed to
// the C library, which allows this on every thread.
unsafe impl Send for Thread {}

impl Thread {
    /// Starts a thread that calls `run` with `argument`, with a stack of `stack` bytes, and with all signals blocked,
    /// since signals are for the host's own threads. Returns `None` if no thread can be started.
    ///
    /// # Safety
    /// `argument` must be valid for as long as `run` runs.
    pub unsafe fn start(
        stack: usize,
        run: extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> Option<Self> {
        // SAFETY: plain POSIX calls on local values.
        unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            if libc::pthread_attr_init(&raw mut attributes) != 0 {
                return None;
            }
            libc::pthread_attr_setstacksize(&raw mut attributes, stack);
            // Block all signals while the thread is created, since a new thread inherits the signal mask.
            let mut all_signals: libc::sigset_t = std::mem::zeroed();
            let mut previous_mask: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all_signals);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all_signals, &raw mut previous_mask);
            let mut handle: libc::pthread_t = std::mem::zeroed();
            let failed = libc::pthread_create(&raw mut handle, &raw const attributes, run, argument);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const previous_mask, std::ptr::null_mut());
            libc::pthread_attr_destroy(&raw mut attributes);
            (failed == 0).then(|| Self {
                handle,
                process: std::process::id(),
            })
        }
    }

    /// Returns whether this process has the thread, and the thread is not detached.
    pub fn is_in_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Waits until the thread has ended. A forked child does not have this thread, and does not wait.
    pub fn join(&mut self) {
        if self.is_in_this_process() {
            // SAFETY: this process created the thread as joinable. The thread is joined only here, and only once, when
            // its `Worker` is dropped.
            unsafe { libc::pthread_join(self.handle, std::ptr::null_mut()) };
        }
    }

    /// Detaches the thread. The library stays in memory, since the thread runs its code.
    pub fn detach(&mut self) {
        if self.is_in_this_process() {
            keep_library();
            // SAFETY: this process created the thread as joinable. The thread is neither joined nor detached, since
            // detaching sets `process` to 0, which is never a process ID.
            unsafe { libc::pthread_detach(self.handle) };
            self.process = 0;
        }
    }
}

/// Keeps this library in memory until the process ends, even if the host unloads it.
fn keep_library() {
    // SAFETY: `dladdr` fills in a plain struct. The name belongs to a loaded object, and lives as long as the object.
    unsafe {
        let mut this_library: libc::Dl_info = std::mem::zeroed();
        let code: fn() = keep_library;
        if libc::dladdr(code as *const c_void, &raw mut this_library) != 0 && !this_library.dli_fname.is_null() {
            // This call fails if the library is part of a program, which is never unloaded.
            libc::dlopen(
                this_library.dli_fname,
                libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE,
            );
        }
    }
}

/// A file descriptor, which a forked child inherits.
pub type Descriptor = RawFd;

/// Returns a file's descriptor.
pub fn descriptor(file: &File) -> Descriptor {
    file.as_raw_fd()
}

/// Closes a descriptor that a forked child inherited from its parent.
///
/// # Safety
/// The descriptor must be open, and nothing may use it afterwards.
pub unsafe fn close_descriptor(descriptor: Descriptor) {
    // SAFETY: guaranteed by the caller.
    unsafe { libc::close(descriptor) };
}

/// Drops a file without closing its descriptor, which is already closed: another file may have the same number.
pub fn forget(file: File) {
    _ = file.into_raw_fd();
}

/// Registers functions that the C library calls at each fork from now on. glibc removes the functions when the host
/// unloads the library.
pub fn register_fork_handlers(before: extern "C" fn(), in_parent: extern "C" fn(), in_child: extern "C" fn()) {
    // SAFETY: the handlers are functions of this library.
    unsafe { libc::pthread_atfork(Some(before), Some(in_parent), Some(in_child)) };
}

/// Returns a clock's time in milliseconds; `u64::MAX` if the clock is unavailable.
#[inline]
pub fn read_ms(clock: libc::clockid_t) -> u64 {
    read_clock(clock).map_or(u64::MAX, |(seconds, nanoseconds)| {
        seconds * 1000 + nanoseconds / 1_000_000
    })
}

/// Returns a clock's time in seconds and nanoseconds; `None` if the clock is unavailable.
#[inline]
pub fn read_clock(clock: libc::clockid_t) -> Option<(u64, u64)> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills in a local struct.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return None;
    }
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)] // their types differ by platform; neither is negative
    Some((time.tv_sec as u64, time.tv_nsec as u64))
}
