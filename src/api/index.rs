//! Methods of an open index.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use super::facts::Proposal;
use super::opened::{Index, Library};
use super::query_builder::Query;
use super::recording::{Table, TableChange, Terms};
use crate::engine::{Selector, StoreInfo, Tables};
use crate::error::{Result, invalid_argument_error};
use crate::events::{DebounceIntervals, Notified};
use crate::model::{LibraryInfo, Token};
use crate::platform::files::bytes_of;
use crate::stats::Stats;
use crate::sync::Peers;

impl Index {
    /// Returns the index's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.inner().store.folder.path()
    }

    /// Returns a handle to a library, by title, section id, uuid or [`Selector`]. Sends no request: if the library does
    /// not exist, the first call that needs the library fails.
    ///
    /// # Errors
    /// [`ErrorKind::LibraryAmbiguous`](crate::ErrorKind::LibraryAmbiguous) if two known libraries have this title;
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an empty name.
    pub fn library(&self, name: impl Into<Selector>) -> Result<Library> {
        Library::new(self, name.into())
    }

    /// Creates a query of all libraries. A query can have a timeout, be offline, or report progress.
    pub fn query(&self) -> Query<'_> {
        Query::new(self, None)
    }

    /// Returns the known libraries. If no library is known, asks the server; an offline index returns an empty list.
    ///
    /// # Errors
    /// As [`Query::refresh`], if no library is known yet.
    pub fn libraries(&self) -> Result<Vec<LibraryInfo>> {
        self.query().libraries()
    }

    /// Wakes all calls that wait in [`Query::wait_for_changes`]. Within 50 ms, each call runs its [`Query::progress`]
    /// callback, which can end the wait. Does nothing if no call is waiting.
    pub fn wake_waiting(&self) {
        self.inner().queries.wake_waiting();
    }

    /// Replaces the token for all handles of this index. Sends no request. Running calls continue to use the old token.
    ///
    /// If [`Options::user`](crate::Options::user) is set, cached answers stay available. Otherwise the index returns
    /// nothing until the server has accepted the new token, and then that user's content. A JSON Web Token identifies
    /// its user; plexindex treats any other token as a separate user. [`Options::renewal`](crate::Options::renewal)
    /// supplies a new token when the server refuses the current token. If the renewal callback calls this method, the
    /// new token belongs to the same user, and plexindex repeats the refused call.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a token that is not valid in an HTTP
    /// header; errors of the store.
    pub fn set_token(&self, token: Option<Token>) -> Result<()> {
        self.inner().set_token(token)
    }

    /// Invalidates all libraries: the next query fetches full listings. Removes all confirmed matches.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn invalidate_all(&self) -> Result<()> {
        self.inner().reading.invalidate(None) // no selection: all libraries
    }

    /// Removes everything stored for this server and user, except tables.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn clear(&self) -> Result<()> {
        self.inner().clear()
    }

    /// Starts a thread that receives the server's events until the last [`Watch`] is dropped. After an event, the next
    /// query of the changed library asks the server. The thread logs whether the connection succeeds or fails, and
    /// reconnects as often as necessary. The child of a fork receives no events until it calls this method itself.
    ///
    /// # Errors
    /// [`ErrorKind::Offline`](crate::ErrorKind::Offline) without a server;
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if plexindex cannot start a thread.
    pub fn watch(&self) -> Result<Watch> {
        self.inner().events.watch_join(DebounceIntervals::default())?;
        Ok(Watch(self.clone()))
    }

    /// Starts a thread that receives the server's events until [`Index::watch_stop`], for the C functions. A second
    /// call does nothing. `intervals`: how long the thread collects events before it stores them; tests pass shorter
    /// intervals.
    #[doc(hidden)]
    pub fn watch_start(&self, intervals: DebounceIntervals) -> Result<()> {
        self.inner().events.watch_start(intervals)
    }

    /// Returns the component that exchanges records with other hosts, for the crate `plexindex-sharing` and the C
    /// functions.
    #[doc(hidden)]
    #[must_use]
    pub fn peers(&self) -> &dyn Peers {
        &*self.inner().sync.peers
    }

    /// Stops the watch that [`Index::watch_start`] started, and waits at most a second for its threads to stop. Does
    /// nothing if no watch is running.
    #[doc(hidden)]
    pub fn watch_stop(&self) {
        self.inner().events.watch_stop();
    }

    /// Stores the change that an event of the server, Sonarr or Radarr reports, so that the next query of the changed library
    /// asks the server. `body` is the webhook's JSON or its whole form, at most 16 MiB. The mappings translate the paths of
    /// Sonarr and Radarr. Returns whether plexindex stored the change, and if not, why. Sends no request.
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
    /// [`ErrorKind::NotFetched`](crate::ErrorKind::NotFetched) if the server has not accepted a new token yet:
    /// plexindex stores nothing, so call this method again afterwards. Errors of the store.
    pub fn notify(&self, body: impl AsRef<[u8]>) -> Result<Notified> {
        self.inner().events.notify(body.as_ref())
    }

    /// Returns the host's table with this name. Names and values can be any bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for a name of more than 1 MiB.
    pub fn table(&self, name: impl AsRef<[u8]>) -> Result<Table> {
        Table::new(self, name.as_ref(), false) // entry names differ by case
    }

    /// Returns the host's table with this name. Entry names in the table ignore ASCII case.
    ///
    /// # Errors
    /// As [`Index::table`].
    pub fn table_ignoring_case(&self, name: impl AsRef<[u8]>) -> Result<Table> {
        Table::new(self, name.as_ref(), true) // entry names ignore case
    }

    /// Applies changes to this index's tables in one transaction. `terms`: when the written values expire, and the
    /// maximum size of all tables.
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
        if changes.iter().any(|change| !change.table.index.is_same_index(self)) {
            return invalid_argument_error(
                "cannot write to a table of another index: write to the tables of one index at a time",
            );
        }
        let ops: Vec<_> = changes.iter().map(|change| change.op).collect();
        self.tables().write(&ops, &terms.0)
    }

    /// Returns the component that stores the host's tables, for the C functions.
    #[doc(hidden)]
    #[must_use]
    pub fn tables(&self) -> &Arc<Tables> {
        &self.inner().tables
    }

    /// Returns the mappings that this handle's earlier suffix and file name matches suggest, best supported first. The
    /// mappings have no [`gain`](Proposal::gain), because no paths are given.
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
        let pairs = inner.queries.samples.proposals(inner.reading.view_id());
        pairs.into_iter().map(|pair| Proposal::of(pair, None)).collect()
    }

    /// Returns at most five mappings with which unlisted ones of these paths match, best supported first.
    /// [`gain`](Proposal::gain) is the number of paths that match with a mapping but with no earlier mapping. Omits
    /// mappings that help few of many paths. Sends no request.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an invalid path; errors of the store.
    pub fn try_proposals<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) -> Result<Vec<Proposal>> {
        let paths: Vec<P> = paths.into_iter().collect();
        let paths: Vec<&[u8]> = paths.iter().map(bytes_of).collect();
        let pairs = self.inner().queries.propose_mappings(&paths)?;
        Ok(pairs
            .into_iter()
            .map(|(pair, gain)| Proposal::of(pair, Some(gain)))
            .collect())
    }

    /// Describes the store's folder, to help explain slow or failing calls. Also tests whether file locks work there.
    ///
    /// # Errors
    /// Errors of the store.
    pub fn store(&self) -> Result<StoreInfo> {
        StoreInfo::of(&self.inner().store)
    }

    /// Returns the index's statistics.
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

    /// Converts a rating key, such as `1002`, to the item's key, such as `/library/metadata/1002`.
    #[doc(hidden)]
    #[must_use]
    pub fn key(&self, rating_key: &str) -> String {
        self.inner().reading.kind.key(rating_key)
    }

    /// Converts a path on the server to a path on this machine, with the index's mappings. A path that no mapping
    /// covers stays unchanged. Fails for a path that is empty, too long or contains a NUL.
    #[doc(hidden)] // for the C functions
    pub fn host_path<'p>(&self, path: &'p [u8]) -> Result<Cow<'p, [u8]>> {
        self.inner().queries.display.check_path(path)?;
        Ok(self.inner().reading.mappings.host_path(path))
    }

    /// Translates a path on this machine to the server's paths by each matching host-to-server rule, in order. Fails as
    /// [`Index::host_path`] does.
    #[doc(hidden)] // for the C functions
    pub fn server_paths(&self, path: &[u8]) -> Result<Vec<Vec<u8>>> {
        self.inner().queries.display.check_path(path)?;
        Ok(self.inner().reading.mappings.server_paths(path))
    }
}

impl std::fmt::Debug for Index {
    /// Formats the index's folder, which identifies the index.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Index").field(&self.folder()).finish()
    }
}

/// A running watch. The index receives the server's events while at least one `Watch` exists. Several calls of
/// [`Index::watch`] share one connection. Dropping the last `Watch` waits at most a second for its threads to stop.
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
#[must_use = "the index receives events only while a `Watch` exists"]
pub struct Watch(Index);

impl std::fmt::Debug for Watch {
    /// Formats the watched index's folder.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watch").field(&self.0.folder()).finish()
    }
}

impl Drop for Watch {
    /// Stops receiving the server's events if no other watch is running.
    fn drop(&mut self) {
        self.0.inner().events.watch_leave();
    }
}
