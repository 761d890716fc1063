//! Refreshes libraries with a probe, a delta or a full listing. A probe requests the server's identity, its libraries,
//! and their change tokens. Verifies doubted items: fetches them from the server before plexindex returns them again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::call::{Call, RefreshReason};
use super::job::{JobProgress, SyncJob, Synchronizer, library_cleared_error};
use super::reading::{MAX_RETRIES, cleared_repeatedly_error};
use crate::engine::{
    ItemReply, LibraryHint, LibraryRow, LibraryRows, Selection, Selector, Snapshot, Sweeper, is_locked, library_indexes,
};
use crate::error::{Error, Result, RetryAdvice, Status, invalid_argument_error};
use crate::knowledge::{CLOCK_TOLERANCE_MS, Cause, Need, need};
use crate::matching::Scope;
use crate::model::{Hint, Library, LibraryId, Sequence, Server, ViewId};
use crate::platform::clock::Deadline;
use crate::platform::fork::lock;
use crate::source::{Bounds, LocatedItem};
use crate::stats::Activity;

/// Maximum number of retries for a library that other processes clear at the same time.
const MAX_CLEAR_RETRIES: u32 = 8;
/// Number of fetch locks. Libraries share locks, because ids keep growing and lock files are never removed.
const LOCKS: i64 = 64;

