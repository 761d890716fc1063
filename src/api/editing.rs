//! Batch edits of items.

use std::fmt;

use super::query_builder::Query;
use crate::edit::{Edit, EditReport, Scan};
use crate::error::{Error, Result};
use crate::source::{FieldChange, Lock};

/// The error of a batch edit, with the result for each item. The operator `?` converts this error to a plain [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EditError {
    /// The error.
    pub error: Error,
    /// The result for each item.
    pub report: EditReport,
}

impl fmt::Display for EditError {
    /// Formats the error, without the result for each item.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for EditError {
    /// Returns the inner error's cause, since `Display` already shows the inner error.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.error)
    }
}

impl From<EditError> for Error {
    /// Discards the result for each item.
    fn from(failed: EditError) -> Self {
        failed.error
    }
}

impl Query<'_> {
    /// Sets the same values for many items of the library on the server, with one request per 100 items of a type.
    /// `keys` are the items' keys or rating keys. If the index does not list some items, a first request asks for their
    /// types. If an item does not exist, plexindex edits nothing. The first failed request ends the call.
    ///
    /// ```no_run
    /// # let folder = tempfile::tempdir()?;
    /// # let index = plexindex::Index::open(plexindex::Options {
    /// #     server_url: Some("http://127.0.0.1:32400".to_owned()),
    /// #     token: plexindex::Token::new("YOUR-TOKEN"),
    /// #     ..plexindex::Options::new(folder.path())
    /// # })?;
    /// # let key = "1002";
    /// use plexindex::{Edited, FieldChange, Lock};
    ///
    /// let movies = index.library("Movies")?;
    /// let changes = [FieldChange::set("title", "Another"), FieldChange::add("genre", "Drama")];
    /// match movies.query().edit_items([&key], &changes, Lock::Lock) {
    ///     Ok(report) => assert_eq!(report.states, [Edited::Done]),
    ///     Err(failed) => println!("{failed}: {:?}", failed.report.states), // what became of each item
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`EditError`], with the result for each item: [`ErrorKind::InvalidArgument`](crate::ErrorKind::InvalidArgument)
    /// for an invalid edit, such as an edit without items; [`ErrorKind::NotOnServer`](crate::ErrorKind::NotOnServer) if
    /// items do not exist; errors of [`Query::refresh`].
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

    /// Tells the server to scan the folder of each path, for the C functions.
    #[doc(hidden)]
    pub fn scan(&self, paths: &[&[u8]]) -> Result<Vec<Scan>> {
        for path in paths {
            self.index.inner().queries.display.check_path(path)?;
        }
        self.ask(|call| self.index.inner().editing.scan(call, paths))
    }

    /// Edits items on the server, and sets `report` to the result for each item, even after an error. The C functions
    /// return both the report and the error.
    #[doc(hidden)]
    pub fn edit_into(&self, edit: &Edit<'_>, report: &mut EditReport) -> Result<()> {
        self.ask(|call| self.index.inner().editing.edit_items(call, edit, report))
    }
}
