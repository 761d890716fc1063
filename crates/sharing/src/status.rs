//! Administers the shared database: reports its status, creates its tables, takes back what it has, and delivers on demand.

use plexindex::Index;

use crate::database::{CREATION_TIMEOUT, SharedTables, now_us};
use crate::engine::RecordTime;
use crate::error::{Error, Result, Status, invalid_argument_error};
use crate::sharing::{SharedStatus, Sharing, TIMEOUT};
use crate::sync::{Peers, not_shared_error};

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
        let mut status = sharing.progress();
        let found = sharing.run(TIMEOUT, async |database, address| {
            database.ensure_tables().await?;
            let own = match &sharing.exchange {
                Some(exchange) => exchange.view_number(database).await.ok().flatten(),
                None => None,
            };
            let (views, behind) = database.summary(own, status.taken).await?;
            let writable = database.expect_writable(address.user()).await;
            Ok((views, behind, writable.map_err(|failure| failure.explain(address))))
        });
        status.reachable = found.is_ok();
        let writable = match found {
            Ok((views, behind, writable)) => {
                (status.views, status.behind) = (views, behind);
                writable
            }
            Err(error) => Err(error),
        };
        // Writes can fail even if the role is allowed to write, for example because the disk is full.
        let outage = sharing.exchange.as_ref().and_then(|exchange| exchange.outage());
        status.set_error(writable.err().or_else(|| Some(outage?.error)).as_ref());
        Ok(Some(status))
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
    fn shared_progress(&self) -> Option<SharedStatus> {
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
