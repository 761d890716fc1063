//! Threads on macOS, which end without unwinding.

pub use super::super::unix::thread::*;

/// Calls a function of the host. Threads end without unwinding here, so nothing else is needed.
pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    call()
}
