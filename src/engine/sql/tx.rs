//! A running write transaction, and guards for its connection.

use std::cell::Cell;
use std::ops::Deref;
use std::time::Duration;

use rusqlite::Connection;

use super::cached::CachedStatements;
use super::last_write::LibraryState;
use super::lock_wait::BUSY;

use crate::model::{SegmentName, Sequence};

/// A running write transaction.
pub struct Tx<'c> {
    pub connection: &'c Connection,
    pub sequence: Sequence,
    /// Number of rows that this transaction has added to the change log and the log of records.
    change_count: Cell<i64>,
    /// Number of rows that this transaction has added to the feed.
    feed_row_count: Cell<i64>,
    /// Whether this transaction has changed what feed readers see.
    pub changes_feed: Cell<bool>,
    /// The library of the previous write, from `LastWrite::library`.
    pub last_library: Option<LibraryState>,
    /// The library to store in `LastWrite::library` after the commit.
    pub next_library: Cell<Option<LibraryState>>,
    /// Name of a new record segment, whose file the transaction must remove if it fails.
    pub new_segments: Cell<Option<SegmentName>>,
    /// Number of entries that this transaction has added to the outbox.
    pub enqueued: Cell<i64>,
}

impl Deref for Tx<'_> {
    type Target = Connection;

    /// Returns the connection, so that callers can run statements on the transaction.
    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl<'c> Tx<'c> {
    /// Wraps the transaction that is running on this connection, with its change sequence.
    pub fn new(connection: &'c Connection, sequence: Sequence) -> Self {
        Self {
            connection,
            sequence,
            change_count: Cell::new(0),
            feed_row_count: Cell::new(0),
            changes_feed: Cell::new(false),
            last_library: None,
            next_library: Cell::default(),
            new_segments: Cell::default(),
            enqueued: Cell::default(),
        }
    }

    /// Returns whether this transaction has added no rows to the change log and the log of records. If so, it must
    /// update the change sequence in the table `store`.
    pub fn has_no_log_rows(&self) -> bool {
        self.change_count.get() == 0
    }

    /// Returns a number, starting at 0, for the next row in the change log or the log of records. The number is unique
    /// within this transaction.
    pub fn next_log_number(&self) -> i64 {
        self.change_count.replace(self.change_count.get() + 1)
    }

    /// Returns a number, starting at 0, for the next row in the feed, which is unique within this transaction.
    pub fn next_feed_number(&self) -> i64 {
        self.changes_feed.set(true);
        self.feed_row_count.replace(self.feed_row_count.get() + 1)
    }
}

/// Rolls back a transaction that is still running when the guard is dropped, for example after a panic.
pub struct RollbackGuard<'c>(pub &'c Connection);

impl Drop for RollbackGuard<'_> {
    /// Rolls back the transaction. In autocommit mode, no transaction is running.
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

/// Changes a connection's busy timeout until the guard is dropped.
pub struct WaitGuard<'c>(&'c Connection);

impl<'c> WaitGuard<'c> {
    /// Sets a connection's busy timeout, the maximum wait for other processes' locks, to `patience`.
    pub fn new(connection: &'c Connection, patience: Duration) -> rusqlite::Result<Self> {
        connection.busy_timeout(patience)?;
        Ok(Self(connection))
    }
}

impl Drop for WaitGuard<'_> {
    /// Restores the busy timeout to [`BUSY`].
    fn drop(&mut self) {
        let _ = self.0.busy_timeout(BUSY);
    }
}

/// Returns the current change sequence: the highest sequence in the table `meta`, the last logged change and the last
/// record. A transaction that adds a change or a record therefore need not update `meta`.
///
/// A record's id contains only the low 36 bits of its change sequence, above 27 bits for the record's number. The table
/// `meta` supplies the upper bits, which are the same for all sequences in a database.
pub fn sequence_of(connection: &Connection) -> rusqlite::Result<Sequence> {
    connection.value(
        "SELECT max(sequence, coalesce((SELECT sequence FROM changes ORDER BY id DESC LIMIT 1), 0), \
         (sequence & ~0xFFFFFFFFF) | (coalesce((SELECT max(id) FROM records), 0) >> 27)) FROM meta",
        [],
    )
}
