//! Fetches a full listing's pages, and stores each page while another thread fetches the next page.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use super::call::aborted_error;
use super::job::SyncJob;
use crate::engine::{LibraryRow, Listing, ListingDraft, ListingRows};
use crate::error::{Error, Result, Status};
use crate::model::{Item, Library, Sequence};
use crate::platform::thread::NO_THREAD;
use crate::source::{Bounds, PageEnd, PageRequest, Resume};
use crate::stats::Activity;

/// Number of rows that a resumed listing fetches again, to check that no rows have moved.
const OVERLAP: usize = 50;
/// Maximum number of fetched pages that are not stored yet.
const MAX_WAITING_PAGES: usize = 6;

/// Why a listing must start again.
pub(super) enum Shift {
    /// Rows have moved, perhaps because Plex is scanning.
    Moved,
    /// The page from this position has the rows of an earlier page.
    Repeated(u64),
}

/// A page of items, or the rows that arrived before the request failed.
struct FetchedPage {
    partition: usize,
    /// Number of new rows that the server returned. An incomplete page has fewer rows than requested.
    rows: u64,
    /// The position of the next page.
    next: u64,
    /// Number of rows in the partition; `None` if the server does not report the number.
    total: Option<u64>,
    /// The items, without those in the trash.
    items: Vec<Item>,
    /// Rating keys of the last [`OVERLAP`] rows, including those in the trash.
    last_keys: Vec<String>,
    /// The ticket of the page's request.
    requested_at: Sequence,
    /// Whether this is the first page of a partition.
    first: bool,
    /// Whether this is the last page of a partition.
    last: bool,
}

/// The progress of a listing in one partition (a part of the library that the source lists separately).
struct PartitionCursor<'t> {
    partition: usize,
    position: u64,
    /// Position of the first new row, after the overlap.
    resumed_at: u64,
    /// Rating keys of the last stored rows, which the job fetches again if positions are row numbers. They must come
    /// first in the new rows, or else rows have moved.
    overlap: &'t [String],
    /// Number of overlap rows that have not arrived yet.
    to_skip: u64,
    total: Option<u64>,
    /// Whether no page of the partition has arrived yet.
    first: bool,
    /// Number of rows received.
    rows: u64,
    /// The rating key of the partition's first row, if this job has fetched it.
    first_key: Option<String>,
}

impl<'t> PartitionCursor<'t> {
    /// Creates a cursor at the start of the overlap. `position`: the position after the overlap. `overlap`: rating keys
    /// of the last stored rows. `total`: the number of rows in the partition, if known.
    fn new(partition: usize, position: u64, overlap: &'t [String], total: Option<u64>) -> Self {
        let to_skip = overlap.len() as u64;
        Self {
            partition,
            position: position - to_skip.min(position),
            resumed_at: position,
            overlap,
            to_skip,
            total,
            first: position == 0,
            rows: 0,
            first_key: None,
        }
    }

    /// Returns whether the items start with the overlap, which proves that no rows have moved. If the overlap is longer
    /// than `items`, compares only its first rows, and the next page must contain the rest.
    fn overlaps(&self, items: &[Item]) -> bool {
        let mut pairs = items.iter().zip(self.overlap);
        pairs.all(|(item, key)| item.rating_key == *key)
    }

    /// Checks a received page and advances the cursor. Returns the page to store, or a shift if rows have moved, so
    /// that the listing must start again. `end`: the counts and the next position that the server sent with the page.
    fn accept_page(
        &mut self,
        library: &Library,
        end: &PageEnd,
        items: Vec<Item>,
        requested_at: Sequence,
    ) -> Result<std::result::Result<FetchedPage, Shift>> {
        let first_key = items.first().map(|item| item.rating_key.clone());
        let is_repeated = self.position > 0 && first_key.is_some() && first_key == self.first_key;
        if end.has_shifted || is_repeated {
            return Ok(Err(Shift::Repeated(self.position)));
        }
        let has_total_changed = self.total.is_some() && end.total.is_some() && end.total != self.total;
        if !self.overlaps(&items) || has_total_changed {
            return Ok(Err(Shift::Moved));
        }
        if self.position == 0 {
            self.first_key = first_key;
        }
        if exceeds_limits(end) || end.next.is_some_and(|next| next <= self.position || end.rows == 0) {
            return Err(missing_rows_error(library, end, self.position));
        }
        self.rows += end.rows;
        if end.next.is_some() && end.total.is_some_and(|total| self.rows > total) {
            return Ok(Err(Shift::Moved)); // otherwise the listing might never finish
        }
        self.total = end.total;
        // Do not count the overlap, which is already stored. A listing that stops within the overlap resumes behind it.
        let skipped = self.to_skip.min(end.rows);
        self.to_skip -= skipped;
        self.position = end.next.unwrap_or(self.position + end.rows);
        let next = if self.to_skip > 0 {
            self.resumed_at
        } else {
            self.position
        };
        Ok(Ok(self.page(
            items,
            end.rows - skipped,
            next,
            end.next.is_none(),
            requested_at,
        )))
    }

