//! Tracks the host's callbacks on this thread, since a callback must not close its own index.

use std::cell::Cell;

use super::types::Handle;
use plexindex::inside::call_host;

/// A running callback, in a list from the innermost to the outermost.
struct Running {
    handle: *const Handle,
    outer: *const Running,
}

// It has no destructor, for the reason in `guard`.
thread_local! {
    static INNERMOST: Cell<*const Running> = const { Cell::new(std::ptr::null()) };
}

/// Calls a function of the host, and records on this thread that a callback of the index runs, so that
/// [`is_in_callback`] returns true meanwhile. `call` must not unwind, since the record lies on the stack.
pub fn call_host_for<R>(handle: *const Handle, call: impl FnOnce() -> R) -> R {
    let running = Running {
        handle,
        outer: INNERMOST.get(),
    };
    INNERMOST.set(&raw const running);
    let result = call_host(call);
    INNERMOST.set(running.outer);
    result
}

/// Returns whether this thread is in a callback of this index.
pub fn is_in_callback(handle: *const Handle) -> bool {
    let mut next = INNERMOST.get();
    // SAFETY: each `Running` lies in a frame of this thread that has not returned.
    while let Some(running) = unsafe { next.as_ref() } {
        if running.handle == handle {
            return true;
        }
        next = running.outer;
    }
    false
}
