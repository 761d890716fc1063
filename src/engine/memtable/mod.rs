//! Memtables: changes that the segments do not contain yet. One thread appends; readers take no lock.

mod append_only;
mod chains;
mod changes;
mod table_memtable;

pub use chains::CAPACITY as MEMTABLE_CAPACITY;
#[cfg(test)]
pub use chains::MemtableFull;
pub use changes::{LibraryChange, Memtable, MemtableChange, MemtableEntry};
pub use table_memtable::{OwnedRecord, OwnedValue, TableMemtable};
