//! Closes connections before a fork; they are opened again on demand.
//!
//! `SQLite` keeps a table of its locks per file and process. A child inherits the table but not the kernel's locks, and
//! rows that the child commits can vanish when the parent closes. So before each fork of the host, all connections are
//! closed, and the locks that guard them are held until the fork is over. All other locks of the library that a call
//! may hold for more than an instant are held too. Otherwise threads that the child does not have could hold them in
//! the child for ever. Files that are locked for a call are closed in the child, because their locks would otherwise
//! last as long as the child.

use std::any::Any;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, Once, Weak};

use super::mutex::lock;
use super::system::fork as system;

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
    /// Called before a fork. Waits for running work, closes connections, and returns the locks that prevent opening
    /// them again. Parent and child release the locks after the fork. Locks are taken in the order in which calls take
    /// them. Components registered later are called first, so register a component after those that it uses.
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>>;
    /// Called after the fork, once all locks are released.
    fn after(&self, _side: &Side) {}
}

/// A lock held during a fork; dropped afterwards.
pub trait Release {}

/// A mutex held through a fork: the guard, and the owner of what it guards.
pub struct HeldLock<O, T: 'static> {
    // Declared first, so that it is dropped before the owner of its mutex.
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
static OWN_FILES: Mutex<Vec<system::Descriptor>> = Mutex::new(Vec::new());

impl OwnFile {
    /// Calls `open` and registers the file.
    ///
    /// # Errors
    /// Errors of `open`.
    pub fn open(open: impl FnOnce() -> io::Result<File>) -> io::Result<Self> {
        let mut own_files = lock(&OWN_FILES); // no fork happens before the file is registered
        let file = open()?;
        own_files.push(system::descriptor(&file));
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
        match own.iter().position(|known| *known == system::descriptor(&file)) {
            Some(place) => {
                own.swap_remove(place);
                drop(file);
                if own.is_empty() {
                    *own = Vec::new(); // nothing is left behind when the library is unloaded
                }
            }
            // In a child the descriptor is closed already, and may belong to another file by now.
            None => system::forget(file),
        }
    }
}

/// A fork in progress: the locks held, and the components to call afterwards.
struct Fork {
    locks: Vec<Box<dyn Release>>,
    components: Vec<Arc<dyn Forks>>,
}

/// Takes the lock that all components may use while preparing for a fork; see [`hold_last`].
static LAST_LOCK: Mutex<Option<TakeLock>> = Mutex::new(None);

type TakeLock = fn() -> Box<dyn Release>;

static WATCHED: Mutex<Vec<Weak<dyn Forks>>> = Mutex::new(Vec::new());
/// Set between `before` and `after`, by the forking thread only; a second thread that forks waits for it.
static UNDER_WAY: Mutex<Option<ForkCell>> = Mutex::new(None);

/// Guards are not `Send`: they must be dropped by the thread that took them. Both handlers of a fork run on the forking
/// thread.
struct ForkCell {
    fork: Fork,
    watched: MutexGuard<'static, Vec<Weak<dyn Forks>>>,
    own_files: MutexGuard<'static, Vec<system::Descriptor>>,
    last_lock: Option<Box<dyn Release>>,
}

// SAFETY: it is created and dropped on the forking thread. In the child that is the only thread.
unsafe impl Send for ForkCell {}

/// Calls `it` at each fork, until `it` is dropped.
pub fn watch(it: &Arc<impl Forks + 'static>) {
    register();
    let mut watched = lock(&WATCHED);
    watched.retain(|one| one.strong_count() > 0);
    watched.push(Arc::downgrade(it) as Weak<dyn Forks>);
}

/// Registers a lock that is taken last before each fork and released first after it. For a lock that may be taken while
/// any other one is held, such as the log's.
pub fn hold_last(take: TakeLock) {
    register();
    *lock(&LAST_LOCK) = Some(take);
}

fn register() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| system::register(before, after_in_parent, after_in_child));
}

/// Removes dropped components from the list, and frees the list if it is empty, so that an unloaded library leaves no
/// memory behind.
pub fn forget_closed_handles() {
    let mut watched = lock(&WATCHED);
    watched.retain(|one| one.strong_count() > 0);
    if watched.is_empty() {
        *watched = Vec::new();
    }
}

/// Runs before a fork: takes all locks, the log's last.
extern "C" fn before() {
    let watched = lock(&WATCHED);
    let components: Vec<Arc<dyn Forks>> = watched.iter().filter_map(Weak::upgrade).collect();
    let locks = components
        .iter()
        .rev()
        .flat_map(|one| Arc::clone(one).before())
        .collect();
    let own_files = lock(&OWN_FILES);
    let last_lock = lock(&LAST_LOCK).map(|take| take());
    *lock(&UNDER_WAY) = Some(ForkCell {
        fork: Fork { locks, components },
        watched,
        own_files,
        last_lock,
    });
}

/// Runs after a fork: closes own files in the child, releases the locks, and calls the components.
fn after(side: &Side) {
    let Some(ForkCell {
        fork,
        watched,
        mut own_files,
        last_lock,
    }) = lock(&UNDER_WAY).take()
    else {
        return;
    };
    drop(last_lock);
    if matches!(side, Side::Child(_)) {
        for descriptor in own_files.drain(..) {
            // SAFETY: it was open at the fork, and no thread of this process uses it: threads that did are only in the
            // parent.
            unsafe { system::close(descriptor) };
        }
    }
    drop(own_files);
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
