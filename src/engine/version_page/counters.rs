//! The version counters (a seqlock): two loads tell a reader whether anything was committed since its snapshot.
//!
//! `pending` and `done` are in a page that all processes map. Write transactions are numbered, and the database stores
//! the last number. While it holds the database's write lock, a writer
//!
//! 1. stores `pending = number`,
//! 2. commits,
//! 3. stores `done = number`, and only then returns to its caller.
//!
//! A reader loads `done`, then `pending`. Its snapshot has a number too; it is current if both counters equal that
//! number. If not, the reader queries the database.
//!
//! **A lookup that starts after a commit has returned does not see the old answer.** Let n be the number of the commit.
//! It returns after step 3, and the store of step 3 is sequentially consistent, so later lookups see it. From then on
//! `done` is n or more, since only holders of the write lock store it, with numbers that the database has reached. A
//! snapshot without the commit has a smaller number, so its number never equals the counters again.
//!
//! **This also holds if the writer dies.** Before step 1 nothing has happened. Between 1 and 2 nothing was committed,
//! as the database rolls back. `pending` is ahead of `done`, so readers query the database and get the old answer,
//! which is right. Between 2 and 3 `done` still has the old number. But `pending` was stored before the commit, so a
//! reader that sees the commit's effects cannot see both counters at the old number. It queries the database and gets
//! the new answer. This lasts until the next writer, whose steps or [`VersionCounters::repair`] set both counters to
//! the database's number. Before a repair and after each of its stores, `done ≤ database ≤ pending`, so the two
//! counters are never equal at an old number. (After a crash of the machine the page may have any content, and the
//! first process that opens the store repairs it.)

/// A shared counter: an atomic of std, or of loom in the model test.
pub trait SharedWord {
    /// Sequentially consistent load.
    fn load(&self) -> u64;
    /// Sequentially consistent store.
    fn store(&self, value: u64);
    /// Sequentially consistent maximum.
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
    /// A transaction is under way, or its writer died: query the database.
    Pending,
}

/// The two counters.
#[derive(Debug)]
pub struct VersionCounters<'a, W> {
    pending: &'a W,
    done: &'a W,
}

impl<'a, W: SharedWord> VersionCounters<'a, W> {
    /// Creates the counters from these two words.
    pub fn new(pending: &'a W, done: &'a W) -> Self {
        Self { pending, done }
    }

    /// Announces transaction `number`. Call it before the commit, under the database's write lock.
    pub fn begin(&self, number: u64) {
        self.pending.store(number);
    }

    /// Announces that transaction `number` is finished. Call it after the commit, before returning to the caller. The
    /// higher number of a later writer stays.
    pub fn commit(&self, number: u64) {
        self.done.raise(number);
    }

    /// Sets both counters to the database's number. Call it only under the write lock, outside of a transaction.
    pub fn repair(&self, number: u64) {
        self.done.store(number);
        self.pending.store(number);
    }

    /// Loads `done` first, so that a writer between the two loads makes them differ.
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
