//! Validates queries and library selectors, and wraps the caller's progress callback.

use std::ffi::{c_char, c_void};
use std::mem::{offset_of, size_of};
use std::ops::ControlFlow;

use super::callbacks::call_host_for;
use super::constants as c;
use super::handles::{Opened, opened};
use super::options::non_negative_millis;
use super::strings::{LONGEST_TEXT, check_aligned, check_flags, copy_struct, utf8};
use super::types::{self, Bytes, Handle, ProgressFn};
use plexindex::error::{Result, check_length, invalid_argument_error, truncate_for_message};
use plexindex::{Library, Progress, Query, Selector};

/// Flags that only some functions accept, with their names and advice for the error message.
const RESTRICTED_FLAGS: [(u32, &str, &str); 4] = [
    (
        c::PLEXINDEX_QUERY_FULL,
        "PLEXINDEX_QUERY_FULL",
        "call plexindex_refresh() with this flag first",
    ),
    (
        c::PLEXINDEX_QUERY_AT_ONCE,
        "PLEXINDEX_QUERY_AT_ONCE",
        "use this flag with plexindex_match_path() or plexindex_match_paths(), or use PLEXINDEX_QUERY_OFFLINE",
    ),
    (
        c::PLEXINDEX_QUERY_NO_SIZE,
        "PLEXINDEX_QUERY_NO_SIZE",
        "use this flag with plexindex_match_path() or plexindex_match_paths()",
    ),
    (
        c::PLEXINDEX_QUERY_FILE,
        "PLEXINDEX_QUERY_FILE",
        "use this flag with plexindex_match_path() or plexindex_match_paths()",
    ),
];

/// The flags that functions that match paths accept.
pub const MATCHING_FLAGS: u32 = c::PLEXINDEX_QUERY_AT_ONCE | c::PLEXINDEX_QUERY_NO_SIZE | c::PLEXINDEX_QUERY_FILE;

/// A validated query.
pub struct CheckedQuery<'h> {
    pub query: Query<'h>, // with its library, limits and progress function
    pub text: &'h [u8],   // the query's field `text`
    flags: u32,
    has_size: bool,
}

/// Validates and converts a query. `accepted_flags` contains the flags that the exported function accepts in addition
/// to PLEXINDEX_QUERY_OFFLINE.
///
/// # Safety
/// `handle` must be NULL or open, `given` must be NULL or valid, and the query's library must belong to `handle`.
pub unsafe fn query<'h>(
    handle: *const Handle,
    given: *const types::QueryRecord,
    accepted_flags: u32,
) -> Result<CheckedQuery<'h>> {
    // SAFETY: guaranteed by the caller.
    let opened: &Opened = unsafe { opened(handle) }?;
    // SAFETY: guaranteed by the caller.
    let types::QueryRecord {
        size: _,
        library,
        text,
        timeout_ms,
        flags,
        reserved,
        progress,
        progress_user,
        file_size,
    } = unsafe { copy_struct(given, offset_of!(types::QueryRecord, timeout_ms), "query") }?;
    let known = c::PLEXINDEX_QUERY_OFFLINE | c::PLEXINDEX_QUERY_FULL | c::PLEXINDEX_QUERY_PROBE | MATCHING_FLAGS;
    check_flags(flags, reserved, known, "query")?;
    for (flag, name, remedy) in RESTRICTED_FLAGS {
        if flags & !accepted_flags & flag != 0 {
            return invalid_argument_error(format!(
                "query.flags has {name}, which does not apply to this function; {remedy}"
            ));
        }
    }
    check_aligned(library.cast::<Library>(), "query.library")?;
    // SAFETY: guaranteed by the caller.
    let (library, text) = unsafe { (library.cast::<Library>().as_ref(), text.get("query.text")?) };
    if library.is_some_and(|library| !library.belongs_to(opened.index())) {
        return invalid_argument_error(
            "query.library belongs to another handle; get it from plexindex_get_library() with this handle",
        );
    }
    let mut query = library.map_or_else(|| opened.index().query(), Library::query);
    if flags & c::PLEXINDEX_QUERY_OFFLINE != 0 {
        query = query.offline();
    }
    if flags & c::PLEXINDEX_QUERY_PROBE != 0 {
        query = query.always_ask();
    }
    if flags & c::PLEXINDEX_QUERY_NO_SIZE != 0 {
        query = query.without_size();
    }
    if file_size != 0 {
        query = query.size(file_size);
    }
    let limits = Limits {
        handle,
        timeout_ms,
        progress,
        progress_user,
        what: "query.timeout_ms",
    };
    query = limits.apply(query)?;
    Ok(CheckedQuery {
        query,
        text,
        flags,
        has_size: file_size != 0,
    })
}

/// A call's timeout, and the host's progress function. `handle` identifies the index to which the progress function
/// belongs.
pub struct Limits {
    handle: *const Handle,
    timeout_ms: i64,
    progress: Option<ProgressFn>,
    progress_user: *mut c_void,
    what: &'static str, // name of the deadline in error messages
}

impl Limits {
    /// Copies the options of plexindex_call(); NULL means the default timeout, and no progress function. `handle`: the
    /// index of the call.
    ///
    /// # Safety
    /// `given` must be NULL or valid.
    pub unsafe fn from_options(handle: *const Handle, given: *const types::CallOptionsRecord) -> Result<Self> {
        let types::CallOptionsRecord {
            size: _,
            timeout_ms,
            progress,
            progress_user,
        } = if given.is_null() {
            types::CallOptionsRecord::NONE
        } else {
            // SAFETY: guaranteed by the caller.
            unsafe { copy_struct(given, size_of::<usize>(), "options") }?
        };
        Ok(Self {
            handle,
            timeout_ms,
            progress,
            progress_user,
            what: "options.timeout_ms",
        })
    }

