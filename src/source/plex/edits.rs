//! Builds edits: one `PUT` request that sets the same values for many items.
//!
//! The URL equals byte for byte the URL that the `plexapi` client sends for the same edit: arguments are sorted by
//! name, all characters except letters, digits and `-._~` are encoded, and removed tags are encoded twice.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::super::contract::{EditRequest, FieldChange, Lock};
use super::url::{ENCODED, encode};

/// Characters to encode in each removed tag, before the whole list is encoded.
const ENCODED_IN_TAG: &AsciiSet = &ENCODED.remove(b'/');

/// Returns the path and query of the request for an edit, exactly as the `plexapi` client builds them.
pub(super) fn address(request: &EditRequest<'_>) -> String {
    let mut arguments = vec![
        ("id".to_owned(), request.rating_keys.join(",")),
        ("type".to_owned(), request.kind.number().to_string()),
    ];
    // A field may have several changes, such as added and removed tags, but has only one lock.
    let mut fields: Vec<&str> = Vec::new();
    for change in request.changes {
        if !fields.contains(&change.field()) {
            fields.push(change.field());
        }
    }
    for field in fields {
        match request.lock {
            Lock::Lock => arguments.push((format!("{field}.locked"), "1".to_owned())),
            Lock::Unlock => arguments.push((format!("{field}.locked"), "0".to_owned())),
            Lock::Leave => {}
        }
        let mut added = 0;
        let mut removed = String::new();
        for change in request.changes.iter().filter(|change| change.field() == field) {
            match change {
                FieldChange::Set { value, .. } => arguments.push((format!("{field}.value"), value.clone())),
                FieldChange::Add { tag, .. } => {
                    arguments.push((format!("{field}[{added}].tag.tag"), tag.clone()));
                    added += 1;
                }
                FieldChange::Remove { tag, .. } => {
                    // Commas separate the tags, so each tag is encoded now, and the list again below.
                    let comma = if removed.is_empty() { "" } else { "," };
                    let _ = write!(removed, "{comma}{}", utf8_percent_encode(tag, ENCODED_IN_TAG));
                }
                FieldChange::Keep { .. } => {}
            }
        }
        if !removed.is_empty() {
            arguments.push((format!("{field}[].tag.tag-"), removed));
        }
    }
    // Builds the URL in `plexapi`'s order.
    arguments.sort_by_key(|(name, _)| name.to_lowercase());
    let mut address = format!("/library/sections/{}/all", encode(request.section));
    for (index, (name, value)) in arguments.iter().enumerate() {
        let separator = if index == 0 { '?' } else { '&' };
        let _ = write!(address, "{separator}{}={}", encode(name), encode(value));
    }
    address
}

#[cfg(test)]
#[path = "edits_tests.rs"]
mod tests;
