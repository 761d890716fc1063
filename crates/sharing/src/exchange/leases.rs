//! Acquires, renews and releases leases, and reads the entries that decide whether a host needs a lease.

use super::core::{Exchange, LogView, Unavailable};
use crate::bodies::{ListingBody, decode, entry_name};
use crate::contract::{Entry, EntryKind, EntryName, Lease, SharedLog};
use crate::engine::LibraryRow;
use crate::platform::Deadline;
use crate::platform::lock;

/// A lease that is released when dropped.
pub struct HeldLease<'x> {
    exchange: &'x Exchange,
    pub lease: Lease,
}

impl Drop for HeldLease<'_> {
    /// Releases the lease in the log, so that another host need not wait until the lease expires.
    fn drop(&mut self) {
        lock(&self.exchange.state).leases.retain(|held| *held != self.lease);
        let release = |log: &dyn SharedLog, limit| log.release(&self.lease, limit);
        let _ = self.exchange.send_write(Deadline::NONE, release);
    }
}

impl Exchange {
    /// Returns the log's entries with these names, and omits names that the log lacks.
    pub fn find(&self, view: &LogView, names: &[EntryName]) -> std::result::Result<Vec<Entry>, Unavailable> {
        let requested_ms = self.clock.now_ms();
        let mut found = self.send_request(|log, limit| log.find(view.number, names, limit))?;
        self.note_times(&mut found, requested_ms);
        Ok(found)
    }

    /// Returns the entry that describes a library's listing, and its decoded body, the head; `None` if there is none,
    /// if the head is damaged, or if the library was invalidated after the fetch of the listing started.
    pub fn find_listing_head(
        &self,
        view: &LogView,
        library: &str,
    ) -> std::result::Result<Option<(Entry, ListingBody)>, Unavailable> {
        let names = [EntryKind::Listing, EntryKind::InvalidLibrary].map(|kind| entry_name(kind, library, b""));
        let (mut listing, mut invalidated) = (None, 0);
        for entry in self.find(view, &names)? {
            match entry.name.kind {
                EntryKind::Listing => listing = decode(&entry.body).map(|head: ListingBody| (entry, head)),
                _ => invalidated = entry.number,
            }
        }
        Ok(listing.filter(|(_, head)| invalidated <= head.included.number))
    }

    /// Returns the time since `since_ms` (Unix ms), in ms; 0 if the clock was set back.
    pub fn age_ms(&self, since_ms: i64) -> u64 {
        u64::try_from(self.clock.now_ms().saturating_sub(since_ms)).unwrap_or(0)
    }

    /// Acquires the lease for the task `task`; `None` while another host has the lease.
    pub fn acquire_lease(&self, view: &LogView, task: &str) -> std::result::Result<Option<HeldLease<'_>>, Unavailable> {
        let lease = self.send_write(Deadline::NONE, |log, limit| log.lease(view.number, task, limit))?;
        Ok(lease.map(|lease| {
            lock(&self.state).leases.push(lease.clone());
            HeldLease { exchange: self, lease }
        }))
    }

    /// Returns whether to postpone a library's refresh until the log is available, because the outage is still
    /// short and the library has a listing.
    pub fn should_await_log(&self, row: &LibraryRow) -> bool {
        row.generation.is_fetched()
            && self
                .unavailable_ms()
                .is_some_and(|outage_ms| outage_ms < self.retry_after_ms)
    }
}
