//! Closes connections before a fork. Calls open new connections on demand.
//!
//! In each process, SQLite keeps a table of its locks on each file. A forked child inherits the table but not the
//! kernel's locks, so rows that the child commits can disappear when the parent closes the file. Therefore, before each
//! fork, this module closes all connections, and holds their mutexes until the fork is over. The module also holds all
//! other mutexes that a call can hold for more than an instant, since the child does not have the threads that would
//! release them. The child closes files that a call has locked, because the locks would otherwise outlive the call.

use std::any::Any;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, Once, Weak};

use super::mutex::lock;
use super::system::fork as system;

/// The process in which a fork handler runs.
#[derive(Debug, PartialEq, Eq)]
pub enum Side {
    /// The process that called `fork`, even if the fork failed.
    Parent,
    /// The new process, which has only this thread.
    Child(SingleThreadProof),
}

/// Proof that this thread is the only thread in its process, and is not inside a call to the library. Only the child's
/// fork handler creates this proof.
#[derive(Debug, PartialEq, Eq)]
pub struct SingleThreadProof(());

/// A component that prepares for forks.
pub trait ForkAware: Any + Send + Sync {
    /// Called before a fork. Waits for running work, closes connections, and returns locks that keep the connections
    /// closed. The parent and the child release the locks after the fork. An implementation must acquire locks in the
    /// order in which calls acquire them. Components are called in reverse order of registration, so register a
    /// component after the components that it uses.
    fn before(self: Arc<Self>) -> Vec<Box<dyn ForkLock>>;
    /// Called after the fork, once all locks are released.
    fn after(&self, _side: &Side) {}
}

/// A lock that is held during a fork, and dropped afterwards.
pub trait ForkLock {}

/// A mutex that is locked during a fork, with its owner.
pub struct HeldLock<O, T: 'static> {
    // The guard is declared first, so that it is dropped before the owner of its mutex.
    guard: MutexGuard<'static, T>,
    _owner: Arc<O>,
}

impl<O, T> ForkLock for HeldLock<O, T> {}

/// Locks a mutex in `owner` for a fork. The mutex stays locked, and `owner` stays alive, until the returned value is
/// dropped.
pub fn lock_for_fork<O, T>(owner: &Arc<O>, mutex: impl FnOnce(&O) -> &Mutex<T>) -> HeldLock<O, T> {
    let owner = Arc::clone(owner);
    // SAFETY: the guard refers to a mutex inside the `Arc`, which does not move and is dropped after the guard.
    let guard = unsafe { std::mem::transmute::<MutexGuard<'_, T>, MutexGuard<'static, T>>(lock(mutex(&owner))) };
    HeldLock { guard, _owner: owner }
}

impl<O, T> HeldLock<O, T> {
    /// Returns the guarded value.
    pub fn get(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// A file whose descriptor a forked child closes, so that a lock on the file ends when the parent closes the file.
#[derive(Debug)]
pub struct ForkClosedFile(Option<File>);

/// Descriptors of all [`ForkClosedFile`]s. Locked during a fork, and otherwise only while a file is opened or closed.
static OWN_FILES: Mutex<Vec<system::Descriptor>> = Mutex::new(Vec::new());

impl ForkClosedFile {
    /// Opens a file with `open`, and registers the file, so that a forked child closes it.
    ///
    /// # Errors
    /// Errors from `open`.
    pub fn open(open: impl FnOnce() -> io::Result<File>) -> io::Result<Self> {
        let mut own_files = lock(&OWN_FILES); // no fork may happen before the file is registered
        let file = open()?;
        own_files.push(system::descriptor(&file));
        Ok(Self(Some(file)))
    }
}

impl Deref for ForkClosedFile {
    type Target = File;

    /// Returns the file, which stays open until this value is dropped.
    fn deref(&self) -> &File {
        match &self.0 {
            Some(file) => file,
            None => unreachable!("only dropping takes the file"),
        }
    }
}

impl Drop for ForkClosedFile {
    /// Closes the file, unless this process is a forked child, which has already closed it.
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
            // In a forked child, the descriptor is already closed, and another file may have the same number.
            None => system::forget(file),
        }
    }
}

