//! The index: opens, answers, records, invalidates, refreshes, counts, closes. It acts on what the modules below it decide.
//!
//! [`Index`] is what a host holds; [`Library`] one library of it, or all. An answer is made of one [`snapshot`] of the
//! store; [`fetch`] is the only part that speaks to the source.

mod answer;
mod ask;
mod debounce;
mod delta;
mod edit;
mod fetch;
mod find;
mod flight;
mod host;
mod in_memory;
mod library;
mod listing;
mod lookup;
mod point;
mod samples;
mod shown;
mod snapshot;
mod timing;
mod upkeep;
mod watch;

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use answer::{Answer, Candidate, Match};
#[doc(hidden)]
pub use debounce::DebounceIntervals;
pub use edit::{Edit, EditReport, Edited};
pub use library::{Library, Selector};

pub use crate::platform::clock::{Clock, ManualClock, SystemClock};

use crate::error::{Error, Result, Status};
use crate::freshness::{self, Policy};
use crate::matching::Mappings;
pub use crate::matching::propose::Proposal;
use crate::options::Options;
use crate::platform::swap::Swap;
use crate::source::plex::PlexHttp;
use crate::source::{Meter, Source};
use crate::stats::{Counters, Stats};
use crate::store::{Endpoint, Patience, Store};
use snapshot::Snapshot;

/// An open index. Usable from any thread; cheap calls never wait for expensive ones.
///
/// ```no_run
/// let index = plexindex::index::Index::open(plexindex::options::Options {
///     cache_dir: "/var/cache/plexindex".into(),
///     server_url: Some("http://127.0.0.1:32400".into()),
///     token: plexindex::model::Token::new("token"),
///     ..Default::default()
/// })?;
/// let movies = index.library("Movies")?;
/// let found = movies.match_path(b"/media/movies/Big Buck Bunny (2008).mkv")?;
/// # Ok::<(), plexindex::error::Error>(())
/// ```
#[derive(Debug)]
pub struct Index {
    shared: Arc<Shared>,
}

/// What all handles of one open index share.
pub(crate) struct Shared {
    options: Options,
    policy: Policy,
    mappings: Mappings,
    store: Store,
    source: Option<Arc<dyn Source>>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    snapshot: Swap<Snapshot>,
    /// Held by whoever brings the snapshot up to date.
    catching_up: Mutex<()>,
    flights: flight::Flights,
    /// Held by whoever compacts matches into images.
    compacting: Mutex<()>,
    in_memory: in_memory::InMemory,
    trouble: Mutex<Option<BackOff>>,
    /// How often a call that was stopped closed the connections of all.
    cuts: AtomicU64,
    samples: samples::MappingSamples,
    /// Counts of this handle that the store has not been told yet begin here.
    flushed: Mutex<(u64, u64)>,
    /// When it was last noted that the identity is used, Unix ms.
    use_noted: AtomicI64,
    closed: AtomicBool,
    watch: Mutex<Option<watch::Watch>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({})", self.store.folder().path().display())
    }
}

/// The server's last failure: while it is young, stale answers are given without asking again.
struct BackOff {
    error: Error,
    at_ms: i64,
}

/// For how long a failed server is left alone while there is an old answer.
const BACK_OFF_MS: i64 = 15_000;
/// And while there is none: long enough for the questions of one batch of work, too short for a person.
const BACK_OFF_NOT_FETCHED_MS: i64 = 2_000;

/// What a call may do, and whom it tells.
#[derive(Clone, Copy, Default)]
pub struct QueryOptions<'a> {
    /// The library asked; `None` for all.
    pub library: Option<&'a Library>,
    /// How long the call may take; `None` for the default of the options.
    pub deadline: Deadline,
    /// Ask nobody.
    pub offline: bool,
    /// Told how far a fetch has come, on the caller's thread; `false` stops it.
    pub progress: Option<&'a dyn Fn(&Progress<'_>) -> bool>,
}

/// How long a call may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deadline {
    /// As the options say.
    #[default]
    Default,
    /// As long as it takes.
    None,
    /// This long.
    In(Duration),
    /// Until this moment.
    At(Instant),
}

