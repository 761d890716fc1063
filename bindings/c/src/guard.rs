//! What each exported function begins with: the guard, which converts panics to statuses and writes error messages to the
//! caller's buffer, and the Rust values that C handles point to. Validates queries and library selectors, and wraps the
//! caller's progress callback.

use std::cell::{Cell, UnsafeCell};
use std::ffi::{c_char, c_void};
use std::mem::{offset_of, size_of};
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Arc, Mutex};

use plexindex::error::{Error, Result, Status, check_length, invalid_argument_error, truncate_for_message};
use plexindex::inside::{ForkAware, ForkLock, Table, fork, lock};
use plexindex::{Index, Library, Progress, Query, Selector};

use super::options::{CheckedOptions, call_host_for, non_negative_millis};
use super::strings::{LONGEST_TEXT, check_aligned, check_flags, copy_struct, null_error, output, required, utf8};
use super::types::{self, Buffer, Bytes, Handle, LibraryHandle, ProgressFn, TableHandle};
use super::{constants as c, log_ring};

/// Maximum size in bytes of a key or value from a fast lookup, including the NUL.
pub const MAX_LOOKUP_RESULT: usize = 1024;

// These thread-locals have no destructors, which would prevent unloading the library until the thread ends.
thread_local! {
    static LAST_KEY: UnsafeCell<[u8; MAX_LOOKUP_RESULT]> = const { UnsafeCell::new([0; MAX_LOOKUP_RESULT]) };
    static PANICKED_AT: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// Runs the body of an exported function that returns a status. Writes error messages to `error`, which may be NULL.
pub fn guard<S: Into<Status>>(error: *mut Buffer, body: impl FnOnce() -> Result<S>) -> i32 {
    guard_output(error, std::ptr::null_mut(), body)
}

/// Runs the body of an exported function that returns a status and fills the buffer `place`, which error messages call
/// `name`. Writes error messages to `error`, which may be NULL. Empties the buffer before the checks and after every
/// error except [`Status::BufferTooSmall`], so that the buffer never contains the answer of an earlier call. `place`
/// and `error` can be the same buffer.
pub fn guard_into<S: Into<Status>>(
    error: *mut Buffer,
    place: *mut Buffer,
    name: &str,
    body: impl FnOnce(&mut Buffer) -> Result<S>,
) -> i32 {
    // SAFETY: the caller passed NULL or a buffer.
    guard_output(error, place, || body(unsafe { output(place, name) }?))
}

/// Runs the body of an exported function that returns a status and writes a pointer to `place`, which error messages
/// call `name`. Sets the pointer to `null` before all checks, so that it is never that of an earlier call. Writes error
/// messages to `error`, which may be NULL.
pub fn guard_slot<P, S: Into<Status>>(
    error: *mut Buffer,
    place: *mut P,
    name: &str,
    null: P,
    body: impl FnOnce(&mut P) -> Result<S>,
) -> i32 {
    // SAFETY: the caller passed NULL or a place for a pointer.
    if let Ok(slot) = unsafe { output(place, name) } {
        *slot = null;
    }
    // SAFETY: the caller passed NULL or a place for a pointer.
    guard(error, || body(unsafe { output(place, name) }?))
}

/// Sets a buffer's length. Does not change its memory, which may contain the call's inputs. Ignores invalid pointers,
/// which later checks reject.
fn set_length(place: *mut Buffer, length: usize) {
    if !place.is_null() && place.is_aligned() {
        // SAFETY: the caller passed a buffer.
        unsafe { (*place).length = length };
    }
}

/// Runs the body of an exported function, and returns its status as a number. The body can fill the buffer `place`, and
/// error messages go to `error`; both may be NULL. Empties `place` before the body and after every error except
/// [`Status::BufferTooSmall`], so that it never contains an earlier answer.
pub fn guard_output<S: Into<Status>>(error: *mut Buffer, place: *mut Buffer, body: impl FnOnce() -> Result<S>) -> i32 {
    set_length(place, 0);
    let error_text = match ErrorText::new(error) {
        Ok(error_text) => error_text,
        Err(failure) => {
            #[cfg(test)]
            tests::keep(&failure.message);
            return failure.status as i32;
        }
    };
    let outcome = catch_unwind(AssertUnwindSafe(with_planted_panic(body))).unwrap_or_else(|_| {
        Err(Error::new(
            Status::Panic,
            format!(
                "caught a bug in plexindex{}; the handle is still usable; please report the bug with the call that you \
                 made",
                panic_location()
            ),
        ))
    });
    match outcome {
        Ok(status) => {
            // A callback may have used the buffer `error` for its own calls.
            if !std::ptr::eq(error, place) {
                set_length(error, 0);
            }
            status.into() as i32
        }
        Err(failure) => {
            // C code would not see the text after an interior NUL.
            let text = failure.message.replace('\0', "\u{FFFD}");
            #[cfg(test)]
            tests::keep(&text);
            let is_too_small = failure.status == Status::BufferTooSmall;
            if !is_too_small {
                set_length(place, 0);
            }
            error_text.write(&text, failure.argument().unwrap_or(""));
            // In a buffer for both, the length remains the size that the answer needs.
            if !is_too_small || !std::ptr::eq(error, place) {
                set_length(error, text.len());
            }
            failure.status as i32
        }
    }
}

/// The fields of the caller's buffer for error messages before the call. Writes messages only before and after the body,
/// so that the answer can use the same buffer.
struct ErrorText(Option<Buffer>);

impl ErrorText {
    /// Checks the buffer and empties it. NULL means that the caller wants no error message.
    fn new(error: *mut Buffer) -> Result<Self> {
        if error.is_null() {
            return Ok(Self(None));
        }
        check_aligned(error, "error")?;
        // SAFETY: the caller passed NULL or a buffer.
        let given = unsafe { error.read() };
        if given.capacity > isize::MAX.unsigned_abs() {
            return invalid_argument_error(format!(
                "error.capacity is {}, which is larger than any memory",
                given.capacity
            ));
        }
        if given.data.is_null() && given.capacity > 0 {
            return Err(null_error("error.data"));
        }
        set_length(error, 0);
        let error_text = Self(Some(given));
        error_text.write("", "");
        Ok(error_text)
    }

    /// Writes a message, truncated to the buffer's capacity, and then the name of the invalid option, if there is room.
    fn write(&self, text: &str, argument: &str) {
        let Some(Buffer { data, capacity, .. }) = self.0 else {
            return;
        };
        // SAFETY: `ErrorText::new` checked the caller's buffer. Its memory has `capacity` bytes, unused by other code.
        unsafe {
            if capacity > 0 {
                let memory = std::slice::from_raw_parts_mut(data.cast(), capacity);
                write_truncated(text, memory);
                if let Some(rest) = memory.get_mut(text.len() + 1..) {
                    let name = if rest.len() > argument.len() { argument } else { "" };
                    if !rest.is_empty() {
                        write_truncated(name, rest);
                    }
                }
            }
        }
    }
}

/// Runs the body of an exported function that returns a value, not a status. Returns `fallback` after a panic.
#[inline]
pub fn guard_value<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(with_planted_panic(body))).unwrap_or(fallback)
}

