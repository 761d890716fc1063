//! Administration of the shared log: status, set-up, removal, and delivery on demand.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use plexindex::Index;

use crate::contract::{EntryKind, LogSummary, SharedTables, ViewNumber};
use crate::error::{Error, ErrorKind, Result, refuse};
use crate::exchange::Exchange;
use crate::sharing::Sharing;
use crate::sync::{Peers, not_shared};

/// What the shared log holds, and how far this folder is behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SharedStatus {
    /// The log's address, without a password.
    pub address: String,
    /// Whether the log answered.
    pub reachable: bool,
    /// Why the log did not answer, or why this host cannot write to it, and the remedy.
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
    /// Entries that wait to be delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<u64>,
    /// Entries of other hosts that this folder has not received yet. `None` before the server accepts the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// One summary per server and user; empty if the log did not answer.
    pub views: Vec<SharedView>,
}

/// What the shared log holds of one server as one user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SharedView {
    /// The server's machine identifier.
    pub server: String,
    /// The user's name if the hosts set `user`; otherwise `#` and the first digits of a hash.
    pub user: String,
    /// Whether this index uses this view.
    pub own: bool,
    /// Number of the last entry.
    pub last: u64,
    /// Time since the last entry.
    #[serde(
        rename = "age_ms",
        serialize_with = "millis",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub age: Option<Duration>,
    /// Number of entries by kind: `probe`, `listing`, `item`, `match`, `invalid_item`, `invalid_path`,
    /// `invalid_library`, `hint`, `search`. Omits kinds without entries.
    pub entries: BTreeMap<&'static str, u64>,
    /// Number of hosts that wrote the remaining entries.
    pub hosts: u64,
    /// Total size of entries and listings.
    pub bytes: u64,
}

/// Serializes a duration as milliseconds.
#[allow(clippy::ref_option)] // the signature that serde requires
fn millis<S: Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    time.map(ms).serialize(out)
}

impl SharedView {
    /// Converts a summary of the log. `own`: the view of this index.
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

/// The name of a kind in JSON.
fn kind_name(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::Probe => "probe",
        EntryKind::Listing => "listing",
        EntryKind::Item => "item",
        EntryKind::Match => "match",
        EntryKind::InvalidItem => "invalid_item",
        EntryKind::InvalidPath => "invalid_path",
        EntryKind::InvalidLibrary => "invalid_library",
        EntryKind::Hint => "hint",
        EntryKind::Search => "search",
    }
}

/// Methods of an index with a shared log.
pub trait SharedIndex {
    /// The index.
    #[doc(hidden)]
    fn index(&self) -> &Index;

    /// Returns what the shared log holds and how far this folder is behind; `None` without
    /// [`Options::shared`](plexindex::Options::shared). Waits 0.3 s (or `connect_timeout` of the address) for a first
    /// answer, then until [`Options::deadline`](plexindex::Options::deadline), or some seconds without one. Succeeds
    /// even if the log does not answer; [`SharedStatus::error`] then has the reason.
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
    /// Errors of the store.
    fn shared_status(&self) -> Result<Option<SharedStatus>> {
        let Some(sharing) = Sharing::of(self.index()) else {
            return Ok(None);
        };
        let (server, progress) = (sharing.server()?, sharing.progress());
        let found = sharing.run(|log| {
            let deadline = sharing.deadline();
            log.secret(deadline.at_most(log.patience()))?; // fails fast; counting entries may take long
            let views = log.summary(deadline)?;
            let own = sharing.view();
            let behind = match (own, progress) {
                (Some((view, host)), Some(progress)) => Some(log.behind(view, host, progress.taken, deadline)?),
                _ => None,
            };
            Ok((
                own.map(|(view, _)| view),
                views,
                behind,
                log.expect_writable(deadline).err(),
            ))
        });
        let reachable = found.is_ok();
        let (own, views, behind, mut error) = found.unwrap_or_else(|error| (None, Vec::new(), None, Some(error)));
        if progress.is_some_and(|progress| progress.undelivered > 0) {
            // Writes can fail although the role may write, for example if the disk is full.
            error = error.or_else(|| sharing.refusal());
        }
        Ok(Some(SharedStatus {
            address: sharing.address.clone(),
            reachable,
            error_kind: error.as_ref().map(Error::kind),
            error: error.map(|error| error.to_string()),
            taken: progress.map(|progress| progress.taken),
            undelivered: progress.map(|progress| progress.undelivered),
            behind,
            server,
            views: views.into_iter().map(|view| SharedView::new(view, own)).collect(),
        }))
    }

