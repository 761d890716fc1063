//! The history that a change sequence belongs to.

/// The history that a change sequence or a segment's name belongs to. Change sequences of two incarnations must not be
/// compared: the database was replaced, such as by a restored copy, or its log was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incarnation {
    /// Counts the databases that this store opened.
    pub(super) opened: u64,
    /// Counts how often the log was lost.
    pub(super) losses: u64,
}
