//! Records that hosts write: confirmed matches, and tables of values with an expiry time and a size limit. Names and
//! values are byte strings. Lookups need the exact name.
//!
//! The records are a log-structured merge tree over the store. A write appends rows to a log in SQLite. Memtables
//! contain the *unmerged* rows: the rows that no segment contains yet. [`Tables`] has its own memtable, and the
//! memtables of libraries contain confirmed matches. When there are many unmerged rows, a write flushes them into a
//! segment. Later writes merge segments of similar size. A lookup reads the memtable and the segments of a snapshot.
//! The version page shows whether the snapshot is current. Long values are only in the database.

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
