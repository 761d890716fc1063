//! Compares two paths without a library, for hosts that have their own list of paths.

use super::form::{Form, lies_under};
use super::normal::Normal;

/// The relation of two paths in normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Whether both paths have the same components.
    pub equal: bool,
    /// Whether the first path lies under the second.
    pub under: bool,
    /// Number of equal components at the end.
    pub common: usize,
}

impl Relation {
    /// Compares `path` with `other`, a path in any spelling.
    #[must_use]
    pub fn of(path: &Normal<'_>, other: &[u8]) -> Self {
        Normal::with(other, |other| {
            let (path_form, other_form) = (Form::from_folded(path.form()), Form::from_folded(other.form()));
            let common = path_form.common_components(other_form);
            Self {
                equal: path_form.rev_components().count() == common && other_form.rev_components().count() == common,
                under: lies_under(path.form(), other.form()),
                common,
            }
        })
    }
}

#[cfg(test)]
#[path = "relation_tests.rs"]
mod tests;
