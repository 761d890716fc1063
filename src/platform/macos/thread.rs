//! Threads on macOS, where a thread that a host function ends (`pthread_exit`) does not unwind its stack.

pub use super::super::unix::thread::*;

/// Calls a host function. If it ends the thread, macOS unwinds no frame of this library, so no handler is needed.
pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    call()
}
