//! Records of hosts by exact name: confirmed matches, and tables of values with an expiry and a size limit. Names and
//! values are bytes.
//!
//! A log-structured merge tree over the store. A write appends rows to the log. Unmerged rows are in memtables:
//! [`Tables`] has its own, confirmed matches are in those of libraries. A write flushes them into a segment if they are
//! many; segments of like size are merged. A lookup reads the memtable and segments of a snapshot; the version page
//! shows whether it is current. Long values stay in the store.

mod compaction;
mod merge;
mod rebuild;
mod table;
mod table_snapshot;
mod tables;
mod tree;
mod write;

#[cfg(test)]
mod records_tests;

pub use table::{Op, Table};
pub use tables::{LONGEST_NAME, Tables, Terms};
pub use tree::Records;
