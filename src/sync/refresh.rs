//! Refreshes libraries: by a probe alone, a delta, or a full listing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::call::{Call, RefreshReason};
use super::delta::MergedDelta;
use super::job::{AcceptedProbe, SyncJob, Syncing, cleared};
use crate::engine::{LibraryRow, LibraryRows, Sweeper};
use crate::error::{Error, Result, Status};
use crate::freshness::{self, Need};
use crate::model::{LibraryId, Sequence};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;
use crate::source::{Bounds, Delta};

/// Most attempts to find a library that others clear at the same time.
const CLEAR_RETRIES: u32 = 8;
/// Number of locks for fetching; two libraries that share one wait for each other.
const LOCKS: i64 = 64;

impl Syncing {
    /// Brings libraries up to date. Returns [`Status::Ok`], or the status for a deadline that passed first.
    pub fn update(&self, call: &Call<'_>, stale: &[LibraryRow], since: Sequence, why: RefreshReason) -> Result<Status> {
        let rows_arrived = AtomicBool::new(false);
        let done = self.job(call, |job| {
            let done = job.update(stale, since, why);
            rows_arrived.store(job.report.rows_arrived.load(Ordering::Relaxed), Ordering::Relaxed);
            done
        });
        match done {
            Ok(()) => Ok(Status::Ok),
            // With a deadline, a timeout is an answer: 'not yet' if rows arrived, so that asking again helps.
            Err(error) if error.status == Status::Timeout && call.deadline.is_set() => {
                Ok(if rows_arrived.load(Ordering::Relaxed) {
                    Status::NotYet
                } else {
                    Status::NeedsWarm
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Brings the libraries of a call up to date, and fetches their invalidated items.
    pub fn refresh(&self, call: &Call<'_>, why: RefreshReason) -> Result<Status> {
        // This call exists to fetch, so it retries as long as the options allow.
        let call = &Call {
            retry_for: None,
            ..*call
        };
        self.peers.note_use();
        let done = match self.refresh_listings(call, why)? {
            Status::Ok => self.verify_invalidated(call)?,
            other => other,
        };
        if done == Status::Ok {
            self.compact_listings(call)?;
        }
        Ok(done)
    }

    /// Rebuilds the segments of listings with many changes, so that no lookup has to.
    fn compact_listings(&self, call: &Call<'_>) -> Result<()> {
        let (identity, rows) = {
            let snapshot = self.reading.snapshot();
            let Some(identity) = snapshot.identity else {
                return Ok(());
            };
            let Some(scope) = call.scope(&snapshot)? else {
                return Ok(());
            };
            (identity, snapshot.rows_in(scope).to_vec())
        };
        let mut any = false;
        for row in rows.iter().filter(|row| row.generation.is_fetched()) {
            if !self.segments.has_many_changes(row)? {
                continue;
            }
            let what = format!("image{}", row.id.0.rem_euclid(LOCKS));
            // One thread or process builds the segment for all.
            let made = self.run_unless_running(&what, || {
                let now = LibraryRows(&self.store).library_row(row.id)?;
                if !now.present || !self.segments.has_many_changes(&now)? {
                    return Ok(false);
                }
                self.segments.compact_listing(identity, &now, call.deadline)?;
                Ok(true)
            });
            match made {
                Ok(made) => any |= made == Some(true),
                // Not an error of the call, whose refresh succeeded.
                Err(error) => log::warn!(
                    "cannot write the listing of '{}' into a segment; the next refresh retries: {error}",
                    row.library.title
                ),
            }
        }
        if any {
            Sweeper(&self.store).sweep_segments();
            self.reading.catch_up(call.deadline)?;
        }
        Ok(())
    }

    fn refresh_listings(&self, call: &Call<'_>, why: RefreshReason) -> Result<Status> {
        if !self.may_ask(call) {
            return Err(Error::new(
                Status::Offline,
                "cannot refresh: the index has no server_url and no database, or the index or this call is offline",
            ));
        }
        self.reading.catch_up(call.deadline)?;
        let since = self.reading.snapshot().sequence();
        let stale = self.find_or_probe(call, |snapshot| {
            let scope = call.scope(snapshot)?.filter(|_| !snapshot.rows.is_empty());
            Ok(scope.map(|scope| self.stale(call, snapshot.rows_in(scope), why)))
        })?;
        let stale = stale.unwrap_or_default();
        if stale.is_empty() {
            return Ok(Status::Ok);
        }
        let done = self.update(call, &stale, since, why)?;
        self.reading.catch_up(call.deadline)?;
        Ok(done)
    }

    /// The libraries to refresh.
    fn stale(&self, call: &Call<'_>, rows: &[LibraryRow], why: RefreshReason) -> Vec<LibraryRow> {
        let now = self.clock.now_ms();
        // An evicted library is fetched again when it is used, not by a refresh of all libraries.
        let is_wanted = |row: &LibraryRow| call.library.is_some() || !self.reading.is_evicted(row);
        let is_due = |row: &LibraryRow| freshness::need(&self.age(row), &self.policy, now) != Need::Nothing;
        let is_stale = |row: &&LibraryRow| is_wanted(row) && (why != RefreshReason::Due || is_due(row));
        rows.iter().filter(is_stale).cloned().collect()
    }
}

impl SyncJob<'_> {
    pub fn update(&self, stale: &[LibraryRow], since: Sequence, why: RefreshReason) -> Result<()> {
        for wanted in stale {
            let mut id = wanted.id;
            for attempt in 0.. {
                // A library that another process clears gets a new number, and another lock.
                match self.update_one(wanted, id, since, why)? {
                    None => break,
                    Some(_) if attempt == CLEAR_RETRIES => return Err(cleared(wanted)),
                    Some(other) => id = other,
                }
            }
        }
        Ok(())
    }

    /// Refreshes a library. Sends no request if another call refreshed it while this one waited for its turn. If the
    /// library was cleared meanwhile, does nothing and returns its new number.
    pub fn update_one(
        &self,
        wanted: &LibraryRow,
        id: LibraryId,
        since: Sequence,
        why: RefreshReason,
    ) -> Result<Option<LibraryId>> {
        let sync = self.sync;
        lock(&self.report.library).clone_from(&wanted.library.title);
        // A probe for a missing path does not wait for a listing that is under way: it may take minutes.
        let bounds = Bounds {
            deadline: if why == RefreshReason::Missing {
                Deadline::after(Duration::ZERO)
            } else {
                self.bounds.deadline
            },
            ..self.bounds
        };
        // Library numbers grow with every clear, and lock files are never removed: so the names repeat.
        let refreshed = self.single_flight_within(bounds, &format!("fetch{}", id.0.rem_euclid(LOCKS)), || {
            if let Ok(now) = LibraryRows(&sync.store).library_row(id)
                && now.present
                && (now.begun_sequence > since || now.begun_sequence != wanted.begun_sequence)
                && (matches!(why, RefreshReason::Unverified | RefreshReason::Full)
                    || self.need(&now, why) == Need::Nothing)
            {
                return Ok(None);
            }
            if self.sync.peers.holds_back(self, wanted, why)? {
                return Ok(None);
            }
            let rows = self.probe_once(since, &self.accepted_probe(wanted, why))?;
            match rows.iter().find(|row| row.library.uuid == wanted.library.uuid) {
                Some(row) if row.id != id => return Ok(Some(row.id)),
                Some(row) => match self.need(row, why) {
                    Need::Nothing | Need::Probe => {}
                    need => self.sync.peers.fetch(self, row, need, why)?,
                },
                None => {} // the server does not show it any more
            }
            Ok(None)
        })?;
        match refreshed {
            None if why != RefreshReason::Missing => Err(self.deadline_error()),
            moved => Ok(moved.flatten()),
        }
    }

    /// Brings a library up to date from the source. Returns the changes, if these are all; without the items that were
    /// added, unless `keeps` them.
    pub fn fetch(&self, row: &LibraryRow, need: Need, why: RefreshReason, keeps: bool) -> Result<Option<MergedDelta>> {
        let merged = match need {
            Need::Delta => self.delta(row, keeps)?,
            _ => None,
        };
        if merged.is_none() {
            let row = match need {
                // The delta may have merged items; the new listing must not seem to shrink by them.
                Need::Delta => LibraryRow {
                    items: row.items,
                    ..LibraryRows(&self.sync.store).library_row(row.id)?
                },
                _ => row.clone(),
            };
            self.list(&row, why)?;
        }
        Ok(merged)
    }

    /// Which probe of another host is as good as an own one.
    fn accepted_probe<'r>(&self, row: &'r LibraryRow, why: RefreshReason) -> AcceptedProbe<'r> {
        AcceptedProbe {
            oldest: match why {
                // As old as a listing that needs none.
                RefreshReason::Due => self.sync.policy.oldest_probe(),
                RefreshReason::Missing => AcceptedProbe::RECENT,
                RefreshReason::Now | RefreshReason::Unverified | RefreshReason::Full => Duration::ZERO,
            },
            library: Some(&row.library.uuid),
        }
    }

    /// Returns what a library needs after a probe.
    pub fn need(&self, row: &LibraryRow, why: RefreshReason) -> Need {
        let (age, now) = (self.sync.age(row), self.sync.clock.now_ms());
        let reports_all = self.source.abilities().changes == Delta::Complete;
        let (listed, shown) = (&row.listed_token, &row.library.change);
        let probed = || freshness::need_when_probed(&age, listed, shown, reports_all, &self.sync.policy, now);
        match why {
            RefreshReason::Unverified | RefreshReason::Full => Need::Listing,
            // While an unmounted disk is suspected, queries for missing paths start no listing.
            RefreshReason::Missing if age.held_back => Need::Nothing,
            RefreshReason::Due | RefreshReason::Now
                if (why == RefreshReason::Due || age.held_back)
                    && freshness::need(&age, &self.sync.policy, now) == Need::Nothing =>
            {
                Need::Nothing
            }
            RefreshReason::Due | RefreshReason::Missing | RefreshReason::Now => probed(),
        }
    }
}
