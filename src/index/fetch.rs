//! Fetching: the probe, and full listings, page by page, each page stored as the next one comes.
//!
//! All of it runs on a thread of the library's own while the caller waits and reports progress: `platform::thread` says
//! why.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::snapshot::{age, clocks_of};
use super::{Deadline, Progress, Question, Shared, lock};
use crate::error::{Error, Result, Status};
use crate::freshness::{self, Need};
use crate::model::{Item, ItemType, Library, Server};
use crate::platform::thread::aside;
use crate::source::{Bounds, PageEnd, PageRequest, Rows, Source};
use crate::stats::Spent;
use crate::store::{Finished, LibraryRow, Listing};

/// How often the host hears of progress.
const TICK: Duration = Duration::from_millis(100);
/// How often a library is looked for that others clear at the same time.
const MOVES: u32 = 8;
/// How many locks there are for fetching; two libraries that share one wait for each other.
const LOCKS: i64 = 64;
/// The smallest page asked for under a deadline.
const SMALL_PAGE: u32 = 100;

/// What the fetching thread tells the waiting one.
#[derive(Default)]
struct Report {
    library: Mutex<String>,
    items: AtomicU64,
    total: AtomicU64,
    fetching: AtomicBool,
    abort: AtomicBool,
}

/// One trip to the server: bounded by the call's deadline and the host's patience.
struct Errand<'a> {
    shared: &'a Shared,
    source: &'a dyn Source,
    bounds: Bounds<'a>,
    report: &'a Report,
}

/// One page, or the rows of it that came before something went wrong.
struct Page {
    type_index: usize,
    /// Rows the server returned; of a page that was cut off, those that were handed over.
    rows: u64,
    total: Option<u64>,
    items: Vec<Item>,
    /// The type begins anew with this page.
    first: bool,
    /// The type ends with this page.
    last: bool,
}

impl Shared {
    /// Asks for the libraries and their clocks, and stores them.
    /// Not again when somebody did so after `since`.
    pub(super) fn probe(&self, question: &Question<'_>, since: u64) -> Result<()> {
        self.probe_shows_any(question, since).map(|_| ())
    }

    /// The same; gives whether there are any.
    pub(super) fn probe_shows_any(&self, question: &Question<'_>, since: u64) -> Result<bool> {
        self.errand(question, |errand| {
            errand.probe_alone(since).map(|rows| !rows.is_empty())
        })
    }

