//! The probe: which server it is, which libraries it shows, and their change tokens.

use std::time::{Duration, Instant};

use super::call::Call;
use super::job::{AcceptedProbe, SyncJob, Syncing};
use super::reading::{MAX_RETRIES, Resolved, Selection, Selector, cleared_again, nothing_known};
use crate::engine::{LibraryRow, LibraryRows, Snapshot, Totals, age};
use crate::error::{Error, Result, Status};
use crate::freshness;
use crate::matching::Scope;
use crate::model::{IdentityId, Library, Sequence, Server};
use crate::stats::Spent;

impl Syncing {
    /// Fetches the libraries and their change tokens, and stores them. Does nothing if another thread or process did so
    /// after `since`. Returns whether the server shows any libraries.
    pub fn probe(&self, call: &Call<'_>, since: Sequence) -> Result<bool> {
        self.job(call, |job| {
            let accepts = AcceptedProbe {
                oldest: AcceptedProbe::RECENT,
                library: None,
            };
            let rows = job.probe_once(since, &accepts)?;
            Ok(!rows.is_empty())
        })
    }

    /// Requests the server's identity and its libraries, whatever is stored. Returns the server, the time of the
    /// request and the number of libraries.
    pub fn ask_server(&self, call: &Call<'_>) -> Result<(Server, Duration, usize)> {
        if !self.may_ask(call) {
            return Err(Error::new(
                Status::Offline,
                "cannot ask the server: the index has no server_url and no database, or the index or this call is \
                 offline",
            ));
        }
        self.job(call, |job| {
            let begun = Instant::now();
            // Needs no token: when the next one fails, the server was reached.
            let server = job.source.ping(job.bounds)?;
            let took = begun.elapsed();
            let shown = job.single_flight(&self.at_server("probe"), || job.probe())?;
            let (_, rows) = shown.ok_or_else(|| job.deadline_error())?;
            Ok((server, took, rows.len()))
        })
    }

    /// Resolves the selection to one library; asks the server if it is unknown.
    pub fn find_library(&self, library: &Selection, what: &str, call: &Call<'_>) -> Result<(IdentityId, LibraryRow)> {
        if *library.selector() == Selector::All {
            return Err(Error::new(
                Status::InvalidArgument,
                format!("cannot {what} in all libraries at once: name one"),
            ));
        }
        let call = &Call {
            library: Some(library),
            ..*call
        };
        let found = self.find_or_probe(call, |snapshot| {
            self.check_view(call, snapshot)?;
            let Resolved::Scope(Scope::One(index)) = library.resolve(snapshot)? else {
                return Ok(None);
            };
            Ok(snapshot.identity.zip(snapshot.rows.get(index).cloned()))
        })?;
        found.ok_or_else(|| cleared_again(library.selector().name()))
    }

    /// Returns what `find` finds in the snapshot. Probes the server if that is nothing, and again if another process
    /// cleared the libraries meanwhile. `None` if the call is for all libraries and the server shows none.
    pub(super) fn find_or_probe<T>(
        &self,
        call: &Call<'_>,
        mut find: impl FnMut(&Snapshot) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        self.reading.catch_up(call.deadline)?;
        let (mut attempts, mut shown) = (0, true);
        loop {
            let since = {
                let snapshot = self.reading.snapshot();
                if let Some(found) = find(&snapshot)? {
                    return Ok(Some(found));
                }
                // The server shows libraries but none is stored: another process cleared them.
                let cleared = shown && snapshot.rows.is_empty();
                match call.library {
                    _ if self.may_ask(call) && (attempts == 0 || cleared && attempts < MAX_RETRIES) => {}
                    Some(library) if cleared && attempts > 0 => return Err(cleared_again(library.selector().name())),
                    library if snapshot.rows.is_empty() && !self.may_ask(call) => {
                        return Err(nothing_known(library, &self.reading));
                    }
                    Some(library) => return Err(library.unknown(&snapshot, &self.reading)),
                    None => return Ok(None),
                }
                snapshot.sequence()
            };
            attempts += 1;
            shown = self.probe(call, since)?;
            self.reading.catch_up(call.deadline)?;
        }
    }
}

impl SyncJob<'_> {
    /// Fetches the libraries, and the server's identity if the server is new or looks different.
    pub fn probe(&self) -> Result<(IdentityId, Vec<LibraryRow>)> {
        let sync = self.sync;
        let Some(endpoint) = &self.endpoint() else {
            return Err(Error::new(
                Status::Offline,
                "the index has no server_url and no database",
            ));
        };
        let known = LibraryRows(&sync.store).identity(endpoint)?;
        let user = sync.reading.viewpoint.same_user(self.session);
        let claimed = match (known, user) {
            (None, Some(user)) => LibraryRows(&sync.store).claimed(endpoint, user)?,
            _ => None,
        };
        let expected = known.or(claimed);
        // Needs no token: a new server that is not Plex never gets it.
        let mut server = expected
            .is_none()
            .then(|| self.source.server(self.bounds))
            .transpose()?;
        let begun = Totals::of(&sync.store)?.sequence;
        let shown = self.source.libraries(self.bounds)?;
        // From here on the server has accepted this very token.
        let now = sync.clock.now_ms();
        // All requests come before any write: a request that fails changes nothing.
        if let Some(expected) = expected
            && self.shows_no_known_library(expected, &shown)?
        {
            let answering = self.source.server(self.bounds)?;
            if answering.machine_identifier != LibraryRows(&sync.store).machine_identifier(expected)? {
                log::warn!("another server answers at this URL: entries of the old one are no longer returned");
                server = Some(answering);
            }
        }
        let identity = match (expected, server) {
            (Some(expected), None) => {
                if claimed.is_some() {
                    LibraryRows(&sync.store).accepted_claim(endpoint, expected, self.bounds.deadline)?;
                }
                expected
            }
            (_, server) => {
                let server = server.unwrap_or_default();
                LibraryRows(&sync.store).accepted(endpoint, &server, user, self.bounds.deadline)?
            }
        };
        let storing = Instant::now();
        let is_current = |row: &LibraryRow, library: &Library| {
            freshness::is_current(&age(row), &row.listed_token, &library.change, &sync.policy, now)
        };
        let rows = LibraryRows(&sync.store).probed(identity, &shown, begun, now, self.bounds.deadline, &is_current)?;
        sync.counters.add_time(Spent::Store, storing.elapsed());
        Ok((identity, rows))
    }

    /// Probes, unless another job did after `since` while this one waited for its turn. Returns the rows. `accepts`:
    /// which probe of another host stands in for it.
    pub fn probe_once(&self, since: Sequence, accepts: &AcceptedProbe<'_>) -> Result<Vec<LibraryRow>> {
        let sync = self.sync;
        self.single_flight(&sync.at_server("probe"), || {
            if let Some(identity) = self.identity()? {
                let rows = LibraryRows(&sync.store).libraries(identity)?;
                if rows.iter().any(|row| row.probed_sequence > since) {
                    return Ok(rows);
                }
            }
            sync.peers.probe(self, accepts)
        })?
        .ok_or_else(|| self.deadline_error())
    }

    /// Returns whether libraries are stored, and the server shows none of them.
    fn shows_no_known_library(&self, identity: IdentityId, shown: &[Library]) -> Result<bool> {
        let known = LibraryRows(&self.sync.store).libraries(identity)?;
        Ok(!known.is_empty()
            && !known.iter().any(|row| {
                shown
                    .iter()
                    .any(|library| library.uuid == row.library.uuid && library.has_uuid())
            }))
    }
}
