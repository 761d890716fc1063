//! A value that many threads can read without waiting while another thread replaces the value.
//!
//! A reader increments one of 64 counters, loads the pointer, reads the value, and decrements the counter. A writer
//! swaps the pointer, and keeps the old value until the writer has seen each counter at zero after the swap. The writer
//! reads a counter with a read-modify-write operation that adds zero. Therefore the writer sees each earlier increment,
//! and each later increment synchronizes with the writer's read, so that the reader sees the new pointer.
//! `tests/loom.rs` contains a model of this algorithm.
//!
//! Other crates for this purpose keep lists in thread-local values with destructors, which prevent `dlclose` from
//! unloading a library. This module distinguishes threads by the address of a thread-local byte without a destructor.

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

/// Number of counters. More counters would cost memory; with fewer counters, more threads would share cache lines.
const COUNTERS: usize = if cfg!(loom) { 2 } else { 64 };

/// A counter on its own pair of cache lines, so that readers do not slow each other down. Processors fetch cache lines
/// in pairs.
#[repr(align(128))]
struct Counter(AtomicUsize);

/// The current value, and replaced values that may still have readers.
pub struct SwapCell<T> {
    current: AtomicPtr<T>,
    readers: [Counter; COUNTERS],
    /// The replaced values. Only writers lock this list.
    retired: Mutex<Vec<Retired<T>>>,
}

struct Retired<T> {
    value: *mut T,
    /// Bit n is set until a writer has seen counter n at zero after the replacement.
    waiting: u64,
}

// SAFETY: many threads get `&T`, and any writer's thread may drop `T`, so `T` must be both `Send` and `Sync`.
unsafe impl<T: Send + Sync> Send for SwapCell<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for SwapCell<T> {}

impl<T> SwapCell<T> {
    /// Creates a cell that contains `value`.
    pub fn new(value: T) -> Self {
        Self {
            current: AtomicPtr::new(Box::into_raw(Box::new(value))),
            readers: std::array::from_fn(|_| Counter(AtomicUsize::new(0))),
            retired: Mutex::new(Vec::new()),
        }
    }

    /// Returns a guard for the current value, which stays valid as long as the guard lives.
    #[inline]
    pub fn read(&self) -> Guard<'_, T> {
        self.read_as(thread_slot())
    }

    /// Returns a guard for the current value, and counts it with the counter for this thread number. The loom models
    /// use this function, because their threads are simulated.
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
            waiting: u64::MAX >> (64 - COUNTERS), // one bit for each counter
        });
        self.free_unread(&mut retired);
    }

    /// Frees old values without readers. Returns the number of old values that are still kept. For tests.
    #[cfg(any(test, loom))]
    pub fn collect(&self) -> usize {
        let mut retired = lock(&self.retired);
        self.free_unread(&mut retired);
        retired.len()
    }

    /// Frees the old values that no reader can still use.
    fn free_unread(&self, retired: &mut Vec<Retired<T>>) {
        // Bit n of `idle` is set if counter n is zero. Adding zero, unlike a load, sees every earlier increment.
        let mut idle = 0;
        for (bit, counter) in self.readers.iter().enumerate() {
            idle |= u64::from(counter.0.fetch_add(0, Ordering::AcqRel) == 0) << bit;
        }
        retired.retain_mut(|old| {
            old.waiting &= !idle;
            if old.waiting == 0 {
                // SAFETY: the value was removed from `current` before the counters were read, and each counter has been
                // zero since then. Therefore no reader uses the value, and no later reader can load it. The value was
                // allocated by a `Box`.
                drop(unsafe { Box::from_raw(old.value) });
            }
            old.waiting != 0
        });
    }

    /// Resets the counters in a forked child, because readers on other threads do not exist there and never decrement
    /// their counters. The proof ensures that no other thread exists, and that this thread holds no guard.
    pub fn reset_after_fork(&self, _proof: &super::fork::SingleThreadProof) {
        for counter in &self.readers {
            counter.0.store(0, Ordering::Release);
        }
    }
}

impl<T> Drop for SwapCell<T> {
    /// Frees the current value and the replaced values.
    fn drop(&mut self) {
        for old in lock(&self.retired).drain(..) {
            // SAFETY: guards borrow `self`, so there are none. Each retired value is freed only once.
            drop(unsafe { Box::from_raw(old.value) });
        }
        // SAFETY: as above, and the current value is not among the retired values.
        drop(unsafe { Box::from_raw(self.current.load(Ordering::Acquire)) });
    }
}

/// Locks a mutex. Ignores poisoning, because no panic under the lock can leave the list inconsistent.
#[cfg(not(loom))]
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Locks a mutex in a loom model.
#[cfg(loom)]
fn lock<T>(mutex: &Mutex<T>) -> loom::sync::MutexGuard<'_, T> {
    mutex.lock().expect("models do not poison")
}

/// Returns a slot from 0 to 63, usually different for each thread, so that threads rarely write to one cache line.
#[inline]
fn thread_slot() -> usize {
    thread_local! {
        // The byte is constant and has no destructor, so its address costs one addition, and nothing runs when the
        // thread ends.
        static BYTE: u8 = const { 0 };
    }
    // Thread-local blocks are pages apart. Fibonacci hashing (multiplication by 2^64 divided by the golden ratio) moves
    // the bits in which their addresses differ to the top six bits, which are the slot.
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
    /// Decrements the counter, so that a writer can free the value.
    #[inline]
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Release);
    }
}
