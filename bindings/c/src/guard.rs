//! Guards for exported functions. They convert panics to statuses, and write error messages to the caller's buffer.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

use super::strings::{check_aligned, null_error, output};
use super::types::Buffer;
use plexindex::error::{Error, Result, Status, invalid_argument_error};

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

/// Sets a buffer's length to 0. Does not change its memory, which may contain the call's inputs. Ignores invalid
/// pointers, which later checks reject.
fn clear_buffer(place: *mut Buffer) {
    if !place.is_null() && place.is_aligned() {
        // SAFETY: the caller passed a buffer.
        unsafe { (*place).length = 0 };
    }
}

/// Runs the body of an exported function, and returns its status as a number. The body can fill the buffer `place`, and
/// error messages go to `error`; both may be NULL. Empties `place` before the body and after every error except
/// [`Status::BufferTooSmall`], so that it never contains an earlier answer.
pub fn guard_output<S: Into<Status>>(error: *mut Buffer, place: *mut Buffer, body: impl FnOnce() -> Result<S>) -> i32 {
    clear_buffer(place);
    let error_text = match ErrorText::new(error) {
        Ok(error_text) => error_text,
        Err(error) => {
            #[cfg(test)]
            tests::keep(&error.message);
            return error.status as i32;
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
                clear_buffer(error);
            }
            status.into() as i32
        }
        Err(error) => {
            // C code would not see the text after an interior NUL.
            let text = error.message.replace('\0', "\u{FFFD}");
            #[cfg(test)]
            tests::keep(&text);
            if error.status != Status::BufferTooSmall {
                clear_buffer(place);
            }
            error_text.write(&text, error.argument().unwrap_or(""));
            error.status as i32
        }
    }
}

/// The caller's buffer for error messages, and the buffer's fields before the call. Writes messages only before and
/// after the body, so that the answer can use the same buffer.
struct ErrorText(Option<(*mut Buffer, Buffer)>);

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
        let error_text = Self(Some((error, given)));
        error_text.write("", "");
        Ok(error_text)
    }

    /// Writes a message, truncated to the buffer's capacity, and then the name of the invalid option, if there is room.
    /// Sets its length to that of the whole message, so that the caller sees how much is missing.
    fn write(&self, text: &str, argument: &str) {
        let Some((buffer, Buffer { data, capacity, .. })) = self.0 else {
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
            (*buffer).length = text.len();
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

#[cfg(test)]
#[path = "guard_tests.rs"]
pub mod tests;
