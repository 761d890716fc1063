//! The primary key of the tables `changes` and `records`: the position of a row in its log.

use crate::model::Sequence;

/// Number of low bits of a change sequence in a position. The upper bits are the same for all change sequences of a
/// store. At 100 transactions a second, 36 bits suffice for 21 years.
pub const SEQUENCE_BITS: u32 = 36;
/// Number of bits of a position for the number of a row within its transaction.
const NUMBER_BITS: u32 = 27;
/// Mask of the number of a row within its transaction.
pub const NUMBER: i64 = (1 << NUMBER_BITS) - 1;

/// Returns a position: the low bits of the change sequence, then the number within the transaction.
///
/// Positions are rowids that only grow, so `SQLite` appends each row and fills pages completely. With other keys it
/// would rebalance three pages at every eighth row.
pub fn place_of(sequence: Sequence, number: i64) -> i64 {
    let low_bits = sequence.0 & ((1 << SEQUENCE_BITS) - 1);
    (low_bits << NUMBER_BITS).cast_signed() | number
}

/// Returns the largest position of this change sequence.
pub fn end_of(sequence: Sequence) -> i64 {
    place_of(sequence, NUMBER)
}
