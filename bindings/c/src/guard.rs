//! The guard of every exported function: panics become statuses, and errors give their text to the caller.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::strings::{aligned, null, out};
use super::types::Buffer;
use plexindex::error::{Error, Result, Status, refuse};

/// Size of the thread's last key in bytes, including its NUL.
pub const KEY: usize = 1024;

// No destructors here, and `const` values: a thread-local with a destructor would keep a library that was loaded at run
// time in memory until its thread ends.
thread_local! {
    static LAST_KEY: UnsafeCell<[u8; KEY]> = const { UnsafeCell::new([0; KEY]) };
    static PANICKED_AT: Cell<PanicLocation> = const { Cell::new(NOWHERE) };
}

/// Location of a panic, as `file:line`.
#[derive(Clone, Copy)]
struct PanicLocation {
    text: [u8; 96],
    length: usize,
}

impl std::fmt::Write for PanicLocation {
    fn write_str(&mut self, more: &str) -> std::fmt::Result {
        let room = self
            .text
            .get_mut(self.length..self.length + more.len())
            .ok_or(std::fmt::Error)?;
        room.copy_from_slice(more.as_bytes());
        self.length += more.len();
        Ok(())
    }
}

const NOWHERE: PanicLocation = PanicLocation {
    text: [0; 96],
    length: 0,
};

/// Runs the body of an exported function that returns a status. Writes the text of an error to the caller's buffer, where
/// there is one.
pub fn guard<S: Into<Status>>(error: *mut Buffer, body: impl FnOnce() -> Result<S>) -> i32 {
    guard_output(error, std::ptr::null_mut(), body)
}

/// [`guard`] for a function that fills a buffer, its argument `name`. The buffer is empty before anything is checked and
/// after every error but [`Status::BufferTooSmall`], so that it never shows the answer of an earlier call. It may be the
/// buffer for the error text too.
pub fn guard_into<S: Into<Status>>(
    error: *mut Buffer,
    place: *mut Buffer,
    name: &str,
    body: impl FnOnce(&mut Buffer) -> Result<S>,
) -> i32 {
    // SAFETY: the caller gave it for this purpose: NULL, or a buffer.
    guard_output(error, place, || body(unsafe { out(place, name) }?))
}

/// Makes a buffer hold nothing; its memory stays as it is, since inputs may lie in it. Invalid pointers are refused later.
fn empty(place: *mut Buffer) {
    if !place.is_null() && place.is_aligned() {
        // SAFETY: the caller gave it for this purpose.
        unsafe { (*place).length = 0 };
    }
}

/// [`guard_into`] for a buffer that may be NULL, which the body checks itself.
pub fn guard_output<S: Into<Status>>(error: *mut Buffer, place: *mut Buffer, body: impl FnOnce() -> Result<S>) -> i32 {
    empty(place);
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
                "caught a bug in plexindex{}; the handle is still usable; please report the bug, with the call that \
                 you made",
                place_of_panic()
            ),
        ))
    });
    match outcome {
        Ok(status) => {
            // A callback may have used the same buffer for its own calls.
            if !std::ptr::eq(error, place) {
                empty(error);
            }
            status.into() as i32
        }
        Err(error) => {
            // An inner NUL would hide the rest from C.
            let text = error.message.replace('\0', "\u{FFFD}");
            #[cfg(test)]
            tests::keep(&text);
            if error.status != Status::BufferTooSmall {
                empty(place);
            }
            error_text.tell(&text);
            error.status as i32
        }
    }
}

/// The caller's buffer for error texts. It is written before and after the call's own work, never during it, so that it
/// may also be the answer's buffer.
struct ErrorText(Option<(*mut Buffer, Buffer)>);

