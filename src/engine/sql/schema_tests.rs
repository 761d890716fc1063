//! Checks that each stored column is read, and each field of an item is stored.

use std::path::Path;

use super::item_rows::ItemRows;
use super::library_rows::LibraryRows;
use super::schema::{FromCells, names};
use super::{Endpoint, LibraryRow, LoggedChange, Store};
use crate::engine::segment::{ListingBuilder, ListingMeta};
use crate::model::{Item, ItemType, Library, LibraryKind, Sequence, Server};
use crate::platform::deadline::Deadline;

/// The columns of a table, except those in `own`, which only the store uses.
fn columns(store: &Store, table: &str, own: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = store
        .read(|connection| {
            connection
                .prepare("SELECT name FROM pragma_table_info(?1)")?
                .query_map([table], |row| row.get(0))?
                .collect()
        })
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

fn opened() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), true).expect("the store opens");
    (folder, store)
}

#[test]
fn each_column_is_read_or_listed_as_internal() {
    let (_folder, store) = opened();
    assert_eq!(read::<LoggedChange>(""), columns(&store, "changes", &["id", "view_id"]));
    let own = ["view_id", "position", "shrunk_ms", "hint_seq", "feed_from"];
    assert_eq!(read::<LibraryRow>("l."), columns(&store, "libraries", &own));
}

/// Cells of Plex's own database may have any type, but those of our store must not.
#[test]
fn each_column_refuses_values_of_other_types() {
    let (_folder, store) = opened();
    let lax: Vec<String> = store
        .read(|connection| {
            connection
                .prepare(
                    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND NOT strict \
                     AND name NOT LIKE 'sqlite%'",
                )?
                .query_map([], |row| row.get(0))?
                .collect()
        })
        .expect("read");
    assert_eq!(lax, [""; 0]);
}

#[test]
#[allow(clippy::too_many_lines)] // each field on its own
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
    let Item {
        rating_key,
        kind,
        title,
        year,
        show_title,
        show_rating_key,
        show_guid,
        season_title,
        season_rating_key,
        season_guid,
        season,
        episode,
        guid,
        guids,
        parts,
        trashed: _,
    } = Item::default();
    let others = [
        Item {
            rating_key,
            ..whole.clone()
        },
        Item { kind, ..whole.clone() },
        Item { title, ..whole.clone() },
        Item { year, ..whole.clone() },
        Item {
            show_title,
            ..whole.clone()
        },
        Item {
            show_rating_key,
            ..whole.clone()
        },
        Item {
            show_guid,
            ..whole.clone()
        },
        Item {
            season_title,
            ..whole.clone()
        },
        Item {
            season_rating_key,
            ..whole.clone()
        },
        Item {
            season_guid,
            ..whole.clone()
        },
        Item {
            season,
            ..whole.clone()
        },
        Item {
            episode,
            ..whole.clone()
        },
        Item { guid, ..whole.clone() },
        Item { guids, ..whole.clone() },
        Item { parts, ..whole.clone() },
    ];
    let content = |item: &Item| {
        let mut builder = ListingBuilder::new(ListingMeta::default(), Path::new("unused"));
        builder.push(item);
        builder.content()
    };
    for other in &others {
        assert_ne!(content(other), content(&whole), "{other:?}");
    }
    let (_folder, store) = opened();
    let endpoint = Endpoint {
        url: "http://a".to_owned(),
        user_hash: Vec::new(),
        until_ms: 0,
        first_used_ms: 0,
    };
    let view_id = LibraryRows(&store)
        .reached(&endpoint, &Server::default())
        .expect("reached");
    let library = Library {
        uuid: "shows".to_owned(),
        kind: LibraryKind::Show,
        ..Library::default()
    };
    let row = LibraryRows(&store)
        .store_probe(view_id, &[library], Sequence::default(), 1, Deadline::NONE, &|_, _| {
            false
        })
        .expect("probed")
        .remove(0);
    for item in others.iter().chain([&whole]) {
        ItemRows(&store)
            .merge_items(&row, std::slice::from_ref(item), None, Deadline::NONE)
            .expect("merged");
        let stored = ItemRows(&store).of(&row).expect("read").item(&item.rating_key);
        assert_eq!(stored.expect("read").as_ref(), Some(item));
    }
}
