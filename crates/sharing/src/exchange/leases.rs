//! Leases of the log, and what it has of a probe or a listing.

use std::time::{Duration, Instant};

use super::core::{Away, Exchange, SharedView};
use crate::bodies::{ListingBody, ProbeBody, decode, name};
use crate::contract::{Entry, EntryKind, Lease, Position, SharedLog};
use crate::engine::LibraryRow;
use crate::platform::Deadline;
use crate::platform::lock;
use crate::sync::AcceptedProbe;

/// A lease while its work is done.
pub struct HeldLease<'x> {
    exchange: &'x Exchange,
    pub lease: Lease,
}

impl Drop for HeldLease<'_> {
    fn drop(&mut self) {
        lock(&self.exchange.state).leases.retain(|held| *held != self.lease);
        let release = |log: &dyn SharedLog, limit| log.release(&self.lease, limit);
        let _ = self.exchange.ask_to_take(Deadline::NONE, release);
    }
}

impl Exchange {
    /// The probe in the log, if it is accepted.
    pub fn find_probe(&self, view: &SharedView, accepts: &AcceptedProbe<'_>, begun: Instant) -> Option<Entry> {
        let library = accepts.library.unwrap_or_default();
        let names = [
            name(EntryKind::Probe, "", b""),
            name(EntryKind::Hint, library, b""),
            name(EntryKind::InvalidLibrary, library, b""),
        ];
        let found = self
            .ask(|log, limit| log.find(view.number, &names, limit))
            .unwrap_or_default();
        let told = found.iter().filter(|entry| entry.name.kind != EntryKind::Probe);
        let told = told.map(|entry| entry.number).max().unwrap_or(0);
        let oldest = accepts.oldest.max(begun.elapsed());
        let probe = found.into_iter().find(|entry| entry.name.kind == EntryKind::Probe);
        let age = |entry: &Entry| {
            let before = decode::<ProbeBody>(&entry.body).map_or(0, |body| body.age_ms);
            entry.age.saturating_add(Duration::from_millis(before))
        };
        probe.filter(|entry| entry.number > told && age(entry) <= oldest)
    }

    /// The entry of this name.
    pub fn find(
        &self,
        view: &SharedView,
        kind: EntryKind,
        library: &str,
        key: &[u8],
    ) -> std::result::Result<Option<Entry>, Away> {
        let names = [name(kind, library, key)];
        let mut found = self.ask(|log, limit| log.find(view.number, &names, limit))?;
        Ok(found.pop())
    }

    /// The head of a library's listing in the log.
    pub fn head(&self, view: &SharedView, library: &str) -> std::result::Result<Option<(Entry, ListingBody)>, Away> {
        let found = self.find(view, EntryKind::Listing, library, b"")?;
        Ok(found.and_then(|entry| decode(&entry.body).map(|body| (entry, body))))
    }

    /// Renews a lease before something is written under it. Returns `false` if another host took over, or the log is
    /// away.
    pub fn keep_lease(&self, lease: &Lease) -> bool {
        self.ask_to_take(Deadline::NONE, |log, limit| log.renew(lease, limit)) == Ok(true)
    }

    /// How long ago something was, ms.
    pub fn age_ms(&self, at_ms: i64) -> u64 {
        u64::try_from(self.clock.now_ms().saturating_sub(at_ms)).unwrap_or(0)
    }

    /// Takes a lease; `None` while another host has it.
    pub fn take_lease(&self, view: &SharedView, what: &str) -> std::result::Result<Option<HeldLease<'_>>, Away> {
        let lease = self.ask_to_take(Deadline::NONE, |log, limit| log.lease(view.number, what, limit))?;
        Ok(lease.map(|lease| {
            lock(&self.state).leases.push(lease.clone());
            HeldLease { exchange: self, lease }
        }))
    }

    /// Returns whether the log is away or takes no writes, and a library waits for it.
    pub fn is_awaited(&self, row: &LibraryRow) -> bool {
        let missing_ms = self.away_ms().or_else(|| self.refusing_ms());
        row.generation.is_fetched() && missing_ms.is_some_and(|missing| missing < self.patience_ms)
    }

    /// Returns whether a library was invalidated after a listing of it was begun.
    pub fn is_void(&self, view: &SharedView, library: &str, head: &ListingBody) -> bool {
        let Position { number, .. } = head.included;
        let told = self.find(view, EntryKind::InvalidLibrary, library, b"");
        told.map_or(true, |told| told.is_some_and(|told| told.number > number))
    }
}
