//! Models of what is lock-free, checked by loom: `RUSTFLAGS="--cfg loom" cargo test --release --test loom`. Without
//! that flag there is nothing here.
//!
//! With one writer all interleavings are gone through; with more threads all those with up to three preemptions, which
//! `LOOM_MAX_PREEMPTIONS` changes.
#![cfg(loom)]
#![allow(dead_code)] // modules are included whole

#[path = "../src/engine/version_page/counters.rs"]
mod counters;
/// Stands in for the module beside `swap`.
mod fork {
    /// The proof that only a fork handler has: no model forks.
    pub struct SingleThreadProof(());
}
#[allow(unsafe_code)] // belongs to `platform`
#[path = "../src/platform/swap.rs"]
mod swap;

use counters::VersionCounters;
use loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use swap::SwapCell;

/// A store: the page, the database behind its write lock, and what the world has been told.
struct Store {
    pending: AtomicU64,
    done: AtomicU64,
    /// The sequence that the database has committed; read without the lock, as WAL readers do.
    database: AtomicU64,
    write_lock: Mutex<()>,
    /// The greatest sequence whose commit returned, or whose writer is known to have died after its commit.
    told: AtomicU64,
}

/// After how many of its steps a writer dies.
#[derive(Clone, Copy)]
enum Dies {
    BeforeCommit,
    AfterCommit,
    Never,
}

impl Store {
    fn new() -> Self {
        Self {
            pending: AtomicU64::new(0),
            done: AtomicU64::new(0),
            database: AtomicU64::new(0),
            write_lock: Mutex::new(()),
            told: AtomicU64::new(0),
        }
    }

    fn counters(&self) -> VersionCounters<'_> {
        VersionCounters::new(&self.pending, &self.done)
    }

    /// A write transaction. `early` frees the lock before `done` is stored, as a writer may.
    fn write(&self, dies: Dies, early: bool) {
        let lock = self.write_lock.lock().unwrap();
        let number = self.database.load(Ordering::SeqCst) + 1;
        self.counters().begin(number);
        if matches!(dies, Dies::BeforeCommit) {
            return;
        }
        self.database.store(number, Ordering::SeqCst);
        if matches!(dies, Dies::AfterCommit) {
            drop(lock);
            self.told.fetch_max(number, Ordering::SeqCst);
            return;
        }
        if early {
            drop(lock);
            self.counters().commit(number);
        } else {
            self.counters().commit(number);
            drop(lock);
        }
        self.told.fetch_max(number, Ordering::SeqCst);
    }

    /// A process that opens the store, or finds the counters apart for long.
    fn repair(&self) {
        let _lock = self.write_lock.lock().unwrap();
        self.counters().repair(self.database.load(Ordering::SeqCst));
    }

    /// A lookup by a process whose snapshot has sequence `snapshot`; gives the sequence that its answer shows.
    fn lookup(&self, snapshot: u64) -> u64 {
        if self.counters().state() == Some(snapshot) {
            snapshot
        } else {
            self.database.load(Ordering::SeqCst)
        }
    }

    /// Looks up twice, the second time with what the first one saw, and checks both against what was told before.
    fn check(&self) {
        let told = self.told.load(Ordering::SeqCst);
        let seen = self.lookup(0);
        assert!(seen >= told, "told of {told}, answered from {seen}");
        let told = self.told.load(Ordering::SeqCst);
        let again = self.lookup(seen);
        assert!(again >= told && again >= seen, "told of {told}, answered from {again}");
    }
}

/// How many threads may be stopped in their course, where going through all interleavings would take hours.
fn bounded(check: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(check);
}

fn model(writers: &'static [(Dies, bool)], repairs: bool) {
    let check = move || {
        let store = Arc::new(Store::new());
        let mut threads: Vec<_> = writers
            .iter()
            .map(|(dies, early)| {
                let store = Arc::clone(&store);
                thread::spawn(move || store.write(*dies, *early))
            })
            .collect();
        if repairs {
            let store = Arc::clone(&store);
            threads.push(thread::spawn(move || store.repair()));
        }
        store.check();
        for thread in threads {
            thread.join().unwrap();
        }
        store.check();
        // Whatever happened, one repair makes lookups cheap again, and right.
        store.repair();
        let committed = store.database.load(Ordering::SeqCst);
        assert_eq!(store.counters().state(), Some(committed));
    };
    if writers.len() == 1 && !repairs {
        loom::model(check);
    } else {
        bounded(check);
    }
}

#[test]
fn a_writer_and_a_reader() {
    model(&[(Dies::Never, false)], false);
    model(&[(Dies::Never, true)], false);
}

#[test]
fn a_writer_that_dies() {
    model(&[(Dies::BeforeCommit, false)], false);
    model(&[(Dies::AfterCommit, false)], false);
}

#[test]
fn a_writer_that_dies_and_one_that_does_not() {
    model(&[(Dies::BeforeCommit, false), (Dies::Never, false)], false);
    model(&[(Dies::AfterCommit, false), (Dies::Never, false)], false);
    model(&[(Dies::AfterCommit, false), (Dies::Never, true)], false);
}

#[test]
fn two_writers_one_of_which_is_late() {
    model(&[(Dies::Never, true), (Dies::Never, false)], false);
    model(&[(Dies::Never, true), (Dies::Never, true)], false);
}

#[test]
fn a_writer_that_dies_and_a_repair() {
    model(&[(Dies::BeforeCommit, false)], true);
    model(&[(Dies::AfterCommit, false)], true);
    model(&[(Dies::Never, true)], true);
}

/// A value that tells when it is gone.
struct Value {
    number: usize,
    gone: Arc<[AtomicUsize; 3]>,
}

impl Drop for Value {
    fn drop(&mut self) {
        self.gone[self.number].fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn what_is_read_is_not_freed() {
    bounded(|| {
        let gone = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)]);
        let value = |number| Value {
            number,
            gone: Arc::clone(&gone),
        };
        let swap = Arc::new(SwapCell::new(value(0)));
        let readers: Vec<_> = (0..2)
            .map(|thread| {
                let (swap, gone) = (Arc::clone(&swap), Arc::clone(&gone));
                thread::spawn(move || {
                    let guard = swap.read_as(thread);
                    let number = guard.number;
                    assert_eq!(gone[number].load(Ordering::SeqCst), 0, "freed under a guard");
                    drop(guard);
                })
            })
            .collect();
        swap.replace(value(1));
        for reader in readers {
            reader.join().unwrap();
        }
        swap.replace(value(2));
        assert_eq!(swap.collect(), 0, "without a reader nothing is kept");
        let freed = |number: usize| gone[number].load(Ordering::SeqCst);
        assert_eq!((freed(0), freed(1), freed(2)), (1, 1, 0));
        drop(swap);
        assert_eq!((freed(0), freed(1), freed(2)), (1, 1, 1));
    });
}
