//! The log that several hosts share.

use crate::capi::answer::{check_memory, write_json};
use crate::capi::constants as c;
use crate::capi::guard::guard_into;
use crate::capi::handles::opened;
use crate::capi::types::{Buffer, Handle};
use crate::error::refuse;

/// Looks at the shared log, prepares it or empties it: plexindex_options.shared. Waits for it, for options.deadline_ms
/// at most, and for some seconds without one.
///
/// `action`: PLEXINDEX_SHARED_*. `out_json`: how it is then, an object, UTF-8: `address` (without a password),
/// `reachable`, `error` (null, or why it is not reachable), `server` (the machine identifier of the index's server, or
/// null), `taken` (the number of the last entry that this folder has, or null), `undelivered` (entries of this folder
/// that wait, or null), `behind` (entries that this folder lacks, at most, or null), and `views`: an array with an
/// object for each server and user, `server`, `last` (the number of the last entry), `age_ms` (since it was written, or
/// null), `entries` (an object: how many, by kind), `hosts` and `bytes`. null without the option.
///
/// Returns PLEXINDEX_OK, also where the log is not reachable, for PLEXINDEX_SHARED_STATUS. For the other actions:
/// PLEXINDEX_CONNECT; PLEXINDEX_TIMEOUT; PLEXINDEX_FORBIDDEN if PostgreSQL does not allow it to the role;
/// PLEXINDEX_OFFLINE; PLEXINDEX_INVALID_ARGUMENT without the option.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_shared(
    handle: *const Handle,
    action: i32,
    out_json: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_json, "out_json", |json| {
        // SAFETY: the caller's promise.
        let opened = unsafe { opened(handle) }?;
        check_memory(json)?;
        let index = opened.index();
        match action {
            c::PLEXINDEX_SHARED_STATUS => {}
            c::PLEXINDEX_SHARED_INIT => index.shared_init()?,
            c::PLEXINDEX_SHARED_CLEAR => index.shared_clear()?,
            other => return refuse(format!("action is {other}: give one of PLEXINDEX_SHARED_*")),
        }
        write_json(json, &index.shared_status()?)
    })
}
