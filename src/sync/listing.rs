//! Full listings: page by page, each page stored as the next one comes.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::job::{SyncJob, aborted, cleared};
use super::refresh::Why;
use crate::engine::{LibraryRow, Listing, ListingBuilder, ListingResult, StoreFolder};
use crate::error::{Error, Result, Status};
use crate::freshness;
use crate::model::{Generation, IdentityId, Item, Library, Sequence};
use crate::platform::thread::NO_THREAD;
use crate::source::{Bounds, Delta, PageEnd, PageRequest, Resume};
use crate::stats::Spent;

/// How many pages may wait to be stored: a source that reads many at once goes on meanwhile.
const WAITING: usize = 6;
/// Pages from so many items on that wait are stored together, up to so many.
const LARGE: usize = 500;
const TOGETHER: usize = 4_000;
/// The smallest page asked for under a deadline.
const SMALL_PAGE: u32 = 100;

/// How often the folder is looked at while it grows.
const LOOKED_AT_MS: i64 = 1_000;
/// Confirmed matches that one transaction takes over from another token.
const INHERITED: usize = 1_000;
/// After how long without a probe a token's partition is forgotten.
const UNUSED_MS: i64 = 30 * 86_400_000;

/// One page, or the rows of it that came before something went wrong.
struct Page {
    partition: usize,
    /// Rows the server returned; of a page that was cut off, those that came.
    rows: u64,
    /// Where the next one begins.
    next: u64,
    total: Option<u64>,
    items: Vec<Item>,
    /// The change sequence when it was asked for.
    asked: Sequence,
    /// The partition begins anew with this page.
    first: bool,
    /// The partition ends with this page.
    last: bool,
}

impl Page {
    /// Adds the page that follows it, whose list is empty then. It was asked for later: what came singly since the first one is
    /// newer than both.
    fn join(&mut self, mut next: Self) {
        self.rows += next.rows;
        self.next = next.next;
        self.last = next.last;
        self.items.append(&mut next.items);
    }
}

