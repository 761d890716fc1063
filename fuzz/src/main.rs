//! One program for all targets: `PLEXINDEX_FUZZ` names the one that runs. `scripts/run_fuzz.py` builds and runs it.
#![no_main]
#![allow(unused_imports)] // the targets say `crate::` where the library's own tests do

use std::sync::OnceLock;

use plexindex::fuzzing::{image, matching};
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

/// Reads behind the end of a buffer when a table's image begins as no image does. Coverage has to lead there.
#[cfg(feature = "planted")]
#[allow(unsafe_code)]
fn planted(data: &[u8]) {
    let head = data.iter().zip(b"PLXWARM\0").take_while(|(a, b)| a == b).count();
    if head >= 6 {
        let copy = data.to_vec();
        // SAFETY: none. This is the defect.
        std::hint::black_box(unsafe { copy.as_ptr().add(copy.len()).read() });
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| target()(data));
