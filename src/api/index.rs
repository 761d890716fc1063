//! An open index.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::facts::Proposal;
use super::feed::Changes;
use super::opened::{Index, Library};
use super::paths::bytes_of;
use super::query::{Query, Refreshed};
use super::table::{Table, TableChange, Terms, write};
use crate::engine::{StoreInfo, Tables};
use crate::error::Result;
use crate::events::{DebounceIntervals, Notified};
use crate::model::Token;
use crate::query::{Folder, LibraryInfo, Match};
use crate::stats::Stats;
use crate::sync::{Peers, Selector};

impl Index {
    /// The folder that it was opened in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.inner().store.folder().path()
    }

    /// Returns a library by title, section id or uuid, or by [`Selector`]. Sends no request: a library that does not
    /// exist is reported by the first call that needs it.
    ///
    /// # Errors
    /// [`ErrorKind::LibraryAmbiguous`](crate::ErrorKind::LibraryAmbiguous) if two known libraries have this title;
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty name.
    pub fn library(&self, name: impl Into<Selector>) -> Result<Library> {
        Library::new(self, name.into())
    }

    /// Begins a query of all libraries, which can have a deadline, be offline, or report progress.
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

    /// Answers for many paths from all libraries, in order. An invalid path gets an error in its place; the others are
    /// answered.
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
    ///         Err(refused) => println!("{path}: {refused}"), // the path is empty
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

    /// The items of all libraries with a GUID, as [`Query::match_guid`].
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn match_guid(&self, guid: &str) -> Result<Match> {
        self.query().match_guid(guid)
    }

    /// The items of all libraries with a title, as [`Query::search_title`].
    ///
    /// # Errors
    /// As [`Query::match_path`].
    pub fn search_title(&self, title: &str) -> Result<Match> {
        self.query().search_title(title)
    }

    /// The known libraries. Asks the server if none is known; an offline index returns an empty list then.
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

    /// Additions, removals, changes and moves since `cursor`, in all libraries, in the order in which the index learned them:
    /// every listing, event and verification of any process counts. Without a cursor there are none yet, and
    /// [`Changes::cursor`] is the current position: pass it to the next call.
    ///
    /// Sends no request: [`Index::refresh`] asks the server, and [`Query::wait_for_changes`] waits. A cursor outlives processes.
    /// It is of one store, server and user. A program that goes on from the last cursor it stored misses nothing, also after a kill.
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
    /// let mut changes = index.listing_and_changes()?; // all there is, as added
    /// println!("{} items", changes.by_ref().count());
    /// let cursor = changes.cursor().unwrap().to_owned();
    /// // … the server loses a film …
    /// index.query().refresh_fully()?;
    /// for change in index.changes(Some(&cursor))? {
    ///     let change = change?;
    ///     match change.kind {
    ///         ChangeKind::Added | ChangeKind::Changed => { /* change.item has it */ }
    ///         ChangeKind::Moved => { /* from change.from to change.path */ }
    ///         ChangeKind::Removed => println!("{change}"), // removed: Big Buck Bunny (2008)
    ///         // The library is to be listed again by its listing_and_changes(); LibraryNotFound: it went.
    ///         _ => {}
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::ListAgain`](crate::ErrorKind::ListAgain) where what happened since is not known any more, after 64 MiB of
    /// changes, or the cursor is of another store, server or user: begin anew with [`Index::listing_and_changes`].
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for what is no cursor, and for one of a single
    /// library; [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) while nothing was ever fetched; the store's.
    pub fn changes(&self, cursor: Option<&str>) -> Result<Changes> {
        Changes::new(self, None, cursor, false)
    }

    /// All items as [`Added`](crate::ChangeKind::Added), followed by the changes since then: the start of a new reader.
    ///
    /// # Errors
    /// As [`Index::changes`].
    pub fn listing_and_changes(&self) -> Result<Changes> {
        Changes::new(self, None, None, true)
    }

    /// Makes each waiting [`Query::wait_for_changes`] call its [`Query::progress`] within 50 ms, which can end the
    /// wait. Without a waiting call it does nothing.
    pub fn wake_waiting(&self) {
        self.inner().queries.wake_waiting();
    }

    /// Replaces the token in all handles of this index. Sends no request; running calls keep the earlier token.
    ///
    /// With [`Options::user`](crate::Options::user) the index keeps its content. Without it, the index returns nothing
    /// until the server has accepted the new token. Then it returns what it stored for the token's user: a JSON Web
    /// Token names its user and the key pair, any other token is a user of its own.
    /// [`Options::renewal`](crate::Options::renewal) supplies a new token when the server refuses this one. Within that
    /// callback, on its thread, the token is one of the same user, and the refused call is repeated with it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a text that no header can carry; errors of
    /// the store.
    pub fn set_token(&self, token: Option<Token>) -> Result<()> {
        self.inner().set_token(token)
    }

    /// Makes a full listing of every library due, and removes all recorded matches.
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

    /// Receives the server's events on a thread, until the last [`Watch`] is dropped. After an event, the next query
    /// about what changed asks the server. The log says whether the server can be reached; a lost connection is retried
    /// for ever. The child of a fork does not watch until it calls this itself.
    ///
    /// # Errors
    /// [`ErrorKind::Offline`](crate::ErrorKind::Offline) without a server;
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if no thread can be started.
    pub fn watch(&self) -> Result<Watch> {
        self.inner().events.watch_join(DebounceIntervals::default())?;
        self.inner().sync.peers.listen(true);
        Ok(Watch(self.clone()))
    }

    /// Receives events until [`Index::watch_stop`]. A second call does nothing. `intervals` are for tests.
    #[doc(hidden)]
    pub fn watch_start(&self, intervals: DebounceIntervals) -> Result<()> {
        self.inner().events.watch_start(intervals)?;
        self.inner().sync.peers.listen(true);
        Ok(())
    }

    /// The other hosts.
    #[doc(hidden)]
    #[must_use]
    pub fn peers(&self) -> &dyn Peers {
        &*self.inner().sync.peers
    }

    /// Ends watching within a second, and returns after its threads have ended. Does nothing without a watch.
    #[doc(hidden)]
    pub fn watch_stop(&self) {
        self.inner().events.watch_stop();
        self.inner().sync.peers.listen(false);
    }

    /// Stores the hints of a webhook (its JSON, or the whole form) or a notification that the host received: the next
    /// query about what changed asks the server. The body has at most 16 MiB. Returns what was done with it. Sends no
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
    /// [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) while the server has not accepted a new token:
    /// nothing is stored, so call this again afterwards. Errors of the store.
    pub fn notify(&self, body: impl AsRef<[u8]>) -> Result<Notified> {
        self.inner().events.notify(body.as_ref())
    }

    /// The host's own table of this name. Names and values are bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name of more than 1 MiB.
    pub fn table(&self, name: impl AsRef<[u8]>) -> Result<Table> {
        Table::new(self, name.as_ref(), false)
    }

    /// [`Index::table`], with names of entries compared without regard to ASCII case.
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
    /// index.write_tables(&changes, Terms::default())?; // both or none
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name of more than 1 MiB, or a table of
    /// another index; errors of the store.
    pub fn write_tables(&self, changes: &[TableChange<'_>], terms: Terms) -> Result<()> {
        write(self, changes, terms)
    }

    /// All tables.
    #[doc(hidden)]
    #[must_use]
    pub fn tables(&self) -> &Arc<Tables> {
        &self.inner().tables
    }

    /// Mappings that suffix and file name matches suggest, best supported first.
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
        let found = inner.queries.samples().proposals(inner.reading.identity());
        found.into_iter().map(|found| Proposal::of(found, None)).collect()
    }

    /// Mappings that would have these paths listed, each tried on those that the ones before it leave; what it has listed is its
    /// [`gain`](Proposal::gain). At most five, and none for a few paths of many. Sends no request.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a path that none can be; the store's.
    pub fn try_proposals<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Result<Vec<Proposal>> {
        let paths: Vec<P> = paths.into_iter().collect();
        let paths: Vec<&[u8]> = paths.iter().map(bytes_of).collect();
        let found = self.inner().queries.try_mappings(&paths)?;
        Ok(found
            .into_iter()
            .map(|(found, gain)| Proposal::of(found, Some(gain)))
            .collect())
    }

    /// Describes the store's folder, to explain slow or failing calls. Tries a lock.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn store(&self) -> Result<StoreInfo> {
        StoreInfo::of(&self.inner().store)
    }

    /// Counters of the index.
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

    /// The public key of a rating key.
    #[doc(hidden)]
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        self.inner().reading.kind().key(rating_key)
    }

    /// Maps a path of the server to this machine.
    #[doc(hidden)] // for the C functions
    pub fn host_path<'p>(&self, path: &'p [u8]) -> Result<Cow<'p, [u8]>> {
        self.inner().queries.check_path(path)?;
        Ok(self.inner().reading.mappings().host_path(path))
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Index").field(&self.folder()).finish()
    }
}

/// A running watch: the index receives the server's events while one exists. Several calls of [`Index::watch`] share one
/// connection. Dropping the last `Watch` waits until no thread receives events any more, at most a second.
///
/// ```no_run
/// # let folder = tempfile::tempdir()?;
/// # let index = plexindex::Index::open(plexindex::Options {
/// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
/// #     token: plexindex::Token::new("YOUR-TOKEN"),
/// #     ..plexindex::Options::new(folder.path())
/// # })?;
/// let watch = index.watch()?;
/// // … queries: after an event, the next one about what changed asks the server …
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
    fn drop(&mut self) {
        let inner = self.0.inner();
        inner.events.watch_leave();
        inner.sync.peers.listen(inner.events.is_watching());
    }
}
