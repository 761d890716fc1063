//! Checks migrations, the types of columns, and that each field of an item is stored.

use std::path::Path;

use super::for_tests::{Films, film, opened, written};
use super::migrations::{migrate, salvage};
use super::record_rows::all_matches_in;
use super::schema::{BUSY, CachedStatements, connect, position_of, sequence_of};
use super::{ItemRows, RecordKind, RecordRows, Store};
use crate::engine::segment::{ListingBuilder, ListingMeta};
use crate::model::{FileFacts, Item, ItemFacts, ItemType, KnownFacts, Sequence, TableId};

/// Makes the store one of format 11.
fn as_format_11(store: &Store) -> rusqlite::Connection {
    store.close();
    let connection = connect(store.folder.database()).expect("connected");
    connection
        .execute_batch(
            "ALTER TABLE tables DROP COLUMN oldest;
             ALTER TABLE tables DROP COLUMN size;
             ALTER TABLE listings RENAME COLUMN asked TO begun_seq;
             DROP TABLE shared; DROP TABLE taken_back; DROP TABLE outbox;
             CREATE TABLE shared (view_id INTEGER NOT NULL, mappings INTEGER NOT NULL, log TEXT NOT NULL,
                 number INTEGER NOT NULL, mark INTEGER NOT NULL, looked_ms INTEGER NOT NULL);
             CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, view_id INTEGER NOT NULL, host INTEGER NOT NULL,
                 kind INTEGER NOT NULL, library TEXT NOT NULL, key BLOB NOT NULL, body BLOB NOT NULL,
                 sent INTEGER NOT NULL DEFAULT 0);
             CREATE TABLE applied (host INTEGER PRIMARY KEY, number INTEGER NOT NULL);
             ALTER TABLE meta DROP COLUMN clock_us;
             ALTER TABLE meta ADD COLUMN host_id INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE meta ADD COLUMN host_of TEXT NOT NULL DEFAULT '';
             UPDATE matches SET sum = (sum | at) - (sum & at);
             PRAGMA user_version = 11",
        )
        .expect("as before");
    connection
}

/// What was shared through the log is no later than what the log has, and what waited for it waits.
#[test]
fn the_records_of_a_shared_log_get_times() {
    for is_shared in [false, true] {
        let films = Films::with(&[film(1)]);
        films.record(&[(b"/h/1.mkv", "1")]);
        let table = films.row().matches.expect("a table");
        let connection = as_format_11(&films.store);
        let entries = "INSERT INTO outbox (view_id, host, kind, library, key, body, sent) \
                       VALUES (1, 7, 4, 'u', x'31', x'32', 1), (1, 7, 4, 'u', x'33', x'34', 0)";
        connection.execute(entries, []).expect("written");
        if is_shared {
            let position = "INSERT INTO shared SELECT id, 2, 'log', 3, 4, 5 FROM views";
            connection.execute(position, []).expect("written");
        }
        let (salvaged, is_whole) = salvage(&connection).expect("read");
        assert!(is_whole);
        assert_eq!(all_matches_in(&salvaged, table).expect("sound").len(), 1);
        migrate(&connection, BUSY).expect("migrated");
        let at: i64 = connection.value("SELECT at FROM matches", []).expect("read");
        assert_eq!(at == 3, is_shared, "the number of the log");
        let waiting: Vec<Vec<u8>> = connection.values("SELECT key FROM outbox", []).expect("read");
        assert_eq!(waiting, [b"3"]);
        assert_eq!(
            connection.value("SELECT count(*) FROM shared", []),
            Ok(i64::from(is_shared))
        );
        drop(connection);
        assert_eq!(RecordRows(&films.store).all_matches(films.id).expect("sound").len(), 1);
    }
}

