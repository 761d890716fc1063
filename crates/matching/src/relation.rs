//! Compares two paths without an index, for hosts that have their own list of paths.

use serde::Serialize;

use super::form::{Form, lies_under};
use super::normal::NormalPath;

/// How `path` relates to another path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(rename = "PathRelation"))]
pub struct Relation {
    /// Whether both paths have the same components.
    #[serde(rename = "equal")]
    pub is_equal: bool,
    /// Whether `path` is below the other path.
    #[serde(rename = "under")]
    pub is_under: bool,
    /// Number of equal components at the end of the paths.
    #[serde(rename = "common")]
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
