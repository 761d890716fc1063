//! The limit on the folder's size: evicts listings one by one, the one refreshed longest ago first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::upkeep::ROWS_PER_SWEEP;
use crate::engine::sql::{FeedRows, LibraryRows, Store, Sweeper};
use crate::error::Result;
use crate::model::LibraryId;
use crate::platform::clock::Clock;
use crate::platform::deadline::Deadline;

/// Lock timeout of an eviction.
const EVICTION_LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The limit of one handle on its folder.
pub struct FolderLimit {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    bytes: Option<u64>,
    /// Whether a thread is evicting. This is not a lock, since a fork would wait for it, and an eviction can take long.
    evicting: AtomicBool,
    /// Whether the warning that the limit is too small was logged.
    warned: AtomicBool,
}

/// Marks an eviction as running until dropped.
struct EvictionGuard<'l>(&'l AtomicBool);

impl Drop for EvictionGuard<'_> {
    /// Notes that the eviction has ended, also after a panic.
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl FolderLimit {
    /// Creates the limit of a handle. `bytes`: the maximum size of the folder; `None` for no limit.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>, bytes: Option<u64>) -> Self {
        Self {
            store,
            clock,
            bytes,
            evicting: AtomicBool::new(false),
            warned: AtomicBool::new(false),
        }
    }

    /// Resets the mark in the child of a fork, since a running eviction continues in the parent.
    pub fn after_fork(&self) {
        self.evicting.store(false, Ordering::Release);
    }

    /// Returns the limit in bytes; `None` without one.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Returns by how many bytes the folder exceeds the limit, not counting space that a sweep or a vacuum frees. After
    /// an eviction, only content that cannot be evicted exceeds it.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn exceeded(&self) -> Result<u64> {
        self.bytes.map_or(Ok(0), |limit| {
            Ok(Sweeper(&self.store).bytes_after_vacuum()?.saturating_sub(limit))
        })
    }

    /// Evicts until the folder is within the limit, or until the deadline. Libraries for which `is_in_use` returns
    /// `true` stay. Errors are only logged, since the caller's answer does not depend on this.
    pub fn enforce(&self, deadline: Deadline, is_in_use: &dyn Fn(LibraryId) -> bool) {
        let Some(limit) = self.bytes else { return };
        if self.evicting.swap(true, Ordering::AcqRel) {
            return; // one thread is enough
        }
        let _busy = EvictionGuard(&self.evicting);
        if let Err(error) = self.evict_down_to(limit, deadline.at_most(EVICTION_LOCK_TIMEOUT), is_in_use) {
            log::warn!("cannot reduce the folder to size_limit; will retry later: {error}");
        }
    }

    /// Evicts listings until the folder has at most `limit` bytes, or until time runs out. Keeps libraries for which
    /// `is_in_use` returns `true`.
    fn evict_down_to(&self, limit: u64, deadline: Deadline, is_in_use: &dyn Fn(LibraryId) -> bool) -> Result<()> {
        let mut may_have_history = true;
        loop {
            if self.store.folder().disk_bytes() <= limit {
                self.warned.store(false, Ordering::Relaxed);
                return Ok(());
            }
            if !self.reclaim_space(deadline)? {
                return Ok(());
            }
            // The part of the write-ahead log that others are reading remains for a moment.
            let bytes = Sweeper(&self.store).bytes_after_vacuum()?;
            if bytes <= limit {
                self.warned.store(false, Ordering::Relaxed);
                return Ok(());
            }
            // Remove the history of the feed before any listing.
            if may_have_history && FeedRows(&self.store).forget_history(deadline)? {
                may_have_history = false;
                continue;
            }
            // Read the clock again, since sweeping may have taken long.
            let now_ms = self.clock.now_ms();
            let libraries = LibraryRows(&self.store).evictable(now_ms)?;
            let Some((library, title)) = libraries.iter().find(|(library, _)| !is_in_use(*library)) else {
                // The next listing tries again.
                if libraries.is_empty() && !self.warned.swap(true, Ordering::Relaxed) {
                    log::warn!(
                        "{} takes {bytes} bytes, more than size_limit={limit}, and nothing else can be evicted: \
                         recorded matches, tables and the library listed last stay; raise size_limit",
                        self.store.folder().path().display()
                    );
                }
                return Ok(());
            };
            if !LibraryRows(&self.store).evict(*library, now_ms, deadline)? {
                return Ok(()); // it is in use by now: the next listing tries again
            }
            log::info!(
                "evicting '{title}', which was refreshed longest ago: {bytes} bytes exceed size_limit={limit}; the \
                 next question fetches it again"
            );
        }
    }

    /// Removes dead rows, unused files and free pages of the database, which all count towards the folder's size.
    /// Returns `false` if time ran out.
    fn reclaim_space(&self, deadline: Deadline) -> Result<bool> {
        let has_timed_out = || deadline.moment().is_some_and(|moment| self.clock.has_come(moment));
        while Sweeper(&self.store).sweep(ROWS_PER_SWEEP, deadline)? {
            if has_timed_out() {
                return Ok(false);
            }
        }
        Sweeper(&self.store).sweep_segments();
        while Sweeper(&self.store).vacuum(deadline)? {
            if has_timed_out() {
                return Ok(false);
            }
        }
        self.store.settle();
        Ok(true)
    }
}