/// The function registered with [`register_last_lock`].
static LAST_LOCK: Mutex<Option<TakeLock>> = Mutex::new(None);

type TakeLock = fn() -> Box<dyn ForkLock>;

static COMPONENTS: Mutex<Vec<Weak<dyn ForkAware>>> = Mutex::new(Vec::new());
/// The fork in progress. `before` sets and `after` clears this value, both on the forking thread. Another thread that
/// forks waits for the lock on `COMPONENTS`.
static FORK_IN_PROGRESS: Mutex<Option<ForkCell>> = Mutex::new(None);

/// A fork in progress: the locks and guards that are held until the fork is over, and the components to call then.
/// Guards are not `Send`, since the thread that locked a mutex must unlock it. Both handlers of a fork run on the
/// forking thread.
struct ForkCell {
    locks: Vec<Box<dyn ForkLock>>,
    components: Vec<Arc<dyn ForkAware>>,
    watched: MutexGuard<'static, Vec<Weak<dyn ForkAware>>>,
    own_files: MutexGuard<'static, Vec<system::Descriptor>>,
    last_lock: Option<Box<dyn ForkLock>>,
}

// SAFETY: the value is created and dropped on the forking thread, which is the only thread in the child.
unsafe impl Send for ForkCell {}

/// Registers a component, whose methods are called at each fork until the component is dropped.
pub fn register_component(component: &Arc<impl ForkAware + 'static>) {
    register_handlers();
    let mut components = lock(&COMPONENTS);
    components.retain(|listed| listed.strong_count() > 0);
    components.push(Arc::downgrade(component) as Weak<dyn ForkAware>);
}

/// Registers the lock that is acquired last before each fork, and released first after the fork: a lock that any code
/// may acquire while it holds other locks, such as the logger's lock.
pub fn register_last_lock(take: TakeLock) {
    register_handlers();
    *lock(&LAST_LOCK) = Some(take);
}

/// Registers this process's fork handlers, unless they are already registered.
fn register_handlers() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| system::register(before, after_in_parent, after_in_child));
}

/// Removes dropped components from the list, and frees an empty list, so that an unloaded library leaves no memory
/// behind.
pub fn remove_dropped_components() {
    let mut components = lock(&COMPONENTS);
    components.retain(|component| component.strong_count() > 0);
    if components.is_empty() {
        *components = Vec::new();
    }
}

/// Runs before a fork. Acquires all locks, with the logger's lock last. Calls the components in reverse order, so that
/// each can still use the components on which it depends.
extern "C" fn before() {
    let watched = lock(&COMPONENTS);
    let components: Vec<Arc<dyn ForkAware>> = watched.iter().filter_map(Weak::upgrade).collect();
    let locks = components
        .iter()
        .rev()
        .flat_map(|component| Arc::clone(component).before())
        .collect();
    let own_files = lock(&OWN_FILES);
    let last_lock = lock(&LAST_LOCK).map(|take| take());
    *lock(&FORK_IN_PROGRESS) = Some(ForkCell {
        locks,
        components,
        watched,
        own_files,
        last_lock,
    });
}

/// Runs after a fork. Closes each [`ForkClosedFile`] in the child, releases the locks, and calls the components.
fn after(side: &Side) {
    let Some(ForkCell {
        locks,
        components,
        watched,
        mut own_files,
        last_lock,
    }) = lock(&FORK_IN_PROGRESS).take()
    else {
        return;
    };
    drop(last_lock);
    if matches!(side, Side::Child(_)) {
        for descriptor in own_files.drain(..) {
            // SAFETY: the descriptor was open at the fork, and the threads that used it exist only in the parent.
            unsafe { system::close(descriptor) };
        }
    }
    drop(own_files);
    drop(locks);
    drop(watched);
    for component in components {
        component.after(side);
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
