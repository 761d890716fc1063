//! A race that ThreadSanitizer has to find before its silence means anything: `make sanitize` runs it first.

use std::cell::UnsafeCell;

struct Shared(UnsafeCell<u64>);
unsafe impl Sync for Shared {}
static SHARED: Shared = Shared(UnsafeCell::new(0));

fn count() {
    for _ in 0..10_000 {
        unsafe { *SHARED.0.get() += 1 };
    }
}

fn main() {
    let other = std::thread::spawn(count);
    count();
    other.join().expect("no panic");
}
