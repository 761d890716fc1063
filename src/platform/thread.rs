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

/// Stack size of these threads. TLS handshakes and nested JSON need some stack, a database little.
const STACK: usize = 2 << 20;

/// Hint for users if no thread can be started.
pub const NO_THREAD: &str = "look for a limit on threads or memory (ulimit -u, ulimit -v)";

type Work<'w> = Box<dyn FnOnce() + Send + 'w>;

/// Runs `work` on a new thread, waits for it, and meanwhile calls `tick` on this thread at the interval `every`. A
/// panic of `work` continues in this thread. If no thread can be started, `work` runs on this one.
pub fn on_worker<R: Send>(work: impl FnOnce() -> R + Send, every: Duration, mut tick: impl FnMut()) -> R {
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
            let (after, timed_out) = done.wait_timeout(slot, every).unwrap_or_else(PoisonError::into_inner);
            slot = after;
            if timed_out.timed_out() && slot.is_none() {
                drop(slot);
                tick();
                slot = lock(&outcome);
            }
        }
    };
    drop(worker);
    result.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Runs `work` on this thread and on `others` more, or as many as can be started, until all have ended. A panic of any
/// of them continues in this thread.
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

/// A thread that outlives the call that starts it. Dropping it joins the thread, so make the thread end before.
///
/// As for [`on_worker`], it leaves nothing in the thread that starts it. The child of a fork does not have this thread
/// and does not wait for it.
pub struct Worker {
    thread: Thread,
    process: u32,
}

/// The C library's handle of a thread: a number in glibc, a pointer in musl and macOS.
struct Thread(libc::pthread_t);

// SAFETY: any thread of the process may join any other. The pointer is not dereferenced here, but only passed to the C
// library, which allows that on every thread.
unsafe impl Send for Thread {}

impl Worker {
    /// Runs `work` on a new thread; `None` if it cannot be started. A panic ends only `work`.
    pub fn spawn(work: impl FnOnce() + Send + 'static) -> Option<Self> {
        // SAFETY: it borrows nothing.
        unsafe { spawn(Box::new(work)) }.ok()
    }

    /// Returns whether this process has the thread: the child of a fork does not.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    /// Leaves the thread to itself: nobody waits for it. Its code is in this library, which stays in memory from now on.
    #[cfg(feature = "shared")]
    pub fn leave(self) {
        if self.is_here() {
            keep_library();
            // SAFETY: the thread was created joinable by this process, and is not joined, as `self` is forgotten.
            unsafe { libc::pthread_detach(self.thread.0) };
            std::mem::forget(self);
        }
    }
}

/// Keeps this library in memory until the process ends, whoever unloads it.
#[cfg(feature = "shared")]
fn keep_library() {
    // SAFETY: the structure is plain data, which `dladdr` fills; the name is that of a loaded object, and lives as long.
    unsafe {
        let mut here: libc::Dl_info = std::mem::zeroed();
        let code: fn() = keep_library;
        if libc::dladdr(code as *const c_void, &raw mut here) != 0 && !here.dli_fname.is_null() {
            // It fails where the library is part of a program, which is not unloaded.
            libc::dlopen(
                here.dli_fname,
                libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE,
            );
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.is_here() {
            // SAFETY: the thread was created joinable by this process and is joined just here, once.
            unsafe { libc::pthread_join(self.thread.0, std::ptr::null_mut()) };
        }
    }
}

/// Calls a function of the host, which may end this thread during the call.
///
/// `CPython` before 3.14 does: its finalizer ends every thread that takes the interpreter's lock, by `pthread_exit`.
/// That unwinds the stack, and unwinding through frames that catch panics would abort the process. So a thread that is
/// ended within `call` sleeps for ever as soon as the unwinding leaves this frame, as in `CPython` 3.14. Values of the
/// calling frames are not destroyed, so work on other threads that borrows from them continues.
///
/// `call` must not own values, since its own frame is unwound, and must not panic. On macOS, where threads end without
/// unwinding, it is just called.
#[inline(never)]
pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    #[cfg(target_os = "linux")]
    {
        /// At least as large as the C library's struct: four words in glibc, three in musl.
        #[repr(C)]
        struct Cleanup([*mut c_void; 8]);
        // The functions behind the macro `pthread_cleanup_push` of C. With glibc these are the old ones, which need no
        // frame to jump to.
        unsafe extern "C" {
            fn _pthread_cleanup_push(cleanup: *mut Cleanup, run: extern "C" fn(*mut c_void), argument: *mut c_void);
            fn _pthread_cleanup_pop(cleanup: *mut Cleanup, run: libc::c_int);
        }
        extern "C" fn sleep_for_ever(_: *mut c_void) {
            loop {
                // SAFETY: a plain POSIX call.
                unsafe { libc::pause() };
            }
        }
        let mut cleanup = Cleanup([std::ptr::null_mut(); 8]);
        // SAFETY: `cleanup` is not moved before it is popped below. If `call` does not return, it runs.
        unsafe { _pthread_cleanup_push(&raw mut cleanup, sleep_for_ever, std::ptr::null_mut()) };
        let answer = call();
        // SAFETY: this pops the handler pushed above, as `call` has popped all handlers that it pushed.
        unsafe { _pthread_cleanup_pop(&raw mut cleanup, 0) };
        answer
    }
    #[cfg(not(target_os = "linux"))]
    call()
}

/// Runs `work` on a new thread; returns it if none can be started. A panic ends only `work`.
///
/// # Safety
/// The worker must be dropped before anything that `work` borrows.
unsafe fn spawn(work: Work<'_>) -> Result<Worker, Work<'_>> {
    extern "C" fn run(work: *mut c_void) -> *mut c_void {
        // SAFETY: `spawn` passed the work to this thread only, and borrowed values outlive the thread.
        let work = unsafe { Box::from_raw(work.cast::<Work<'_>>()) };
        let _ = catch_unwind(AssertUnwindSafe(*work));
        std::ptr::null_mut()
    }
    let work: *mut Work<'_> = Box::into_raw(Box::new(work));
    // SAFETY: the started thread owns the work. If no thread was started, this function still owns it.
    unsafe { start(run, work.cast()).ok_or_else(|| *Box::from_raw(work)) }
}

/// Starts a joinable thread with all signals blocked, since signals are for the host's own threads.
///
/// # Safety
/// `argument` must be valid for `run` as long as it runs.
unsafe fn start(run: extern "C" fn(*mut c_void) -> *mut c_void, argument: *mut c_void) -> Option<Worker> {
    // SAFETY: plain POSIX calls on values that live here.
    unsafe {
        let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
        if libc::pthread_attr_init(&raw mut attributes) != 0 {
            return None;
        }
        libc::pthread_attr_setstacksize(&raw mut attributes, STACK);
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let mut thread: libc::pthread_t = std::mem::zeroed();
        let failed = libc::pthread_create(&raw mut thread, &raw const attributes, run, argument);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
        libc::pthread_attr_destroy(&raw mut attributes);
        (failed == 0).then(|| Worker {
            thread: Thread(thread),
            process: std::process::id(),
        })
    }
}

#[cfg(test)]
#[path = "thread_tests.rs"]
mod tests;
