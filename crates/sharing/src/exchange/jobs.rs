//! Sync jobs for a shared index. A job reads the log first, and fetches a library only under a lease.

use std::time::{Duration, Instant};

use super::chunks::LogSource;
use super::core::{Exchange, LogView, Unavailable, without_entries};
use crate::bodies::ListingBody;
use crate::contract::{Entry, EntryKind, Position};
use crate::engine::{ItemRows, LibraryRow, LibraryRows, LocalWrite, Outbox};
use crate::error::{Error, Result, Status};
use crate::freshness::{self, NeededRequest};
use crate::model::{Hint, Item, Sequence, SourceState};
use crate::sync::{MergedDelta, RefreshReason, SyncJob};

/// Interval between checks for a result from the host that holds the lease.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

impl Exchange {
    /// Exchanges entries before a library is refreshed, so that the log gets this host's entries first. Returns whether
    /// to skip the refresh: because another host has just refreshed the library, or because the log became unavailable
    /// only recently, so that lookups use the stale listing. `why`: the reason for the refresh.
    pub fn exchange_before_refresh(&self, job: &SyncJob<'_>, row: &LibraryRow, why: RefreshReason) -> Result<bool> {
        let may_copy = why == RefreshReason::Due && !(job.skips_listings && row.generation.is_fetched());
        if let Some(view) = self.view()? {
            if !may_copy {
                self.exchange_exclusively(&view, job.bounds.deadline, job.bounds.deadline)?;
            } else if self.copy_current_listing(job, &view, row, why)? {
                let age = job.sync.age(&LibraryRows(&self.store).library_row(row.id)?);
                if freshness::needed_request(&age, &self.policy, self.clock.now_ms()) == NeededRequest::Nothing {
                    return Ok(true);
                }
            }
        }
        Ok(matches!(why, RefreshReason::Due | RefreshReason::Missing) && self.should_await_log(row))
    }

