//! Starts or resumes full listings, fetches and checks their pages, and publishes the results.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::call::{Call, RefreshReason};
use super::delta::cursor_of;
use super::job::{SyncJob, Synchronizer};
use super::pages::Shift;
use crate::engine::{
    ItemRows, LibraryRow, Listing, ListingDraft, ListingResult, ListingRows, RecordRows, ShowRows, StoredItems,
};
use crate::error::{Error, Result, Status};
use crate::knowledge::{Cause, Need, PROVISIONAL_MS, is_pause_over, may_resume};
use crate::model::{Generation, Item, Library, LibraryKind, ViewId};
use crate::source::{Bounds, Delta, DeltaCursor, PageRequest, Resume};
use crate::stats::Activity;

/// Maximum number of confirmed matches that one transaction copies from the views of other tokens.
const MATCHES_PER_COPY: usize = 1_000;

impl SyncJob<'_> {
    /// Fetches and publishes a full listing, or resumes an interrupted listing. Retries as long as the options allow,
    /// not only as long as a query may retry. `why`: unless it is [`RefreshReason::Full`], a second listing must
    /// confirm a much smaller listing.
    pub fn list(&self, row: &LibraryRow, why: RefreshReason) -> Result<()> {
        let bounds = Bounds {
            retry_for: None,
            ..self.bounds
        };
        SyncJob { bounds, ..*self }.list_within_bounds(row, why)
    }

    /// Fetches and publishes a full listing, or resumes an interrupted listing, within the job's bounds.
    fn list_within_bounds(&self, row: &LibraryRow, why: RefreshReason) -> Result<()> {
        let sync = self.sync;
        let now_ms = sync.clock.now_ms();
        let job_start = Instant::now();
        let begin_listing = || {
            let now_ms = sync.clock.now_ms();
            ListingRows(&sync.store).begin_listing(row, now_ms, self.bounds.deadline)
        };
        // Resume an interrupted listing if its stored pages are still usable; otherwise start a new listing.
        let mut listing = match ListingRows(&sync.store).listing(row.id)? {
            Some(listing)
                if listing.generation == row.generation
                    && !row
                        .doubts
                        .iter()
                        .any(|doubt| doubt.needs() == Need::Listing && doubt.raised > listing.asked)
                    && self.source.abilities().resume != Resume::Never
                    && self.can_resume(row, &listing, now_ms) =>
            {
                log::info!(
                    "'{}': resuming the listing after {} rows",
                    row.library.title,
                    listing.rows
                );
                listing
            }
            _ => begin_listing()?,
        };
        // Fill the new segment with the stored pages. If they are damaged, start a new listing.
        let mut draft = if let Some(draft) = sync.segments.draft(row, &listing) {
            draft
        } else {
            listing = begin_listing()?;
            sync.segments.empty_draft(row, &listing)
        };
        // Fetch the remaining pages. If rows move in the meantime, start again, at most twice.
        self.report.items.store(listing.rows, Ordering::Relaxed);
        self.report.total.store(listing.total.unwrap_or(0), Ordering::Relaxed);
        self.report.fetching.store(true, Ordering::Relaxed);
        let earlier_rows = listing.rows;
        let mut attempts = 0;
        while let Some(shift) = self.fetch_and_store_pages(row, &mut listing, &mut draft, earlier_rows)? {
            attempts += 1;
            if attempts > 2 {
                let problem = match shift {
                    Shift::Moved => "it changes faster than plexindex can list it; retry after the scan".to_owned(),
                    Shift::Repeated(position) => format!(
                        "the server, or a proxy in front of it, returned other rows than those from row {position}; \
                         make the proxy forward the X-Plex headers and cache nothing, or set server_url to the server"
                    ),
                };
                let text = format!("cannot list library '{}': {problem}", row.library.title);
                return Err(Error::new(Status::BadAnswer, text));
            }
            log::info!("'{}': rows moved during the listing; restarting it", row.library.title);
            listing = begin_listing()?;
            draft = sync.segments.empty_draft(row, &listing);
        }
        self.check_and_publish(row, &listing, draft, job_start, why)
    }

    /// Returns whether newly fetched pages would be consistent with the stored pages. If a source reports all changes
    /// and its positions never move, the library may have changed since the last page, because the job merges the
    /// changes later.
    fn can_resume(&self, row: &LibraryRow, listing: &Listing, now_ms: i64) -> bool {
        let abilities = self.source.abilities();
        let may_vary = abilities.changes == Delta::Complete && abilities.resume == Resume::ByPosition;
        let compared_state = if may_vary { &listing.change } else { &row.library.change };
        may_resume(listing.touched_ms, &listing.change, compared_state, now_ms)
    }

    /// Checks a complete listing against the reported counts and the library's change token, and publishes the listing,
    /// unless a second listing must confirm it. `job_start`: when the job began, for the log. `why`:
    /// [`RefreshReason::Full`] accepts a much smaller listing at once.
    fn check_and_publish(
        &self,
        row: &LibraryRow,
        listing: &Listing,
        draft: ListingDraft,
        job_start: Instant,
        why: RefreshReason,
    ) -> Result<()> {
        let sync = self.sync;
        // Find out whether the listing is complete, and whether the library changed during the listing.
        let (view_id, after) = self.probe_again(row)?;
        let now_ms = sync.clock.now_ms();
        let draft = sync.segments.without_duplicates(row, listing, draft)?;
        // Rows that the server counts, but that are no items, or never come.
        let left_out = listing.total.unwrap_or(listing.rows).saturating_sub(draft.items());
        let counts_agree = listing.total.is_none_or(|total| total == listing.rows) && draft.items() == listing.keyed;
        // A second listing that lacks the same number confirms that the server has no more items.
        let last = cursor_of(row);
        let is_confirmed = row.generation.is_fetched()
            && last.left_out == left_out
            && (row.has_doubt(Cause::Partial) || left_out > 0)
            && is_pause_over(Some(row.listed_ms()), PROVISIONAL_MS, now_ms);
        let is_whole = counts_agree || is_confirmed;
        let scanned = Some(listing.change.scanned_ms / 1_000);
        let cursor = DeltaCursor {
            items: Some(draft.items()),
            left_out,
            // All updates since the first page are later than the last scan before it.
            newest_update: scanned.filter(|time| *time > 0).max(last.newest_update),
        };
        let result = ListingResult {
            is_whole,
            cursor: cursor.to_text(),
            listed_ms: now_ms,
        };
        if why != RefreshReason::Full && self.is_held_back(row, listing, &after, (draft.items(), is_whole), now_ms)? {
            return Ok(());
        }
        self.refresh_shows(row)?;
        let new_segment = if sync.segments.has_same_content(row, &draft) {
            None
        } else {
            Some(sync.segments.write_draft(row, listing, draft)?)
        };
        let store_start = Instant::now();
        // Copy matches only at the first listing, not when plexindex lists an evicted library again.
        if row.generation == Generation::default() {
            let stored = match &new_segment {
                Some(new) => StoredItems::of_listing(&sync.store, &new.name)?,
                None => ItemRows(&sync.store).of(row.id)?,
            };
            self.copy_matches_of_other_tokens(view_id, row, &stored)?;
        }
        let stored = sync
            .segments
            .publish(listing, &result, new_segment, self.bounds.deadline)?;
        sync.counters.add_time(Activity::Store, store_start.elapsed());
        sync.counters.count_listing();
        log::info!(
            "'{}': listed {} items in {:.1} s{}",
            row.library.title,
            stored.items,
            job_start.elapsed().as_secs_f64(),
            if is_whole { "" } else { " (some may be missing)" }
        );
        self.report.has_listed.store(true, Ordering::Relaxed);
        self.tidy_after_listing();
        Ok(())
    }

    /// Fetches and stores the GUIDs of a library's shows. If the source cannot tell them, queries by GUID are less
    /// certain until a later refresh, but the job does not fail.
    pub(super) fn refresh_shows(&self, row: &LibraryRow) -> Result<()> {
        if row.library.kind != LibraryKind::Show {
            return Ok(());
        }
        let shows = match self.source.shows(&row.library, self.bounds) {
            Err(error) if error.status == Status::Aborted => return Err(error),
            Err(error) => {
                log::warn!(
                    "'{}': cannot list the shows: {error}; the next refresh will try again",
                    row.library.title
                );
                None
            }
            Ok(shows) => shows,
        };
        ShowRows(&self.sync.store).store_shows(row.id, shows.as_deref(), self.bounds.deadline)
    }

    /// Fetches the GUIDs of a library's shows if they are unknown, or lack a show with one of these GUIDs.
    pub(super) fn refresh_unknown_shows(&self, row: &LibraryRow, guids: &BTreeSet<String>) -> Result<()> {
        let has_shows = row.library.kind == LibraryKind::Show && ShowRows(&self.sync.store).has_shows(row.id, guids)?;
        if has_shows { Ok(()) } else { self.refresh_shows(row) }
    }

    /// Enforces the folder's size limit, and stores the counters. Only logs errors.
    fn tidy_after_listing(&self) {
        let (sync, deadline) = (self.sync, self.bounds.deadline);
        sync.reading.keep_within_limit(deadline);
        if let Err(error) = sync.store_writer.flush_counters(deadline) {
            log::debug!("cannot store the counters: {error}; will retry later");
        }
    }

    /// Returns whether a second listing must confirm this listing of `items` items, because it is much smaller than the
    /// current one, or smaller and not whole. If so, discards it, and stores that. `probed`: the library's state after
    /// the listing.
    fn is_held_back(
        &self,
        row: &LibraryRow,
        listing: &Listing,
        probed: &Library,
        (items, is_whole): (u64, bool),
        now_ms: i64,
    ) -> Result<bool> {
        if items >= row.items
            || self.is_exact_and_complete(probed)
            || !ListingRows(&self.sync.store).hold_back_listing(
                listing,
                (items, is_whole),
                now_ms,
                self.bounds.deadline,
            )?
        {
            return Ok(false);
        }
        log::warn!(
            "library '{}' shrank from {} to {items} items, perhaps because a disk is not mounted; plexindex uses the \
             old listing until a second listing, at least a minute later, confirms the change; to accept the change \
             now, refresh in full (plexindex refresh --full)",
            row.library.title,
            row.items
        );
        Ok(true)
    }

    /// Copies confirmed matches from the views of other tokens for the same library, for items that this view also
    /// contains, so that a new token does not lose the matches.
    ///
    /// The copy runs before the listing is published, so that the next listing repeats the copy if the process is
    /// killed. Hosts that share the index have the matches already, in the view of the token that recorded them.
    fn copy_matches_of_other_tokens(&self, view_id: ViewId, row: &LibraryRow, stored: &StoredItems) -> Result<()> {
        let is_listed = |key: &str| stored.has(key);
        let inherited = RecordRows(&self.sync.store).matches_of_others(view_id, row, &is_listed)?;
        for part in inherited.chunks(MATCHES_PER_COPY) {
            self.sync
                .store_writer
                .add_matches(view_id, part, self.bounds.deadline)?;
        }
        if !inherited.is_empty() {
            log::info!(
                "'{}': copied {} confirmed matches from the views of other tokens",
                row.library.title,
                inherited.len()
            );
        }
        Ok(())
    }
}

impl Synchronizer {
    /// Fetches a page of a library's trash; returns the items and the cursor of the next page. Stores nothing. A cursor
    /// contains a position and a partition; 0 is the first page.
    pub fn trash(
        &self,
        call: &Call<'_>,
        library: &Library,
        cursor: u64,
        size: u32,
    ) -> Result<(Vec<Item>, Option<u64>)> {
        self.job(call, |job| {
            let partitions = job.source.partitions(library).max(1);
            let (position, partition) = (cursor / partitions as u64, cursor % partitions as u64);
            let request = PageRequest {
                library,
                partition: usize::try_from(partition).unwrap_or(0),
                position,
                size,
            };
            let mut items = Vec::new();
            let end = job.source.trash(&request, job.bounds, &mut items)?;
            if end.has_shifted {
                let message = "cannot read the trash: the server returned other rows than requested; retry";
                return Err(Error::new(Status::BadAnswer, message));
            }
            items.retain(|item| item.trashed);
            let next_partition = (partition + 1 < partitions as u64).then_some(partition + 1);
            let next = end.next.filter(|next| *next > position);
            let next = next.and_then(|next| next.checked_mul(partitions as u64)?.checked_add(partition));
            Ok((items, next.or(next_partition)))
        })
    }
}
