//! Closes connections before a fork. Calls open new connections on demand.
//!
//! In each process, SQLite keeps a table of its locks on each file. A forked child inherits the table but not the
//! kernel's locks, so rows that the child commits can disappear when the parent closes the file. Therefore, before each
//! fork, this module closes all connections, and holds their mutexes until the fork is over. The module also holds all
//! other mutexes that a call can hold for more than an instant, since the child does not have the threads that would
//! release them. The child closes files that a call has locked, because the locks would otherwise outlive the call.
//!
//! Locks between threads.

use std::any::Any;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

use super::clock::{SHORTEST_WAIT, coarse_ms};
use super::system;

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
    /// Called in the child after the fork, once all locks are released.
    fn after_in_child(&self, _alone: &SingleThreadProof) {}
}

/// A lock that is held during a fork, and dropped afterwards.
pub trait ForkLock {}

impl<T> ForkLock for MutexGuard<'static, T> {}

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

/// The functions registered with [`register_last_lock`].
static LAST_LOCKS: Mutex<[Option<TakeLock>; MAX_LAST_LOCKS]> = Mutex::new([None; MAX_LAST_LOCKS]);
/// Maximum number of last locks: the logger's, and that of what hosts record.
const MAX_LAST_LOCKS: usize = 2;

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
    last_locks: Vec<Box<dyn ForkLock>>,
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

/// Registers a lock that is acquired last before each fork, and released first after the fork: a lock that any code
/// may acquire while it holds other locks, such as the logger's lock, and that nobody holds while he acquires another.
pub fn register_last_lock(take: TakeLock) {
    register_handlers();
    let mut takers = lock(&LAST_LOCKS);
    let is_same = |taker: &&mut Option<TakeLock>| taker.is_none_or(|taker| std::ptr::fn_addr_eq(taker, take));
    let taker = takers.iter_mut().find(is_same);
    debug_assert!(taker.is_some(), "there is room for all last locks");
    if let Some(taker) = taker {
        *taker = Some(take);
    }
}

/// Registers this process's fork handlers, unless they are already registered.
fn register_handlers() {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(|| system::register_fork_handlers(before, after_in_parent, after_in_child));
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
    let last_locks = lock(&LAST_LOCKS).iter().flatten().map(|take| take()).collect();
    *lock(&FORK_IN_PROGRESS) = Some(ForkCell {
        locks,
        components,
        watched,
        own_files,
        last_locks,
    });
}

/// Runs after a fork: releases the locks. In the child, which has only this thread, closes each [`ForkClosedFile`], and calls
/// the components.
fn after(child: Option<&SingleThreadProof>) {
    let Some(ForkCell {
        locks,
        components,
        watched,
        mut own_files,
        last_locks,
    }) = lock(&FORK_IN_PROGRESS).take()
    else {
        return;
    };
    drop(last_locks);
    if child.is_some() {
        for descriptor in own_files.drain(..) {
            // SAFETY: the descriptor was open at the fork, and the threads that used it exist only in the parent.
            unsafe { system::close_descriptor(descriptor) };
        }
    }
    drop(own_files);
    drop(locks);
    drop(watched);
    let Some(alone) = child else { return };
    for component in components {
        component.after_in_child(alone);
    }
}

/// Runs after a fork in the process that forked.
extern "C" fn after_in_parent() {
    after(None);
}

/// Runs after a fork in the new process, which has only this thread.
extern "C" fn after_in_child() {
    after(Some(&SingleThreadProof(())));
}

/// Time after a timeout during which [`ShortWait`] does not wait at all, in ms.
const NO_WAIT_MS: u64 = 5_000;
/// Interval between attempts to lock a mutex.
const RETRY_INTERVAL: Duration = Duration::from_micros(50);

/// Locks a mutex and ignores poisoning, so that a panic in one call leaves the handle usable.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks a mutex if it is free now; otherwise returns `None`. Ignores poisoning by an earlier panic.
pub fn try_lock<T: ?Sized>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Locks a mutex; `None` if another thread still holds the mutex at `moment`. Polls, so use this function only for
/// locks that threads hold for milliseconds.
pub fn lock_by<T: ?Sized>(mutex: &Mutex<T>, moment: Instant) -> Option<MutexGuard<'_, T>> {
    loop {
        let locked = try_lock(mutex);
        if locked.is_some() || Instant::now() >= moment {
            return locked;
        }
        std::thread::sleep(RETRY_INTERVAL);
    }
}

/// A short timeout for locks, which is long enough for a reader to finish, but does not wait for a process that hangs.
/// For some seconds after a timeout, calls do not wait at all.
#[derive(Default)]
pub struct ShortWait {
    no_wait_until_ms: AtomicU64,
}

impl ShortWait {
    /// Returns the maximum time to wait for a lock now, which is zero for some seconds after a timeout.
    pub fn current_timeout(&self) -> Duration {
        if coarse_ms() < self.no_wait_until_ms.load(Ordering::Relaxed) {
            Duration::ZERO
        } else {
            SHORTEST_WAIT
        }
    }

    /// Records that a wait of length `patience` timed out, so that the next calls do not wait.
    pub fn note_timeout(&self, patience: Duration) {
        if !patience.is_zero() {
            let until = coarse_ms().saturating_add(NO_WAIT_MS);
            self.no_wait_until_ms.store(until, Ordering::Relaxed);
        }
    }

    /// Locks a mutex; `None` if another thread still holds the mutex after the current timeout.
    pub fn lock<'m, T: ?Sized>(&self, mutex: &'m Mutex<T>) -> Option<MutexGuard<'m, T>> {
        let timeout = self.current_timeout();
        let locked = lock_by(mutex, Instant::now() + timeout);
        if locked.is_none() {
            self.note_timeout(timeout);
        }
        locked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_lock_waits_in_vain_only_once() {
        let (short, mutex) = (ShortWait::default(), Mutex::new(()));
        let (begun, held) = (std::sync::Barrier::new(2), lock(&mutex));
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                begun.wait();
                short.lock(&mutex).is_some()
            });
            begun.wait();
            drop(held);
            assert!(waits.join().expect("no panic"));
        });
        let _held = lock(&mutex);
        assert!(short.lock(&mutex).is_none(), "kept for ever");
        assert!(short.no_wait_until_ms.load(Ordering::Relaxed) > coarse_ms());
        assert!(short.lock(&mutex).is_none(), "at once");
    }
}
