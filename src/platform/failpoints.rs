//! Hooks for tests. A failpoint runs before each operation on the store's files, so that a test can simulate a power
//! cut or a full disk, or end the process, at a certain step. Tests can also simulate a network file system and freeze
//! the clock.
//!
//! SQLite operates on its own files through its VFS, so a test also registers a VFS.

use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::system;

/// The next file operation.
#[derive(Clone, Copy, Debug)]
pub enum FileStep<'p> {
    /// Create an empty file with this name.
    Make(&'p Path),
    /// Rename a complete file from the first name to the second.
    Rename(&'p Path, &'p Path),
    /// Remove this name.
    Remove(&'p Path),
    /// Sync the content of this file to disk.
    Sync(&'p Path),
    /// Sync the names in this folder to disk.
    SyncNames(&'p Path),
    /// Lock a file or folder.
    Lock,
}

/// A hook that is called before each step. If the hook returns an error, the step fails with this error.
pub type Failpoint = fn(FileStep<'_>) -> io::Result<()>;

static FAILPOINT: OnceLock<Failpoint> = OnceLock::new();

/// Installs the hook for this process. Only the first call has an effect.
pub fn install(hook: Failpoint) {
    let _ = FAILPOINT.set(hook);
}

/// Calls the hook before a step.
pub(super) fn run_failpoint(step: FileStep<'_>) -> io::Result<()> {
    FAILPOINT.get().map_or(Ok(()), |hook| hook(step))
}

static NETWORK_SIMULATED: AtomicBool = AtomicBool::new(false);

/// Sets whether this process treats all file systems as network file systems, which have no shared memory.
pub fn simulate_network(pretend: bool) {
    NETWORK_SIMULATED.store(pretend, Ordering::Relaxed);
}

/// Returns whether this process treats all file systems as network file systems.
pub(super) fn is_network_simulated() -> bool {
    NETWORK_SIMULATED.load(Ordering::Relaxed)
}

/// Value of `coarse_ms` while the clock is frozen; 0 while the clock runs.
static FROZEN_MS: AtomicU64 = AtomicU64::new(0);

/// Freezes `coarse_ms` in this process, and advances it by `and_add_ms`. For simulations, whose folders no other
/// process may use, since the clocks of other processes continue to run.
pub fn freeze_coarse_clock(and_add_ms: u64) {
    // 0 means that the clock runs.
    let _ = FROZEN_MS.compare_exchange(0, system::coarse_ms(), Ordering::Relaxed, Ordering::Relaxed);
    FROZEN_MS.fetch_add(and_add_ms, Ordering::Relaxed);
}

/// Returns the value of `coarse_ms` while the clock is frozen; `None` while the clock runs.
pub(super) fn frozen_ms() -> Option<u64> {
    Some(FROZEN_MS.load(Ordering::Relaxed)).filter(|&frozen| frozen != 0)
}

/// Advances `coarse_ms` if the clock is frozen. Returns whether the clock is frozen.
pub(super) fn advance_frozen(time: Duration) -> bool {
    let is_frozen = frozen_ms().is_some();
    if is_frozen {
        freeze_coarse_clock(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
    }
    is_frozen
}
