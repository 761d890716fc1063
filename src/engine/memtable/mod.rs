//! What a process keeps in memory of the database: a library's changes that its segment does not contain, and the records
//! of tables. One thread at a time writes; readers take no lock.

mod append_only;
mod chains;
mod changes;
mod record_memories;
mod record_memory;

#[cfg(test)]
pub use chains::MemtableFull;
pub use changes::{LibraryChange, Memtable, MemtableChange, MemtableEntry};
pub use record_memories::{RecordMemories, StoreMemories};
pub use record_memory::{Known, KnownRecord, LoadAfter, NewRecord, RecordMemory};