    /// Brings libraries up to date: [`Status::Ok`], or that the deadline came first.
    pub(super) fn bring_up_to_date(
        &self,
        question: &Question<'_>,
        wanting: &[LibraryRow],
        since: u64,
        full: bool,
    ) -> Result<Status> {
        let some_came = AtomicBool::new(false);
        let done = self.errand(question, |errand| {
            let done = errand.bring_up_to_date(wanting, since, full);
            some_came.store(errand.report.items.load(Ordering::Relaxed) > 0, Ordering::Relaxed);
            done
        });
        match done {
            Ok(()) => Ok(Status::Ok),
            // With a deadline, being late is an answer: 'not yet' when something came, so that asking again helps.
            Err(error) if error.status == Status::TimeUp && self.until(question).is_some() => {
                Ok(if some_came.load(Ordering::Relaxed) {
                    Status::NotYet
                } else {
                    Status::NeedsWarm
                })
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn refresh(&self, question: &Question<'_>, full: bool) -> Result<Status> {
        if !self.may_ask(question) {
            return Err(Error::new(
                Status::Offline,
                "nothing can be refreshed: the index has no server_url, or it or the call is offline",
            ));
        }
        let question = &self.timed(question);
        self.catch_up()?;
        let since = self.snapshot.read().sequence();
        let known = {
            let snapshot = self.snapshot.read();
            !snapshot.rows.is_empty()
                && question
                    .library
                    .is_none_or(|library| matches!(library.resolve(&snapshot), Ok(super::library::Resolved::Scope(_))))
        };
        if !known {
            self.probe(question, since)?;
            self.catch_up()?;
        }
        let wanting: Vec<LibraryRow> = {
            let snapshot = self.snapshot.read();
            let now = self.now_ms();
            let asked = match question.library {
                None => &snapshot.rows[..],
                Some(library) => match library.resolve(&snapshot)? {
                    super::library::Resolved::Scope(crate::matching::Scope::All) => &snapshot.rows[..],
                    super::library::Resolved::Scope(crate::matching::Scope::One(place)) => {
                        &snapshot.rows[place..=place]
                    }
                    super::library::Resolved::Unknown => return Err(library.unknown(&snapshot)),
                },
            };
            asked
                .iter()
                .filter(|row| full || freshness::need(&age(row), &self.policy, now) != Need::Nothing)
                .cloned()
                .collect()
        };
        if wanting.is_empty() {
            return Ok(Status::Ok);
        }
        let done = self.bring_up_to_date(question, &wanting, since, full)?;
        self.catch_up()?;
        Ok(done)
    }

    /// Asks who the server is and which libraries it shows, whatever is known: it, and how many libraries.
    pub(super) fn ask_server(&self, question: &Question<'_>) -> Result<(Server, Duration, usize)> {
        if !self.may_ask(question) {
            return Err(Error::new(
                Status::Offline,
                "the server cannot be asked: the index has no server_url, or it or the call is offline",
            ));
        }
        let question = &self.timed(question);
        self.errand(question, |errand| {
            let begun = Instant::now();
            // Needs no token: when the next one fails, the server was reached.
            let server = errand.source.server(errand.bounds)?;
            let took = begun.elapsed();
            let shown = errand.alone("probe", || errand.probe())?;
            let (_, rows) = shown.ok_or_else(|| errand.late())?;
            Ok((server, took, rows.len()))
        })
    }

    /// Asks whether a distrusted item still has its path; stores the answer.
    pub(super) fn confirm(
        &self,
        question: &Question<'_>,
        row: &LibraryRow,
        rating_key: &str,
        listed: &[u8],
        path: &[u8],
    ) -> Result<()> {
        let items = self.errand(question, |errand| errand.source.items(&[rating_key], errand.bounds))?;
        let Some(identity) = self.snapshot.read().identity else {
            return Ok(());
        };
        match items.iter().find(|item| item.rating_key == rating_key) {
            // Rows that the server gives are true whatever became of the path: a changed item is merged as it is now.
            Some(item) if row.generation > 0 => {
                self.store.merge_items(identity, row, std::slice::from_ref(item))?;
            }
            Some(_) => {}
            None => {
                self.store.distrust_item(identity, &[row.id], rating_key)?;
                self.store.remove_item(identity, row, rating_key)?;
                log::info!("item {rating_key} is gone from the server; it is answered no more");
            }
        }
        // The index says what is true now: nothing is left to distrust.
        self.trust(identity, row, &[path, listed], &[rating_key])
    }

    /// When a call with this question must have ended.
    pub(super) fn until(&self, question: &Question<'_>) -> Option<Instant> {
        let time = match question.deadline {
            Deadline::At(until) => return Some(until),
            Deadline::None => None,
            Deadline::Default => self.options.deadline,
            Deadline::In(time) => Some(time),
        };
        time.map(|time| Instant::now() + time)
    }

    /// The same question with its deadline as a moment: all trips to the server of a call share it.
    pub(super) fn timed<'q>(&self, question: &Question<'q>) -> Question<'q> {
        Question {
            deadline: self.until(question).map_or(Deadline::None, Deadline::At),
            ..*question
        }
    }

    /// Runs `work` on a thread of our own; reports progress on this one.
    fn errand<T: Send>(
        &self,
        question: &Question<'_>,
        work: impl FnOnce(&Errand<'_>) -> Result<T> + Send,
    ) -> Result<T> {
        let Some(source) = self.source.as_deref() else {
            return Err(Error::new(
                Status::Offline,
                "the server would have to be asked, but the index has no server_url or is offline",
            ));
        };
        let report = Report::default();
        let aborted = || report.abort.load(Ordering::Relaxed);
        let begun = Instant::now();
        let bounds = Bounds {
            deadline: self.until(question),
            aborted: &aborted,
        };
        let errand = Errand {
            shared: self,
            source,
            bounds,
            report: &report,
        };
        let tell = || {
            // Also while no library is fetched yet, with nothing to tell of: the host may want to stop a call that waits for
            // the libraries' list, or for another process.
            if let Some(progress) = question.progress {
                let fetching = report.fetching.load(Ordering::Relaxed);
                let (library, items, total) = if fetching {
                    let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
                    (lock(&report.library).clone(), load(&report.items), load(&report.total))
                } else {
                    (String::new(), 0, 0)
                };
                let go_on = progress(&Progress {
                    library: &library,
                    items,
                    total,
                    elapsed: begun.elapsed(),
                });
                if !go_on && !report.abort.swap(true, Ordering::Relaxed) {
                    source.interrupt(); // it may be waiting for an answer
                }
            }
        };
        let done = aside(|| work(&errand), TICK, tell);
        self.counters.spent(Spent::Away, begun.elapsed());
        if done.is_ok() {
            if report.fetching.load(Ordering::Relaxed) {
                tell(); // the last state, so that a bar can end full
            }
            self.forget_trouble();
        }
        done
    }
}

impl Errand<'_> {
    fn alone<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        let (shared, begun) = (self.shared, Instant::now());
        let waited = || shared.counters.spent(Spent::Wait, begun.elapsed());
        let done = shared.flights.alone(shared.store.folder(), what, self.bounds, || {
            waited();
            work()
        });
        if let Ok(None) = done {
            waited();
        }
        done
    }

