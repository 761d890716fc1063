//! A query and its limits, and the matches that it records. If the server refuses its token, asks the host for a new one,
//! and repeats the call.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use super::facts::{Refreshed, ServerInfo, WaitOutcome};
use super::opened::{Index, Inner, Library};
use crate::engine::{MemtableChange, RecordRows, is_locked};
use crate::error::{Error, Result, Status, invalid_argument_error, try_with_capacity};
use crate::matching::remove_redundant_components;
use crate::model::{FolderKind, LibraryInfo};
use crate::platform::clock::Deadline;
use crate::platform::files::bytes_of;
use crate::query::{Answer, ChangePage, Folder, Item, Match, non_empty};
use crate::stats::Activity;
use crate::sync::{
    AllowedView, Call, FileSize, MAX_RETRIES, Progress, RefreshReason, ScanTarget, cleared_repeatedly_error,
};

/// The host's progress callback.
type ProgressCallback<'q> = Box<dyn FnMut(&Progress<'_>) -> ControlFlow<()> + Send + 'q>;

/// A query of one library or of all libraries. Set the limits first, then call the method that answers.
///
/// ```no_run
/// use std::ops::ControlFlow;
/// use std::time::Duration;
/// # let folder = tempfile::tempdir()?;
/// # let index = plexindex::Index::open(plexindex::Options {
/// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
/// #     token: plexindex::Token::new("YOUR-TOKEN"),
/// #     ..plexindex::Options::new(folder.path())
/// # })?;
/// let path = "/media/movies/Big Buck Bunny (2008).mkv";
/// let movies = index.library("Movies")?;
///
/// // For two seconds at most, with progress.
/// let found = movies
///     .query()
///     .timeout(Duration::from_secs(2))
///     .progress(|so_far| {
///         eprintln!("{} of {:?}", so_far.items, so_far.total);
///         ControlFlow::Continue(())
///     })
///     .match_path(path)?;
///
/// // At once, from the store: sends no request.
/// let again = movies.query().offline().match_path(path)?;
/// assert_eq!(again.status, found.status);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a query does nothing until you call a method that answers"]
pub struct Query<'q> {
    pub(super) index: &'q Index,
    pub(super) library: Option<&'q Library>,
    deadline: Option<Duration>,
    offline: bool,
    always_asks: bool,
    file_size: FileSize,
    folder_kind: Option<FolderKind>,
    pub(super) through: bool,
    progress: Option<RefCell<ProgressCallback<'q>>>,
}

impl<'q> Query<'q> {
    /// Creates a query with the limits from the options. `library` is `None` for all libraries.
    pub(super) fn new(index: &'q Index, library: Option<&'q Library>) -> Self {
        Self {
            index,
            library,
            deadline: index.inner().deadline,
            offline: false,
            always_asks: false,
            file_size: FileSize::Read,
            folder_kind: None,
            through: false,
            progress: None,
        }
    }

