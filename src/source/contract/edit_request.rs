//! Edit requests, which make the same changes to many items.

use crate::model::ItemType;

/// A change to one field of every item in an edit request.
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
        /// The new value.
        value: String,
    },
    /// Adds a tag and keeps existing tags.
    Add {
        /// The field that contains the tag, such as `genre`.
        field: String,
        /// The tag.
        tag: String,
    },
    /// Removes a tag.
    Remove {
        /// The field that contains the tag.
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
    /// Creates a change that sets a field to a value.
    #[must_use]
    pub fn set(field: impl Into<String>, value: impl Into<String>) -> Self {
        let (field, value) = (field.into(), value.into());
        Self::Set { field, value }
    }

    /// Creates a change that adds a tag to a field, and keeps its other tags.
    #[must_use]
    pub fn add(field: impl Into<String>, tag: impl Into<String>) -> Self {
        let (field, tag) = (field.into(), tag.into());
        Self::Add { field, tag }
    }

    /// Creates a change that removes a tag from a field.
    #[must_use]
    pub fn remove(field: impl Into<String>, tag: impl Into<String>) -> Self {
        let (field, tag) = (field.into(), tag.into());
        Self::Remove { field, tag }
    }

    /// Creates a change of the field's lock only.
    #[must_use]
    pub fn keep(field: impl Into<String>) -> Self {
        Self::Keep { field: field.into() }
    }

    /// Returns the changed field's name.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Set { field, .. } | Self::Add { field, .. } | Self::Remove { field, .. } | Self::Keep { field } => {
                field
            }
        }
    }
}

/// Whether to lock the edited fields. When the server refreshes metadata, it does not overwrite a locked field.
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

/// A request that makes the same changes to many items.
#[derive(Clone, Copy, Debug)]
pub struct EditRequest<'a> {
    /// Section id of the library.
    pub section: &'a str,
    /// Item type, which all the items share.
    pub kind: ItemType,
    /// Rating keys of the items; never empty, because the server would then edit every item in the library.
    pub rating_keys: &'a [&'a str],
    /// The changes.
    pub changes: &'a [FieldChange],
    /// Whether to lock or unlock the changed fields.
    pub lock: Lock,
}
