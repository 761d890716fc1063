//! Pins libraries against eviction while calls use them, and keeps the folder within its size limit.

use std::time::Duration;

use super::data::Snapshot;
use super::reading::Reading;
use crate::engine::sql::LibraryRow;
use crate::model::{Generation, LibraryId};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;

/// Longest time by which eviction delays an answer.
const MAX_EVICTION_TIME: Duration = Duration::from_millis(100);
/// Calls check the folder's size at most this often.
const CHECK_INTERVAL_MS: i64 = 60_000;

/// Libraries that a call uses. This process does not evict them before the call ends.
pub struct EvictionPin<'r> {
    reading: &'r Reading,
    libraries: Vec<LibraryId>,
    /// Libraries that this call fetched and has not read yet.
    unread: Vec<LibraryId>,
    /// Whether the call has several queries, which may use the same libraries.
    has_several_queries: bool,
}

impl EvictionPin<'_> {
    /// Pins a library that is about to be fetched.
    pub fn fetch(&mut self, library: LibraryId) {
        if !self.unread.contains(&library) {
            self.unread.push(library);
        }
        self.pin(library);
    }

    /// Pins a library that was read, if further questions may read it.
    pub fn read(&mut self, library: LibraryId) {
        if self.has_several_queries {
            self.pin(library);
        }
    }

    fn pin(&mut self, library: LibraryId) {
        if !self.libraries.contains(&library) {
            self.libraries.push(library);
            lock(&self.reading.wanted).push(library);
        }
    }

    fn release(&mut self) {
        if self.libraries.is_empty() {
            return;
        }
        let mut wanted = lock(&self.reading.wanted);
        for library in self.libraries.drain(..) {
            if let Some(index) = wanted.iter().position(|one| *one == library) {
                wanted.swap_remove(index);
            }
        }
    }
}

impl Drop for EvictionPin<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

impl Reading {
    /// The time, Unix ms.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// Creates an empty pin.
    pub fn eviction_pin(&self, has_several_queries: bool) -> EvictionPin<'_> {
        EvictionPin {
            reading: self,
            libraries: Vec::new(),
            unread: Vec::new(),
            has_several_queries,
        }
    }

    /// Stores the libraries' last uses: hourly for each, or at once with `exactly`.
    pub fn store_last_uses(&self, exactly: bool, now_ms: i64) {
        let due: Vec<(LibraryId, i64)> = {
            let snapshot = self.snapshot();
            for access in snapshot.last_access.iter().filter(|access| access.was_touched()) {
                access.set_used(now_ms);
            }
            let rows = snapshot.rows.iter().zip(&snapshot.last_access);
            rows.filter_map(|(row, access)| Some((row.id, access.time_to_store(exactly)?)))
                .collect()
        };
        if due.is_empty() {
            return;
        }
        match self.store.store_last_uses(&due) {
            Ok(false) => {} // another process writes: the next call tries again
            written => {
                if let Err(error) = written {
                    log::debug!("what is asked for could not be noted, and is in an hour: {error}");
                }
                let snapshot = self.snapshot();
                for (row, access) in snapshot.rows.iter().zip(&snapshot.last_access) {
                    if let Some((_, ms)) = due.iter().find(|(id, _)| *id == row.id) {
                        access.mark_stored(*ms);
                    }
                }
            }
        }
    }

    /// Evicts libraries until the folder is within its limit, or until the deadline. Does nothing if the size was
    /// checked within `every_ms`.
    pub fn keep_within_limit(&self, every_ms: i64, now_ms: i64, deadline: Deadline) {
        if !self.limit.is_due(every_ms, now_ms) {
            return;
        }
        if self.limit.is_over() {
            self.store_last_uses(true, now_ms);
        }
        self.limit
            .enforce(now_ms, deadline, &|library| lock(&self.wanted).contains(&library));
    }

    /// Returns whether the size limit evicted a library.
    pub fn is_evicted(&self, row: &LibraryRow) -> bool {
        self.limit.bytes().is_some() && row.generation < Generation::default()
    }

    /// Returns whether the next call has to check the size limit.
    pub(super) fn limit_is_due(&self, now_ms: i64) -> bool {
        self.limit.is_due(CHECK_INTERVAL_MS, now_ms)
    }

    /// Returns whether a library was fetched and its use is stored, so that an answer has nothing to note.
    pub fn is_noted(snapshot: &Snapshot, index: usize, now_ms: i64) -> bool {
        snapshot.rows[index].generation.is_fetched() && snapshot.last_access[index].is_stored_recently(now_ms)
    }

    /// Unpins libraries that the call has fetched and read. Other processes may evict them from now on.
    pub fn unpin(&self, libraries: &[LibraryId], deadline: Deadline) {
        // Unpinning is a commit too, so the snapshot must show it when the call returns.
        let written = self.store.unpin(libraries, deadline);
        if let Err(error) = written.and_then(|was_pinned| {
            if was_pinned {
                self.catch_up_without_noting(deadline)
            } else {
                Ok(())
            }
        }) {
            log::debug!("that libraries were read could not be noted, and is soon taken for granted: {error}");
        }
    }

    /// Upkeep after an answer: last uses, pins and the size limit.
    pub fn answered(&self, pin: &mut EvictionPin<'_>, now_ms: i64, deadline: Deadline) {
        self.store_last_uses(false, now_ms);
        self.unpin(&pin.unread, deadline);
        pin.unread.clear();
        if !pin.has_several_queries {
            self.release_pins(pin, now_ms, deadline);
        }
    }

    /// Upkeep after a call: releases its pins, and evicts for a short time if the folder is over its limit.
    pub fn release_pins(&self, pin: &mut EvictionPin<'_>, now_ms: i64, deadline: Deadline) {
        let every_ms = if pin.libraries.is_empty() { CHECK_INTERVAL_MS } else { 0 };
        pin.release();
        if self.limit.is_due(every_ms, now_ms) {
            self.keep_within_limit(every_ms, now_ms, deadline.earliest(Deadline::after(MAX_EVICTION_TIME)));
        }
    }
}