/// Returns `body`. In tests, the returned function panics first if the test planted a panic, to test that guards catch
/// panics.
#[inline]
fn with_planted_panic<T>(body: impl FnOnce() -> T) -> impl FnOnce() -> T {
    #[cfg(test)]
    let body = tests::planted_in(body);
    body
}

/// Returns the location of this thread's last panic, as ` at file:line` for an error message, and clears the location.
fn panic_location() -> String {
    let location = PANICKED_AT.take();
    location.map_or_else(String::new, |source| format!(" at {}:{}", source.file(), source.line()))
}

/// Installs a panic hook that keeps panic messages, which may contain secrets, off the host's error stream. The hook
/// stores and logs the location. It affects only this library, since a shared object has its own standard library.
pub fn install_panic_hook() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // The closure captures nothing, so unloading the library leaks no memory.
        std::panic::set_hook(Box::new(|info| {
            if let Some(source) = info.location() {
                // SAFETY: the location of a panic is a constant of the compiler.
                PANICKED_AT.set(Some(unsafe { &*std::ptr::from_ref(source).cast() }));
                log::error!("caught a bug in plexindex at {}:{}", source.file(), source.line());
            }
        }));
    });
}

/// Writes a string and a NUL to the memory `room`, truncated at a character to fit. A truncated string ends in `…` if
/// there is room. Writes nothing to empty memory.
pub fn write_truncated(text: &str, room: &mut [u8]) {
    const END: &str = "…";
    let Some(longest) = room.len().checked_sub(1) else {
        return;
    };
    let (kept_length, end) = if text.len() <= longest {
        (text.len(), "")
    } else {
        let end = if END.len() <= longest { END } else { "" };
        let mut cut = longest - end.len();
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        (cut, end)
    };
    let total_length = kept_length + end.len();
    room[..kept_length].copy_from_slice(&text.as_bytes()[..kept_length]);
    room[kept_length..total_length].copy_from_slice(end.as_bytes());
    room[total_length] = 0;
}

