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
mod tests {
    use super::*;

    fn relation(path: &str, other: &str) -> (bool, bool, usize) {
        let Relation {
            is_equal,
            is_under,
            common_components,
        } = NormalPath::with(path.as_bytes(), |path| Relation::of(path, other.as_bytes()));
        (is_equal, is_under, common_components)
    }

    #[test]
    fn paths_are_related_by_component_in_their_normal_form() {
        assert_eq!(relation("/data/A.mkv", "/DATA/a.mkv"), (true, false, 2));
        assert_eq!(relation("C:\\data\\a.mkv", "c:/data//a.mkv"), (true, false, 3));
        assert_eq!(relation("/data/a.mkv", "/mnt/data/a.mkv"), (false, false, 2));
        assert_eq!(relation("/data/film/a.mkv", "/data/film"), (false, true, 0));
        assert_eq!(relation("/data/film/a.mkv", "/data/fil"), (false, false, 0));
        assert_eq!(relation("/data", "/data"), (true, false, 1));
        assert_eq!(relation("/data/Cafe\u{301}.mkv", "/x/CAF\u{c9}.mkv"), (false, false, 1));
        assert_eq!(relation("", "/a"), (false, false, 0));
    }
}
