//! Probes the server: requests its identity, its libraries, and their change tokens.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::call::Call;
use super::job::{SyncJob, Synchronizer, library_cleared_error};
use super::reading::{MAX_RETRIES, Resolved, Selection, Selector, cleared_repeatedly_error, never_fetched_error};
use super::report::StoredReply;
use crate::engine::{Endpoint, LibraryRow, LibraryRows, Snapshot};
use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::matching::Scope;
use crate::model::{Library, Sequence, Server, ViewId};
use crate::platform::fork::lock;
use crate::stats::Activity;

/// Time after which a job stores an unchanged reply again, so that all libraries' times of the last check stay recent.
const STORE_AGAIN_MS: u64 = 1_000;

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
            let probe = job.single_flight(&self.server_lock_name("probe"), || job.probe())?;
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
            let Resolved::Scope(Scope::One(index)) = library.resolve(snapshot)? else {
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
                match call.library {
                    _ if self.may_send_requests(call) && may_ask()? => {}
                    Some(library) if is_cleared && attempts > 0 => {
                        return Err(cleared_repeatedly_error(library.selector().name()));
                    }
                    library if snapshot.rows.is_empty() && !self.may_send_requests(call) => {
                        return Err(never_fetched_error(library, &self.reading));
                    }
                    Some(library) => return Err(library.unknown_library_error(&snapshot, &self.reading)),
                    None => return Ok(None),
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

/// The server's reply to a probe, which is not stored yet.
struct ProbeReply {
    endpoint: Endpoint,
    /// The view of the token or of the user in its claims; `None` if both are new.
    view: Option<ViewId>,
    /// Whether only the claims lead to the view.
    is_claimed: bool,
    /// The server's identity, if the probe has requested it.
    server: Option<Server>,
    /// The ticket of the request for the libraries, and its time. The machine may sleep before the reply comes.
    asked: Sequence,
    asked_ms: i64,
    libraries: Vec<Library>,
}

impl SyncJob<'_> {
    /// Fetches and stores the libraries, and returns the view's id and the libraries' rows. Also requests the server's
    /// identity if the server is new, or if the server has none of the stored libraries.
    pub fn probe(&self) -> Result<(ViewId, Vec<LibraryRow>)> {
        self.store_reply(self.request_libraries()?)
    }

    /// Probes a library again after its listing. Returns the view's id and the library's new state, which shows whether
    /// the library changed during the listing.
    pub fn probe_again(&self, row: &LibraryRow) -> Result<(ViewId, Library)> {
        if let Some(same) = self.unchanged_library(row)? {
            return Ok(same);
        }
        let reply = self.request_libraries()?;
        if let Some(same) = self.same_reply(&reply, row)? {
            return Ok(same);
        }
        let (view, new_rows) = self.store_reply(reply)?;
        if let Some(new_row) = new_rows.iter().find(|new_row| new_row.id == row.id) {
            return Ok((view, new_row.library.clone()));
        }
        if new_rows.iter().any(|new_row| new_row.library.uuid == row.library.uuid) {
            return Err(library_cleared_error(row));
        }
        Err(Error::new(
            Status::LibraryNotFound,
            format!("library '{}' was removed during its listing", row.library.title),
        ))
    }

    /// Returns the result of [`Self::probe_again`] if this job has just stored the same reply, and the library of `row`
    /// is still there. Storing each library after each listing would take a time that grows with the square of their
    /// number.
    fn same_reply(&self, reply: &ProbeReply, row: &LibraryRow) -> Result<Option<(ViewId, Library)>> {
        let stored = lock(&self.report.stored_reply);
        let now_ms = self.sync.clock.now_ms();
        let is_same = |stored: &&StoredReply| {
            reply.view == Some(stored.view)
                && stored.stored_ms.abs_diff(now_ms) < STORE_AGAIN_MS
                && stored.libraries == reply.libraries
        };
        let Some(StoredReply { view, libraries, .. }) = stored.as_ref().filter(is_same) else {
            return Ok(None);
        };
        let now = LibraryRows(&self.sync.store).library_row(row.id)?;
        let is_same = now.present && libraries.contains(&now.library);
        Ok(is_same.then_some((*view, now.library)))
    }

    /// Returns the result of [`Self::probe_again`] without reading the libraries, if this job has just stored them and
    /// a local source has not changed since then.
    fn unchanged_library(&self, row: &LibraryRow) -> Result<Option<(ViewId, Library)>> {
        let is_recent = |stored: &StoredReply| stored.stored_ms.abs_diff(self.sync.clock.now_ms()) < STORE_AGAIN_MS;
        let view = lock(&self.report.stored_reply)
            .as_ref()
            .filter(|stored| is_recent(stored))
            .map(|stored| stored.view);
        let Some(view) = view.filter(|_| self.source.abilities().local) else {
            return Ok(None);
        };
        let now = LibraryRows(&self.sync.store).library_row(row.id)?;
        let is_same = now.present && !self.source.may_have_changed(&now.library.change.token);
        Ok(is_same.then_some((view, now.library)))
    }

    /// Requests the libraries, and the identity of a new server.
    fn request_libraries(&self) -> Result<ProbeReply> {
        let sync = self.sync;
        let Some(endpoint) = self.endpoint() else {
            return Err(Error::new(
                Status::Offline,
                "the index is offline: set server_url or database",
            ));
        };
        // Find the view by the token, or by the user in the token's claims.
        let stored = LibraryRows(&sync.store).view_id(&endpoint)?;
        let user = sync.reading.viewpoint.claimed_user_hash(self.session);
        let claimed = match (stored, user) {
            (None, Some(user)) => LibraryRows(&sync.store).find_claimed_view(&endpoint, user)?,
            _ => None,
        };
        let view = stored.or(claimed);
        // Request a new server's identity without the token, in case the server is not Plex.
        let server = view.is_none().then(|| self.source.server(self.bounds)).transpose()?;
        let (asked, asked_ms) = (sync.store.ticket(self.bounds.deadline)?, sync.clock.now_ms());
        let libraries = self.source.libraries(self.bounds)?;
        self.report.probe_answered.store(true, Ordering::Relaxed);
        Ok(ProbeReply {
            endpoint,
            view,
            is_claimed: claimed.is_some(),
            server,
            asked,
            asked_ms,
            libraries,
        })
    }

    /// Stores a reply, and returns the view's id and the libraries' rows. Requests the server's identity if the server
    /// has none of the stored libraries.
    fn store_reply(&self, reply: ProbeReply) -> Result<(ViewId, Vec<LibraryRow>)> {
        let (sync, endpoint, libraries) = (self.sync, &reply.endpoint, reply.libraries);
        // The server has accepted the token. plexindex writes nothing before all requests have succeeded.
        let now = reply.asked_ms;
        let mut server = reply.server;
        if let Some(expected) = reply.view
            && self.has_no_stored_library(expected, &libraries)?
        {
            let current_server = self.source.server(self.bounds)?;
            if current_server.machine_identifier != LibraryRows(&sync.store).machine_identifier(expected)? {
                log::warn!("a different server answers at this URL; ignoring the libraries of the old server");
                server = Some(current_server);
            }
        }
        // Store the token or the claim, which the server has now accepted.
        let view_id = match (reply.view, server) {
            (Some(expected), None) => {
                if reply.is_claimed {
                    LibraryRows(&sync.store).store_accepted_claim(endpoint, expected, self.bounds.deadline)?;
                }
                expected
            }
            (_, server) => {
                let server = server.unwrap_or_default();
                let user = sync.reading.viewpoint.claimed_user_hash(self.session);
                LibraryRows(&sync.store).store_accepted_token(endpoint, &server, user, self.bounds.deadline)?
            }
        };
        let store_start = Instant::now();
        for row in LibraryRows(&sync.store).libraries(view_id)? {
            sync.own_checks.compare(&row, now);
        }
        let rows = LibraryRows(&sync.store).store_probe(view_id, &libraries, reply.asked, now, self.bounds.deadline)?;
        sync.counters.add_time(Activity::Store, store_start.elapsed());
        sync.own_checks.note(&rows, now);
        *lock(&self.report.stored_reply) = Some(StoredReply {
            view: view_id,
            libraries,
            stored_ms: now,
        });
        Ok((view_id, rows))
    }

    /// Probes the server, unless a stored probe began after the change sequence `after`, so that calls at the same time
    /// share one probe. Returns the rows of all libraries.
    pub fn probe_once(&self, after: Sequence) -> Result<Vec<LibraryRow>> {
        let sync = self.sync;
        self.single_flight(&sync.server_lock_name("probe"), || {
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
