//! Edits: one `PUT` that gives many items the same values.
//!
//! The address is byte for byte what the `plexapi` client sends for the same edit: arguments sorted by name, everything
//! but letters, digits and `-._~` encoded, tags that are removed encoded twice.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, utf8_percent_encode};

use super::super::edit::{EditRequest, FieldChange, Lock};
use super::url::{ENCODED, encode};

/// What is encoded of a tag in a list of those to remove, before the list is.
const TAG: &AsciiSet = &ENCODED.remove(b'/');

/// Path and query of an edit.
pub(super) fn address(request: &EditRequest<'_>) -> String {
    let mut arguments = vec![
        ("id".to_owned(), request.ids.join(",")),
        ("type".to_owned(), request.kind.number().to_string()),
    ];
    let mut fields: Vec<&str> = Vec::new();
    for change in request.changes {
        if !fields.contains(&change.field()) {
            fields.push(change.field());
        }
    }
    for field in fields {
        let of_field = || request.changes.iter().filter(|change| change.field() == field);
        match request.lock {
            Lock::Lock => arguments.push((format!("{field}.locked"), "1".to_owned())),
            Lock::Unlock => arguments.push((format!("{field}.locked"), "0".to_owned())),
            Lock::Leave => {}
        }
        let mut added = 0;
        let mut removed = String::new();
        for change in of_field() {
            match change {
                FieldChange::Set(_, value) => arguments.push((format!("{field}.value"), value.clone())),
                FieldChange::Add(_, tag) => {
                    arguments.push((format!("{field}[{added}].tag.tag"), tag.clone()));
                    added += 1;
                }
                FieldChange::Remove(_, tag) => {
                    let comma = if removed.is_empty() { "" } else { "," };
                    let _ = write!(removed, "{comma}{}", utf8_percent_encode(tag, TAG));
                }
                FieldChange::Keep(_) => {}
            }
        }
        if !removed.is_empty() {
            arguments.push((format!("{field}[].tag.tag-"), removed));
        }
    }
    arguments.sort_by_key(|(name, _)| name.to_lowercase());
    let mut address = format!("/library/sections/{}/all", encode(request.section));
    for (place, (name, value)) in arguments.iter().enumerate() {
        let mark = if place == 0 { '?' } else { '&' };
        let _ = write!(address, "{mark}{}={}", encode(name), encode(value));
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ItemType;

    fn address_of(changes: &[FieldChange], lock: Lock) -> String {
        address(&EditRequest {
            section: "1",
            kind: ItemType::Movie,
            ids: &["55", "56"],
            changes,
            lock,
        })
    }

    fn set(field: &str, value: &str) -> FieldChange {
        FieldChange::Set(field.into(), value.into())
    }

    #[test]
    fn arguments_are_sorted_and_encoded() {
        let changes = [
            set("title", "A/b ü~!"),
            FieldChange::Add("genre".into(), "A".into()),
            FieldChange::Add("genre".into(), "B, C".into()),
            FieldChange::Remove("label".into(), "A,B".into()),
            FieldChange::Remove("label".into(), "C d/e".into()),
        ];
        assert_eq!(
            address_of(&changes, Lock::Lock),
            "/library/sections/1/all?genre.locked=1&genre%5B0%5D.tag.tag=A&genre%5B1%5D.tag.tag=B%2C%20C\
             &id=55%2C56&label.locked=1&label%5B%5D.tag.tag-=A%252CB%2CC%2520d%2Fe\
             &title.locked=1&title.value=A%2Fb%20%C3%BC~%21&type=1"
        );
    }

    #[test]
    fn locks_are_set_lifted_or_left() {
        assert_eq!(
            address_of(&[set("title", "")], Lock::Unlock),
            "/library/sections/1/all?id=55%2C56&title.locked=0&title.value=&type=1"
        );
        assert_eq!(
            address_of(&[set("title", "x")], Lock::Leave),
            "/library/sections/1/all?id=55%2C56&title.value=x&type=1"
        );
        assert_eq!(
            address_of(&[FieldChange::Keep("title".into())], Lock::Lock),
            "/library/sections/1/all?id=55%2C56&title.locked=1&type=1"
        );
    }
}
