//! Refreshes libraries with a probe, a delta or a full listing.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::call::{Call, RefreshReason};
use super::job::{SyncJob, Synchronizer, library_cleared_error};
use super::report::JobProgress;
use crate::engine::{LibraryRow, LibraryRows, Sweeper, is_locked};
use crate::error::{Error, Result, Status};
use crate::freshness::{self, NeededRequest};
use crate::model::{LibraryId, Sequence};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;
use crate::source::{Bounds, Delta};

/// Maximum number of retries for a library that other processes clear at the same time.
const MAX_CLEAR_RETRIES: u32 = 8;
/// Number of fetch locks. Libraries share locks, because ids keep growing and lock files are never removed.
const LOCKS: i64 = 64;

/// The outcome of an update of libraries.
#[derive(Debug)]
pub struct Updated {
    /// [`Status::Ok`], or the status that says why the call did not finish before the deadline.
    pub status: Status,
    /// Whether the server has answered the call, so that a timeout does not mean that the server is down.
    pub has_answered: bool,
    /// Whether the server has changed a library.
    pub has_changed: bool,
    /// Libraries that need a full listing, which the call has skipped.
    pub unlisted: Vec<LibraryId>,
}

impl Synchronizer {
    /// Updates libraries, and returns [`Status::Ok`] on success. If the deadline passes first, returns `NotYet` if rows
    /// have arrived, so that another call would make progress; otherwise `NeedsWarm`. Fails if the store is locked until
    /// then. `since`: the change sequence of the snapshot from which the call read `libraries`. Skips a library that
    /// another call has updated since then.
    pub fn update(
        &self,
        call: &Call<'_>,
        libraries: &[LibraryRow],
        since: Sequence,
        reason: RefreshReason,
    ) -> Result<Updated> {
        let report = JobProgress::default();
        let status = match self.job_with(call, &report, |job| job.update(libraries, since, reason)) {
            Ok(()) => Status::Ok,
            Err(error) if error.status != Status::Timeout || !call.deadline.is_set() || is_locked(&error) => {
                return Err(error);
            }
            Err(_) if report.rows_arrived.load(Ordering::Relaxed) => Status::NotYet,
            Err(_) => Status::NeedsWarm,
        };
        let unlisted = std::mem::take(&mut *lock(&report.unlisted));
        Ok(Updated {
            status,
            has_answered: report.has_answered(),
            has_changed: report.has_changed.load(Ordering::Relaxed),
            unlisted,
        })
    }

    /// Refreshes a call's libraries, and fetches their invalidated items. Returns `Ok`, or the status that says why the
    /// call did not finish before the deadline.
    pub fn refresh(&self, call: &Call<'_>, reason: RefreshReason) -> Result<Status> {
        // A refresh can take a long time, so the options limit its retries, not the shorter limit for queries.
        let call = &Call {
            retry_for: None,
            ..*call
        };
        self.peers.note_use();
        let refresh = || -> Result<Status> {
            let status = match self.refresh_listings(call, reason)? {
                Status::Ok => self.verify_invalidated(call)?,
                other => other,
            };
            if status == Status::Ok {
                self.compact_listings(call)?;
            }
            Ok(status)
        };
        match refresh() {
            // The next call continues, as soon as the lock is free.
            Err(error)
                if error.status == Status::Timeout && is_locked(&error) && !self.reading.snapshot().rows.is_empty() =>
            {
                Ok(Status::NotYet)
            }
            refreshed => refreshed,
        }
    }

    /// Rebuilds listing segments that have many changes, so that new processes need not read the changes.
    fn compact_listings(&self, call: &Call<'_>) -> Result<()> {
        let (view_id, rows) = {
            let snapshot = self.reading.snapshot();
            let Some(view_id) = snapshot.view_id else {
                return Ok(());
            };
            let Some(scope) = call.scope(&snapshot)? else {
                return Ok(());
            };
            (view_id, snapshot.rows_in(scope).to_vec())
        };
        let mut has_new_segment = false;
        for row in rows.iter().filter(|row| row.generation.is_fetched()) {
            if !self.segments.has_many_changes(row)? {
                continue;
            }
            // Only one process rebuilds a segment; the others skip it.
            let lock_name = format!("segment{}", row.id.0.rem_euclid(LOCKS));
            let result = self.run_unless_running(&lock_name, || {
                let current_row = LibraryRows(&self.store).library_row(row.id)?;
                if !current_row.present || !self.segments.has_many_changes(&current_row)? {
                    return Ok(false);
                }
                self.segments.compact_listing(view_id, &current_row, call.deadline)?;
                Ok(true)
            });
            match result {
                Ok(is_new) => has_new_segment |= is_new == Some(true),
                // The refresh itself has succeeded, so the call does not fail.
                Err(error) => log::warn!(
                    "cannot write the listing of '{}' to a segment: {error}; the next refresh will try again",
                    row.library.title
                ),
            }
        }
        if has_new_segment {
            Sweeper(&self.store).sweep_segments();
            self.reading.catch_up(call.deadline)?;
        }
        Ok(())
    }

