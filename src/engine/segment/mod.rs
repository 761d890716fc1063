//! Segments: immutable files, written once and mapped by all processes. A segment contains the listing of one library.
//!
//! A listing's segment has the following layout. All numbers are little-endian. An entry's number is its offset divided
//! by four, so that 32 bits address up to 16 GiB.
//!
//! | part | content |
//! |---|---|
//! | header | 4 KiB: magic number, versions, counts, offsets of the parts, and a checksum: [`layout`] |
//! | records | entries (a path and, after an item's first path, the item), with shows between them: [`record`] |
//! | paths | hash table from normal forms, and from the bytes of paths that are not ASCII, to entries: [`read`] |
//! | keys | hash table from rating keys to items: [`read`] |
//! | names | hash table from the names of files and folders, and from shows' keys, to entries: [`read`] |
//! | order | the numbers of the entries of listed and then of mapped paths, both sorted by normal form: [`read`] |
//! | sums | a checksum for each 4 KiB between the header and this part |
//!
//! In this order, the paths below a folder are one range. The first listed path in each folder is also in the table of
//! names, by the folder's name.
//!
//! Damage never leads to a wrong answer: plexindex verifies the header and the checksum table when it opens a segment,
//! and every other block when it first reads the block ([`record`]). plexindex checks all offsets against the
//! file's bounds. A failed check marks the segment as broken. plexindex then fetches a broken listing again.
//!
//! The first query by GUID or title, and the first that a size can decide, create an index in a file beside the segment:
//! [`read`].

mod builder;
#[cfg(test)]
mod for_tests;
mod layout;
mod read;
mod record;
mod whole_items;

pub use builder::{ListingBuilder, ListingMeta};
pub use layout::{folder_hash, reserve, u32_at, u64_at, write_error};
pub use read::{INDEX_SUFFIX, ListingSegment, extension_of};
pub use whole_items::{Difference, folded_titles_of, listing_cursor};

use std::path::Path;

use crate::error::Error;

/// Logs the error for the unusable segment at `path`.
pub fn log_unusable(path: &Path, error: &Error) {
    // If the file is missing, another process may have replaced the segment after this process read its name.
    let level = if path.exists() {
        log::Level::Warn
    } else {
        log::Level::Debug
    };
    log::log!(level, "{error}");
}
