//! How long this thread waits for the write lock: for another process's transaction, or for another thread's.
//!
//! A thread's own and no parameter: what writes is called from everywhere, and how much time there is depends on the call of
//! the host alone. The value has no destructor, so the library can be unloaded.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::platform::mutex::{lock, try_lock};

/// How long a write waits for another process's.
pub const BUSY: Duration = Duration::from_secs(10);

/// How often a lock that another thread holds is tried.
const TRY: Duration = Duration::from_millis(1);

/// How long a write may wait.
#[derive(Clone, Copy, Debug)]
pub struct LockTimeout {
    until: Option<Instant>,
    most: Duration,
}

thread_local! {
    static NOW: Cell<LockTimeout> = const {
        Cell::new(LockTimeout {
            until: None,
            most: BUSY,
        })
    };
}

/// Restores the thread's previous time-out when dropped.
#[must_use]
pub struct LockTimeoutGuard(LockTimeout);

impl Drop for LockTimeoutGuard {
    fn drop(&mut self) {
        NOW.set(self.0);
    }
}

impl LockTimeout {
    /// This thread's.
    pub fn now() -> Self {
        NOW.get()
    }

    /// The same, and not beyond this moment.
    pub fn until(self, until: Option<Instant>) -> Self {
        let until = match (self.until, until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Self { until, ..self }
    }

    /// The same, and no longer than this for a write.
    pub fn at_most(self, most: Duration) -> Self {
        Self {
            most: self.most.min(most),
            ..self
        }
    }

    /// From now on this thread's, until the result is dropped.
    pub fn hold(self) -> LockTimeoutGuard {
        LockTimeoutGuard(NOW.replace(self))
    }

    /// The time left for a write that begins now.
    pub(super) fn left(self) -> Duration {
        self.until.map_or(self.most, |until| {
            self.most.min(until.saturating_duration_since(Instant::now()))
        })
    }

    /// Locks in time, or not at all. A call without a deadline waits in line.
    pub(super) fn lock<T>(self, mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
        if self.until.is_none() && self.most == BUSY {
            return Some(lock(mutex));
        }
        let end = Instant::now() + self.left();
        loop {
            let locked = try_lock(mutex);
            if locked.is_some() || Instant::now() >= end {
                return locked;
            }
            std::thread::sleep(TRY);
        }
    }
}
