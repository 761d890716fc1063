//! Checks that each stored column is read, and each field of an item is stored.

use std::path::Path;

use super::for_tests::{Films, opened};
use super::schema::{CachedStatements, FromCells, names};
use super::{ItemRows, LibraryRow, LoggedChange, Store};
use crate::engine::segment::{ListingBuilder, ListingMeta};
use crate::model::{Item, ItemType};

/// The columns of a table, except those in `own`, which only the store uses.
fn columns(store: &Store, table: &str, own: &[&str]) -> Vec<String> {
    let named = "SELECT name FROM pragma_table_info(?1)";
    let mut all: Vec<String> = store
        .read(|connection| connection.values(named, [table]))
        .expect("read");
    for name in own {
        let at = all.iter().position(|column| column == name);
        all.remove(at.unwrap_or_else(|| panic!("{table} has no column {name}")));
    }
    all.sort();
    all
}

fn read<T: FromCells>(prefix: &str) -> Vec<String> {
    let names = names::<T>();
    let mut read: Vec<String> = names
        .iter()
        .filter(|name| !name.starts_with('(')) // belongs to another table
        .filter_map(|name| name.strip_prefix(prefix))
        .map(str::to_owned)
        .collect();
    read.sort();
    read
}

#[test]
fn each_column_is_read_or_listed_as_internal() {
    let (_folder, store) = opened();
    assert_eq!(read::<LoggedChange>(""), columns(&store, "changes", &["id", "view_id"]));
    let own = ["view_id", "position"];
    assert_eq!(read::<LibraryRow>("l."), columns(&store, "libraries", &own));
}

/// Cells of Plex's own database may have any type, but those of our store must not.
#[test]
fn each_column_refuses_values_of_other_types() {
    let (_folder, store) = opened();
    let lax = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict \
               AND name NOT LIKE 'sqlite%'";
    let lax: Vec<String> = store.read(|connection| connection.values(lax, [])).expect("read");
    assert_eq!(lax, [""; 0]);
}

#[test]
fn each_field_of_an_item_is_stored_and_changes_its_digest() {
    let text = |name: &str| format!("{name}\u{e4}");
    let whole = Item {
        rating_key: text("key"),
        kind: ItemType::Episode,
        title: text("title"),
        year: 1999,
        show_title: text("show"),
        show_rating_key: text("show key"),
        show_guid: text("show guid"),
        season_title: text("season"),
        season_rating_key: text("season key"),
        season_guid: text("season guid"),
        season: 2,
        episode: 3,
        guid: text("guid"),
        guids: vec![text("a"), text("b")],
        parts: vec!["/1".into(), "/2\n".into()],
        trashed: false, // never stored
    };
    // Each variant differs from the complete item in one field, and there is one variant for each field.
    macro_rules! without_each {
        ($($field:ident),*) => {{
            let Item { $($field,)* trashed: _ } = Item::default();
            [$(Item { $field, ..whole.clone() }),*]
        }};
    }
    let others = without_each! {
        rating_key, kind, title, year, show_title, show_rating_key, show_guid, season_title, season_rating_key,
        season_guid, season, episode, guid, guids, parts
    };
    let content = |item: &Item| {
        let mut builder = ListingBuilder::new(ListingMeta::default(), Path::new("unused"));
        builder.push(item);
        builder.content()
    };
    for other in &others {
        assert_ne!(content(other), content(&whole), "{other:?}");
    }
    let films = Films::new();
    for item in others.iter().chain([&whole]) {
        films.merge(std::slice::from_ref(item));
        let stored = ItemRows(&films.store).of(&films.row()).expect("read");
        assert_eq!(stored.item(&item.rating_key).expect("read").as_ref(), Some(item));
    }
}
