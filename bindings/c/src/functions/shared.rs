//! The log that several hosts share.

use serde::Serialize;

use crate::answer::{check_memory, write_json};
use crate::constants as c;
use crate::guard::guard_into;
use crate::handles::opened;
use crate::types::{Buffer, Handle};
use plexindex::error::{Result, Status, refuse};
use plexindex::{Index, SharedStatus, SharedTables};

/// What this folder knows of its own place in the log.
#[derive(Serialize)]
struct Place<'a> {
    address: &'a str,
    taken: Option<u64>,
    undelivered: Option<u64>,
}

/// What the log holds, and what was done with its tables.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    status: SharedStatus,
    tables: Option<SharedTables>,
}

/// Looks at the shared log, prepares it, empties it, or exchanges news: plexindex_options.shared. Waits for the
/// log, for options.deadline_ms at most, and for some seconds without one. PLEXINDEX_SHARED_FOLLOW and _UNFOLLOW do
/// not wait.
///
/// `action`: PLEXINDEX_SHARED_*. `out_json`: how it is then, an object, UTF-8: `address` (without a password),
/// `reachable`, `error` (null, or why it is not reachable or takes no writes), `error_kind` (such as "forbidden"),
/// `server` (the machine identifier of the index's server), `taken` (number of the last entry that this folder has),
/// `undelivered` (entries of this folder that wait), `behind` (entries of other hosts that this folder lacks),
/// each or null, and `views`: an array with an object for each `server` and `user`, `own` (the index's), `last` (number
/// of the last entry), `age_ms` (since it was written, or null), `entries` (how many, by kind), `hosts` and `bytes`.
/// After PLEXINDEX_SHARED_INIT `tables` is "made" or "present", otherwise null.
/// null without the option. After PLEXINDEX_SHARED_DELIVER, _FOLLOW and _UNFOLLOW only what this folder knows:
/// `address`, `taken` and `undelivered`.
///
/// Once a match is recorded, PLEXINDEX_SHARED_DELIVER makes sure that the other hosts can have it, unless its path
/// lies in no folder of the library and under no mapping: PLEXINDEX_RECORD_THROUGH refuses such a path. A host whose
/// tools run for moments only has a process that follows. A forked child does not follow until it calls this.
///
/// Returns PLEXINDEX_OK, also where the log is not reachable, for PLEXINDEX_SHARED_STATUS.
/// PLEXINDEX_SHARED_DELIVER: PLEXINDEX_TIMEOUT if the log does not have all in time: it is stored in this folder,
/// and delivered later. PLEXINDEX_SHARED_INIT and _CLEAR: PLEXINDEX_CONNECT; PLEXINDEX_TIMEOUT; PLEXINDEX_FORBIDDEN
/// if PostgreSQL does not allow it to the role; PLEXINDEX_OFFLINE. All but PLEXINDEX_SHARED_STATUS:
/// PLEXINDEX_INVALID_ARGUMENT without the option; the last three also without `server_url`, and offline.
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
        let mut tables = None;
        match action {
            c::PLEXINDEX_SHARED_STATUS => {}
            c::PLEXINDEX_SHARED_INIT => tables = Some(index.shared_init()?),
            c::PLEXINDEX_SHARED_CLEAR => index.shared_clear()?,
            c::PLEXINDEX_SHARED_DELIVER => {
                index.shared_deliver()?;
                return write_place(json, index);
            }
            c::PLEXINDEX_SHARED_FOLLOW | c::PLEXINDEX_SHARED_UNFOLLOW => {
                index.follow_shared_until(action == c::PLEXINDEX_SHARED_UNFOLLOW)?;
                return write_place(json, index);
            }
            other => return refuse(format!("action is {other}: give one of PLEXINDEX_SHARED_*")),
        }
        let status = index.shared_status()?;
        write_json(json, &status.map(|status| Shown { status, tables }))
    })
}

fn write_place(json: &mut Buffer, index: &Index) -> Result<Status> {
    let place = index.shared_progress().map(|(address, taken, undelivered)| Place {
        address,
        taken,
        undelivered,
    });
    write_json(json, &place)
}
