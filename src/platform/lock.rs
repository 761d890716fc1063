//! Advisory locks between processes, with one file for each lock. The kernel releases a lock when its holder dies.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::clock::Deadline;
use super::fork::ForkClosedFile;
pub use super::system::lock_holder;
use super::{files, system};

/// A held lock, which is released when dropped, even if a forked child is alive. The lock file is never removed,
/// because two processes could then lock two different files.
#[derive(Debug)]
pub struct FileLock {
    _file: ForkClosedFile,
}

impl FileLock {
    /// Waits for the lock on a file, polling every few milliseconds. Returns `None` at `deadline`, or when `give_up`
    /// returns `true`. Creates the file if it is missing.
    ///
    /// # Errors
    /// Fails if the system cannot create the file, or if the file system does not support locks
    /// ([`FileLock::is_unsupported`]).
    pub fn acquire(path: &Path, deadline: Deadline, give_up: &dyn Fn() -> bool) -> io::Result<Option<Self>> {
        Self::open_and_lock(|| files::open_or_create(path), deadline, give_up)
    }

    /// Waits for the lock on an existing folder, polling every few milliseconds. Returns `None` at `deadline`, or when
    /// `give_up` returns `true`.
    ///
    /// # Errors
    /// Fails if the folder is missing, or if its file system does not support locks.
    pub fn on_folder(path: &Path, deadline: Deadline, give_up: &dyn Fn() -> bool) -> io::Result<Option<Self>> {
        Self::open_and_lock(|| files::open_folder_lock(path), deadline, give_up)
    }

    /// Opens a file with `open`, and waits for its lock; `None` at `deadline`, or when `give_up` returns `true`.
    fn open_and_lock(
        open: impl FnOnce() -> io::Result<File>,
        deadline: Deadline,
        give_up: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        failpoint!(Lock);
        let file = ForkClosedFile::open(open)?;
        let is_locked = wait_for(deadline, give_up, || file.try_lock())?;
        Ok(is_locked.then_some(Self { _file: file }))
    }

    /// Returns whether the error means that the file system does not support locks.
    #[must_use]
    pub fn is_unsupported(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::Unsupported || system::has_no_locks(error)
    }
}

/// Calls `take` until it acquires the lock, with pauses of 1 to 20 ms. Returns whether it acquired the lock: `false` if
/// the deadline passes, or if `give_up` returns `true`.
fn wait_for(
    deadline: Deadline,
    give_up: &dyn Fn() -> bool,
    mut take: impl FnMut() -> Result<(), TryLockError>,
) -> io::Result<bool> {
    let mut pause = Duration::from_millis(1);
    loop {
        match take() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if give_up() || deadline.has_passed() {
            return Ok(false);
        }
        std::thread::sleep(deadline.wait(pause));
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Returns whether locks on this file work, since locks have no effect on some file systems. While one holder has the
/// lock, a second holder must not acquire it; afterwards, the second holder must succeed. Creates a missing file.
///
/// # Errors
/// Fails if the system cannot create the file, or if its file system does not support locks.
pub fn do_locks_work(path: &Path) -> io::Result<bool> {
    let (first, second) = (
        ForkClosedFile::open(|| files::open_or_create(path))?,
        ForkClosedFile::open(|| files::open_or_create(path))?,
    );
    let take = |file: &ForkClosedFile| match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    };
    let is_excluded = take(&first)? && !take(&second)?;
    drop(first);
    Ok(is_excluded && take(&second)?)
}

#[cfg(test)]
mod tests {
    use super::{Deadline, FileLock, do_locks_work};

    #[test]
    fn locks_work_where_the_tests_run() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(do_locks_work(&folder.path().join("lock")).expect("a lock"));
        do_locks_work(&folder.path().join("missing/lock")).expect_err("no such folder");
    }

    #[test]
    fn a_folder_that_is_missing_is_not_made_and_a_file_in_its_place_is_no_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("store");
        let lock = || FileLock::on_folder(&place, Deadline::NONE, &|| false);
        lock().expect_err("no such folder");
        assert!(!place.exists(), "a file in its place would stay there");
        std::fs::write(&place, "").expect("written");
        lock().expect_err("no folder");
        std::fs::remove_file(&place).expect("removed");
        std::fs::create_dir(&place).expect("made");
        assert!(lock().expect("a lock").is_some());
    }
}
