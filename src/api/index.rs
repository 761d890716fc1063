//! The methods of an open index.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::change_iterator::Changes;
use super::facts::Proposal;
use super::host_paths::bytes_of;
use super::host_table::{Table, TableChange, Terms, write};
use super::opened::{Index, Library};
use super::query_builder::{Query, Refreshed};
use crate::engine::{StoreInfo, Tables};
use crate::error::Result;
use crate::events::{DebounceIntervals, Notified};
use crate::model::Token;
use crate::query::{Folder, LibraryInfo, Match};
use crate::stats::Stats;
use crate::sync::{Peers, Selector};

impl Index {
    /// Returns the folder of the index.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.inner().store.folder().path()
    }

    /// Returns a library by title, section id or uuid, or by [`Selector`]. Sends no request: if the library does not
    /// exist, the first call that needs it fails.
    ///
    /// # Errors
    /// [`ErrorKind::LibraryAmbiguous`](crate::ErrorKind::LibraryAmbiguous) if two known libraries have this title;
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty name.
    pub fn library(&self, name: impl Into<Selector>) -> Result<Library> {
        Library::new(self, name.into())
    }

    /// Begins a query of all libraries. A query can have a deadline, be offline, or report progress.
    pub fn query(&self) -> Query<'_> {
        Query::new(self, None)
    }

    /// Finds the item of a file in all libraries. [`Library::match_path`] explains paths.
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_path(&self, path: impl AsRef<Path>) -> Result<Match> {
        self.query().match_path(path)
    }

    /// Finds the show, season, artist, album or item of a folder in all libraries: [`Query::match_folder`].
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_folder(&self, path: impl AsRef<Path>) -> Result<Folder> {
        self.query().match_folder(path)
    }

    /// Answers for many paths from all libraries, in order. An invalid path gets an error; the other paths get answers.
    ///
    /// ```no_run
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
    /// #     token: plexindex::Token::new("YOUR-TOKEN"),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// let paths = ["/media/movies/Big Buck Bunny (2008).mkv", ""];
    /// for (path, answer) in paths.iter().zip(index.match_paths(paths)?) {
    ///     match answer {
    ///         Ok(found) => println!("{path}: {}", found.status),
    ///         Err(error) => println!("{path}: {error}"), // the path is empty
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors that concern all paths, as [`Query::match_path`].
    pub fn match_paths<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Result<Vec<Result<Match>>> {
        self.query().match_paths(paths)
    }

    /// Finds the items of all libraries with a GUID: [`Query::match_guid`].
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_guid(&self, guid: &str) -> Result<Match> {
        self.query().match_guid(guid)
    }

    /// Finds the items of all libraries with a title: [`Query::search_title`].
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn search_title(&self, title: &str) -> Result<Match> {
        self.query().search_title(title)
    }

    /// Returns the known libraries. Asks the server if none is known; an offline index then returns an empty list.
    ///
    /// # Errors
    /// As [`Query::refresh`], if none is known yet.
    pub fn libraries(&self) -> Result<Vec<LibraryInfo>> {
        self.query().libraries()
    }

    /// Refreshes all libraries that may have changed.
    ///
    /// # Errors
    /// As [`Query::refresh`].
    pub fn refresh(&self) -> Result<Refreshed> {
        self.query().refresh()
    }

    /// Iterates over the additions, removals, changes and moves since `cursor`, in all libraries. They come in the
    /// order in which any process stored them. Without a cursor, the iteration has no changes, and [`Changes::cursor`]
    /// is the current position: pass it to the next call.
    ///
    /// Sends no request: [`Index::refresh`] asks the server, and [`Query::wait_for_changes`] waits. A cursor is valid
    /// in any process, for one store, server and user. A program that continues from the last cursor that it stored
    /// misses nothing, even after it was killed.
    ///
    /// ```no_run
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
    /// #     token: plexindex::Token::new("YOUR-TOKEN"),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// use plexindex::ChangeKind;
    ///
    /// let _ = index.refresh()?;
    /// let mut changes = index.listing_and_changes()?; // all items, as added
    /// println!("{} items", changes.by_ref().count());
    /// let cursor = changes.cursor().unwrap().to_owned();
    /// // … the server loses a film …
    /// index.query().refresh_fully()?;
    /// for change in index.changes(Some(&cursor))? {
    ///     let change = change?;
    ///     match change.kind {
    ///         ChangeKind::Added | ChangeKind::Changed => { /* see change.item */ }
    ///         ChangeKind::Moved => { /* from change.from to change.path */ }
    ///         ChangeKind::Removed => println!("{change}"), // removed: Big Buck Bunny (2008)
    ///         // List the library again with its listing_and_changes(); LibraryNotFound: it was removed.
    ///         _ => {}
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::ListAgain`](crate::ErrorKind::ListAgain) if the index no longer has all changes since the cursor,
    /// as after 64 MiB of changes, or the cursor belongs to another store, server or user: begin again with
    /// [`Index::listing_and_changes`]. [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an invalid
    /// cursor, or the cursor of a single library; [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) if no library
    /// was ever fetched; errors of the store.
    pub fn changes(&self, cursor: Option<&str>) -> Result<Changes> {
        Changes::new(self, None, cursor, false)
    }

    /// Iterates over all items as [`Added`](crate::ChangeKind::Added), then over the changes since then: the start of a
    /// new reader.
    ///
    /// # Errors
    /// As [`Index::changes`].
    pub fn listing_and_changes(&self) -> Result<Changes> {
        Changes::new(self, None, None, true)
    }

    /// Makes each waiting [`Query::wait_for_changes`] run the callback of [`Query::progress`] within 50 ms, which can
    /// end the wait. Does nothing without a waiting call.
    pub fn wake_waiting(&self) {
        self.inner().queries.wake_waiting();
    }

    /// Replaces the token in all handles of this index. Sends no request; running calls keep the earlier token.
    ///
    /// With [`Options::user`](crate::Options::user), cached answers stay available. Without it, the index returns
    /// nothing until the server has accepted the new token, and then the content stored for that user. A JSON Web Token
    /// names its user; plexindex treats any other token as a separate user.
    /// [`Options::renewal`](crate::Options::renewal) supplies a new token when the server refuses this one. On the
    /// thread of that callback, this method sets a token of the same user, and the refused call is repeated with it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a token that is not valid in an HTTP
    /// header; errors of the store.
    pub fn set_token(&self, token: Option<Token>) -> Result<()> {
        self.inner().set_token(token)
    }

    /// Invalidates all libraries: the next query fetches full listings. Removes all recorded matches.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn invalidate_all(&self) -> Result<()> {
        self.inner().reading.invalidate(None)
    }

    /// Removes everything stored for this server and user, except tables.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn clear(&self) -> Result<()> {
        self.inner().clear()
    }

    /// Receives the server's events on a thread, until the last [`Watch`] is dropped. After an event, the next query of
    /// the changed library asks the server. The log reports when the connection succeeds or fails. The thread
    /// reconnects as often as necessary. The child of a fork does not watch until it calls this method itself.
    ///
    /// # Errors
    /// [`ErrorKind::Offline`](crate::ErrorKind::Offline) without a server;
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if no thread can be started.
    pub fn watch(&self) -> Result<Watch> {
        self.inner().events.watch_join(DebounceIntervals::default())?;
        self.inner().sync.peers.listen(true);
        Ok(Watch(self.clone()))
    }

    /// Receives events until [`Index::watch_stop`]. A second call does nothing. Tests pass shorter `intervals`.
    #[doc(hidden)]
    pub fn watch_start(&self, intervals: DebounceIntervals) -> Result<()> {
        self.inner().events.watch_start(intervals)?;
        self.inner().sync.peers.listen(true);
        Ok(())
    }

    /// Returns the exchange with other hosts.
    #[doc(hidden)]
    #[must_use]
    pub fn peers(&self) -> &dyn Peers {
        &*self.inner().sync.peers
    }

    /// Ends the watch, and returns after its threads have ended, within a second. Does nothing without a watch.
    #[doc(hidden)]
    pub fn watch_stop(&self) {
        self.inner().events.watch_stop();
        self.inner().sync.peers.listen(false);
    }

    /// Stores what a webhook or notification reports, so that the next query of the changed library asks the server.
    /// Pass the JSON of the webhook or the whole form, at most 16 MiB. Returns what the body reported. Sends no
    /// request.
    ///
    /// ```no_run
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
    /// #     token: plexindex::Token::new("YOUR-TOKEN"),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// use plexindex::Notified;
    ///
    /// let webhook = r#"{"event":"library.new","Metadata":{"librarySectionID":1}}"#;
    /// # let _ = index.refresh()?;
    /// if index.notify(webhook)? == Notified::Noted {
    ///     let _ = index.refresh()?; // or let the next query do it
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for any other body.
    /// [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) if the server has not accepted a new token yet: nothing
    /// is stored, so call this again afterwards. Errors of the store.
    pub fn notify(&self, body: impl AsRef<[u8]>) -> Result<Notified> {
        self.inner().events.notify(body.as_ref())
    }

    /// Returns the host's table of this name. Names and values are bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name of more than 1 MiB.
    pub fn table(&self, name: impl AsRef<[u8]>) -> Result<Table> {
        Table::new(self, name.as_ref(), false)
    }

    /// [`Index::table`] whose entry names ignore ASCII case.
    ///
    /// # Errors
    /// As [`Index::table`].
    pub fn table_ignoring_case(&self, name: impl AsRef<[u8]>) -> Result<Table> {
        Table::new(self, name.as_ref(), true)
    }

    /// Changes tables of this index in one transaction.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options::new(folder.path()))?;
    /// use plexindex::{TableChange, Terms};
    ///
    /// let (ratings, seen) = (index.table("ratings")?, index.table("seen")?);
    /// let changes = [TableChange::put(&ratings, "1002", "8.5"), TableChange::remove(&seen, "1002")];
    /// index.write_tables(&changes, Terms::default())?; // both changes or none
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name of more than 1 MiB, or a table of
    /// another index; errors of the store.
    pub fn write_tables(&self, changes: &[TableChange<'_>], terms: Terms) -> Result<()> {
        write(self, changes, terms)
    }

    /// Returns the tables of the index, for handles of other languages.
    #[doc(hidden)]
    #[must_use]
    pub fn tables(&self) -> &Arc<Tables> {
        &self.inner().tables
    }

    /// Returns mappings that suffix and file name matches suggest, best supported first.
    ///
    /// ```no_run
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
    /// #     token: plexindex::Token::new("YOUR-TOKEN"),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// let _ = index.match_path("/mnt/films/Big Buck Bunny (2008)/Big Buck Bunny (2008).mkv")?; // and many more
    /// for proposal in index.proposals() {
    ///     println!("{} is {} on the server", proposal.from.display(), proposal.to.display());
    ///     let _mapping = proposal.mapping(); // for Options::mappings
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn proposals(&self) -> Vec<Proposal> {
        let inner = self.inner();
        let pairs = inner.queries.samples().proposals(inner.reading.identity());
        pairs.into_iter().map(|pair| Proposal::of(pair, None)).collect()
    }

    /// Returns at most five mappings that would find these paths. [`gain`](Proposal::gain) is the number of paths that
    /// a mapping finds and the mappings before it do not. Omits mappings that find only a few of many paths. Sends no
    /// request.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an invalid path; errors of the store.
    pub fn try_proposals<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Result<Vec<Proposal>> {
        let paths: Vec<P> = paths.into_iter().collect();
        let paths: Vec<&[u8]> = paths.iter().map(bytes_of).collect();
        let pairs = self.inner().queries.try_mappings(&paths)?;
        Ok(pairs
            .into_iter()
            .map(|(pair, gain)| Proposal::of(pair, Some(gain)))
            .collect())
    }

    /// Describes the folder of the store, which may explain slow or failing calls. Also tests whether file locks work
    /// there.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn store(&self) -> Result<StoreInfo> {
        StoreInfo::of(&self.inner().store)
    }

    /// Returns the counters of the index.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options::new(folder.path()))?;
    /// let stats = index.stats()?;
    /// println!("{} items, {} requests sent", stats.items, stats.all_requests());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors of the store.
    pub fn stats(&self) -> Result<Stats> {
        self.inner().stats()
    }

    /// Returns the key of an item by its rating key.
    #[doc(hidden)]
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        self.inner().reading.kind().key(rating_key)
    }

    /// Maps a path of the server to a path on this machine, by the mappings of the index.
    #[doc(hidden)] // for the C functions
    pub fn host_path<'p>(&self, path: &'p [u8]) -> Result<Cow<'p, [u8]>> {
        self.inner().queries.display.check_path(path)?;
        Ok(self.inner().reading.mappings().host_path(path))
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Index").field(&self.folder()).finish()
    }
}

/// A running watch. The index receives the server's events while a `Watch` exists. Several calls of [`Index::watch`]
/// share one connection. Dropping the last `Watch` waits until its threads have ended, at most a second.
///
/// ```no_run
/// # let folder = tempfile::tempdir()?;
/// # let index = plexindex::Index::open(plexindex::Options {
/// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
/// #     token: plexindex::Token::new("YOUR-TOKEN"),
/// #     ..plexindex::Options::new(folder.path())
/// # })?;
/// let watch = index.watch()?;
/// // … queries: after an event, the next query of the changed library asks the server …
/// drop(watch);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "dropping it stops the watch"]
pub struct Watch(Index);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watch").field(&self.0.folder()).finish()
    }
}

impl Drop for Watch {
    /// Ends the watch if this is the last `Watch`.
    fn drop(&mut self) {
        let inner = self.0.inner();
        inner.events.watch_leave();
        inner.sync.peers.listen(inner.events.is_watching());
    }
}