impl ErrorText {
    /// Checks the buffer and empties it.
    fn new(error: *mut Buffer) -> Result<Self> {
        if error.is_null() {
            return Ok(Self(None));
        }
        aligned(error, "error")?;
        // SAFETY: the caller gave it for this purpose: NULL, or a buffer.
        let given = unsafe { error.read() };
        if given.capacity > isize::MAX.unsigned_abs() {
            return refuse(format!("error.capacity is {}, larger than any memory", given.capacity));
        }
        if given.data.is_null() && given.capacity > 0 {
            return Err(null("error.data"));
        }
        let error_text = Self(Some((error, given)));
        error_text.tell("");
        Ok(error_text)
    }

    fn tell(&self, text: &str) {
        let Some((buffer, Buffer { data, capacity, .. })) = self.0 else {
            return;
        };
        // SAFETY: a buffer of the caller's, whose memory has so many bytes and is not used elsewhere now.
        unsafe {
            if capacity > 0 {
                write_cut(text, std::slice::from_raw_parts_mut(data.cast(), capacity));
            }
            (*buffer).length = text.len();
        }
    }
}

/// Runs the body of an exported function that returns a value; `fallback` after a panic.
#[inline]
pub fn guard_value<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(with_planted_panic(body))).unwrap_or(fallback)
}

/// Returns the body of an exported function. In tests it panics first, if the test planted a panic.
#[inline]
fn with_planted_panic<T>(body: impl FnOnce() -> T) -> impl FnOnce() -> T {
    #[cfg(test)]
    let body = tests::planted_in(body);
    body
}

fn place_of_panic() -> String {
    let place = PANICKED_AT.replace(NOWHERE);
    match std::str::from_utf8(&place.text[..place.length]) {
        Ok(text) if !text.is_empty() => format!(" at {text}"),
        _ => String::new(),
    }
}

/// Silences panics of this library: the error stream belongs to the host, and a message may contain secrets. Only for a
/// shared object, which has its own copy of the standard library.
pub fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // Captures nothing, so that unloading the library leaves no memory behind.
        std::panic::set_hook(Box::new(|info| {
            if let Some(at) = info.location() {
                let mut place = NOWHERE;
                let _ = std::fmt::Write::write_fmt(&mut place, format_args!("{}:{}", at.file(), at.line()));
                PANICKED_AT.set(place);
                log::error!("caught a bug in plexindex at {}:{}", at.file(), at.line());
            }
        }));
    });
}

/// Writes a text and a NUL, truncated to fit. A truncated text ends in `…` if that fits.
pub fn write_cut(text: &str, room: &mut [u8]) {
    const END: &str = "…";
    let Some(most) = room.len().checked_sub(1) else {
        return;
    };
    let (kept, end) = if text.len() <= most {
        (text.len(), "")
    } else {
        let end = if END.len() <= most { END } else { "" };
        let mut cut = most - end.len();
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        (cut, end)
    };
    let whole = kept + end.len();
    room[..kept].copy_from_slice(&text.as_bytes()[..kept]);
    room[kept..whole].copy_from_slice(end.as_bytes());
    room[whole] = 0;
}

/// Stores a key for the caller, as [`keep_text`].
#[inline]
pub fn keep_key([head, tail]: [&str; 2]) -> *const c_char {
    keep_text([head.as_bytes(), tail.as_bytes()])
}

/// Stores the joined pieces for the caller, NUL-terminated, until the thread's next call. NULL if they are too long or
/// the second contains a NUL.
#[inline]
pub fn keep_text([head, tail]: [&[u8]; 2]) -> *const c_char {
    LAST_KEY.with(|last| {
        // SAFETY: of this thread only, and no reference to it lives while plexindex runs.
        let last = unsafe { &mut *last.get() };
        let length = head.len() + tail.len();
        if length >= KEY || tail.contains(&0) {
            return std::ptr::null();
        }
        last[..head.len()].copy_from_slice(head);
        last[head.len()..length].copy_from_slice(tail);
        last[length] = 0;
        last.as_ptr().cast()
    })
}

#[cfg(test)]
#[path = "guard_tests.rs"]
pub mod tests;
