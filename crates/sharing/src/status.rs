//! Administers the shared log: reports its status, creates and empties its tables, and delivers entries on demand.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use plexindex::Index;

use crate::contract::{EntryKind, LogSummary, SharedTables, ViewNumber};
use crate::error::{Error, ErrorKind, Result, invalid_argument_error};
use crate::exchange::Exchange;
use crate::sharing::{SharedProgress, Sharing};
use crate::sync::{Peers, not_shared_error};

/// Status of the shared log, and of this folder's exchange with the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SharedStatus {
    /// The log's address, without a password.
    pub address: String,
    /// Whether the log answered.
    pub reachable: bool,
    /// The reason why the log did not answer, or why this host cannot write to the log, with a remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The kind of `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_kind: Option<ErrorKind>,
    /// Machine identifier of this index's server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Number of the last entry received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<u64>,
    /// Number of entries that await delivery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<u64>,
    /// Number of other hosts' entries that this folder has not received yet; `None` until the server accepts the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// One summary per server and user; empty if the log did not answer.
    pub views: Vec<SharedView>,
}

/// Statistics for one view in the shared log: one server as one user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SharedView {
    /// The server's machine identifier.
    pub server: String,
    /// The user's name if the hosts set `user`; otherwise `#` and the first digits of the user's hash.
    pub user: String,
    /// Whether this index uses this view.
    pub own: bool,
    /// Number of the last entry.
    pub last: u64,
    /// Time since the last entry was written.
    #[serde(
        rename = "age_ms",
        serialize_with = "millis",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub age: Option<Duration>,
    /// Number of entries by kind: `match`, `invalid_item`, `invalid_path`, `invalid_library`. Omits kinds without
    /// entries.
    pub entries: BTreeMap<&'static str, u64>,
    /// Number of hosts that have delivered entries, or whose entries are still in the log.
    pub hosts: u64,
    /// Total size of the view in the log, in bytes.
    pub bytes: u64,
}

/// Serializes a duration as milliseconds.
#[allow(clippy::ref_option)] // the signature that serde requires
fn millis<S: Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    time.map(ms).serialize(out)
}

impl SharedView {
    /// Converts a log summary. `own`: the number of this index's view; `None` if the number is unknown.
    fn new(summary: LogSummary, own: Option<ViewNumber>) -> Self {
        let user = summary.viewer.strip_prefix(b"user ").map(String::from_utf8_lossy);
        let hash = || match *summary.viewer {
            [first, second, third, ..] => format!("#{first:02x}{second:02x}{third:02x}"),
            _ => "#".into(),
        };
        Self {
            user: user.map_or_else(hash, Cow::into_owned),
            own: own == Some(summary.view),
            server: summary.server,
            last: summary.last,
            age: summary.age,
            entries: summary
                .entries
                .into_iter()
                .map(|(kind, count)| (kind_name(kind), count))
                .collect(),
            hosts: summary.hosts,
            bytes: summary.bytes,
        }
    }
}

/// Returns an entry kind's name in JSON.
fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Match => "match",
        EntryKind::InvalidItem => "invalid_item",
        EntryKind::InvalidPath => "invalid_path",
        EntryKind::InvalidLibrary => "invalid_library",
    }
}

/// Methods for an index with a shared log.
pub trait SharedIndex {
    /// Returns the index that the other methods use.
    #[doc(hidden)]
    fn index(&self) -> &Index;

    /// Returns the status of the shared log and of this folder's exchange with it; `None` without
    /// [`Options::shared`](plexindex::Options::shared). Waits 0.3 s (or the address's `connect_timeout`) for the first
    /// answer, and then until [`Options::deadline`](plexindex::Options::deadline), or for a few seconds if no deadline
    /// is set. Succeeds even if the log does not answer; [`SharedStatus::error`] then contains the reason.
    ///
    /// ```
    /// # use plexindex_sharing::SharedIndex;
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex_sharing::open(plexindex::Options::new(folder.path()))?;
    /// if let Some(status) = index.shared_status()? {
    ///     println!("{} answers: {}, {:?} entries behind", status.address, status.reachable, status.behind);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Errors from the store.
    fn shared_status(&self) -> Result<Option<SharedStatus>> {
        let Some(sharing) = Sharing::of(self.index()) else {
            return Ok(None);
        };
        let (server, progress) = (sharing.server()?, sharing.progress());
        // Query the log: its views, this index's view, the entries that this host lacks, and whether it may write.
        let found = sharing.run(|log| {
            let deadline = sharing.deadline();
            log.secret(deadline.at_most(log.answer_timeout()))?; // fail early: counting entries can take long
            let views = log.summary(deadline)?;
            let own_view = sharing.view();
            let behind = match (own_view, progress.taken) {
                (Some((view, host)), Some(taken)) => Some(log.count_others(view, host, taken, deadline)?),
                _ => None,
            };
            Ok((
                own_view.map(|(view, _)| view),
                views,
                behind,
                log.expect_writable(deadline).err(),
            ))
        });
        let reachable = found.is_ok();
        let (own_view, views, behind, mut error) = found.unwrap_or_else(|error| (None, Vec::new(), None, Some(error)));
        if progress.undelivered > Some(0) {
            // Writes can fail even if the role is allowed to write, for example because the disk is full.
            error = error.or_else(|| sharing.refusal());
        }
        Ok(Some(SharedStatus {
            address: progress.address,
            reachable,
            error_kind: error.as_ref().map(Error::kind),
            error: error.map(|error| error.to_string()),
            taken: progress.taken,
            undelivered: progress.undelivered,
            behind,
            server,
            views: views.into_iter().map(|view| SharedView::new(view, own_view)).collect(),
        }))
    }