/// A database that lost a write can have what no index allows. The later row counts, whatever the format.
#[test]
fn of_two_rows_of_a_path_the_later_is_salvaged() {
    for is_old in [false, true] {
        let films = Films::with(&[film(1), film(2)]);
        films.record(&[(b"/h/1.mkv", "1"), (b"/h/2.mkv", "2")]);
        let table = films.row().matches.expect("a table");
        let copy = connect(films.store.folder.database()).expect("connected");
        let earlier = "CREATE TABLE earlier AS SELECT * FROM matches";
        copy.execute_batch(earlier).expect("copied");
        films.record(&[(b"/h/1.mkv", "2")]);
        drop(copy);
        let connection = if is_old {
            as_format_11(&films.store)
        } else {
            connect(films.store.folder.database()).expect("connected")
        };
        let sum = if is_old { "(sum | at) - (sum & at)" } else { "sum" };
        let lost = format!(
            "DROP INDEX matches_form; DROP INDEX tables_library;
             INSERT OR IGNORE INTO matches SELECT id, in_table, form, spelling, item, at, total, {sum} FROM earlier;
             INSERT INTO tables (id, library) SELECT 1000, library FROM tables WHERE library IS NOT NULL;
             UPDATE tables SET id = 0 WHERE id = 1000;"
        );
        connection.execute_batch(&lost).expect("written");
        let (salvaged, is_whole) = salvage(&connection).expect("read");
        assert!(is_whole);
        let found = all_matches_in(&salvaged, table).expect("read");
        let found: Vec<(&[u8], &str)> = found.iter().map(|one| (&*one.path, &*one.rating_key)).collect();
        assert_eq!(found, [(&b"/h/1.mkv"[..], "2"), (b"/h/2.mkv", "2")]);
        let tables: Vec<TableId> = salvaged
            .values("SELECT id FROM tables WHERE library > 0", [])
            .expect("read");
        assert_eq!(tables, [table]);
    }
}

/// Makes the store one of format 10.
fn as_format_10(store: &Store) -> rusqlite::Connection {
    let connection = as_format_11(store);
    connection
        .execute_batch(
            "DROP TABLE matches; DROP TABLE entries; DROP TABLE removed;
             CREATE TABLE records (id INTEGER PRIMARY KEY, in_table INTEGER NOT NULL, name BLOB NOT NULL,
                 expires_ms INTEGER, value BLOB);
             ALTER TABLE tables ADD COLUMN entries INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE tables ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE tables ADD COLUMN swept INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE meta ADD COLUMN segments TEXT NOT NULL DEFAULT 'plexindex-1-r7-ab:3';
             ALTER TABLE meta ADD COLUMN merged INTEGER NOT NULL DEFAULT 0;
             ALTER TABLE meta RENAME COLUMN tables_changed TO manifest;
             ALTER TABLE meta DROP COLUMN form_tag;
             PRAGMA user_version = 10",
        )
        .expect("as before");
    connection
}

