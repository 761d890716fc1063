//! What a host keeps itself: tables of values by name, each with an expiry, all within a limit. Names and values are bytes,
//! and equal themselves only; no server is asked about them, and no listing knows of them.
//!
//! It is a log-structured merge tree over the store. A write is a record at the end of the log. Records that no segment has
//! are in memory, in a memtable; when they are many, the write that adds one more makes a segment of them, and segments of
//! like size are merged. A lookup reads a snapshot, memtable and segments; the version page tells for some loads whether that
//! is current. Long values stay in the store.

mod catch_up;
mod compaction;
mod merge;
mod rebuild;
mod snapshot;
mod table;
mod write;

pub use catch_up::{LONGEST_NAME, Tables, Terms};
pub use table::{Op, Table};
