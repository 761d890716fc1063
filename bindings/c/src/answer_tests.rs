use super::*;
use plexindex::model::Item;

#[test]
fn an_item_without_a_rating_key_leaves_no_answer() {
    let item = |rating_key: &str| Item {
        rating_key: rating_key.into(),
        ..Item::default()
    };
    let items = [item("1002"), item("")];
    let mut room = vec![0; 4096];
    let mut block = BlockWriter {
        room: &mut room,
        used: 0,
        next_answer: 0,
    };
    let mut write = |items: &[Item]| {
        let found = items.iter().map(|item| (FoundItem::of(item), None));
        block
            .write_candidates("/library/metadata/", found)
            .map_err(|error| error.status)
    };
    assert_eq!(write(&items), Err(Status::Panic));
    assert_eq!(write(&items[..1]).map(|(_, count)| count), Ok(1));
}
