//! POSIX threads. A thread of the standard library would leave thread-local values in the thread that starts it, so a
//! host could not unload this library.

use std::ffi::c_void;

/// A POSIX thread. The C library's handle is a number in glibc, and a pointer in musl and on macOS.
pub struct Thread {
    handle: libc::pthread_t,
    /// The process that has the thread, since a forked child does not; 0 for a detached thread.
    process: u32,
}

// SAFETY: any thread in the process can join any other thread. The handle is not dereferenced here, but only passed to
// the C library, which allows this on every thread.
unsafe impl Send for Thread {}

impl Thread {
    /// Starts a thread that calls `run` with `argument`, with a stack of `stack` bytes, and with all signals blocked,
    /// since signals are for the host's own threads. Returns `None` if no thread can be started.
    ///
    /// # Safety
    /// `argument` must be valid for as long as `run` runs.
    pub unsafe fn start(
        stack: usize,
        run: extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> Option<Self> {
        // SAFETY: plain POSIX calls on local values.
        unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            if libc::pthread_attr_init(&raw mut attributes) != 0 {
                return None;
            }
            libc::pthread_attr_setstacksize(&raw mut attributes, stack);
            // Block all signals while the thread is created, since a new thread inherits the signal mask.
            let mut all_signals: libc::sigset_t = std::mem::zeroed();
            let mut previous_mask: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all_signals);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all_signals, &raw mut previous_mask);
            let mut handle: libc::pthread_t = std::mem::zeroed();
            let failed = libc::pthread_create(&raw mut handle, &raw const attributes, run, argument);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const previous_mask, std::ptr::null_mut());
            libc::pthread_attr_destroy(&raw mut attributes);
            (failed == 0).then(|| Self {
                handle,
                process: std::process::id(),
            })
        }
    }

    /// Returns whether this process has the thread, and the thread is not detached.
    pub fn is_in_this_process(&self) -> bool {
        self.process == std::process::id()
    }

    /// Waits until the thread has ended. A forked child does not have this thread, and does not wait.
    pub fn join(&mut self) {
        if self.is_in_this_process() {
            // SAFETY: this process created the thread as joinable. The thread is joined only here, and only once, when
            // its `Worker` is dropped.
            unsafe { libc::pthread_join(self.handle, std::ptr::null_mut()) };
        }
    }

    /// Detaches the thread. The library stays in memory, since the thread runs its code.
    pub fn detach(&mut self) {
        if self.is_in_this_process() {
            keep_library();
            // SAFETY: this process created the thread as joinable. The thread is neither joined nor detached, since
            // detaching sets `process` to 0, which is never a process ID.
            unsafe { libc::pthread_detach(self.handle) };
            self.process = 0;
        }
    }
}

/// Keeps this library in memory until the process ends, even if the host unloads it.
fn keep_library() {
    // SAFETY: `dladdr` fills in a plain struct. The name belongs to a loaded object, and lives as long as the object.
    unsafe {
        let mut this_library: libc::Dl_info = std::mem::zeroed();
        let code: fn() = keep_library;
        if libc::dladdr(code as *const c_void, &raw mut this_library) != 0 && !this_library.dli_fname.is_null() {
            // This call fails if the library is part of a program, which is never unloaded.
            libc::dlopen(
                this_library.dli_fname,
                libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE,
            );
        }
    }
}
