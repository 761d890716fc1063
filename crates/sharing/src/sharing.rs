//! Opens an index that shares what it records, reports the status of the shared database, and administers it.

use std::sync::{Arc, Weak};

use plexindex::{Index, Options};

use crate::address::parse;
use crate::database::{CREATION_TIMEOUT, SharedStatus, SharedTables};
use crate::engine::RecordTime;
use crate::error::{Error, Result, Status};
use crate::exchange::{Sharing, TIMEOUT};
use crate::platform::{Clock, SystemClock};
use crate::sync::{Peers, not_shared_error};

/// Opens an index like [`Index::open`], and also supports [`Options::shared`]. Connects to the database in the background.
///
/// # Errors
/// As for [`Index::open`]; also [`ErrorKind::InvalidArgument`](plexindex::ErrorKind::InvalidArgument) if the database's
/// address is invalid.
pub fn open(options: Options) -> Result<Index> {
    open_with_clock(options, Arc::new(SystemClock))
}

/// Opens an index that shares, with the given clock. For tests.
///
/// # Errors
/// As for [`open`].
#[doc(hidden)]
#[allow(clippy::needless_pass_by_value)] // as `Index::open`
pub fn open_with_clock(options: Options, clock: Arc<dyn Clock>) -> Result<Index> {
    options.check_shared()?;
    let Some(shared) = options.shared.clone() else {
        return Index::open_with_peers(&options, clock, |_| None);
    };
    // An offline index needs no valid address.
    let address = (!options.offline).then(|| parse(&shared, |name| std::env::var(name).ok()));
    let address = address.transpose()?;
    Index::open_with_peers(&options, clock, |components| {
        let sharing = Sharing::new(&shared, address, &components, &options);
        let listener: Weak<Sharing> = Arc::downgrade(&sharing);
        components.store.listen(listener, options.shared_durable);
        Some(sharing as _)
    })
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
        let mut status = sharing.progress();
        let found = sharing.on_database(TIMEOUT, async |database, address| {
            let own = sharing.view_number(database).await.ok().flatten();
            let (views, behind) = database.summary(own, status.taken).await?;
            let writable = database.expect_writable(own).await;
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
        status.set_error(writable.err().or_else(|| Some(sharing.outage()?.error)).as_ref());
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
        sharing(self.index())?.on_database(CREATION_TIMEOUT, async |database, _| Ok(database.tables))
    }

    /// Removes the tables of the shared log of an earlier version.
    ///
    /// # Errors
    /// As for [`SharedIndex::shared_init`].
    fn shared_drop_old(&self) -> Result<()> {
        // Connecting takes over what they have.
        sharing(self.index())?.on_database(CREATION_TIMEOUT, async |database, _| database.drop_old().await)
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
        let sharing = sharing(self.index())?;
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
        sharing.on_database(CREATION_TIMEOUT, async |database, _| {
            sharing.expect_shared()?;
            let view = sharing.view_number(database).await?;
            let view = view.ok_or_else(|| {
                let text = "this index has not reached its server yet; look up a file first";
                Error::new(Status::InvalidArgument, text)
            })?;
            database.clear(view, RecordTime::at_us(database.now_us())).await
        })?;
        sharing.wake();
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
    Sharing::of(index).ok_or_else(not_shared_error)
}
