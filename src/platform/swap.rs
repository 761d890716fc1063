//! A value that many threads read without waiting while one thread replaces it.
//!
//! A reader increments one of 64 counters, loads the pointer, reads, and decrements the counter. A writer swaps the
//! pointer and keeps the old value until it has seen each counter at zero once since. It reads a counter by a
//! read-modify-write without effect, which orders it with increments: an earlier increment is seen, and a later one
//! synchronises with it, so that its reader also sees the new pointer. (`tests/loom.rs` has the model.)
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

/// Number of counters: more cost memory, fewer make threads share cache lines.
const COUNTERS: usize = if cfg!(loom) { 2 } else { 64 };

/// On its own pair of cache lines, since processors fetch pairs, so that readers do not slow each other down.
#[repr(align(128))]
struct Counter(AtomicUsize);

/// The current value, and replaced ones that may still be read.
pub struct Swap<T> {
    current: AtomicPtr<T>,
    readers: [Counter; COUNTERS],
    /// Locked by writers only.
    retired: Mutex<Vec<Retired<T>>>,
}

struct Retired<T> {
    value: *mut T,
    /// Bit n: counter n was not yet seen at zero since the value was replaced.
    waiting: u64,
}

// SAFETY: a `Swap` hands `&T` to many threads and drops `T` on the thread of some writer, so `T` must be both.
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

    /// Returns the current value. It is valid as long as the guard lives; a guard that lives long makes writers keep
    /// old values.
    #[inline]
    pub fn read(&self) -> Guard<'_, T> {
        self.read_as(this_thread())
    }

    /// [`Swap::read`] with the choice of counter left to the caller: for models, where threads are not real.
    #[inline]
    pub fn read_as(&self, thread: usize) -> Guard<'_, T> {
        let counter = &self.readers[thread % COUNTERS].0;
        counter.fetch_add(1, Ordering::AcqRel);
        // SAFETY: the counter says that there is a reader, so what is current now is not freed before `fetch_sub`.
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

    fn free(&self, retired: &mut Vec<Retired<T>>) {
        let mut idle = 0;
        for (bit, counter) in self.readers.iter().enumerate() {
            idle |= u64::from(counter.0.fetch_add(0, Ordering::AcqRel) == 0) << bit;
        }
        retired.retain_mut(|old| {
            old.waiting &= !idle;
            if old.waiting == 0 {
                // SAFETY: the value left `current` before the counters were read, and each of them has been zero
                // since: no reader that could have loaded it is left, and none will come. It came from a box.
                drop(unsafe { Box::from_raw(old.value) });
            }
            old.waiting != 0
        });
    }

    /// Resets the counters in the child of a fork, where readers of other threads are gone without having decremented
    /// them. The proof ensures that no other thread exists and this one holds no guard.
    pub fn reset_after_fork(&self, _proof: &super::fork::SingleThreadProof) {
        for counter in &self.readers {
            counter.0.store(0, Ordering::Release);
        }
    }
}

impl<T> Drop for Swap<T> {
    fn drop(&mut self) {
        for old in lock(&self.retired).drain(..) {
            // SAFETY: guards borrow `self`, so none is left; retired values are freed nowhere else.
            drop(unsafe { Box::from_raw(old.value) });
        }
        // SAFETY: as above, and the current value is no retired one.
        drop(unsafe { Box::from_raw(self.current.load(Ordering::Acquire)) });
    }
}

/// Poisoning is ignored: no code under the lock panics halfway.
#[cfg(not(loom))]
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(loom)]
fn lock<T>(mutex: &Mutex<T>) -> loom::sync::MutexGuard<'_, T> {
    mutex.lock().expect("models do not poison")
}

/// Returns a number that usually differs between threads.
#[inline]
fn this_thread() -> usize {
    thread_local! {
        // Constant and without destructor: its address costs an addition, and nothing runs at the end of the thread.
        static BYTE: u8 = const { 0 };
    }
    // Thread-local blocks lie pages apart; the multiplication brings their differing bits to the top.
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

    #[inline]
    fn deref(&self) -> &T {
        self.value
    }
}

impl<T> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.counter.fetch_sub(1, Ordering::Release);
    }
}
