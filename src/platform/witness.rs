//! What is done to the names of the store's files, told before it is done. Nothing in the library listens: tests do, which
//! cut the power, fill the disk, or end the process at a counted step.
//!
//! `SQLite` does the same work on its own files, below its VFS. A listener registers one besides.

use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The next file operation.
#[derive(Clone, Copy, Debug)]
pub enum FileStep<'p> {
    /// An empty file gets this name.
    Make(&'p Path),
    /// A complete file is renamed from the first name to the second.
    Rename(&'p Path, &'p Path),
    /// The name goes.
    Remove(&'p Path),
    /// The content of the file is synced to disk.
    Sync(&'p Path),
    /// The names of this folder are.
    SyncNames(&'p Path),
    /// A lock is taken on a file or a folder.
    Lock,
}

/// Hears of each step. An error is what the step ends with, and then it is not done.
pub type Failpoint = fn(FileStep<'_>) -> io::Result<()>;

static WITNESS: OnceLock<Failpoint> = OnceLock::new();

/// From now on this one hears of each step in this process. The first that is named stays.
pub fn listen(witness: Failpoint) {
    let _ = WITNESS.set(witness);
}

/// Says what is about to be done.
pub(super) fn tell(step: FileStep<'_>) -> io::Result<()> {
    WITNESS.get().map_or(Ok(()), |witness| witness(step))
}

static ON_A_NETWORK: AtomicBool = AtomicBool::new(false);

/// From now on, in this process, or no longer: each folder counts as one whose file system shares no memory.
pub fn as_on_a_network(pretend: bool) {
    ON_A_NETWORK.store(pretend, Ordering::Relaxed);
}

pub(super) fn is_on_a_network() -> bool {
    ON_A_NETWORK.load(Ordering::Relaxed)
}
