//! What a host holds: an open index.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::inner::Inner;
use super::library::{Library, QueryOptions};
use super::timing::Timed;
use crate::edit::{Edit, EditReport};
use crate::engine::{Selector, Store, StoreFacts, Tables};
use crate::error::{Error, Result, Status};
use crate::events::DebounceIntervals;
use crate::matching::propose::Proposal;
use crate::model::{Server, Token};
use crate::options::Options;
use crate::platform::clock::{Clock, SystemClock};
use crate::query::{self, Answer, Changes, FolderFacts, LibraryFacts, Match};
use crate::source::{self, Meter, Next, Source};
use crate::stats::{Counters, Stats};
use crate::sync::Why;

/// An open index. Usable from any thread; cheap calls never wait for expensive ones.
#[derive(Debug)]
pub struct Index {
    pub(super) inner: Arc<Inner>,
}

impl Index {
    /// Opens an index. Touches the disk only.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for options that are refused, [`Status::Store`], [`Status::StoreFull`].
    pub fn open(options: Options) -> Result<Self> {
        Self::open_with_clock(options, Arc::new(SystemClock))
    }

    /// Opens an index over another source, or with another clock: for tests, and for sources to come. The source
    /// counts its requests in the meter that `source` is given.
    ///
    /// # Errors
    /// As [`Index::open`].
    #[allow(clippy::needless_pass_by_value)] // given away: an index has its own
    pub fn open_with(
        options: Options,
        clock: Arc<dyn Clock>,
        source: impl FnOnce(&Options, &str, Arc<dyn Meter>) -> Result<Arc<dyn Source>>,
    ) -> Result<Self> {
        Self::over(&options, clock, |store, meter| {
            let id = store.folder().client_identifier()?;
            source(&options, &id, meter).map(Some)
        })
    }

    /// [`Index::open`] with another clock: for tests.
    ///
    /// # Errors
    /// As [`Index::open`].
    #[doc(hidden)]
    #[allow(clippy::needless_pass_by_value)] // as above
    pub fn open_with_clock(options: Options, clock: Arc<dyn Clock>) -> Result<Self> {
        let checked = source::check(&options)?;
        let its_clock = Arc::clone(&clock);
        Self::over(&options, clock, |store, meter| {
            let identifier = || store.folder().client_identifier();
            source::open(&options, checked, identifier, meter, &its_clock)
        })
    }

    fn over(
        options: &Options,
        clock: Arc<dyn Clock>,
        source: impl FnOnce(&Store, Arc<dyn Meter>) -> Result<Option<Arc<dyn Source>>>,
    ) -> Result<Self> {
        options.check()?;
        let store = Store::open(&options.cache_dir, !options.no_mmap)?;
        let counters = Arc::new(Counters::default());
        let source = source(&store, Arc::clone(&counters) as Arc<dyn Meter>)?;
        let inner = Inner::new(options, store, source, clock, counters)?;
        Ok(Self { inner })
    }

