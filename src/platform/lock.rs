//! Advisory locks between processes: one file a lock; the kernel frees it when its holder dies.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::files;

/// A held lock; dropping it frees it. The file stays: removing it would let two holders hold two files.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Waits for the lock, asking every few milliseconds, until `deadline` or `give_up`; `None` then.
    ///
    /// # Errors
    /// When the file cannot be made, or its file system has no locks.
    pub fn acquire(
        path: &Path,
        deadline: Option<Instant>,
        give_up: &dyn Fn() -> bool,
    ) -> io::Result<Option<Self>> {
        let file = files::private(path)?;
        let mut pause = Duration::from_millis(1);
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            let now = Instant::now();
            if give_up() || deadline.is_some_and(|at| at <= now) {
                return Ok(None);
            }
            std::thread::sleep(deadline.map_or(pause, |at| pause.min(at - now)));
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
}
