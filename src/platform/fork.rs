//! Closes connections before a fork; they are opened again on demand.
//!
//! SQLite keeps a table of its locks per file and process. A child inherits the table but not the kernel's locks, and
//! rows that the child commits can vanish when the parent closes. Therefore, before each fork of the host, this module
//! closes all connections and holds their locks until the fork is over. It also holds all other locks that a call may
//! hold for more than an instant, since the child does not have the threads that would release them. The child closes
//! files that are locked for a call, because their locks would otherwise last as long as the child.

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

/// Proof that this thread is the only one of its process and not inside a call of the library. Only the child's fork
/// handler creates one.
#[derive(Debug, PartialEq, Eq)]
pub struct SingleThreadProof(());

/// A component that prepares for forks.
pub trait Forks: Any + Send + Sync {
    /// Called before a fork. Waits for running work, closes connections, and returns locks that keep them closed.
    /// Parent and child release the locks after the fork. Implementations take locks in the order in which calls take
    /// them. Components registered later are called first, so register a component after those that it uses.
    fn before(self: Arc<Self>) -> Vec<Box<dyn Release>>;
    /// Called after the fork, once all locks are released.
    fn after(&self, _side: &Side) {}
}

/// A lock held during a fork; dropped afterwards.
pub trait Release {}

/// A mutex held during a fork, with its owner.
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
    /// Returns the guarded value.
    pub fn get(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A file whose descriptor is closed in the child of a fork.
#[derive(Debug)]
pub struct OwnFile(Option<File>);

/// Descriptors of all [`OwnFile`]s. Locked during a fork, and otherwise only while a file is opened or closed.
static OWN_FILES: Mutex<Vec<system::Descriptor>> = Mutex::new(Vec::new());

impl OwnFile {
    /// Calls `open`, and registers the file, so that the child of a fork closes it.
    ///
    /// # Errors
    /// Errors of `open`.
    pub fn open(open: impl FnOnce() -> io::Result<File>) -> io::Result<Self> {
        let mut own_files = lock(&OWN_FILES); // no fork may happen before the file is registered
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
    /// Closes the file, unless this is a child, which has closed it already.
    fn drop(&mut self) {
        let mut descriptors = lock(&OWN_FILES);
        let Some(file) = self.0.take() else { return };
        match descriptors.iter().position(|open| *open == system::descriptor(&file)) {
            Some(index) => {
                descriptors.swap_remove(index);
                drop(file);
                if descriptors.is_empty() {
                    *descriptors = Vec::new(); // an unloaded library must leave no memory behind
                }
            }
            // In a child the descriptor is closed already, and another file may have its number.
            None => system::forget(file),
        }
    }
}

/// A fork in progress: the locks held, and the components to call afterwards.
struct Fork {
    locks: Vec<Box<dyn Release>>,
    components: Vec<Arc<dyn Forks>>,
}

/// The function registered with [`hold_last`].
static LAST_LOCK: Mutex<Option<TakeLock>> = Mutex::new(None);

type TakeLock = fn() -> Box<dyn Release>;

/// Registered components.
static WATCHED: Mutex<Vec<Weak<dyn Forks>>> = Mutex::new(Vec::new());
/// The fork in progress. `before` sets it and `after` clears it, both on the forking thread. Another thread that forks
/// waits for the lock on `WATCHED`.
static UNDER_WAY: Mutex<Option<ForkCell>> = Mutex::new(None);

/// A fork in progress with its guards. Guards are not `Send`: the thread that took them must drop them. Both handlers
/// of a fork run on the forking thread.
struct ForkCell {
    fork: Fork,
    watched: MutexGuard<'static, Vec<Weak<dyn Forks>>>,
    own_files: MutexGuard<'static, Vec<system::Descriptor>>,
    last_lock: Option<Box<dyn Release>>,
}

// SAFETY: it is created and dropped on the forking thread. In the child that is the only thread.
unsafe impl Send for ForkCell {}

/// Calls a component at each fork, until it is dropped.
pub fn watch(component: &Arc<impl Forks + 'static>) {
    register();
    let mut watched = lock(&WATCHED);
    watched.retain(|one| one.strong_count() > 0);
    watched.push(Arc::downgrade(component) as Weak<dyn Forks>);
}

/// Registers the last lock to take before each fork, and the first to release after it: a lock that any code may take
/// while it holds others, such as the log's.
pub fn hold_last(take: TakeLock) {
    register();
    *lock(&LAST_LOCK) = Some(take);
}

/// Registers the fork handlers of this process once.
fn register() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| system::register(before, after_in_parent, after_in_child));
}

/// Removes dropped components from the list, and frees an empty list, so that an unloaded library leaves no memory
/// behind.
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
            // SAFETY: it was open at the fork, and the threads that used it exist only in the parent.
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

/// Runs after a fork in the process that forked.
extern "C" fn after_in_parent() {
    after(&Side::Parent);
}

/// Runs after a fork in the new process, which has only this thread.
extern "C" fn after_in_child() {
    after(&Side::Child(SingleThreadProof(())));
}
