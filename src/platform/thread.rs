//! Work beside the caller's thread that leaves nothing behind in it.
//!
//! Why not `std::thread`: it stores values with destructors in thread-locals of the thread that *spawns* (spawn hooks),
//! and so do HTTP, TLS and channels in the thread that uses them. On glibc each of them keeps a library that was loaded
//! at run time in memory until that thread ends, so a host could not unload it. A plain POSIX thread that
//! ends before the call returns takes all of that with it.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::mutex::lock;

/// Stack of such a thread: TLS handshakes and JSON nesting need some, a database little.
const STACK: usize = 2 << 20;

/// What to do where no thread can be started.
pub const NO_THREAD: &str = "look for a limit on threads or memory (ulimit -u, ulimit -v)";

type Outcome<R> = Result<R, Box<dyn Any + Send>>;

struct Job<F, R> {
    work: Mutex<Option<F>>,
    outcome: Mutex<Option<Outcome<R>>>,
    done: Condvar,
}

/// Runs `work` on a thread of its own and waits for it, calling `tick` on this thread every `every` meanwhile.
/// A panic of `work` goes on in this thread. Where no thread can be had, `work` runs on this one.
pub fn on_worker<R: Send>(work: impl FnOnce() -> R + Send, every: Duration, mut tick: impl FnMut()) -> R {
    let job = Job {
        work: Mutex::new(Some(work)),
        outcome: Mutex::new(None),
        done: Condvar::new(),
    };
    // Joined when it is dropped, also while `tick` unwinds: the job outlives the thread.
    let Some(worker) = spawn(&job) else {
        let work = lock(&job.work).take();
        // The closure was never handed over: no other thread can have taken it.
        return work.map_or_else(|| unreachable!("the job lost its work"), |work| work());
    };
    let outcome = {
        let mut slot = lock(&job.outcome);
        loop {
            if let Some(outcome) = slot.take() {
                break outcome;
            }
            let (after, timed_out) = job
                .done
                .wait_timeout(slot, every)
                .unwrap_or_else(PoisonError::into_inner);
            slot = after;
            if timed_out.timed_out() && slot.is_none() {
                drop(slot);
                tick();
                slot = lock(&job.outcome);
            }
        }
    };
    drop(worker);
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Runs `work` on this thread and on so many others, or as many as can be had, until all of them have ended. A panic of one goes
/// on in this thread.
pub fn on_several(others: usize, work: impl Fn() + Sync) {
    let jobs: Vec<_> = (0..others)
        .map(|_| Job {
            work: Mutex::new(Some(&work)),
            outcome: Mutex::new(None),
            done: Condvar::new(),
        })
        .collect();
    // Joined when they are dropped, also while `work` unwinds here: the jobs outlive the threads.
    let workers: Vec<Option<Worker>> = jobs.iter().map(spawn).collect();
    work();
    drop(workers);
    for job in jobs {
        if let Some(Err(panic)) = lock(&job.outcome).take() {
            resume_unwind(panic);
        }
    }
}

/// A thread that outlives the call that starts it: joined when this is dropped. Tell it to end before.
///
/// As for [`on_worker`], nothing of it is left in the thread that starts it. A fork's child has no such thread and waits for
/// none.
pub struct Worker {
    thread: Thread,
    process: u32,
}

/// What the C library calls a thread: a number with glibc, a pointer to what it keeps of it with musl and macOS.
struct Thread(libc::pthread_t);

// SAFETY: any thread of the process may join any other. The pointer is never followed here; it is only handed back to the
// C library, which allows that on every thread.
unsafe impl Send for Thread {}

impl Worker {
    /// Runs `work` on a thread of its own; `None` when there can be none. A panic ends `work`, and nothing else.
    pub fn spawn(work: impl FnOnce() + Send + 'static) -> Option<Self> {
        type Work = Box<dyn FnOnce() + Send>;
        extern "C" fn run(work: *mut c_void) -> *mut c_void {
            // SAFETY: `spawn` gave it away, to this thread only.
            let work = unsafe { Box::from_raw(work.cast::<Work>()) };
            let _ = catch_unwind(AssertUnwindSafe(work));
            std::ptr::null_mut()
        }
        let work: *mut Work = Box::into_raw(Box::new(Box::new(work)));
        // SAFETY: the thread that takes the work over owns it.
        let worker = unsafe { start(run, work.cast()) };
        if worker.is_none() {
            // SAFETY: there is no thread, so the work was not taken.
            drop(unsafe { Box::from_raw(work) });
        }
        worker
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            // SAFETY: the thread was created joinable by this process and is joined just here, once.
            unsafe { libc::pthread_join(self.thread.0, std::ptr::null_mut()) };
        }
    }
}

/// Calls into the host, on a thread of the host's that it may end there.
///
/// `CPython` before 3.14 does: its finalizer ends every thread that takes the interpreter's lock, by `pthread_exit`. That
/// unwinds the stack, and frames that catch panics cannot be unwound so: the process would abort. A thread that is ended
/// in `call` therefore sleeps for ever as soon as the unwinding leaves this frame, as `CPython` 3.14 lets it. Nothing that
/// the frames below own is destroyed: work that borrows from them on other threads goes on.
///
/// `call` must own nothing, as its own frame is unwound, and not panic. Where threads end without unwinding (macOS) it is just called.
#[inline(never)]
pub fn lent<R>(call: impl FnOnce() -> R) -> R {
    #[cfg(target_os = "linux")]
    {
        /// At least as large as what the C library keeps there: four words with glibc, three with musl.
        #[repr(C)]
        struct Cleanup([*mut c_void; 8]);
        // What is behind `pthread_cleanup_push` of C where that is a macro of two functions. With glibc these are of
        // the time before exceptions: they need no frame that can be jumped to.
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
        // SAFETY: it stays in place until it is taken off just below; when `call` does not come back, it runs.
        unsafe { _pthread_cleanup_push(&raw mut cleanup, sleep_for_ever, std::ptr::null_mut()) };
        let answer = call();
        // SAFETY: the one that was put on above; whatever `call` put on it has taken off.
        unsafe { _pthread_cleanup_pop(&raw mut cleanup, 0) };
        answer
    }
    #[cfg(not(target_os = "linux"))]
    call()
}

fn spawn<F: FnOnce() -> R + Send, R: Send>(job: &Job<F, R>) -> Option<Worker> {
    extern "C" fn run<F: FnOnce() -> R + Send, R: Send>(job: *mut c_void) -> *mut c_void {
        // SAFETY: `on_worker` keeps the job alive until this thread was joined, and shares it by reference only.
        let job = unsafe { &*job.cast::<Job<F, R>>() };
        let work = lock(&job.work).take();
        if let Some(work) = work {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            *lock(&job.outcome) = Some(outcome);
            job.done.notify_all();
        }
        std::ptr::null_mut()
    }
    // SAFETY: `on_worker` keeps the job alive until the thread was joined.
    unsafe { start(run::<F, R>, std::ptr::from_ref(job).cast_mut().cast()) }
}

/// Starts a joinable thread with all signals blocked: they are the host's, and its own threads must get them.
///
/// # Safety
/// `argument` must be what `run` wants, for as long as it runs.
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
