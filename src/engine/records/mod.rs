//! Records that hosts make: confirmed matches, and tables of values with an expiry and a size limit. Names and values
//! are bytes, and lookups are by exact name.
//!
//! The records are a log-structured merge tree over the store. A write appends rows to a log in `SQLite`. Memtables
//! have the rows that no segment has yet: [`Tables`] has its own memtable, and confirmed matches are in the memtables
//! of libraries. When there are many such rows, a write flushes them into a segment. Later writes merge segments of
//! similar size. A lookup reads the memtable and the segments of a snapshot; the version page shows whether the
//! snapshot is current. Long values are only in the store.

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
pub use tables::{LONGEST_NAME, TableLimits, Tables};
pub use tree::Records;
