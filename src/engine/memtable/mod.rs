//! Changes since the segments were made, in memory: appended by one thread, read by all without a lock.

mod chains;
mod log;
mod overlay;
mod records;

#[cfg(test)]
pub use chains::Full;
pub use overlay::{CAPACITY as OVERLAY_CAPACITY, Change, Overlay, Record as ChangeRecord};
pub use records::{OwnedRecord, OwnedValue, RecordMemtable};
