//! Tables of hosts: values with an expiry time and a size limit. Names and values are byte strings. Lookups need the exact
//! name.
//!
//! The entries are rows in SQLite. A process that asks for a few asks SQLite. One that keeps asking has the entries that it
//! knows in memory ([`RecordMemory`](crate::engine::memtable::RecordMemory)), and follows commits of other processes. The
//! version page shows whether its snapshot is current. Long values are only in the database.

mod table;
mod tables;
mod write;

#[cfg(test)]
mod records_tests;

pub use table::{Op, Table};
pub use tables::{LONGEST_NAME, TableLimits, Tables};
