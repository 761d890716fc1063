//! Jobs of a shared index: the log is asked first, and the server under a lease of the log.

use std::time::{Duration, Instant};

use super::chunks::LogSource;
use super::core::{Away, Exchange, SharedView, quietly};
use super::incoming::BATCH;
use super::leases::HeldLease;
use crate::bodies::{ListingBody, ProbeBody, decode};
use crate::contract::{Entry, EntryKind};
use crate::engine::{LibraryRow, LibraryRows, Outbox};
use crate::error::{Result, Status};
use crate::freshness::Need;
use crate::model::Hint;
use crate::sync::{AcceptedProbe, MergedDelta, RefreshReason, SyncJob};

/// Pause between two looks at what another host is fetching.
const POLL: Duration = Duration::from_millis(100);

/// What the log says before the server is asked.
enum Decision<'x, T> {
    /// Another host did it: this is the result.
    Done(T),
    /// This host asks the server, for all.
    Lease(HeldLease<'x>),
    /// This host asks the server for itself: the log is away, or does not know this view.
    Alone,
}

impl Exchange {
    /// Looks for a result of another host with `look` until there is one, or until this host may ask the server itself.
    fn decide<T>(
        &self,
        job: &SyncJob<'_>,
        view: &SharedView,
        what: &str,
        mut look: impl FnMut() -> Result<Option<T>>,
    ) -> Result<Decision<'_, T>> {
        loop {
            if let Some(done) = look()? {
                return Ok(Decision::Done(done));
            }
            match self.take_lease(view, what) {
                Err(Away) => return Ok(Decision::Alone),
                Ok(Some(lease)) => {
                    // Its last holder may have published the result between the two.
                    return Ok(match look()? {
                        Some(done) => Decision::Done(done),
                        None => Decision::Lease(lease),
                    });
                }
                Ok(None) => {}
            }
            let until = Instant::now() + job.bounds.deadline.wait(POLL);
            if job.bounds.deadline.has_passed() || (job.bounds.aborted)() {
                return Err(job.deadline_error());
            }
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
    }

    /// Exchanges news before a library is brought up to date: the log is to know first what this host has to tell.
    /// Returns whether the library waits for the log, which is away: its listing answers meanwhile, marked as stale.
    pub fn waits_for_log(&self, job: &SyncJob<'_>, row: &LibraryRow, why: RefreshReason) -> Result<bool> {
        if let Some(view) = self.view()? {
            self.exchange_once(&view, job.bounds.deadline)?;
        }
        Ok(matches!(why, RefreshReason::Due | RefreshReason::Missing) && self.is_awaited(row))
    }

    /// A probe by this host or another one. Returns the rows.
    pub fn probe(&self, job: &SyncJob<'_>, accepts: &AcceptedProbe<'_>) -> Result<Vec<LibraryRow>> {
        let begun = Instant::now();
        let Some(view) = self.view()? else {
            let asked_ms = self.clock.now_ms();
            let (_, rows) = job.probe()?;
            // The first probe names the view. News comes before the probe is published, since a log may refuse to be
            // written.
            if let Some(view) = self.view()? {
                self.exchange_once(&view, job.bounds.deadline)?;
                // Others need not repeat it.
                if let Ok(Some(held)) = self.take_lease(&view, "probe") {
                    self.publish_probe(&view, &rows, asked_ms, &held.lease);
                }
            }
            return Ok(rows);
        };
        let look = || -> Result<Option<Vec<LibraryRow>>> {
            let Some(entry) = self.find_probe(&view, accepts, begun) else {
                return Ok(None);
            };
            let body = decode::<ProbeBody>(&entry.body);
            let rows = body.map(|body| {
                let at_ms = self.seen_ms(&entry, body.age_ms);
                self.store_probe(view.identity, &body.libraries, at_ms)
            });
            rows.transpose()
        };
        match self.decide(job, &view, "probe", look)? {
            Decision::Done(rows) => Ok(rows),
            Decision::Alone => Ok(job.probe()?.1),
            Decision::Lease(held) => {
                let asked_ms = self.clock.now_ms();
                let (identity, rows) = job.probe()?;
                if identity == view.identity {
                    self.publish_probe(&view, &rows, asked_ms, &held.lease);
                }
                Ok(rows)
            }
        }
    }

