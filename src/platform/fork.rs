//! What must not be open at the moment of a fork is closed before it and opened again when needed.
//!
//! `SQLite` keeps a table of its locks per file and process; a child inherits it, though the kernel's locks do not come
//! along, and rows that the child commits can vanish when the parent closes. So before each fork of the host every
//! connection is closed, and the locks that guard them are held until it is over.

use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, Weak};

/// On which side of a fork code runs afterwards.
#[derive(Debug, PartialEq, Eq)]
pub enum Side {
    /// In the process that forked, or where the fork failed.
    Parent,
    /// In the new process, which has this thread only.
    Child(Alone),
}

/// The proof that this thread is the only one of its process, and inside no call of the library: only the handler of
/// a fork in the child has one.
#[derive(Debug, PartialEq, Eq)]
pub struct Alone(());

/// Something that has to be closed while the host forks.
pub trait Forks: Send + Sync {
    /// Called before a fork: waits for what is under way, closes it, and gives what keeps others from opening it again,
    /// to be let go afterwards on both sides.
    fn before(&self) -> Vec<Box<dyn Release>>;
    /// Called afterwards, once everything is let go.
    fn after(&self, side: &Side);
}

/// Held through a fork; dropped afterwards.
pub trait Release {}

/// A mutex held through a fork: the guard, and what it guards.
pub struct Held<T: 'static> {
    // Declared first: dropped before the mutex that it refers to.
    _guard: MutexGuard<'static, T>,
    _mutex: Arc<Mutex<T>>,
}

impl<T> Release for Held<T> {}

/// Locks `mutex` and keeps it locked until the result is dropped.
pub fn hold<T>(mutex: &Arc<Mutex<T>>) -> Held<T> {
    let mutex = Arc::clone(mutex);
    // SAFETY: the guard refers to the mutex inside the `Arc`, which does not move and is dropped after it.
    let guard = unsafe {
        std::mem::transmute::<MutexGuard<'_, T>, MutexGuard<'static, T>>(
            mutex.lock().unwrap_or_else(PoisonError::into_inner),
        )
    };
    Held {
        _guard: guard,
        _mutex: mutex,
    }
}

impl<T> Held<T> {
    /// What the mutex guards.
    pub fn get(&mut self) -> &mut T {
        &mut self._guard
    }
}

/// A fork under way: what is held, and whom to tell afterwards.
struct Fork {
    held: Vec<Box<dyn Release>>,
    told: Vec<Arc<dyn Forks>>,
}

static WATCHED: Mutex<Vec<Weak<dyn Forks>>> = Mutex::new(Vec::new());
/// Set between `before` and `after`, by the forking thread only; a second thread that forks waits for it.
static UNDER_WAY: Mutex<Option<ForkCell>> = Mutex::new(None);

/// Guards are not `Send`: they must be dropped by the thread that took them. `before` and `after` of one fork run on the
/// thread that forks.
struct ForkCell(Fork, MutexGuard<'static, Vec<Weak<dyn Forks>>>);

// SAFETY: made and dropped on the forking thread; in the child that thread is the only one.
unsafe impl Send for ForkCell {}

/// From now on `it` is told of each fork, for as long as it lives.
pub fn watch(it: &Arc<impl Forks + 'static>) {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        // SAFETY: the handlers are functions of this library; glibc forgets them when it is unloaded.
        unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    });
    let mut watched = lock(&WATCHED);
    watched.retain(|one| one.strong_count() > 0);
    let weak: Weak<dyn Forks> = Arc::downgrade(it) as Weak<dyn Forks>;
    watched.push(weak);
}

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

extern "C" fn before() {
    let watched = lock(&WATCHED);
    let told: Vec<Arc<dyn Forks>> = watched.iter().filter_map(Weak::upgrade).collect();
    let held = told.iter().flat_map(|one| one.before()).collect();
    *lock(&UNDER_WAY) = Some(ForkCell(Fork { held, told }, watched));
}

fn after(side: &Side) {
    let Some(ForkCell(fork, watched)) = lock(&UNDER_WAY).take() else {
        return;
    };
    drop(fork.held);
    drop(watched);
    for one in fork.told {
        one.after(side);
    }
}

extern "C" fn after_in_parent() {
    after(&Side::Parent);
}

extern "C" fn after_in_child() {
    after(&Side::Child(Alone(())));
}
