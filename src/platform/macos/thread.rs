//! Threads on macOS, which end without unwinding.

pub use super::super::unix::thread::*;

pub fn call_host<R>(call: impl FnOnce() -> R) -> R {
    call()
}
