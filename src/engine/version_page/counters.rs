//! The coherence counters: how a reader learns, for two loads, that nothing was committed since it last asked.
//!
//! `pending` and `done` lie in a page that all processes map. Every write transaction has a number, one above the last
//! one's, which the database keeps too. While it holds the database's write lock, a writer
//!
//! 1. stores `pending = number`,
//! 2. commits,
//! 3. stores `done = number`, and only then returns to its caller.
//!
//! A reader loads `done`, then `pending`. Its snapshot was built from the database at some number; it is current if both
//! counters have exactly that number. If they differ it asks the database, which knows.
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

/// One shared counter. Implemented for the atomics of std, and for those of loom when the protocol is modelled.
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

/// What the counters say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// The last transaction that may have been committed has this number, and it is done.
    Equal(u64),
    /// A transaction is under way, or its writer died: only the database knows.
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

    /// Before the commit of transaction `number`, under the database's write lock.
    pub fn begin(&self, number: u64) {
        self.pending.store(number);
    }

    /// After the commit, still under the lock or not, but before any reader is told of it.
    ///
    /// Without the lock a later writer may have passed: its number must not be taken back.
    pub fn commit(&self, number: u64) {
        self.done.raise(number);
    }

    /// Makes both equal to the database's number. Only under the write lock: no transaction may be under way.
    pub fn repair(&self, number: u64) {
        self.done.store(number);
        self.pending.store(number);
    }

    /// `done` first: a writer that comes between the two loads makes them differ, and a reader that starts after a commit's
    /// return has its number from the first load on.
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
