//! A value that many threads read without waiting while one thread replaces it.
//!
//! A reader announces itself in one of 64 counters, loads the pointer, reads, and takes itself back. A writer swaps the
//! pointer and keeps the old value until it has seen each counter at zero once since. It reads a counter by a read-modify-write
//! that changes nothing, so that read and announcement have an order: an announcement that comes first is seen, and one
//! that comes later reads what that wrote, hence also sees the pointer that was swapped before. (`tests/loom.rs` has the model.)
//!
//! Crates that do this keep lists in thread-locals with destructors, and those keep a library loaded for ever after
//! `dlclose`. Here a thread is told from another by the address of a thread-local byte that has no destructor.

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

/// As many counters; more only cost memory, fewer make threads share cache lines.
const COUNTERS: usize = if cfg!(loom) { 2 } else { 64 };

/// Alone on its cache line (two, since processors fetch pairs), so that readers do not slow each other down.
#[repr(align(128))]
struct Counter(AtomicUsize);

/// The value, and those it replaced that may still be read.
pub struct Swap<T> {
    current: AtomicPtr<T>,
    readers: [Counter; COUNTERS],
    /// Only writers come here.
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
    /// Begins with this value.
    pub fn new(value: T) -> Self {
        Self {
            current: AtomicPtr::new(Box::into_raw(Box::new(value))),
            readers: std::array::from_fn(|_| Counter(AtomicUsize::new(0))),
            retired: Mutex::new(Vec::new()),
        }
    }

    /// The value as it is now. It stays as long as the guard lives, whatever writers do; a guard that is kept makes them
    /// keep old values.
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

    /// Replaces the value. Old ones are freed now, if there is no reader, or by a later call.
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

    /// Frees what is read no more, without replacing anything. Returns how many old values are still kept.
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

    /// In the child of a fork: the readers of other threads are gone, and took no leave. The proof says that there is no
    /// other thread, and that this one holds no guard.
    pub fn reset_after_fork(&self, _alone: &super::fork::Alone) {
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

/// Nothing that is done under the lock panics halfway, so a poisoned one is as good as any.
#[cfg(not(loom))]
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(loom)]
fn lock<T>(mutex: &Mutex<T>) -> loom::sync::MutexGuard<'_, T> {
    mutex.lock().expect("models do not poison")
}

/// A number that differs between threads often enough.
#[inline]
fn this_thread() -> usize {
    thread_local! {
        // Constant and without a destructor: its address costs an addition, and nothing runs at the thread's end.
        static BYTE: u8 = const { 0 };
    }
    // Thread-local blocks lie pages apart; the multiplication brings their differing bits to the top.
    let address = BYTE.with(|byte| &raw const *byte as usize) as u64;
    (address.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize
}

/// A value while it is read.
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
