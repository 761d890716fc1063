//! Segments: immutable files, written once and mapped by all processes. A segment holds the listing of one library, or
//! records of hosts ([`record_segment`]). A listing's segment has this layout:
//!
//! All numbers are little-endian. Offsets of entries are counted in units of four bytes, so a file may have 16 GiB.
//!
//! | part | what |
//! |---|---|
//! | head | 4 KiB: magic, versions, counts, offsets of the parts, and a checksum: [`layout`] |
//! | records | entries (a path, and after an item's first path the item), with shows between them: [`record`] |
//! | paths | hash table from normal forms, and from spellings that are not ASCII, to entries: [`hash_table`] |
//! | keys | hash table from rating keys to items: [`hash_table`] |
//! | names | all listed paths by the file name's hash, then by the components before it; with a directory: [`name_table`] |
//! | order | all paths in order, the places where shows begin among them, and folders by their end: [`order`] |
//! | sums | a checksum for each 4 KiB between the head and this part |
//!
//! Damage never leads to a wrong answer: head and table of checksums are verified at opening, every other block on its
//! first read ([`checked_bytes`]), and all offsets are checked against the file's bounds. A failed check marks the
//! segment as broken. A record segment is then rebuilt from the database, and a listing is fetched again.
//!
//! Beside a listing's segment lies the index of its items by GUID and title, once a question needed it: [`item_index`].

mod below;
mod builder;
mod checked_bytes;
mod differences;
mod external_ids;
mod fields;
mod filter;
#[cfg(test)]
mod for_tests;
mod hash_table;
mod item_index;
mod items_file;
mod layout;
mod matches;
mod name_table;
mod order;
mod parts;
mod read;
mod record;
mod record_builder;
mod record_segment;
mod record_segments;
mod segment_writer;
mod sorter;
mod spool;
mod suffix_groups;
mod whole_items;

pub use builder::{ListingBuilder, ListingMeta};
pub use differences::Difference;
pub use items_file::{FileEnd, append_page, read_pages};
pub use layout::{match_of, match_value};
pub use matches::{Matches, RecordPlace, SingleMatch};
pub use name_table::name_hash;
pub use read::ListingSegment;
pub use record_builder::RecordSegmentBuilder;
pub use record_segment::{FirstRecord, Record, RecordCursor, RecordSegment, Stored, record_hash};
pub use record_segments::{RecordSegments, SegmentsLost};
pub use whole_items::{cursor_of, folds_of, guids_of};

use std::path::Path;

use crate::error::Error;

/// Logs why the segment at `path` cannot be used. `what` names the kind of segment.
pub fn log_unusable(what: &str, path: &Path, error: &Error) {
    // A missing file may have been replaced since its name was read.
    let level = if path.exists() {
        log::Level::Warn
    } else {
        log::Level::Debug
    };
    log::log!(level, "cannot use {what}: {error}");
}
