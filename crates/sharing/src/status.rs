//! Administers the shared database: reports its status, creates its tables, takes back what it has, and delivers on demand.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Serialize, Serializer};

use plexindex::Index;

use crate::database::{SharedTables, ViewSummary, now_us};
use crate::engine::RecordTime;
use crate::error::{Error, ErrorKind, Result, Status, invalid_argument_error};
use crate::sharing::{CREATION_TIMEOUT, SharedProgress, Sharing, TIMEOUT};
use crate::sync::{Peers, not_shared_error};

/// Status of the shared database, and of this folder's exchange with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct SharedStatus {
    /// The database's address, without a password.
    pub address: String,
    /// Whether the database answered.
    pub reachable: bool,
    /// The reason why the database did not answer, or why this host cannot write to it, with a remedy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The kind of `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_kind: Option<ErrorKind>,
    /// Since when the exchange does not work, in Unix ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since_ms: Option<i64>,
    /// Number of the last row received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<u64>,
    /// Number of matches and removals that the database may not have yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<u64>,
    /// Number of matches that were removed to keep the size limit before they were delivered.
    pub lost: u64,
    /// Number of rows that this folder has not received yet; `None` until the server accepts the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
    /// One summary per server and user; empty if the database did not answer.
    pub views: Vec<SharedView>,
}

/// What the shared database has of one view: one server as one user sees it.
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
    /// Number of the last row.
    pub last: u64,
    /// Time since the last write.
    #[serde(
        rename = "age_ms",
        serialize_with = "millis",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub age: Option<Duration>,
    /// Number of matches.
    pub matches: u64,
    /// Number of paths and libraries whose matches were taken back.
    pub taken_back: u64,
    /// Total size in bytes.
    pub bytes: u64,
}

/// Serializes a duration as milliseconds.
#[allow(clippy::ref_option)] // the signature that serde requires
fn millis<S: Serializer>(time: &Option<Duration>, out: S) -> Result<S::Ok, S::Error> {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    time.map(ms).serialize(out)
}

impl SharedView {
    /// Converts a summary. `own`: the number of this index's view; `None` if the number is unknown.
    fn new(summary: ViewSummary, own: Option<i64>) -> Self {
        let user = summary.viewer.strip_prefix(b"user ").map(String::from_utf8_lossy);
        let hash = || match *summary.viewer {
            [first, second, third, ..] => format!("#{first:02x}{second:02x}{third:02x}"),
            _ => "#".into(),
        };
        Self {
            user: user.map_or_else(hash, Cow::into_owned),
            own: own == Some(summary.view),
            server: summary.server,
            last: summary.seq.cast_unsigned(),
            age: summary.age,
            matches: summary.matches.cast_unsigned(),
            taken_back: summary.taken_back.cast_unsigned(),
            bytes: summary.bytes.cast_unsigned(),
        }
    }
}

/// Methods for an index that shares what it records.
pub trait SharedIndex {
    /// Returns the index that the other methods use.
    #[doc(hidden)]
    fn index(&self) -> &Index;

