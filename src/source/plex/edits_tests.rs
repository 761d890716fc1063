use super::*;
use crate::model::ItemType;

fn address_of(changes: &[FieldChange], lock: Lock) -> String {
    address(&EditRequest {
        section: "1",
        kind: ItemType::Movie,
        rating_keys: &["55", "56"],
        changes,
        lock,
    })
}

fn set(field: &str, value: &str) -> FieldChange {
    FieldChange::set(field, value)
}

#[test]
fn arguments_are_sorted_and_encoded() {
    let changes = [
        set("title", "A/b ü~!"),
        FieldChange::add("genre", "A"),
        FieldChange::add("genre", "B, C"),
        FieldChange::remove("label", "A,B"),
        FieldChange::remove("label", "C d/e"),
    ];
    assert_eq!(
        address_of(&changes, Lock::Lock),
        "/library/sections/1/all?genre.locked=1&genre%5B0%5D.tag.tag=A&genre%5B1%5D.tag.tag=B%2C%20C\
         &id=55%2C56&label.locked=1&label%5B%5D.tag.tag-=A%252CB%2CC%2520d%2Fe\
         &title.locked=1&title.value=A%2Fb%20%C3%BC~%21&type=1"
    );
}

#[test]
fn locks_are_set_removed_or_left() {
    assert_eq!(
        address_of(&[set("title", "")], Lock::Unlock),
        "/library/sections/1/all?id=55%2C56&title.locked=0&title.value=&type=1"
    );
    assert_eq!(
        address_of(&[set("title", "x")], Lock::Leave),
        "/library/sections/1/all?id=55%2C56&title.value=x&type=1"
    );
    assert_eq!(
        address_of(&[FieldChange::keep("title")], Lock::Lock),
        "/library/sections/1/all?id=55%2C56&title.locked=1&type=1"
    );
}