    /// Returns a page of the rows that arrived before a request failed, so that a resumed listing need not fetch them
    /// again; `None` if the rows contain none after the overlap, do not start with the overlap, or exceed `size`, the
    /// requested number.
    fn partial_page(&mut self, items: Vec<Item>, size: u32, requested_at: Sequence) -> Option<FetchedPage> {
        let received = items.len() as u64;
        let old = self.overlap.len().min(items.len()) as u64;
        let is_usable = received <= u64::from(size) && received > self.to_skip && self.overlaps(&items);
        is_usable.then(|| self.page(items, received - old, self.position + received, false, requested_at))
    }

    /// Builds a page from the received items without the overlap, which is already stored. `rows`: number of new rows.
    /// `next`: position of the next page. `last`: whether this is the partition's last page.
    fn page(&mut self, mut items: Vec<Item>, rows: u64, next: u64, last: bool, requested_at: Sequence) -> FetchedPage {
        let old_count = self.overlap.len().min(items.len());
        items.drain(..old_count);
        self.overlap = &self.overlap[old_count..];
        let last_rows = items.iter().skip(items.len().saturating_sub(OVERLAP));
        let last_keys = last_rows.map(|item| item.rating_key.clone()).collect();
        items.retain(|item| !item.trashed);
        FetchedPage {
            partition: self.partition,
            rows,
            next,
            total: self.total,
            items,
            last_keys,
            requested_at,
            first: std::mem::take(&mut self.first),
            last,
        }
    }
}

