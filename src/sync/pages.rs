//! Fetches the pages of a full listing, stores each page while the next one is being fetched, and adds the items to the
//! segment.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::call::aborted;
use super::job::SyncJob;
use crate::engine::{LibraryRow, Listing, ListingDraft, ListingRows, Totals};
use crate::error::{Error, Result, Status};
use crate::model::{Item, Library, Sequence};
use crate::platform::thread::NO_THREAD;
use crate::source::{Bounds, PageEnd, PageRequest, Resume};
use crate::stats::Spent;

/// Maximum number of pages that wait to be stored, while a fast source continues.
const MAX_WAITING_PAGES: usize = 6;
/// The smallest page that a call with a deadline requests.
const SMALL_PAGE: u32 = 100;

/// One page, or its rows before a failure.
struct FetchedPage {
    partition: usize,
    /// Number of rows that the server returned. It is smaller than the requested number if the page is incomplete.
    rows: u64,
    /// The position of the next page.
    next: u64,
    total: Option<u64>,
    items: Vec<Item>,
    /// The change sequence when the page was requested.
    requested_at: Sequence,
    /// Whether this is the first page of a partition.
    first: bool,
    /// Whether this is the last page of a partition.
    last: bool,
}

/// The position in the pages of a partition.
struct PartitionCursor<'t> {
    partition: usize,
    position: u64,
    /// The position of the first new row, behind the overlap.
    resumed_at: u64,
    /// The keys of the rows that were stored last. If positions are row numbers, the fetched rows must begin with
    /// these.
    overlap: &'t [String],
    /// Number of rows of the overlap that were not received yet.
    to_skip: u64,
    total: Option<u64>,
    /// Whether no page of the partition was received yet.
    first: bool,
    /// Number of rows received.
    rows: u64,
}

impl<'t> PartitionCursor<'t> {
    /// Creates a cursor that begins at the first row of the overlap, which ends at `position`.
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
        }
    }

    /// Returns whether the items begin with the overlap, the rows that were stored last, so that no rows moved. If the
    /// page is shorter than the overlap, the next page must have the rest.
    fn overlaps(&self, items: &[Item]) -> bool {
        let mut both = items.iter().zip(self.overlap);
        both.all(|(item, key)| item.rating_key == *key)
    }

    /// Returns the page to store; `None` if rows moved, so that the listing must start again.
    fn accept(
        &mut self,
        library: &Library,
        end: &PageEnd,
        items: Vec<Item>,
        requested_at: Sequence,
    ) -> Result<Option<FetchedPage>> {
        let total_moved = self.total.is_some() && end.total.is_some() && end.total != self.total;
        if !self.overlaps(&items) || total_moved || end.moved {
            return Ok(None);
        }
        if exceeds_limits(end) || end.next.is_some_and(|next| next <= self.position || end.rows == 0) {
            return Err(contradicts_itself(library, end, self.position));
        }
        self.rows += end.rows;
        if end.next.is_some() && end.total.is_some_and(|total| self.rows > total) {
            return Ok(None); // the listing might never end
        }
        self.total = end.total;
        let skipped = self.to_skip.min(end.rows);
        self.to_skip -= skipped;
        self.position = end.next.unwrap_or(self.position + end.rows);
        let next = if self.to_skip > 0 {
            self.resumed_at
        } else {
            self.position
        };
        Ok(Some(self.page(
            items,
            end.rows - skipped,
            next,
            end.next.is_none(),
            requested_at,
        )))
    }

    /// Returns the rows that arrived before a page failed, if they continue the last page, so that a resumed listing
    /// need not fetch them again. `size` is the requested number of rows: a reply with more rows is not a page.
    fn rescue(&mut self, items: Vec<Item>, size: u32, requested_at: Sequence) -> Option<FetchedPage> {
        let received = items.len() as u64;
        let known = self.overlap.len().min(items.len()) as u64;
        let is_page = received <= u64::from(size) && received > self.to_skip && self.overlaps(&items);
        is_page.then(|| self.page(items, received - known, self.position + received, false, requested_at))
    }

    /// Builds a page from the received items, without those of the overlap, which are stored already.
    fn page(&mut self, mut items: Vec<Item>, rows: u64, next: u64, last: bool, requested_at: Sequence) -> FetchedPage {
        let known = self.overlap.len().min(items.len());
        items.drain(..known);
        self.overlap = &self.overlap[known..];
        FetchedPage {
            partition: self.partition,
            rows,
            next,
            total: self.total,
            items,
            requested_at,
            first: std::mem::take(&mut self.first),
            last,
        }
    }
}

