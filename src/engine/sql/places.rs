//! The primary key of `changes`: the position of a change in the log.

use crate::model::Sequence;

/// The position of a change: the low half of its change sequence (those of a store begin at a multiple of 2^32), then
/// its number within the transaction.
///
/// So a row is added at the end of a tree whose keys are whole numbers. There `SQLite` leaves the pages before it as they are
/// when a page is full; in a tree of other keys it shares the rows of three pages out anew, every eighth time.
pub fn place_of(sequence: Sequence, number: i64) -> i64 {
    ((sequence.0 & 0xFFFF_FFFF) << 31).cast_signed() | number
}

/// The largest position of this change sequence. All later changes have larger positions.
pub fn end_of(sequence: Sequence) -> i64 {
    place_of(sequence, NUMBER)
}

/// Mask of the bits that hold the number within the transaction.
pub const NUMBER: i64 = 0x7FFF_FFFF;
