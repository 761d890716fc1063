//! A question, and what it may cost.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::Duration;

use super::answer::{Folder, Match};
use super::edit::EditError;
use super::error::Result;
use super::facts::{LibraryInfo, ServerInfo};
use super::paths::{bytes_of, known};
use crate::edit::{Edit, EditReport};
use crate::error::Status;
use crate::index::{self, Deadline, QueryOptions};
use crate::source::{FieldChange, Lock};

type Tell<'q> = Box<dyn FnMut(&Progress<'_>) -> ControlFlow<()> + 'q>;

/// A question to a library or to all: first what it may cost, then what is asked.
///
/// ```
/// use std::ops::ControlFlow;
/// use std::time::Duration;
/// # let server = plexindex_standin::Standin::builder()
/// #     .library(plexindex_standin::LibrarySpec::new(plexindex_standin::LibraryKind::Movie, 20)).start()?;
/// # let folder = tempfile::tempdir()?;
/// # let index = plexindex::Index::open(plexindex::Options {
/// #     server_url: Some(server.url()),
/// #     token: plexindex::Token::new(&server.token()),
/// #     ..plexindex::Options::new(folder.path())
/// # })?;
/// let path = "/media/movies/Big Buck Bunny (2008).mkv";
/// let movies = index.library("Movies")?;
///
/// // For two seconds at most, telling how far it is.
/// let found = movies
///     .query()
///     .deadline(Duration::from_secs(2))
///     .progress(|so_far| {
///         eprintln!("{} of {:?}", so_far.items, so_far.total);
///         ControlFlow::Continue(())
///     })
///     .match_path(path)?;
///
/// // At once, from what is known by now: no request is sent.
/// let again = movies.query().offline().match_path(path)?;
/// assert_eq!(again.status, found.status);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is asked yet"]
pub struct Query<'q> {
    index: &'q index::Index,
    library: Option<&'q index::Library>,
    deadline: Deadline,
    offline: bool,
    progress: Option<RefCell<Tell<'q>>>,
}

/// How far a fetch has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// Title of the library; `None` while none is fetched yet: the libraries are asked for, or another process fetches.
    pub library: Option<&'a str>,
    /// Items fetched, those of an earlier, interrupted fetch included.
    pub items: u64,
    /// Items in all, where the server says.
    pub total: Option<u64>,
    /// Since this call began to fetch.
    pub elapsed: Duration,
}

/// How a refresh ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use = "the deadline may have come first"]
pub enum Refreshed {
    /// The libraries are up to date.
    Done,
    /// The deadline came first. The next refresh goes on where this one stopped.
    NotYet,
    /// The server cannot list a library within such a short deadline: refresh once without one.
    NeedsWarm,
}

/// How a wait for changes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use = "the deadline may have come first"]
pub enum Waited {
    /// There is something; or the server has to be asked before that is known, unless the question is offline: a listing has
    /// expired, or an event said that something changed. That is said once a second at most.
    Something,
    /// The deadline came first.
    NotYet,
}

impl<'q> Query<'q> {
    pub(super) fn new(index: &'q index::Index, library: Option<&'q index::Library>) -> Self {
        Self {
            index,
            library,
            deadline: Deadline::Default,
            offline: false,
            progress: None,
        }
    }

