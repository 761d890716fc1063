//! Code for Linux, with glibc or musl.

use std::ffi::c_void;
use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Component, Path};
use std::time::Duration;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

use super::file_facts::{FileSystem, Inode};
pub use super::unix::*;

/// Returns whether this process has the file at `path` open. `file`: the file's identity.
pub fn is_open(path: &Path, file: Inode) -> bool {
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else {
        return false;
    };
    descriptors.flatten().map(|link| link.path()).any(|link| {
        // Read the metadata only of files with the same name, so that a hanging disk is not accessed.
        fs::read_link(&link).is_ok_and(|target| target.file_name() == path.file_name())
            && Inode::of_target(&link) == Some(file)
    })
}

/// Starts writing a file's dirty pages to disk, without waiting.
pub fn write_out(file: &fs::File) {
    // SAFETY: a plain call with an open descriptor and numbers. Length 0 means the whole file.
    unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
}

/// Does nothing, since shutting down a connection wakes its readers on Linux.
pub fn wake_readers(_: &TcpStream) {}

/// Returns `false`, since only Windows has a special error for a reader that [`wake_readers`] woke.
pub fn is_wake(_: &io::Error) -> bool {
    false
}

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

/// Flags for a descriptor that is used only to look up names, which requires no read permission.
const LOOKUP_ONLY: OFlags = OFlags::PATH;

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
fn open_with_openat2(path: &Path, flags: OFlags) -> Option<io::Result<OwnedFd>> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
        Err(Errno::NOSYS | Errno::PERM) => None,
        opened => Some(opened.map_err(Into::into)),
    }
}

/// Calls a host function. If the function ends the thread, the thread sleeps forever instead, so that no frame of this
/// library is unwound.
pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    /// A buffer that is at least as large as the C library's struct: four words in glibc, three in musl.
    #[repr(C)]
    struct Cleanup([*mut c_void; 8]);
    // The functions behind C's macro `pthread_cleanup_push`. In glibc, these are the older functions, which need no
    // jump buffer.
    unsafe extern "C" {
        /// Adds a handler, which runs if the thread ends before the handler is popped.
        fn _pthread_cleanup_push(cleanup: *mut Cleanup, run: extern "C" fn(*mut c_void), argument: *mut c_void);
        /// Removes the handler, and runs it if `run` is not 0.
        fn _pthread_cleanup_pop(cleanup: *mut Cleanup, run: libc::c_int);
    }
    /// Runs when the host ends the thread.
    extern "C" fn sleep_for_ever(_: *mut c_void) {
        loop {
            // SAFETY: a plain POSIX call.
            unsafe { libc::pause() };
        }
    }
    let mut cleanup = Cleanup([std::ptr::null_mut(); 8]);
    // SAFETY: `cleanup` is not moved before it is popped below. If `call` does not return, the handler runs.
    unsafe { _pthread_cleanup_push(&raw mut cleanup, sleep_for_ever, std::ptr::null_mut()) };
    let answer = call();
    // SAFETY: this call pops the handler pushed above, since `call` has popped all handlers that it pushed.
    unsafe { _pthread_cleanup_pop(&raw mut cleanup, 0) };
    answer
}

/// Returns the coarse time of day in milliseconds since 1970.
#[inline]
pub fn coarse_unix_ms() -> Option<i64> {
    i64::try_from(read_ms(libc::CLOCK_REALTIME_COARSE)).ok()
}

/// Returns the time since the system started, with the time in which it slept.
pub fn steady() -> Duration {
    let (seconds, nanoseconds) = read_clock(libc::CLOCK_BOOTTIME).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}

/// Returns the coarse monotonic clock in milliseconds.
#[inline]
pub fn coarse_ms() -> u64 {
    read_ms(libc::CLOCK_MONOTONIC_COARSE)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// Compares both ways to reach a folder: one system call, and single steps for systems that lack that call.
    #[test]
    fn one_call_and_single_steps_lead_to_the_same_and_never_through_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("its path");
        fs::create_dir_all(root.join("a/b")).expect("made");
        fs::write(root.join("a/file"), b"").expect("written");
        symlink(root.join("a"), root.join("link")).expect("linked");
        symlink(root.join("a/b"), root.join("a/last")).expect("linked");
        for flags in [LOOKUP_ONLY, OFlags::RDONLY] {
            for (path, leads) in [
                ("a/b", true),
                ("a/./b", true),
                ("a/b/..", true),
                ("a/file", false),
                ("a/none", false),
                ("a/last", false),
                ("link", false),
                ("link/b", false),
            ] {
                let path = root.join(path);
                let inode = |opened: io::Result<OwnedFd>| {
                    let facts = opened.map(fs::File::from).and_then(|file| file.metadata());
                    facts.ok().map(|facts| (facts.dev(), facts.ino()))
                };
                let (walked, stepped) = (
                    inode(open_folder(&path, flags)),
                    inode(open_folder_stepwise(&path, flags)),
                );
                assert_eq!(walked, stepped, "{}", path.display());
                assert_eq!(walked.is_some(), leads, "{}", path.display());
            }
        }
        let opened =
            |path: &str| open_with_openat2(&root.join(path), OFlags::RDONLY).is_none_or(|opened| opened.is_ok());
        assert!(opened("a/file"));
        if open_with_openat2(&root, OFlags::RDONLY).is_some() {
            assert!(!opened("link/file") && !opened("link") && !opened("a/none"));
        }
    }

    #[test]
    fn a_file_whose_identity_changes_while_it_is_open_is_still_this_copys() {
        use crate::platform::files::{ExclusiveOpen, Inode};

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        let _open = std::fs::File::create(&path).expect("a file");
        let file = Inode::of(&path).expect("an identity");
        let earlier = Inode {
            number: file.number + 1,
            ..file
        };
        assert!(
            ExclusiveOpen::register(&path, file).is_none(),
            "other code has the file open"
        );
        let _first = ExclusiveOpen::register(&path, earlier).expect("registered");
        assert!(ExclusiveOpen::register(&path, file).is_some());
    }

    #[test]
    fn a_thread_ended_by_the_host_runs_no_destructors() {
        unsafe extern "C-unwind" {
            fn pthread_exit(value: *mut c_void) -> !;
        }
        struct Owned(std::sync::mpsc::Sender<&'static str>);
        impl Drop for Owned {
            fn drop(&mut self) {
                self.0.send("destroyed").expect("a listener");
            }
        }
        let (say, hear) = std::sync::mpsc::channel();
        let told = say.clone();
        std::thread::spawn(move || {
            let owned = Owned(say);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: a host does the same, and this frame owns nothing.
                call_host(|| unsafe { pthread_exit(std::ptr::null_mut()) });
            }));
            drop(owned);
        });
        // The thread must not end: nothing arrives on the channel.
        let heard = hear.recv_timeout(Duration::from_millis(100));
        assert_eq!(heard, Err(std::sync::mpsc::RecvTimeoutError::Timeout));
        drop(told);
        assert_eq!(call_host(|| 4), 4);
    }
}
