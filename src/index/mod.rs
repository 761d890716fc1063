//! The index: opens, answers, records, invalidates, refreshes, counts, closes. It acts on what the modules below it decide.
//!
//! [`Index`] is what a host holds; [`Library`] one library of it, or all. An answer is made of one [`snapshot`] of the
//! store; [`fetch`] is the only part that speaks to the source.

mod answer;
mod ask;
mod find;
mod host;
mod library;
mod point;
mod samples;
mod shown;
mod timing;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[doc(hidden)]
pub use crate::edit::{Edit, EditReport, Edited};
pub use crate::events::DebounceIntervals;
pub use crate::reading::Selector;
pub use answer::{Answer, Candidate, Match};
pub use library::Library;

pub use crate::platform::clock::{Clock, ManualClock, SystemClock};

use crate::edit::Editing;
use crate::error::{Error, Result, Status};
use crate::events::Events;
use crate::freshness::{self, Policy};
use crate::maintenance::{Images, Maintenance};
use crate::matching::Mappings;
pub use crate::matching::propose::Proposal;
use crate::options::Options;
use crate::reading::{self, Reading};
use crate::source::plex::PlexHttp;
use crate::source::{Meter, Source};
use crate::stats::{Counters, Stats};
use crate::store::Store;
pub use crate::sync::Progress;
use crate::sync::{Call, Syncing};

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
    store: Arc<Store>,
    images: Arc<Images>,
    maintenance: Arc<Maintenance>,
    reading: Arc<Reading>,
    source: Option<Arc<dyn Source>>,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    sync: Arc<Syncing>,
    samples: samples::MappingSamples,
    closed: AtomicBool,
    events: Arc<Events>,
    editing: Editing,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({})", self.store.folder().path().display())
    }
}

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
        let store = Arc::new(store);
        let images = Arc::new(Images::new(
            Arc::clone(&store),
            mappings.clone(),
            Arc::clone(&clock),
            Arc::clone(&counters),
            options.no_mmap,
            host::host_items,
        ));
        let maintenance = Arc::new(Maintenance::new(
            Arc::clone(&store),
            Arc::clone(&images),
            Arc::clone(&counters),
            options.matches_limit,
            source.is_none(),
        ));
        let reading = Arc::new(Reading::new(
            Arc::clone(&store),
            Arc::clone(&images),
            mappings,
            Arc::clone(&clock),
            Arc::clone(&counters),
            &options,
        ));
        reading.reload()?;
        let sync = Arc::new(Syncing::new(
            Arc::clone(&store),
            source.clone(),
            Arc::clone(&images),
            Arc::clone(&maintenance),
            Arc::clone(&reading),
            Arc::clone(&clock),
            Arc::clone(&counters),
            &options,
        ));
        let events = Arc::new(Events::new(
            Arc::clone(&store),
            source.clone(),
            Arc::clone(&reading),
            Arc::clone(&counters),
        ));
        let shared = Arc::new(Shared {
            policy: Policy::new(&options),
            samples: samples::MappingSamples::default(),
            closed: AtomicBool::new(false),
            editing: Editing::new(
                Arc::clone(&store),
                Arc::clone(&reading),
                Arc::clone(&sync),
                Arc::clone(&events),
            ),
            events,
            options,
            store,
            images,
            maintenance,
            reading,
            sync,
            source,
            clock,
            counters,
        });
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
        self.shared.match_path(&self.shared.call(query), path, then)
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
        let call = self.shared.call(query);
        let mut failed: Option<Error> = None;
        for (place, path) in paths.iter().enumerate() {
            // A server that failed once is not asked again for each of the others.
            let call = Call {
                offline: call.offline || failed.is_some(),
                ..call
            };
            let answered = self.shared.match_path(&call, path, |answer| {
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
        self.shared.match_guid(&self.shared.call(query), guid, then)
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
        self.shared.search_title(&self.shared.call(query), title, then)
    }

    /// The items of a library as they are stored, those after `cursor` (0 to begin), at most `limit`: each with the
    /// cursor behind it. Asks nobody.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for all libraries at once; [`Status::LibraryNotFound`]; the store's.
    pub fn items(&self, library: &Library, cursor: i64, limit: usize) -> Result<Vec<(i64, crate::model::Item)>> {
        self.shared.reading.items(&library.selection, cursor, limit)
    }

    /// Makes a full listing of every library due, and forgets all confirmed matches.
    ///
    /// # Errors
    /// The store's.
    pub fn invalidate_all(&self) -> Result<()> {
        self.shared.reading.invalidate(None)
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
        self.shared.sync.refresh(&self.shared.call(query), full)
    }

    /// The libraries as JSON: an array of objects.
    ///
    /// # Errors
    /// As [`Index::refresh`], when none is known yet.
    pub fn libraries_json(&self, query: &QueryOptions<'_>) -> Result<String> {
        self.shared.libraries_json(&self.shared.call(query))
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
        self.shared.events.watch_start(pace)
    }

    /// Ends watching, within a second; returns when no thread watches any more. Not watching is fine.
    pub fn watch_stop(&self) {
        self.shared.events.watch_stop();
    }

    /// Notes what a webhook (its JSON, or the whole form) or a notification says that the host received itself: what
    /// changed is looked at again by the next query about it. Asks nobody.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for a body that is neither; the store's.
    pub fn notify(&self, body: &[u8]) -> Result<()> {
        self.shared.events.notify(body)
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
        self.shared.editing.edit_items(&self.shared.call(query), edit, report)
    }

    /// Asks the server who it is and which libraries it shows, whatever is known: for finding out what is wrong. Costs
    /// two requests, three at the first contact; what they tell is stored. A JSON object.
    ///
    /// # Errors
    /// The server's; [`Status::Offline`]; the store's.
    pub fn server_json(&self, query: &QueryOptions<'_>) -> Result<String> {
        let (server, took, libraries) = self.shared.sync.ask_server(&self.shared.call(query))?;
        self.shared.reading.catch_up()?;
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
    /// One call of the host, with its deadline as a moment: all that it does shares that.
    fn call<'q>(&self, query: &QueryOptions<'q>) -> Call<'q> {
        let time = match query.deadline {
            Deadline::At(until) => Err(until),
            Deadline::None => Ok(None),
            Deadline::Default => Ok(self.options.deadline),
            Deadline::In(time) => Ok(Some(time)),
        };
        Call {
            library: query.library.map(|library| &library.selection),
            until: time.map_or_else(Some, |time| time.map(|time| Instant::now() + time)),
            offline: query.offline,
            progress: query.progress,
        }
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn close(&self) -> Result<()> {
        if self.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.events.watch_stop();
        let flushed = self.maintenance.flush_counters();
        self.store.close();
        flushed
    }

    fn stats(&self) -> Result<Stats> {
        if let Err(error) = self.maintenance.flush_counters() {
            log::debug!("the counters are written later: {error}");
        }
        self.reading.catch_up()?;
        let totals = self.store.totals()?;
        let identity = self.reading.identity();
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
            last_failure: self.sync.back_off().text(),
            ..self.counters.read()
        })
    }

    fn clear(&self) -> Result<()> {
        let identity = self.reading.identity();
        if let Some(identity) = identity {
            self.store.clear_for_good(identity)?;
            self.reading.catch_up()?;
            self.maintenance.cleared();
            log::info!("the store was cleared");
        }
        Ok(())
    }

    fn libraries_json(&self, call: &Call<'_>) -> Result<String> {
        self.reading.catch_up()?;
        if self.reading.snapshot().rows.is_empty() && self.sync.may_ask(call) {
            let since = self.reading.snapshot().sequence();
            self.sync.probe(call, since)?;
            self.reading.catch_up()?;
        }
        let snapshot = self.reading.snapshot();
        let now = self.now_ms();
        let rows: Vec<_> = snapshot
            .rows
            .iter()
            .map(|row| {
                let age = reading::age(row);
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
        let mut held: Vec<Box<dyn crate::platform::fork::Release>> = vec![self.events.hold()];
        held.extend(self.reading.hold());
        held.extend([self.images.hold()]);
        held.extend(self.maintenance.hold());
        held.push(Box::new(hold(&self, |all| &all.samples.0)));
        held.extend(self.sync.hold());
        held
    }

    fn after(&self, side: &crate::platform::fork::Side) {
        if let crate::platform::fork::Side::Child(alone) = side {
            self.reading.after_fork(alone);
            self.maintenance.after_fork();
            self.sync.after_fork();
            self.events.after_fork();
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