    fn timed<'a>(&'a self, what: &'static str, query: &QueryOptions<'a>, many: Option<usize>) -> Timed<'a> {
        self.inner.timed(what, query.library.map(Library::selector), many)
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
        Library::new(&self.inner, selector)
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
        let at_once = query.call_without_deadline();
        let then = match self.inner.queries.match_at_once(&at_once, path, then) {
            Ok(given) => return given,
            Err(then) => then,
        };
        let _timed = self.timed("match_path", query, None);
        let queries = &self.inner.queries;
        let mut then = Some(then);
        self.inner.asking(&query.call(&self.inner), |call| {
            queries.match_path(call, path, |answer| take(&mut then)?(answer))
        })
    }

    /// The same where it needs no wait, be it for a request, another thread or the database; else [`Status::NotYet`].
    ///
    /// # Errors
    /// That of `then`.
    pub fn match_path_at_once<R>(
        &self,
        query: &QueryOptions<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let given = self
            .inner
            .queries
            .match_at_once(&query.call_without_deadline(), path, then);
        given.unwrap_or_else(|then| then(&Answer::not_yet(self.inner.reading.kind())))
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
        let _timed = self.timed("match_paths", query, Some(paths.len()));
        // Those that have their answers are not asked again.
        let mut answered = 0;
        self.inner.asking(&query.call(&self.inner), |call| {
            let left = paths.get(answered..).unwrap_or_default();
            self.inner.queries.match_paths(call, left, |answer| {
                answered += 1;
                each(answer);
            })
        })
    }

    /// The answer for a folder, borrowed by `then`, with what it says besides.
    ///
    /// # Errors
    /// As [`Index::match_path`].
    pub fn match_folder_with<R>(
        &self,
        query: &QueryOptions<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>, FolderFacts) -> Result<R>,
    ) -> Result<R> {
        let at_once = query.call_without_deadline();
        let then = match self.inner.queries.match_folder_at_once(&at_once, path, then) {
            Ok(given) => return given,
            Err(then) => then,
        };
        let _timed = self.timed("match_folder", query, None);
        let queries = &self.inner.queries;
        let mut then = Some(then);
        self.inner.asking(&query.call(&self.inner), |call| {
            queries.match_folder(call, path, |answer, facts| take(&mut then)?(answer, facts))
        })
    }

    /// The same where it needs no wait, as [`Index::match_path_at_once`].
    ///
    /// # Errors
    /// That of `then`.
    pub fn match_folder_at_once<R>(
        &self,
        query: &QueryOptions<'_>,
        path: &[u8],
        then: impl FnOnce(&Answer<'_>, FolderFacts) -> Result<R>,
    ) -> Result<R> {
        let queries = &self.inner.queries;
        let given = queries.match_folder_at_once(&query.call_without_deadline(), path, then);
        given.unwrap_or_else(|then| then(&Answer::not_yet(self.inner.reading.kind()), FolderFacts::default()))
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
        let _timed = self.timed("match_guid", query, None);
        let queries = &self.inner.queries;
        let mut then = Some(then);
        self.inner.asking(&query.call(&self.inner), |call| {
            queries.match_guid(call, guid, |answer| take(&mut then)?(answer))
        })
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
        let _timed = self.timed("search_title", query, None);
        let queries = &self.inner.queries;
        let mut then = Some(then);
        self.inner.asking(&query.call(&self.inner), |call| {
            queries.search_title(call, title, |answer| take(&mut then)?(answer))
        })
    }

    /// The items of a library as they are stored, those after `cursor` (0 to begin), at most `limit`: each with the
    /// cursor behind it. Sends no request.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for all libraries at once; [`Status::LibraryNotFound`], also where it was never fetched;
    /// the store's.
    pub fn items(&self, library: &Library, cursor: i64, limit: usize) -> Result<Vec<(i64, crate::model::Item)>> {
        self.inner.reading.items(&library.selection, cursor, limit)
    }

    /// What a path of the server is called on this machine, as far as mappings tell.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for what no path can be.
    pub fn host_path<'p>(&self, path: &'p [u8]) -> Result<Cow<'p, [u8]>> {
        self.inner.queries.check_path(path)?;
        Ok(self.inner.reading.mappings().on_host(path))
    }

    /// What happened since a cursor was given, in the query's library or in all, at most about `limit` items: with the cursor
    /// of then. Without a cursor the one of now, or, with `full`, the listing as additions. Sends no request.
    ///
    /// # Errors
    /// [`Status::ListAgain`] where what happened since is not known any more; [`Status::InvalidArgument`] for what is no cursor;
    /// [`Status::LibraryNotFound`] while nothing was fetched; the store's.
    pub fn changes(&self, query: &QueryOptions<'_>, token: &str, full: bool, limit: usize) -> Result<Changes> {
        let _timed = self.timed("changes", query, None);
        self.inner.queries.changes(&query.call(&self.inner), token, full, limit)
    }

    /// The same as a JSON object.
    ///
    /// # Errors
    /// As [`Index::changes`].
    pub fn changes_json(&self, query: &QueryOptions<'_>, token: &str, full: bool, limit: usize) -> Result<String> {
        let page = self.changes(query, token, full, limit)?;
        Ok(page.to_json(|item| self.key(&item.rating_key)))
    }

    /// The public key of a rating key.
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        self.inner.reading.kind().key(rating_key)
    }

    /// Waits until something happened since a cursor was given, or the server has to be asked before that is known: then
    /// [`Status::Ok`]. [`Status::NotYet`] when the deadline comes first.
    ///
    /// # Errors
    /// [`Status::Aborted`] when the progress callback says so; else as [`Index::changes`].
    pub fn wait_for_changes(&self, query: &QueryOptions<'_>, token: &str) -> Result<Status> {
        self.inner.queries.wait_for_changes(&query.call(&self.inner), token)
    }

    /// Makes each [`Index::wait_for_changes`] that is under way call its progress callback now.
    pub fn wake_waiting(&self) {
        self.inner.queries.wake_waiting();
    }

    /// Replaces the token. What is under way goes on with the one that it began with. Where the options name no user, nothing
    /// of the earlier token's is answered before the server has accepted this one.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for what no token can be; the store's.
    pub fn set_token(&self, token: Option<Token>) -> Result<()> {
        self.inner.set_token(token, Next::Any)
    }

    /// Makes a full listing of every library due, and forgets all confirmed matches.
    ///
    /// # Errors
    /// The store's.
    pub fn invalidate_all(&self) -> Result<()> {
        self.inner.reading.invalidate(None)
    }

    /// Empties the store of this server and user; without a server, of the one whose answers are given.
    ///
    /// # Errors
    /// The store's.
    pub fn clear(&self) -> Result<()> {
        self.inner.clear()
    }

    /// What the host keeps itself, beside what servers show.
    #[must_use]
    pub fn tables(&self) -> &Arc<Tables> {
        &self.inner.tables
    }

    /// Brings libraries up to date now. `full`: by a full listing, whatever its change token says.
    ///
    /// # Errors
    /// The server's; [`Status::Offline`]; [`Status::Aborted`]; the store's. That the deadline came first is
    /// [`Status::NotYet`] or [`Status::NeedsWarm`] and no error.
    pub fn refresh(&self, query: &QueryOptions<'_>, full: bool) -> Result<Status> {
        let _timed = self.timed("refresh", query, None);
        let why = if full { Why::Full } else { Why::Due };
        self.inner
            .asking(&query.call(&self.inner), |call| self.inner.sync.refresh(call, why))
    }

    /// The same where listings are fresh, too: one request tells whether anything changed.
    ///
    /// # Errors
    /// As [`Index::refresh`].
    pub fn check(&self, query: &QueryOptions<'_>) -> Result<Status> {
        let _timed = self.timed("check", query, None);
        self.inner
            .asking(&query.call(&self.inner), |call| self.inner.sync.refresh(call, Why::Now))
    }

    /// The libraries that are known, asked for when none is.
    ///
    /// # Errors
    /// As [`Index::refresh`], when none is known yet.
    pub fn libraries(&self, query: &QueryOptions<'_>) -> Result<Vec<LibraryFacts>> {
        self.inner
            .asking(&query.call(&self.inner), |call| self.inner.queries.libraries(call))
    }

    /// The same as JSON: an array of objects.
    ///
    /// # Errors
    /// As [`Index::libraries`].
    pub fn libraries_json(&self, query: &QueryOptions<'_>) -> Result<String> {
        let rows: Vec<_> = self.libraries(query)?.iter().map(LibraryFacts::to_json).collect();
        Ok(serde_json::Value::Array(rows).to_string())
    }

    /// Listens to the server's events from now on, on a thread of the library's own, until [`Index::watch_stop`] or the
    /// end: the next query about what changed probes or verifies it. Nothing new when it does already.
    /// Whether the server can be reached shows in the log; it is tried again for as long as it takes. A fork's child
    /// watches only when it begins to by itself.
    ///
    /// # Errors
    /// [`Status::Offline`] without a server; [`Status::Store`] when no thread can be had.
    pub fn watch_start(&self) -> Result<()> {
        self.watch_start_at(DebounceIntervals::default())
    }

    /// Listens as [`Index::watch_start`], until [`Index::watch_leave`] was called as often as this.
    ///
    /// # Errors
    /// As [`Index::watch_start`].
    pub fn watch_join(&self) -> Result<()> {
        self.inner.events.watch_join(DebounceIntervals::default())
    }

    /// Ends watching when no other call of [`Index::watch_join`] still wants it.
    pub fn watch_leave(&self) {
        self.inner.events.watch_leave();
    }

    /// The same, faster or slower: for tests.
    ///
    /// # Errors
    /// As [`Index::watch_start`].
    #[doc(hidden)]
    pub fn watch_start_at(&self, intervals: DebounceIntervals) -> Result<()> {
        self.inner.events.watch_start(intervals)
    }

    /// Ends watching, within a second; returns when no thread watches any more. Not watching is fine.
    pub fn watch_stop(&self) {
        self.inner.events.watch_stop();
    }

    /// Notes what a webhook (its JSON, or the whole form) or a notification says that the host received itself: what
    /// changed is probed or verified by the next query about it. Webhooks of another server are ignored. Sends no request.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for a body that is neither; [`Status::LibraryNotFound`] while the server has not accepted
    /// a new token; the store's.
    pub fn notify(&self, body: &[u8]) -> Result<()> {
        self.inner.events.notify(body)
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
        let editing = &self.inner.editing;
        self.inner
            .asking(&query.call(&self.inner), |call| editing.edit_items(call, edit, report))
    }

    /// Asks the server who it is and which libraries it shows, whatever is known: for finding out what is wrong. Costs
    /// two requests, three at the first contact; what they tell is stored. Gives the server, how long it took to say so, and
    /// how many libraries it shows.
    ///
    /// # Errors
    /// The server's; [`Status::Offline`]; the store's.
    pub fn ask_server(&self, query: &QueryOptions<'_>) -> Result<(Server, Duration, usize)> {
        let told = self
            .inner
            .asking(&query.call(&self.inner), |call| self.inner.sync.ask_server(call))?;
        self.inner.reading.catch_up()?;
        Ok(told)
    }

    /// The same as a JSON object.
    ///
    /// # Errors
    /// As [`Index::ask_server`].
    pub fn server_json(&self, query: &QueryOptions<'_>) -> Result<String> {
        let (server, took, libraries) = self.ask_server(query)?;
        Ok(serde_json::json!({
            "machine_identifier": server.machine_identifier,
            "version": server.version,
            "answered_us": u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "libraries": libraries,
            "database_aside": self.why_aside(),
        })
        .to_string())
    }

    /// Why Plex's database is put aside, so that the server is asked in its place, as the last trip found it; `None` where it
    /// is used, or none was named.
    #[must_use]
    pub fn why_aside(&self) -> Option<String> {
        self.inner.sync.why_aside()
    }

    /// Mappings that this handle's answers by the end of a path speak for, the best first.
    #[must_use]
    pub fn proposals(&self) -> Vec<Proposal> {
        self.inner.queries.samples().proposals(self.inner.reading.identity())
    }

    /// The same as a JSON array.
    #[must_use]
    pub fn proposals_json(&self) -> String {
        query::to_json(&self.proposals())
    }

    /// What kind of place the store is in.
    ///
    /// # Errors
    /// The store's.
    pub fn store_facts(&self) -> Result<StoreFacts> {
        self.inner.store.facts()
    }

    /// The same as a JSON object.
    ///
    /// # Errors
    /// The store's.
    pub fn store_json(&self) -> Result<String> {
        Ok(self.store_facts()?.to_json())
    }

    /// What happened.
    ///
    /// # Errors
    /// The store's.
    pub fn stats(&self) -> Result<Stats> {
        self.inner.stats()
    }

    /// Writes the counters and closes the store. Dropping does the same and ignores errors.
    ///
    /// # Errors
    /// The store's, when the counters could not be written.
    pub fn close(self) -> Result<()> {
        self.inner.close()
    }
}

/// What an answer is handed to: once, however often the call is made.
fn take<T>(then: &mut Option<T>) -> Result<T> {
    then.take()
        .ok_or_else(|| Error::new(Status::Panic, "an answer was handed over twice: a defect in plexindex"))
}

impl Drop for Index {
    fn drop(&mut self) {
        let _ = self.inner.close();
    }
}

/// The folder that an index was opened in.
impl AsRef<Path> for Index {
    fn as_ref(&self) -> &Path {
        self.inner.store.folder().path()
    }
}
