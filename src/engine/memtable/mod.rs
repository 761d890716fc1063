//! Memtables: changes since the segments were made. One thread appends, any number read without a lock.

mod chains;
mod changes;
mod log;
mod records;

#[cfg(test)]
pub use chains::MemtableFull;
pub use changes::{CAPACITY as MEMTABLE_CAPACITY, Memtable, MemtableChange, MemtableEntry};
pub use records::{OwnedRecord, OwnedValue, TableMemtable};