    /// Sets the call's timeout, by default [`Options::timeout`](crate::Options::timeout). When the timeout passes:
    ///
    /// | call | outcome |
    /// |---|---|
    /// | a query: `match_path`, `match_paths`, `match_folder`, `match_guid`, `search_title` | an older answer, marked as stale; otherwise the status [`NotYet`](crate::MatchStatus::NotYet) or [`NeedsWarm`](crate::MatchStatus::NeedsWarm) |
    /// | `refresh`, `check`, `refresh_fully` | [`Refreshed::NotYet`] or [`Refreshed::NeedsWarm`]; if no library is known, [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) |
    /// | `libraries` | the known libraries; if no library is known, `Timeout` |
    /// | `server` | `Timeout` |
    /// | `record_match`, `record_matches` | `Timeout`; nothing is recorded |
    /// | `wait_for_path` | the last answer |
    /// | `wait_for_changes` | [`WaitOutcome::NotYet`] |
    ///
    /// After `NotYet`, repeat the call: plexindex continues where the call stopped. After `NeedsWarm`, repeating the
    /// call does not help: the timeout is too short for the server.
    ///
    /// A timeout of zero leaves no time for a request, so an answer that needs a request is `NotYet` or `NeedsWarm`.
    /// [`Query::offline`] sends no request either, but trusts the store: an unlisted path is `NotFound`.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Some(timeout);
        self
    }

    /// Removes the timeout, including the default from the options.
    pub fn no_timeout(mut self) -> Self {
        self.deadline = None;
        self
    }

    /// Makes the call answer from the store, without a request.
    pub fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    /// Makes a query ask the server for changes first, even if the listings are fresh and plexindex asked about the
    /// same file a moment ago. An offline query still sends no request.
    pub fn always_ask(mut self) -> Self {
        self.always_asks = true;
        self
    }

    /// Tells the size of the file in bytes, as a webhook may know it. The same name and the same size are the very file. By
    /// default, plexindex reads the size of a file on this machine if the path is not listed; it waits at most two seconds
    /// for that, and not at all in [`Query::match_path_at_once`] and fast lookups.
    pub fn size(mut self, bytes: u64) -> Self {
        self.file_size = FileSize::Known(bytes);
        self
    }

    /// Makes a query read nothing from the file's folder.
    pub fn without_size(mut self) -> Self {
        self.file_size = FileSize::Unread;
        self
    }

    /// Sets a callback that receives the progress of a fetch. The callback runs on this thread, about ten times a
    /// second and once after the last page. If the callback returns [`ControlFlow::Break`], even after the last page,
    /// the call fails with [`ErrorKind::Aborted`](crate::ErrorKind::Aborted). The store keeps the fetched pages, and
    /// the next call continues after them.
    ///
    /// The callback may use the same index. A nested call that needs the same listing waits for the fetch. A panic in
    /// the callback also ends the call, and then unwinds into the caller.
    pub fn progress(mut self, callback: impl FnMut(&Progress<'_>) -> ControlFlow<()> + Send + 'q) -> Self {
        self.progress = Some(RefCell::new(Box::new(callback)));
        self
    }

    /// Returns the parameters of a call that must answer at once: without a wait, a request, a timeout or a token.
    fn call_at_once(&self) -> Call<'_> {
        Call {
            // Only an offline query trusts the store about an unlisted path. The call uses no token: number 0.
            offline: self.offline,
            always_asks: self.always_asks && !self.offline,
            file_size: self.file_size,
            ..Call::offline(self.library.map(|library| &*library.selection), 0)
        }
    }

    /// Calls `run` with this query's parameters: timeout, token, `offline` and progress callback. Returns the result
    /// of `run`. All steps of the call share one timeout.
    pub(super) fn run<R>(&self, run: impl FnOnce(&Call<'_>) -> R) -> R {
        let inner = self.index.inner();
        let call = Call {
            deadline: self.deadline.map_or(Deadline::NONE, Deadline::after),
            listed_wait: if self.always_asks {
                Duration::MAX
            } else {
                inner.stale_answer_timeout
            },
            session: inner.reading.tokens.current().number(),
            will_retry_with_new_token: inner.renewing.renewal.is_some(),
            ..self.call_at_once()
        };
        let Some(progress) = &self.progress else {
            return run(&call);
        };
        // A panic in the callback first ends the call like an abort, and then unwinds. If the panic unwound at once,
        // the call would wait for the whole fetch.
        let callback_panic = Cell::new(None);
        let report = |state: &Progress<'_>| match catch_unwind(AssertUnwindSafe(|| progress.borrow_mut()(state))) {
            Ok(flow) => flow.is_continue(),
            Err(panic) => {
                callback_panic.set(Some(panic));
                false
            }
        };
        let result = run(&Call {
            progress: Some(&report),
            ..call
        });
        match callback_panic.take() {
            Some(panic) => resume_unwind(panic),
            None => result,
        }
    }

    /// Calls `ask` with this query's parameters, and returns its result. If the server refuses the token, calls `ask`
    /// again with a new token.
    pub(super) fn ask<R>(&self, ask: impl FnMut(&Call<'_>) -> Result<R>) -> Result<R> {
        self.run(|call| self.index.inner().run_renewing(call, ask))
    }

    /// Calls `ask` with this query's parameters, and again with a new token if the server refuses the token. Counts and
    /// times the call. `operation` is the call's name in the log, and `path_count` is the size of a batch.
    pub(super) fn ask_timed<R>(
        &self,
        operation: &'static str,
        path_count: Option<usize>,
        ask: impl FnMut(&Call<'_>) -> Result<R>,
    ) -> Result<R> {
        let selector = self.library.map(Library::selector);
        let _timed = self.index.inner().start_timer(operation, selector, path_count);
        self.ask(ask)
    }

    /// Finds the item for a file. Fetches the library if necessary.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a path that is empty, contains a NUL, or
    /// is longer than 32,767 bytes; [errors of the server](crate::ErrorKind#errors-of-the-server), if a library was
    /// never fetched and cannot be fetched now; [`ErrorKind::Offline`](crate::ErrorKind::Offline) if no library is
    /// known and the query or the index is offline; [`ErrorKind::Aborted`](crate::ErrorKind::Aborted) if the progress
    /// callback ended the call; [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound),
    /// [`ErrorKind::LibraryAmbiguous`](crate::ErrorKind::LibraryAmbiguous); [errors of the
    /// store](crate::ErrorKind#errors-of-the-store).
    pub fn match_path(&self, path: impl AsRef<Path>) -> Result<Match> {
        self.match_path_with(bytes_of(&path), Match::of)
    }

    /// Finds the item for a path, and passes the borrowed answer to `then`, so that the C functions need not copy the
    /// answer. Returns the result of `then`. The statistics count the answer only if `then` succeeds.
    #[doc(hidden)]
    pub fn match_path_with<R>(&self, path: &[u8], then: impl FnOnce(&Answer<'_>) -> Result<R>) -> Result<R> {
        let (queries, reading) = (&self.index.inner().queries, &self.index.inner().reading);
        // First tries without waiting, which is faster and needs no timer.
        let then = match queries.match_path_at_once(&self.call_at_once(), path, then) {
            Ok(result) => return result,
            Err(then) => then,
        };
        let mut then = Some(then);
        self.ask_timed("match_path", None, |call| {
            // The pin keeps the query's libraries from being evicted while the answer refers to them.
            queries.match_path(&mut reading.eviction_pin(), call, path, |answer| {
                // Once, even if plexindex repeats the call with a new token.
                let twice = || Error::new(Status::Panic, "bug in plexindex: an answer was delivered twice");
                then.take().ok_or_else(twice)?(answer)
            })
        })
    }

    /// Waits until Plex lists a file, such as a new import. Returns the match as soon as its confidence is high, or the
    /// last answer at the timeout.
    ///
    /// Asks the server for changes at each interval `every`, with one request, or more if something changed. After an
    /// event ([`Index::watch`](crate::Index::watch)) or another process's fetch, looks at once, so `every` can be long.
    /// While the server is unreachable, an index with listings keeps waiting.
    ///
    /// # Errors
    /// As [`Query::match_path`]; [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) if `every` is zero.
    pub fn wait_for_path(&self, path: impl AsRef<Path>, every: Duration) -> Result<Match> {
        if every.is_zero() {
            return invalid_argument_error("the interval between two checks is 0: pass at least 1 ms");
        }
        let (queries, path) = (&self.index.inner().queries, bytes_of(&path));
        self.ask(|call| queries.wait_for_path(call, path, every))
    }

    /// Finds the item for a file without waiting for a request, another thread or the database. If the answer requires
    /// a wait, the status is [`NotYet`](crate::MatchStatus::NotYet): call [`Query::match_path`] instead. If the query
    /// is offline and no library is known, [`Query::match_path`] fails.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an invalid path; see
    /// [`Query::match_path`].
    pub fn match_path_at_once(&self, path: impl AsRef<Path>) -> Result<Match> {
        self.index.inner().queries.display.check_path(bytes_of(&path))?;
        self.match_path_at_once_with(bytes_of(&path), Match::of)
    }

    /// Finds the item for a path without waiting, passes the borrowed answer to `then`, and returns the result of
    /// `then`. If the answer requires a wait, `then` receives an answer with the status `NotYet`.
    #[doc(hidden)] // for the C functions
    pub fn match_path_at_once_with<R>(&self, path: &[u8], then: impl FnOnce(&Answer<'_>) -> Result<R>) -> Result<R> {
        let inner = self.index.inner();
        let result = inner.queries.match_path_at_once(&self.call_at_once(), path, then);
        result.unwrap_or_else(|then| then(&Answer::not_yet(inner.reading.kind)))
    }

    /// Finds the items for many files. Returns the results in the order of the paths; an invalid path gets an error.
    ///
    /// # Errors
    /// Errors that concern all paths; see [`Query::match_path`].
    pub fn match_paths<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Result<Vec<Result<Match>>> {
        let paths: Vec<P> = paths.into_iter().collect();
        let paths: Vec<&[u8]> = paths.iter().map(bytes_of).collect();
        let mut answers = Vec::with_capacity(paths.len());
        self.match_paths_with(&paths, |index, answer| {
            answers.truncate(index); // new answers may follow
            answers.push(Match::of(answer));
        })?;
        Ok(answers)
    }

    /// Finds the items for many paths, and passes the index and the borrowed answer of each to `each`, in the order of the
    /// paths. If the index is 0 again, new answers replace all earlier ones. The answer for an invalid path contains the error.
    #[doc(hidden)]
    pub fn match_paths_with(&self, paths: &[&[u8]], mut each: impl FnMut(usize, &Answer<'_>)) -> Result<()> {
        self.ask_timed("match_paths", Some(paths.len()), |call| {
            self.index.inner().queries.match_paths(call, paths, &mut each)
        })
    }

    /// Makes [`Query::match_folder`] find the movie, show, season, artist or album that has the files below the folder.
    pub fn folder_kind(mut self, kind: FolderKind) -> Self {
        self.folder_kind = Some(kind);
        self
    }

    /// Finds the item for a folder: by default the outermost one whose files are all below the folder. For the folder
    /// of a season, this is the show if the show has no other files. [`Query::folder_kind`] selects the kind of item.
    /// Fetches libraries if necessary.
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_folder(&self, path: impl AsRef<Path>) -> Result<Folder> {
        let (queries, path, kind) = (&self.index.inner().queries, bytes_of(&path), self.folder_kind);
        // First tries without waiting, which is faster and needs no timer.
        if let Ok(result) = queries.match_folder_at_once(&self.call_at_once(), path, kind, Folder::of) {
            return result;
        }
        self.ask_timed("match_folder", None, |call| {
            queries.match_folder(call, path, kind, Folder::of)
        })
    }

    /// Finds the show, season, artist, album or item for a folder without waiting for a request, another thread or the
    /// database. If the answer requires a wait, the status is [`NotYet`](crate::MatchStatus::NotYet).
    #[doc(hidden)] // for the C functions
    pub fn match_folder_at_once(&self, path: impl AsRef<Path>) -> Result<Folder> {
        let inner = self.index.inner();
        let result =
            inner
                .queries
                .match_folder_at_once(&self.call_at_once(), bytes_of(&path), self.folder_kind, Folder::of);
        result.unwrap_or_else(|then| then(&Answer::not_yet(inner.reading.kind)))
    }

    /// Finds the items with a GUID, which is Plex's own GUID or an external id such as `imdb://tt1254207`, of at most
    /// 4,096 bytes. For the GUID of a show, season, artist or album, returns at most 16 of its items, and the
    /// [message](Match::message) contains the rating key of the show, season, artist or album.
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_guid(&self, guid: &str) -> Result<Match> {
        let queries = &self.index.inner().queries;
        self.ask_timed("match_guid", None, |call| queries.match_guid(call, guid, Match::of))
    }

    /// Finds the items with a title of at most 4,096 bytes, ignoring case, accents and punctuation. If no item has the
    /// title, finds the items whose titles contain all of its words, with low confidence. The title of a show finds the
    /// show's episodes.
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn search_title(&self, title: &str) -> Result<Match> {
        let queries = &self.index.inner().queries;
        self.ask_timed("search_title", None, |call| {
            queries.search_title(call, title, Match::of)
        })
    }

    /// Refreshes the libraries whose listings have expired or were invalidated. Sends no request if all listings are
    /// fresh; [`Query::check`] always sends a request. Returns whether the libraries are now up to date.
    ///
    /// # Errors
    /// [Errors of the server](crate::ErrorKind#errors-of-the-server), among them
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if the timeout passes before any library is known;
    /// [`ErrorKind::Offline`](crate::ErrorKind::Offline); [`ErrorKind::Aborted`](crate::ErrorKind::Aborted); [errors of
    /// the store](crate::ErrorKind#errors-of-the-store).
    pub fn refresh(&self) -> Result<Refreshed> {
        self.refresh_as("refresh", RefreshReason::Due).map(Refreshed::of)
    }

    /// Asks the server for changes even if the listings are fresh, and refreshes the changed libraries. Returns whether
    /// the libraries are now up to date.
    ///
    /// # Errors
    /// As [`Query::refresh`].
    pub fn check(&self) -> Result<Refreshed> {
        self.refresh_as("check", RefreshReason::Check).map(Refreshed::of)
    }

    /// Fetches full listings, even if the server reports no change. Returns whether the libraries are now up to date.
    ///
    /// # Errors
    /// As [`Query::refresh`].
    pub fn refresh_fully(&self) -> Result<Refreshed> {
        self.refresh_as("refresh", RefreshReason::Full).map(Refreshed::of)
    }

    /// Refreshes the libraries, and returns the status for the C ABI, in which a missed timeout is not an error.
    /// `operation` is the call's name in the log, and `reason` decides which libraries to refresh.
    #[doc(hidden)] // for the C functions
    pub fn refresh_as(&self, operation: &'static str, reason: RefreshReason) -> Result<Status> {
        self.ask_timed(operation, None, |call| self.index.inner().sync.refresh(call, reason))
    }

    /// Waits until the feed has [`Changes`](crate::Changes) after this cursor, or a refresh is due. Returns
    /// [`WaitOutcome::NotYet`] at the timeout. Sees the changes of all processes within 100 ms, and sends no request.
    /// Uses almost no CPU time. Without shared memory, as on some network file systems, reads the database each second.
    ///
    /// The [`Query::progress`] callback runs every 200 ms and after
    /// [`Index::wake_waiting`](crate::Index::wake_waiting), without a library or items. If the callback returns
    /// [`ControlFlow::Break`], the wait ends.
    ///
    /// ```no_run
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
    /// #     token: plexindex::Token::new("YOUR-TOKEN"),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// use std::time::Duration;
    /// use plexindex::WaitOutcome;
    ///
    /// let _ = index.refresh()?;
    /// let _watch = index.watch()?; // events of the server end the wait
    /// let mut cursor = index.changes(None)?.cursor().unwrap().to_owned();
    /// # let mut rounds = 0;
    /// loop {
    ///     match index.query().timeout(Duration::from_millis(100)).wait_for_changes(&cursor)? {
    ///         WaitOutcome::Something => {
    ///             let _ = index.refresh()?; // if a refresh is due
    ///             let mut changes = index.changes(Some(&cursor))?;
    ///             for change in &mut changes {
    ///                 println!("{}", change?);
    ///             }
    ///             cursor = changes.cursor().unwrap().to_owned(); // store it: other processes can use it too
    ///         }
    ///         _ => println!("nothing yet"),
    ///     }
    /// #     rounds += 1;
    /// #     if rounds == 2 { break; }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Aborted`](crate::ErrorKind::Aborted) if the callback ended the wait; otherwise as
    /// [`Index::changes`](crate::Index::changes).
    pub fn wait_for_changes(&self, cursor: &str) -> Result<WaitOutcome> {
        let status = self.run(|call| self.index.inner().queries.wait_for_changes(call, cursor))?;
        Ok(match status {
            Status::NotYet => WaitOutcome::NotYet,
            _ => WaitOutcome::Something,
        })
    }

    /// Returns a page of the feed: the changes of about `limit` items after the cursor, and the next cursor. With an
    /// empty cursor, the feed starts at the current position, or with all items if `full` is true.
    #[doc(hidden)]
    pub fn changes_page(&self, cursor: &str, full: bool, limit: usize) -> Result<ChangePage> {
        let inner = self.index.inner();
        let _timed = inner.start_timer("changes", self.library.map(Library::selector), None);
        self.run(|call| inner.queries.changes(call, cursor, full, limit))
    }

    /// Returns the query's library, or all known libraries. If no library is known, asks the server; an offline query
    /// of all libraries returns an empty list.
    ///
    /// # Errors
    /// [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound),
    /// [`ErrorKind::LibraryAmbiguous`](crate::ErrorKind::LibraryAmbiguous); as [`Query::refresh`], if no library is
    /// known yet.
    pub fn libraries(&self) -> Result<Vec<LibraryInfo>> {
        self.ask(|call| self.index.inner().queries.libraries(call))
    }

    /// Fetches a page of the items in the library's trash, which plexindex does not store; returns the items and the
    /// cursor of the next page. Cursor 0 is the first page, and `size` is at most 1,000 rows. For the C functions.
    #[doc(hidden)]
    pub fn trash(&self, cursor: u64, size: u32) -> Result<(Vec<Item>, Option<u64>)> {
        let inner = self.index.inner();
        let kind = inner.reading.kind;
        self.ask(|call| {
            let Some(library) = call.library else {
                return invalid_argument_error("cannot list the trash of all libraries at once: specify one library");
            };
            inner.sync.check_online(call, "list the trash")?;
            let (_, row) = inner.sync.find_library(library, "list the trash", call)?;
            let (items, next) = inner.sync.trash(call, &row.library, cursor, size)?;
            let to_item = |item| Item {
                section: Some(row.library.section.clone()),
                library_title: Some(row.library.title.clone()),
                ..Item::of(item, kind)
            };
            Ok((items.into_iter().map(to_item).collect(), next))
        })
    }

    /// Tells the server to scan the folder of each path, for the C functions.
    #[doc(hidden)]
    pub fn scan(&self, paths: &[&[u8]]) -> Result<Vec<ScanTarget>> {
        let inner = self.index.inner();
        for path in paths {
            inner.queries.display.check_path(path)?;
        }
        self.ask(|call| inner.sync.scan(call, paths))
    }

    /// Tells the server to refresh what it shows of these items, such as after a new subtitle or poster, with one request
    /// for each item. `keys` are keys or rating keys, also of shows, seasons, artists and albums. The server refreshes
    /// them later.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an invalid key; [errors of the
    /// server](crate::ErrorKind#errors-of-the-server) of the first failed request, after which no further one is sent;
    /// [`ErrorKind::Offline`](crate::ErrorKind::Offline) without a server.
    pub fn refresh_items<K: AsRef<str>>(&self, keys: impl IntoIterator<Item = K>) -> Result<()> {
        self.command_items(keys, false)
    }

    /// Tells the server to analyze the files of these items, such as after an edit of a file: as
    /// [`Query::refresh_items`].
    ///
    /// # Errors
    /// As [`Query::refresh_items`].
    pub fn analyze_items<K: AsRef<str>>(&self, keys: impl IntoIterator<Item = K>) -> Result<()> {
        self.command_items(keys, true)
    }

    fn command_items<K: AsRef<str>>(&self, keys: impl IntoIterator<Item = K>, analyzes: bool) -> Result<()> {
        let inner = self.index.inner();
        let keys: Vec<K> = keys.into_iter().collect();
        let rating_keys = keys.iter().map(|key| inner.reading.kind.rating_key(key.as_ref()));
        let rating_keys: Vec<&str> = rating_keys.collect::<Result<_>>()?;
        self.ask(|call| inner.sync.refresh_items(call, &rating_keys, analyzes))
    }

    /// Tests the connection: requests the server's identity and libraries. Sends two requests, three on first contact.
    ///
    /// # Errors
    /// As [`Query::refresh`].
    pub fn server(&self) -> Result<ServerInfo> {
        let inner = self.index.inner();
        let (server, answered_in, libraries) = self.ask(|call| {
            let answer = inner.sync.test_connection(call)?;
            inner.reading.catch_up(call.deadline).map(|()| answer)
        })?;
        Ok(ServerInfo {
            machine_identifier: server.machine_identifier,
            version: non_empty(server.version),
            answered_in,
            libraries,
        })
    }
}

/// Number of matches whose transaction can leave a WAL that SQLite truncates.
const LARGE_BATCH: usize = 10_000;

impl Query<'_> {
    /// Makes [`Query::record_match`] wait until the shared database contains the match, if hosts share this index
    /// ([`Options::shared`](crate::Options::shared)). By default, the call returns at once, and the database receives the
    /// match a moment later. If the database does not have it by the timeout, or within a few seconds without a
    /// timeout, the call fails with [`ErrorKind::Timeout`](crate::ErrorKind::Timeout): this host has stored the match
    /// and delivers it later. For a path that only this host has, the call fails and records nothing.
    /// `SharedIndex::shared_deliver` in the crate `plexindex-sharing` waits for all earlier writes in the same way.
    pub fn through(mut self) -> Self {
        self.through = true;
        self
    }

    /// Records that a path belongs to an item of the library. `key` is the item's key or rating key.
    ///
    /// Sends requests only if the library is unknown, and never fetches the listing. `offline` and the progress callback
    /// apply only to these requests. Without a timeout, waits at most 10 s for another process that is writing.
    ///
    /// ```no_run
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
    /// #     token: plexindex::Token::new("YOUR-TOKEN"),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// # let key = "1002";
    /// use std::time::Duration;
    /// use plexindex::ErrorKind;
    ///
    /// let movies = index.library("Movies")?;
    /// match movies.query().timeout(Duration::from_secs(2)).record_match("/mnt/a.mkv", &key) {
    ///     Err(error) if error.kind() == ErrorKind::Timeout => println!("try again later: {error}"),
    ///     recorded => recorded?,
    /// }
    /// # assert!(movies.lookup_key("/mnt/a.mkv").is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an invalid path or key, for a query of all
    /// libraries, and for [`Query::through`] if the index does not share or only this host has the path;
    /// [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) at the timeout: without [`Query::through`], nothing is recorded;
    /// [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound); errors of the store. If the library is
    /// unknown, also [errors of the server](crate::ErrorKind#errors-of-the-server), and
    /// [`ErrorKind::Offline`](crate::ErrorKind::Offline) if the query or the index is offline.
    pub fn record_match(&self, path: impl AsRef<Path>, key: &str) -> Result<()> {
        self.record_matches([(path, key)])
    }

    /// Records many matches: either all of them or none.
    ///
    /// ```no_run
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
    /// #     token: plexindex::Token::new("YOUR-TOKEN"),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// # let key = "1002";
    /// let movies = index.library("Movies")?;
    /// movies.query().record_matches([("/mnt/a.mkv", &key), ("/mnt/b.mkv", &key)])?;
    /// assert_eq!(movies.lookup_keys(["/mnt/a.mkv", "/mnt/b.mkv"]).len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Query::record_match`].
    pub fn record_matches<P: AsRef<Path>, K: AsRef<str>>(
        &self,
        matches: impl IntoIterator<Item = (P, K)>,
    ) -> Result<()> {
        let matches: Vec<(P, K)> = matches.into_iter().collect();
        let matches: Vec<(&[u8], &str)> = matches
            .iter()
            .map(|(path, key)| (bytes_of(path), key.as_ref()))
            .collect();
        self.record_pairs(&matches)
    }

    /// Records pairs of a path and an item's key or rating key as confirmed matches: either all or none. Fails if the
    /// query has no single library, or if a path or key is invalid. With [`Query::through`], also waits until the
    /// shared database has the matches, and fails before the write if other hosts could not use a path.
    #[doc(hidden)] // for the C functions
    pub fn record_pairs(&self, pairs: &[(&[u8], &str)]) -> Result<()> {
        let Some(library) = self.library else {
            return invalid_argument_error("cannot record a match in all libraries at once: specify one library");
        };
        self.record_pairs_in(library, pairs, false).map(drop)
    }

    /// Records pairs of a path and an item's key or rating key in a library, like [`Self::record_pairs`]. `keeps`: none for a
    /// file that has a match. Returns the number of those that it recorded.
    pub(super) fn record_pairs_in(&self, library: &Library, pairs: &[(&[u8], &str)], keeps: bool) -> Result<usize> {
        let (inner, reading) = (self.index.inner(), &library.reading);
        let _timed = inner.start_timer("record_matches", Some(library.selector()), Some(pairs.len()));
        if self.through {
            inner.sync.peers.expect_shared()?; // fails if the index does not share, before anything is written
        }
        // Validate all pairs before the first request.
        let mut matches = try_with_capacity(pairs.len(), "matches")?;
        // A later match for the same path replaces an earlier one, so redundant components must not distinguish them.
        let tidied: Vec<_> = pairs
            .iter()
            .map(|(path, _)| remove_redundant_components(path))
            .collect();
        for ((path, key), tidied) in pairs.iter().zip(&tidied) {
            inner.queries.display.check_path(path)?;
            matches.push((tidied.as_deref().unwrap_or(path), reading.kind.rating_key(key)?));
        }
        // Uses one call for all retries, so that all retries share the same token and deadline.
        self.run(|call| {
            // Each attempt finds the library again: if another call clears the library before the write, the library
            // gets a new id, and `record_matches` returns `None`.
            for _ in 0..MAX_RETRIES {
                let what = if keeps { "import matches" } else { "record a match" };
                let find = |call: &Call<'_>| inner.sync.find_library(&library.selection, what, call);
                let (view_id, row) = inner.run_renewing(call, find)?;
                // With `through`, reject a path that other hosts cannot translate to the same file.
                let is_local = |(path, _): &&(&[u8], &str)| !inner.sync.peers.is_path_shareable(&row.library, path);
                if self.through
                    && let Some((path, _)) = matches.iter().find(is_local)
                {
                    return invalid_argument_error(format!(
                        "cannot share the match of '{}': the path is not in a folder of library '{}', even after \
                         mappings; add a mapping, or record the match without through",
                        inner.queries.display.path(path),
                        library.selector().name()
                    ));
                }
                let unlisted = reading.unlisted(&row, &matches);
                let (start, deadline) = (Instant::now(), call.deadline.at_least_shortest());
                let limit = inner.store_writer.matches_limit;
                let (rows, pairs) = (RecordRows(&inner.store), (&*matches, keeps));
                let written = rows.record_matches(&row, pairs, &unlisted, limit, deadline);
                if matches.len() >= LARGE_BATCH {
                    // Otherwise the next write truncates the WAL, which takes longer than a small write.
                    inner.store.checkpoint();
                }
                inner.counters.add_time_of_call(Activity::Store, start);
                if let Some(written) = written? {
                    // Updates the snapshot now, so that fast lookups need not. If the write has also removed matches,
                    // `catch_up` reads the changes.
                    if !written.has_evicted {
                        let raised = written.at.1.0;
                        let doubted = unlisted.iter().map(|key| MemtableChange::doubted(b"", key, raised));
                        let paths = matches.iter().map(|(path, _)| *path);
                        reading.apply_committed(view_id, row.id, written.at, doubted.collect(), paths);
                    }
                    let caught_up = reading.catch_up(call.deadline);
                    // The matches are stored, so after a timeout, the next reader catches up.
                    caught_up.or_else(|error| if is_locked(&error) { Ok(()) } else { Err(error) })?;
                    if self.through {
                        inner.sync.peers.deliver(call.deadline)?;
                    }
                    return Ok(written.recorded);
                }
            }
            Err(cleared_repeatedly_error(library.selector().name()))
        })
    }
}

impl Inner {
    /// Calls `run`, and returns its result. If the server refuses the token, asks the host for a new token, and calls
    /// `run` again. If there is no new token, the second call answers from the store.
    pub fn run_renewing<R>(&self, call: &Call<'_>, mut run: impl FnMut(&Call<'_>) -> Result<R>) -> Result<R> {
        let tokens = &self.reading.tokens;
        // Keeps the token's session, so that the token's user is still known after another thread replaces the token.
        let first_session = tokens.get(call.session);
        let refusal = match run(call) {
            Err(error) if error.status == Status::Unauthorized => error,
            result => return result,
        };
        let is_replaced = tokens.current().number() != call.session;
        if !is_replaced && !call.will_retry_with_new_token {
            return Err(refusal);
        }
        // If no other thread has set a new token, asks the host's callback for a new token.
        let is_renewed = is_replaced || self.renew(call)?;
        // A token from the host's callback belongs to the same user. A token that another thread set may belong to any
        // user, so the repeated call must then read only the view of the first token's user.
        let (session, is_same_user) = tokens.compare_current(call.session);
        let allowed_view = match first_session {
            _ if is_same_user => AllowedView::Any,
            Some(first_session) => self
                .reading
                .viewpoint
                .view_of(&first_session)?
                .map_or(AllowedView::Unknown, AllowedView::Of),
            None => AllowedView::Unknown,
        };
        if allowed_view == AllowedView::Unknown {
            return Err(refusal);
        }
        let repeated_call = Call {
            session,
            allowed_view,
            will_retry_with_new_token: false,
            // Without a new token, the repeated call must not ask the server, and its answer can be stale.
            failure: Some(&refusal).filter(|_| !is_renewed),
            ..*call
        };
        // With a new token, repeats the call. If the server also refuses a token from the callback, pauses renewals.
        if is_renewed {
            self.sync.forget_failures();
            let result = run(&repeated_call);
            if !is_replaced && tokens.get(session).is_some_and(|session| session.is_rejected()) {
                self.renewing.record_failure(self.reading.clock.now_ms());
            }
            return result;
        }
        let result = run(&repeated_call);
        // If the index has no libraries, returns the refusal, since an empty result would look like an answer.
        if self.reading.snapshot().rows.is_empty() {
            return Err(refusal);
        }
        match result {
            // An error of the caller, such as a buffer that is too small, is unrelated to the token.
            Err(error) if error.status.is_answer_or_caller_error() => Err(error),
            result => result.map_err(|_| refusal),
        }
    }

    /// Asks the host for a new token, or waits for a thread that is asking. Returns whether the index has a new token.
    fn renew(&self, call: &Call<'_>) -> Result<bool> {
        let is_renewed = || self.reading.tokens.current().number() != call.session;
        self.renewing
            .renew(self.reading.clock.now_ms(), call, &is_renewed, &|token| {
                if let Err(error) = self.set_token(Some(token)) {
                    log::warn!("cannot use the token from the renewal callback: {error}");
                }
            })?;
        Ok(is_renewed())
    }
}

impl std::fmt::Debug for Query<'_> {
    /// Formats the library and the limits, but not the progress callback, since a function has no text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query")
            .field("library", &self.library)
            .field("deadline", &self.deadline)
            .field("offline", &self.offline)
            .field("always_asks", &self.always_asks)
            .finish_non_exhaustive()
    }
}
