//! Which history a change sequence is of.

/// The history that a change sequence, and the name of a segment, belong to. Those of another incarnation say nothing: another
/// database has the name, such as a copy that was put back, or its log was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incarnation {
    /// Which of the databases that this store opened.
    pub(super) opened: u64,
    /// How often its log was lost.
    pub(super) losses: u64,
}
