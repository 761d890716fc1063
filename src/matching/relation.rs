//! How one path relates to another, when no library is asked: for hosts that have a listing of their own.

use super::form::{Form, lies_under};
use super::normal::Normal;

/// The relation of two paths in normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation {
    /// They have the same components.
    pub equal: bool,
    /// The first lies under the second.
    pub under: bool,
    /// So many components agree, from the end.
    pub common: usize,
}

impl Relation {
    /// That of `path` to `other`.
    #[must_use]
    pub fn of(path: &Normal<'_>, other: &[u8]) -> Self {
        Normal::with(other, |other| {
            let (mine, its) = (Form::done(path.form()), Form::done(other.form()));
            let common = mine.common(its);
            Self {
                equal: mine.back().count() == common && its.back().count() == common,
                under: lies_under(path.form(), other.form()),
                common,
            }
        })
    }
}

#[cfg(test)]
#[path = "relation_tests.rs"]
mod tests;