    /// Brings a library up to date: from the log, or from the server for all hosts.
    pub fn fetch(&self, job: &SyncJob<'_>, row: &LibraryRow, need: Need, why: RefreshReason) -> Result<()> {
        let Some(view) = self.view()? else {
            return self.ask_source(job, row, need, why).map(drop);
        };
        let uuid = row.library.uuid.clone();
        let wants_new = matches!(why, RefreshReason::Full | RefreshReason::Unverified);
        let look = || -> Result<Option<()>> {
            if wants_new || !self.exchange_once(&view, job.bounds.deadline)?.has_taken {
                return Ok(None);
            }
            let now = LibraryRows(&self.store).library_row(row.id)?;
            let is_current = |now: &LibraryRow| {
                now.generation.is_fetched()
                    && now.listed_token == now.library.change.token
                    && !now.due
                    && now.hint == Hint::None
            };
            if is_current(&now) {
                return Ok(Some(()));
            }
            let Ok(Some((entry, head))) = self.head(&view, &uuid) else {
                return Ok(None);
            };
            let is_own = Outbox(&self.store).shared_listing(row.id)? == Some(head.listing);
            // This host may have listed it since, while the log was away.
            let is_older = self.at_ms(&entry) <= now.checked_ms;
            if (is_own || is_older) && now.generation.is_fetched() && !now.due || self.is_void(&view, &uuid, &head) {
                return Ok(None);
            }
            match self.take_listing(job, &view, &now, &entry, &head) {
                // A chunk is gone or damaged, or the log is away: the next turn says what to do.
                Err(error) if matches!(error.status, Status::BadAnswer | Status::Timeout) => {
                    log::info!("'{}': {error}", row.library.title);
                    return Ok(None);
                }
                taken => taken?,
            }
            let now = LibraryRows(&self.store).library_row(row.id)?;
            Ok(is_current(&now).then_some(()))
        };
        match self.decide(job, &view, &format!("fetch {uuid}"), look)? {
            Decision::Done(()) => Ok(()),
            Decision::Alone => self.ask_source(job, row, need, why).map(drop),
            Decision::Lease(held) => {
                let before = LibraryRows(&self.store).library_row(row.id)?;
                // An older listing of another host may have been taken since.
                let need = if wants_new { need } else { job.need(&before, why) };
                if matches!(need, Need::Nothing | Need::Probe) {
                    return Ok(());
                }
                let included = self.place(view.identity)?.position;
                let merged = self.ask_source(job, &before, need, why)?;
                let after = LibraryRows(&self.store).library_row(row.id)?;
                self.publish(&view, &held.lease, (&before, &after), merged, included);
                Ok(())
            }
        }
    }

    /// Brings a library up to date from the source. Returns the changes, if these are all.
    fn ask_source(
        &self,
        job: &SyncJob<'_>,
        row: &LibraryRow,
        need: Need,
        why: RefreshReason,
    ) -> Result<Option<MergedDelta>> {
        let begun_ms = self.clock.now_ms();
        // A new listing may copy matches of another token: the log has those that were told.
        let merged = quietly(|| job.fetch(row, need, why, true))?;
        // Since then this host knows better than what others told before. Changes were merged into the listing that was
        // there; a full listing is another one.
        let listing = match merged {
            Some(_) => Outbox(&self.store).shared_listing(row.id)?.unwrap_or(0),
            None => 0,
        };
        Outbox(&self.store).store_shared_listing(row.id, listing, begun_ms, job.bounds.deadline)?;
        Ok(merged)
    }

    /// Takes a listing that another host published, as old as it is.
    fn take_listing(
        &self,
        job: &SyncJob<'_>,
        view: &SharedView,
        row: &LibraryRow,
        entry: &Entry,
        head: &ListingBody,
    ) -> Result<()> {
        let at_ms = self.seen_ms(entry, head.age_ms);
        let source = LogSource {
            exchange: self,
            view: *view,
            head: head.clone(),
        };
        let mut row = row.clone();
        row.library.change = head.change.clone();
        let copying = SyncJob {
            source: &source,
            copied_ms: Some(at_ms),
            ..*job
        };
        quietly(|| copying.list(&row, RefreshReason::Due))?;
        log::info!("'{}': copied the listing from another host", row.library.title);
        let store = &self.store;
        Outbox(store).store_shared_listing(row.id, head.listing, 0, job.bounds.deadline)?;
        // Items since then that this folder has read are in the listing before; they are applied to this one.
        let (mut from, until) = (head.included, job.bounds.deadline);
        loop {
            let Ok(news) = self.ask_until(until, |log, limit| log.read(view.number, from, BATCH, limit)) else {
                return Ok(()); // the next exchange applies them
            };
            let of_library =
                |entry: &Entry| entry.name.kind == EntryKind::Item && entry.name.library == row.library.uuid;
            let items: Vec<Entry> = news.entries.into_iter().filter(of_library).collect();
            let now = LibraryRows(store).library_row(row.id)?;
            self.take_items(view, &now, &items)?;
            from = news.position;
            if !news.more {
                break;
            }
        }
        let now = LibraryRows(store).library_row(row.id)?;
        self.reach(&now, head, at_ms)
    }
}
