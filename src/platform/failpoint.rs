//! Failpoints: a hook before each operation on the names of the store's files. Tests use it to simulate a power cut or
//! a full disk, or to end the process, at a certain step.
//!
//! `SQLite` does the same operations on its own files below its VFS; a test registers a VFS too.

use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// The next file operation.
#[derive(Clone, Copy, Debug)]
pub enum FileStep<'p> {
    /// Create an empty file of this name.
    Make(&'p Path),
    /// Rename a complete file from the first name to the second.
    Rename(&'p Path, &'p Path),
    /// Remove this name.
    Remove(&'p Path),
    /// Sync the content of this file to disk.
    Sync(&'p Path),
    /// Sync the names of this folder to disk.
    SyncNames(&'p Path),
    /// Lock a file or folder.
    Lock,
}

/// Called before each step. If it returns an error, the step fails with it.
pub type Failpoint = fn(FileStep<'_>) -> io::Result<()>;

static FAILPOINT: OnceLock<Failpoint> = OnceLock::new();

/// Installs the hook for this process. Only the first call has an effect.
pub fn install(hook: Failpoint) {
    let _ = FAILPOINT.set(hook);
}

/// Calls the hook before a step.
pub(super) fn reach(step: FileStep<'_>) -> io::Result<()> {
    FAILPOINT.get().map_or(Ok(()), |hook| hook(step))
}

static NETWORK_SIMULATED: AtomicBool = AtomicBool::new(false);

/// Sets whether this process treats all file systems as without shared memory.
pub fn simulate_network(pretend: bool) {
    NETWORK_SIMULATED.store(pretend, Ordering::Relaxed);
}

pub(super) fn is_network_simulated() -> bool {
    NETWORK_SIMULATED.load(Ordering::Relaxed)
}
