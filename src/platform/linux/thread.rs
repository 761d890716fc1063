//! Calls host functions, which may end the calling thread.

use std::ffi::c_void;

pub use super::super::unix::thread::*;

/// Calls a host function. If the function ends the thread, the thread sleeps forever instead, so that no frame of this
/// library is unwound.
pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    /// A buffer that is at least as large as the C library's struct: four words in glibc, three in musl.
    #[repr(C)]
    struct Cleanup([*mut c_void; 8]);
    // The functions behind C's macro `pthread_cleanup_push`. In glibc, these are the older functions, which need no
    // jump buffer.
    unsafe extern "C" {
        /// Adds a handler, which runs if the thread ends before the handler is popped.
        fn _pthread_cleanup_push(cleanup: *mut Cleanup, run: extern "C" fn(*mut c_void), argument: *mut c_void);
        /// Removes the handler, and runs it if `run` is not 0.
        fn _pthread_cleanup_pop(cleanup: *mut Cleanup, run: libc::c_int);
    }
    /// Runs when the host ends the thread.
    extern "C" fn sleep_for_ever(_: *mut c_void) {
        loop {
            // SAFETY: a plain POSIX call.
            unsafe { libc::pause() };
        }
    }
    let mut cleanup = Cleanup([std::ptr::null_mut(); 8]);
    // SAFETY: `cleanup` is not moved before it is popped below. If `call` does not return, the handler runs.
    unsafe { _pthread_cleanup_push(&raw mut cleanup, sleep_for_ever, std::ptr::null_mut()) };
    let answer = call();
    // SAFETY: this call pops the handler pushed above, since `call` has popped all handlers that it pushed.
    unsafe { _pthread_cleanup_pop(&raw mut cleanup, 0) };
    answer
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_ended_by_the_host_runs_no_destructors() {
        unsafe extern "C-unwind" {
            fn pthread_exit(value: *mut c_void) -> !;
        }
        struct Owned(std::sync::mpsc::Sender<&'static str>);
        impl Drop for Owned {
            fn drop(&mut self) {
                self.0.send("destroyed").expect("a listener");
            }
        }
        let (say, hear) = std::sync::mpsc::channel();
        let told = say.clone();
        std::thread::spawn(move || {
            let owned = Owned(say);
            let _ = catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: a host does the same, and this frame owns nothing.
                call_host(|| unsafe { pthread_exit(std::ptr::null_mut()) });
            }));
            drop(owned);
        });
        // The thread must not end: nothing arrives on the channel.
        let heard = hear.recv_timeout(Duration::from_millis(100));
        assert_eq!(heard, Err(std::sync::mpsc::RecvTimeoutError::Timeout));
        drop(told);
        assert_eq!(call_host(|| 4), 4);
    }
}
