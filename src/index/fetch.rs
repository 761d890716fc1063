//! Fetching: trips to the server, the probe, and what a library is brought up to date by.
//!
//! All of it runs on a thread of the library's own while the caller waits and reports progress: `platform::thread` says
//! why.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Deadline, Progress, QueryOptions, Shared, lock};
use crate::error::{Error, Result, Status};
use crate::freshness::{self, Need};
use crate::model::{Item, ItemType, Library, Server};
use crate::platform::thread::on_worker;
use crate::reading::{age, clocks_of};
use crate::source::{Bounds, PageEnd, PageRequest, Refused, Rows, Source};
use crate::stats::Spent;
use crate::store::{LibraryRow, Patience};

/// How often the host hears of progress.
const TICK: Duration = Duration::from_millis(100);
/// How often a library is looked for that others clear at the same time.
const MOVES: u32 = 8;
/// How many locks there are for fetching; two libraries that share one wait for each other.
const LOCKS: i64 = 64;

/// An item that was invalidated, or the path that it is found by.
pub(super) struct Doubt {
    pub(super) row: LibraryRow,
    pub(super) rating_key: String,
    /// How it is found.
    pub(super) paths: Vec<Vec<u8>>,
}

/// What the fetching thread tells the waiting one.
#[derive(Default)]
pub(super) struct Report {
    pub(super) library: Mutex<String>,
    pub(super) items: AtomicU64,
    pub(super) total: AtomicU64,
    pub(super) fetching: AtomicBool,
    abort: AtomicBool,
}

/// One trip to the server: bounded by the call's deadline and the host's patience.
pub(super) struct SyncJob<'a> {
    pub(super) shared: &'a Shared,
    pub(super) source: &'a dyn Source,
    pub(super) bounds: Bounds<'a>,
    pub(super) report: &'a Report,
}

impl Shared {
    /// Asks for the libraries and their clocks, and stores them.
    /// Not again when somebody did so after `since`.
    pub(super) fn probe(&self, query: &QueryOptions<'_>, since: u64) -> Result<()> {
        self.probe_shows_any(query, since).map(|_| ())
    }

    /// The same; gives whether there are any.
    pub(super) fn probe_shows_any(&self, query: &QueryOptions<'_>, since: u64) -> Result<bool> {
        // Who has little time wants an answer first, and the server's name later.
        let quick = self.until(query).is_some();
        self.job(query, |job| job.probe_once(since, quick).map(|rows| !rows.is_empty()))
    }

