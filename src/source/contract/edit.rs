//! Edit requests: many items, one set of changes.

use crate::model::ItemType;

/// One change to a field, the same for every item of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldChange {
    /// Sets a field: field, value.
    Set(String, String),
    /// Adds a tag and keeps the others: the tag's field such as `genre`, the tag.
    Add(String, String),
    /// Removes a tag: field, tag.
    Remove(String, String),
    /// Changes only the field's lock.
    Keep(String),
}

impl FieldChange {
    /// Name of the field.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Set(field, _) | Self::Add(field, _) | Self::Remove(field, _) | Self::Keep(field) => field,
        }
    }
}

/// The locking of edited fields: a locked field is not overwritten when the server refreshes its metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// Rating keys of the items. Never empty: without keys the server would edit every item of the library.
    pub ids: &'a [&'a str],
    /// The changes.
    pub changes: &'a [FieldChange],
    /// What to do with the locks of these fields.
    pub lock: Lock,
}
