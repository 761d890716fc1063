//! The version counters (a seqlock): two loads tell a reader whether anything was committed since its snapshot.
//!
//! All processes map the page with the counters `pending` and `done`. Write transactions are numbered, and the database
//! stores the last number. A writer takes these steps while it holds the database's write lock:
//!
//! 1. It stores `pending = number`.
//! 2. It commits.
//! 3. It stores `done = number`, and only then returns to its caller.
//!
//! A reader loads `done`, then `pending`. If both counters equal the number of the reader's snapshot, the snapshot is
//! current. Otherwise the reader queries the database.
//!
//! **A lookup that starts after a commit has returned does not see the old answer.** Let n be the number of the commit.
//! The commit returns after step 3, whose store is sequentially consistent, so later lookups see the new value of
//! `done`. After that, `done` is always at least n: only a holder of the write lock stores `done`, and it stores only
//! numbers that the database has already reached. A snapshot without the commit has a smaller number, which never
//! equals the counters again.
//!
//! **The same is true if the writer dies.**
//!
//! - If the writer dies before step 1, nothing has happened.
//! - If the writer dies between steps 1 and 2, the database rolls back. `pending` is greater than `done`, so readers
//!   query the database and get the old answer, which is right.
//! - If the writer dies between steps 2 and 3, `done` still has the old number. `pending` was stored before the commit,
//!   so a reader that sees the effects of the commit cannot see the old number in both counters. This reader queries
//!   the database and gets the new answer.
//!
//! The next writer makes the counters equal again: its steps, or [`VersionCounters::repair`], set both counters to the
//! database's number. Before a repair and after each of its stores, `done ≤ database ≤ pending`, so the counters are
//! never equal at an old number. After a system crash, the page may have any content, and the first process that opens
//! the store repairs it.

// Those of `std`, or of `loom` in the model test. All accesses are sequentially consistent, which the proof above requires.
use super::{AtomicU64, Ordering};

/// The counters `pending` and `done`.
#[derive(Debug)]
pub struct VersionCounters<'a> {
    pending: &'a AtomicU64,
    done: &'a AtomicU64,
}

impl<'a> VersionCounters<'a> {
    /// Creates the counters from two shared words.
    pub fn new(pending: &'a AtomicU64, done: &'a AtomicU64) -> Self {
        Self { pending, done }
    }

    /// Announces transaction `number`, so that readers query the database until [`Self::commit`]. Call this function
    /// before the commit, under the database's write lock.
    pub fn begin(&self, number: u64) {
        self.pending.store(number, Ordering::SeqCst);
    }

    /// Announces that transaction `number` is committed. Call this function after the commit, before returning to the
    /// caller. If a later writer has already stored a higher number, keeps that number.
    pub fn commit(&self, number: u64) {
        self.done.fetch_max(number, Ordering::SeqCst);
    }

    /// Sets both counters to the last commit's number, because a writer died or rolled back, or the page is new. The
    /// caller must hold the database's write lock, and must not commit before it releases the lock.
    pub fn repair(&self, number: u64) {
        self.done.store(number, Ordering::SeqCst);
        self.pending.store(number, Ordering::SeqCst);
    }

    /// Returns the number of the last transaction, if it is finished; `None` if a transaction is running, or its writer
    /// died: the reader must query the database. Loads `done` first, so that a writer between the two loads makes the
    /// counters differ.
    #[inline]
    pub fn state(&self) -> Option<u64> {
        let done = self.done.load(Ordering::SeqCst);
        (self.pending.load(Ordering::SeqCst) == done).then_some(done)
    }
}
