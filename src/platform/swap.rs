//! A value that many threads read without waiting while one thread replaces it.
//!
//! A reader increments one of 64 counters, loads the pointer, reads, and decrements the counter. A writer swaps the
//! pointer, and keeps the old value until it has then seen each counter at zero once. It reads a counter by a
//! read-modify-write without effect, which orders the read with increments. It sees an earlier increment. A later
//! increment synchronises with the read, so that its reader sees the new pointer. (`tests/loom.rs` has the model.)
//!
//! Other crates for this keep lists in thread-locals with destructors, which prevent a library from being unloaded by
//! `dlclose`. Here threads are distinguished by the address of a thread-local byte without destructor.

#[cfg(not(loom))]
use std::sync::{
    Mutex,
    atomic::{AtomicPtr, AtomicUsize, Ordering},
};

#[cfg(loom)]
use loom::sync::{
    Mutex,
    atomic::{AtomicPtr, AtomicUsize, Ordering},
};

use std::ops::Deref;

/// Number of counters. More would cost memory; with fewer, threads would share cache lines.
const COUNTERS: usize = if cfg!(loom) { 2 } else { 64 };

/// A counter on its own pair of cache lines, so that readers do not slow each other down. Processors fetch cache lines
/// in pairs.
#[repr(align(128))]
struct Counter(AtomicUsize);

/// The current value, and replaced ones that may still be read.
pub struct Swap<T> {
    current: AtomicPtr<T>,
    readers: [Counter; COUNTERS],
    /// Only writers lock this.
    retired: Mutex<Vec<Retired<T>>>,
}

/// A replaced value that may still have readers.
struct Retired<T> {
    value: *mut T,
    /// Bit n is set until counter n was seen at zero after the replacement.
    waiting: u64,
}

// SAFETY: many threads get `&T`, and any writer's thread may drop `T`, so `T` must be both `Send` and `Sync`.
unsafe impl<T: Send + Sync> Send for Swap<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Swap<T> {}

impl<T> Swap<T> {
    /// Creates a swap with this value.
    pub fn new(value: T) -> Self {
        Self {
            current: AtomicPtr::new(Box::into_raw(Box::new(value))),
            readers: std::array::from_fn(|_| Counter(AtomicUsize::new(0))),
            retired: Mutex::new(Vec::new()),
        }
    }

    /// Returns the current value, which is valid while the guard lives. While guards live, writers keep old values.
    #[inline]
    pub fn read(&self) -> Guard<'_, T> {
        self.read_as(this_thread())
    }

    /// Reads the value as [`Swap::read_folder`] does, for a thread with this number. Models need it, because their
    /// threads are simulated.
    #[inline]
    pub fn read_as(&self, thread: usize) -> Guard<'_, T> {
        let counter = &self.readers[thread % COUNTERS].0;
        counter.fetch_add(1, Ordering::AcqRel);
        // SAFETY: the counter shows that there is a reader, so the current value is not freed before `fetch_sub`.
        let value = unsafe { &*self.current.load(Ordering::Acquire) };
        Guard { value, counter }
    }

    /// Replaces the value. Old values are freed now if there is no reader, or by a later call.
    pub fn replace(&self, value: T) {
        let new = Box::into_raw(Box::new(value));
        let mut retired = lock(&self.retired);
        let old = self.current.swap(new, Ordering::AcqRel);
        retired.push(Retired {
            value: old,
            waiting: u64::MAX >> (64 - COUNTERS),
        });
        self.free(&mut retired);
    }

    /// Frees old values without readers. Returns the number of old values kept.
    #[cfg(any(test, loom))]
    pub fn collect(&self) -> usize {
        let mut retired = lock(&self.retired);
        self.free(&mut retired);
        retired.len()
    }

    /// Frees the old values that no reader can have any more.
    fn free(&self, retired: &mut Vec<Retired<T>>) {
        let mut idle = 0;
        for (bit, counter) in self.readers.iter().enumerate() {
            idle |= u64::from(counter.0.fetch_add(0, Ordering::AcqRel) == 0) << bit;
        }
        retired.retain_mut(|old| {
            old.waiting &= !idle;
            if old.waiting == 0 {
                // SAFETY: the value left `current` before the counters were read, and each counter has been zero since.
                // So no reader has it, and no later reader can load it. It came from a box.
                drop(unsafe { Box::from_raw(old.value) });
            }
            old.waiting != 0
        });
    }

    /// Resets the counters in the child of a fork, because readers on other threads are gone without having decremented
    /// them. The proof ensures that no other thread exists, and that this thread holds no guard.
    pub fn reset_after_fork(&self, _proof: &super::fork::SingleThreadProof) {
        for counter in &self.readers {
            counter.0.store(0, Ordering::Release);
        }
    }
}

impl<T> Drop for Swap<T> {
    /// Frees the current value and the replaced ones.
    fn drop(&mut self) {
        for old in lock(&self.retired).drain(..) {
            // SAFETY: guards borrow `self`, so there are none. Each retired value is freed only once.
            drop(unsafe { Box::from_raw(old.value) });
        }
        // SAFETY: as above, and the current value is not among the retired ones.
        drop(unsafe { Box::from_raw(self.current.load(Ordering::Acquire)) });
    }
}

/// Locks a mutex. Poisoning is ignored, because no code under the lock panics halfway.
#[cfg(not(loom))]
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(loom)]
fn lock<T>(mutex: &Mutex<T>) -> loom::sync::MutexGuard<'_, T> {
    mutex.lock().expect("models do not poison")
}

/// Returns a slot, 0 to 63, that usually differs between threads, so that they seldom write the same cache line.
#[inline]
fn this_thread() -> usize {
    thread_local! {
        // Constant and without destructor: its address costs an addition, and nothing runs at the end of the thread.
        static BYTE: u8 = const { 0 };
    }
    // Thread-local blocks lie pages apart. Fibonacci hashing (2^64 divided by the golden ratio) moves the bits in which
    // their addresses differ to the top six, 0 to 63.
    let address = BYTE.with(|byte| &raw const *byte as usize) as u64;
    (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize
}

/// Keeps a value readable until dropped.
pub struct Guard<'s, T> {
    value: &'s T,
    counter: &'s AtomicUsize,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    /// Returns the value that was current when the guard was created.
    #[inline]
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> Drop for Guard<'_, T> {
    /// Notes that this reader has ended, so that a writer can free the value.
    #[inline]
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Release);
    }
}
