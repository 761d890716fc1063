//! Runs work on threads without leaving thread-local values in the calling thread.
//!
//! `std::thread` stores thread-local values with destructors in the thread that *spawns* (spawn hooks). HTTP, TLS and
//! channel libraries do the same in the thread that uses them. With glibc, each of these values keeps a library that
//! was loaded at run time in memory until the thread ends, so a host could not unload the library. Therefore this
//! module uses plain POSIX threads, which end before the call returns, together with their thread-local values.
//!
//! Shuts down a connection on which another thread may be waiting.

use std::ffi::c_void;
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;

use super::fork::lock;
pub use super::system::is_wake as is_shut_down;
use super::system::{self, Thread, wake_readers};

/// Stack size of a thread in bytes, which is enough for TLS handshakes and nested JSON.
const STACK: usize = 2 << 20;

/// The remedy if no thread can be started.
pub const NO_THREAD: &str = "raise the limits on threads and memory (ulimit -u, ulimit -v)";

type Work<'w> = Box<dyn FnOnce() + Send + 'w>;

/// Runs `work` on a new thread and `meanwhile` on the calling thread, and waits for both. Returns the result of
/// `meanwhile`. If no thread can be started, first runs `work` on the calling thread. `work` must not panic.
pub fn beside<R>(work: impl FnOnce() + Send, meanwhile: impl FnOnce() -> R) -> R {
    // SAFETY: the worker is dropped before the values that `work` borrows, even while `meanwhile` unwinds.
    let _worker = unsafe { spawn(Box::new(work)) }.map_err(|work| work());
    meanwhile()
}

/// Runs `work` on the calling thread and on `others` more threads, or on as many as can be started, and waits for all
/// threads. A panic on any thread continues on the calling thread.
pub fn on_workers(others: usize, work: impl Fn() + Sync) {
    let panics = Mutex::new(Vec::new());
    let run = || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(&work)) {
            lock(&panics).push(panic);
        }
    };
    // SAFETY: the workers are dropped before the values that `run` borrows, even while `work` unwinds on this thread.
    let workers: Vec<_> = (0..others).map(|_| unsafe { spawn(Box::new(run)) }.ok()).collect();
    work();
    drop(workers);
    if let Some(panic) = lock(&panics).pop() {
        resume_unwind(panic);
    }
}

/// A thread that outlives the call that starts it. Dropping a `Worker` joins the thread, so the owner must make the
/// thread end first. Starting the thread leaves no thread-local values in the calling thread. A forked child does not
/// have the thread, and does not wait for it.
pub struct Worker(Thread);

impl Worker {
    /// Starts a thread that runs `work`; `None` if no thread can be started. A panic ends only `work`.
    pub fn spawn(work: impl FnOnce() + Send + 'static) -> Option<Self> {
        // SAFETY: `work` borrows nothing.
        unsafe { spawn(Box::new(work)) }.ok()
    }

    /// Returns whether this process has the thread, which a forked child does not have.
    #[must_use]
    pub fn is_in_this_process(&self) -> bool {
        self.0.is_in_this_process()
    }

    /// Detaches the thread, so that dropping the `Worker` does not wait. From now on, this library stays in memory,
    /// since the thread runs its code.
    pub fn detach(mut self) {
        self.0.detach();
    }
}

impl Drop for Worker {
    /// Waits until the thread has ended, unless it is detached.
    fn drop(&mut self) {
        self.0.join();
    }
}

/// Calls a host function, which may end this thread during the call.
///
/// `CPython` before 3.14 can end the thread: during finalization, it calls `pthread_exit` in every thread that acquires
/// the interpreter's lock. `pthread_exit` unwinds the stack, and unwinding through frames that catch panics would abort
/// the process. Therefore, when the unwinding leaves this frame, the thread sleeps forever, as in `CPython` 3.14. The
/// calling frames keep their values, so work on other threads that borrows these values continues. Windows does not
/// unwind the stack: the thread ends, but its stack stays in memory.
///
/// `call` must not own values, since its own frame is unwound, and must not panic. On macOS, only runs `call`.
#[inline(never)]
pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    system::call_host(call)
}

