//! Memtables: changes since the segments were made. One thread appends, any number read without a lock.

mod chains;
mod changes;
mod log;
mod records;

pub use chains::CAPACITY as MEMTABLE_CAPACITY;
#[cfg(test)]
pub use chains::MemtableFull;
pub use changes::{Memtable, MemtableChange, MemtableEntry};
pub use records::{OwnedRecord, OwnedValue, TableMemtable};
