//! One program for all targets: `PLEXINDEX_FUZZ` names the one that runs. `make fuzz` runs it by cargo-fuzz.
#![no_main]
#![allow(unused_imports)] // the targets say `crate::` where the library's own tests do

use std::sync::OnceLock;

use plexindex::testing::{engine, matching};
use plexindex::{model, options};

#[path = "../targets/mod.rs"]
mod targets;

fn target() -> fn(&[u8]) {
    static TARGET: OnceLock<fn(&[u8])> = OnceLock::new();
    *TARGET.get_or_init(|| {
        let name = std::env::var("PLEXINDEX_FUZZ").unwrap_or_default();
        #[cfg(feature = "planted")]
        if name == "planted" {
            return planted;
        }
        targets::named(&name).unwrap_or_else(|| {
            let names: Vec<&str> = targets::TARGETS.iter().map(|target| target.name).collect();
            panic!("PLEXINDEX_FUZZ is {name:?}: name one of {}", names.join(", "))
        })
    })
}

/// Reads behind the end of a buffer when an input begins as an index file does. Coverage has to lead there.
#[cfg(feature = "planted")]
#[allow(unsafe_code)]
fn planted(data: &[u8]) {
    // A branch for each byte: how often one loop ran is counted in powers of two, and four bytes look like six.
    let is = |at: usize, byte: u8| std::hint::black_box(data.get(at)) == Some(&byte);
    if is(0, b'P') && is(1, b'L') && is(2, b'X') && is(3, b'W') && is(4, b'A') && is(5, b'R') {
        let copy = data.to_vec();
        // SAFETY: none. This is the defect.
        std::hint::black_box(unsafe { copy.as_ptr().add(copy.len()).read() });
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| target()(data));
