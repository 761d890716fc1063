//! The version counters (a seqlock): two loads tell a reader whether anything was committed since its snapshot.
//!
//! `pending` and `done` lie in a page that all processes map. Write transactions are numbered, and the database stores the
//! last number. While it holds the database's write lock, a writer
//!
//! 1. stores `pending = number`,
//! 2. commits,
//! 3. stores `done = number`, and only then returns to its caller.
//!
//! A reader loads `done`, then `pending`. Its snapshot has a number too; it is current if both counters equal that number.
//! If not, the reader asks the database.
//!
//! **No lookup that starts after a commit's return sees the old answer.** Let the commit have number n. Returning comes
//! after step 3, and that store is sequentially consistent, so it is visible to whatever starts afterwards. From then on
//! `done` is n or more: it is only ever stored by those who hold the write lock, with numbers that the database has
//! reached. A snapshot without the commit has a smaller number, so it never compares equal again.
//!
//! **The same if the writer dies.** Before 1: nothing happened. Between 1 and 2: nothing was committed (the database rolls
//! back); `pending` is ahead of `done`, so readers ask the database and get the old, right answer. Between 2 and 3: `done`
//! still has the old number, but `pending` was stored before the commit, so a reader that sees the commit's effects
//! cannot see the counters equal at the old number; it asks the database and gets the new answer. That lasts
//! until the next writer: its own steps, or [`VersionCounters::repair`], leave the counters equal at the database's number.
//! Whatever it finds, `done ≤ database ≤ pending`, and every store of a repair keeps that, so no state in between
//! shows an old number twice. (After a crash of the machine the page may hold anything: repair it when the first process
//! opens the store.)

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
    /// A transaction is under way, or its writer died: ask the database.
    Pending,
}

/// The two counters.
#[derive(Debug)]
pub struct VersionCounters<'a, W> {
    pending: &'a W,
    done: &'a W,
}

impl<'a, W: SharedWord> VersionCounters<'a, W> {
    /// These two words.
    pub fn new(pending: &'a W, done: &'a W) -> Self {
        Self { pending, done }
    }

    /// Announces transaction `number`: before its commit, under the database's write lock.
    pub fn begin(&self, number: u64) {
        self.pending.store(number);
    }

    /// Announces that transaction `number` is finished: after its commit, before the call returns. The higher number of
    /// a later writer stays.
    pub fn commit(&self, number: u64) {
        self.done.raise(number);
    }

    /// Sets both to the database's number. Only under the write lock, outside of a transaction.
    pub fn repair(&self, number: u64) {
        self.done.store(number);
        self.pending.store(number);
    }

    /// Loads `done` first: a writer between the two loads makes them differ.
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