impl Synchronizer {
    /// Updates libraries, and returns [`Status::Ok`] on success, with how far the job has come. If the deadline passes first, returns `NotYet` if rows
    /// have arrived, so that another call would make progress; otherwise `NeedsWarm`. Fails if the store is locked until
    /// then. `since`: the change sequence of the snapshot from which the call read `libraries`. Skips a library that
    /// another call has updated since then.
    pub fn update(
        &self,
        call: &Call<'_>,
        libraries: &[LibraryRow],
        since: Sequence,
        reason: RefreshReason,
    ) -> Result<(Status, JobProgress)> {
        let report = JobProgress::default();
        let status = match self.job_with(call, &report, |job| job.update(libraries, since, reason)) {
            Ok(()) => Status::Ok,
            Err(error) if error.status != Status::Timeout || !call.deadline.is_set() || is_locked(&error) => {
                return Err(error);
            }
            Err(_) if report.rows_arrived.load(Ordering::Relaxed) => Status::NotYet,
            Err(_) => Status::NeedsWarm,
        };
        Ok((status, report))
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
            let since = self.reading.snapshot().sequence();
            match self.refresh_once(call, reason)? {
                // An event came meanwhile, such as that of a watch that connects.
                Status::NotYet if self.has_doubts_since(call, since)? => self.refresh_once(call, RefreshReason::Due),
                status => Ok(status),
            }
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

    fn refresh_once(&self, call: &Call<'_>, reason: RefreshReason) -> Result<Status> {
        let status = match self.refresh_listings(call, reason)? {
            Status::Ok => self.verify_invalidated(call)?,
            other => other,
        };
        if status != Status::Ok {
            return Ok(status);
        }
        self.compact_listings(call)?;
        let (snapshot, now_ms) = (self.reading.snapshot(), self.clock.now_ms());
        let Some(scope) = snapshot.scope(call.library)?.filter(|_| !snapshot.rows.is_empty()) else {
            return Ok(Status::Ok);
        };
        let is_doubted = |row: &LibraryRow| row.generation.is_fetched() && self.is_doubted(row, now_ms);
        let has_doubts = snapshot.rows_in(scope).iter().any(is_doubted) || self.has_doubted_items(&snapshot, scope);
        Ok(if has_doubts { Status::NotYet } else { Status::Ok })
    }

    /// Returns whether a library of the call is doubted since a change sequence.
    fn has_doubts_since(&self, call: &Call<'_>, since: Sequence) -> Result<bool> {
        let snapshot = self.reading.snapshot();
        let rows = snapshot
            .scope(call.library)?
            .map_or(&[][..], |scope| snapshot.rows_in(scope));
        Ok(rows
            .iter()
            .flat_map(|row| &row.doubts)
            .any(|doubt| doubt.raised > since))
    }

    /// Rebuilds listing segments that have many changes, so that new processes need not read the changes.
    fn compact_listings(&self, call: &Call<'_>) -> Result<()> {
        let (view_id, rows) = {
            let snapshot = self.reading.snapshot();
            let Some(view_id) = snapshot.view_id else {
                return Ok(());
            };
            let Some(scope) = snapshot.scope(call.library)? else {
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
        // A probe of the first round may find new libraries.
        let mut updated = HashSet::new();
        for round in 0..2 {
            let since = self.reading.snapshot().sequence();
            let stale = self.find_or_probe(call, false, |snapshot| {
                let scope = snapshot.scope(call.library)?.filter(|_| !snapshot.rows.is_empty());
                Ok(scope.map(|scope| self.stale_libraries(call, snapshot.rows_in(scope), reason)))
            })?;
            let mut stale = stale.unwrap_or_default();
            stale.retain(|row| updated.insert(row.id) && (round == 0 || !row.generation.is_fetched()));
            if stale.is_empty() {
                break;
            }
            let (status, _) = self.update(call, &stale, since, reason)?;
            self.reading.catch_up(call.deadline)?;
            if status != Status::Ok {
                return Ok(status);
            }
        }
        Ok(Status::Ok)
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
            RefreshReason::Due | RefreshReason::Full => library.probed_at().min(since),
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
        let result = self.single_flight(&format!("fetch{}", id.0.rem_euclid(LOCKS)), bounds, || {
            let read_row = || LibraryRows(&sync.store).library_row(id).ok().filter(|row| row.present);
            // A listing that began before the call may lack what the call asks for.
            let is_updated = |row: &LibraryRow| match reason {
                RefreshReason::Full => row.listing_asked() > since,
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
        let is_future = row.checked_ms() > sync.clock.now_ms().saturating_add(CLOCK_TOLERANCE_MS);
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
        if reason == RefreshReason::Full && !is_listed_since {
            return Some(Need::Listing);
        }
        let (sync, now_ms) = (self.sync, self.sync.clock.now_ms());
        // The job has probed. A doubt that was raised meanwhile needs the next probe, after the changes up to this one.
        let mut doubts = row.doubts.clone();
        doubts.retain(|doubt| doubt.needs() != Need::Probe);
        need(&row.knowledge, &doubts, &sync.policy, &sync.moment(row, now_ms))
    }
}

impl Synchronizer {
    /// Fetches and stores the libraries and their change tokens. Does nothing if another thread or process has sent a
    /// probe since `seen`, the last probe that the call has seen. Returns whether the server has any libraries.
    pub fn probe(&self, call: &Call<'_>, seen: Sequence) -> Result<bool> {
        self.job(call, |job| {
            let rows = job.probe_once(seen)?;
            Ok(!rows.is_empty())
        })
    }

    /// Requests the server's identity and libraries, even if they are stored, so that a host can check its options.
    /// Returns the server, the duration of the first request, and the number of libraries.
    pub fn test_connection(&self, call: &Call<'_>) -> Result<(Server, Duration, usize)> {
        self.check_online(call, "ask the server")?;
        self.job(call, |job| {
            let started_at = Instant::now();
            // This request needs no token, so it tests only the connection.
            let server = job.source.ping(job.bounds)?;
            let duration = started_at.elapsed();
            let probe = job.single_flight(&self.server_lock_name("probe"), job.bounds, || job.probe())?;
            let (_, rows) = probe.ok_or_else(|| job.deadline_error())?;
            Ok((server, duration, rows.len()))
        })
    }

    /// Returns the id of the view, and the row of the selected library. Probes the server if the library is unknown.
    /// `operation`: the call's name in error messages, after 'cannot'.
    pub fn find_library(&self, library: &Selection, operation: &str, call: &Call<'_>) -> Result<(ViewId, LibraryRow)> {
        if *library.selector() == Selector::All {
            return invalid_argument_error(format!(
                "cannot {operation} in all libraries at once: specify one library"
            ));
        }
        let call = &Call {
            library: Some(library),
            ..*call
        };
        let found = self.find_or_probe(call, true, |snapshot| {
            self.check_view(call, snapshot)?;
            let Some(Scope::One(index)) = library.resolve(snapshot)? else {
                return Ok(None);
            };
            Ok(snapshot.view_id.zip(snapshot.rows.get(index).cloned()))
        })?;
        found.ok_or_else(|| cleared_repeatedly_error(library.selector().name()))
    }

    /// Returns what `find` finds in the snapshot. If `find` returns `None`, probes the server and calls `find` again.
    /// Repeats the probe if other processes clear the libraries in the meantime. If `is_limited` is true, sends no
    /// probe for a library about which a call asked a moment ago. Returns `None` if the call is for all libraries and
    /// the server has none.
    pub(super) fn find_or_probe<T>(
        &self,
        call: &Call<'_>,
        is_limited: bool,
        mut find: impl FnMut(&Snapshot) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        self.reading.catch_up(call.deadline)?;
        let (mut attempts, mut server_has_libraries) = (0, true);
        loop {
            let seen = {
                let snapshot = self.reading.snapshot();
                if let Some(found) = find(&snapshot)? {
                    return Ok(Some(found));
                }
                // After a probe, `is_cleared` means: the probe found libraries, but another process has cleared them.
                let is_cleared = server_has_libraries && snapshot.rows.is_empty();
                // Probe, or return the error that explains why the library is unknown.
                let may_repeat = is_cleared && attempts < MAX_RETRIES;
                let may_ask = || -> Result<bool> {
                    Ok(may_repeat
                        || attempts == 0 && (!is_limited || self.should_ask_for_library(call, snapshot.view_id)?))
                };
                let is_online = self.may_send_requests(call);
                match call.library {
                    _ if is_online && may_ask()? => {}
                    Some(library) if is_cleared && attempts > 0 => {
                        return Err(cleared_repeatedly_error(library.selector().name()));
                    }
                    None if is_online || !snapshot.rows.is_empty() => return Ok(None),
                    library => return Err(self.reading.missing_library_error(library, &snapshot, is_online)),
                }
                snapshot.probed_at()
            };
            attempts += 1;
            server_has_libraries = self.probe(call, seen)?;
            self.reading.catch_up(call.deadline)?;
            if is_limited {
                self.note_library_question(call);
            }
        }
    }
}

impl SyncJob<'_> {
    /// Probes a library again after its listing. Returns the view's id and the library's new state, which shows whether
    /// the library changed during the listing. Reads no local source that has not changed since the last probe.
    pub fn probe_again(&self, row: &LibraryRow) -> Result<(ViewId, Library)> {
        if self.source.abilities().local {
            let now = LibraryRows(&self.sync.store).library_row(row.id)?;
            let is_same = now.present && !self.source.may_have_changed(&now.library.change.token);
            if let Some(view_id) = self.view_id()?.filter(|_| is_same) {
                return Ok((view_id, now.library));
            }
        }
        let (view_id, new_rows) = self.probe()?;
        if let Some(new_row) = new_rows.iter().find(|new_row| new_row.id == row.id) {
            return Ok((view_id, new_row.library.clone()));
        }
        if new_rows.iter().any(|new_row| new_row.library.uuid == row.library.uuid) {
            return Err(library_cleared_error(row));
        }
        Err(Error::new(
            Status::LibraryNotFound,
            format!("library '{}' was removed during its listing", row.library.title),
        ))
    }

    /// Fetches and stores the libraries, and returns the view's id and the libraries' rows. Also requests the server's
    /// identity if the server is new, or if the server has none of the stored libraries.
    pub fn probe(&self) -> Result<(ViewId, Vec<LibraryRow>)> {
        let (sync, deadline) = (self.sync, self.bounds.deadline);
        let store = LibraryRows(&sync.store);
        let Some(endpoint) = self.endpoint() else {
            return Err(Error::new(
                Status::Offline,
                "the index is offline: set server_url or database",
            ));
        };
        // Find the view by the token, or by the user in the token's claims.
        let stored = store.view_id(&endpoint)?;
        let user = sync.reading.viewpoint.claimed_user_hash(self.session);
        let claimed = match (stored, user) {
            (None, Some(user)) => store.find_claimed_view(&endpoint, user)?,
            _ => None,
        };
        let view = stored.or(claimed);
        // Request a new server's identity without the token, in case the server is not Plex.
        let mut server = view.is_none().then(|| self.source.server(self.bounds)).transpose()?;
        // The machine may sleep before the reply comes.
        let (asked, asked_ms) = (sync.store.ticket(deadline)?, sync.clock.now_ms());
        let libraries = self.source.libraries(self.bounds)?;
        self.report.probe_answered.store(true, Ordering::Relaxed);
        // The server has accepted the token. plexindex writes nothing before all requests have succeeded.
        if let Some(expected) = view
            && self.has_no_stored_library(expected, &libraries)?
        {
            let current_server = self.source.server(self.bounds)?;
            if Some(&current_server.machine_identifier) != store.machine_identifier(expected)?.as_ref() {
                log::warn!("a different server answers at this URL; ignoring the libraries of the old server");
                server = Some(current_server);
            }
        }
        // Store the token or the claim, which the server has now accepted.
        let view_id = match (view, server) {
            (Some(expected), None) => {
                if claimed.is_some() {
                    store.store_accepted_claim(&endpoint, expected, deadline)?;
                }
                expected
            }
            (_, server) => store.store_accepted_token(&endpoint, &server.unwrap_or_default(), user, deadline)?,
        };
        let store_start = Instant::now();
        let rows = store.store_probe(view_id, &libraries, asked, asked_ms, deadline)?;
        sync.counters.add_time(Activity::Store, store_start.elapsed());
        Ok((view_id, rows))
    }

    /// Probes the server, unless a stored probe began after the change sequence `after`, so that calls at the same time
    /// share one probe. Returns the rows of all libraries.
    pub fn probe_once(&self, after: Sequence) -> Result<Vec<LibraryRow>> {
        let sync = self.sync;
        self.single_flight(&sync.server_lock_name("probe"), self.bounds, || {
            let known_view = self.view_id()?;
            if let Some(view_id) = known_view {
                let rows = LibraryRows(&sync.store).libraries(view_id)?;
                if rows.iter().any(|row| row.probed_at() > after) {
                    return Ok(rows);
                }
            }
            let (_, rows) = self.probe()?;
            // The first probe identifies the view, so this host can now read other hosts' changes.
            if known_view.is_none() {
                sync.peers.exchange(self.bounds.deadline)?;
            }
            Ok(rows)
        })?
        .ok_or_else(|| self.deadline_error())
    }

    /// Returns whether the store contains libraries for this view but the server (`on_server`) has none of them, as
    /// happens when the URL leads to a different server.
    fn has_no_stored_library(&self, view_id: ViewId, on_server: &[Library]) -> Result<bool> {
        let stored = LibraryRows(&self.sync.store).libraries(view_id)?;
        let is_on_server = |row: &LibraryRow| {
            let mut libraries = on_server.iter();
            libraries.any(|library| library.uuid == row.library.uuid && library.has_uuid())
        };
        Ok(!stored.is_empty() && !stored.iter().any(is_on_server))
    }
}

/// A doubted item, or an item to which a doubted path leads.
#[derive(Clone)]
pub struct ItemToVerify {
    pub row: LibraryRow,
    pub rating_key: String,
}

impl ItemToVerify {
    /// Returns the items of a library with these rating keys.
    pub fn all(row: &LibraryRow, rating_keys: Vec<String>) -> impl Iterator<Item = Self> {
        rating_keys.into_iter().map(|rating_key| Self {
            row: row.clone(),
            rating_key,
        })
    }
}

/// Maximum number of items per request.
const MAX_BATCH: usize = 100;
/// Maximum number of items per refresh. Lookups fetch the remaining items.
const MAX_ITEMS: usize = 256;
/// Maximum number of failed requests per batch. Eight requests isolate a single item for which the server always fails.
const MAX_FAILURES: u32 = 8;
/// Maximum number of items that plexindex asks about because their files belong to other items.
const MAX_RIVALS: usize = 256;
/// After a request for invalidated items has failed, refreshes fetch no such items for this time, in milliseconds.
const RETRY_AFTER_MS: i64 = 30_000;

impl Synchronizer {
    /// Returns whether the libraries in scope contain invalidated items that a refresh can fetch now.
    pub fn has_invalidated(&self, snapshot: &Snapshot, scope: Scope) -> bool {
        self.may_fetch_invalidated() && self.has_doubted_items(snapshot, scope)
    }

    /// Returns whether the libraries in scope contain items that are doubted, or withheld.
    pub(super) fn has_doubted_items(&self, snapshot: &Snapshot, scope: Scope) -> bool {
        library_indexes(scope, snapshot.rows.len()).any(|index| !self.invalidated_in(snapshot, index, 1).is_empty())
    }

    /// Returns at most `limit` invalidated items in the library with this index.
    fn invalidated_in(&self, snapshot: &Snapshot, index: usize, limit: usize) -> Vec<String> {
        snapshot.libraries[index].invalidated_items(None, &self.reading.mappings, limit)
    }

    /// Fetches the invalidated items in a call's libraries, so that hosts that only read the feed also learn of the
    /// items' changes. Items without a reply stay invalidated, so the refresh returns `NotYet`. Returns `NotYet` too if
    /// the deadline passes first.
    pub(super) fn verify_invalidated(&self, call: &Call<'_>) -> Result<Status> {
        if !self.may_fetch_invalidated() {
            return Ok(Status::Ok);
        }
        // Only one call fetches the items. Other calls that see the same invalidation do not wait.
        let status = self.run_unless_running(&self.server_lock_name("verify"), || self.verify_all(call))?;
        Ok(status.unwrap_or(Status::Ok))
    }

    /// Fetches the invalidated items in a call's libraries, in batches. The caller must hold the verification lock.
    /// Returns `NotYet` if the deadline passes first.
    fn verify_all(&self, call: &Call<'_>) -> Result<Status> {
        self.reading.catch_up(call.deadline)?;
        // Collect the items in a block, so that no snapshot is in use during the requests.
        let mut unverified = Vec::new();
        {
            let snapshot = self.reading.snapshot();
            let Some(scope) = snapshot.scope(call.library)? else {
                return Ok(Status::Ok);
            };
            for index in library_indexes(scope, snapshot.rows.len()) {
                let items = self.invalidated_in(&snapshot, index, MAX_ITEMS - unverified.len());
                unverified.extend(ItemToVerify::all(&snapshot.rows[index], items));
            }
        }
        // Fetch them. After a failure, continue only if the next batch may succeed.
        for batch in unverified.chunks(MAX_BATCH) {
            match self.verify(call, batch) {
                Err(error) if error.status == Status::Timeout && call.deadline.is_set() => return Ok(Status::NotYet),
                Err(error) if !matches!(error.status, Status::Aborted | Status::Store) => {
                    log::warn!("cannot verify invalidated items: {error}; a later lookup or refresh will retry");
                    self.last_failure_ms.store(self.clock.now_ms(), Ordering::Relaxed);
                    if error.status.retry_advice() == RetryAdvice::NotNow {
                        break;
                    }
                }
                result => result?,
            }
        }
        if !unverified.is_empty() {
            self.reading.catch_up(call.deadline)?;
        }
        Ok(Status::Ok)
    }

    /// Returns whether a refresh may fetch invalidated items now: there is a source, and it did not fail recently.
    fn may_fetch_invalidated(&self) -> bool {
        let since_failure_ms = self.clock.now_ms() - self.last_failure_ms.load(Ordering::Relaxed);
        self.source.is_some() && !(0..RETRY_AFTER_MS).contains(&since_failure_ms)
    }

    /// Fetches doubted items, and stores the replies, which end the doubts. In a batch, the same request fetches other
    /// doubted items of the first item's library, which the next paths may lead to, as after an edit of many items. Fails
    /// only if a reply about an item in `doubted` is missing.
    pub fn verify(&self, call: &Call<'_>, doubted: &[ItemToVerify]) -> Result<()> {
        let mut wanted = doubted.to_vec();
        if let Some(first) = doubted.first().filter(|_| call.batch.is_some()) {
            let snapshot = self.reading.snapshot();
            let index = snapshot.rows.iter().position(|row| row.id == first.row.id);
            let mut others = index.map_or(Vec::new(), |index| self.invalidated_in(&snapshot, index, MAX_BATCH));
            others.retain(|key| doubted.iter().all(|item| item.rating_key != *key));
            others.truncate(MAX_BATCH.saturating_sub(doubted.len()));
            wanted.extend(ItemToVerify::all(&first.row, others));
        }
        self.job(call, |job| {
            job.settle_rivals(job.request_items(&wanted, doubted.len())?)
        })
    }
}

impl SyncJob<'_> {
    /// Asks the server about `rivals`, the items that have a file of an item that was added or changed, because nothing
    /// else may show that an older item lost its file; and so on for the files that these items have now. Without a reply,
    /// they stay doubted.
    pub(super) fn settle_rivals(&self, mut rivals: Vec<ItemToVerify>) -> Result<()> {
        let (mut room, mut known) = (MAX_RIVALS, BTreeSet::new());
        while !rivals.is_empty() && rivals.len() <= room {
            room -= rivals.len();
            let next = match self.request_items(&rivals, rivals.len()) {
                Err(error) if error.status == Status::Aborted => return Err(error),
                Err(error) => {
                    log::warn!("cannot find out which item has a file: {error}; a later lookup or refresh will ask");
                    return Ok(());
                }
                Ok(next) => next,
            };
            known.extend(rivals.into_iter().map(|rival| rival.rating_key));
            rivals = next;
            rivals.retain(|rival| !known.contains(&rival.rating_key));
        }
        Ok(())
    }

    /// Requests items, and stores the replies, which end the doubts about them. Returns the items that have a file which
    /// one of these has gained. Items without a reply stay doubted; fails if one of the first `needed` has none.
    fn request_items(&self, wanted: &[ItemToVerify], needed: usize) -> Result<Vec<ItemToVerify>> {
        let (sync, deadline) = (self.sync, self.bounds.deadline);
        let asked = sync.store.ticket(deadline)?;
        let keys: Vec<&str> = wanted.iter().map(|item| item.rating_key.as_str()).collect();
        let mut replies = ItemReplies::default();
        self.fetch_in_halves(&keys, &mut replies)?;
        let mut of_libraries = BTreeMap::<LibraryId, (&LibraryRow, Vec<ItemReply>)>::new();
        for ItemToVerify { row, rating_key } in wanted {
            if replies.unanswered.contains(&rating_key.as_str()) {
                continue;
            }
            let found = replies
                .items
                .iter()
                .find(|located| located.item.rating_key == *rating_key);
            let here = found.filter(|located| located.is_in(&row.library.section));
            if here.is_none() {
                // The item was deleted, or has moved to another library.
                if let Some(located) = found {
                    self.merge_elsewhere(located, asked)?;
                }
                let lost_from = if found.is_some() { "its library" } else { "the server" };
                log::info!("item {rating_key} is no longer in {lost_from}; plexindex no longer returns it");
            }
            let (_, items) = of_libraries.entry(row.id).or_insert((row, Vec::new()));
            items.push((rating_key.clone(), here.map(|located| located.item.clone())));
        }
        let mut rivals = Vec::new();
        for (row, items) in of_libraries.into_values() {
            let folded = sync.store_items(row, &items, (asked, true), deadline)?;
            rivals.extend(ItemToVerify::all(row, folded.rivals));
        }
        let mut needed = wanted.iter().take(needed).map(|item| item.rating_key.as_str());
        match replies.failure {
            Some(failure) if needed.any(|key| replies.unanswered.contains(&key)) => Err(failure),
            _ => Ok(rivals),
        }
    }

    /// Adds fetched items to `replies`, without the items that the server does not have. If a batch fails, fetches each
    /// half separately, because a single item may be the cause.
    fn fetch_in_halves<'k>(&self, keys: &[&'k str], replies: &mut ItemReplies<'k>) -> Result<()> {
        match self.source.items(keys, self.bounds) {
            Ok(items) => replies.items.extend(items),
            Err(error) if error.status.retry_advice() == RetryAdvice::NothingThere => {}
            Err(error) if !matches!(error.status, Status::BadAnswer | Status::ServerError) => return Err(error),
            Err(error) => {
                replies.failures += 1;
                if keys.len() > 1 && replies.failures < MAX_FAILURES {
                    for half in keys.chunks(keys.len().div_ceil(2)) {
                        self.fetch_in_halves(half, replies)?;
                    }
                } else {
                    replies.unanswered.extend(keys);
                    replies.failure = Some(error);
                }
            }
        }
        Ok(())
    }

    /// Merges an item that has moved to another library, if plexindex has fetched that library.
    fn merge_elsewhere(&self, located: &LocatedItem, asked: Sequence) -> Result<()> {
        let Some(view_id) = self.view_id()? else {
            return Ok(());
        };
        let rows = LibraryRows(&self.sync.store).libraries(view_id)?;
        let is_there = |row: &&LibraryRow| row.library.section == located.section && row.generation.is_fetched();
        if let Some(row) = rows.iter().find(is_there) {
            let reply = [(located.item.rating_key.clone(), Some(located.item.clone()))];
            self.sync
                .store_items(row, &reply, (asked, false), self.bounds.deadline)?;
        }
        Ok(())
    }
}

/// Replies to requests for items.
#[derive(Default)]
struct ItemReplies<'k> {
    items: Vec<LocatedItem>,
    /// Keys of items without a reply.
    unanswered: Vec<&'k str>,
    failures: u32,
    /// The last failure that left items without a reply; `None` if every item has a reply.
    failure: Option<Error>,
}
