//! The guard that no exported function can be without: panics become statuses, errors keep their text.

use std::cell::{Cell, UnsafeCell};
use std::ffi::c_char;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::{Error, Result, Status};

/// Bytes of the thread's last error message, its NUL included.
const MESSAGE: usize = 2048;
/// Bytes of the thread's last key, its NUL included.
pub const KEY: usize = 1024;

// No destructors here, and `const` values: a thread-local with a destructor would keep a library that was loaded at run
// time in memory until its thread ends.
thread_local! {
    static LAST_MESSAGE: UnsafeCell<[u8; MESSAGE]> = const { UnsafeCell::new([0; MESSAGE]) };
    static LAST_KEY: UnsafeCell<[u8; KEY]> = const { UnsafeCell::new([0; KEY]) };
    static PANICKED_AT: Cell<Place> = const { Cell::new(NOWHERE) };
}

/// Where a panic came from, as `file:line`.
#[derive(Clone, Copy)]
struct Place {
    text: [u8; 96],
    length: usize,
}

impl std::fmt::Write for Place {
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

const NOWHERE: Place = Place {
    text: [0; 96],
    length: 0,
};

/// Runs the body of an exported function that gives a status.
pub fn guard<S: Into<Status>>(body: impl FnOnce() -> Result<S>) -> i32 {
    let outcome = caught(body).unwrap_or_else(|_| {
        Err(Error::new(
            Status::Panic,
            format!(
                "a defect in plexindex was caught{}; the handle stays usable; please report it with what you called",
                place_of_panic()
            ),
        ))
    });
    match outcome {
        Ok(status) => status.into() as i32,
        Err(error) => {
            keep_message(&error.message);
            error.status as i32
        }
    }
}

/// Runs the body of an exported function that gives something else; `fallback` after a panic.
#[inline]
pub fn guard_value<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    caught(body).unwrap_or(fallback)
}

/// What a body gives, or its panic. Tests plant one in it.
#[inline]
fn caught<T>(body: impl FnOnce() -> T) -> std::thread::Result<T> {
    #[cfg(test)]
    let body = tests::planted_in(body);
    catch_unwind(AssertUnwindSafe(body))
}

fn place_of_panic() -> String {
    let place = PANICKED_AT.replace(NOWHERE);
    match std::str::from_utf8(&place.text[..place.length]) {
        Ok(text) if !text.is_empty() => format!(" at {text}"),
        _ => String::new(),
    }
}

/// Keeps panics of this library quiet: the host's error stream is not ours, and a message may hold what must not be
/// shown. Only where this copy of the standard library is ours alone: in a shared object.
pub fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        // It captures nothing, so that the library leaves no memory behind when it is unloaded.
        std::panic::set_hook(Box::new(|info| {
            if let Some(at) = info.location() {
                let mut place = NOWHERE;
                let _ = std::fmt::Write::write_fmt(&mut place, format_args!("{}:{}", at.file(), at.line()));
                PANICKED_AT.set(place);
                log::error!("a defect in plexindex was caught at {}:{}", at.file(), at.line());
            }
        }));
    });
}

fn keep_message(text: &str) {
    const END: &str = "…";
    // An inner NUL would hide the rest from C.
    let text = text.replace('\0', "\u{FFFD}");
    LAST_MESSAGE.with(|last| {
        // SAFETY: of this thread only, and no reference to it lives while plexindex runs.
        let last = unsafe { &mut *last.get() };
        let room = MESSAGE - 1;
        let kept = if text.len() <= room {
            last[..text.len()].copy_from_slice(text.as_bytes());
            text.len()
        } else {
            let mut cut = room - END.len();
            while !text.is_char_boundary(cut) {
                cut -= 1;
            }
            last[..cut].copy_from_slice(&text.as_bytes()[..cut]);
            last[cut..cut + END.len()].copy_from_slice(END.as_bytes());
            cut + END.len()
        };
        last[kept] = 0;
    });
}

/// The thread's last message.
pub fn last_error_message() -> *const c_char {
    LAST_MESSAGE.with(|last| last.get().cast_const().cast())
}

/// Keeps a key for the caller, as [`keep_text`].
#[inline]
pub fn keep_key([head, tail]: [&str; 2]) -> *const c_char {
    keep_text([head.as_bytes(), tail.as_bytes()])
}

/// Keeps a text for the caller: the pieces joined, NUL-terminated. NULL when it is too long or the second piece holds a NUL.
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
