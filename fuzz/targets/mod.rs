//! The targets: each takes any bytes, does with them what a server, a disk or a caller may do, and holds what comes back
//! against what was promised. `fuzz/` runs them guided by coverage, `tests/fuzz.rs` with the plain compiler.

#![allow(clippy::naive_bytecount)] // a crate for the sake of some bytes
#![allow(clippy::too_many_lines)] // one arm for each operation

#[allow(dead_code)] // what the library's own tests compare
#[path = "../../src/engine/view/tests/against.rs"]
mod against;
mod bodies;
mod events;
mod input;
mod logs;
#[allow(dead_code)]
#[path = "../../src/engine/view/tests/naive.rs"]
mod naive;
mod opening;
mod pages;
mod paths;
mod segments;

/// The name under which the library's own tests use the engine.
use crate::engine as parts;

/// A target.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// So many mutations `make test` tries: fewer where each writes to the disk.
    #[allow(dead_code)] // the fuzzer ends when it is told to
    pub tries: u32,
}

const fn target(name: &'static str, tries: u32, run: fn(&[u8])) -> Target {
    Target { name, run, tries }
}

pub const TARGETS: &[Target] = &[
    target("bodies", 4_000, bodies::run),
    target("events", 4_000, events::run),
    target("paths", 1_000, paths::run),
    target("segments", 2_000, segments::run),
    target("pages", 2_000, pages::run),
    target("opening", 2_000, opening::run),
    target("logs", 4_000, logs::run),
];

/// The target of this name.
#[allow(dead_code)] // the tests have a function for each
pub fn named(name: &str) -> Option<fn(&[u8])> {
    let target = TARGETS.iter().find(|target| target.name == name);
    target.map(|target| target.run)
}