    /// The error for bounds that ended while another one fetched.
    fn late(&self) -> Error {
        if (self.bounds.aborted)() {
            return aborted();
        }
        Error::new(
            Status::TimeUp,
            "time is up: another thread or process is fetching; ask again later",
        )
    }

    /// Asks for the libraries; finds out which server it is when that is new or looks different.
    fn probe(&self) -> Result<(i64, Vec<LibraryRow>)> {
        let shared = self.shared;
        let Some(endpoint) = &shared.endpoint() else {
            return Err(Error::new(Status::Offline, "the index has no server_url"));
        };
        let mut identity = shared.store.identity(endpoint)?;
        if identity.is_none() {
            identity = Some(shared.store.reached(endpoint, &self.source.server(self.bounds)?)?);
        }
        let shown = self.source.libraries(self.bounds)?;
        if let Some(known) = identity
            && self.looks_different(known, &shown)?
        {
            let server = self.source.server(self.bounds)?;
            if server.machine_identifier != shared.store.machine_identifier(known)? {
                log::warn!("another server answers behind this URL: nothing of the old one is answered");
                identity = Some(shared.store.reached(endpoint, &server)?);
            }
        }
        let Some(identity) = identity else {
            return Err(Error::new(Status::NotPlex, "the server has no identity"));
        };
        let now = shared.now_ms();
        let begun = Instant::now();
        let rows = shared.store.probed(identity, &shown, now, &|row, library| {
            freshness::is_current(&age(row), &clocks_of(row), &library.clocks, &shared.policy, now)
        })?;
        shared.counters.spent(Spent::Store, begun.elapsed());
        Ok((identity, rows))
    }

    /// Libraries are known, and the server shows none of them.
    fn looks_different(&self, identity: i64, shown: &[Library]) -> Result<bool> {
        let state = self.shared.store.state(Some(identity))?;
        Ok(!state.libraries.is_empty()
            && !state
                .libraries
                .iter()
                .any(|row| shown.iter().any(|library| library.uuid == row.library.uuid)))
    }

