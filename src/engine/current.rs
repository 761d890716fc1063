//! Keeps snapshots of the store current. One thread at a time adds newer commits to a snapshot, or replaces it.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::sql::{DatabaseNumber, Store};
use crate::error::Result;
use crate::model::Sequence;
use crate::platform::clock::Deadline;
use crate::platform::fork::{SingleThreadProof, lock};
use crate::platform::swap::{Guard, SwapCell};

/// A snapshot of the store's libraries or tables, depending on `P`.
#[derive(Default)]
pub struct SnapshotOf<P> {
    /// Number of the snapshot within its handle, counted from 1. The empty initial snapshot has number 0.
    pub number: u64,
    /// The change sequence up to which the snapshot contains every commit.
    sequence: AtomicU64,
    pub database_number: DatabaseNumber,
    /// The libraries or the tables.
    part: P,
}

impl<P> Deref for SnapshotOf<P> {
    type Target = P;

    /// Returns the libraries or tables in the snapshot.
    #[inline]
    fn deref(&self) -> &P {
        &self.part
    }
}

impl<P> SnapshotOf<P> {
    /// Creates the snapshot that replaces `before`, with the next number, from the libraries or tables `part` of a
    /// database, which contain every commit up to `sequence`.
    pub fn after(before: &Self, sequence: Sequence, database_number: DatabaseNumber, part: P) -> Self {
        Self {
            number: before.number + 1,
            sequence: AtomicU64::new(sequence.0),
            database_number,
            part,
        }
    }

    /// Returns the change sequence up to which the snapshot contains every commit.
    #[inline]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.sequence.load(Ordering::Acquire))
    }

    /// Records that the snapshot now contains every commit up to `sequence`.
    pub fn advance_to(&self, sequence: Sequence) {
        self.sequence.store(sequence.0, Ordering::Release);
    }
}

/// A handle's current snapshot of its libraries or tables (`P`), which lookups read without a lock.
pub struct CurrentSnapshot<P> {
    store: Arc<Store>,
    snapshot: SwapCell<SnapshotOf<P>>,
    /// Locked while a thread updates the snapshot, so that only one thread at a time reads newer commits.
    pub catching_up: Mutex<()>,
}

impl<P: Default> CurrentSnapshot<P> {
    /// Starts with an empty snapshot, which the first update replaces.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            snapshot: SwapCell::new(SnapshotOf::default()),
            catching_up: Mutex::new(()),
        }
    }

    /// Returns the snapshot without taking a lock. The newest commits may be missing.
    #[inline]
    pub fn read(&self) -> Guard<'_, SnapshotOf<P>> {
        self.snapshot.read()
    }

    /// Replaces the snapshot. The caller must have locked `catching_up`.
    pub fn replace(&self, snapshot: SnapshotOf<P>) {
        self.snapshot.replace(snapshot);
    }

    /// Locks `catching_up`. Waits for a thread that is updating the snapshot.
    pub fn lock(&self) -> MutexGuard<'_, ()> {
        lock(&self.catching_up)
    }

    /// Locks `catching_up` by the deadline. Without one, waits only a moment, and then fails.
    pub fn lock_by(&self, deadline: Option<Deadline>) -> Result<MutexGuard<'_, ()>> {
        match deadline {
            Some(deadline) => self.store.lock_by(deadline, &self.catching_up),
            None => (self.store.short_wait.lock(&self.catching_up)).ok_or_else(|| self.store.locked_error()),
        }
    }

    /// Returns whether the snapshot contains every commit. Takes only a few memory loads.
    #[inline]
    pub fn is_current(&self, snapshot: &SnapshotOf<P>) -> bool {
        self.store.is_current_in(snapshot.database_number, snapshot.sequence())
    }

    /// Returns whether the snapshot lacks only the commit with this database and change sequence. If so, the thread
    /// that made the commit can add its changes without reading the database. Compares the database, because two
    /// databases can use the same change sequence for different commits.
    pub fn lacks_only(&self, snapshot: &SnapshotOf<P>, database_number: DatabaseNumber, sequence: Sequence) -> bool {
        snapshot.database_number == database_number
            && self.store.database_number() == database_number
            && snapshot.sequence().next() == sequence
    }

    /// Returns a snapshot with every commit, and the result of `look`, which starts a lookup in this snapshot. Returns
    /// `None` if the caller would have to wait, or if `read_newer`, which adds newer commits to the snapshot, fails.
    /// Calls `look` before it checks that the snapshot is current, so that memory prefetches overlap with the check.
    /// The result of `look` must not depend on records that commits add in place.
    #[inline]
    pub fn try_read_current<B>(
        &self,
        look: impl Fn(&SnapshotOf<P>) -> B,
        read_newer: impl FnOnce() -> Result<()>,
    ) -> Option<(Guard<'_, SnapshotOf<P>>, B)> {
        let snapshot = self.read();
        let looked_up = look(&snapshot);
        if self.is_current(&snapshot) {
            return Some((snapshot, looked_up));
        }
        drop(snapshot);
        let _catching_up = self.store.short_wait.lock(&self.catching_up)?;
        if !self.is_current(&self.read()) {
            read_newer().ok()?;
            self.store.map_existing_page();
        }
        let snapshot = self.read();
        let looked_up = look(&snapshot);
        Some((snapshot, looked_up))
    }

    /// Returns a snapshot with every commit. If a commit is missing, or the snapshot is not usable (`is_usable`), waits
    /// for the lock and calls `read_newer`, which adds newer commits to the snapshot or replaces it.
    pub fn read_current(
        &self,
        deadline: Deadline,
        is_usable: impl Fn(&SnapshotOf<P>) -> bool,
        read_newer: impl FnOnce() -> Result<()>,
    ) -> Result<Guard<'_, SnapshotOf<P>>> {
        let snapshot = self.read();
        if self.is_current(&snapshot) && is_usable(&snapshot) {
            return Ok(snapshot);
        }
        drop(snapshot);
        let _catching_up = self.lock_by(Some(deadline))?;
        read_newer()?;
        // Perhaps no version page was mapped. Map a page that another process has created, for later checks.
        self.store.map_existing_page();
        Ok(self.read())
    }

    /// In the child after a fork, resets the reader counts of the parent's other threads, which no longer exist.
    /// `alone`: a proof that the child has a single thread.
    pub fn after_fork(&self, alone: &SingleThreadProof) {
        self.snapshot.reset_after_fork(alone);
    }
}
