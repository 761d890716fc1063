//! Where a change stands in the log: what the rows of `changes` are numbered by.

use crate::model::Sequence;

/// Where in `changes` a change stands: by the low half of its sequence, as those of a store begin at a multiple of 2^32, and by
/// its number within the transaction.
///
/// So a row is added at the end of a tree whose keys are whole numbers. There `SQLite` leaves the pages before it as they are
/// when a page is full; in a tree of other keys it shares the rows of three pages out anew, every eighth time.
pub fn place_of(sequence: Sequence, number: i64) -> i64 {
    ((sequence.0 & 0xFFFF_FFFF) << 31).cast_signed() | number
}

/// The last place that a change of this sequence may have: what is told later stands behind it.
pub fn end_of(sequence: Sequence) -> i64 {
    place_of(sequence, NUMBER)
}

/// The bits of a place that are the number within the transaction.
pub const NUMBER: i64 = 0x7FFF_FFFF;