    /// Probes the server, and publishes the libraries, so that other hosts need not probe.
    pub fn probe(&self, job: &SyncJob<'_>) -> Result<Vec<LibraryRow>> {
        let known_view = self.view()?;
        let asked_ms = self.clock.now_ms();
        let (view_id, rows) = job.probe()?;
        // The first probe identifies the view, so this host can now read the log, even if the log rejects writes.
        if let Some(view) = self.view()?.filter(|view| view.view_id == view_id) {
            if known_view.is_none() {
                self.exchange_exclusively(&view, job.bounds.deadline, job.bounds.deadline)?;
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
        let copy_current_listing =
            || -> Result<bool> { Ok(!must_ask_server && self.copy_current_listing(job, &view, row, why)?) };
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
        // The next refresh publishes the library again.
        if let Err(error) = self.publish(&view, &held_lease.lease, (&row_before, &row_after), merged, included) {
            log::warn!("cannot share '{}': {error}", row.library.title);
        }
        Ok(())
    }

    /// Exchanges entries, then copies another host's listing if this host needs it. Returns whether the library is then
    /// current, according to the last probe, and also needs no request for the reason `why`. Copies nothing while the
    /// log lacks an invalidation of this host, since the listing can be older.
    fn copy_current_listing(
        &self,
        job: &SyncJob<'_>,
        view: &LogView,
        row: &LibraryRow,
        why: RefreshReason,
    ) -> Result<bool> {
        if !self.exchange_exclusively(view, job.bounds.deadline, job.bounds.deadline)? {
            return Ok(false);
        }
        let is_current = |stored: &LibraryRow| {
            stored.generation.is_fetched()
                && stored.listed_token == stored.library.change.token
                && !stored.due
                && stored.hint == Hint::None
                && !matches!(
                    job.needed_request(stored, why),
                    NeededRequest::Delta | NeededRequest::Listing
                )
        };
        let Some(stored) = LibraryRows(&self.store)
            .library_row(row.id)
            .ok()
            .filter(|row| row.present)
        else {
            return Ok(false); // another process has cleared the library
        };
        if is_current(&stored) {
            return Ok(true);
        }
        if stored.due && self.undelivered()? > 0 {
            return Ok(false); // invalidated after the exchange
        }
        let Ok(Some((entry, head))) = self.find_listing_head(view, &stored.library.uuid) else {
            return Ok(false);
        };
        let has_copy = Outbox(&self.store).shared_listing(row.id)? == Some(head.listing);
        // While the log was unavailable, this host may itself have fetched a newer listing.
        let is_older = entry.written_ms() <= stored.checked_ms;
        if (has_copy || is_older) && stored.generation.is_fetched() && !stored.due {
            return Ok(false);
        }
        match self.copy_listing(job, view, &stored, &entry, &head) {
            // A chunk is missing or damaged, or the log is unavailable. This host then tries to acquire the lease.
            Err(error) if matches!(error.status, Status::BadAnswer | Status::Timeout) => {
                log::info!("'{}': {error}", stored.library.title);
                return Ok(false);
            }
            copied => copied?,
        }
        let copied = LibraryRows(&self.store).library_row(row.id)?;
        Ok(is_current(&copied))
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

    /// Copies a listing that another host published, together with the listing's age, and merges the items that the log
    /// received after the listing, even if this folder has already applied them. If this process is killed before then,
    /// answers are stale until another call copies the listing. `entry` and `head`: the listing's entry in the log, and
    /// its decoded body.
    fn copy_listing(
        &self,
        job: &SyncJob<'_>,
        view: &LogView,
        row: &LibraryRow,
        entry: &Entry,
        head: &ListingBody,
    ) -> Result<()> {
        let observed_ms = entry.observed_ms(head.age_ms);
        let source = LogSource {
            exchange: self,
            view: *view,
            head: head.clone(),
        };
        let (entries, position) = self.read_library(job, view, row, head.included)?;
        // Without a number, later entries do not mark the listing as current.
        let (outbox, deadline) = (Outbox(&self.store), job.bounds.deadline);
        outbox.store_shared_listing(row.id, 0, outbox.listing_begun_ms(row.id)?, deadline)?;
        let mut row = row.clone();
        row.library.change = SourceState {
            token: String::new(), // stored last
            ..head.change.clone()
        };
        let copy_job = SyncJob {
            source: &source,
            copied_ms: Some(observed_ms),
            ..*job
        };
        // What this host has verified since its last delta can be newer than the listing.
        let (items, mut marked_at) = (ItemRows(&self.store).single_changes(&row)?, Sequence::default());
        if !items.is_empty() {
            let marks: Vec<_> = items.iter().map(|(key, _)| (row.id, &b""[..], &**key)).collect();
            let request = LocalWrite::NONE;
            (_, marked_at) = LibraryRows(&self.store).invalidate(view.view_id, &request, &marks, &[], deadline)?;
        }
        without_entries(|| copy_job.list(&row, RefreshReason::Due))?;
        let find_row = || LibraryRows(&self.store).library_row(row.id);
        if !find_row()?.listed_token.is_empty() {
            return Ok(()); // a second listing must confirm this listing, which is much smaller
        }
        log::info!("'{}': copied the listing from another host", row.library.title);
        // The time 0 means that this host did not fetch the listing from the server.
        outbox.store_shared_listing(row.id, 0, 0, deadline)?;
        self.apply(view, &entries)?;
        if !items.is_empty() {
            let stored = ItemRows(&self.store).of(&row)?;
            let is_same = |(key, item): &&(String, Option<Item>)| matches!(stored.item(key), Ok(now) if now == *item);
            let same: Vec<&str> = items.iter().filter(is_same).map(|(key, _)| key.as_str()).collect();
            LibraryRows(&self.store).end_invalidations(view.view_id, row.id, &[], &same, marked_at, deadline)?;
        }
        self.mark_synced_to_head(&find_row()?, head, observed_ms)?;
        // Another exchange may have applied entries to the old listing.
        self.with_exchange_lock(deadline, || {
            let Ok((mut entries, _)) = self.read_library(job, view, &row, position) else {
                return Ok(()); // the listing has the state in `head`, but no number
            };
            self.apply(view, &entries)?;
            outbox.store_shared_listing(row.id, head.listing, 0, deadline)?;
            entries.retain(|entry| entry.name.kind == EntryKind::Listing);
            self.apply(view, &entries)
        })
    }

    /// Reads a library's items and listing heads that follow a position, and returns them with the log's last position.
    /// Fails if the log does not answer.
    fn read_library(
        &self,
        job: &SyncJob<'_>,
        view: &LogView,
        row: &LibraryRow,
        mut position: Position,
    ) -> Result<(Vec<Entry>, Position)> {
        let mut entries = Vec::new();
        loop {
            let page = if job.bounds.deadline.has_passed() {
                Err(Unavailable)
            } else {
                self.read_page(view, view.host, position, job.bounds.deadline)
            };
            let page =
                page.map_err(|Unavailable| Error::new(Status::Timeout, "the shared log did not answer; retry"))?;
            entries.extend(page.entries.into_iter().filter(|entry| {
                matches!(entry.name.kind, EntryKind::Item | EntryKind::Listing)
                    && entry.name.library == row.library.uuid
            }));
            position = page.position;
            if !page.has_more {
                return Ok((entries, position));
            }
        }
    }
}
