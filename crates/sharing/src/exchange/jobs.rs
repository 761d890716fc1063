//! Sync jobs for a shared index. A job reads the log first, and fetches a library only under a lease.

use std::time::{Duration, Instant};

use super::chunks::LogSource;
use super::core::{Exchange, LogView, Unavailable, without_entries};
use super::incoming::ENTRIES_PER_REQUEST;
use crate::bodies::{ListingBody, ProbeBody, decode};
use crate::contract::{Entry, EntryKind};
use crate::engine::{LibraryRow, LibraryRows, Outbox, Totals};
use crate::error::{Result, Status};
use crate::freshness::NeededRequest;
use crate::model::Hint;
use crate::sync::{MergedDelta, ProbeConditions, RefreshReason, SyncJob};

/// Interval between checks for a result from the host that holds the lease.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Exchange {
    /// Exchanges entries before a library is refreshed, so that the log gets this host's entries first. Returns whether
    /// to postpone the refresh, because the log became unavailable only recently. Lookups then use the stale listing.
    /// `why`: the reason for the refresh.
    pub fn exchange_before_refresh(&self, job: &SyncJob<'_>, row: &LibraryRow, why: RefreshReason) -> Result<bool> {
        if let Some(view) = self.view()? {
            self.exchange_exclusively(&view, job.bounds.deadline)?;
        }
        Ok(matches!(why, RefreshReason::Due | RefreshReason::Missing) && self.should_await_log(row))
    }

    /// Returns the libraries, either from another host's probe that `accepts` allows, or from the server. Publishes the
    /// server's reply, so that other hosts need not probe.
    pub fn probe(&self, job: &SyncJob<'_>, accepts: &ProbeConditions<'_>) -> Result<Vec<LibraryRow>> {
        let begun = Instant::now();
        let known_view = self.view()?;
        if let Some(view) = &known_view {
            let sequence = Totals::of(&self.store)?.sequence;
            let rows = LibraryRows(&self.store).libraries(view.view_id)?;
            let max_age = if rows.iter().any(|row| row.hint != Hint::None) {
                Duration::ZERO // an earlier probe may not cover the event
            } else {
                accepts.max_age
            };
            if let Some(entry) = self.find_probe(view, &ProbeConditions { max_age, ..*accepts }, begun)
                && let Some(body) = decode::<ProbeBody>(&entry.body)
            {
                let observed_ms = self.observed_ms(&entry, body.age_ms);
                return self.store_probe(view.view_id, &body.libraries, observed_ms, sequence);
            }
        }
        let asked_ms = self.clock.now_ms();
        let (view_id, rows) = job.probe()?;
        // The first probe identifies the view, so this host can now read the log, even if the log rejects writes.
        if let Some(view) = self.view()?.filter(|view| view.view_id == view_id) {
            if known_view.is_none() {
                self.exchange_exclusively(&view, job.bounds.deadline)?;
            }
            self.publish_probe(&view, &rows, asked_ms);
        }
        Ok(rows)
    }

    /// Brings a library up to date, either from the log or from the server.
    ///
    /// If the log has another host's current listing, copies it. Otherwise fetches from the server under a lease and
    /// publishes the result. If the log is unavailable, fetches without publishing. `need`: the type of request that
    /// updates the library. `why`: the reason for the refresh.
    pub fn fetch(&self, job: &SyncJob<'_>, row: &LibraryRow, need: NeededRequest, why: RefreshReason) -> Result<()> {
        let Some(view) = self.view()? else {
            return self.fetch_from_source(job, row, need, why).map(drop);
        };
        let uuid = row.library.uuid.clone();
        let must_ask_server = matches!(why, RefreshReason::Full | RefreshReason::Unverified);
        // Applies the log's entries, then copies another host's listing. Returns whether the library is then current.
        let copy_current_listing = || -> Result<bool> {
            if must_ask_server || !self.exchange_exclusively(&view, job.bounds.deadline)?.has_received {
                return Ok(false);
            }
            let stored = LibraryRows(&self.store).library_row(row.id)?;
            let is_current = |stored: &LibraryRow| {
                stored.generation.is_fetched()
                    && stored.listed_token == stored.library.change.token
                    && !stored.due
                    && stored.hint == Hint::None
            };
            if is_current(&stored) {
                return Ok(true);
            }
            let Ok(Some((entry, head))) = self.find_listing_head(&view, &uuid) else {
                return Ok(false);
            };
            let has_copy = Outbox(&self.store).shared_listing(row.id)? == Some(head.listing);
            // While the log was unavailable, this host may itself have fetched a newer listing.
            let is_older = self.written_ms(&entry) <= stored.checked_ms;
            if (has_copy || is_older) && stored.generation.is_fetched() && !stored.due
                || self.is_listing_invalidated(&view, &uuid, &head)
            {
                return Ok(false);
            }
            match self.copy_listing(job, &view, &stored, &entry, &head) {
                // A chunk is missing or damaged, or the log is unavailable. This host then tries to acquire the lease.
                Err(error) if matches!(error.status, Status::BadAnswer | Status::Timeout) => {
                    log::info!("'{}': {error}", row.library.title);
                    return Ok(false);
                }
                copied => copied?,
            }
            let copied = LibraryRows(&self.store).library_row(row.id)?;
            Ok(is_current(&copied))
        };
        let held_lease = loop {
            if copy_current_listing()? {
                return Ok(());
            }
            match self.acquire_lease(&view, &format!("fetch {uuid}")) {
                Err(Unavailable) => return self.fetch_from_source(job, row, need, why).map(drop),
                Ok(Some(held_lease)) => break held_lease,
                Ok(None) => {}
            }
            let until = Instant::now() + job.bounds.deadline.wait(POLL_INTERVAL);
            if job.bounds.deadline.has_passed() || (job.bounds.aborted)() {
                return Err(job.deadline_error());
            }
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        };
        // The last holder may have published its result after the check.
        if copy_current_listing()? {
            return Ok(());
        }
        let row_before = LibraryRows(&self.store).library_row(row.id)?;
        // Since the job started, this host may have copied an older listing from another host.
        let need = if must_ask_server {
            need
        } else {
            job.needed_request(&row_before, why)
        };
        if matches!(need, NeededRequest::Nothing | NeededRequest::Probe) {
            return Ok(());
        }
        let included = self.read_position(view.view_id)?.position;
        let merged = self.fetch_from_source(job, &row_before, need, why)?;
        let row_after = LibraryRows(&self.store).library_row(row.id)?;
        self.publish(&view, &held_lease.lease, (&row_before, &row_after), merged, included);
        Ok(())
    }

    /// Brings a library up to date from the source. Returns the merged changes; `None` after a full listing.
    fn fetch_from_source(
        &self,
        job: &SyncJob<'_>,
        row: &LibraryRow,
        need: NeededRequest,
        why: RefreshReason,
    ) -> Result<Option<MergedDelta>> {
        let begun_ms = self.clock.now_ms();
        // A new listing may copy matches from another token's view. The log already has these matches, so they must not
        // go into the outbox. `true` keeps the added items, so that this host can publish them.
        let merged = without_entries(|| job.fetch(row, need, why, true))?;
        // Other hosts' entries from before `begun_ms` are now outdated. After a delta, the listing keeps its
        // number in the log; a full listing has no number in the log yet (0).
        let listing = match merged {
            Some(_) => Outbox(&self.store).shared_listing(row.id)?.unwrap_or(0),
            None => 0,
        };
        Outbox(&self.store).store_shared_listing(row.id, listing, begun_ms, job.bounds.deadline)?;
        Ok(merged)
    }

    /// Copies a listing that another host published, together with the listing's age. `entry` and `head`: the listing's
    /// entry in the log, and its decoded body.
    fn copy_listing(
        &self,
        job: &SyncJob<'_>,
        view: &LogView,
        row: &LibraryRow,
        entry: &Entry,
        head: &ListingBody,
    ) -> Result<()> {
        let observed_ms = self.observed_ms(entry, head.age_ms);
        let source = LogSource {
            exchange: self,
            view: *view,
            head: head.clone(),
        };
        let mut row = row.clone();
        row.library.change = head.change.clone();
        let copy_job = SyncJob {
            source: &source,
            copied_ms: Some(observed_ms),
            ..*job
        };
        without_entries(|| copy_job.list(&row, RefreshReason::Due))?;
        log::info!("'{}': copied the listing from another host", row.library.title);
        let store = &self.store;
        // The time 0 means that this host did not fetch the listing from the server.
        Outbox(store).store_shared_listing(row.id, head.listing, 0, job.bounds.deadline)?;
        // The copy lacks items that the log received after the listing, even if this folder had already applied them.
        let (mut position, until) = (head.included, job.bounds.deadline);
        loop {
            let Ok(page) = self.send_request_by(until, |log, limit| {
                log.read(view.number, position, ENTRIES_PER_REQUEST, limit)
            }) else {
                return Ok(()); // the next exchange applies them
            };
            let is_item_of_library =
                |entry: &Entry| entry.name.kind == EntryKind::Item && entry.name.library == row.library.uuid;
            let items: Vec<Entry> = page.entries.into_iter().filter(is_item_of_library).collect();
            let copied_row = LibraryRows(store).library_row(row.id)?;
            self.apply_items(&copied_row, &items)?;
            position = page.position;
            if !page.has_more {
                break;
            }
        }
        let copied_row = LibraryRows(store).library_row(row.id)?;
        self.mark_synced_to_head(&copied_row, head, observed_ms)
    }
}