/// Starts a thread that runs `work`. If no thread can be started, returns `work`, so that the caller can run it. A
/// panic ends only `work`.
///
/// # Safety
/// The caller must drop the worker before anything that `work` borrows.
unsafe fn spawn(work: Work<'_>) -> Result<Worker, Work<'_>> {
    /// The new thread's function, which runs the work and catches a panic.
    extern "C" fn run(work: *mut c_void) -> *mut c_void {
        // SAFETY: `spawn` passed the work only to this thread, and borrowed values outlive the thread.
        let work = unsafe { Box::from_raw(work.cast::<Work<'_>>()) };
        let _ = catch_unwind(AssertUnwindSafe(*work));
        std::ptr::null_mut()
    }
    let work: *mut Work<'_> = Box::into_raw(Box::new(work));
    // SAFETY: the started thread owns the work. If no thread was started, this function still owns the work.
    unsafe {
        Thread::start(STACK, run, work.cast())
            .map(Worker)
            .ok_or_else(|| *Box::from_raw(work))
    }
}

/// Shuts down a connection. A thread that waits for data on it wakes up with an error or the end of the stream.
pub fn shut_down(stream: &TcpStream) {
    // An error means that the connection has already ended.
    let _ = stream.shutdown(Shutdown::Both);
    wake_readers(stream);
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read};
    use std::net::TcpListener;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_worker_runs_until_signalled_and_is_joined() {
        let stop = std::sync::Arc::new(AtomicBool::new(false));
        let ended = std::sync::Arc::new(AtomicBool::new(false));
        let worker = Worker::spawn({
            let (stop, ended) = (stop.clone(), ended.clone());
            move || {
                while !stop.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
                ended.store(true, Ordering::SeqCst);
            }
        });
        stop.store(true, Ordering::SeqCst);
        drop(worker.expect("a thread"));
        assert!(ended.load(Ordering::SeqCst));
        drop(Worker::spawn(|| panic!("goes no further")).expect("a thread"));
    }

    #[test]
    fn on_several_shares_work_and_passes_on_a_panic() {
        let (next, sum) = (AtomicUsize::new(0), AtomicUsize::new(0));
        on_workers(3, || {
            loop {
                let own = next.fetch_add(1, Ordering::Relaxed);
                if own >= 1000 {
                    break;
                }
                sum.fetch_add(own, Ordering::Relaxed);
            }
        });
        assert_eq!(sum.into_inner(), 499_500);
        let me = std::thread::current().id();
        let failed = std::panic::catch_unwind(|| {
            on_workers(1, || assert_eq!(std::thread::current().id(), me, "another thread"));
        });
        assert!(failed.is_err());
    }

    /// A connection whose other end says nothing, and that end.
    fn silent() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("connects");
        (stream, listener.accept().expect("accepted").0)
    }

    #[test]
    fn a_reader_wakes_whenever_its_connection_ends() {
        // Before it waits, while it begins to wait, and while it waits.
        for wait in [0_u64, 1, 50] {
            let (stream, _other) = silent();
            let begin = Barrier::new(2);
            std::thread::scope(|scope| {
                let reader = scope.spawn(|| {
                    begin.wait();
                    (&stream).read(&mut [0; 8])
                });
                begin.wait();
                std::thread::sleep(std::time::Duration::from_millis(wait));
                shut_down(&stream);
                // What it gets is not taken for a time limit.
                match reader.join().expect("no panic") {
                    Ok(amount) => assert_eq!(amount, 0),
                    Err(error) => assert!(is_shut_down(&error) || error.kind() != ErrorKind::TimedOut, "{error}"),
                }
            });
        }
    }
}
