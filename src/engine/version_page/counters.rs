//! The version counters (a seqlock): two loads show a reader whether anything was committed since its snapshot.
//!
//! `pending` and `done` are in a page that all processes map. Write transactions are numbered, and the database stores
//! the last number. While it holds the database's write lock, a writer
//!
//! 1. stores `pending = number`,
//! 2. commits,
//! 3. stores `done = number`, and only then returns to its caller.
//!
//! A reader loads `done`, then `pending`. Its snapshot has a number too, and is current if both counters equal that
//! number. Otherwise the reader queries the database.
//!
//! **A lookup that starts after a commit has returned does not see the old answer.** Let n be the number of the commit.
//! The commit returns after step 3, and the store of step 3 is sequentially consistent, so later lookups see it. From
//! then on `done` is n or more, since only holders of the write lock store `done`, with numbers that the database has
//! reached. A snapshot without the commit has a smaller number, which never equals the counters again.
//!
//! **The same is true if the writer dies.**
//!
//! - Before step 1, nothing has happened.
//! - Between 1 and 2, the database rolls back. `pending` is greater than `done`, so readers query the database and get
//!   the old answer, which is right.
//! - Between 2 and 3, `done` still has the old number. `pending` was stored before the commit, so a reader that sees
//!   the effects of the commit cannot see both counters at the old number. It queries the database and gets the new
//!   answer.
//!
//! This state ends with the next writer: its steps, or [`VersionCounters::repair`], set both counters to the database's
//! number. Before a repair and after each of its stores, `done ≤ database ≤ pending`, so the counters are never equal
//! at an old number. After a crash of the machine the page may have any content, and the first process that opens the
//! store repairs it.

/// A shared counter: an atomic of std, or of loom in the model test.
pub trait SharedWord {
    /// Loads the value, sequentially consistent.
    fn load(&self) -> u64;
    /// Stores a value, sequentially consistent.
    fn store(&self, value: u64);
    /// Replaces the value by this one if this one is greater, sequentially consistent.
    fn raise(&self, value: u64);
}

impl SharedWord for std::sync::atomic::AtomicU64 {
    #[inline]
    fn load(&self) -> u64 {
        self.load(std::sync::atomic::Ordering::SeqCst)
    }

    #[inline]
    fn store(&self, value: u64) {
        self.store(value, std::sync::atomic::Ordering::SeqCst);
    }

    #[inline]
    fn raise(&self, value: u64) {
        self.fetch_max(value, std::sync::atomic::Ordering::SeqCst);
    }
}

/// The state of the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// The last transaction has this number and is finished.
    Equal(u64),
    /// A transaction is running, or its writer died: query the database.
    Pending,
}

/// The two counters.
#[derive(Debug)]
pub struct VersionCounters<'a, W> {
    pending: &'a W,
    done: &'a W,
}

impl<'a, W: SharedWord> VersionCounters<'a, W> {
    /// Uses these two words as counters.
    pub fn new(pending: &'a W, done: &'a W) -> Self {
        Self { pending, done }
    }

    /// Announces transaction `number`. Call this function before the commit, under the database's write lock.
    pub fn begin(&self, number: u64) {
        self.pending.store(number);
    }

    /// Announces that transaction `number` is finished. Call this function after the commit, before returning to the
    /// caller. Does not replace a higher number, which a later writer stored.
    pub fn commit(&self, number: u64) {
        self.done.raise(number);
    }

    /// Sets both counters to the database's number. Call this function only under the write lock, outside of a
    /// transaction.
    pub fn repair(&self, number: u64) {
        self.done.store(number);
        self.pending.store(number);
    }

    /// Returns the state of the counters. Loads `done` first, so that a writer between the two loads makes them differ.
    #[inline]
    pub fn state(&self) -> PageState {
        let done = self.done.load();
        if self.pending.load() == done {
            PageState::Equal(done)
        } else {
            PageState::Pending
        }
    }
}
