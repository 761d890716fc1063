//! Closes connections before a fork; they are opened again on demand.
//!
//! `SQLite` keeps a table of its locks per file and process. A child inherits the table but not the kernel's locks, and
//! rows that the child commits can vanish when the parent closes. So before each fork of the host, all connections are
//! closed, and the locks that guard them are held until it is over. So are all other locks of the library that a call
//! may hold for more than an instant: the child would find them locked for ever, by threads that it does not have.
//! Files that are locked for a call are closed in the child, or their locks would last as long as it does.

use std::any::Any;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, Once, Weak};

use super::mutex::lock;

/// The side of a fork.
#[derive(Debug, PartialEq, Eq)]
pub enum Side {
    /// The process that forked, or the fork failed.
    Parent,
    /// The new process, which has only this thread.
    Child(SingleThreadProof),
}

/// Proof that this thread is the only one of its process, and not inside any call of the library. Only the fork handler
/// of the child creates one.
#[derive(Debug, PartialEq, Eq)]
pub struct SingleThreadProof(());

/// A component that prepares for forks.
pub trait Forks: Any + Send + Sync {
    /// Called before a fork: waits for running work, closes what must not be open, and returns the locks that prevent
    /// opening it again. Parent and child release them after the fork. Locks are taken in the order in which calls
    /// take them. Components registered later are called first, so register a component after those that it uses.
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>>;
    /// Called after the fork, once all locks are released.
    fn after(&self, _side: &Side) {}
}

/// A lock held during a fork; dropped afterwards.
pub trait Release {}

/// A mutex held through a fork: the guard, and the owner of what it guards.
pub struct HeldLock<O, T: 'static> {
    // Declared first: dropped before the owner of the mutex that it refers to.
    guard: MutexGuard<'static, T>,
    _owner: Arc<O>,
}

impl<O, T> Release for HeldLock<O, T> {}

/// Locks a mutex of `owner` and keeps it locked until the result is dropped.
pub fn hold<O, T>(owner: &Arc<O>, mutex: impl FnOnce(&O) -> &Mutex<T>) -> HeldLock<O, T> {
    let owner = Arc::clone(owner);
    // SAFETY: the guard refers to a mutex inside the `Arc`, which does not move and is dropped after it.
    let guard = unsafe { std::mem::transmute::<MutexGuard<'_, T>, MutexGuard<'static, T>>(lock(mutex(&owner))) };
    HeldLock { guard, _owner: owner }
}

