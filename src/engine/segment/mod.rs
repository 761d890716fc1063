//! The immutable index of one library's listing, or of its confirmed matches: one file, made once, mapped by all.
//!
//! All numbers are little-endian. Offsets of entries are counted in units of four bytes, so a file may have 16 GiB.
//!
//! | part | what |
//! |---|---|
//! | head | 4 KiB: magic, versions, counts, where the parts are, all under a check sum: [`layout`] |
//! | records | entries (a path, and behind an item's first path the item itself), shows between them: [`record`] |
//! | paths | hash table over the normal forms' hashes, and the spellings' where they are not ASCII, to entries: [`table`] |
//! | keys | hash table over the rating keys' hashes, to items: [`table`] |
//! | names | all listed paths by file name's hash, then by the components before it; and a directory to it: [`names`] |
//! | order | all paths in order, where shows begin among them, and folders by their end: [`order`] |
//! | sums | a check sum for each 4 KiB of what lies between head and here |
//!
//! Damage never makes a wrong answer: the head and the table of check sums are verified at opening, every other block when
//! it is touched first ([`bytes`]), and all offsets are checked against the file's bounds whatever the sums say. A check
//! that fails marks the segment broken; the caller makes it anew from the database.

mod alike;
mod below;
mod body;
mod builder;
mod bytes;
mod fields;
mod filter;
#[cfg(test)]
mod for_tests;
mod layout;
mod matches;
mod names;
mod order;
mod parts;
mod read;
mod record;
mod records;
mod segments;
mod sorter;
mod spool;
mod table;

pub use builder::{ListingBuilder, ListingMeta};
pub use layout::{put_varint, varint};
pub use matches::{Matches, RecordPlace, SingleMatch, match_of, match_value};
pub use names::name_hash;
pub use read::ListingSegment;
pub use records::{FirstRecord, Record, RecordCursor, RecordSegment, RecordSegmentBuilder, Stored, record_hash};
pub use segments::{RecordSegments, SegmentsLost};

use std::path::Path;

use crate::error::Error;

/// Says why the segment at `path` is made anew: `what` names it.
pub fn log_unusable(what: &str, path: &Path, error: &Error) {
    // One that is gone may have been replaced since its name was read.
    let level = if path.exists() {
        log::Level::Warn
    } else {
        log::Level::Debug
    };
    log::log!(level, "{what} cannot be used and is made anew: {error}");
}
