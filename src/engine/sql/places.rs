//! The primary key of `changes`: the position of a change in the log.

use crate::model::Sequence;

/// Returns the position of a change: the low 36 bits of its change sequence, then its number within the transaction. The
/// upper bits are the same for all sequences of a store. 100 transactions a second take 21 years to use them up.
///
/// Positions are rowids that only grow, so each row is appended at the end of the table. `SQLite` then fills pages
/// completely. In an index with other keys it would rebalance three pages at every eighth row.
pub fn place_of(sequence: Sequence, number: i64) -> i64 {
    ((sequence.0 & 0xF_FFFF_FFFF) << 27).cast_signed() | number
}

/// The largest position of this change sequence. All later changes have larger positions.
pub fn end_of(sequence: Sequence) -> i64 {
    place_of(sequence, NUMBER)
}

/// Mask of the bits that hold the number within the transaction.
pub const NUMBER: i64 = 0x7FF_FFFF;