impl<O, T> HeldLock<O, T> {
    /// The guarded value.
    pub fn get(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A file whose descriptor is closed in the child of a fork.
#[derive(Debug)]
pub struct OwnFile(Option<File>);

/// Descriptors of these files. Locked during a fork, and otherwise only while a file is opened.
static OWN_FILES: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

impl OwnFile {
    /// Calls `open` and registers the file.
    ///
    /// # Errors
    /// Those of `open`.
    pub fn open(open: impl FnOnce() -> io::Result<File>) -> io::Result<Self> {
        let mut own = lock(&OWN_FILES); // no fork comes between
        let file = open()?;
        own.push(file.as_raw_fd());
        Ok(Self(Some(file)))
    }
}

impl Deref for OwnFile {
    type Target = File;

    fn deref(&self) -> &File {
        match &self.0 {
            Some(file) => file,
            None => unreachable!("only dropping takes the file"),
        }
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        let mut own = lock(&OWN_FILES);
        let Some(file) = self.0.take() else { return };
        match own.iter().position(|known| *known == file.as_raw_fd()) {
            Some(place) => {
                own.swap_remove(place);
                drop(file);
                if own.is_empty() {
                    *own = Vec::new(); // nothing is left behind when the library is unloaded
                }
            }
            // This is a child, where the descriptor is closed, and may be another file's by now.
            None => _ = file.into_raw_fd(),
        }
    }
}

/// A fork in progress: the locks held, and the components to call afterwards.
struct Fork {
    locks: Vec<Box<dyn Release>>,
    components: Vec<Arc<dyn Forks>>,
}

/// Takes the lock that all other components may use while preparing for a fork: see [`hold_last`].
static LAST: Mutex<Option<Take>> = Mutex::new(None);

type Take = fn() -> Box<dyn Release>;

static WATCHED: Mutex<Vec<Weak<dyn Forks>>> = Mutex::new(Vec::new());
/// Set between `before` and `after`, by the forking thread only; a second thread that forks waits for it.
static UNDER_WAY: Mutex<Option<ForkCell>> = Mutex::new(None);

/// Guards are not `Send`: they must be dropped by the thread that took them. Both handlers of a fork run on the forking
/// thread.
struct ForkCell(
    Fork,
    MutexGuard<'static, Vec<Weak<dyn Forks>>>,
    MutexGuard<'static, Vec<RawFd>>,
    Option<Box<dyn Release>>,
);

// SAFETY: made and dropped on the forking thread; in the child that thread is the only one.
unsafe impl Send for ForkCell {}

/// Calls `it` at each fork until it is dropped.
pub fn watch(it: &Arc<impl Forks + 'static>) {
    watch_after(|_: &[Arc<dyn Forks>]| Arc::clone(it));
}

/// Registers the result of `make`, which receives all components registered so far. No other can register meanwhile.
pub fn watch_after<T: Forks>(make: impl FnOnce(&[Arc<dyn Forks>]) -> Arc<T>) -> Arc<T> {
    register();
    let mut watched = lock(&WATCHED);
    watched.retain(|one| one.strong_count() > 0);
    let components: Vec<Arc<dyn Forks>> = watched.iter().filter_map(Weak::upgrade).collect();
    let it = make(&components);
    let weak: Weak<dyn Forks> = Arc::downgrade(&it) as Weak<dyn Forks>;
    watched.push(weak);
    drop(watched); // what `components` may drop looks at it
    it
}

/// Registers a lock that is taken last before each fork and released first after it: for a lock that is taken while
/// any other one is held, such as the log's.
pub fn hold_last(take: Take) {
    register();
    *lock(&LAST) = Some(take);
}

fn register() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| {
        // SAFETY: the handlers are functions of this library; glibc forgets them when it is unloaded.
        unsafe { libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child)) };
    });
}

/// Removes dropped components and frees their memory, so that an unloaded library leaves nothing behind.
pub fn forget_closed_handles() {
    let mut watched = lock(&WATCHED);
    watched.retain(|one| one.strong_count() > 0);
    if watched.is_empty() {
        *watched = Vec::new();
    }
}

extern "C" fn before() {
    let watched = lock(&WATCHED);
    let components: Vec<Arc<dyn Forks>> = watched.iter().filter_map(Weak::upgrade).collect();
    let locks = components
        .iter()
        .rev()
        .flat_map(|one| Arc::clone(one).before())
        .collect();
    let own = lock(&OWN_FILES);
    let last = lock(&LAST).map(|take| take());
    *lock(&UNDER_WAY) = Some(ForkCell(Fork { locks, components }, watched, own, last));
}

fn after(side: &Side) {
    let Some(ForkCell(fork, watched, mut own, last)) = lock(&UNDER_WAY).take() else {
        return;
    };
    drop(last);
    if matches!(side, Side::Child(_)) {
        for descriptor in own.drain(..) {
            // SAFETY: it was open when the fork came, and no thread of this process can use it: those that did are in
            // the parent.
            unsafe { libc::close(descriptor) };
        }
    }
    drop(own);
    drop(fork.locks);
    drop(watched);
    for one in fork.components {
        one.after(side);
    }
}

extern "C" fn after_in_parent() {
    after(&Side::Parent);
}

extern "C" fn after_in_child() {
    after(&Side::Child(SingleThreadProof(())));
}