/// How far a fetch has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// Title of the library; empty while none is fetched yet: the libraries are asked for, or another one fetches.
    pub library: &'a str,
    /// Items fetched, those of an earlier, interrupted fetch included.
    pub items: u64,
    /// Items in all; 0 when the server did not say.
    pub total: u64,
    /// Since this call began to fetch.
    pub elapsed: Duration,
}

impl Index {
    /// Opens an index. Touches the disk only.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for options that are refused, [`Status::Store`], [`Status::StoreFull`].
    pub fn open(options: Options) -> Result<Self> {
        options.check()?;
        let store = Store::open(&options.cache_dir, !options.no_mmap)?;
        let counters = Arc::new(Counters::default());
        let source: Option<Arc<dyn Source>> = match (&options.server_url, options.offline) {
            (Some(_), false) => {
                let meter = Arc::clone(&counters) as Arc<dyn Meter>;
                let id = store.folder().client_identifier()?;
                Some(Arc::new(PlexHttp::new(&options, &id, meter)?))
            }
            _ => None,
        };
        Self::assemble(options, store, source, Arc::new(SystemClock), counters)
    }

    /// Opens an index over another source, or with another clock: for tests, and for sources to come. The source
    /// counts its requests in the meter that `source` is given.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn open_with(
        options: Options,
        clock: Arc<dyn Clock>,
        source: impl FnOnce(&Options, &str, Arc<dyn Meter>) -> Result<Arc<dyn Source>>,
    ) -> Result<Self> {
        options.check()?;
        let store = Store::open(&options.cache_dir, !options.no_mmap)?;
        let counters = Arc::new(Counters::default());
        let id = store.folder().client_identifier()?;
        let source = source(&options, &id, Arc::clone(&counters) as Arc<dyn Meter>)?;
        Self::assemble(options, store, Some(source), clock, counters)
    }

    fn assemble(
        options: Options,
        store: Store,
        source: Option<Arc<dyn Source>>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Result<Self> {
        let mappings = Mappings::new(&options.mappings)?;
        let shared = Arc::new(Shared {
            policy: Policy::new(&options),
            flights: flight::Flights::default(),
            snapshot: Swap::new(Snapshot::default()),
            catching_up: Mutex::new(()),
            compacting: Mutex::new(()),
            in_memory: in_memory::InMemory::default(),
            trouble: Mutex::new(None),
            cuts: AtomicU64::new(0),
            samples: samples::MappingSamples::default(),
            flushed: Mutex::new((0, 0)),
            use_noted: AtomicI64::new(0),
            closed: AtomicBool::new(false),
            watch: Mutex::new(None),
            options,
            mappings,
            store,
            source,
            clock,
            counters,
        });
        shared.reload()?;
        crate::platform::fork::watch(&shared);
        Ok(Self { shared })
    }

    /// A library by title, section id or uuid.
    ///
    /// # Errors
    /// [`Status::LibraryAmbiguous`] when two known libraries share the title.
    pub fn library(&self, name: &str) -> Result<Library> {
        self.select(Selector::Any(name.to_owned()))
    }

    /// A library, or all of them, by selector. Fetches nothing.
    ///
    /// # Errors
    /// [`Status::LibraryAmbiguous`] when two known libraries share the title; [`Status::InvalidArgument`] when the
    /// selector is empty.
    pub fn select(&self, selector: Selector) -> Result<Library> {
        Library::new(&self.shared, selector)
    }

    /// The answer for a path, copied out.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for a path that none can be; the server's error when a library that was never
    /// fetched cannot be; the store's.
    pub fn match_path(&self, query: &QueryOptions<'_>, path: &[u8]) -> Result<Match> {
        self.match_path_with(query, path, |answer| Ok(Match::from(answer)))
    }

    /// The answer for a path, borrowed by `then`, whose error is this call's. An answer counts when `then` took it.
    ///
    /// # Errors
    /// As [`Index::match_path`].
    pub fn match_path_with<R>(
        &self,
        query: &QueryOptions<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let _timed = self.shared.timed_call("match_path", query, None);
        self.shared.match_path(query, path, then)
    }

    /// The answers for many paths, in order, each borrowed by `each` in turn; an error of one path is its answer.
    ///
    /// # Errors
    /// What concerns all of them.
    pub fn match_paths_with(
        &self,
        query: &QueryOptions<'_>,
        paths: &[&[u8]],
        mut each: impl FnMut(&Answer<'_>),
    ) -> Result<()> {
        let _timed = self.shared.timed_call("match_paths", query, Some(paths.len()));
        let query = self.shared.timed(query);
        let mut failed: Option<Error> = None;
        for (place, path) in paths.iter().enumerate() {
            // A server that failed once is not asked again for each of the others.
            let query = QueryOptions {
                offline: query.offline || failed.is_some(),
                ..query
            };
            let answered = self.shared.match_path(&query, path, |answer| {
                each(answer);
                Ok(())
            });
            match answered {
                Ok(()) => {}
                Err(error) if error.status == Status::Aborted => return Err(error),
                // Nothing could be fetched for the first: that concerns all of them.
                Err(error) if place == 0 && error.status as i32 >= 200 => return Err(error),
                Err(error) => {
                    // What follows a server's failure fails for the same reason.
                    let reason = failed.as_ref().filter(|_| error.status == Status::Offline);
                    each(&Answer::failed(reason.unwrap_or(&error)));
                    if error.status as i32 >= Status::Store as i32 {
                        failed.get_or_insert(error);
                    }
                }
            }
        }
        Ok(())
    }

    /// The items with a GUID.
    ///
    /// # Errors
    /// As [`Index::match_path`].
    pub fn match_guid(&self, query: &QueryOptions<'_>, guid: &str) -> Result<Match> {
        self.match_guid_with(query, guid, |answer| Ok(Match::from(answer)))
    }

    /// The items with a GUID, borrowed by `then`.
    ///
    /// # Errors
    /// As [`Index::match_path`].
    pub fn match_guid_with<R>(
        &self,
        query: &QueryOptions<'_>,
        guid: &str,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let _timed = self.shared.timed_call("match_guid", query, None);
        self.shared.match_guid(query, guid, then)
    }

    /// The items with a title: equal but for case, accents and punctuation, else with all its words; a show's title
    /// gives its episodes.
    ///
    /// # Errors
    /// As [`Index::match_path`].
    pub fn search_title(&self, query: &QueryOptions<'_>, title: &str) -> Result<Match> {
        self.search_title_with(query, title, |answer| Ok(Match::from(answer)))
    }

    /// The items with a title, borrowed by `then`.
    ///
    /// # Errors
    /// As [`Index::match_path`].
    pub fn search_title_with<R>(
        &self,
        query: &QueryOptions<'_>,
        title: &str,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let _timed = self.shared.timed_call("search_title", query, None);
        self.shared.search_title(query, title, then)
    }

    /// The items of a library as they are stored, those after `cursor` (0 to begin), at most `limit`: each with the
    /// cursor behind it. Asks nobody.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for all libraries at once; [`Status::LibraryNotFound`]; the store's.
    pub fn items(&self, library: &Library, cursor: i64, limit: usize) -> Result<Vec<(i64, crate::model::Item)>> {
        self.shared.items(library, cursor, limit)
    }

    /// Makes a full listing of every library due, and forgets all confirmed matches.
    ///
    /// # Errors
    /// The store's.
    pub fn invalidate_all(&self) -> Result<()> {
        self.shared.invalidate(None)
    }

    /// Empties the store of this server and user.
    ///
    /// # Errors
    /// The store's.
    pub fn clear(&self) -> Result<()> {
        self.shared.clear()
    }

    /// Makes a library of this name (its uuid and title) that the host fills itself, unless it is there.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for an index with a server, or over a store that was fetched from one; the store's.
    pub fn host_library(&self, name: &str) -> Result<()> {
        self.shared.host_library(name)
    }

    /// How many values the host keeps in its libraries, expired ones that are still stored included.
    ///
    /// # Errors
    /// The store's.
    pub fn count_values(&self) -> Result<u64> {
        self.shared.count_values()
    }

    /// Brings libraries up to date now. `full`: by a full listing, whatever the clocks say.
    ///
    /// # Errors
    /// The server's; [`Status::Offline`]; [`Status::Aborted`]; the store's. That the deadline came first is
    /// [`Status::NotYet`] or [`Status::NeedsWarm`] and no error.
    pub fn refresh(&self, query: &QueryOptions<'_>, full: bool) -> Result<Status> {
        let _timed = self.shared.timed_call("refresh", query, None);
        self.shared.refresh(query, full)
    }

    /// The libraries as JSON: an array of objects.
    ///
    /// # Errors
    /// As [`Index::refresh`], when none is known yet.
    pub fn libraries_json(&self, query: &QueryOptions<'_>) -> Result<String> {
        self.shared.libraries_json(query)
    }

    /// Listens to the server's events from now on, on a thread of the library's own, until [`Index::watch_stop`] or the
    /// end: what they say changed is looked at again by the next query about it. Nothing new when it does already.
    /// Whether the server can be reached shows in the log; it is tried again for as long as it takes. A fork's child
    /// watches only when it begins to by itself.
    ///
    /// # Errors
    /// [`Status::Offline`] without a server; [`Status::Store`] when no thread can be had.
    pub fn watch_start(&self) -> Result<()> {
        self.watch_start_at(DebounceIntervals::default())
    }

    /// The same, faster or slower: for tests.
    ///
    /// # Errors
    /// As [`Index::watch_start`].
    #[doc(hidden)]
    pub fn watch_start_at(&self, pace: DebounceIntervals) -> Result<()> {
        self.shared.watch_start(pace)
    }

    /// Ends watching, within a second; returns when no thread watches any more. Not watching is fine.
    pub fn watch_stop(&self) {
        self.shared.watch_stop();
    }

    /// Notes what a webhook (its JSON, or the whole form) or a notification says that the host received itself: what
    /// changed is looked at again by the next query about it. Asks nobody.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for a body that is neither; the store's.
    pub fn notify(&self, body: &[u8]) -> Result<()> {
        self.shared.notify(body)
    }

    /// Gives items of the query's library the same values: one request for each hundred of a type. Items that the index
    /// does not know are asked for first; when one of them does not exist nothing is sent. After a request that failed no
    /// other is sent. The items that were edited are asked for once before they are answered again.
    ///
    /// `report` says what became of each item, also after an error.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for an edit that makes no sense, above all one without items; [`Status::NotOnServer`] when
    /// items do not exist; [`Status::Offline`]; the server's; the store's.
    pub fn edit_items(&self, query: &QueryOptions<'_>, edit: &Edit<'_>, report: &mut EditReport) -> Result<()> {
        self.shared.edit_items(query, edit, report)
    }

    /// Asks the server who it is and which libraries it shows, whatever is known: for finding out what is wrong. Costs
    /// two requests, three at the first contact; what they tell is stored. A JSON object.
    ///
    /// # Errors
    /// The server's; [`Status::Offline`]; the store's.
    pub fn server_json(&self, query: &QueryOptions<'_>) -> Result<String> {
        let (server, took, libraries) = self.shared.ask_server(query)?;
        self.shared.catch_up()?;
        Ok(serde_json::json!({
            "machine_identifier": server.machine_identifier,
            "version": server.version,
            "answered_us": u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "libraries": libraries,
        })
        .to_string())
    }

    /// Mappings that this handle's answers by the end of a path speak for, the best first.
    #[must_use]
    pub fn proposals(&self) -> Vec<Proposal> {
        self.shared.samples.proposals()
    }

    /// The same as a JSON array.
    #[must_use]
    pub fn proposals_json(&self) -> String {
        samples::to_json(&self.proposals())
    }

    /// What kind of place the store is in, as a JSON object.
    ///
    /// # Errors
    /// The store's.
    pub fn store_json(&self) -> Result<String> {
        Ok(self.shared.store.facts()?.to_json())
    }

    /// What happened.
    ///
    /// # Errors
    /// The store's.
    pub fn stats(&self) -> Result<Stats> {
        self.shared.stats()
    }

    /// Writes the counters and closes the store. Dropping does the same and ignores errors.
    ///
    /// # Errors
    /// The store's, when the counters could not be written.
    pub fn close(self) -> Result<()> {
        self.shared.close()
    }
}

impl Drop for Index {
    fn drop(&mut self) {
        let _ = self.shared.close();
    }
}

impl Shared {
    /// Where this index asks, and as whom. The store knows users by a secret of its database, which may be made anew.
    fn endpoint(&self) -> Option<Endpoint> {
        self.options.server_url.as_deref().map(|url| Endpoint {
            url: url.trim_end_matches('/').to_owned(),
            who: match (&self.options.user, &self.options.token) {
                // One byte more than a token's: nobody takes over what was confirmed for a user who was named.
                (Some(user), _) => [self.store.fingerprint(&format!("user {user}")), vec![0]].concat(),
                (None, Some(token)) => self.store.fingerprint(token.reveal()),
                (None, None) => Vec::new(),
            },
        })
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.watch_stop();
        let flushed = self.flush_counters();
        self.store.close();
        flushed
    }

    /// Adds what this handle counted to the counters of the store's life.
    fn flush_counters(&self) -> Result<()> {
        let mut flushed = lock(&self.flushed);
        // Read behind the lock: another thread's newer numbers must not be flushed before these.
        let now = self.counters.totals();
        if *flushed == now {
            return Ok(());
        }
        // They are not worth waiting for.
        let _held = Patience::now().at_most(ask::SHORTLY).hold();
        self.store.add_totals(now.0 - flushed.0, now.1 - flushed.1)?;
        *flushed = now;
        Ok(())
    }

    fn stats(&self) -> Result<Stats> {
        if let Err(error) = self.flush_counters() {
            log::debug!("the counters are written later: {error}");
        }
        self.catch_up()?;
        let totals = self.store.totals()?;
        let identity = self.snapshot.read().identity;
        let [libraries, items, matches] = match identity {
            Some(identity) => self.store.counts(identity)?,
            None => [0; 3],
        };
        Ok(Stats {
            items,
            matches,
            libraries,
            store_requests: totals.requests,
            store_answers: totals.answers,
            sequence: totals.sequence,
            disk_bytes: self.store.folder().disk_bytes(),
            last_failure: lock(&self.trouble).as_ref().map(|trouble| trouble.error.to_string()),
            ..self.counters.read()
        })
    }

    fn items(&self, library: &Library, cursor: i64, limit: usize) -> Result<Vec<(i64, crate::model::Item)>> {
        self.catch_up()?;
        let row = {
            let snapshot = self.snapshot.read();
            match library.resolve(&snapshot)? {
                library::Resolved::Scope(crate::matching::Scope::One(place)) => snapshot.rows[place].clone(),
                library::Resolved::Scope(crate::matching::Scope::All) => {
                    return Err(Error::new(
                        Status::InvalidArgument,
                        "items are listed one library at a time: name one",
                    ));
                }
                library::Resolved::Unknown => return Err(library.unknown(&snapshot)),
            }
        };
        self.store.items_after(row.id, row.generation, cursor, limit)
    }

    fn item(&self, library: &Library, rating_key: &str) -> Result<Option<crate::model::Item>> {
        self.catch_up()?;
        let rows: Vec<(i64, u64)> = {
            let snapshot = self.snapshot.read();
            match library.resolve(&snapshot)? {
                library::Resolved::Scope(scope) => upkeep::places(scope, snapshot.rows.len())
                    .map(|place| (snapshot.rows[place].id, snapshot.rows[place].generation))
                    .collect(),
                library::Resolved::Unknown => Vec::new(),
            }
        };
        for (id, generation) in rows {
            if let Some(item) = self.store.item(id, generation, rating_key)? {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    fn clear(&self) -> Result<()> {
        let mut cleared = false;
        self.insist(|| {
            let Some(identity) = self.snapshot.read().identity else {
                return Ok(None);
            };
            self.store.clear_for_good(identity)?;
            cleared = true;
            Ok(Some((identity, Vec::new())))
        })?;
        if cleared {
            if self.source.is_none() {
                self.sweep(); // no listing comes that would
            }
            self.sweep_images();
            log::info!("the store was cleared");
        }
        Ok(())
    }

    fn libraries_json(&self, query: &QueryOptions<'_>) -> Result<String> {
        self.catch_up()?;
        if self.snapshot.read().rows.is_empty() && self.may_ask(query) {
            let since = self.snapshot.read().sequence();
            self.probe(query, since)?;
            self.catch_up()?;
        }
        let snapshot = self.snapshot.read();
        let now = self.now_ms();
        let rows: Vec<_> = snapshot
            .rows
            .iter()
            .map(|row| {
                let age = snapshot::age(row);
                serde_json::json!({
                    "section": row.library.section,
                    "uuid": row.library.uuid,
                    "title": row.library.title,
                    "kind": row.library.kind.name(),
                    "locations": row.library.locations,
                    "items": row.items,
                    "age_ms": (row.generation > 0).then(|| now - row.checked_ms),
                    "fresh": freshness::need(&age, &self.policy, now) == freshness::Need::Nothing,
                    "generation": row.generation,
                })
            })
            .collect();
        Ok(serde_json::Value::Array(rows).to_string())
    }
}

impl crate::platform::fork::Forks for Shared {
    fn before(self: Arc<Self>) -> Vec<Box<dyn crate::platform::fork::Release>> {
        use crate::platform::fork::hold;
        // What a call holds while it waits for the store, which is held next.
        let mut held: Vec<Box<dyn crate::platform::fork::Release>> = vec![
            Box::new(hold(&self, |all| &all.watch)),
            Box::new(hold(&self, |all| &all.in_memory.making)),
            Box::new(hold(&self, |all| &all.catching_up)),
            Box::new(hold(&self, |all| &all.in_memory.images)),
            Box::new(hold(&self, |all| &all.compacting)),
            Box::new(hold(&self, |all| &all.flushed)),
            Box::new(hold(&self, |all| &all.trouble)),
            Box::new(hold(&self, |all| &all.samples.0)),
            Box::new(hold(&self, |all| &all.flights.by_name)),
            Box::new(hold(&self, |all| &all.flights.leases)),
        ];
        held.extend(self.source.iter().flat_map(|source| Arc::clone(source).before_fork()));
        held
    }

    fn after(&self, side: &crate::platform::fork::Side) {
        if let crate::platform::fork::Side::Child(alone) = side {
            self.snapshot.reset_after_fork(alone);
            self.flights.reset_after_fork();
            self.forget_watch();
            // What the parent counted is the parent's to tell the store.
            if let Ok(mut flushed) = self.flushed.try_lock() {
                *flushed = self.counters.begin_child();
            }
            if let Some(source) = &self.source {
                source.after_fork();
            }
        }
    }
}

impl Shared {
    /// Refuses what no path can be.
    fn check_path(&self, path: &[u8]) -> Result<()> {
        /// The longest that Windows knows, in its own units; POSIX systems stop at 4,096 bytes.
        const LONGEST: usize = 32_767;
        let refuse = |text: String| Err(Error::new(Status::InvalidArgument, text));
        if path.is_empty() {
            return refuse("the path is empty: give the path of a file".into());
        }
        if path.len() > LONGEST {
            return refuse(format!(
                "the path is {} bytes long and begins with '{}': paths have at most {LONGEST}",
                path.len(),
                self.shown(&path[..32]),
            ));
        }
        if path.contains(&0) {
            return refuse(format!(
                "the path '{}' holds a NUL byte: no file has such a name",
                self.shown(path)
            ));
        }
        Ok(())
    }
}

/// The folder that an index was opened in.
impl AsRef<Path> for Index {
    fn as_ref(&self) -> &Path {
        self.shared.store.folder().path()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        crate::platform::fork::forget_dead();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
