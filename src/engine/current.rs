//! Keeps a snapshot of the store current, for libraries and for tables: one thread at a time reads the newer commits,
//! and adds them in place or replaces the snapshot.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::segment::RecordSegments;
use super::sql::{Incarnation, Manifest, Store};
use crate::error::Result;
use crate::model::Sequence;
use crate::platform::fork::SingleThreadProof;
use crate::platform::mutex::lock;
use crate::platform::swap::{Guard, Swap};

/// The segments that a manifest names.
#[derive(Default)]
pub struct OpenSegments {
    pub incarnation: Incarnation,
    pub manifest: Manifest,
    /// In the order of the manifest.
    pub segments: Arc<RecordSegments>,
}

impl OpenSegments {
    /// Returns whether a segment is missing or damaged, so that all of them must be rebuilt.
    #[inline]
    #[must_use]
    pub fn are_lost(&self) -> bool {
        self.segments.are_lost()
    }
}

/// A snapshot of a part of the store: of the libraries, or of the tables.
#[derive(Default)]
pub struct Shown<P> {
    /// Counts snapshots of this handle, from 1; 0 is the empty one before the first.
    pub number: u64,
    /// The change sequence up to which the snapshot shows every commit.
    sequence: AtomicU64,
    /// The segments of recorded matches and tables, with the incarnation of the whole snapshot.
    pub open: Arc<OpenSegments>,
    /// Whether the snapshot must be read again, because something changed that cannot be added in place.
    outdated: AtomicBool,
    part: P,
}

impl<P> Deref for Shown<P> {
    type Target = P;

    /// Gives access to the part of the snapshot.
    #[inline]
    fn deref(&self) -> &P {
        &self.part
    }
}

impl<P> Shown<P> {
    /// Creates the snapshot that follows `before` and shows every commit up to `sequence`.
    pub fn after(before: &Self, sequence: Sequence, open: Arc<OpenSegments>, part: P) -> Self {
        Self {
            number: before.number + 1,
            sequence: AtomicU64::new(sequence.0),
            open,
            outdated: AtomicBool::new(false),
            part,
        }
    }

    /// Returns the change sequence up to which the snapshot shows every commit.
    #[inline]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.sequence.load(Ordering::Acquire))
    }

    /// Notes that the snapshot now shows every commit up to this change sequence.
    pub fn advance_to(&self, sequence: Sequence) {
        self.sequence.store(sequence.0, Ordering::Release);
    }

    /// Returns whether the snapshot must be read again, because something changed that cannot be added in place.
    #[inline]
    pub fn is_outdated(&self) -> bool {
        self.outdated.load(Ordering::Acquire)
    }

    /// Marks the snapshot, so that the next catch-up reads it again.
    pub fn set_outdated(&self) {
        self.outdated.store(true, Ordering::Release);
    }
}

/// The current snapshot of one handle. Lookups read it without a lock.
pub struct Current<P> {
    store: Arc<Store>,
    snapshot: Swap<Shown<P>>,
    /// Held while a thread brings the snapshot up to date.
    pub catching_up: Mutex<()>,
}

impl<P: Default> Current<P> {
    /// Creates an empty snapshot, which the first catch-up replaces.
    pub fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            snapshot: Swap::new(Shown::default()),
            catching_up: Mutex::new(()),
        }
    }

    /// Returns the snapshot as it is, perhaps without the newest commits. Takes no lock.
    #[inline]
    pub fn read(&self) -> Guard<'_, Shown<P>> {
        self.snapshot.read()
    }

    /// Replaces the snapshot. The caller holds the lock.
    pub fn replace(&self, snapshot: Shown<P>) {
        self.snapshot.replace(snapshot);
    }

    /// Waits for the thread that is bringing the snapshot up to date, and keeps others from it.
    pub fn lock(&self) -> MutexGuard<'_, ()> {
        lock(&self.catching_up)
    }

    /// Returns whether the snapshot shows every commit. This takes only some loads.
    #[inline]
    pub fn shows_all(&self, snapshot: &Shown<P>) -> bool {
        self.store.is_current_in(snapshot.open.incarnation, snapshot.sequence())
    }

    /// Returns whether this commit is the only one that the snapshot does not show. In another incarnation the same
    /// sequence is another commit.
    pub fn lacks_only(&self, snapshot: &Shown<P>, incarnation: Incarnation, sequence: Sequence) -> bool {
        snapshot.open.incarnation == incarnation
            && self.store.incarnation() == incarnation
            && snapshot.sequence().next() == sequence
            && !snapshot.is_outdated()
    }

    /// Returns a snapshot that shows every commit, with the result of `look`; `None` if the caller would have to wait.
    /// `look` runs before the check that the snapshot is current, so that its prefetches overlap with the check. Its
    /// result must not depend on what commits add in place. `read_newer` reads the newer commits.
    #[inline]
    pub fn at_once<B>(
        &self,
        look: impl Fn(&Shown<P>) -> B,
        read_newer: impl FnOnce() -> Result<()>,
    ) -> Option<(Guard<'_, Shown<P>>, B)> {
        let snapshot = self.read();
        let looked_up = look(&snapshot);
        if self.shows_all(&snapshot) {
            return Some((snapshot, looked_up));
        }
        drop(snapshot);
        let _catching_up = self.store.short_wait.lock(&self.catching_up)?;
        if !self.shows_all(&self.read()) {
            read_newer().ok()?;
        }
        let snapshot = self.read();
        let looked_up = look(&snapshot);
        Some((snapshot, looked_up))
    }

    /// Returns a snapshot that is settled. Waits if necessary. `read_newer` reads the newer commits.
    pub fn settled(
        &self,
        is_settled: impl Fn(&Shown<P>) -> bool,
        read_newer: impl FnOnce() -> Result<()>,
    ) -> Result<Guard<'_, Shown<P>>> {
        let snapshot = self.read();
        if is_settled(&snapshot) {
            return Ok(snapshot);
        }
        drop(snapshot);
        let _catching_up = self.lock();
        read_newer()?;
        self.store.find_page();
        Ok(self.read())
    }

    /// Resets what the parent's other threads held. Called in the child of a fork.
    pub fn after_fork(&self, alone: &SingleThreadProof) {
        self.snapshot.reset_after_fork(alone);
    }
}