    /// Returns the status of the shared database and of this folder's exchange with it; `None` without
    /// [`Options::shared`](plexindex::Options::shared). Waits for the database until
    /// [`Options::timeout`](plexindex::Options::timeout), or for a few seconds without a timeout. Succeeds even if the
    /// database does not answer; [`SharedStatus::error`] then contains the reason.
    ///
    /// ```
    /// # use plexindex_sharing::SharedIndex;
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex_sharing::open(plexindex::Options::new(folder.path()))?;
    /// if let Some(status) = index.shared_status()? {
    ///     println!("{} answers: {}, {:?} rows behind", status.address, status.reachable, status.behind);
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
        let progress = sharing.progress();
        let exchange = sharing.find_exchange();
        let found = sharing.run(TIMEOUT, async |database, address| {
            database.ensure_tables().await?;
            let views = database.summary().await?;
            let own = match exchange {
                Some(exchange) => exchange.view_number(database).await.ok().flatten(),
                None => None,
            };
            let behind = match (own, progress.taken) {
                (Some(number), Some(taken)) => {
                    Some(database.count_after(number, taken.cast_signed()).await?.cast_unsigned())
                }
                _ => None,
            };
            let writable = database.expect_writable(address.user()).await;
            Ok((
                own,
                views,
                behind,
                writable.err().map(|failure| failure.explain(address)),
            ))
        });
        let reachable = found.is_ok();
        let (own, views, behind, error) = found.unwrap_or_else(|error| (None, Vec::new(), None, Some(error)));
        // Writes can fail even if the role is allowed to write, for example because the disk is full.
        let outage = exchange.and_then(|exchange| exchange.outage());
        let error = error.or_else(|| Some(outage?.error));
        Ok(Some(SharedStatus {
            address: progress.address,
            reachable,
            error_kind: error.as_ref().map(Error::kind),
            error: error.map(|error| error.to_string()),
            failing_since_ms: progress.failing_since_ms,
            taken: progress.taken,
            undelivered: progress.undelivered,
            lost: progress.lost,
            behind,
            views: views.into_iter().map(|view| SharedView::new(view, own)).collect(),
        }))
    }

    /// Creates the tables, and takes over the shared log of an earlier version. The first host does the same, so this call
    /// is needed only if the hosts' roles are not allowed to create tables.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) without the option
    /// [`shared`](plexindex::Options::shared); [`ErrorKind::Offline`](plexindex::ErrorKind::Offline) for an offline
    /// index; [`ErrorKind::Connect`](plexindex::ErrorKind::Connect) if the database is unreachable,
    /// [`ErrorKind::Timeout`](plexindex::ErrorKind::Timeout) if it does not respond,
    /// [`ErrorKind::Forbidden`](plexindex::ErrorKind::Forbidden) if the role is not allowed to create tables.
    fn shared_init(&self) -> Result<SharedTables> {
        sharing(self.index())?.run(CREATION_TIMEOUT, async |database, _| database.ensure_tables().await)
    }

    /// Removes the tables of the shared log of an earlier version.
    ///
    /// # Errors
    /// As for [`SharedIndex::shared_init`].
    fn shared_drop_old(&self) -> Result<()> {
        sharing(self.index())?.run(CREATION_TIMEOUT, async |database, _| {
            database.ensure_tables().await?; // takes over what they have
            database.drop_old().await
        })
    }

    /// Waits until the shared database has all matches and removals that this host recorded. The wait ends at
    /// [`Options::timeout`](plexindex::Options::timeout), or after a few seconds without a timeout. Without this call,
    /// plexindex delivers them a moment later. [`Query::through`](plexindex::Query::through) records a match and waits for
    /// its delivery in one call.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) for an index that does not share;
    /// [`ErrorKind::Timeout`](plexindex::ErrorKind::Timeout) if the database does not receive everything in time
    /// (plexindex delivers the rest later); errors from the store.
    fn shared_deliver(&self) -> Result<()> {
        let sharing = Sharing::of(self.index()).ok_or_else(not_shared_error)?;
        sharing.deliver(sharing.deadline())
    }

    /// Returns this folder's position, without sending a request; `None` without the option `shared`.
    #[doc(hidden)]
    #[must_use]
    fn shared_progress(&self) -> Option<SharedProgress> {
        Some(Sharing::of(self.index())?.progress())
    }

    /// Takes back all matches of this index's server and user, on all hosts.
    ///
    /// # Errors
    /// As for [`SharedIndex::shared_init`]; [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) also if
    /// the index has not reached its server yet.
    fn shared_clear(&self) -> Result<()> {
        let sharing = sharing(self.index())?;
        sharing.run(CREATION_TIMEOUT, async |database, _| {
            database.ensure_tables().await?;
            let view = sharing.exchange()?.view_number(database).await?;
            let view = view.ok_or_else(|| {
                let text = "this index has not reached its server yet; look up a file first";
                Error::new(Status::InvalidArgument, text)
            })?;
            let difference = database.clock_difference().await?;
            let now = RecordTime::at_us(now_us().saturating_add(difference));
            database.clear(view, now).await
        })?;
        sharing.exchange()?.wake();
        log::info!("took back all matches in the shared database");
        Ok(())
    }
}

impl SharedIndex for Index {
    /// Returns this index.
    fn index(&self) -> &Index {
        self
    }
}

/// Returns an index's `Sharing`; fails if the index does not share.
fn sharing(index: &Index) -> Result<&Sharing> {
    Sharing::of(index).map_or_else(
        || {
            invalid_argument_error(
                "the index has no shared database; open it with the option 'shared' set to a PostgreSQL address",
            )
        },
        Ok,
    )
}
