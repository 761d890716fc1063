use super::*;
use std::ffi::CStr;

/// When a planted panic comes: before a body has done anything, or when it is done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Plant {
    Never,
    Before,
    After,
}

thread_local! {
    static PLANTED: Cell<Plant> = const { Cell::new(Plant::Never) };
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

fn message() -> String {
    // SAFETY: NUL-terminated, of this thread.
    unsafe { CStr::from_ptr(last_error_message()) }
        .to_string_lossy()
        .into_owned()
}

#[test]
fn a_panic_becomes_a_status_with_a_text() {
    assert_eq!(guard::<()>(|| panic!("never seen outside")), Status::Panic as i32);
    assert!(message().contains("defect"));
    assert!(!message().contains("never seen"));
    assert_eq!(guard_value(7, || panic!("never seen outside")), 7);
    assert_eq!(guard(|| Ok(Status::Ambiguous)), Status::Ambiguous as i32);
}

#[test]
fn a_long_message_says_that_it_was_cut() {
    guard::<()>(|| Err(Error::new(Status::Store, "é".repeat(3000))));
    assert!(message().ends_with("é…"));
    assert!(message().len() < MESSAGE);
}

#[test]
fn a_key_that_does_not_fit_is_no_key() {
    assert!(keep_key(["/library/metadata/", &"9".repeat(KEY)]).is_null());
    assert!(keep_key(["/library/metadata/", "5\x005"]).is_null());
    let key = keep_key(["/library/metadata/", "55"]);
    // SAFETY: NUL-terminated, of this thread.
    assert_eq!(unsafe { CStr::from_ptr(key) }, c"/library/metadata/55");
}