    /// Brings libraries up to date: [`Status::Ok`], or that the deadline came first.
    pub(super) fn bring_up_to_date(
        &self,
        query: &QueryOptions<'_>,
        stale: &[LibraryRow],
        since: u64,
        why: Why,
    ) -> Result<Status> {
        let some_came = AtomicBool::new(false);
        let done = self.job(query, |job| {
            let done = job.bring_up_to_date(stale, since, why);
            some_came.store(job.report.items.load(Ordering::Relaxed) > 0, Ordering::Relaxed);
            done
        });
        match done {
            Ok(()) => Ok(Status::Ok),
            // With a deadline, being late is an answer: 'not yet' when something came, so that asking again helps.
            Err(error) if error.status == Status::Timeout && self.until(query).is_some() => {
                Ok(if some_came.load(Ordering::Relaxed) {
                    Status::NotYet
                } else {
                    Status::NeedsWarm
                })
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn refresh(&self, query: &QueryOptions<'_>, full: bool) -> Result<Status> {
        if !self.may_ask(query) {
            return Err(Error::new(
                Status::Offline,
                "nothing can be refreshed: the index has no server_url, or it or the call is offline",
            ));
        }
        let query = &self.timed(query);
        self.reading.catch_up()?;
        let since = self.reading.snapshot().sequence();
        let known = {
            let snapshot = self.reading.snapshot();
            !snapshot.rows.is_empty()
                && query.library.is_none_or(|library| {
                    matches!(
                        library.selection.resolve(&snapshot),
                        Ok(crate::reading::Resolved::Scope(_))
                    )
                })
        };
        if !known {
            self.probe(query, since)?;
            self.reading.catch_up()?;
        }
        let stale: Vec<LibraryRow> = {
            let snapshot = self.reading.snapshot();
            let now = self.now_ms();
            let asked = match query.library {
                None => &snapshot.rows[..],
                Some(library) => match library.selection.resolve(&snapshot)? {
                    crate::reading::Resolved::Scope(scope) => snapshot.asked(scope),
                    crate::reading::Resolved::Unknown => return Err(library.selection.unknown(&snapshot)),
                },
            };
            asked
                .iter()
                .filter(|row| full || freshness::need(&age(row), &self.policy, now) != Need::Nothing)
                .cloned()
                .collect()
        };
        if stale.is_empty() {
            return Ok(Status::Ok);
        }
        let done = self.bring_up_to_date(query, &stale, since, if full { Why::Full } else { Why::Due })?;
        self.reading.catch_up()?;
        Ok(done)
    }

    /// Asks who the server is and which libraries it shows, whatever is known: it, and how many libraries.
    pub(super) fn ask_server(&self, query: &QueryOptions<'_>) -> Result<(Server, Duration, usize)> {
        if !self.may_ask(query) {
            return Err(Error::new(
                Status::Offline,
                "the server cannot be asked: the index has no server_url, or it or the call is offline",
            ));
        }
        let query = &self.timed(query);
        self.job(query, |job| {
            let begun = Instant::now();
            // Needs no token: when the next one fails, the server was reached.
            let server = job.source.server(job.bounds)?;
            let took = begun.elapsed();
            job.note_version(&server)?;
            let shown = job.single_flight("probe", || job.probe(false))?;
            let (_, rows) = shown.ok_or_else(|| job.late())?;
            Ok((server, took, rows.len()))
        })
    }

    /// Asks for invalidated items, all in one request; stores what they are now.
    pub(super) fn confirm(&self, query: &QueryOptions<'_>, doubts: &[Doubt]) -> Result<()> {
        let keys: Vec<&str> = doubts.iter().map(|doubt| doubt.rating_key.as_str()).collect();
        let items = self.job(query, |job| job.source.items(&keys, job.bounds))?;
        let Some(identity) = self.reading.identity() else {
            return Ok(());
        };
        for Doubt { row, rating_key, paths } in doubts {
            if let Some(item) = items.iter().find(|item| item.rating_key == *rating_key) {
                // Rows that the server gives are true whatever became of the path: a changed item is merged as it is now.
                self.store.merge_items(row, std::slice::from_ref(item), None)?;
            } else {
                self.store.invalidate_item(identity, &[row.id], rating_key)?;
                self.store.remove_item(row, rating_key)?;
                log::info!("item {rating_key} is gone from the server; it is answered no more");
            }
            // The index says what is true now: nothing is left to invalidation.
            let paths: Vec<&[u8]> = paths.iter().map(Vec::as_slice).collect();
            self.maintenance.verified(identity, row, &paths, &[rating_key])?;
        }
        Ok(())
    }

    /// When a call with this query must have ended.
    pub(super) fn until(&self, query: &QueryOptions<'_>) -> Option<Instant> {
        let time = match query.deadline {
            Deadline::At(until) => return Some(until),
            Deadline::None => None,
            Deadline::Default => self.options.deadline,
            Deadline::In(time) => Some(time),
        };
        time.map(|time| Instant::now() + time)
    }

    /// The same query with its deadline as a moment: all trips to the server of a call share it.
    pub(super) fn timed<'q>(&self, query: &QueryOptions<'q>) -> QueryOptions<'q> {
        QueryOptions {
            deadline: self.until(query).map_or(Deadline::None, Deadline::At),
            ..*query
        }
    }

    /// Runs `work` on a thread of our own; reports progress on this one.
    pub(super) fn job<T: Send>(
        &self,
        query: &QueryOptions<'_>,
        work: impl FnOnce(&SyncJob<'_>) -> Result<T> + Send,
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
            deadline: self.until(query),
            aborted: &aborted,
        };
        let job = SyncJob {
            shared: self,
            source,
            bounds,
            report: &report,
        };
        let tell = || {
            self.flights.keep(&self.store, self.now_ms());
            // Also while no library is fetched yet, with nothing to tell of: the host may want to stop a call that waits for
            // the libraries' list, or for another process.
            if let Some(progress) = query.progress {
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
                    self.cuts.fetch_add(1, Ordering::SeqCst);
                    source.interrupt(); // it may be waiting for an answer
                }
            }
        };
        let asked = self.counters.read().requests;
        // That thread has no more time than this one.
        let patience = Patience::now().until(bounds.deadline);
        let work = || {
            let _held = patience.hold();
            job.recall_refusals();
            let done = work(&job);
            job.keep_refusals();
            done
        };
        let done = on_worker(work, TICK, tell);
        self.counters.spent(Spent::Away, begun.elapsed());
        if done.is_ok() {
            if report.fetching.load(Ordering::Relaxed) {
                tell(); // the last state, so that a bar can end full
            }
            // Who found that there was nothing to ask has not heard from the server.
            if self.counters.read().requests != asked {
                self.end_back_off();
            }
        }
        done
    }
}