    /// A probe, unless somebody made one after `since` while we waited for our turn: the rows then.
    fn probe_alone(&self, since: u64) -> Result<Vec<LibraryRow>> {
        let shared = self.shared;
        self.alone("probe", || {
            if let Some(endpoint) = &shared.endpoint()
                && let Some(identity) = shared.store.identity(endpoint)?
            {
                let rows = shared.store.state(Some(identity))?.libraries;
                if rows.iter().any(|row| row.probed_sequence > since) {
                    return Ok(rows);
                }
            }
            Ok(self.probe()?.1)
        })?
        .ok_or_else(|| self.late())
    }

    fn bring_up_to_date(&self, wanting: &[LibraryRow], since: u64, full: bool) -> Result<()> {
        for wanted in wanting {
            let mut id = wanted.id;
            for attempt in 0.. {
                // Cleared by others, it comes back under another number, and another lock.
                match self.bring_one(wanted, id, since, full)? {
                    None => break,
                    Some(_) if attempt == MOVES => return Err(cleared(wanted)),
                    Some(other) => id = other,
                }
            }
        }
        Ok(())
    }

    /// Makes a library fresh, unless somebody else did while we waited for our turn: who comes while it is fetched asks the
    /// server nothing. Gives its number when that is another one by now, and nothing was done.
    fn bring_one(&self, wanted: &LibraryRow, id: i64, since: u64, full: bool) -> Result<Option<i64>> {
        let shared = self.shared;
        let fresh = |row: &LibraryRow| freshness::need(&age(row), &shared.policy, shared.now_ms()) == Need::Nothing;
        lock(&self.report.library).clone_from(&wanted.library.title);
        // Numbers grow with every clear, and lock files stay for ever: so few of them.
        self.alone(&format!("fetch{}", id.rem_euclid(LOCKS)), || {
            if let Ok(now) = shared.store.library_row(id)
                && now.present
                && (now.begun_sequence > since || now.begun_sequence != wanted.begun_sequence)
                && (full || fresh(&now))
            {
                return Ok(None);
            }
            let rows = self.probe_alone(since)?;
            match rows.iter().find(|row| row.library.uuid == wanted.library.uuid) {
                Some(row) if row.id != id => Ok(Some(row.id)),
                Some(row) if full || !fresh(row) => self.list(row).map(|()| None),
                // It is current, or the server does not show it any more.
                _ => Ok(None),
            }
        })?
        .ok_or_else(|| self.late())
    }

    fn list(&self, row: &LibraryRow) -> Result<()> {
        let shared = self.shared;
        let now = shared.now_ms();
        let begun = Instant::now();
        let mut listing = match shared.store.listing(row.id)? {
            Some(listing)
                if listing.generation == row.generation + 1
                    && listing.begun_sequence >= row.due_sequence
                    && freshness::may_resume(listing.touched_ms, &listing.clocks, &row.library.clocks, now) =>
            {
                log::info!(
                    "'{}': the listing goes on after {} rows",
                    row.library.title,
                    listing.rows
                );
                listing
            }
            _ => shared.store.begin_listing(row, now)?,
        };
        self.report.items.store(listing.rows, Ordering::Relaxed);
        self.report.total.store(listing.total.unwrap_or(0), Ordering::Relaxed);
        self.report.fetching.store(true, Ordering::Relaxed);
        let earlier = listing.rows;
        let mut attempts = 0;
        while !self.pages(row, &mut listing, earlier)? {
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
            listing = shared.store.begin_listing(row, shared.now_ms())?;
        }
        self.complete(row, listing, begun)
    }

    /// Fetches and stores the pages that are left. `false`: the list moved, begin anew.
    fn pages(&self, row: &LibraryRow, listing: &mut Listing, earlier: u64) -> Result<bool> {
        let types = row.library.kind.leaf_types();
        let from = (listing.type_index, listing.next_row);
        let (total, tail) = (listing.total, listing.tail.keys().to_vec());
        let (send, receive) = sync_channel(2);
        std::thread::scope(|scope| {
            let fetcher = scope.spawn(move || self.fetch_pages(&row.library.section, types, from, total, &tail, &send));
            let stored = self.store_pages(listing, &receive, earlier);
            drop(receive); // a fetcher that still sends must hear that nobody listens
            let done = fetcher.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            stored?;
            done
        })
    }

