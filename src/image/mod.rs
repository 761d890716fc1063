//! What a hit reads: the immutable [`Image`] of a listing, the [`Overlay`] of what changed since, the [`LibraryView`] that
//! joins them for `matching`, and the [`CounterPage`] that tells whether all of that is still current.

mod chains;
mod counters;
mod file;
mod folders;
mod log;
mod matches;
mod memtable;
mod overlay;
mod page;
mod segments;
mod view;

pub use counters::State;
pub use file::{
    FirstRecord, Image, ImageBuilder, ImageMeta, Record, RecordCursor, RecordSegment, RecordSegmentBuilder, Stored,
    log_unusable, put_varint, record_hash, varint,
};
pub use matches::{Matches, match_of, match_value};
pub use memtable::{OwnedRecord, OwnedValue, RecordMemtable};
pub use overlay::{CAPACITY as OVERLAY_CAPACITY, Change};
pub use page::{CounterPage, HOLDS_MS};
pub use segments::{Lost, RecordSegments};
pub use view::{LibraryFacts, LibraryView};

#[cfg(test)]
mod tests;
