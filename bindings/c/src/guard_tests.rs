#![cfg_attr(windows, allow(dead_code, unused_imports))]

use super::*;
use crate::for_tests::{buffer, hostile, is_true_in_child};
use crate::strings::set_needed_size;
use plexindex::options;
use std::cell::RefCell;
use std::ffi::CStr;
use std::ptr::null_mut;
use std::time::Duration;

/// When a planted panic happens: before the body, or after it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Plant {
    Never,
    Before,
    After,
}

thread_local! {
    static PLANTED: Cell<Plant> = const { Cell::new(Plant::Never) };
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the text of an error for [`message`].
pub(super) fn keep(text: &str) {
    SAID.replace(text.to_owned());
}

/// Plants a panic in the bodies that this thread's guards run during the call.
pub fn with_planted<T>(plant: Plant, call: impl FnOnce() -> T) -> T {
    PLANTED.set(plant);
    let given = call();
    PLANTED.set(Plant::Never);
    given
}

pub(super) fn planted_in<T>(body: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let reached = |plant| assert_ne!(PLANTED.get(), plant, "a planted panic");
    move || {
        reached(Plant::Before);
        let done = body();
        reached(Plant::After);
        done
    }
}

/// The text of the thread's last error, whether the call took a buffer for it or not.
pub fn message() -> String {
    SAID.with_borrow(String::clone)
}

#[test]
fn a_panic_becomes_a_status_with_a_text() {
    assert_eq!(
        guard::<()>(null_mut(), || panic!("never seen outside")),
        Status::Panic as i32
    );
    assert!(message().contains("bug"));
    assert!(!message().contains("never seen"));
    assert_eq!(guard_value(7, || panic!("never seen outside")), 7);
    assert_eq!(guard(null_mut(), || Ok(Status::Ambiguous)), Status::Ambiguous as i32);
}

#[test]
fn a_key_that_is_too_long_or_empty_gives_null() {
    assert!(store_thread_key(["/library/metadata/", ""]).is_null());
    assert!(store_thread_key(["/library/metadata/", &"9".repeat(MAX_LOOKUP_RESULT)]).is_null());
    assert!(store_thread_key(["/library/metadata/", "5\x005"]).is_null());
    let key = store_thread_key(["/library/metadata/", "55"]);
    // SAFETY: NUL-terminated, of this thread.
    assert_eq!(unsafe { CStr::from_ptr(key) }, c"/library/metadata/55");
}

/// Fails with this text. Returns the content of an error buffer of this size, and the length that it reports.
fn error_text_of(text: &str, room: usize) -> (String, usize) {
    let mut memory = vec![b'x'; room + 1];
    let mut given = buffer(memory.as_mut_ptr(), room);
    guard::<()>(&raw mut given, || Err(Error::new(Status::Store, text)));
    assert_eq!(memory[room], b'x', "beyond its end");
    let end = memory.iter().position(|byte| *byte == 0).unwrap_or(0);
    (String::from_utf8(memory[..end].to_vec()).unwrap(), given.length)
}

#[test]
fn an_error_text_is_written_to_the_callers_buffer() {
    assert_eq!(error_text_of("no disk", 64), ("no disk".into(), 7));
    assert_eq!(message(), "no disk");
    let long = "é".repeat(3000);
    assert_eq!(error_text_of(&long, 6001), (long.clone(), 6000));
}

#[test]
fn a_truncated_text_reports_its_full_length() {
    let text = "ééé";
    for (room, kept) in [
        (7, "ééé"),
        (6, "é…"),
        (5, "…"),
        (4, "…"),
        (3, "é"),
        (2, ""),
        (1, ""),
        (0, ""),
    ] {
        assert_eq!(error_text_of(text, room), (kept.to_owned(), text.len()), "{room}");
        assert_eq!(message(), text);
    }
    assert_eq!(error_text_of("a\0b", 16), ("a\u{FFFD}b".into(), 5));
}

#[test]
fn a_call_without_an_error_empties_the_buffer() {
    let mut memory = *b"before";
    let mut given = Buffer {
        length: 77,
        ..buffer(memory.as_mut_ptr(), memory.len())
    };
    assert_eq!(guard(&raw mut given, || Ok(Status::NotFound)), Status::NotFound as i32);
    assert_eq!((given.length, memory[0]), (0, 0));
}

#[test]
fn a_buffer_for_answer_and_error_tells_the_size_that_the_answer_needs() {
    let mut memory = [0_u64; 8];
    let mut both = buffer(memory.as_mut_ptr(), 64);
    let place = &raw mut both;
    let status = guard_into(place, place, "both", |answer| set_needed_size(answer, 99_999));
    assert_eq!((status, both.length), (Status::BufferTooSmall as i32, 100_000));
    assert!(memory[0].to_ne_bytes().starts_with(b"the buff"));
    assert_eq!(
        guard::<()>(place, || Err(Error::new(Status::Store, "no disk"))),
        Status::Store as i32
    );
    assert_eq!(both.length, 7);
}

/// With an invalid error buffer, the function's body does not run.
#[test]
fn an_invalid_buffer_is_refused() {
    let mut memory = [0_u64; 8];
    let odd = std::ptr::without_provenance_mut(memory.as_mut_ptr().addr() + 1);
    let refused = |error: *mut Buffer| guard::<()>(error, || unreachable!("its work"));
    assert_eq!(refused(odd), Status::InvalidArgument as i32);
    assert!(message().contains("error is not aligned"), "{}", message());
    let mut given = buffer::<u8>(null_mut(), 1);
    assert_eq!(refused(&raw mut given), Status::NullPointer as i32);
    assert!(message().contains("error.data"), "{}", message());
    given.capacity = usize::MAX;
    assert_eq!(refused(&raw mut given), Status::InvalidArgument as i32);
    // Without room, the length is still reported.
    given.capacity = 0;
    assert_eq!(
        guard::<()>(&raw mut given, || Err(Error::new(Status::Store, "no disk"))),
        Status::Store as i32
    );
    assert_eq!(given.length, 7);
}

#[test]
fn the_name_of_an_invalid_option_follows_the_message() {
    let mut memory = [b'?'; 32];
    let mut write = |capacity: usize, argument: Option<&'static str>| {
        let mut buffer = buffer(memory.as_mut_ptr(), capacity);
        guard::<()>(&raw mut buffer, || {
            let error = Error::new(Status::InvalidArgument, "no");
            Err(argument.map_or_else(|| error.clone(), |name| error.clone().with_argument(name)))
        });
        (buffer.length, memory)
    };
    let (length, memory) = write(32, Some("token"));
    assert_eq!((length, &memory[..9]), (2, &b"no\0token\0"[..]));
    let (_, memory) = write(32, None);
    assert_eq!(&memory[..4], b"no\0\0");
    let (_, memory) = write(8, Some("token"));
    assert_eq!(&memory[..4], b"no\0\0", "there is no room for the name");
}

