//! Tracks the host's callbacks on each thread, since a callback must not close its own index.

use std::cell::Cell;

use super::types::Handle;
use plexindex::inside::call_host;

/// A running callback, in a linked list from the innermost callback to the outermost.
struct RunningCallback {
    handle: *const Handle,
    outer: *const RunningCallback,
}

// The thread-local has no destructor; `guard` explains why.
thread_local! {
    static INNERMOST: Cell<*const RunningCallback> = const { Cell::new(std::ptr::null()) };
}

/// Calls a function of the host, in a callback for the index `handle`, and returns its result. During the call,
/// [`is_in_callback`] returns `true` for `handle` on this thread, so that plexindex_close() fails. `call` must not
/// unwind, since the list of running callbacks refers to this stack frame.
pub fn call_host_for<R>(handle: *const Handle, call: impl FnOnce() -> R) -> R {
    let this_callback = RunningCallback {
        handle,
        outer: INNERMOST.get(),
    };
    INNERMOST.set(&raw const this_callback);
    let result = call_host(call);
    INNERMOST.set(this_callback.outer);
    result
}

/// Returns whether this thread is in a callback of the index `handle`, possibly within another index's callback.
pub fn is_in_callback(handle: *const Handle) -> bool {
    let mut next = INNERMOST.get();
    // SAFETY: each `RunningCallback` is in a stack frame of this thread that has not returned.
    while let Some(running) = unsafe { next.as_ref() } {
        if running.handle == handle {
            return true;
        }
        next = running.outer;
    }
    false
}
