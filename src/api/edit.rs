//! Edits of items.

use std::fmt;

use super::query::Query;
use crate::edit::{Edit, EditReport};
use crate::error::{Error, Result};
use crate::source::{FieldChange, Lock};

/// An edit that failed, and how far it came. `?` makes a plain [`Error`] of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EditError {
    /// The error.
    pub error: Error,
    /// The result for each item.
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

impl Query<'_> {
    /// Gives items of the library the same values on the server: one request for each hundred of a type. Items are named by
    /// key or rating key; those that the index does not know are asked for first, and when one does not exist nothing is
    /// sent. After a request that failed no other is sent.
    ///
    /// # Errors
    /// [`EditError`], which says what became of each item: with [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument) for an edit that makes no
    /// sense, above all one without items, [`ErrorKind::NotOnServer`](crate::ErrorKind::NotOnServer) when items do not exist, and
    /// as [`Query::refresh`].
    pub fn edit_items<K: AsRef<str>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        changes: &[FieldChange],
        lock: Lock,
    ) -> Result<EditReport, EditError> {
        let keys: Vec<K> = keys.into_iter().collect();
        let keys: Vec<&str> = keys.iter().map(AsRef::as_ref).collect();
        let edit = Edit {
            keys: &keys,
            changes,
            lock,
        };
        let mut report = EditReport::default();
        match self.edit_into(&edit, &mut report) {
            Ok(()) => Ok(report),
            Err(error) => Err(EditError { error, report }),
        }
    }

    /// The same; `report` says how far it came, also after an error.
    #[doc(hidden)]
    pub fn edit_into(&self, edit: &Edit<'_>, report: &mut EditReport) -> Result<()> {
        self.ask(|call| self.index.inner().editing.edit_items(call, edit, report))
    }
}
