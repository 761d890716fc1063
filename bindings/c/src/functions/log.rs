//! Log.

use std::ffi::{c_char, c_void};

use crate::guard::guard;
use crate::log_ring::{self, LogLine};
use crate::types::{Buffer, LogFn};
use plexindex::error::{Error, Status};
use plexindex::inside::call_host;

/// Passes the waiting log lines to `receive`, oldest first, on this thread. Call this function once a second, or when
/// plexindex_answers.log_lines is not 0. At most 256 lines wait per process; beyond that, the oldest lines are lost,
/// and a line reports their number. Before you unload the library, call this function last to free the lines.
///
/// # Safety
/// Pointers must be NULL or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_drain_log(receive: Option<LogFn>, user: *mut c_void, error: *mut Buffer) -> i32 {
    guard(error, || {
        let receive = receive.ok_or_else(|| Error::new(Status::NullPointer, "receive is NULL; pass a function"))?;
        // SAFETY: the types differ only in "unwind": the host may end its thread in the callback, see `call_host`.
        let receive: unsafe extern "C-unwind" fn(*mut c_void, i32, *const c_char, usize) =
            unsafe { std::mem::transmute(receive) };
        for LogLine { level, text } in log_ring::drain() {
            // C code would not see the text after an interior NUL.
            let text = text.replace('\0', "\u{FFFD}") + "\0";
            // SAFETY: guaranteed by the caller; the text outlives the call.
            call_host(|| unsafe { receive(user, level, text.as_ptr().cast(), text.len() - 1) });
        }
        Ok(Status::Ok)
    })
}