/// Opens an index without silencing panics, which would hide messages of other tests.
fn opened_in(folder: &std::path::Path) -> Opened {
    let options = options::Options {
        cache_dir: folder.to_owned(),
        ..options::Options::default()
    };
    Opened::wrap(Index::open(options).expect("opens"))
}

#[test]
fn handles_for_unknown_libraries_are_limited() {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = Opened::wrap(hostile(folder.path()));
    let ask = |number: usize| opened.library(&Selector::Any(format!("Name {number}")));
    for number in 0..MAX_UNKNOWN {
        ask(number).expect("a handle");
    }
    let error = ask(MAX_UNKNOWN).expect_err("one too many");
    assert_eq!(error.status, Status::InvalidArgument);
    assert!(error.message.contains("Name 1024"), "{error}");
    // Existing handles stay valid, and known libraries always get one.
    assert_eq!(ask(0).expect("the same"), ask(0).expect("the same"));
    let movies = opened.index().library("Movies").expect("a handle");
    movies.match_path("/a").expect("listed");
    opened.library(&Selector::Any("Movies".to_owned())).expect("a handle");
    opened.library(&Selector::All).expect("a handle");
    opened.close().expect("closes");
}

#[cfg(unix)]
#[test]
fn a_child_gets_handles_though_a_thread_got_its_first_at_the_fork() {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = opened_in(folder.path());
    let (say, said) = std::sync::mpsc::channel();
    let libraries = Arc::clone(&opened.libraries);
    let busy = std::thread::spawn(move || {
        let _known = libraries.values.lock();
        say.send(()).expect("heard");
        std::thread::sleep(Duration::from_millis(100));
    });
    said.recv().expect("it is held");
    assert!(is_true_in_child(|| opened.library(&Selector::All).is_ok()));
    busy.join().expect("no panic");
    opened.close().expect("closes");
}
