//! A query and a library's selector, checked; and the way back to the caller's progress callback.

use std::ffi::{c_char, c_void};
use std::mem::size_of;

use super::constants as c;
use super::options::millis;
use super::strings::{aligned, check_flags, decoded, sized, utf8};
use super::types::{Bytes, Progress as ProgressRecord, ProgressFn, Query};
use crate::error::{Result, refuse};
use crate::index::{Deadline, Library, Progress, QueryOptions, Selector};
use crate::platform::thread::lent;

/// Tells the host how far a fetch has come; `false` when it wants to stop.
type Teller<'h> = dyn Fn(&Progress<'_>) -> bool + 'h;

/// A query, checked.
pub struct CheckedQuery<'h> {
    library: Option<&'h Library>,
    /// `text`, as it is.
    pub text: &'h [u8],
    deadline: Deadline,
    flags: u32,
    progress: Option<Box<Teller<'h>>>,
}

/// # Safety
/// `given` must be NULL or valid, and its library one of an open index.
pub unsafe fn query<'h>(given: *const Query) -> Result<CheckedQuery<'h>> {
    // SAFETY: the caller's promise.
    let Query {
        size: _,
        library,
        text,
        deadline_ms,
        flags,
        reserved,
        progress,
        progress_user,
    } = unsafe { sized(given, "query") }?;
    let known =
        c::PLEXINDEX_QUERY_OFFLINE | c::PLEXINDEX_QUERY_FULL | c::PLEXINDEX_QUERY_AT_ONCE | c::PLEXINDEX_QUERY_PROBE;
    check_flags(flags, reserved, known, "query")?;
    let deadline = deadline(deadline_ms, "query.deadline_ms")?;
    aligned(library.cast::<Library>(), "query.library")?;
    // SAFETY: the caller's promise.
    let (library, text) = unsafe { (library.cast::<Library>().as_ref(), text.get("query.text")?) };
    Ok(CheckedQuery {
        library,
        text,
        deadline,
        flags,
        progress: progress.map(|call| teller(call, progress_user)),
    })
}

pub fn deadline(ms: i64, what: &str) -> Result<Deadline> {
    match ms {
        0 => Ok(Deadline::Default),
        c::PLEXINDEX_NO_DEADLINE => Ok(Deadline::None),
        ms => millis(ms, what, "0 for the options' default, or PLEXINDEX_NO_DEADLINE").map(Deadline::In),
    }
}

fn teller<'h>(call: ProgressFn, user: *mut c_void) -> Box<Teller<'h>> {
    Box::new(move |progress| {
        let record = ProgressRecord {
            size: size_of::<ProgressRecord>(),
            library: Bytes {
                data: progress.library.as_ptr().cast(),
                length: progress.library.len(),
            },
            items: progress.items,
            total: progress.total,
            elapsed_ms: u64::try_from(progress.elapsed.as_millis()).unwrap_or(u64::MAX),
        };
        // SAFETY: the same but for its frame, which the host may unwind when it ends its thread: see `lent`.
        let call: unsafe extern "C-unwind" fn(*mut c_void, *const ProgressRecord) -> i32 =
            unsafe { std::mem::transmute(call) };
        // SAFETY: the caller gave this function for this purpose; the record outlives the call.
        lent(|| unsafe { call(user, &raw const record) }) == 0
    })
}

impl<'h> CheckedQuery<'h> {
    pub fn options(&self) -> QueryOptions<'_> {
        QueryOptions {
            library: self.library,
            deadline: self.deadline,
            offline: self.flags & c::PLEXINDEX_QUERY_OFFLINE != 0,
            progress: self.progress.as_deref(),
        }
    }

    pub fn full(&self) -> bool {
        self.flags & c::PLEXINDEX_QUERY_FULL != 0
    }

    pub fn probe(&self) -> bool {
        self.flags & c::PLEXINDEX_QUERY_PROBE != 0
    }

    pub fn at_once(&self) -> bool {
        self.flags & c::PLEXINDEX_QUERY_AT_ONCE != 0
    }

    pub fn utf8(&self, what: &str) -> Result<&'h str> {
        decoded(self.text, what)
    }
}

/// # Safety
/// As [`bytes`].
pub unsafe fn selector(kind: i32, data: *const c_char, length: usize) -> Result<Selector> {
    // SAFETY: the caller's promise.
    let name = unsafe { utf8(data, length, "selector") }?.to_owned();
    match kind {
        c::PLEXINDEX_SELECT_ANY => Ok(Selector::Any(name)),
        c::PLEXINDEX_SELECT_TITLE => Ok(Selector::Title(name)),
        c::PLEXINDEX_SELECT_SECTION => Ok(Selector::Section(name)),
        c::PLEXINDEX_SELECT_UUID => Ok(Selector::Uuid(name)),
        c::PLEXINDEX_SELECT_ALL if name.is_empty() => Ok(Selector::All),
        c::PLEXINDEX_SELECT_ALL => refuse(format!(
            "PLEXINDEX_SELECT_ALL takes no selector, but '{name}' was given"
        )),
        other => refuse(format!(
            "{other} is no kind of selector: give one of PLEXINDEX_SELECT_*"
        )),
    }
}