/// Stores a key, given in two parts, in this thread's memory until the thread's next fast lookup, so that a fast lookup
/// needs no buffer. Returns the NUL-terminated key; NULL if it is too long, or if its second part, the rating key, is
/// empty or contains a NUL.
#[inline]
pub fn store_thread_key([head, tail]: [&str; 2]) -> *const c_char {
    if tail.is_empty() {
        return std::ptr::null();
    }
    store_thread_text([head.as_bytes(), tail.as_bytes()])
}

/// Stores the concatenated parts, NUL-terminated, in this thread's memory until the thread's next fast lookup, so that
/// a fast lookup needs no buffer. Returns the string; NULL if it is too long or the second part contains a NUL.
#[inline]
pub fn store_thread_text([head, tail]: [&[u8]; 2]) -> *const c_char {
    LAST_KEY.with(|memory| {
        // SAFETY: only this thread uses the memory, and no reference to it exists while plexindex runs.
        let memory = unsafe { &mut *memory.get() };
        let length = head.len() + tail.len();
        if length >= MAX_LOOKUP_RESULT || tail.contains(&0) {
            return std::ptr::null();
        }
        memory[..head.len()].copy_from_slice(head);
        memory[head.len()..length].copy_from_slice(tail);
        memory[length] = 0;
        memory.as_ptr().cast()
    })
}

const MAX_UNKNOWN: usize = 1_024; // handles for unknown library names
const MAX_TABLES: usize = 10_000; // table handles of an index

/// An open index, which a [`Handle`] points to.
pub struct Opened {
    index: Index,
    libraries: Arc<HandleList<Library>>,
    tables: Arc<HandleList<Table>>,
}

/// The values that the handles of one kind point to. Each selector or table appears only once, so callers need not free
/// handles.
struct HandleList<T> {
    /// Boxed, so that values do not move when the list grows.
    #[allow(clippy::vec_box)]
    values: Mutex<Vec<Box<T>>>,
}

impl<T: Send + 'static> ForkAware for HandleList<T> {
    /// Locks the list before a fork, so that the child inherits no lock of another thread. Dropping the returned value
    /// releases the lock.
    fn before(self: Arc<Self>) -> Vec<Box<dyn ForkLock>> {
        vec![Box::new(fork::lock_for_fork(&self, |all| &all.values))]
    }
}

impl<T: Send + 'static> HandleList<T> {
    /// Creates an empty list, and registers it with the fork handlers, which lock the list before each fork.
    fn register() -> Arc<Self> {
        let values = Mutex::default();
        let list = Arc::new(Self { values });
        fork::register_component(&list);
        list
    }

    /// Returns the value that `is_wanted` accepts, or adds the value from `create`, which gets the existing ones.
    fn get(&self, is_wanted: impl Fn(&T) -> bool, create: impl FnOnce(&[Box<T>]) -> Result<T>) -> Result<*const T> {
        let mut values = lock(&self.values);
        if let Some(known) = values.iter().find(|value| is_wanted(value)) {
            return Ok(&raw const **known);
        }
        let value = Box::new(create(&values)?);
        let place = &raw const *value;
        values.push(value);
        Ok(place)
    }
}

impl Opened {
    /// Opens an index. Also installs the process-wide log and panic hook, so that opening can already log.
    pub fn open(checked: CheckedOptions) -> Result<Self> {
        install_panic_hook();
        log_ring::install(log_ring::parse_level(checked.log_level)?);
        #[cfg(feature = "shared")]
        let index = plexindex_sharing::open(checked.options)?;
        #[cfg(not(feature = "shared"))]
        let index = Index::open(checked.options)?;
        Ok(Self::wrap(index))
    }

