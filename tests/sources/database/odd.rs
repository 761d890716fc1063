//! Cells of other types than the server writes: they cost no other row.

use crate::support::index::{self, Ask as _};
use plexindex::error::Status;
use plexindex::model::MatchKind;
use plexindex::source::database::PlexDatabase;
use plexindex::source::{Bounds, PageRequest, Source};

use crate::database::alone::{films, path};
use crate::database::{key_of, open, options};
use crate::support::plex_database::{self as written};
use crate::support::{clock, wanted};

#[test]
fn a_change_whose_number_is_none_costs_no_other_row() {
    for odd in ["'soon'", "'2023-04-01 10:00:00'", "x'00ff'", "7000.5", "NULL"] {
        for is_known in [false, true] {
            let (folder, server, section) = films(6);
            let store = folder.path().join("store");
            let clock = clock();
            let index = open(options(&store, &server.folder), &clock);
            if is_known {
                assert_eq!(key_of(&index, &path(0)), Some("1".to_owned()));
            }
            let set = format!("UPDATE metadata_items SET changed_at = {odd} WHERE id = 6");
            server.write(|database| database.execute(&set, []).expect("set"));
            for film in 0..6 {
                assert_eq!(key_of(&index, &path(film)), Some((film + 1).to_string()), "{odd}");
            }
            // What comes, goes and moves is seen, also of the odd row.
            let new = server.write(|database| {
                written::delete(database, 2);
                written::rename(database, 3, "/data/films/moved.mkv");
                written::add_film(database, section, "new", "/data/films/new.mkv")
            });
            assert_eq!(key_of(&index, "/data/films/new.mkv"), Some(new.to_string()), "{odd}");
            assert_eq!(key_of(&index, "/data/films/moved.mkv"), Some("3".to_owned()), "{odd}");
            index.query().refreshed(false).expect("refreshed");
            for gone in [1, 2] {
                assert_eq!(key_of(&index, &path(gone)), None, "{odd}");
            }
            server.write(|database| {
                written::rename(database, 6, "/data/films/odd.mkv");
                database.execute(&set, []).expect("set");
            });
            assert_eq!(key_of(&index, "/data/films/odd.mkv"), Some("6".to_owned()), "{odd}");
            index.query().refreshed(false).expect("refreshed");
            assert_eq!(key_of(&index, &path(5)), None, "{odd}");
            assert_eq!(key_of(&index, &path(0)), Some("1".to_owned()), "{odd}");
        }
    }
}

/// A file's name may have bytes that are not UTF-8, and Plex stores them as they are.
#[test]
fn a_name_that_is_not_utf8_is_found_by_its_bytes() {
    let (folder, server, _) = films(1);
    let store = folder.path().join("store");
    let index = open(options(&store, &server.folder), &clock());
    for (sql, name) in [
        (
            "CAST(x'2f646174612f66696c6d732fe92e6d6b76' AS TEXT)",
            &b"/data/films/\xe9.mkv"[..],
        ),
        ("x'2f646174612f66696c6d732fc3282e6d6b76'", b"/data/films/\xc3(.mkv"),
    ] {
        server.write(|database| {
            written::rename(database, 1, "/data/films/x.mkv");
            written::run(database, &format!("UPDATE media_parts SET file = {sql}"), []);
        });
        index.query().refreshed(false).expect("refreshed");
        let found = index.query().answer(name);
        assert_eq!(found.match_kind, MatchKind::Exact);
        assert_eq!(found.item.expect("an item").path.as_deref(), Some(index::path(name)));
        let replaced = String::from_utf8_lossy(name);
        assert_eq!(key_of(&index, &replaced), None, "{replaced}");
    }
}

#[test]
fn a_row_with_another_odd_cell_costs_no_other_one() {
    for odd in [
        "UPDATE metadata_items SET library_section_id = 'mine' WHERE id = 6",
        "UPDATE metadata_items SET metadata_type = 'film' WHERE id = 6",
        "UPDATE metadata_items SET parent_id = 'show', [index] = 'first', year = 'old' WHERE id = 6",
        "UPDATE media_items SET metadata_item_id = 'six' WHERE metadata_item_id = 6",
        "UPDATE media_parts SET media_item_id = 'six' WHERE media_item_id = 6",
        "UPDATE metadata_items SET deleted_at = 'then' WHERE id = 6",
        "UPDATE sqlite_sequence SET seq = 'many'",
        "UPDATE library_sections SET section_type = 1, scanned_at = 'long ago'",
    ] {
        let (folder, server, section) = films(6);
        let clock = clock();
        let index = open(options(&folder.path().join("store"), &server.folder), &clock);
        assert_eq!(key_of(&index, &path(0)), Some("1".to_owned()));
        server.write(|database| {
            written::touch(database, 6);
            database.execute(odd, []).expect("set");
        });
        for _ in 0..2 {
            let _ = key_of(&index, &path(5));
            index.query().refreshed(false).expect(odd);
            for film in 0..5 {
                assert_eq!(key_of(&index, &path(film)), Some((film + 1).to_string()), "{odd}");
            }
        }
        let new = server.write(|database| written::add_film(database, section, "new", "/data/films/new.mkv"));
        assert_eq!(key_of(&index, "/data/films/new.mkv"), Some(new.to_string()), "{odd}");
    }
}

/// The server's ids begin at 1, and an id is a rating key.
#[test]
fn a_row_with_a_negative_id_is_no_item() {
    let (_folder, server, _) = films(2);
    server.write(|database| {
        written::run(
            database,
            "UPDATE media_items SET metadata_item_id = -2 WHERE metadata_item_id = 2",
            [],
        );
        written::run(database, "UPDATE metadata_items SET id = -2 WHERE id = 2", []);
    });
    let source = PlexDatabase::new(&server.folder);
    let library = source.libraries(Bounds::NONE).expect("read").swap_remove(0);
    let request = PageRequest {
        library: &library,
        partition: 0,
        position: 0,
        size: 10,
    };
    let mut items = Vec::new();
    let page = source.page(&request, Bounds::NONE, &mut items).expect("read");
    assert_eq!((items.len(), page.total), (1, Some(1)));
    let paths = [path(1).into_bytes()];
    let wanted = wanted(&paths, "Film 1.mkv", None);
    let is_found = source.find_path(&library, &wanted, Bounds::NONE, &mut |found| Ok(!found.is_empty()));
    assert_eq!(is_found, Ok(false));
}

/// A library that is none of the server's has no items, which says nothing about its paths.
#[test]
fn a_library_without_a_number_is_no_library_of_the_server() {
    let (_folder, server, _) = films(1);
    let source = PlexDatabase::new(&server.folder);
    let mut library = source.libraries(Bounds::NONE).expect("read").swap_remove(0);
    library.section = "films".into();
    let paths = [path(0).into_bytes()];
    let wanted = wanted(&paths, "Film 0.mkv", None);
    let found = source.find_path(&library, &wanted, Bounds::NONE, &mut |found| Ok(!found.is_empty()));
    assert_eq!(found.expect_err("no library").status, Status::NotOnServer);
}