    /// Returns the query with the call's timeout and progress function. Fails for a negative timeout.
    pub fn apply<'q>(&self, query: Query<'q>) -> Result<Query<'q>> {
        let query = with_deadline(query, self.timeout_ms, self.what)?;
        Ok(match self.progress {
            Some(call) => query.progress(progress_callback(self.handle, call, self.progress_user)),
            None => query,
        })
    }
}

/// Returns the query with a timeout in milliseconds; 0 keeps the index's default, and PLEXINDEX_NO_TIMEOUT removes
/// it. `what` is the field's name for error messages.
pub fn with_deadline<'q>(query: Query<'q>, ms: i64, what: &str) -> Result<Query<'q>> {
    Ok(match ms {
        0 => query,
        c::PLEXINDEX_NO_TIMEOUT => query.no_timeout(),
        ms => query.timeout(non_negative_millis(
            ms,
            what,
            "0 for the options' default, or PLEXINDEX_NO_TIMEOUT",
        )?),
    })
}

/// Wraps the host's progress function `call` for a query. The query ends if the function returns a nonzero value.
/// `handle` is the query's index, which the function must not close. `user` is the host's pointer for the function.
fn progress_callback(
    handle: *const Handle,
    call: ProgressFn,
    user: *mut c_void,
) -> impl FnMut(&Progress<'_>) -> ControlFlow<()> + Send {
    struct Caller(*const Handle, *mut c_void);
    // SAFETY: a query from C stays on the thread of its call, which runs the callback.
    unsafe impl Send for Caller {}
    let caller = Caller(handle, user);
    move |progress| {
        let caller = &caller;
        let title = format!("{}\0", progress.library.unwrap_or_default());
        let record = types::ProgressRecord {
            size: size_of::<types::ProgressRecord>(),
            library: Bytes {
                data: title.as_ptr().cast(),
                length: title.len() - 1, // without the NUL
            },
            items: progress.items,
            total: progress.total.unwrap_or(0),
            elapsed_ms: u64::try_from(progress.elapsed.as_millis()).unwrap_or(u64::MAX),
        };
        // SAFETY: the types differ only in "unwind": the host may end its thread in the callback, see `call_host`.
        let call: unsafe extern "C-unwind" fn(*mut c_void, *const types::ProgressRecord) -> i32 =
            unsafe { std::mem::transmute(call) };
        // SAFETY: the host supplied this function as its callback; the record outlives the call.
        match call_host_for(caller.0, || unsafe { call(caller.1, &raw const record) }) {
            0 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    }
}

impl CheckedQuery<'_> {
    /// Returns whether plexindex_refresh() must fetch full listings.
    pub fn is_full(&self) -> bool {
        self.flags & c::PLEXINDEX_QUERY_FULL != 0
    }

    /// Returns whether plexindex_refresh() must ask the server for changes even if the listings are fresh.
    pub fn is_probe(&self) -> bool {
        self.flags & c::PLEXINDEX_QUERY_PROBE != 0
    }

    /// Returns whether the flags allow the call to send a request and wait for the server.
    pub fn may_ask(&self) -> bool {
        self.flags & (c::PLEXINDEX_QUERY_AT_ONCE | c::PLEXINDEX_QUERY_OFFLINE) == 0
    }

    /// Returns whether the answers must describe the matching files.
    pub fn wants_files(&self) -> bool {
        self.flags & c::PLEXINDEX_QUERY_FILE != 0
    }

    /// Fails if the query has a file's size, which no call but that for one path can use.
    pub fn check_no_size(&self) -> Result<()> {
        if self.has_size {
            return invalid_argument_error("query.file_size is not 0; only plexindex_match_path() uses a file's size");
        }
        Ok(())
    }

    /// Returns whether the call must not wait.
    pub fn is_at_once(&self) -> bool {
        self.flags & c::PLEXINDEX_QUERY_AT_ONCE != 0
    }
}

/// Converts a selector from plexindex_get_library(): a PLEXINDEX_SELECT_* constant, and a name in UTF-8.
///
/// # Safety
/// `data` must be NULL or point to `length` bytes.
pub unsafe fn selector(kind: i32, data: *const c_char, length: usize) -> Result<Selector> {
    check_length("the selector", length, LONGEST_TEXT)?;
    // SAFETY: guaranteed by the caller.
    let name = unsafe { utf8(data, length, "selector") }?.to_owned();
    match kind {
        c::PLEXINDEX_SELECT_ANY => Ok(Selector::Any(name)),
        c::PLEXINDEX_SELECT_TITLE => Ok(Selector::Title(name)),
        c::PLEXINDEX_SELECT_SECTION => Ok(Selector::Section(name)),
        c::PLEXINDEX_SELECT_UUID => Ok(Selector::Uuid(name)),
        c::PLEXINDEX_SELECT_ALL if name.is_empty() => Ok(Selector::All),
        c::PLEXINDEX_SELECT_ALL => invalid_argument_error(format!(
            "the selector is '{}', but PLEXINDEX_SELECT_ALL takes no selector; pass NULL and 0",
            truncate_for_message(name.as_bytes())
        )),
        other => invalid_argument_error(format!("kind must be one of PLEXINDEX_SELECT_*, not {other}")),
    }
}
