//! Compares two paths without an index, for hosts that have their own list of paths.

use super::form::{Form, lies_under};
use super::normal::NormalPath;

/// The relation between two paths, compared in normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// Whether both paths have the same components.
    pub is_equal: bool,
    /// Whether the first path lies under the second path.
    pub is_under: bool,
    /// Number of trailing components that the paths have in common.
    pub common_components: usize,
}

impl Relation {
    /// Compares `path` with `other`, which need not be in normal form.
    #[must_use]
    pub fn of(path: &NormalPath<'_>, other: &[u8]) -> Self {
        NormalPath::with(other, |other| {
            let (path_form, other_form) = (Form::from_folded(path.form()), Form::from_folded(other.form()));
            let common_components = path_form.common_components(other_form);
            Self {
                is_equal: path_form.rev_components().count() == common_components
                    && other_form.rev_components().count() == common_components,
                is_under: lies_under(path.form(), other.form()),
                common_components,
            }
        })
    }
}

#[cfg(test)]
#[path = "relation_tests.rs"]
mod tests;
