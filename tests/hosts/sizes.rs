//! Entries that are larger than any host writes: of a role that was broken into.

use plexindex_sharing::{EntryKind, LARGEST_ENTRY, NewEntry, Position, SharedLog};

use crate::cluster::database;
use crate::fixture::{Fixture, NONE, entry, name};

/// A kind whose body no index has.
fn void(key: &str) -> NewEntry {
    entry(EntryKind::InvalidPath, "movies", key, "")
}

fn of_size(key: &str, bytes: usize) -> NewEntry {
    let mut entry = void(key);
    entry.body = vec![b'x'; bytes - entry.name.library.len() - key.len()];
    entry
}

pub fn too_large_entries_are_passed_over(fixture: &Fixture) {
    let large = of_size("too large", LARGEST_ENTRY + 1);
    let mut of_key = void("");
    of_key.name.key = vec![b'k'; LARGEST_ENTRY + 1];
    fixture.append(&[void("1"), large.clone(), of_size("full", LARGEST_ENTRY), of_key]);
    let keys = |news: &plexindex_sharing::EntryPage| {
        let key = |entry: &plexindex_sharing::Entry| String::from_utf8_lossy(&entry.name.key).into_owned();
        news.entries.iter().map(key).collect::<Vec<_>>()
    };
    let news = fixture.read(Position::default(), 100);
    assert_eq!(keys(&news), ["1", "full"]);
    assert_eq!((news.position.number, news.has_more), (4, false));
    // One at a time, too: none stops the reader.
    let mut from = Position::default();
    for number in 1..=4 {
        let news = fixture.read(from, 1);
        assert_eq!((news.position.number, news.has_more), (number, number < 4));
        from = news.position;
    }
    let names = [large.name, name(EntryKind::InvalidPath, "movies", "full")];
    let found = fixture.log.find(fixture.view, &names, NONE).expect("found");
    assert_eq!(found.len(), 1);
}

pub fn a_page_has_few_bytes(fixture: &Fixture) {
    let entries: Vec<_> = (0..40)
        .map(|key| of_size(&format!("{key:02}"), LARGEST_ENTRY))
        .collect();
    for some in entries.chunks(8) {
        fixture.append(some);
    }
    let (mut from, mut pages, mut read) = (Position::default(), 0, 0);
    loop {
        let news = fixture.read(from, 1_000);
        (from, pages, read) = (news.position, pages + 1, read + news.entries.len());
        assert!(news.entries.len() <= 16, "{}", news.entries.len());
        if !news.has_more {
            break;
        }
    }
    assert_eq!((pages, read), (3, 40));
}

/// A secret of a gigabyte is none.
#[test]
fn a_secret_of_another_length_is_refused() {
    let Some(database) = database() else { return };
    database.log().secret(NONE).expect("there");
    database.sql("UPDATE plexindex.meta SET secret = convert_to(repeat('x', 100000000), 'UTF8')");
    crate::postgres::expect_error(
        database.log().secret(NONE),
        plexindex::error::Status::BadAnswer,
        "out of range",
    );
}
