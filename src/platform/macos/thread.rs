//! Threads on macOS, which end without unwinding.

pub use super::super::unix::thread::*;

/// Calls a host function. Nothing else is needed, since threads end without unwinding on macOS.
pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    call()
}
