//! A shared object that panics, linked as the library is.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

struct Counted<'c>(&'c Cell<i32>);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[inline(never)]
fn fail(dropped: &Cell<i32>, depth: u32) {
    let _counted = Counted(dropped);
    assert!(depth > 0, "planted");
    fail(dropped, depth - 1);
}

/// How many values were dropped by two panics that were caught, of which one went on from a catch.
#[unsafe(no_mangle)]
pub extern "C" fn planted() -> i32 {
    std::panic::set_hook(Box::new(|_| drop(std::backtrace::Backtrace::force_capture())));
    let dropped = Cell::new(0);
    let outer = catch_unwind(AssertUnwindSafe(|| {
        let _counted = Counted(&dropped);
        match catch_unwind(AssertUnwindSafe(|| fail(&dropped, 3))) {
            Ok(()) => {}
            Err(panic) => resume_unwind(panic),
        }
    }));
    assert!(outer.is_err());
    dropped.get()
}
