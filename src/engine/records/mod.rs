//! What hosts record by exact name: confirmed matches, and tables of values, each with an expiry, all within a limit. Names
//! and values are bytes, and equal themselves only; no server is asked about tables, and no listing knows of them.
//!
//! It is a log-structured merge tree over the store. A write is a record at the end of the log. Records that no segment has
//! are in memory, in a memtable: [`Tables`] has one of its own, and confirmed matches are in the memtables of libraries. When
//! they are many, the write that adds one more makes a segment of them, and segments of like size are merged. A lookup reads
//! a snapshot, memtable and segments; the version page tells for some loads whether that is current. Long values stay in the
//! store.

mod compaction;
mod merge;
mod rebuild;
mod segments;
mod snapshot;
mod table;
mod tables;
mod write;

#[cfg(test)]
mod records_tests;

pub use segments::{OpenSegments, Records};
pub use table::{Op, Table};
pub use tables::{LONGEST_NAME, Tables, Terms};