    /// Updates a call's stale libraries. First probes if the store does not contain the selected library, or contains
    /// no library. Returns `Ok`, or the status that says why the call did not finish before the deadline.
    fn refresh_listings(&self, call: &Call<'_>, reason: RefreshReason) -> Result<Status> {
        self.check_online(call, "refresh")?;
        self.reading.catch_up(call.deadline)?;
        // A listing that cannot be read is not up to date, but a full listing replaces it.
        if reason != RefreshReason::Full {
            self.reading.rebuild_if_incomplete(call.deadline)?;
        }
        let since = self.reading.snapshot().sequence();
        let stale = self.find_or_probe(call, false, |snapshot| {
            let scope = call.scope(snapshot)?.filter(|_| !snapshot.rows.is_empty());
            Ok(scope.map(|scope| self.stale_libraries(call, snapshot.rows_in(scope), reason)))
        })?;
        let stale = stale.unwrap_or_default();
        if stale.is_empty() {
            return Ok(Status::Ok);
        }
        let updated = self.update(call, &stale, since, reason)?;
        self.reading.catch_up(call.deadline)?;
        Ok(updated.status)
    }

    /// Returns which of a call's libraries (`rows`) to refresh: the stale ones; for a reason other than `Due`, all.
    /// Leaves out evicted libraries unless the call selects one, because the next query fetches them.
    fn stale_libraries(&self, call: &Call<'_>, rows: &[LibraryRow], reason: RefreshReason) -> Vec<LibraryRow> {
        let now = self.clock.now_ms();
        let may_fetch = |row: &LibraryRow| call.library.is_some() || !self.reading.is_evicted(row);
        let is_due =
            |row: &LibraryRow| freshness::needed_request(&self.age(row), &self.policy, now) != NeededRequest::Nothing;
        let is_stale = |row: &&LibraryRow| may_fetch(row) && (reason != RefreshReason::Due || is_due(row));
        rows.iter().filter(is_stale).cloned().collect()
    }
}