    /// Sends the pages from a row on. `false`: the overlap, or the total, is not what it was.
    fn fetch_pages(
        &self,
        section: &str,
        types: &[ItemType],
        (first_type, first_row): (usize, u64),
        total: Option<u64>,
        tail: &[String],
        send: &SyncSender<Page>,
    ) -> Result<bool> {
        let mut size = self.page_size();
        for (type_index, kind) in types.iter().enumerate().skip(first_type) {
            let mut overlap = if type_index == first_type { tail } else { &[] };
            let mut row = if type_index == first_type { first_row } else { 0 };
            let mut to_skip = overlap.len() as u64;
            row -= to_skip.min(row);
            let mut known_total = if type_index == 0 && first_type == 0 {
                total
            } else {
                None
            };
            let mut first = type_index != first_type || first_row == 0;
            loop {
                let request = PageRequest {
                    section,
                    kind: *kind,
                    rows: Rows::All,
                    start: row,
                    size,
                };
                let asked = Instant::now();
                let mut items = Vec::new();
                let outcome = self.source.page(&request, self.bounds, &mut |item| items.push(item));
                // A page may be smaller than the overlap: the next one shows the rest of it.
                let known = overlap.len().min(items.len());
                let overlaps = items.iter().zip(overlap).all(|(item, key)| item.rating_key == *key);
                let end = match outcome {
                    Ok(end) => end,
                    Err(error) => {
                        // What came is true: keep it, if it goes on where the last page ended.
                        if overlaps && items.len() as u64 > to_skip {
                            items.drain(..known);
                            let rows = items.len() as u64;
                            let _ = send.send(Page {
                                type_index,
                                rows,
                                total: known_total,
                                items,
                                first,
                                last: false,
                            });
                        }
                        return Err(error);
                    }
                };
                if !overlaps || (known_total.is_some() && end.total.is_some() && end.total != known_total) {
                    return Ok(false);
                }
                known_total = end.total;
                // A reply without offset and total is no page: a server that ignores paging sends everything.
                let whole = row == 0 && end.total.is_none() && end.offset.is_none();
                if end.offset.is_some_and(|offset| offset != row) {
                    return Ok(false);
                }
                let last = whole || is_last(section, row, &end)?;
                items.drain(..known);
                overlap = &overlap[known..];
                let skipped = to_skip.min(end.rows);
                let rows = end.rows - skipped;
                to_skip -= skipped;
                row += end.rows;
                let delivered = send.send(Page {
                    type_index,
                    rows,
                    total: end.total,
                    items,
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
                size = self.next_size(size, asked.elapsed());
            }
        }
        Ok(true)
    }

    fn page_size(&self) -> u32 {
        let most = self.shared.options.page_size;
        match self.bounds.left() {
            // A first byte comes sooner when fewer rows have to be gathered for it.
            Some(left) if left < Duration::from_secs(2) => {
                most.min(SMALL_PAGE.max(u32::try_from(left.as_millis()).unwrap_or(most) / 2))
            }
            _ => most,
        }
    }

    fn next_size(&self, size: u32, took: Duration) -> u32 {
        let most = self.shared.options.page_size;
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

    fn store_pages(&self, listing: &mut Listing, pages: &Receiver<Page>, earlier: u64) -> Result<()> {
        for page in pages {
            let begun = Instant::now();
            if page.first && page.type_index != listing.type_index {
                listing.type_index = page.type_index;
                listing.next_row = 0;
                listing.tail.clear();
            }
            if page.first {
                listing.total = match (listing.total, page.total, page.type_index) {
                    (_, total, 0) => total,
                    (Some(before), Some(total), _) => Some(before + total),
                    _ => None,
                };
            }
            listing.next_row += page.rows;
            listing.rows += page.rows;
            listing.keyed += page.items.len() as u64;
            listing.touched_ms = self.shared.now_ms();
            listing
                .tail
                .extend(page.items.iter().map(|item| item.rating_key.as_str()));
            if page.last {
                // The type is done: a continuation begins with the next one, or finds nothing left of this one.
                listing.tail.clear();
            }
            self.shared.store.store_page(listing, &page.items)?;
            self.shared.counters.spent(Spent::Store, begun.elapsed());
            self.report.items.store(listing.rows.max(earlier), Ordering::Relaxed);
            self.report.total.store(listing.total.unwrap_or(0), Ordering::Relaxed);
            if (self.bounds.aborted)() {
                return Err(aborted());
            }
        }
        Ok(())
    }

    /// All pages are stored: does the listing agree with itself and with the clocks, and is it to be believed?
    fn complete(&self, row: &LibraryRow, mut listing: Listing, begun: Instant) -> Result<()> {
        let shared = self.shared;
        let (identity, shown) = self.probe()?;
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
        let items = shared.store.distinct(&listing)?;
        let whole = listing.total.is_none_or(|total| total == listing.rows) && items == listing.keyed;
        let settled = !freshness::unsettled(&listing.clocks, listing.begun_ms)
            && !shown.library.clocks.refreshing
            && freshness::agree(&listing.clocks, &shown.library.clocks);
        let now_ms = shared.now_ms();
        if row.generation > 0
            && freshness::is_doubtful(row.items, items)
            && !shared
                .store
                .doubt_listing(identity, &listing, items, now_ms, freshness::PROVISIONAL_MS)?
        {
            log::warn!(
                "'{}' shrank from {} items to {items}: a disk may not be mounted; the old listing answers until a second \
                 one agrees",
                row.library.title,
                row.items
            );
            return Ok(());
        }
        shared.store.mark_gone(&mut listing)?;
        shared.counters.spent(Spent::Store, storing.elapsed());
        let generation = if listing.changed || row.generation == 0 {
            listing.generation
        } else {
            row.generation
        };
        let keep = generation == row.generation && !row.image.is_empty();
        let image = if keep {
            None
        } else {
            Some(shared.build_image(row, generation)?)
        };
        let storing = Instant::now();
        let stored = shared.store.finish_listing(
            identity,
            &listing,
            &Finished {
                items,
                provisional: !(whole && settled),
                image,
                now_ms,
            },
        )?;
        shared.counters.spent(Spent::Store, storing.elapsed());
        shared.counters.listed();
        log::info!(
            "'{}': {} items listed in {:.1} s{}",
            row.library.title,
            stored.items,
            begun.elapsed().as_secs_f64(),
            if stored.provisional { ", provisionally" } else { "" }
        );
        shared.sweep();
        shared.flush_counters()
    }
}

/// Whether nothing comes behind this page; an error when the server contradicts itself.
fn is_last(section: &str, row: u64, end: &PageEnd) -> Result<bool> {
    match end.total {
        Some(total) if row + end.rows >= total => Ok(true),
        Some(total) if end.rows == 0 => Err(Error::new(
            Status::BadAnswer,
            format!("section {section}: the server says {total} rows, but gave none after row {row}; try again"),
        )),
        Some(_) => Ok(false),
        // Servers may give fewer rows than asked: only a page without any is behind the last.
        None => Ok(end.rows == 0),
    }
}

fn cleared(row: &LibraryRow) -> Error {
    Error::new(
        Status::Store,
        format!(
            "library '{}' was cleared while it was listed: try again",
            row.library.title
        ),
    )
}

fn aborted() -> Error {
    Error::new(
        Status::Aborted,
        "the host stopped the fetch; what was fetched is kept, and the next call goes on from there",
    )
}
