//! Edit requests: many items, one set of changes.

use crate::model::ItemType;

/// One change to a field, the same for every item of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldChange {
    /// A field gets this value: field, value.
    Set(String, String),
    /// A tag is added, the others stay: the tag's field such as `genre`, the tag.
    Add(String, String),
    /// A tag is removed: field, tag.
    Remove(String, String),
    /// Nothing but the field's lock changes.
    Keep(String),
}

impl FieldChange {
    /// The field concerned.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Set(field, _) | Self::Add(field, _) | Self::Remove(field, _) | Self::Keep(field) => field,
        }
    }
}

/// What becomes of the locks of the fields that are edited: a locked field is not overwritten when the server renews its
/// metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lock {
    /// They are locked.
    #[default]
    Lock,
    /// They are unlocked.
    Unlock,
    /// They stay as they are.
    Leave,
}

/// One request for many items.
#[derive(Clone, Copy, Debug)]
pub struct EditRequest<'a> {
    /// Section id of the library.
    pub section: &'a str,
    /// The type that all of the items are of.
    pub kind: ItemType,
    /// Their rating keys. Never empty: without any the server would edit every item of the library.
    pub ids: &'a [&'a str],
    /// The changes.
    pub changes: &'a [FieldChange],
    /// Whether the fields are locked.
    pub lock: Lock,
}
