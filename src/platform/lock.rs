//! Advisory locks between processes: one file a lock; the kernel frees it when its holder dies.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::files;
use super::fork::OwnFile;
use super::mutex::lock;
use super::witness::{FileStep, tell};

/// A held lock; dropping it frees it, also when a child that was forked meanwhile lives on. The file stays: removing it
/// would let two holders hold two files.
#[derive(Debug)]
pub struct FileLock {
    _file: OwnFile,
}

impl FileLock {
    /// Waits for the lock on a file, made when it is missing, asking every few milliseconds, until `deadline` or
    /// `give_up`; `None` then.
    ///
    /// # Errors
    /// When the file cannot be made, or its file system has no locks ([`FileLock::are_missing`]).
    pub fn acquire(path: &Path, deadline: Option<Instant>, give_up: &dyn Fn() -> bool) -> io::Result<Option<Self>> {
        Self::take(|| files::private(path), deadline, give_up)
    }

    /// The same on a folder, which is not made: a file in its place would stay there.
    ///
    /// # Errors
    /// When the folder is missing, or its file system has no locks.
    pub fn on_folder(path: &Path, deadline: Option<Instant>, give_up: &dyn Fn() -> bool) -> io::Result<Option<Self>> {
        Self::take(|| files::folder(path), deadline, give_up)
    }

    fn take(
        open: impl FnOnce() -> io::Result<File>,
        deadline: Option<Instant>,
        give_up: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        tell(FileStep::Lock)?;
        let file = OwnFile::open(open)?;
        let taken = wait_for(deadline, give_up, || file.try_lock())?;
        Ok(taken.then_some(Self { _file: file }))
    }

    /// Whether the error says that the file system has no locks.
    pub fn are_missing(error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::Unsupported
            || matches!(error.raw_os_error(), Some(libc::ENOLCK | libc::ENOSYS | libc::EINVAL))
    }
}

/// A lock that is taken again and again: its file stays open, so that taking it needs no descriptor. The threads of this
/// process that take it share it.
#[derive(Debug)]
pub struct OpenLock {
    file: OwnFile,
    holders: Mutex<u32>,
}

/// Held until it is dropped.
#[derive(Debug)]
pub struct FileLockGuard(Arc<OpenLock>);

impl OpenLock {
    /// The lock on a file, made when it is missing.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: OwnFile::open(|| files::private(path))?,
            holders: Mutex::default(),
        })
    }

    /// Waits until no other process holds it; `None` when one does at `deadline`.
    ///
    /// # Errors
    /// When the file system has no locks ([`FileLock::are_missing`]).
    pub fn take(self: &Arc<Self>, deadline: Instant) -> io::Result<Option<FileLockGuard>> {
        let taken = wait_for(Some(deadline), &|| false, || {
            let mut holders = lock(&self.holders);
            if *holders == 0 {
                self.file.try_lock()?;
            }
            *holders += 1;
            Ok(())
        })?;
        Ok(taken.then(|| FileLockGuard(Arc::clone(self))))
    }
}

impl Drop for FileLockGuard {
    fn drop(&mut self) {
        let mut holders = lock(&self.0.holders);
        *holders -= 1;
        if *holders == 0 {
            let _ = self.0.file.unlock();
        }
    }
}

/// Retries until the lock is taken. Returns `false` at the deadline or when `give_up` says so.
fn wait_for(
    deadline: Option<Instant>,
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
        let now = Instant::now();
        if give_up() || deadline.is_some_and(|at| at <= now) {
            return Ok(false);
        }
        std::thread::sleep(deadline.map_or(pause, |at| pause.min(at - now)));
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Whether a lock on this file, made when it is missing, keeps a second one out and lets it in once it is free.
///
/// # Errors
/// When the file cannot be made, or its file system has no locks.
pub fn trial(path: &Path) -> io::Result<bool> {
    let (first, second) = (
        OwnFile::open(|| files::private(path))?,
        OwnFile::open(|| files::private(path))?,
    );
    let take = |file: &OwnFile| match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    };
    let kept_out = take(&first)? && !take(&second)?;
    drop(first);
    Ok(kept_out && take(&second)?)
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