impl SyncJob<'_> {
    /// Makes a full listing, or goes on with one that was cut off. `why` it is made decides whether it is believed at once.
    pub fn list(&self, row: &LibraryRow, why: Why) -> Result<()> {
        let bounds = Bounds {
            silence: None,
            ..self.bounds
        };
        SyncJob { bounds, ..*self }.list_patiently(row, why)
    }

    fn list_patiently(&self, row: &LibraryRow, why: Why) -> Result<()> {
        let sync = self.sync;
        let now = sync.clock.now_ms();
        let begun = Instant::now();
        self.check_version()?;
        let mut listing = match sync.store.listing(row.id)? {
            Some(listing)
                if listing.generation == row.generation.next()
                    && listing.begun_sequence >= row.due_sequence
                    && self.source.abilities().resume != Resume::Never
                    && self.may_go_on(row, &listing, now) =>
            {
                log::info!(
                    "'{}': the listing goes on after {} rows",
                    row.library.title,
                    listing.rows
                );
                listing
            }
            _ => sync.store.begin_listing(row, now)?,
        };
        self.report.items.store(listing.rows, Ordering::Relaxed);
        self.report.total.store(listing.total.unwrap_or(0), Ordering::Relaxed);
        self.report.fetching.store(true, Ordering::Relaxed);
        let earlier = listing.rows;
        // The image is made of the pages as they pass; of one that goes on, the first are not at hand any more.
        let mut builder = (earlier == 0).then(|| self.builder(row, &listing));
        let mut attempts = 0;
        while !self.pages(row, &mut listing, &mut builder, earlier)? {
            attempts += 1;
            if attempts > 2 {
                return Err(Error::new(
                    Status::BadAnswer,
                    format!(
                        "library '{}' changes faster than it can be listed: try again when its scan is over",
                        row.library.title
                    ),
                ));
            }
            log::info!(
                "'{}': rows moved while it was listed; it is begun anew",
                row.library.title
            );
            listing = sync.store.begin_listing(row, sync.clock.now_ms())?;
            builder = Some(self.builder(row, &listing));
        }
        self.complete(row, listing, builder, begun, why)
    }

    /// Whether what was listed goes with what is left. What changed in between may come behind it, where the source tells all of
    /// it and no position moves.
    fn may_go_on(&self, row: &LibraryRow, listing: &Listing, now_ms: i64) -> bool {
        let can = self.source.abilities();
        let told = can.changes == Delta::Complete && can.resume == Resume::ByPosition;
        let change = if told { &listing.change } else { &row.library.change };
        freshness::may_resume(listing.touched_ms, &listing.change, change, now_ms)
    }

    /// Single items that come or go after the listing began lie over the image once more, which changes nothing.
    fn builder(&self, row: &LibraryRow, listing: &Listing) -> ListingBuilder {
        self.sync
            .images
            .builder(row, listing.generation, listing.begun_sequence)
    }

    /// Fetches and stores the pages that are left. `false`: the list moved, begin anew.
    fn pages(
        &self,
        row: &LibraryRow,
        listing: &mut Listing,
        builder: &mut Option<ListingBuilder>,
        earlier: u64,
    ) -> Result<bool> {
        let from = (listing.partition, listing.position);
        let (total, tail) = (listing.total, listing.tail.keys().to_vec());
        let (send, receive) = sync_channel(WAITING);
        std::thread::scope(|scope| {
            let fetch = move || self.fetch_pages(&row.library, from, total, &tail, &send);
            let fetcher = std::thread::Builder::new()
                .spawn_scoped(scope, fetch)
                .map_err(|error| no_thread(&error))?;
            // What is stored is on its way into the image while the next page is stored.
            let image = builder.take().map(|mut image| {
                let (to_image, stored) = sync_channel::<Vec<Item>>(1);
                let put = move || {
                    for items in stored {
                        let begun = Instant::now();
                        for (at, item) in items.iter().enumerate() {
                            Item::expect(&items, at);
                            image.push(item);
                        }
                        self.sync.counters.spent(Spent::ListingSegment, begun.elapsed());
                    }
                    image
                };
                let putter = std::thread::Builder::new().spawn_scoped(scope, put);
                putter
                    .map(|putter| (to_image, putter))
                    .map_err(|error| no_thread(&error))
            });
            let (to_image, putter) = match image.transpose() {
                Ok(image) => image.unzip(),
                Err(error) => {
                    drop(receive);
                    return Err(error);
                }
            };
            let stored = self.store_pages(listing, to_image.as_ref(), &receive, earlier);
            drop(to_image); // there are no more
            drop(receive); // a fetcher that still sends must hear that it may stop
            let done = fetcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            *builder = putter.map(|putter| putter.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            stored?;
            done
        })
    }

    /// Sends the pages from a position on. `false`: the overlap, or the total, is not what it was.
    fn fetch_pages(
        &self,
        library: &Library,
        (first_partition, first_position): (usize, u64),
        total: Option<u64>,
        tail: &[String],
        send: &SyncSender<Page>,
    ) -> Result<bool> {
        let by_row = self.source.abilities().resume == Resume::ByRow;
        let mut size = self.page_size();
        for partition in first_partition..self.source.partitions(library) {
            let goes_on = partition == first_partition;
            let mut overlap = if goes_on && by_row { tail } else { &[] };
            let mut position = if goes_on { first_position } else { 0 };
            let mut to_skip = overlap.len() as u64;
            position -= to_skip.min(position);
            let mut known_total = if partition == 0 { total } else { None };
            let mut first = !goes_on || first_position == 0;
            let mut came = 0;
            loop {
                let (began, asked) = (Instant::now(), self.sync.store.totals()?.sequence);
                let request = PageRequest {
                    library,
                    partition,
                    position,
                    size,
                };
                let mut items = Vec::new();
                let outcome = self.source.page(&request, self.bounds, &mut items);
                self.keep_what_was_learned();
                // No host could be given these, and in a batch of keys a NUL shifts all that follow.
                items.retain(Item::has_key);
                // A page may be smaller than the overlap: the next one shows the rest of it.
                let known = overlap.len().min(items.len());
                let overlaps = items.iter().zip(overlap).all(|(item, key)| item.rating_key == *key);
                let end = match outcome {
                    Ok(end) => end,
                    Err(error) => {
                        // What came is true: keep it, if it goes on where the last page ended. Rows that were not asked for
                        // are no page: nothing of such an answer is left in the store.
                        let is_page = items.len() as u64 <= u64::from(size);
                        if by_row && overlaps && is_page && items.len() as u64 > to_skip {
                            let next = position + items.len() as u64;
                            items.drain(..known);
                            let rows = items.len() as u64;
                            let _ = send.send(Page {
                                partition,
                                rows,
                                next,
                                total: known_total,
                                items,
                                asked,
                                first,
                                last: false,
                            });
                        }
                        return Err(error);
                    }
                };
                let total_moved = known_total.is_some() && end.total.is_some() && end.total != known_total;
                if !overlaps || total_moved || end.moved {
                    return Ok(false);
                }
                if counts_too_far(&end) || end.next.is_some_and(|next| next <= position || end.rows == 0) {
                    return Err(gives_nothing(library, &end, position));
                }
                came += end.rows;
                if end.next.is_some() && end.total.is_some_and(|total| came > total) {
                    return Ok(false); // else pages would come without end
                }
                known_total = end.total;
                items.drain(..known);
                overlap = &overlap[known..];
                let skipped = to_skip.min(end.rows);
                to_skip -= skipped;
                let last = end.next.is_none();
                position = end.next.unwrap_or(position + end.rows);
                let delivered = send.send(Page {
                    partition,
                    rows: end.rows - skipped,
                    next: if to_skip > 0 { first_position } else { position },
                    total: end.total,
                    items,
                    asked,
                    first,
                    last,
                });
                if delivered.is_err() {
                    return Ok(true); // storing failed, and says why
                }
                first = false;
                if last {
                    break;
                }
                size = self.next_size(size, began.elapsed());
            }
        }
        Ok(true)
    }

    fn page_size(&self) -> u32 {
        let most = self.sync.page_size;
        match self.bounds.left() {
            // A first byte comes sooner when fewer rows have to be gathered for it.
            Some(left) if left < Duration::from_secs(2) => {
                most.min(SMALL_PAGE.max(u32::try_from(left.as_millis()).unwrap_or(most) / 2))
            }
            _ => most,
        }
    }

    fn next_size(&self, size: u32, took: Duration) -> u32 {
        let most = self.sync.page_size;
        match self.bounds.left() {
            None => most,
            // As many rows as half of what is left allows, at the speed of the last page.
            Some(left) => {
                let rows = f64::from(size) * left.as_secs_f64() / (2.0 * took.as_secs_f64().max(1e-6));
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
                let rows = rows.clamp(1.0, f64::from(most)) as u32;
                rows.max(SMALL_PAGE.min(most))
            }
        }
    }

    fn store_pages(
        &self,
        listing: &mut Listing,
        to_image: Option<&SyncSender<Vec<Item>>>,
        pages: &Receiver<Page>,
        earlier: u64,
    ) -> Result<()> {
        let mut following = None;
        while let Some(mut page) = following.take().or_else(|| pages.recv().ok()) {
            // A transaction costs as much as some hundred items.
            while (LARGE..TOGETHER).contains(&page.items.len())
                && let Ok(next) = pages.try_recv()
            {
                if next.first || next.items.len() < LARGE {
                    following = Some(next);
                    break;
                }
                page.join(next);
            }
            let begun = Instant::now();
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
            listing.touched_ms = self.sync.clock.now_ms();
            listing
                .tail
                .extend(page.items.iter().map(|item| item.rating_key.as_str()));
            if page.last {
                // The partition is done: a continuation begins with the next one, or finds nothing left of this one.
                listing.tail.clear();
            }
            self.sync.store.store_page(listing, &page.items, page.asked)?;
            self.sync.counters.spent(Spent::Store, begun.elapsed());
            if let Some(to_image) = to_image {
                let _ = to_image.send(page.items); // that it panicked is heard where it is waited for
            }
            self.report.items.store(listing.rows.max(earlier), Ordering::Relaxed);
            self.report.total.store(listing.total.unwrap_or(0), Ordering::Relaxed);
            self.sync
                .reading
                .keep_within_limit(LOOKED_AT_MS, self.bounds.deadline, listing.touched_ms);
            if (self.bounds.aborted)() {
                return Err(aborted());
            }
        }
        Ok(())
    }

    /// All pages are stored: does the listing agree with itself and with the change token, and is it to be believed?
    fn complete(
        &self,
        row: &LibraryRow,
        mut listing: Listing,
        builder: Option<ListingBuilder>,
        begun: Instant,
        why: Why,
    ) -> Result<()> {
        let sync = self.sync;
        let (identity, shown) = self.probe(false)?;
        let Some(shown) = shown.iter().find(|one| one.id == row.id) else {
            if shown.iter().any(|one| one.library.uuid == row.library.uuid) {
                return Err(cleared(row));
            }
            return Err(Error::new(
                Status::LibraryNotFound,
                format!("library '{}' went away while it was listed", row.library.title),
            ));
        };
        let storing = Instant::now();
        let items = sync.store.distinct(&listing)?;
        let mut whole = listing.total.is_none_or(|total| total == listing.rows) && items == listing.keyed;
        let mut settled = freshness::is_settled(&listing.change, listing.begun_ms, &shown.library.change);
        let now_ms = sync.clock.now_ms();
        if row.generation.is_fetched()
            && freshness::shrank_too_much(row.items, items)
            && why != Why::Full
            && !self.is_beyond_doubt(&shown.library)
            && !sync
                .store
                .hold_back_listing(identity, &listing, items, now_ms, freshness::PROVISIONAL_MS)?
        {
            log::warn!(
                "'{}' shrank from {} items to {items}: a disk may not be mounted; the old listing answers until a second \
                 one, a minute later, is much smaller too",
                row.library.title,
                row.items
            );
            return Ok(());
        }
        // A row that came twice is an item once: then the store knows better.
        let builder = builder.filter(|_| items == listing.keyed);
        let name = StoreFolder::new_listing_name(row.id, listing.generation, listing.begun_sequence);
        let write = |builder: ListingBuilder| sync.images.write(builder, &name, row);
        // Where it is sure that the image will be needed, it is written while the store says what is gone.
        let sure = listing.changed || !row.generation.is_fetched();
        let (early, builder) = if sure { (builder, None) } else { (None, builder) };
        let mut left = items;
        let written = std::thread::scope(|scope| {
            // Without a thread it is made of what is stored.
            let early = early.map(|builder| std::thread::Builder::new().spawn_scoped(scope, || write(builder)));
            sync.store.mark_gone(&mut listing)?;
            // Pages are of different moments: what changed in between comes before any of it is published.
            if listing.change.token != shown.library.change.token
                && self.source.abilities().changes == Delta::Complete
                && let Some(now) = self.catch_up_with(row, &listing, &shown.library, items)?
            {
                listing.change.clone_from(&shown.library.change);
                (left, whole, settled) = (now, items == listing.keyed, true);
            }
            // One that was evicted has what it inherited.
            if row.generation == Generation::default() {
                self.inherit(identity, row, &listing)?;
            }
            sync.counters.spent(Spent::Store, storing.elapsed());
            let early = early.and_then(std::result::Result::ok);
            Ok::<_, Error>(early.map(|early| early.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))))
        })?;
        let generation = if listing.changed || !row.generation.is_fetched() {
            listing.generation
        } else {
            row.generation
        };
        let written = match builder {
            Some(builder) if generation == listing.generation => Some(write(builder)),
            _ => written,
        };
        let image = match written {
            _ if generation == row.generation && row.segment.is_some() => None,
            Some(Ok(())) => Some(name),
            Some(Err(error)) if error.status != Status::Store => return Err(error),
            // What could not be written is tried once more: a slow listing's file may have been swept.
            _ => Some(sync.images.build(row, generation)?),
        };
        let storing = Instant::now();
        let stored = sync.store.finish_listing(
            identity,
            &listing,
            &ListingResult {
                items: left,
                provisional: !(whole && settled),
                partial: !whole,
                segment: image,
                now_ms,
            },
        )?;
        sync.counters.spent(Spent::Store, storing.elapsed());
        sync.counters.listed();
        log::info!(
            "'{}': {} items listed in {:.1} s{}",
            row.library.title,
            stored.items,
            begun.elapsed().as_secs_f64(),
            if stored.provisional { ", provisionally" } else { "" }
        );
        sync.maintenance.sweep();
        sync.reading.keep_within_limit(0, self.bounds.deadline, now_ms);
        if let Err(error) = sync.maintenance.flush_counters() {
            log::debug!("the counters are written later: {error}");
        }
        Ok(())
    }
}

