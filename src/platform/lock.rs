//! Advisory locks between processes: one file per lock. The kernel releases a lock when its holder dies.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use super::deadline::Deadline;
use super::files;
use super::fork::OwnFile;
use super::system;

/// A held lock, released when dropped, even if a forked child is alive. The file stays, because removing it could let
/// two processes lock two different files.
#[derive(Debug)]
pub struct FileLock {
    _file: OwnFile,
}

impl FileLock {
    /// Waits for the lock on a file, polling every few milliseconds. Returns `None` at `deadline`, or when `give_up`
    /// returns `true`. Creates a missing file.
    ///
    /// # Errors
    /// The file cannot be created, or its file system has no locks ([`FileLock::are_missing`]).
    pub fn acquire(path: &Path, deadline: Deadline, give_up: &dyn Fn() -> bool) -> io::Result<Option<Self>> {
        Self::take(|| files::open_or_create(path), deadline, give_up)
    }

    /// Waits for the lock on an existing folder, as [`FileLock::acquire`] does for a file.
    ///
    /// # Errors
    /// The folder is missing, or its file system has no locks.
    pub fn on_folder(path: &Path, deadline: Deadline, give_up: &dyn Fn() -> bool) -> io::Result<Option<Self>> {
        Self::take(|| files::lock_of_folder(path), deadline, give_up)
    }

    /// Opens a file and waits for its lock. The parameters are those of [`FileLock::acquire`].
    fn take(
        open: impl FnOnce() -> io::Result<File>,
        deadline: Deadline,
        give_up: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        failpoint!(Lock);
        let file = OwnFile::open(open)?;
        let is_locked = wait_for(deadline, give_up, || file.try_lock())?;
        Ok(is_locked.then_some(Self { _file: file }))
    }

    /// Returns whether the error means that the file system has no locks.
    #[must_use]
    pub fn are_missing(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::Unsupported || system::files::has_no_locks(error)
    }
}

/// Calls `take` until it takes the lock. Returns `false` at the deadline, or when `give_up` returns `true`.
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

/// Tests whether locks on this file work: while one holder has the lock, a second must not get it, and afterwards it
/// must. Creates a missing file.
///
/// # Errors
/// The file cannot be created, or its file system has no locks.
pub fn trial(path: &Path) -> io::Result<bool> {
    let (first, second) = (
        OwnFile::open(|| files::open_or_create(path))?,
        OwnFile::open(|| files::open_or_create(path))?,
    );
    let take = |file: &OwnFile| match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    };
    let is_excluded = take(&first)? && !take(&second)?;
    drop(first);
    Ok(is_excluded && take(&second)?)
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
