//! The primary key of the tables `changes`, `feed` and `records`: the position of a row in its log.

use crate::model::Sequence;

/// Number of bits in a position that contain the low bits of the change sequence. All change sequences in a store have
/// the same upper bits. At 100 transactions per second, 36 bits are enough for 21 years.
pub const SEQUENCE_BITS: u32 = 36;
/// Number of bits in a position that contain the row's number within its transaction.
const NUMBER_BITS: u32 = 27;
/// Mask for the row's number within its transaction.
pub const NUMBER_MASK: i64 = (1 << NUMBER_BITS) - 1;

/// Returns a row's position: the low bits of the change sequence, followed by the row's number within the transaction.
///
/// Positions are rowids that only grow, so SQLite appends each row and fills pages completely. With other keys,
/// SQLite would rebalance three pages for every eighth row.
pub fn position_of(sequence: Sequence, number: i64) -> i64 {
    let low_bits = sequence.0 & ((1 << SEQUENCE_BITS) - 1);
    (low_bits << NUMBER_BITS).cast_signed() | number
}

/// Returns the largest possible position for a change sequence. Rows of later transactions have larger positions.
pub fn last_position_of(sequence: Sequence) -> i64 {
    position_of(sequence, NUMBER_MASK) // all bits of the number are set
}
