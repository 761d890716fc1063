//! Compares two paths without a library, for hosts that keep their own listing.

use super::form::{Form, lies_under};
use super::normal::Normal;

/// The relation of two paths in normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// They have the same components.
    pub equal: bool,
    /// The first path lies under the second.
    pub under: bool,
    /// Number of components shared at the end.
    pub common: usize,
}

impl Relation {
    /// Compares `path` with `other`.
    #[must_use]
    pub fn of(path: &Normal<'_>, other: &[u8]) -> Self {
        Normal::with(other, |other| {
            let (mine, its) = (Form::from_folded(path.form()), Form::from_folded(other.form()));
            let common = mine.common_components(its);
            Self {
                equal: mine.rev_components().count() == common && its.rev_components().count() == common,
                under: lies_under(path.form(), other.form()),
                common,
            }
        })
    }
}

#[cfg(test)]
#[path = "relation_tests.rs"]
mod tests;