    /// Wraps an open index.
    pub fn wrap(index: Index) -> Self {
        Self {
            index,
            libraries: HandleList::register(),
            tables: HandleList::register(),
        }
    }

    /// Converts this value to a handle for C, which owns the value until plexindex_close().
    pub fn into_handle(self) -> *mut Handle {
        Box::into_raw(Box::new(self)).cast()
    }

    /// Converts a handle from [`Opened::into_handle`] back to its value.
    ///
    /// # Safety
    /// `handle` must come from [`Opened::into_handle`], and the caller must not use it afterwards.
    pub unsafe fn from_handle(handle: *mut Handle) -> Self {
        // SAFETY: guaranteed by the caller.
        *unsafe { Box::from_raw(handle.cast::<Self>()) }
    }

    /// Closes the index, its libraries and tables, and unregisters them from the fork handlers, even after an error.
    pub fn close(self) -> Result<()> {
        drop((self.libraries, self.tables));
        let closed = self.index.close_now();
        drop(self.index);
        fork::remove_dropped_components();
        closed
    }

    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Returns the handle to the library with this selector. Equal selectors have the same handle.
    pub fn library(&self, selector: &Selector) -> Result<*const LibraryHandle> {
        let create = |known: &[Box<Library>]| {
            let library = self.index.library(selector.clone())?;
            // Limits handles for unknown names, since handles live as long as the index, and names may come from users.
            let unknown_count = || known.iter().filter(|library| !library.is_known()).count();
            if known.len() >= MAX_UNKNOWN && !library.is_known() && unknown_count() >= MAX_UNKNOWN {
                return invalid_argument_error(format!(
                    "library '{}' is unknown, and the index has reached its limit of {MAX_UNKNOWN} handles for \
                     unknown names; use names of existing libraries",
                    truncate_for_message(selector.name().as_bytes())
                ));
            }
            Ok(library)
        };
        let library = self.libraries.get(|library| library.selector() == selector, create)?;
        Ok(library.cast())
    }

    /// Returns the handle to the table with this name. Equal names and flags always return the same handle.
    pub fn table(&self, name: &[u8], ignores_case: bool, is_limited_with_all: bool) -> Result<*const TableHandle> {
        let flags = (ignores_case, is_limited_with_all);
        let is_wanted =
            |table: &Table| table.name() == name && (table.ignores_case, table.is_limited_with_all) == flags;
        let table = self.tables.get(is_wanted, |known| {
            if known.len() >= MAX_TABLES {
                return invalid_argument_error(format!(
                    "this index has reached its limit of {MAX_TABLES} table handles; use fewer tables"
                ));
            }
            let table = self.index.tables().table(name, ignores_case)?;
            Ok(table.limited_with_all(is_limited_with_all))
        })?;
        Ok(table.cast())
    }
}

/// Returns the open index that a handle points to; NULL is an error.
///
/// # Safety
/// `handle` must be NULL or open, and stay open during the call.
pub unsafe fn opened<'h>(handle: *const Handle) -> Result<&'h Opened> {
    // SAFETY: guaranteed by the caller.
    unsafe { required(handle.cast(), "handle") }
}

/// Returns the library that a library handle points to; NULL is an error.
///
/// # Safety
/// `library` must be NULL or a handle to a library of an open index.
pub unsafe fn library<'h>(library: *const LibraryHandle) -> Result<&'h Library> {
    // SAFETY: guaranteed by the caller.
    unsafe { required(library.cast(), "library") }
}

/// Returns the table that a table handle points to; NULL is an error.
///
/// # Safety
/// `table` must be NULL or a handle to a table of an open index.
pub unsafe fn table<'h>(table: *const TableHandle) -> Result<&'h Table> {
    // SAFETY: guaranteed by the caller.
    unsafe { required(table.cast(), "table") }
}

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
    /// Returns whether the query has any of these flags.
    pub fn has(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Fails if the query has a file's size, which no call but that for one path can use.
    pub fn check_no_size(&self) -> Result<()> {
        if self.has_size {
            return invalid_argument_error("query.file_size is not 0; only plexindex_match_path() uses a file's size");
        }
        Ok(())
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

#[cfg(test)]
#[path = "guard_tests.rs"]
pub mod tests;
