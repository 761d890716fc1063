//! Lists libraries: fetches a delta, or starts or resumes a full listing, fetches and checks its pages, and publishes the
//! result. Stores each page while another thread fetches the next page. A delta has the changes since the last listing or delta, from sources that report them; if it removes too many
//! items at once, plexindex fetches a full listing instead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use super::call::{Call, RefreshReason, aborted_error};
use super::job::{SyncJob, Synchronizer, is_storable};
use super::refresh::ItemToVerify;
use crate::engine::{
    ItemRows, KnowledgeRows, LibraryRow, Listing, ListingDraft, ListingResult, ListingRows, MAX_DELTA_ITEMS,
    RecordRows, SharedRows, ShowRows, StoredItems,
};
use crate::error::{Error, Result, Status};
use crate::knowledge::{Cause, Need, PROVISIONAL_MS, is_pause_over, may_resume, shrank_too_much, tells_content};
use crate::model::{Generation, Item, Library, LibraryKind, Sequence, SourceState, ViewId};
use crate::platform::fork::lock;
use crate::platform::thread::NO_THREAD;
use crate::source::{Bounds, DeltaCursor, IndexedItems, MAX_PAGE_ROWS, PageEnd, PageRequest, SourceChanges};
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
        let (job, sync) = (&SyncJob { bounds, ..*self }, self.sync);
        let now_ms = sync.clock.now_ms();
        let job_start = Instant::now();
        let begin_listing = || {
            let now_ms = sync.clock.now_ms();
            ListingRows(&sync.store).begin_listing(row, now_ms, bounds.deadline)
        };
        // Resume an interrupted listing if its stored pages are still usable; otherwise start a new listing.
        let mut listing = match ListingRows(&sync.store).listing(row.id)? {
            Some(listing)
                if listing.generation == row.generation
                    && !row
                        .doubts
                        .iter()
                        .any(|doubt| doubt.needs() == Need::Listing && doubt.raised > listing.asked)
                    && can_resume(row, &listing, now_ms) =>
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
        // Fetch the remaining pages. If rows move in the meantime, or the stored pages are damaged, start again, at most twice.
        self.report.items.store(listing.rows, Ordering::Relaxed);
        self.report.total.store(listing.total.unwrap_or(0), Ordering::Relaxed);
        self.report.fetching.store(true, Ordering::Relaxed);
        let earlier_rows = listing.rows;
        let mut attempts = 0;
        let draft = loop {
            let mut draft = sync.segments.draft(row, &listing);
            let shift = match &mut draft {
                Some(draft) => job.fetch_and_store_pages(row, &mut listing, draft, earlier_rows)?,
                None => None,
            };
            let (status, problem) = match shift {
                None => match draft.and_then(|draft| sync.segments.without_duplicates(row, &listing, draft)) {
                    Some(draft) => break draft,
                    None => (Status::Store, "its stored pages are damaged; retry".to_owned()),
                },
                Some(Shift::Moved) => (
                    Status::BadAnswer,
                    "it changes faster than plexindex can list it; retry after the scan".to_owned(),
                ),
                Some(Shift::Repeated(position)) => (
                    Status::BadAnswer,
                    format!(
                        "the server, or a proxy in front of it, returned other rows than those from row {position}; \
                         make the proxy forward the X-Plex headers and cache nothing, or set server_url to the server"
                    ),
                ),
            };
            attempts += 1;
            if attempts > 2 {
                let text = format!("cannot list library '{}': {problem}", row.library.title);
                return Err(Error::new(status, text));
            }
            log::info!("'{}': the listing starts again: {problem}", row.library.title);
            listing = begin_listing()?;
        };
        job.check_and_publish(row, &listing, draft, job_start, why)
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
        // Rows that the server counts, but that are no items, or never come.
        let left_out = listing.total.unwrap_or(listing.rows).saturating_sub(draft.items());
        let counts_agree = listing.total.is_none_or(|total| total == listing.rows) && draft.items() == listing.keyed;
        // A second listing that lacks the same number confirms that the server has no more items.
        let last = cursor_of(row);
        let is_confirmed = row.generation.is_fetched()
            && last.left_out == left_out
            && (row.has_doubt(Cause::Partial) || left_out > 0)
            && is_pause_over(Some(row.listed_ms()), PROVISIONAL_MS, now_ms);
        // A server that starts may list nothing, although it counted changes.
        let is_emptied = draft.items() == 0 && !row.library.is_exact() && tells_content(&row.library.change.token);
        let is_whole = counts_agree && !is_emptied || is_confirmed;
        let cursor = DeltaCursor {
            items: Some(draft.items()),
            left_out,
            newest_update: time_before_updates(&listing.change, &last, now_ms),
        };
        let result = ListingResult {
            is_whole,
            may_shrink: why == RefreshReason::Full || after.is_exact(),
            cursor: cursor.to_text(),
            listed_ms: now_ms,
        };
        let items = draft.items();
        self.refresh_shows(row)?;
        let new_segment = if sync.segments.has_same_content(row, &draft) {
            None
        } else {
            Some(sync.segments.write_draft(row, listing, draft)?)
        };
        let store_start = Instant::now();
        // Copy matches only at the first listing, not when plexindex lists an evicted library again.
        if let Some(new) = new_segment.as_ref().filter(|_| row.generation == Generation::default()) {
            self.copy_matches_of_other_tokens(view_id, row, &|key| new.segment.find(key).is_some())?;
        }
        let stored = sync
            .segments
            .publish(listing, &result, new_segment, self.bounds.deadline)?;
        let Some(stored) = stored else {
            log::warn!(
                "library '{}' shrank from {} to {items} items, perhaps because a disk is not mounted; plexindex uses the \
                 old listing until a second listing, at least a minute later, confirms the change; to accept the change \
                 now, refresh in full (plexindex refresh --full)",
                row.library.title,
                row.items
            );
            return Ok(());
        };
        sync.counters.add_time(Activity::Store, store_start.elapsed());
        sync.counters.listings.add(1);
        log::info!(
            "'{}': listed {} items in {:.1} s{}",
            row.library.title,
            stored.items,
            job_start.elapsed().as_secs_f64(),
            if is_whole { "" } else { " (some may be missing)" }
        );
        self.report.has_listed.store(true, Ordering::Relaxed);
        sync.reading.keep_within_limit(self.bounds.deadline);
        if let Err(error) = sync.store_writer.flush_counters(self.bounds.deadline) {
            log::debug!("cannot store the counters: {error}; will retry later");
        }
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

    /// Merges what the views of other tokens recorded and took back in the same library, as far as this view has the items,
    /// so that a new token does not lose the matches.
    ///
    /// This runs before the listing is published, so that the next listing repeats it if the process is killed.
    fn copy_matches_of_other_tokens(
        &self,
        view_id: ViewId,
        row: &LibraryRow,
        is_listed: &dyn Fn(&str) -> bool,
    ) -> Result<()> {
        let inherited = RecordRows(&self.sync.store).rows_of_others(row, is_listed)?;
        let limit = self.sync.store_writer.matches_limit;
        for part in inherited.chunks(MATCHES_PER_COPY) {
            SharedRows(&self.sync.store).add(view_id, part, limit, self.bounds.deadline)?;
        }
        let matches = inherited.iter().filter(|row| row.rating_key.is_some()).count();
        if matches > 0 {
            log::info!(
                "'{}': merged {matches} confirmed matches from the views of other tokens",
                row.library.title
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

/// A library's stored items, with the items of the delta that has begun. The source compares its own items with these.
struct IndexedLibrary<'o> {
    row: &'o LibraryRow,
    items: StoredItems,
    /// What the source has added, by rating key, and how many of these items are not stored.
    added: Mutex<(BTreeMap<String, Item>, u64)>,
    /// Whether the library may lose any number of items at once, without a second listing as confirmation.
    may_shrink: bool,
}

impl IndexedItems for IndexedLibrary<'_> {
    /// Returns the change token of the listing that the delta extends.
    fn base_token(&self) -> &str {
        self.row.listed_token()
    }

    /// Notes new and changed items that the source found. Skips items that cannot be stored.
    fn add(&self, items: &[Item]) -> Result<()> {
        for item in items.iter().filter(|item| is_storable(item)) {
            let is_new = !self.has_any(std::slice::from_ref(&item.rating_key))?;
            let (added, new) = &mut *lock(&self.added);
            *new += u64::from(is_new);
            // A larger delta becomes a listing, so this one need not be whole.
            if added.len() <= MAX_DELTA_ITEMS {
                added.insert(item.rating_key.clone(), item.clone());
            }
        }
        Ok(())
    }

    /// Returns whether the store has contained an identical item since the last delta or listing, so that the source
    /// need not add it.
    fn has(&self, item: &Item) -> Result<bool> {
        let stored = self.items.stored(&item.rating_key);
        Ok(stored.value.as_ref() == Some(item) && self.row.knowledge.had_at_last_sync(&stored))
    }

    /// Returns where the last delta or listing ended.
    fn cursor(&self) -> DeltaCursor {
        cursor_of(self.row)
    }

    /// Returns whether the library contains an item with one of these rating keys.
    fn has_any(&self, rating_keys: &[String]) -> Result<bool> {
        for key in rating_keys {
            if lock(&self.added).0.contains_key(key) || self.items.has(key) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the number of the library's items.
    fn count(&self) -> Result<u64> {
        Ok(self.items.count() + lock(&self.added).1)
    }

    /// Passes the rating keys of all items to `each`, in any order.
    fn keys(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.items.for_each_key(each)?;
        for key in lock(&self.added).0.keys() {
            if !self.items.has(key) {
                each(key);
            }
        }
        Ok(())
    }

    /// Returns whether the library may shrink to this number of items without a second listing as confirmation.
    fn accepts_shrinking_to(&self, items: u64) -> Result<bool> {
        // The comparison uses the count before the delta, so that newly added items do not allow more removals.
        Ok(self.may_shrink || !shrank_too_much(self.row.items, items))
    }
}

/// Returns where a library's last delta or listing ended.
fn cursor_of(row: &LibraryRow) -> DeltaCursor {
    let listing = row.knowledge.listing.as_ref();
    listing.map_or_else(DeltaCursor::default, |listing| DeltaCursor::from_text(&listing.cursor))
}

impl SyncJob<'_> {
    /// Fetches and stores a library's changes. Returns `false` if a full listing is necessary.
    pub fn delta(&self, row: &LibraryRow) -> Result<bool> {
        let (sync, deadline) = (self.sync, self.bounds.deadline);
        if self.view_id()?.is_none() {
            return Ok(false);
        }
        let now_ms = sync.clock.now_ms();
        let Some(request) = row.knowledge.begin(sync.store.ticket(deadline)?, now_ms) else {
            return Ok(false);
        };
        // After the ticket, so that the delta does not know less than what it is compared with.
        let Ok(items) = ItemRows(&sync.store).of(row.id) else {
            return Ok(false); // the listing is missing or damaged
        };
        let indexed = IndexedLibrary {
            row,
            items,
            added: Mutex::default(),
            may_shrink: row.library.is_exact(),
        };
        let SourceChanges::Known {
            removed_keys,
            mut cursor,
        } = self.source.changes(&row.library, &indexed, self.bounds)?
        else {
            return Ok(false);
        };
        let count = indexed.count()?.saturating_sub(removed_keys.len() as u64);
        let is_shrinking = !removed_keys.is_empty() && !indexed.accepts_shrinking_to(count)?;
        let mut replies = std::mem::take(&mut lock(&indexed.added).0);
        if is_shrinking || replies.len() + removed_keys.len() > MAX_DELTA_ITEMS {
            return Ok(false);
        }
        let shows: BTreeSet<String> = replies.values().map(|item| item.show_guid.clone()).collect();
        // What the source says about an item that it has just added is older than that the item is gone.
        for key in &removed_keys {
            replies.remove(key);
        }
        let mut items: Vec<(String, Option<Item>)> = replies.into_iter().map(|(key, item)| (key, Some(item))).collect();
        items.extend(removed_keys.into_iter().map(|key| (key, None)));
        // A local source needs no request, and its deltas replace listings.
        if self.source.abilities().local {
            self.refresh_shows(row)?;
        } else {
            self.refresh_unknown_shows(row, &shows)?;
        }
        // If the token is exact, the delta has the rivals, too.
        let rivals = |key: &str, gained: &Item| {
            if row.library.is_exact() {
                return Vec::new();
            }
            sync.items_with_files(row, key, &gained.parts)
        };
        let store_start = Instant::now();
        cursor.items = Some(count);
        // An item can have a time in the future. Later updates of others have earlier times.
        let newest = cursor.newest_update.filter(|time| *time <= now_ms / 1_000);
        cursor.newest_update = newest.or_else(|| time_before_updates(&request.state, &cursor_of(row), now_ms));
        let folded = KnowledgeRows(&sync.store).fold_changes(
            row.id,
            &request,
            &items,
            (
                &|last| DeltaCursor::from_text(last).items != Some(count),
                &cursor.to_text(),
            ),
            &rivals,
            (sync.clock.now_ms(), deadline),
        )?;
        sync.counters.add_time(Activity::Store, store_start.elapsed());
        self.settle_rivals(ItemToVerify::all(row, folded.rivals).collect())?;
        Ok(true)
    }
}

/// Returns a time, in s, before all updates that follow a probe: that of the last scan, or of the newest update before the
/// last delta, if that is not in the future.
fn time_before_updates(probed: &SourceState, last: &DeltaCursor, now_ms: i64) -> Option<i64> {
    let scanned = Some(probed.scanned_ms / 1_000).filter(|time| *time > 0);
    scanned.max(last.newest_update.filter(|time| *time <= now_ms / 1_000))
}

/// Returns whether newly fetched pages would be consistent with the stored pages. If the token is exact, the library may
/// have changed since the last page, because the job merges the changes later.
fn can_resume(row: &LibraryRow, listing: &Listing, now_ms: i64) -> bool {
    let may_vary = row.library.is_exact();
    let compared_state = if may_vary { &listing.change } else { &row.library.change };
    may_resume(listing.touched_ms, &listing.change, compared_state, now_ms)
}

/// Maximum number of fetched pages that are not stored yet.
const MAX_WAITING_PAGES: usize = 6;

/// A fetched page: the listing with it, its items without those in the trash, and the ticket of its request.
type FetchedPage = (Listing, Vec<Item>, Sequence);

/// Why a listing must start again.
pub(super) enum Shift {
    /// Rows have moved, perhaps because Plex is scanning.
    Moved,
    /// The page from this position has the rows of an earlier page.
    Repeated(u64),
}

/// The progress of a listing in one partition (a part of the library that the source lists separately).
///
/// Where positions are row numbers, pages form a chain: each begins with the last row of the page before. If rows before
/// it came or went meanwhile, it begins with another row, and the listing starts again. Otherwise it would lack a row that
/// moved into an earlier page, or have one that is gone.
struct PartitionCursor {
    partition: usize,
    /// Position of the first row that has not arrived yet.
    position: u64,
    is_chained: bool,
    /// The rating key of the row before. `None` at the start, without a chain, and if the row has no key.
    last_key: Option<String>,
    total: Option<u64>,
    /// Whether no page of the partition has arrived yet.
    first: bool,
    /// Number of rows received.
    rows: u64,
    /// The rating key of the partition's first row, if this job has fetched it.
    first_key: Option<String>,
}

impl PartitionCursor {
    /// Number of rows that the next page has in common with the page before.
    fn overlap(&self) -> u64 {
        u64::from(self.last_key.is_some())
    }

    /// The position of the next page.
    fn start(&self) -> u64 {
        self.position - self.overlap()
    }

    /// Returns whether the items continue the page before.
    fn continues(&self, items: &[Item]) -> bool {
        let first = items.first().map(|item| &item.rating_key);
        self.last_key.as_ref().is_none_or(|key| first == Some(key))
    }

    /// Checks a received page, and advances the cursor and the listing. Returns the items to store and whether this is the
    /// partition's last page, or a shift if rows have moved, so that the listing must start again. `end`: the counts and the
    /// next position that the server sent with the page.
    fn accept_page(
        &mut self,
        listing: &mut Listing,
        library: &Library,
        end: &PageEnd,
        items: Vec<Item>,
    ) -> Result<std::result::Result<(Vec<Item>, bool), Shift>> {
        let (start, overlap) = (self.start(), self.overlap());
        let first_key = items.first().map(|item| item.rating_key.clone());
        let is_repeated = start > 0 && first_key.is_some() && first_key == self.first_key;
        if end.has_shifted || is_repeated {
            return Ok(Err(Shift::Repeated(start)));
        }
        if !self.continues(&items) {
            return Ok(Err(Shift::Moved));
        }
        if start == 0 {
            self.first_key = first_key;
        }
        if exceeds_limits(end) || end.next.is_some_and(|next| next <= start || end.rows == 0) {
            return Err(missing_rows_error(library, end, start));
        }
        let new_rows = end.rows.saturating_sub(overlap);
        self.rows += new_rows;
        // After the last row, the server may report rows that it never returns.
        let is_last = end.next.is_none() || new_rows == 0;
        if !is_last && end.total.is_some_and(|total| self.rows > total) {
            return Ok(Err(Shift::Moved)); // otherwise the listing might never finish
        }
        let growth = match (self.total, end.total) {
            (Some(before), Some(now)) => now.cast_signed() - before.cast_signed(),
            _ => 0,
        };
        self.total = end.total;
        let next = end.next.unwrap_or(start + end.rows);
        Ok(Ok((
            self.advance(listing, items, (end.rows, growth), next, is_last),
            is_last,
        )))
    }

    /// Advances past the rows that arrived before a request failed, so that a resumed listing need not fetch them again, and
    /// returns their items; `None` if the rows contain no new one, do not continue the page before, or exceed `size`, the
    /// requested number.
    fn accept_partial(&mut self, listing: &mut Listing, items: Vec<Item>, size: u32) -> Option<Vec<Item>> {
        let received = items.len() as u64;
        let is_usable =
            self.is_chained && received > self.overlap() && received <= u64::from(size) && self.continues(&items);
        is_usable.then(|| self.advance(listing, items, (received, 0), self.start() + received, false))
    }

    /// Advances the cursor, and the position and the counts of the listing. Returns the received items without that of the
    /// page before, and without those in the trash. `rows`: number of rows. `growth`: by how much the partition's number of
    /// rows has changed since the page before. `next`: position of the next page.
    fn advance(
        &mut self,
        listing: &mut Listing,
        mut items: Vec<Item>,
        (rows, growth): (u64, i64),
        next: u64,
        is_last: bool,
    ) -> Vec<Item> {
        let overlap = self.overlap();
        // The last row may have no valid key.
        let last_item = items.last().filter(|_| self.is_chained && items.len() as u64 == rows);
        self.last_key = last_item.map(|item| item.rating_key.clone());
        self.position = next;
        items.drain(..usize::from(overlap > 0));
        items.retain(|item| !item.trashed);
        let is_first = std::mem::take(&mut self.first);
        listing.partition = self.partition;
        // The total covers all partitions so far. It is unknown as soon as one partition's total is unknown.
        listing.total = match (listing.total, self.total, self.partition) {
            (total, ..) if !is_first => total.map(|total| total.saturating_add_signed(growth)),
            (_, total, 0) => total,
            (Some(before), Some(total), _) => Some(before + total),
            _ => None,
        };
        listing.position = next;
        listing.rows += rows.saturating_sub(overlap);
        listing.keyed += items.len() as u64;
        // After the last page, a resumed listing begins with the next partition.
        listing.tail = self.last_key.clone().filter(|_| !is_last).into_iter().collect();
        items
    }
}

impl SyncJob<'_> {
    /// Fetches the remaining pages of a listing on one thread, and on this thread stores them and adds them to the segment.
    /// `earlier`: number of rows that were fetched before an interruption. Returns a shift if rows have moved, so that the
    /// listing must start again.
    fn fetch_and_store_pages(
        &self,
        row: &LibraryRow,
        listing: &mut Listing,
        draft: &mut ListingDraft,
        earlier: u64,
    ) -> Result<Option<Shift>> {
        let (send, receive) = sync_channel(MAX_WAITING_PAGES);
        let mut progress = listing.clone();
        std::thread::scope(|scope| {
            let fetch = move || self.fetch_pages(row, &mut progress, &send);
            let fetcher = std::thread::Builder::new()
                .spawn_scoped(scope, fetch)
                .map_err(|error| {
                    let why = format!("cannot start a thread for the fetch: {error}; {NO_THREAD}");
                    Error::new(Status::Store, why).with_io_source(&error)
                })?;
            let stored = self.store_pages(listing, draft, &receive, earlier);
            drop(receive); // stops the fetching thread if it is still sending
            let shift = fetcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            stored?;
            shift
        })
    }

    /// Fetches the remaining pages of a listing, and passes them to `send`. Returns a shift if rows have moved, so that the
    /// listing must start again.
    fn fetch_pages(
        &self,
        row: &LibraryRow,
        listing: &mut Listing,
        send: &SyncSender<FetchedPage>,
    ) -> Result<Option<Shift>> {
        // An exact token tells later of what moves meanwhile.
        let is_chained = !row.library.is_exact();
        let first = listing.partition;
        for partition in first..self.source.partitions(&row.library) {
            let is_resumed = partition == first;
            let position = if is_resumed { listing.position } else { 0 };
            let last_key = listing.tail.last().filter(|_| is_resumed && is_chained && position > 0);
            let cursor = PartitionCursor {
                partition,
                position,
                is_chained,
                last_key: last_key.cloned(),
                // In later partitions, `total` is not the partition's own number, because it includes earlier partitions.
                total: listing.total.filter(|_| partition == 0),
                first: position == 0,
                rows: 0,
                first_key: None,
            };
            if let Some(shift) = self.fetch_partition(&row.library, cursor, listing, send)? {
                return Ok(Some(shift));
            }
        }
        Ok(None)
    }

    /// Fetches the pages of one partition, and passes them to `send`. Returns a shift if rows have moved, so that the
    /// listing must start again.
    fn fetch_partition(
        &self,
        library: &Library,
        mut cursor: PartitionCursor,
        listing: &mut Listing,
        send: &SyncSender<FetchedPage>,
    ) -> Result<Option<Shift>> {
        loop {
            let requested_at = self.sync.store.ticket(self.bounds.deadline)?;
            let request = PageRequest {
                library,
                partition: cursor.partition,
                position: cursor.start(),
                size: (self.sync.page_size + u32::from(cursor.last_key.is_some())).min(MAX_PAGE_ROWS),
            };
            let mut items = Vec::new();
            // The query's limit on silence does not apply, because a server can be silent for long during a scan.
            let bounds = Bounds {
                max_silence: None,
                ..self.bounds
            };
            let outcome = self.source.page(&request, bounds, &mut items);
            // Items need a valid rating key: a NUL in a batch of keys would shift all following keys.
            items.retain(Item::has_valid_key);
            let (items, is_last) = match outcome {
                Ok(end) => match cursor.accept_page(listing, library, &end, items)? {
                    Ok(page) => page,
                    Err(shift) => return Ok(Some(shift)),
                },
                Err(error) => {
                    if let Some(items) = cursor.accept_partial(listing, items, request.size) {
                        let _ = send.send((listing.clone(), items, requested_at));
                    }
                    return Err(error);
                }
            };
            // If the channel is closed, the storing thread has failed and reports the error.
            let page = (listing.clone(), items, requested_at);
            send.send(page).map_err(|_| aborted_error())?;
            if is_last {
                return Ok(None);
            }
        }
    }

    /// Stores pages as they arrive, reports progress, and adds them to the segment. `earlier`: number of rows that were
    /// fetched before an interruption; the reported progress never falls below it.
    fn store_pages(
        &self,
        listing: &mut Listing,
        draft: &mut ListingDraft,
        pages: &Receiver<FetchedPage>,
        earlier: u64,
    ) -> Result<()> {
        for (fetched, items, requested_at) in pages {
            let store_start = Instant::now();
            *listing = Listing {
                touched_ms: self.sync.clock.now_ms(),
                pages: listing.pages,
                end: listing.end,
                ..fetched
            };
            ListingRows(&self.sync.store).store_page(listing, &items, requested_at, self.bounds.deadline)?;
            self.sync.counters.add_time(Activity::Store, store_start.elapsed());
            self.report.items.store(listing.rows.max(earlier), Ordering::Relaxed);
            self.report.rows_arrived.store(true, Ordering::Relaxed);
            self.report.total.store(listing.total.unwrap_or(0), Ordering::Relaxed);
            if (self.bounds.aborted)() {
                return Err(aborted_error());
            }
            let segment_start = Instant::now();
            draft.push_page(requested_at, &items);
            self.sync
                .counters
                .add_time(Activity::ListingSegment, segment_start.elapsed());
        }
        Ok(())
    }
}

/// Returns whether counts or positions are so large that adding them could overflow, or that the database could not
/// store them.
fn exceeds_limits(end: &PageEnd) -> bool {
    const MOST_ROWS: u64 = 1 << 40; // about a trillion
    end.rows.max(end.total.unwrap_or(0)) > MOST_ROWS || end.next.is_some_and(|next| i64::try_from(next).is_err())
}

/// Returns the error for a server that reports more rows but returns none. `position`: the page's position.
fn missing_rows_error(library: &Library, end: &PageEnd, position: u64) -> Error {
    let total = end.total.map_or_else(|| "more".to_owned(), |total| total.to_string());
    Error::new(
        Status::BadAnswer,
        format!(
            "cannot list section {}: the server reports {total} rows, but returned none after row {position}; retry",
            library.section
        ),
    )
}
