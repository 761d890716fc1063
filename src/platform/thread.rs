//! Runs work on threads without leaving anything in the caller's thread.
//!
//! `std::thread` stores values with destructors in thread-locals of the thread that *spawns* (spawn hooks). HTTP, TLS
//! and channels do so in the thread that uses them. On glibc each such value keeps a library that was loaded at run
//! time in memory until the thread ends, so a host could not unload it. With a plain POSIX thread that ends before the
//! call returns, all such values end with that thread.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::mutex::lock;
use super::system::thread::{self as system, Thread};

/// Stack size of these threads, enough for TLS handshakes and nested JSON.
const STACK: usize = 2 << 20;

/// The remedy if no thread can be started.
pub const NO_THREAD: &str = "raise the limits on threads and memory (ulimit -u, ulimit -v)";

/// The work of a thread.
type Work<'w> = Box<dyn FnOnce() + Send + 'w>;

/// Runs `work` on a new thread and waits for it. Meanwhile calls `tick` on this thread at this interval. A panic of
/// `work` continues in this thread. If no thread can be started, `work` runs on this one.
pub fn on_worker<R: Send>(work: impl FnOnce() -> R + Send, tick_interval: Duration, mut tick: impl FnMut()) -> R {
    let (outcome, done) = (Mutex::new(None), Condvar::new());
    let run: Work<'_> = Box::new(|| {
        let result = catch_unwind(AssertUnwindSafe(work));
        *lock(&outcome) = Some(result);
        done.notify_all();
    });
    // SAFETY: the worker is dropped before the values that `run` borrows, also while `tick` unwinds.
    let worker = unsafe { spawn(run) }.map_err(|run| run());
    let result = {
        let mut slot = lock(&outcome);
        loop {
            if let Some(result) = slot.take() {
                break result;
            }
            let waited = done.wait_timeout(slot, tick_interval);
            let (new_slot, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            slot = new_slot;
            if timeout.timed_out() && slot.is_none() {
                drop(slot);
                tick();
                slot = lock(&outcome);
            }
        }
    };
    drop(worker);
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Runs `work` on this thread and on `others` more, or as many as can be started, and waits for all. A panic of any
/// thread continues in this one.
pub fn on_several(others: usize, work: impl Fn() + Sync) {
    let panics = Mutex::new(Vec::new());
    let run = || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(&work)) {
            lock(&panics).push(panic);
        }
    };
    // SAFETY: the workers are dropped before the values that `run` borrows, also while `work` unwinds here.
    let workers: Vec<_> = (0..others).map(|_| unsafe { spawn(Box::new(run)) }.ok()).collect();
    work();
    drop(workers);
    if let Some(panic) = lock(&panics).pop() {
        resume_unwind(panic);
    }
}

/// A thread that outlives the call that starts it. Dropping it joins the thread, so make the thread end first. Leaves
/// nothing in the thread that starts it. A forked child does not have the thread and does not wait for it.
pub struct Worker(Thread);

impl Worker {
    /// Runs `work` on a new thread; `None` if it cannot be started. A panic ends only `work`.
    pub fn spawn(work: impl FnOnce() + Send + 'static) -> Option<Self> {
        // SAFETY: it borrows nothing.
        unsafe { spawn(Box::new(work)) }.ok()
    }

    /// Returns whether this process has the thread; a forked child does not.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.0.is_here()
    }

    /// Detaches the thread: nobody waits for it. This library stays in memory from now on, since the thread runs its
    /// code.
    pub fn leave(mut self) {
        self.0.leave();
    }
}

impl Drop for Worker {
    /// Waits until the thread has ended, unless it is detached.
    fn drop(&mut self) {
        self.0.join();
    }
}

/// Calls a function of the host, which may end this thread during the call.
///
/// `CPython` before 3.14 does so: its finalizer calls `pthread_exit` in every thread that takes the interpreter's lock.
/// That unwinds the stack, and unwinding through frames that catch panics would abort the process. Therefore, when the
/// unwinding leaves this frame, the thread sleeps for ever, as in `CPython` 3.14. The calling frames keep their values,
/// so work on other threads that borrows from them continues. Windows does not unwind: the thread ends, and its stack
/// stays.
///
/// `call` must not own values, since its own frame is unwound, and must not panic. On macOS, this function just calls
/// it.
#[inline(never)]
pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    system::call_host(call)
}

/// Runs `work` on a new thread. Returns `work` if no thread can be started, so that the caller can run it. A panic ends
/// only `work`.
///
/// # Safety
/// The worker must be dropped before anything that `work` borrows.
unsafe fn spawn(work: Work<'_>) -> Result<Worker, Work<'_>> {
    /// The function of the new thread: runs the work, whose panic ends here.
    extern "C" fn run(work: *mut c_void) -> *mut c_void {
        // SAFETY: `spawn` passed the work only to this thread, and borrowed values outlive the thread.
        let work = unsafe { Box::from_raw(work.cast::<Work<'_>>()) };
        let _ = catch_unwind(AssertUnwindSafe(*work));
        std::ptr::null_mut()
    }
    let work: *mut Work<'_> = Box::into_raw(Box::new(work));
    // SAFETY: the started thread owns the work. If no thread was started, this function still owns it.
    unsafe {
        Thread::start(STACK, run, work.cast())
            .map(Worker)
            .ok_or_else(|| *Box::from_raw(work))
    }
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;
