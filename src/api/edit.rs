//! Edits that did not succeed.

use std::fmt;

use crate::edit::EditReport;
use crate::error::Error;

/// An edit that failed, and how far it came. `?` makes a plain [`Error`] of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EditError {
    /// What did not work.
    pub error: Error,
    /// What became of each item.
    pub report: EditReport,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for EditError {}

impl From<EditError> for Error {
    fn from(failed: EditError) -> Self {
        failed.error
    }
}
