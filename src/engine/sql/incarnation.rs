//! The history that a change sequence belongs to.

/// The history that a change sequence or a segment's name belongs to: it counts the databases that this store opened. A
/// new one begins when the database is replaced, such as by a restored copy. Change sequences of two incarnations must not
/// be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Incarnation(pub(super) u64);
