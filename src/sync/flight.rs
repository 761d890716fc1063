//! One fetch at a time. Threads share a lock with a time-out. Processes share a file lock, which ends with its holder.
//! If the file system has no locks, they share a lease in the store, which outlives a killed holder by up to a minute.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::engine::Store;
use crate::error::Result;
use crate::platform::deadline::Deadline;
use crate::platform::files;
use crate::platform::fork::{Release, hold};
use crate::platform::lock::FileLock;
use crate::platform::mutex::lock;
use crate::source::Bounds;

/// Lifetime of a lease that is not renewed.
const LEASE_MS: i64 = 60_000;
/// Interval between renewals.
const RENEW_MS: i64 = 15_000;
/// Interval at which a lease of another process is read.
const POLL: Duration = Duration::from_millis(20);

/// The fetches under way in this process, by what they fetch.
///
/// `parking_lot`, because its locks have a deadline. They are locked on the library's own threads only: waiting leaves
/// a thread-local with a destructor behind.
#[derive(Default)]
pub struct SingleFlight {
    by_name: Mutex<HashMap<String, Arc<parking_lot::Mutex<()>>>>,
    /// Leases that this process holds.
    leases: Mutex<HashMap<String, LeaseTerm>>,
}

impl SingleFlight {
    /// Its locks, held through a fork.
    pub fn hold<O: 'static>(owner: &Arc<O>, within: fn(&O) -> &Self) -> [Box<dyn Release>; 2] {
        [
            Box::new(hold(owner, |owner| &within(owner).by_name)),
            Box::new(hold(owner, |owner| &within(owner).leases)),
        ]
    }

    /// Runs `work` while no other thread or process fetches `what`; returns `None` if the bounds end first. The
    /// deadline is for writes of a lease.
    ///
    /// # Errors
    /// Errors of `work`.
    pub fn single_flight<T>(
        &self,
        store: &Store,
        now_ms: &dyn Fn() -> i64,
        what: &str,
        bounds: Bounds<'_>,
        deadline: Deadline,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let thread_lock = Arc::clone(lock(&self.by_name).entry(what.to_owned()).or_default());
        let Some(_among_threads) = wait(&thread_lock, bounds) else {
            return Ok(None);
        };
        let path = store.folder().fetch_lock(what);
        let _among_processes = match FileLock::acquire(&path, bounds.deadline, bounds.aborted) {
            Ok(Some(lock)) => FetchLock::Lock(lock),
            Ok(None) => return Ok(None),
            Err(error) => {
                log::debug!("no file lock on {}: a lease stands in for it: {error}", path.display());
                match Lease::take(&self.leases, store, now_ms, what, bounds, deadline)? {
                    Some(lease) => FetchLock::Lease(lease),
                    None => return Ok(None),
                }
            }
        };
        work().map(Some)
    }

    /// Renews the leases of this process that are due. Called repeatedly during a fetch. A failed renewal is tried
    /// again at the next call; a holder whose lease was taken over gets an error from `store_page`.
    pub fn renew_due(&self, store: &Store, now_ms: i64, deadline: Deadline) {
        let due: Vec<(String, u64)> = lock(&self.leases)
            .iter_mut()
            .filter(|(_, term)| now_ms.saturating_sub(term.since_ms) >= RENEW_MS)
            .map(|(what, term)| {
                term.since_ms = now_ms;
                (what.clone(), term.holder)
            })
            .collect();
        for (what, holder) in due {
            if let Err(error) = store.take_lease(&what, holder, now_ms, now_ms.saturating_add(LEASE_MS), deadline) {
                log::debug!("a lease could not be made longer: {error}");
            }
        }
    }

    /// Resets all locks in the child of a fork: the parent's fetching threads do not exist there.
    pub fn reset_after_fork(&self) {
        if let Ok(mut by_name) = self.by_name.try_lock() {
            by_name.clear();
        }
        if let Ok(mut leases) = self.leases.try_lock() {
            leases.clear();
        }
    }
}

/// Excludes other processes until it is dropped.
#[allow(dead_code)] // held, not read
enum FetchLock<'s> {
    Lock(FileLock),
    Lease(Lease<'s>),
}

/// The holder of a lease, and when it was last renewed, Unix ms.
pub struct LeaseTerm {
    holder: u64,
    since_ms: i64,
}

/// A lease, while its work is done.
struct Lease<'s> {
    held: &'s Mutex<HashMap<String, LeaseTerm>>,
    store: &'s Store,
    what: &'s str,
    holder: u64,
    deadline: Deadline,
}

impl<'s> Lease<'s> {
    fn take(
        held: &'s Mutex<HashMap<String, LeaseTerm>>,
        store: &'s Store,
        now_ms: &dyn Fn() -> i64,
        what: &'s str,
        bounds: Bounds<'_>,
        deadline: Deadline,
    ) -> Result<Option<Self>> {
        let holder = files::random().map_or(0, u64::from_le_bytes);
        loop {
            let now = now_ms();
            if store.take_lease(what, holder, now, now.saturating_add(LEASE_MS), deadline)? {
                lock(held).insert(what.to_owned(), LeaseTerm { holder, since_ms: now });
                return Ok(Some(Self {
                    held,
                    store,
                    what,
                    holder,
                    deadline,
                }));
            }
            if is_over(bounds) {
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        lock(self.held).remove(self.what);
        if let Err(error) = self.store.end_lease(self.what, self.holder, self.deadline) {
            log::debug!("a lease could not be given back; it ends by itself: {error}");
        }
    }
}

fn is_over(bounds: Bounds<'_>) -> bool {
    (bounds.aborted)() || bounds.deadline.has_passed()
}

fn wait<'l>(lock: &'l parking_lot::Mutex<()>, bounds: Bounds<'_>) -> Option<parking_lot::MutexGuard<'l, ()>> {
    loop {
        if let Some(guard) = lock.try_lock_for(bounds.deadline.wait(POLL)) {
            return Some(guard);
        }
        if is_over(bounds) {
            return None;
        }
    }
}
