//! The history that a change sequence belongs to.

/// The history that a change sequence or a segment's name belongs to. A new incarnation begins when the database is
/// replaced, such as by a restored copy, or its log is lost. Change sequences of two incarnations must not be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incarnation {
    /// Counts the databases that this store opened.
    pub(super) opened: u64,
    /// Counts how often the log was lost.
    pub(super) losses: u64,
}
