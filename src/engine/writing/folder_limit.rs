//! Limits the folder's size. Evicts one listing at a time, starting with the least recently refreshed library.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::engine::sql::{FeedRows, LibraryRows, Store, Sweeper};
use crate::error::Result;
use crate::model::LibraryId;
use crate::platform::clock::{Clock, Deadline};

/// Maximum time that an eviction waits for the database's write lock.
const EVICTION_LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The size limit that one handle applies to its folder.
pub struct FolderLimit {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    bytes: Option<u64>,
    /// Whether a thread is evicting. This flag is not a lock, because a fork would have to wait for a lock, and an
    /// eviction can take a long time.
    evicting: AtomicBool,
    /// Whether plexindex has already warned that the limit is too small.
    warned: AtomicBool,
}

/// Marks an eviction as running until dropped, so that other threads start none.
struct EvictionGuard<'l>(&'l AtomicBool);

impl Drop for EvictionGuard<'_> {
    /// Lets the next eviction start, even after a panic.
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl FolderLimit {
    /// Creates a handle's size limit. `bytes`: the maximum size of the folder in bytes; `None`: no limit.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>, bytes: Option<u64>) -> Self {
        Self {
            store,
            clock,
            bytes,
            evicting: AtomicBool::new(false),
            warned: AtomicBool::new(false),
        }
    }

    /// In the child after a fork, marks the eviction as finished, because a running eviction continues only in the
    /// parent.
    pub fn after_fork(&self) {
        self.evicting.store(false, Ordering::Release);
    }

    /// Returns the size limit in bytes; `None` if there is no limit.
    pub fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// Returns by how many bytes the folder exceeds the limit; 0 if it does not. Excludes space that plexindex can free
    /// without evicting anything. Any excess after [`FolderLimit::enforce`] is content that plexindex cannot evict.
    pub fn excess_bytes(&self) -> Result<u64> {
        self.bytes.map_or(Ok(0), |limit| {
            Ok(Sweeper(&self.store).bytes_after_vacuum()?.saturating_sub(limit))
        })
    }

    /// Evicts libraries until the folder is within the limit, or until the deadline. Keeps libraries for which
    /// `is_in_use` returns `true`. Only logs errors, because the caller's answer does not depend on the eviction.
    pub fn enforce(&self, deadline: Deadline, is_in_use: &dyn Fn(LibraryId) -> bool) {
        let Some(limit) = self.bytes else { return };
        if self.evicting.swap(true, Ordering::AcqRel) {
            return; // another thread is already evicting
        }
        let _busy = EvictionGuard(&self.evicting);
        if let Err(error) = self.evict_down_to(limit, deadline.at_most(EVICTION_LOCK_TIMEOUT), is_in_use) {
            log::warn!("cannot reduce the folder to size_limit: {error}; plexindex will retry later");
        }
    }

    /// Evicts libraries until the folder's size is at most `limit` bytes, or until the deadline. Keeps libraries for
    /// which `is_in_use` returns `true`.
    fn evict_down_to(&self, limit: u64, deadline: Deadline, is_in_use: &dyn Fn(LibraryId) -> bool) -> Result<()> {
        let mut may_have_history = true;
        loop {
            // First compare the files' sizes, which needs no database.
            if self.store.folder().disk_bytes() <= limit {
                self.warned.store(false, Ordering::Relaxed);
                return Ok(());
            }
            if !self.reclaim_space(deadline)? {
                return Ok(());
            }
            // `bytes_after_vacuum` excludes the write-ahead log, which stays large while other processes read it.
            let bytes = Sweeper(&self.store).bytes_after_vacuum()?;
            if bytes <= limit {
                self.warn_of_broken_databases(limit);
                return Ok(());
            }
            // Remove the feed's history before any listing.
            if may_have_history && FeedRows(&self.store).remove_all_history(deadline)? {
                may_have_history = false;
                continue;
            }
            // Read the time again in each round, because sweeping can take a long time.
            let now_ms = self.clock.now_ms();
            let libraries = LibraryRows(&self.store).evictable_libraries(now_ms)?;
            let Some((library, title)) = libraries.iter().find(|(library, _)| !is_in_use(*library)) else {
                // The next listing retries the eviction.
                if libraries.is_empty() && !self.warned.swap(true, Ordering::Relaxed) {
                    log::warn!(
                        "{} uses {bytes} bytes, more than size_limit={limit}, and nothing else can be evicted: \
                         confirmed matches, tables and the last refreshed library are always kept; raise size_limit",
                        self.store.folder().path().display()
                    );
                }
                return Ok(());
            };
            // Evict the least recently refreshed library, and check the size again.
            if !LibraryRows(&self.store).evict(*library, now_ms, deadline)? {
                return Ok(()); // the library is gone or being listed; the next listing retries the eviction
            }
            log::info!(
                "evicted library '{title}', which was refreshed longest ago: the folder used {bytes} bytes, more than \
                 size_limit={limit}; the next query fetches the library again"
            );
        }
    }

    /// Logs a warning, once, if only damaged databases make the folder larger than the limit.
    fn warn_of_broken_databases(&self, limit: u64) {
        let folder = self.store.folder();
        let names = folder.broken_databases();
        if !names.is_empty() && !self.warned.swap(true, Ordering::Relaxed) {
            log::warn!(
                "{} exceeds size_limit={limit} because of {}, which plexindex never removes; `plexindex doctor` explains \
                 how to recover confirmed matches from a damaged database",
                folder.path().display(),
                names.join(" and ")
            );
        }
    }

    /// Removes rows that no reader sees, unused files and free database pages. Returns `false` if the deadline passed.
    fn reclaim_space(&self, deadline: Deadline) -> Result<bool> {
        let has_timed_out = || deadline.moment().is_some_and(|moment| self.clock.has_passed(moment));
        while Sweeper(&self.store).sweep(deadline)? {
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
        self.store.checkpoint();
        Ok(true)
    }
}