/// The last row of each name moves, in the order of the rows, unless it was a removal, had expired, or nobody can read it.
#[test]
fn records_move_from_the_log_to_rows() {
    let films = Films::with(&[film(1)]);
    let (id, listed) = (films.id, films.sequence());
    let at = |later: u64, number| position_of(Sequence(listed.0 + later), number);
    let connection = as_format_10(&films.store);
    let write = |text: &str, values: &[&dyn rusqlite::ToSql]| connection.execute(text, values).expect("written");
    write("INSERT INTO tables (id, name) VALUES (1, x'31'), (2, NULL)", &[]);
    write("INSERT INTO tables (id, library) VALUES (3, ?1)", &[&id]);
    let log = |id: i64, table: i64, name: &str, expires_ms: Option<i64>, value: Option<&[u8]>| {
        let text = "INSERT INTO records (id, in_table, name, expires_ms, value) VALUES (?1, ?2, ?3, ?4, ?5)";
        write(text, &[&id, &table, &name.as_bytes(), &expires_ms, &value]);
    };
    log(at(1, 0), 1, "replaced", None, Some(b"old"));
    log(at(1, 1), 1, "removed", None, Some(b"old"));
    log(at(1, 2), 3, "/Films/A.mkv", None, Some(b"\x81\x0112"));
    log(at(2, 0), 1, "stays", Some(i64::MAX), Some(b"value"));
    log(at(2, 1), 2, "of a cleared table", None, Some(b"value"));
    log(at(3, 0), 1, "replaced", None, Some(b"newer"));
    log(at(3, 1), 1, "expired", Some(1), Some(b"value"));
    log(at(4, 0), 1, "removed", None, None);
    log(at(5, 0), 3, "/Films/A.mkv", None, Some(b"\x0713"));
    log(at(5, 1), 1, "replaced", None, Some(b"newest"));
    migrate(&connection, BUSY).expect("migrated");

    assert_eq!(sequence_of(&connection).expect("read"), Sequence(listed.0 + 5));
    let names = connection.rows("SELECT name, value FROM entries ORDER BY id", [], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    let names: Vec<(Vec<u8>, Vec<u8>)> = names.expect("read");
    let expected = [
        (b"stays".to_vec(), b"value".to_vec()),
        (b"replaced".to_vec(), b"newest".to_vec()),
    ];
    assert_eq!(names, expected);
    drop(connection);
    // The rows are sound, and the totals those of the rows.
    let matches = RecordRows(&films.store).all_matches(id).expect("read");
    assert_eq!(matches, [(b"/Films/A.mkv".to_vec(), "13".to_owned())].into());
    let entry = RecordRows(&films.store)
        .entry(TableId(1), b"stays", None)
        .expect("read");
    assert_eq!(entry.expect("stays").expires_ms, Some(i64::MAX));
    let total = written(&films.store, |tx| tx.total(RecordKind::Entries));
    assert_eq!(total, 5 + 5 + 64 + 8 + 6 + 64);
}

/// A build with other rules for normal forms finds what an earlier one recorded, and can remove it.
#[test]
fn forms_of_another_build_are_made_anew() {
    let films = Films::with(&[film(1)]);
    films.record(&[(b"/H/1.mkv", "1"), (b"/H/2.mkv", "1")]);
    films.store.close();
    let connection = connect(films.store.folder.database()).expect("connected");
    connection
        .execute_batch("UPDATE meta SET form_tag = 1; UPDATE matches SET form = '/h/1.mkv of old', spelling = x'012f482f312e6d6b76'
            WHERE form = CAST('/h/1.mkv' AS BLOB)".replace("'/h/1.mkv of old'", "CAST('/h/1.mkv of old' AS BLOB)").as_str())
        .expect("as before");
    drop(connection);
    let rows = RecordRows(&films.store);
    assert_eq!(rows.all_matches(films.id).expect("read").len(), 2);
    assert!(
        rows.matches_of_form(
            films.row().matches.expect("a table"),
            b"/h/1.mkv",
            films.sequence(),
            None
        )
        .expect("read")
        .is_some_and(|found| found.len() == 1)
    );
    assert_eq!(films.count("SELECT count(*) FROM matches WHERE form LIKE '%old'"), 0);
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

/// Returns facts of an item with two files, the second of which has this size.
fn facts(size: u64) -> KnownFacts {
    let mut facts = ItemFacts {
        added_at: 1_700_000_000,
        duration_ms: 5_400_000,
        edition: "Director\u{2019}s Cut".to_owned(),
        ..ItemFacts::default()
    };
    facts.push(0, FileFacts::default());
    let file = FileFacts {
        part_id: 12,
        media_id: 13,
        duration_ms: 5_400_001,
        resolution: "1080".to_owned(),
        container: "mkv".to_owned(),
        is_optimized: true,
    };
    facts.push(size, file);
    KnownFacts(Some(Box::new(facts)))
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
        facts: facts(4),
        trashed: false, // never stored
    };
    // The facts are `None` here, which is a difference to nothing but the digest.
    let others_size = Item {
        facts: facts(5),
        ..whole.clone()
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
        season_guid, season, episode, guid, guids, parts, facts
    };
    let content = |item: &Item| {
        let mut builder = ListingBuilder::new(ListingMeta::default(), Path::new("unused"));
        builder.push(item);
        builder.content
    };
    for other in others.iter().chain([&others_size]) {
        assert_ne!(content(other), content(&whole), "{other:?}");
    }
    let films = Films::new();
    for item in [&whole, &others_size].into_iter().chain(&others) {
        films.merge(std::slice::from_ref(item));
        let stored = ItemRows(&films.store).of(films.id).expect("read");
        let found = stored.item(&item.rating_key);
        assert_eq!(found.as_ref(), Some(item));
        assert!(item.facts.0.is_none() || found.is_some_and(|found| found.facts.0 == item.facts.0));
    }
}