    /// The call ends after this long: with an older answer, or with [`Status::NotYet`](crate::Status::NotYet). Else
    /// [`Options::deadline`](crate::Options::deadline) holds.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Deadline::In(deadline);
        self
    }

    /// The call takes as long as it takes, whatever the options say.
    pub fn no_deadline(mut self) -> Self {
        self.deadline = Deadline::None;
        self
    }

    /// The call sends no request: it answers from the store.
    pub fn offline(mut self) -> Self {
        self.offline = true;
        self
    }

    /// `tell` hears on this thread how far a fetch has come, some ten times a second and once behind the last page.
    /// [`ControlFlow::Break`] ends the call with [`ErrorKind::Aborted`](crate::ErrorKind::Aborted), also where all is fetched by
    /// then; what was fetched is kept, and the next call goes on from there.
    ///
    /// It may use the same index, and fetch from it. The fetch goes on meanwhile; a call that needs what is being fetched waits
    /// for that. A panic in it ends the call in the same way, and then goes on.
    pub fn progress(mut self, tell: impl FnMut(&Progress<'_>) -> ControlFlow<()> + 'q) -> Self {
        self.progress = Some(RefCell::new(Box::new(tell)));
        self
    }

    /// Runs a call of the index below with what this question may cost.
    fn ask<R>(&self, call: impl FnOnce(&QueryOptions<'_>) -> R) -> R {
        let Some(progress) = &self.progress else {
            return call(&self.options(None));
        };
        // A panic must not unwind through the fetch: that would be waited for to its end.
        let panicked = Cell::new(None);
        let tell = |said: &index::Progress<'_>| {
            let so_far = Progress {
                library: Some(said.library).filter(|title| !title.is_empty()),
                items: said.items,
                total: Some(said.total).filter(|total| *total > 0),
                elapsed: said.elapsed,
            };
            match catch_unwind(AssertUnwindSafe(|| progress.borrow_mut()(&so_far))) {
                Ok(go_on) => go_on.is_continue(),
                Err(panic) => {
                    panicked.set(Some(panic));
                    false
                }
            }
        };
        let answer = call(&self.options(Some(&tell)));
        match panicked.take() {
            Some(panic) => resume_unwind(panic),
            None => answer,
        }
    }

    fn options<'o>(&'o self, progress: Option<&'o dyn Fn(&index::Progress<'_>) -> bool>) -> QueryOptions<'o> {
        QueryOptions {
            library: self.library,
            deadline: self.deadline,
            offline: self.offline,
            progress,
        }
    }

    /// Which item is this file? Fetches the library where it must.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a path that none can be: empty, with a NUL in it, or of more than 32,767 bytes.
    /// The server's, when a library that was never fetched cannot be; [`ErrorKind::LibraryNotFound`](crate::ErrorKind::LibraryNotFound),
    /// [`ErrorKind::LibraryAmbiguous`](crate::ErrorKind::LibraryAmbiguous); the store's.
    pub fn match_path(&self, path: impl AsRef<Path>) -> Result<Match> {
        let path = bytes_of(&path);
        self.one(|query, then| self.index.match_path_with(query, path, then))
    }

    /// The answers for many paths, in order. A path that none can be is an error in its place.
    ///
    /// # Errors
    /// What concerns all of them, as [`Query::match_path`].
    pub fn match_paths<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Result<Vec<Result<Match>>> {
        let paths: Vec<P> = paths.into_iter().collect();
        let paths: Vec<&[u8]> = paths.iter().map(bytes_of).collect();
        let mut answers = Vec::with_capacity(paths.len());
        self.ask(|query| {
            self.index
                .match_paths_with(query, &paths, |answer| answers.push(Match::of(answer)))
        })?;
        Ok(answers)
    }

    /// Which show, season, artist, album or item this folder is: the deepest one that all listed files below it share. Fetches
    /// libraries where it must; with a deadline it asks a library that was never fetched for one file below the folder first,
    /// which it looks for on the disk. Plex's database is asked for all that is below the folder at once.
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_folder(&self, path: impl AsRef<Path>) -> Result<Folder> {
        let path = bytes_of(&path);
        self.ask(|query| {
            self.index
                .match_folder_with(query, path, |answer, facts| Ok(Folder::of(answer, facts)))
        })?
    }

    /// The items with a GUID: the server's own, or an external id such as `imdb://tt1254207`. That of a show, season, artist or
    /// album gives the items below it, at most 16, with its key in the [message](Match::message).
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_guid(&self, guid: &str) -> Result<Match> {
        self.one(|query, then| self.index.match_guid_with(query, guid, then))
    }

    /// The items with a title: equal but for case, accents and punctuation, else with all its words. A show's title gives
    /// its episodes.
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn search_title(&self, title: &str) -> Result<Match> {
        self.one(|query, then| self.index.search_title_with(query, title, then))
    }

    fn one(
        &self,
        call: impl FnOnce(
            &QueryOptions<'_>,
            &dyn Fn(&index::Answer<'_>) -> crate::error::Result<Result<Match>>,
        ) -> crate::error::Result<Result<Match>>,
    ) -> Result<Match> {
        self.ask(|query| call(query, &|answer| Ok(Match::of(answer))))?
    }

    /// Brings the libraries up to date now, where they may have changed.
    ///
    /// # Errors
    /// The server's; [`ErrorKind::Offline`](crate::ErrorKind::Offline); [`ErrorKind::Aborted`](crate::ErrorKind::Aborted); the store's.
    pub fn refresh(&self) -> Result<Refreshed> {
        Ok(refreshed(self.ask(|query| self.index.refresh(query, false))?))
    }

    /// The same, and asks the server once whether anything changed while the listings are fresh, too.
    ///
    /// # Errors
    /// As [`Query::refresh`].
    pub fn check(&self) -> Result<Refreshed> {
        Ok(refreshed(self.ask(|query| self.index.check(query))?))
    }

    /// Lists the libraries anew, even where the server shows no change.
    ///
    /// # Errors
    /// As [`Query::refresh`].
    pub fn refresh_fully(&self) -> Result<Refreshed> {
        Ok(refreshed(self.ask(|query| self.index.refresh(query, true))?))
    }

    /// Waits until [`Changes`](crate::Changes) has something since a cursor was given, by whatever process: that is seen within
    /// 100 ms. Sends no request. It costs next to nothing; where processes do not share memory (some network file systems) it
    /// asks the database once a second.
    ///
    /// [`Query::progress`] is told every 200 ms and by [`Index::wake_waiting`](crate::Index::wake_waiting), with no library and
    /// no items, and ends the wait with [`ControlFlow::Break`].
    ///
    /// ```
    /// # let server = plexindex_standin::Standin::builder()
    /// #     .library(plexindex_standin::LibrarySpec::new(plexindex_standin::LibraryKind::Movie, 20)).start()?;
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some(server.url()),
    /// #     token: plexindex::Token::new(&server.token()),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// use std::time::Duration;
    /// use plexindex::Waited;
    ///
    /// let _ = index.refresh()?;
    /// let _watch = index.watch()?; // events of the server end the wait
    /// let mut cursor = index.changes(None)?.token().unwrap().to_owned();
    /// # let mut rounds = 0;
    /// loop {
    ///     match index.query().deadline(Duration::from_millis(100)).wait_for_changes(&cursor)? {
    ///         Waited::Something => {
    ///             let _ = index.refresh()?; // where the server has to be asked
    ///             let mut changes = index.changes(Some(&cursor))?;
    ///             for change in &mut changes {
    ///                 println!("{}", change?);
    ///             }
    ///             cursor = changes.token().unwrap().to_owned(); // keep it: it outlives this process
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
    /// [`ErrorKind::Aborted`](crate::ErrorKind::Aborted); else as [`Index::changes`](crate::Index::changes).
    pub fn wait_for_changes(&self, token: &str) -> Result<Waited> {
        let status = self.ask(|query| self.index.wait_for_changes(query, token))?;
        Ok(match status {
            Status::NotYet => Waited::NotYet,
            _ => Waited::Something,
        })
    }

    /// The libraries that are known: all of them, whichever this question is to. The server is asked when none is.
    ///
    /// # Errors
    /// As [`Query::refresh`], when none is known yet.
    pub fn libraries(&self) -> Result<Vec<LibraryInfo>> {
        let libraries = self.ask(|query| self.index.libraries(query))?;
        Ok(libraries.into_iter().map(LibraryInfo::of).collect())
    }

    /// Asks the server who it is, whatever is known: for finding out what is wrong. Costs two requests, three at the first
    /// contact.
    ///
    /// # Errors
    /// As [`Query::refresh`].
    pub fn server(&self) -> Result<ServerInfo> {
        let (server, answered_in, libraries) = self.ask(|query| self.index.ask_server(query))?;
        Ok(ServerInfo {
            machine_identifier: server.machine_identifier,
            version: known(server.version),
            answered_in,
            libraries,
            database_aside: self.index.why_aside(),
        })
    }

    /// Gives items of the library the same values on the server: one request for each hundred of a type. Items are named by
    /// key or rating key; those that the index does not know are asked for first, and when one does not exist nothing is
    /// sent. After a request that failed no other is sent.
    ///
    /// # Errors
    /// [`EditError`], which says what became of each item: with [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an edit that makes no
    /// sense, above all one without items, [`ErrorKind::NotOnServer`](crate::ErrorKind::NotOnServer) when items do not exist, and
    /// as [`Query::refresh`].
    pub fn edit_items<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        changes: &[FieldChange],
        lock: Lock,
    ) -> Result<EditReport, EditError> {
        let keys: Vec<K> = keys.into_iter().collect();
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        let edit = Edit {
            keys: &keys,
            changes,
            lock,
        };
        let mut report = EditReport::default();
        match self.ask(|query| self.index.edit_items(query, &edit, &mut report)) {
            Ok(()) => Ok(report),
            Err(error) => Err(EditError {
                error: error.into(),
                report,
            }),
        }
    }
}

fn refreshed(status: Status) -> Refreshed {
    match status {
        Status::NotYet => Refreshed::NotYet,
        Status::NeedsWarm => Refreshed::NeedsWarm,
        _ => Refreshed::Done,
    }
}

impl std::fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query")
            .field("library", &self.library)
            .field("deadline", &self.deadline)
            .field("offline", &self.offline)
            .finish_non_exhaustive()
    }
}
