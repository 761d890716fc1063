//! Changes since the segments were made, in memory: appended by one thread, read by all without a lock.

mod chains;
mod changes;
mod log;
mod records;

#[cfg(test)]
pub use chains::MemtableFull;
pub use changes::{CAPACITY as MEMTABLE_CAPACITY, Memtable, MemtableChange, MemtableEntry};
pub use records::{OwnedRecord, OwnedValue, TableMemtable};
