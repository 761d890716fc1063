//! Joinable POSIX threads.

use std::ffi::c_void;

/// The C library's handle of a thread: a number in glibc, a pointer in musl and macOS.
pub struct Thread {
    handle: libc::pthread_t,
    process: u32,
}

// SAFETY: any thread of the process may join any other. The pointer is not dereferenced here, but only passed to the C
// library, which allows that on every thread.
unsafe impl Send for Thread {}

impl Thread {
    /// Starts a thread with a stack of this size and with all signals blocked, since signals are for the host's own
    /// threads. `None` if none can be started.
    ///
    /// # Safety
    /// `argument` must be valid for `run` as long as it runs.
    pub unsafe fn start(
        stack: usize,
        run: extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> Option<Self> {
        // SAFETY: plain POSIX calls on values that live here.
        unsafe {
            let mut attributes: libc::pthread_attr_t = std::mem::zeroed();
            if libc::pthread_attr_init(&raw mut attributes) != 0 {
                return None;
            }
            libc::pthread_attr_setstacksize(&raw mut attributes, stack);
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            let mut handle: libc::pthread_t = std::mem::zeroed();
            let failed = libc::pthread_create(&raw mut handle, &raw const attributes, run, argument);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
            libc::pthread_attr_destroy(&raw mut attributes);
            (failed == 0).then(|| Self {
                handle,
                process: std::process::id(),
            })
        }
    }

    /// Returns whether this process has the thread, and the thread is not detached.
    pub fn is_here(&self) -> bool {
        self.process == std::process::id()
    }

    /// Waits until the thread has ended. A forked child does not have this thread, and does not wait.
    pub fn join(&mut self) {
        if self.is_here() {
            // SAFETY: the thread was created joinable by this process. It is joined only here, and once: when it is
            // dropped.
            unsafe { libc::pthread_join(self.handle, std::ptr::null_mut()) };
        }
    }

    /// Detaches the thread. The library stays in memory, since the thread runs its code.
    pub fn leave(&mut self) {
        if self.is_here() {
            keep_library();
            // SAFETY: the thread was created joinable by this process, and is neither joined nor detached: `process` is
            // 0 from then on, which is never a process ID.
            unsafe { libc::pthread_detach(self.handle) };
            self.process = 0;
        }
    }
}

/// Keeps this library in memory until the process ends, even if the host unloads it.
fn keep_library() {
    // SAFETY: the structure is plain data, which `dladdr` fills; the name is that of a loaded object, and lives as
    // long.
    unsafe {
        let mut here: libc::Dl_info = std::mem::zeroed();
        let code: fn() = keep_library;
        if libc::dladdr(code as *const c_void, &raw mut here) != 0 && !here.dli_fname.is_null() {
            // Fails if the library is part of a program, which is never unloaded.
            libc::dlopen(
                here.dli_fname,
                libc::RTLD_LAZY | libc::RTLD_NOLOAD | libc::RTLD_NODELETE,
            );
        }
    }
}