impl SyncJob<'_> {
    /// Fetches the remaining pages in one thread, stores them in this thread, and adds stored items to the segment in a
    /// third thread. `earlier` is the number of rows from before an interruption. Returns `false` if rows moved, so
    /// that the listing must start again.
    pub(super) fn pages(
        &self,
        row: &LibraryRow,
        listing: &mut Listing,
        draft: &mut ListingDraft,
        earlier: u64,
    ) -> Result<bool> {
        let from = (listing.partition, listing.position);
        let (total, tail) = (listing.total, listing.tail.keys().to_vec());
        let (send, receive) = sync_channel(MAX_WAITING_PAGES);
        // A stored page goes into the segment while this thread stores the next one.
        let (to_segment, stored_pages) = sync_channel::<FetchedPage>(1);
        std::thread::scope(|scope| {
            let fetch = move || self.fetch_pages(&row.library, from, total, &tail, &send);
            let fetcher = std::thread::Builder::new()
                .spawn_scoped(scope, fetch)
                .map_err(|error| no_thread(&error))?;
            let fill_segment = move || {
                for page in stored_pages {
                    let begun = Instant::now();
                    draft.push_page(page.requested_at, &page.items);
                    self.sync.counters.add_time(Spent::ListingSegment, begun.elapsed());
                }
            };
            let segment_thread = std::thread::Builder::new().spawn_scoped(scope, fill_segment);
            let stored = match &segment_thread {
                Ok(_) => self.store_pages(listing, &to_segment, &receive, earlier),
                Err(error) => Err(no_thread(error)),
            };
            drop(to_segment); // ends the segment's thread
            drop(receive); // ends a fetching thread that still sends
            let done = fetcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            if let Ok(segment_thread) = segment_thread {
                segment_thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
            stored?;
            done
        })
    }

    /// Fetches the pages from a position on and passes them to `send`. `tail` has the keys of the rows that were stored
    /// last, which it fetches again. Returns `false` if rows moved: the fetched rows do not begin with these keys, or
    /// the total has changed.
    fn fetch_pages(
        &self,
        library: &Library,
        (first, position): (usize, u64),
        total: Option<u64>,
        tail: &[String],
        send: &SyncSender<FetchedPage>,
    ) -> Result<bool> {
        let by_row = self.source.abilities().resume == Resume::ByRow;
        let mut size = self.page_size();
        // The overlap has at most one page, so that a call with time for two pages makes progress.
        let tail = &tail[tail.len().saturating_sub(size as usize)..];
        for partition in first..self.source.partitions(library) {
            let (position, overlap) = match partition == first {
                true if by_row => (position, tail),
                true => (position, &[][..]),
                false => (0, &[][..]),
            };
            let cursor = PartitionCursor::new(partition, position, overlap, total.filter(|_| partition == 0));
            if !self.fetch_partition(library, cursor, &mut size, send)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Fetches the pages of one partition and passes them to `send`. `size` is the number of rows of the next page.
    /// Returns `false` if rows moved.
    fn fetch_partition(
        &self,
        library: &Library,
        mut cursor: PartitionCursor<'_>,
        size: &mut u32,
        send: &SyncSender<FetchedPage>,
    ) -> Result<bool> {
        loop {
            let (began, requested_at) = (Instant::now(), Totals::of(&self.sync.store)?.sequence);
            let request = PageRequest {
                library,
                partition: cursor.partition,
                position: cursor.position,
                size: *size,
            };
            let mut items = Vec::new();
            // A scanning server may be silent for long before a page.
            let bounds = Bounds {
                silence: None,
                ..self.bounds
            };
            let outcome = self.source.page(&request, bounds, &mut items);
            // An answer cannot have an item without a valid key, and in a batch of keys, a NUL would shift all keys
            // after it.
            items.retain(Item::has_key);
            let page = match outcome {
                Ok(end) => cursor.accept(library, &end, items, requested_at)?,
                Err(error) => {
                    if self.source.abilities().resume == Resume::ByRow
                        && let Some(page) = cursor.rescue(items, *size, requested_at)
                    {
                        let _ = send.send(page);
                    }
                    return Err(error);
                }
            };
            let Some(page) = page else {
                return Ok(false);
            };
            let is_last = page.last;
            // A closed channel means that storing failed, which reports its own error.
            send.send(page).map_err(|_| aborted())?;
            if is_last {
                return Ok(true);
            }
            *size = self.next_size(*size, began.elapsed());
        }
    }

    /// Returns the number of rows of the first page.
    fn page_size(&self) -> u32 {
        let max_size = self.sync.page_size;
        match self.bounds.deadline.left() {
            // If little time is left, a smaller page arrives sooner.
            Some(left) if left < Duration::from_secs(2) => {
                max_size.min(SMALL_PAGE.max(u32::try_from(left.as_millis()).unwrap_or(max_size) / 2))
            }
            _ => max_size,
        }
    }

    /// Returns the number of rows of the next page, after a page of `size` rows took this time.
    fn next_size(&self, size: u32, took: Duration) -> u32 {
        let max_size = self.sync.page_size;
        match self.bounds.deadline.left() {
            None => max_size,
            // Requests as many rows as fit into half of the remaining time, at the speed of the last page.
            Some(left) => {
                let rows = f64::from(size) * left.as_secs_f64() / (2.0 * took.as_secs_f64().max(1e-6));
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
                let rows = rows.clamp(1.0, f64::from(max_size)) as u32;
                rows.max(SMALL_PAGE.min(max_size))
            }
        }
    }

    /// Stores pages as they arrive, reports progress, and passes the pages on to the segment. `earlier` is the number
    /// of rows from before an interruption, below which the progress does not fall.
    fn store_pages(
        &self,
        listing: &mut Listing,
        to_segment: &SyncSender<FetchedPage>,
        pages: &Receiver<FetchedPage>,
        earlier: u64,
    ) -> Result<()> {
        for page in pages {
            let begun = Instant::now();
            advance(listing, &page, self.sync.clock.now_ms());
            ListingRows(&self.sync.store).store_page(listing, &page.items, page.requested_at, self.bounds.deadline)?;
            self.sync.counters.add_time(Spent::Store, begun.elapsed());
            let _ = to_segment.send(page); // a panic of the receiving thread is reported when it is joined
            self.report.items.store(listing.rows.max(earlier), Ordering::Relaxed);
            self.report.rows_arrived.store(true, Ordering::Relaxed);
            self.report.total.store(listing.total.unwrap_or(0), Ordering::Relaxed);
            if (self.bounds.aborted)() {
                return Err(aborted());
            }
        }
        Ok(())
    }
}

/// Adds a page to the counts of a listing, and moves its position behind the page.
fn advance(listing: &mut Listing, page: &FetchedPage, now_ms: i64) {
    if page.first && page.partition != listing.partition {
        listing.partition = page.partition;
        listing.tail.clear();
    }
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
    listing
        .tail
        .extend(page.items.iter().map(|item| item.rating_key.as_str()));
    if page.last {
        // The partition is complete, so a resumed listing begins with the next one.
        listing.tail.clear();
    }
}

/// Returns the error for a thread that could not be started.
fn no_thread(error: &std::io::Error) -> Error {
    Error::new(
        Status::Store,
        format!("cannot start a thread for the fetch ({error}): {NO_THREAD}"),
    )
    .because_io(error)
}

/// Returns whether counts or positions are too large for a library. Their sums could overflow, and the store could not
/// hold them.
fn exceeds_limits(end: &PageEnd) -> bool {
    const MOST_ROWS: u64 = 1 << 40;
    end.rows.max(end.total.unwrap_or(0)) > MOST_ROWS || end.next.is_some_and(|next| i64::try_from(next).is_err())
}

/// Returns the error for a server that reports more rows and returns none.
fn contradicts_itself(library: &Library, end: &PageEnd, position: u64) -> Error {
    let total = end.total.map_or_else(|| "more".to_owned(), |total| total.to_string());
    Error::new(
        Status::BadAnswer,
        format!(
            "section {}: the server reports {total} rows, but returned none after row {position}; try again",
            library.section
        ),
    )
}
