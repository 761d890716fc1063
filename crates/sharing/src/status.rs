//! The log that several hosts share: its status, its set-up, and its removal.

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

/// What the shared log holds, and how far this folder is behind: [`SharedIndex::shared_status`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SharedStatus {
    /// Its address, without a password.
    pub address: String,
    /// Whether it answered.
    pub reachable: bool,
    /// Why it did not answer, or takes no writes of this host, and the remedy; `None` if it does both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The kind of this error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_kind: Option<ErrorKind>,
    /// The machine identifier of this index's server; `None` while it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The number of the last entry that this folder has taken; `None` if it has taken none yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<u64>,
    /// Entries of this folder that wait to be delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<u64>,
    /// Entries of other hosts of its server and user that this folder has not taken yet. `None` where that is not
    /// known, as before the server has accepted the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// What the log holds, for each view: one server as one user sees it. Empty if it did not answer.
    pub views: Vec<SharedView>,
}

/// What the shared log holds of one server as one user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SharedView {
    /// The server's machine identifier.
    pub server: String,
    /// The user's name, if the hosts set [`Options::user`](plexindex::Options::user); otherwise `#` and the beginning
    /// of a hash, which tells users apart.
    pub user: String,
    /// Whether it is the view of this index.
    pub own: bool,
    /// The number of the last entry.
    pub last: u64,
    /// Time since the last entry was written; `None` before the first.
    #[serde(
        rename = "age_ms",
        serialize_with = "millis",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub age: Option<Duration>,
    /// Number of entries by kind: `probe`, `listing`, `item`, `match`, `invalid_item`, `invalid_path`,
    /// `invalid_library`, `hint` and `search`. Kinds without entries are missing.
    pub entries: BTreeMap<&'static str, u64>,
    /// Hosts that wrote something that is there. A folder that was moved counts as another host.
    pub hosts: u64,
    /// Size of the entries and listings in bytes.
    pub bytes: u64,
}

#[allow(clippy::ref_option)] // serde's shape
fn millis<S: Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    time.map(ms).serialize(out)
}

impl SharedView {
    fn new(found: LogSummary, own: Option<ViewNumber>) -> Self {
        let user = found.viewer.strip_prefix(b"user ").map(String::from_utf8_lossy);
        let hash = || match *found.viewer {
            [first, second, third, ..] => format!("#{first:02x}{second:02x}{third:02x}"),
            _ => "#".into(),
        };
        Self {
            user: user.map_or_else(hash, Cow::into_owned),
            own: own == Some(found.view),
            server: found.server,
            last: found.last,
            age: found.age,
            entries: found
                .entries
                .into_iter()
                .map(|(kind, count)| (name(kind), count))
                .collect(),
            hosts: found.hosts,
            bytes: found.bytes,
        }
    }
}

fn name(kind: EntryKind) -> &'static str {
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

/// An open index that may be shared.
pub trait SharedIndex {
    /// The index.
    #[doc(hidden)]
    fn index(&self) -> &Index;

    /// What the shared log holds, and how far this folder is behind; `None` without the option
    /// [`shared`](plexindex::Options::shared). Waits 0.3 s for the log to say something, or `connect_timeout` of its
    /// address, and then at most for [`Options::deadline`](plexindex::Options::deadline), or some seconds without one.
    /// A log that does not answer is no error: [`SharedStatus::error`] says why.
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
            log.secret(deadline.at_most(log.patience()))?; // counting takes its time
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
            // The role may write, and the log has no room, for example.
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

    /// Prepares the database for sharing: creates the tables of the log, or upgrades them. The first host that uses the
    /// log does the same; this call is for a role that may create tables, where the hosts' roles may not. Returns what
    /// it did.
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

    /// Returns once the shared log has all that this host has to tell: matches that were recorded, and invalidations.
    /// They are delivered a moment later without this call. It waits for the log at most for
    /// [`Options::deadline`](plexindex::Options::deadline), and some seconds without one.
    /// [`Query::through`](plexindex::Query::through) does it for one call.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) for an index that shares nothing;
    /// [`ErrorKind::Timeout`](plexindex::ErrorKind::Timeout) if the log does not have it in time: it is stored in this
    /// folder, and delivered later; errors of the store.
    fn shared_deliver(&self) -> Result<()> {
        let sharing = Sharing::of(self.index()).ok_or_else(not_shared)?;
        sharing.deliver(sharing.deadline())
    }

    /// Takes what other hosts tell as it comes, and delivers what this folder has to tell, until the last
    /// [`SharedFollower`] is dropped: on a host whose tools run for moments only. Otherwise news is taken every few
    /// seconds while the index is used. [`Index::watch`] does it, too, and listens to the server besides. Of several
    /// processes of a folder one listens. The child of a fork does not follow until it calls this itself.
    ///
    /// Nothing is taken before the server has accepted the token, at the first question that asks it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) for an index that shares nothing.
    fn follow_shared(&self) -> Result<SharedFollower> {
        let index = self.index();
        exchange(index)?.listen(|listeners| listeners.followers += 1);
        Ok(SharedFollower(index.clone()))
    }

    /// Follows until it is told otherwise. A second call changes nothing.
    #[doc(hidden)]
    fn follow_shared_until(&self, ends: bool) -> Result<()> {
        exchange(self.index())?.listen(|listeners| listeners.follows = !ends);
        Ok(())
    }

    /// The address of the shared log, the number of the last entry that this folder has taken, and the number of its
    /// entries that wait. Does not ask the log.
    #[doc(hidden)]
    #[must_use]
    fn shared_progress(&self) -> Option<(&str, Option<u64>, Option<u64>)> {
        let sharing = Sharing::of(self.index())?;
        let progress = sharing.progress();
        let taken = progress.map(|progress| progress.taken);
        let undelivered = progress.map(|progress| progress.undelivered);
        Some((&sharing.address, taken, undelivered))
    }

    /// Removes everything from the shared log, of all servers and users, and keeps its tables. Each host keeps its
    /// folder, and answers from it. Confirmed matches and invalidations that no other host has taken yet are lost to
    /// the others.
    ///
    /// # Errors
    /// As [`SharedIndex::shared_init`].
    fn shared_clear(&self) -> Result<()> {
        let sharing = sharing(self.index())?;
        sharing.run(|log| log.clear(sharing.deadline()))?;
        log::info!("the shared log was emptied");
        Ok(())
    }

    /// Exchanges news with the hosts that share this index, now: for tests. Returns `false` if the log is away.
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
        || refuse("the index has no shared log: open it with the option 'shared', an address of PostgreSQL"),
        Ok,
    )
}

/// The exchange of an index with others.
fn exchange(index: &Index) -> Result<&Arc<Exchange>> {
    Sharing::of(index).ok_or_else(not_shared)?.exchange()
}

/// Follows the shared log until it is dropped: [`SharedIndex::follow_shared`]. Keeps the index open.
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
            // The child of a fork begins with none.
            exchange.listen(|listeners| listeners.followers = listeners.followers.saturating_sub(1));
        }
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