    /// Creates or upgrades the tables of the log. The first host that uses the log does the same, so call this only if
    /// the hosts' roles may not create tables.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) without the option
    /// [`shared`](plexindex::Options::shared); [`ErrorKind::Offline`](plexindex::ErrorKind::Offline) for an offline
    /// index; [`ErrorKind::Connect`](plexindex::ErrorKind::Connect) if the database cannot be reached,
    /// [`ErrorKind::Timeout`](plexindex::ErrorKind::Timeout) if it is silent,
    /// [`ErrorKind::Forbidden`](plexindex::ErrorKind::Forbidden) if the role may not create tables.
    fn shared_init(&self) -> Result<SharedTables> {
        let sharing = sharing(self.index())?;
        sharing.run(|log| log.init(sharing.deadline()))
    }

    /// Waits until the shared log has all recorded matches and invalidations of this host, at most until
    /// [`Options::deadline`](plexindex::Options::deadline), or some seconds without one. Without this call, plexindex
    /// delivers them a moment later. [`Query::through`](plexindex::Query::through) waits in one call.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) for an index without a shared log;
    /// [`ErrorKind::Timeout`](plexindex::ErrorKind::Timeout) if the log does not have everything in time: plexindex
    /// delivers the rest later; errors of the store.
    fn shared_deliver(&self) -> Result<()> {
        let sharing = Sharing::of(self.index()).ok_or_else(not_shared)?;
        sharing.deliver(sharing.deadline())
    }

    /// Receives entries of other hosts as they come, and delivers this folder's entries, until the last
    /// [`SharedFollower`] is dropped. Use it on a host whose tools run only for moments. Without it, plexindex reads
    /// the log every few seconds while the index is in use. [`Index::watch`] follows too. One process per folder
    /// listens. A forked child must call this itself.
    ///
    /// Starts once the server has accepted the token, that is, after the first query that asks the server.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) for an index without a shared log.
    fn follow_shared(&self) -> Result<SharedFollower> {
        let index = self.index();
        exchange(index)?.listen(|listeners| listeners.followers += 1);
        Ok(SharedFollower(index.clone()))
    }

    /// Starts to follow, or stops if `ends`.
    #[doc(hidden)]
    fn follow_shared_until(&self, ends: bool) -> Result<()> {
        exchange(self.index())?.listen(|listeners| listeners.follows = !ends);
        Ok(())
    }

    /// The log's address, the number of the last entry received, and the number of undelivered entries. Sends nothing.
    #[doc(hidden)]
    #[must_use]
    fn shared_progress(&self) -> Option<(&str, Option<u64>, Option<u64>)> {
        let sharing = Sharing::of(self.index())?;
        let progress = sharing.progress();
        let taken = progress.map(|progress| progress.taken);
        let undelivered = progress.map(|progress| progress.undelivered);
        Some((&sharing.address, taken, undelivered))
    }

    /// Empties the shared log for all servers and users, and keeps its tables. Each host keeps its folder and answers
    /// from it. Other hosts never receive the matches and invalidations that they had not received before.
    ///
    /// # Errors
    /// As [`SharedIndex::shared_init`].
    fn shared_clear(&self) -> Result<()> {
        let sharing = sharing(self.index())?;
        sharing.run(|log| log.clear(sharing.deadline()))?;
        log::info!("emptied the shared log");
        Ok(())
    }

    /// Makes a complete exchange with other hosts: for tests. Returns `false` if the log is unavailable.
    #[doc(hidden)]
    fn exchange(&self) -> Result<bool> {
        Sharing::of(self.index()).map_or(Ok(false), Sharing::exchange_now)
    }
}

impl SharedIndex for Index {
    fn index(&self) -> &Index {
        self
    }
}

/// The log that an index shares.
fn sharing(index: &Index) -> Result<&Sharing> {
    Sharing::of(index).map_or_else(
        || refuse("the index has no shared log; open it with the option 'shared', a PostgreSQL address"),
        Ok,
    )
}

/// The exchange of an index, or an error without a shared log.
fn exchange(index: &Index) -> Result<&Arc<Exchange>> {
    Sharing::of(index).ok_or_else(not_shared)?.exchange()
}

/// Follows the shared log until dropped; see [`SharedIndex::follow_shared`]. Keeps the index open.
#[must_use = "dropping it stops following"]
pub struct SharedFollower(Index);

impl std::fmt::Debug for SharedFollower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SharedFollower").field(&self.0.folder()).finish()
    }
}

impl Drop for SharedFollower {
    fn drop(&mut self) {
        if let Ok(exchange) = exchange(&self.0) {
            // A forked child starts with no followers, but may drop one of its parent's.
            exchange.listen(|listeners| listeners.followers = listeners.followers.saturating_sub(1));
        }
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
