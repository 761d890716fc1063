//! Edit requests: many items, one set of changes.

use crate::model::ItemType;

/// One change to a field, the same for every item of the request.
///
/// ```
/// use plexindex::FieldChange;
///
/// let changes = [FieldChange::set("title", "Another"), FieldChange::add("genre", "Drama")];
/// assert_eq!(changes[1].field(), "genre");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldChange {
    /// Sets a field.
    Set {
        /// The field, such as `title`.
        field: String,
        /// Its new value.
        value: String,
    },
    /// Adds a tag and keeps the others.
    Add {
        /// The tag's field, such as `genre`.
        field: String,
        /// The tag.
        tag: String,
    },
    /// Removes a tag.
    Remove {
        /// The tag's field.
        field: String,
        /// The tag.
        tag: String,
    },
    /// Changes only the field's lock.
    Keep {
        /// The field.
        field: String,
    },
}

impl FieldChange {
    /// Creates a [`FieldChange::Set`].
    #[must_use]
    pub fn set(field: impl Into<String>, value: impl Into<String>) -> Self {
        let (field, value) = (field.into(), value.into());
        Self::Set { field, value }
    }

    /// Creates a [`FieldChange::Add`].
    #[must_use]
    pub fn add(field: impl Into<String>, tag: impl Into<String>) -> Self {
        let (field, tag) = (field.into(), tag.into());
        Self::Add { field, tag }
    }

    /// Creates a [`FieldChange::Remove`].
    #[must_use]
    pub fn remove(field: impl Into<String>, tag: impl Into<String>) -> Self {
        let (field, tag) = (field.into(), tag.into());
        Self::Remove { field, tag }
    }

    /// Creates a [`FieldChange::Keep`].
    #[must_use]
    pub fn keep(field: impl Into<String>) -> Self {
        Self::Keep { field: field.into() }
    }

    /// Returns the name of the field.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Set { field, .. } | Self::Add { field, .. } | Self::Remove { field, .. } | Self::Keep { field } => {
                field
            }
        }
    }
}

/// The locking of edited fields. The server does not overwrite a locked field when it refreshes its metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lock {
    /// Lock the fields.
    #[default]
    Lock,
    /// Unlock the fields.
    Unlock,
    /// Leave the locks unchanged.
    Leave,
}

enum_names! { Lock: Lock "lock", Unlock "unlock", Leave "leave" }

/// One request for many items.
#[derive(Clone, Copy, Debug)]
pub struct EditRequest<'a> {
    /// Section id of the library.
    pub section: &'a str,
    /// Type of all the items.
    pub kind: ItemType,
    /// Rating keys of the items. The list is never empty: without keys, the server would edit every item of the
    /// library.
    pub ids: &'a [&'a str],
    /// The changes.
    pub changes: &'a [FieldChange],
    /// What to do with the locks of these fields.
    pub lock: Lock,
}