impl SyncJob<'_> {
    /// Fetches the remaining pages on one thread, stores them on this thread, and adds stored items to the segment on a
    /// third thread. `earlier`: number of rows that were fetched before an interruption. Returns a shift if rows have
    /// moved, so that the listing must start again.
    pub(super) fn fetch_and_store_pages(
        &self,
        row: &LibraryRow,
        listing: &mut Listing,
        draft: &mut ListingDraft,
        earlier: u64,
    ) -> Result<Option<Shift>> {
        let from = (listing.partition, listing.position);
        let (total, overlap_keys) = (listing.total, listing.tail.clone());
        let (send, receive) = sync_channel(MAX_WAITING_PAGES);
        // The segment's thread adds a stored page to the segment while this thread stores the next page.
        let (to_segment, stored_pages) = sync_channel::<FetchedPage>(1);
        std::thread::scope(|scope| {
            let fetch = move || self.fetch_pages(&row.library, from, total, &overlap_keys, &send);
            let fetcher = std::thread::Builder::new()
                .spawn_scoped(scope, fetch)
                .map_err(|error| thread_start_error(&error))?;
            let fill_segment = move || {
                for page in stored_pages {
                    let start = Instant::now();
                    draft.push_page(page.requested_at, &page.items);
                    self.sync.counters.add_time(Activity::ListingSegment, start.elapsed());
                }
            };
            let segment_thread = std::thread::Builder::new().spawn_scoped(scope, fill_segment);
            let stored = match &segment_thread {
                Ok(_) => self.store_pages(listing, &to_segment, &receive, earlier),
                Err(error) => Err(thread_start_error(error)),
            };
            drop(to_segment); // stops the segment's thread
            drop(receive); // stops the fetching thread if it is still sending
            let shift = fetcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            if let Ok(segment_thread) = segment_thread {
                segment_thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
            stored?;
            shift
        })
    }

    /// Fetches all pages from a partition (`first`) and position on, and passes them to `send`. `tail`: rating keys of
    /// the last stored rows, which this function fetches again if positions are row numbers. `total`: number of rows in
    /// all partitions so far. Returns a shift if the fetched rows do not start with `tail`, or if the total has
    /// changed, so that the listing must start again.
    fn fetch_pages(
        &self,
        library: &Library,
        (first, position): (usize, u64),
        total: Option<u64>,
        tail: &[String],
        send: &SyncSender<FetchedPage>,
    ) -> Result<Option<Shift>> {
        let has_row_numbers = self.source.abilities().resume == Resume::ByRow;
        // The overlap is at most one page, so that even a call with time for only two pages makes progress.
        let tail = &tail[tail.len().saturating_sub(self.sync.page_size as usize)..];
        for partition in first..self.source.partitions(library) {
            let (position, overlap) = match partition == first {
                true if has_row_numbers => (position, tail),
                true => (position, &[][..]),
                false => (0, &[][..]),
            };
            // In later partitions, `total` is not the partition's own number, because it includes earlier partitions.
            let cursor = PartitionCursor::new(partition, position, overlap, total.filter(|_| partition == 0));
            if let Some(shift) = self.fetch_partition(library, cursor, send)? {
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
        mut cursor: PartitionCursor<'_>,
        send: &SyncSender<FetchedPage>,
    ) -> Result<Option<Shift>> {
        let size = self.sync.page_size;
        loop {
            let requested_at = self.sync.store.ticket(self.bounds.deadline)?;
            let request = PageRequest {
                library,
                partition: cursor.partition,
                position: cursor.position,
                size,
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
            let page = match outcome {
                Ok(end) => cursor.accept_page(library, &end, items, requested_at)?,
                Err(error) => {
                    if self.source.abilities().resume == Resume::ByRow
                        && let Some(page) = cursor.partial_page(items, size, requested_at)
                    {
                        let _ = send.send(page);
                    }
                    return Err(error);
                }
            };
            let page = match page {
                Ok(page) => page,
                Err(shift) => return Ok(Some(shift)),
            };
            let is_last = page.last;
            // If the channel is closed, the storing thread has failed and reports the error.
            send.send(page).map_err(|_| aborted_error())?;
            if is_last {
                return Ok(None);
            }
        }
    }

    /// Stores pages as they arrive, reports progress, and passes stored pages to the segment's thread. `earlier`:
    /// number of rows that were fetched before an interruption; the reported progress never falls below it.
    fn store_pages(
        &self,
        listing: &mut Listing,
        to_segment: &SyncSender<FetchedPage>,
        pages: &Receiver<FetchedPage>,
        earlier: u64,
    ) -> Result<()> {
        for mut page in pages {
            let store_start = Instant::now();
            advance_listing(listing, &mut page, self.sync.clock.now_ms());
            ListingRows(&self.sync.store).store_page(listing, &page.items, page.requested_at, self.bounds.deadline)?;
            self.sync.counters.add_time(Activity::Store, store_start.elapsed());
            let _ = to_segment.send(page); // the join reports a panic of the receiving thread
            self.report.items.store(listing.rows.max(earlier), Ordering::Relaxed);
            self.report.rows_arrived.store(true, Ordering::Relaxed);
            self.report.total.store(listing.total.unwrap_or(0), Ordering::Relaxed);
            if (self.bounds.aborted)() {
                return Err(aborted_error());
            }
        }
        Ok(())
    }
}

/// Adds a page to a listing's counts, and advances the listing's position past the page.
fn advance_listing(listing: &mut Listing, page: &mut FetchedPage, now_ms: i64) {
    // A new partition starts, whose rows do not continue the last partition's rows.
    if page.first && page.partition != listing.partition {
        listing.partition = page.partition;
        listing.tail.clear();
    }
    // The total covers all partitions so far. It is unknown as soon as one partition's total is unknown.
    if page.first {
        listing.total = match (listing.total, page.total, page.partition) {
            (_, total, 0) => total,
            (Some(before), Some(total), _) => Some(before + total),
            _ => None,
        };
    }
    listing.position = page.next;
    listing.rows += page.rows;
    listing.keyed += page.items.len() as u64;
    listing.touched_ms = now_ms;
    listing.tail.append(&mut page.last_keys);
    let surplus = listing.tail.len().saturating_sub(OVERLAP);
    listing.tail.drain(..surplus);
    if page.last {
        // The partition is complete, so a resumed listing need not fetch its last rows again.
        listing.tail.clear();
    }
}

/// Returns the error for a thread that cannot be started.
fn thread_start_error(error: &std::io::Error) -> Error {
    Error::new(
        Status::Store,
        format!("cannot start a thread for the fetch: {error}; {NO_THREAD}"),
    )
    .with_io_source(error)
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