impl SyncJob<'_> {
    /// Tokens change. What was confirmed under another one is as true for this one, of the items that both may see.
    ///
    /// Before the listing is finished: killed in between, it is done again.
    fn inherit(&self, identity: IdentityId, row: &LibraryRow, listing: &Listing) -> Result<()> {
        let inherited = self.sync.store.matches_of_others(identity, listing)?;
        for some in inherited.chunks(INHERITED) {
            let pairs: Vec<(&[u8], &str)> = some.iter().map(|(path, key)| (path.as_slice(), key.as_str())).collect();
            self.sync.maintenance.record_matches(identity, row, &pairs)?;
        }
        if !inherited.is_empty() {
            log::info!(
                "'{}': {} confirmed matches were taken over from another token",
                row.library.title,
                inherited.len()
            );
        }
        let unused = self.sync.clock.now_ms().saturating_sub(UNUSED_MS);
        self.sync.store.forget_unused(identity, unused)
    }
}

fn no_thread(error: &std::io::Error) -> Error {
    Error::new(
        Status::Store,
        format!("no thread can be started to fetch with ({error}): {NO_THREAD}"),
    )
}

/// No library has so many rows: sums of them would not fit into a number. Nor does the store keep such a position.
fn counts_too_far(end: &PageEnd) -> bool {
    const MOST_ROWS: u64 = 1 << 40;
    end.rows.max(end.total.unwrap_or(0)) > MOST_ROWS || end.next.is_some_and(|next| i64::try_from(next).is_err())
}

/// The error for a server that contradicts itself.
fn gives_nothing(library: &Library, end: &PageEnd, position: u64) -> Error {
    let total = end.total.map_or_else(|| "more".to_owned(), |total| total.to_string());
    Error::new(
        Status::BadAnswer,
        format!(
            "section {}: the server says {total} rows, but gave none after row {position}; try again",
            library.section
        ),
    )
}