impl SyncJob<'_> {
    pub(super) fn single_flight<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        self.single_flight_within(self.bounds, what, work)
    }

    pub(super) fn single_flight_within<T>(
        &self,
        bounds: Bounds<'_>,
        what: &str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        let (shared, begun) = (self.shared, Instant::now());
        let waited = || shared.counters.spent(Spent::Wait, begun.elapsed());
        let now_ms = || shared.now_ms();
        let done = shared.flights.single_flight(&shared.store, &now_ms, what, bounds, || {
            waited();
            work()
        });
        if let Ok(None) = done {
            waited();
        }
        done
    }

    /// Rows of a library: those that came, and how the page ended. What came before it was cut off is as true as the rest.
    /// A page that another call's end cut off is asked for again: that is no failure of this call.
    pub(super) fn some_rows(
        &self,
        section: &str,
        kind: ItemType,
        rows: Rows<'_>,
        start: u64,
        size: u32,
    ) -> (Vec<Item>, Result<PageEnd>) {
        let request = PageRequest {
            section,
            kind,
            rows,
            start,
            size,
        };
        let mut items = Vec::new();
        loop {
            let cuts = self.shared.cuts.load(Ordering::SeqCst);
            let end = self.source.page(&request, self.bounds, &mut |item| items.push(item));
            match end {
                Err(error)
                    if !matches!(error.status, Status::Aborted | Status::Timeout)
                        && self.shared.cuts.load(Ordering::SeqCst) != cuts =>
                {
                    log::debug!("a page was cut off by the end of another call; it is asked for again: {error}");
                    items.clear();
                }
                end => {
                    self.keep_refusals();
                    return (items, end);
                }
            }
        }
    }

    /// Tells the source what this process, or another one, found the server to refuse.
    fn recall_refusals(&self) {
        let known = self.identity().and_then(|identity| match identity {
            Some(identity) => self.shared.store.refusals(identity),
            None => Ok(String::new()),
        });
        match known {
            Ok(known) => self.source.assume_refused(Refused::from_words(&known)),
            Err(error) => log::debug!("what the server refuses is not known, and may be found out again: {error}"),
        }
    }

    /// Remembers what the server was found to refuse, so that no other process tries it.
    fn keep_refusals(&self) {
        let found = self.source.found_refused();
        if found.is_empty() {
            return;
        }
        let add = |known: &str| Refused::from_words(known).and(found).words();
        let kept = self.identity().and_then(|identity| match identity {
            Some(identity) => self.shared.store.note_refusals(identity, &add),
            None => Ok(()),
        });
        if let Err(error) = kept {
            log::warn!("what the server refuses could not be stored; it is found out again: {error}");
        }
    }

    /// Asks a server that refuses something for its version: a new one may take it again. Nothing is asked of others.
    pub(super) fn look_at_version(&self) -> Result<()> {
        if self.source.refused().is_empty() {
            return Ok(());
        }
        let server = self.source.server(self.bounds)?;
        self.note_version(&server)
    }

    fn note_version(&self, server: &Server) -> Result<()> {
        let Some(identity) = self.identity()? else {
            return Ok(());
        };
        if self.shared.store.machine_identifier(identity)? == server.machine_identifier
            && self.shared.store.note_version(identity, &server.version)?
            && !self.source.refused().is_empty()
        {
            log::info!(
                "the server's version is {} now: what it refused before is asked for again",
                server.version
            );
            self.recall_refusals();
        }
        Ok(())
    }

    /// The error for bounds that ended while another one fetched.
    pub(super) fn late(&self) -> Error {
        if (self.bounds.aborted)() {
            return aborted();
        }
        Error::new(
            Status::Timeout,
            "time is up: another thread or process is fetching; ask again later",
        )
    }

    /// Asks for the libraries; finds out which server it is when that is new or looks different. With `quick` set, a
    /// server that was never asked keeps the name of its URL for now: one request less before the first answer.
    pub(super) fn probe(&self, quick: bool) -> Result<(i64, Vec<LibraryRow>)> {
        let shared = self.shared;
        let Some(endpoint) = &shared.reading.endpoint() else {
            return Err(Error::new(Status::Offline, "the index has no server_url"));
        };
        let mut identity = shared.store.identity(endpoint)?;
        let named = match identity {
            Some(identity) => shared.store.is_named(identity)?,
            None => false,
        };
        if !named && !quick {
            let server = self.source.server(self.bounds)?;
            identity = Some(match identity {
                Some(unnamed) => shared.store.name_server(unnamed, endpoint, &server)?,
                None => shared.store.reached(endpoint, &server)?,
            });
        }
        let begun = shared.store.totals()?.sequence;
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
        let identity = match identity {
            Some(identity) => identity,
            None => shared.store.reached(endpoint, &Server::default())?,
        };
        let now = shared.now_ms();
        let storing = Instant::now();
        let rows = shared.store.probed(identity, &shown, begun, now, &|row, library| {
            freshness::is_current(&age(row), &clocks_of(row), &library.clocks, &shared.policy, now)
        })?;
        shared.counters.spent(Spent::Store, storing.elapsed());
        Ok((identity, rows))
    }

    /// Libraries are known, and the server shows none of them.
    fn looks_different(&self, identity: i64, shown: &[Library]) -> Result<bool> {
        let state = self.shared.store.state(Some(identity))?;
        Ok(!state.libraries.is_empty()
            && !state.libraries.iter().any(|row| {
                shown
                    .iter()
                    .any(|library| library.uuid == row.library.uuid && library.has_uuid())
            }))
    }

    /// Whose view of which server this is, as far as it was ever found out.
    pub(super) fn identity(&self) -> Result<Option<i64>> {
        match &self.shared.reading.endpoint() {
            Some(endpoint) => self.shared.store.identity(endpoint),
            None => Ok(None),
        }
    }

    /// A probe, unless somebody made one after `since` while we waited for our turn: the rows then.
    pub(super) fn probe_once(&self, since: u64, quick: bool) -> Result<Vec<LibraryRow>> {
        let shared = self.shared;
        self.single_flight("probe", || {
            if let Some(identity) = self.identity()?
                && (quick || shared.store.is_named(identity)?)
            {
                let rows = shared.store.state(Some(identity))?.libraries;
                if rows.iter().any(|row| row.probed_sequence > since) {
                    return Ok(rows);
                }
            }
            Ok(self.probe(quick)?.1)
        })?
        .ok_or_else(|| self.late())
    }

    fn bring_up_to_date(&self, stale: &[LibraryRow], since: u64, why: Why) -> Result<()> {
        for wanted in stale {
            let mut id = wanted.id;
            for attempt in 0.. {
                // Cleared by others, it comes back under another number, and another lock.
                match self.bring_one(wanted, id, since, why)? {
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
    pub(super) fn bring_one(&self, wanted: &LibraryRow, id: i64, since: u64, why: Why) -> Result<Option<i64>> {
        let shared = self.shared;
        lock(&self.report.library).clone_from(&wanted.library.title);
        // Who only looks does not wait for a listing that is under way: it may take minutes.
        let bounds = Bounds {
            deadline: if why == Why::Look {
                Some(Instant::now())
            } else {
                self.bounds.deadline
            },
            ..self.bounds
        };
        // Numbers grow with every clear, and lock files stay for ever: so few of them.
        let brought = self.single_flight_within(bounds, &format!("fetch{}", id.rem_euclid(LOCKS)), || {
            if let Ok(now) = shared.store.library_row(id)
                && now.present
                && (now.begun_sequence > since || now.begun_sequence != wanted.begun_sequence)
                && (why == Why::Full || self.need(&now, why) == Need::Nothing)
            {
                return Ok(None);
            }
            let rows = self.probe_once(since, false)?;
            match rows.iter().find(|row| row.library.uuid == wanted.library.uuid) {
                Some(row) if row.id != id => return Ok(Some(row.id)),
                Some(row) => match self.need(row, why) {
                    Need::Nothing | Need::Probe => {}
                    Need::Delta => {
                        if !self.delta(row)? {
                            self.list(&shared.store.library_row(id)?)?;
                        }
                    }
                    Need::Listing => self.list(row)?,
                },
                None => {} // the server does not show it any more
            }
            Ok(None)
        })?;
        match brought {
            None if why != Why::Look => Err(self.late()),
            moved => Ok(moved.flatten()),
        }
    }

    /// What a library needs whose clocks were just seen.
    fn need(&self, row: &LibraryRow, why: Why) -> Need {
        let (age, now) = (age(row), self.shared.now_ms());
        let probed =
            || freshness::need_when_probed(&age, &clocks_of(row), &row.library.clocks, &self.shared.policy, now);
        match why {
            Why::Full => Need::Listing,
            Why::Due if freshness::need(&age, &self.shared.policy, now) == Need::Nothing => Need::Nothing,
            // A disk that is missing is not looked for at every query.
            Why::Look if age.held_back => Need::Nothing,
            Why::Due | Why::Look => probed(),
        }
    }
}

/// Why a library is brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its time is over.
    Due,
    /// A path that should be listed is not: something may have moved before the time is over.
    Look,
    /// The host wants all of it listed anew.
    Full,
}

pub(super) fn cleared(row: &LibraryRow) -> Error {
    Error::new(
        Status::Store,
        format!(
            "library '{}' was cleared while it was listed: try again",
            row.library.title
        ),
    )
}

pub(super) fn aborted() -> Error {
    Error::new(
        Status::Aborted,
        "the host stopped the fetch; what was fetched is kept, and the next call goes on from there",
    )
}
