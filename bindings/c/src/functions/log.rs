//! Log.

use std::ffi::{c_char, c_void};

use crate::guard::guard;
use crate::log_ring::{self, LogLine};
use crate::types::{Buffer, LogFn};
use plexindex::error::{Error, Status};
use plexindex::inside::call_host;

/// Hands the waiting log lines to `receive`, oldest first, on this thread. Call it once a second, or when
/// plexindex_answers.log_lines is not 0: 256 lines wait at most for the whole process. Then the oldest are lost, and a
/// line says how many. A host that unloads the library calls this last, which frees them.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_drain_log(receive: Option<LogFn>, user: *mut c_void, error: *mut Buffer) -> i32 {
    guard(error, || {
        let receive = receive.ok_or_else(|| Error::new(Status::NullPointer, "receive is NULL: give a function"))?;
        // SAFETY: the same but for its frame, which the host may unwind when it ends its thread: see `call_host`.
        let receive: unsafe extern "C-unwind" fn(*mut c_void, i32, *const c_char, usize) =
            unsafe { std::mem::transmute(receive) };
        for LogLine { level, text } in log_ring::drain() {
            // An inner NUL would hide the rest from C.
            let text = text.replace('\0', "\u{FFFD}") + "\0";
            // SAFETY: the caller's promise; the text outlives the call.
            call_host(|| unsafe { receive(user, level, text.as_ptr().cast(), text.len() - 1) });
        }
        Ok(Status::Ok)
    })
}
