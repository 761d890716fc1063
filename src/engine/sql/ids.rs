//! Converts segment names to and from text.

use super::store_folder::NAME;
use crate::model::{Generation, LibraryId, ListingName, SegmentName, Sequence};

/// Encodes the name of a listing's segment for the database. The names of the segment's files start with this text.
pub fn listing_text(name: &ListingName) -> String {
    let ListingName {
        library,
        generation,
        sequence,
        number,
    } = name;
    format!("{NAME}-l{library}-{generation}-{sequence}-{number:x}")
}

/// Parses the name of a listing's segment from the database; `None` if the text is empty or invalid.
pub fn listing_name(text: &str) -> Option<ListingName> {
    let mut parts = text.strip_prefix(NAME)?.strip_prefix("-l")?.split('-');
    let name = ListingName {
        library: LibraryId(parts.next()?.parse().ok()?),
        generation: Generation(parts.next()?.parse().ok()?),
        sequence: Sequence(parts.next()?.parse().ok()?),
        number: u32::from_str_radix(parts.next()?, 16).ok()?,
    };
    // Reject other texts for the same numbers, such as leading zeros, and further parts.
    (listing_text(&name) == text).then_some(name)
}

/// Encodes the name of a record segment for the database. The name of the segment's file starts with this text.
pub fn segment_text(name: &SegmentName) -> String {
    let SegmentName { sequence, number } = name;
    format!("{NAME}-r{sequence}-{number:x}")
}

/// Parses the name of a record segment from the database; `None` if the text is invalid.
pub fn segment_name(text: &str) -> Option<SegmentName> {
    let mut parts = text.strip_prefix(NAME)?.strip_prefix("-r")?.split('-');
    let name = SegmentName {
        sequence: Sequence(parts.next()?.parse().ok()?),
        number: u32::from_str_radix(parts.next()?, 16).ok()?,
    };
    // Reject other texts for the same numbers, such as leading zeros, and further parts.
    (segment_text(&name) == text).then_some(name)
}

#[cfg(test)]
#[path = "ids_tests.rs"]
mod tests;