impl SyncJob<'_> {
    /// Updates libraries one after the other. If another process clears a library during its update, retries with the
    /// library's new id. `since`: the change sequence of the snapshot from which the call read `libraries`. Skips a
    /// library that another call has updated since then.
    pub fn update(&self, libraries: &[LibraryRow], since: Sequence, reason: RefreshReason) -> Result<()> {
        for library in libraries {
            let mut id = library.id;
            for attempt in 0.. {
                match self.update_one(library, id, since, reason)? {
                    None => break,
                    Some(_) if attempt == MAX_CLEAR_RETRIES => return Err(library_cleared_error(library)),
                    Some(new_id) => id = new_id,
                }
            }
        }
        Ok(())
    }

    /// Updates a library, unless another call has updated it while this call waited for the lock. `id`: the library's
    /// current id. `since`: the change sequence of the snapshot from which the call read `library`. If another process
    /// has cleared the library, does nothing and returns the library's new id; otherwise returns `None`.
    pub fn update_one(
        &self,
        library: &LibraryRow,
        id: LibraryId,
        since: Sequence,
        reason: RefreshReason,
    ) -> Result<Option<LibraryId>> {
        let sync = self.sync;
        lock(&self.report.library).clone_from(&library.library.title);
        // A probe that began after this sequence is recent enough. Unless the call asks for the newest state, so is every
        // probe that it has not seen.
        let after = match reason {
            RefreshReason::Missing | RefreshReason::Check => since,
            RefreshReason::Due | RefreshReason::Unverified | RefreshReason::Full => library.probed_sequence.min(since),
        };
        // A question about a missing path does not wait for a running listing, which can take minutes.
        let bounds = Bounds {
            deadline: if reason == RefreshReason::Missing {
                Deadline::after(Duration::ZERO)
            } else {
                self.bounds.deadline
            },
            ..self.bounds
        };
        let result = self.single_flight_within(bounds, &format!("fetch{}", id.0.rem_euclid(LOCKS)), || {
            let read_row = || LibraryRows(&sync.store).library_row(id).ok().filter(|row| row.present);
            // A listing that began before the call may lack what the call asks for.
            let is_updated = |row: &LibraryRow| match reason {
                RefreshReason::Unverified | RefreshReason::Full => row.begun_sequence > since,
                RefreshReason::Due => {
                    row.begun_sequence != library.begun_sequence
                        && self.needed_request(row, reason) == NeededRequest::Nothing
                }
                RefreshReason::Missing | RefreshReason::Check => false,
            };
            if read_row().as_ref().is_some_and(is_updated) {
                return Ok(None);
            }
            self.sync.peers.exchange(self.bounds.deadline)?;
            // The probe for an earlier library of this job has also checked this library.
            if let Some(row) = read_row().filter(|row| row.probed_sequence > after) {
                self.fetch_needed(&row, reason)?;
                return Ok(None);
            }
            let rows = self.probe_once(after)?;
            match rows.iter().find(|row| row.library.uuid == library.library.uuid) {
                Some(row) if row.id != id => return Ok(Some(row.id)),
                Some(row) => self.fetch_needed(row, reason)?,
                None => {} // the server no longer lists the library
            }
            Ok(None)
        })?;
        match result {
            // Another call is fetching the library. A probe shows a missing path's query whether the library has changed.
            None if reason == RefreshReason::Missing => self.probe_once(since).map(|_| None),
            None => Err(self.deadline_error()),
            Some(new_id) => Ok(new_id),
        }
    }

    /// Updates a library after a probe. If the library needs a full listing that the job must skip, only reports this.
    fn fetch_needed(&self, row: &LibraryRow, reason: RefreshReason) -> Result<()> {
        let need = self.needed_request(row, reason);
        if matches!(need, NeededRequest::Nothing | NeededRequest::Probe) {
            // An earlier version of plexindex listed the library without its shows.
            return if row.generation.is_fetched() {
                self.refresh_unknown_shows(row, &BTreeSet::new())
            } else {
                Ok(())
            };
        }
        // A first listing is no change.
        (self.report.has_changed).fetch_or(row.generation.is_fetched(), Ordering::Relaxed);
        let skips_listings = self.skips_listings && row.generation.is_fetched();
        let result = match need {
            NeededRequest::Listing if skips_listings => Err(listing_skipped_error()),
            need => self.fetch(row, need, reason),
        };
        match result {
            Err(error) if skips_listings && error.status == Status::NotYet => {
                lock(&self.report.unlisted).push(row.id);
                Ok(())
            }
            result => result,
        }
    }

    /// Updates a library from the source. `need`: the request that the library needs.
    fn fetch(&self, row: &LibraryRow, need: NeededRequest, reason: RefreshReason) -> Result<()> {
        let row = match need {
            NeededRequest::Delta if self.delta(row)? => return Ok(()),
            // An incomplete delta may have added items. Keep the item count from before the delta, because plexindex
            // compares the listing with this count.
            NeededRequest::Delta => &LibraryRow {
                items: row.items,
                ..LibraryRows(&self.sync.store).library_row(row.id)?
            },
            _ => row,
        };
        if self.skips_listings && row.generation.is_fetched() {
            return Err(listing_skipped_error());
        }
        self.list(row, reason)
    }

    /// Returns the request that a library needs, according to its last probe and the reason for the refresh.
    pub fn needed_request(&self, row: &LibraryRow, reason: RefreshReason) -> NeededRequest {
        let (age, now_ms) = (self.sync.age(row), self.sync.clock.now_ms());
        let reports_all = self.source.abilities().changes == Delta::Complete;
        let (token, probed, policy) = (&row.listed_token, &row.library.change, &self.sync.policy);
        let need_by_probe = || freshness::needed_request_after_probe(&age, token, probed, reports_all, policy, now_ms);
        match reason {
            RefreshReason::Unverified | RefreshReason::Full => NeededRequest::Listing,
            // Missing paths must not start a second listing while a disk may be unmounted.
            RefreshReason::Missing if age.held_back => NeededRequest::Nothing,
            // `Due` needs nothing while the listing is fresh. `Check` needs a probe even then, unless a listing is held
            // back.
            RefreshReason::Due | RefreshReason::Check
                if (reason == RefreshReason::Due || age.held_back)
                    && freshness::needed_request(&age, policy, now_ms) == NeededRequest::Nothing =>
            {
                NeededRequest::Nothing
            }
            RefreshReason::Due | RefreshReason::Missing | RefreshReason::Check => need_by_probe(),
        }
    }
}

/// Returns the error for a job that must not fetch the full listing that a library needs. Only a job sees this error.
fn listing_skipped_error() -> Error {
    Error::new(
        Status::NotYet,
        "the library needs a full listing, which this job does not fetch",
    )
}