    /// Creates or upgrades the log's tables. The first host that uses the log does the same, so this call is needed
    /// only if the hosts' roles are not allowed to create tables.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) without the option
    /// [`shared`](plexindex::Options::shared); [`ErrorKind::Offline`](plexindex::ErrorKind::Offline) for an offline
    /// index; [`ErrorKind::Connect`](plexindex::ErrorKind::Connect) if the database is unreachable,
    /// [`ErrorKind::Timeout`](plexindex::ErrorKind::Timeout) if it does not respond,
    /// [`ErrorKind::Forbidden`](plexindex::ErrorKind::Forbidden) if the role is not allowed to create tables.
    fn shared_init(&self) -> Result<SharedTables> {
        let sharing = sharing(self.index())?;
        sharing.run(|log| log.create_tables(sharing.deadline()))
    }

    /// Waits until the shared log has all matches and invalidations that this host recorded. The wait ends at
    /// [`Options::deadline`](plexindex::Options::deadline), or after a few seconds if no deadline is set. Without this
    /// call, plexindex delivers the entries a moment later. [`Query::through`](plexindex::Query::through) records a
    /// match and waits for its delivery in one call.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) for an index without a shared log;
    /// [`ErrorKind::Timeout`](plexindex::ErrorKind::Timeout) if the log does not receive all entries in time (plexindex
    /// delivers the rest later); errors from the store.
    fn shared_deliver(&self) -> Result<()> {
        let sharing = Sharing::of(self.index()).ok_or_else(not_shared_error)?;
        sharing.publish_and_wait(sharing.deadline())
    }

    /// Receives other hosts' entries as soon as they are written, and delivers this folder's entries, until the last
    /// [`SharedFollower`] is dropped. Call this method on a host whose tools run only briefly. Without a follower,
    /// plexindex reads the log every few seconds while the index is in use. [`Index::watch`] also follows the log. Only
    /// one process per folder follows the log at a time. A forked child must call this method itself.
    ///
    /// Following starts once the server has accepted the token, that is, after the first query that uses the server.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) for an index without a shared log.
    fn follow_shared(&self) -> Result<SharedFollower> {
        let index = self.index();
        exchange(index)?.listen(|listeners| listeners.followers += 1);
        Ok(SharedFollower(index.clone()))
    }

    /// Starts following the shared log, or stops if `ends` is `true`. For the C ABI, which has no [`SharedFollower`].
    #[doc(hidden)]
    fn follow_shared_until(&self, ends: bool) -> Result<()> {
        exchange(self.index())?.listen(|listeners| listeners.follows = !ends);
        Ok(())
    }

    /// Returns this folder's position in the log, without sending a request; `None` without a shared log.
    #[doc(hidden)]
    #[must_use]
    fn shared_progress(&self) -> Option<SharedProgress> {
        Some(Sharing::of(self.index())?.progress())
    }

    /// Empties the shared log for all servers and users, but keeps its tables. Each host keeps its folder and continues
    /// to answer from the folder. Matches and invalidations that a host had not yet received never reach this host.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) without the option
    /// [`shared`](plexindex::Options::shared); [`ErrorKind::Offline`](plexindex::ErrorKind::Offline) for an offline
    /// index; errors from the database.
    fn shared_clear(&self) -> Result<()> {
        let sharing = sharing(self.index())?;
        sharing.run(|log| log.clear(sharing.deadline()))?;
        log::info!("emptied the shared log");
        Ok(())
    }

    /// Exchanges all entries with other hosts now. For tests. Returns `false` if not all entries were exchanged.
    #[doc(hidden)]
    fn exchange(&self) -> Result<bool> {
        Sharing::of(self.index()).map_or(Ok(false), Sharing::exchange_now)
    }
}

impl SharedIndex for Index {
    /// Returns this index.
    fn index(&self) -> &Index {
        self
    }
}

/// Returns an index's `Sharing`; fails if the index has no shared log.
fn sharing(index: &Index) -> Result<&Sharing> {
    Sharing::of(index).map_or_else(
        || {
            invalid_argument_error(
                "the index has no shared log; open it with the option 'shared' set to a PostgreSQL address",
            )
        },
        Ok,
    )
}

/// Returns an index's exchange; fails if the index does not exchange entries.
fn exchange(index: &Index) -> Result<&Arc<Exchange>> {
    Sharing::of(index).ok_or_else(not_shared_error)?.exchange()
}

/// Follows the shared log until dropped: the index receives other hosts' entries as soon as they are written. Keeps the
/// index open.
#[must_use = "dropping it stops following"]
pub struct SharedFollower(Index);

impl std::fmt::Debug for SharedFollower {
    /// Shows the index's folder.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SharedFollower").field(&self.0.folder()).finish()
    }
}

impl Drop for SharedFollower {
    /// Stops following the log if this was the last follower.
    fn drop(&mut self) {
        if let Ok(exchange) = exchange(&self.0) {
            // A forked child starts with a count of 0, but can drop a follower that its parent created.
            exchange.listen(|listeners| listeners.followers = listeners.followers.saturating_sub(1));
        }
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
