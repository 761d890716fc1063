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
    /// The change sequence of this transaction.
    pub sequence: Sequence,
    /// Number of rows that this transaction has added to the change log and the log of records.
    change_count: Cell<i64>,
    /// Number of rows added to the feed so far.
    report_count: Cell<i64>,
    /// The library of the previous write, from `LastWrite::library`.
    pub last_library: Option<LibraryState>,
    /// The library to remember for the next write.
    pub next_library: Cell<Option<LibraryState>>,
    /// The new segment of records, whose file must be removed if the transaction fails.
    pub new_segments: Cell<Option<SegmentName>>,
    /// Whether this transaction adds entries to the outbox.
    pub enqueues: Cell<bool>,
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

impl<'c> Tx<'c> {
    /// Describes the transaction that runs on this connection.
    pub fn new(connection: &'c Connection, sequence: Sequence) -> Self {
        Self {
            connection,
            sequence,
            change_count: Cell::new(0),
            report_count: Cell::new(0),
            last_library: None,
            next_library: Cell::default(),
            new_segments: Cell::default(),
            enqueues: Cell::default(),
        }
    }

    /// Returns whether this transaction has added no row to the logs. Then the store's row must get the change
    /// sequence.
    pub fn is_silent(&self) -> bool {
        self.change_count.get() == 0
    }

    /// Returns the number within the transaction for the next row of the logs. Each call returns another number.
    pub fn next_change(&self) -> i64 {
        self.change_count.replace(self.change_count.get() + 1)
    }

    /// Returns the number within the transaction for the next row of the feed. Each call returns another number.
    pub fn next_report(&self) -> i64 {
        self.report_count.replace(self.report_count.get() + 1)
    }
}

/// Rolls the transaction back when dropped, also after a panic, unless the transaction has ended.
pub struct RollbackGuard<'c>(pub &'c Connection);

impl Drop for RollbackGuard<'_> {
    /// Rolls back if the transaction is still running.
    fn drop(&mut self) {
        if !self.0.is_autocommit() {
            let _ = self.0.execute_batch("ROLLBACK");
        }
    }
}

/// Sets a connection's busy time-out until dropped.
pub struct WaitGuard<'c>(&'c Connection);

impl<'c> WaitGuard<'c> {
    /// Sets the busy timeout of a connection to `patience`.
    pub fn new(connection: &'c Connection, patience: Duration) -> rusqlite::Result<Self> {
        connection.busy_timeout(patience)?;
        Ok(Self(connection))
    }
}

impl Drop for WaitGuard<'_> {
    /// Restores the usual busy timeout.
    fn drop(&mut self) {
        let _ = self.0.busy_timeout(BUSY);
    }
}

/// Returns the current change sequence: the highest one of the store's row, the last change and the last record. So a
/// transaction that adds a change or a record need not update the store's row.
///
/// The id of a record has only the low 36 bits of its sequence, above 27 bits for a number (`places`). The store's row
/// supplies the upper bits, which are the same for all sequences of a database.
pub fn sequence_of(connection: &Connection) -> rusqlite::Result<Sequence> {
    connection.value(
        "SELECT max(sequence, coalesce((SELECT sequence FROM changes ORDER BY id DESC LIMIT 1), 0), \
         (sequence & ~0xFFFFFFFFF) | (coalesce((SELECT max(id) FROM records), 0) >> 27)) FROM store",
        [],
    )
}
