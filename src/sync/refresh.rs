//! Refreshes libraries with a probe, a delta or a full listing.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::call::{Call, RefreshReason};
use super::job::{SyncJob, Synchronizer, library_cleared_error};
use super::report::JobProgress;
use crate::engine::{LibraryHint, LibraryRow, LibraryRows, Sweeper, is_locked};
use crate::error::{Result, Status};
use crate::knowledge::{CLOCK_TOLERANCE_MS, Cause, Doubt, DoubtScope, Need, need};
use crate::model::{Hint, LibraryId, Sequence, TokenReliability};
use crate::platform::clock::Deadline;
use crate::platform::fork::lock;
use crate::source::Bounds;

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

    /// Refreshes a call's libraries, and fetches their invalidated items. Returns `Ok` if answers from them are fresh,
    /// `NotYet` if something is still doubted, or the status that says why the call did not finish before the deadline.
    pub fn refresh(&self, call: &Call<'_>, reason: RefreshReason) -> Result<Status> {
        // A refresh can take a long time, so the options limit its retries, not the shorter limit for queries.
        let call = &Call {
            retry_for: None,
            ..*call
        };
        self.peers.start(); // a forked child has no thread yet
        let refresh = || -> Result<Status> {
            let status = match self.refresh_listings(call, reason)? {
                Status::Ok => self.verify_invalidated(call)?,
                other => other,
            };
            if status != Status::Ok {
                return Ok(status);
            }
            self.compact_listings(call)?;
            let (snapshot, now_ms) = (self.reading.snapshot(), self.clock.now_ms());
            let scope = call.scope(&snapshot)?.filter(|_| !snapshot.rows.is_empty());
            let rows = scope.map_or(&[][..], |scope| snapshot.rows_in(scope));
            let is_doubted = |row: &LibraryRow| row.generation.is_fetched() && self.is_doubted(row, now_ms);
            let has_doubted_items = || scope.is_some_and(|scope| self.has_doubted_items(&snapshot, scope));
            Ok(if rows.iter().any(is_doubted) || has_doubted_items() {
                Status::NotYet
            } else {
                Status::Ok
            })
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
        let is_due = |row: &LibraryRow| self.need(row, now).is_some();
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
            RefreshReason::Due | RefreshReason::Unverified | RefreshReason::Full => library.probed_at().min(since),
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
                RefreshReason::Unverified | RefreshReason::Full => row.listing_asked() > since,
                RefreshReason::Due => {
                    row.listing_asked() != library.listing_asked() && sync.need(row, sync.clock.now_ms()).is_none()
                }
                RefreshReason::Missing | RefreshReason::Check => false,
            };
            if read_row().as_ref().is_some_and(is_updated) {
                return Ok(None);
            }
            self.sync.peers.exchange(self.bounds.deadline)?;
            if let Some(row) = read_row() {
                self.doubt_future_check(&row)?;
            }
            // The probe for an earlier library of this job has also checked this library.
            let row = if let Some(row) = read_row().filter(|row| row.probed_at() > after) {
                row
            } else {
                let mut rows = self.probe_once(after)?.into_iter();
                match rows.find(|row| row.library.uuid == library.library.uuid) {
                    Some(row) if row.id != id => return Ok(Some(row.id)),
                    Some(row) => row,
                    None => return Ok(None), // the server no longer lists the library
                }
            };
            self.bring_up_to_date(row, since, reason)?;
            Ok(None)
        })?;
        match result {
            // Another call is fetching the library. A probe shows a missing path's query whether the library has changed.
            None if reason == RefreshReason::Missing => self.probe_once(since).map(|_| None),
            None => Err(self.deadline_error()),
            Some(new_id) => Ok(new_id),
        }
    }

    /// Doubts a library whose last check was in the future, because the clock was set back: once the clock arrives there, the
    /// check would count as recent again.
    fn doubt_future_check(&self, row: &LibraryRow) -> Result<()> {
        let sync = self.sync;
        let is_future = sync.checked_ms(row) > sync.clock.now_ms().saturating_add(CLOCK_TOLERANCE_MS);
        if !is_future || row.has_doubt(Cause::Event) {
            return Ok(());
        }
        let Some(view_id) = self.view_id()? else {
            return Ok(());
        };
        let hint = LibraryHint {
            section: Some(row.library.section.clone()),
            hint: Hint::Probe,
            deleted: Vec::new(),
        };
        LibraryRows(&sync.store).store_hints(view_id, &[hint], self.bounds.deadline)
    }

    /// Sends the requests that a library needs after a probe: at most one delta and one listing. If it needs a full listing
    /// that the job must skip, only reports this.
    fn bring_up_to_date(&self, mut row: LibraryRow, since: Sequence, reason: RefreshReason) -> Result<()> {
        let (mut has_fetched, mut has_listed) = (false, false);
        loop {
            let is_fetched = row.generation.is_fetched();
            let takes_delta = match self.needed_request(&row, since, reason) {
                Some(Need::Changes) if !has_fetched => true,
                Some(Need::Listing) if !has_listed => false,
                _ => break,
            };
            // A first listing is no change.
            self.report.has_changed.fetch_or(is_fetched, Ordering::Relaxed);
            let is_done = takes_delta && self.delta(&row)?;
            if !is_done {
                if self.skips_listings && is_fetched {
                    lock(&self.report.unlisted).push(row.id);
                    return Ok(());
                }
                self.list(&row, reason)?;
                has_listed = true;
            }
            has_fetched |= takes_delta;
            row = match LibraryRows(&self.sync.store).library_row(row.id) {
                Ok(row) if row.present => row,
                _ => return Ok(()), // another call has cleared it
            };
        }
        // An earlier version of plexindex listed the library without its shows.
        if row.generation.is_fetched() && !has_fetched && !has_listed {
            self.refresh_unknown_shows(&row, &BTreeSet::new())?;
        }
        Ok(())
    }

    /// Returns the request that a library needs, according to what is known and the reason for the refresh. `since`: the
    /// change sequence when the call began.
    fn needed_request(&self, row: &LibraryRow, since: Sequence, reason: RefreshReason) -> Option<Need> {
        let is_listed_since = row.generation.is_fetched() && row.listing_asked() > since;
        if matches!(reason, RefreshReason::Unverified | RefreshReason::Full) && !is_listed_since {
            return Some(Need::Listing);
        }
        let (sync, now_ms) = (self.sync, self.sync.clock.now_ms());
        let is_useless = row.library.change.trust == TokenReliability::Useless;
        // If no token tells of changes, only the changes answer a call that asks for the newest state.
        let asks = matches!(reason, RefreshReason::Missing | RefreshReason::Check) && !row.tells_changes(since);
        // The job has probed. A doubt that was raised meanwhile needs the next probe, after the changes up to this one.
        let mut doubts = row.doubts.clone();
        doubts.retain(|doubt| doubt.needs() != Need::Probe || is_useless && doubt.cause != Cause::EmptyList);
        doubts.extend(asks.then_some(Doubt {
            scope: DoubtScope::Library,
            cause: Cause::Changed,
            raised: since,
            raised_ms: now_ms,
        }));
        need(&row.knowledge, &doubts, &sync.policy, &sync.moment(row, now_ms))
    }
}
