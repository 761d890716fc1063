//! An index that has nothing but the database: no token, no network, no request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::support::index::{Ask as _, Index, ManualClock};
use plexindex::error::Status;
use plexindex::model::{Library, MatchKind};
use plexindex::options::{Mapping, Options};
use plexindex::source::database::PlexDatabase;
use plexindex::source::{Bounds, Source};

use crate::database::{key_of, library, open, options};
use crate::support::hooked::{Hook, Hooked};
use crate::support::plex_database::{self as written, Server, kind};
use crate::support::worker::writable;
use crate::support::{HOUR_MS, clock, rows_of, stopped_by, within};

/// A server of so many films.
pub fn films(count: u32) -> (tempfile::TempDir, Server, i64) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::new(&folder.path().join("Plex Media Server"));
    let section = server.library("Films", kind::MOVIE, "/data/films");
    server.write(|database| {
        for film in 0..count {
            written::add_film(database, section, &format!("Film {film}"), &path(film));
        }
    });
    (folder, server, section)
}

pub fn path(film: u32) -> String {
    format!("/data/films/Film {film}.mkv")
}

#[test]
fn the_first_answers_are_found_by_the_path_alone() {
    let (folder, server, _) = films(50);
    let mut with = options(&folder.path().join("store"), &server.folder);
    with.mappings = vec![Mapping::host_to_server("/mnt/films", "/data/films")];
    let index = open(with, &clock());
    assert_eq!(key_of(&index, &path(7)).as_deref(), Some("8"));
    let mapped = index.query().answer("/mnt/films/Film 9.mkv");
    assert_eq!(mapped.match_kind, MatchKind::Mapped);
    assert_eq!((mapped.status, mapped.stale), (Status::Ok, false));
    assert_eq!(index.counts().listings, 0, "nothing was listed for that");
    assert_eq!(key_of(&index, "/data/films/nowhere.mkv"), None);
    assert_eq!(index.counts().listings, 1);
}

#[test]
fn what_the_server_wrote_is_seen_by_the_next_question() {
    let (folder, server, section) = films(300);
    let clock = clock();
    let index = open(options(&folder.path().join("store"), &server.folder), &clock);
    index.list();
    let listings = || index.counts().listings;
    for round in 0..5_u32 {
        let new = format!("/data/films/new {round}.mkv");
        let moved = format!("/data/films/moved {round}.mkv");
        let (gone, renamed) = (10 + round, 20 + round);
        let added = server.write(|database| {
            written::delete(database, i64::from(gone) + 1);
            written::rename(database, i64::from(renamed) + 1, &moved);
            written::add_film(database, section, &format!("New {round}"), &new)
        });
        assert_eq!(key_of(&index, &new), Some(added.to_string()));
        assert_eq!(key_of(&index, &moved), Some((renamed + 1).to_string()));
        for old in [gone, renamed] {
            assert_eq!(key_of(&index, &path(old)), None, "round {round}: {old}");
        }
    }
    assert_eq!(listings(), 1, "the counters told");
    // A show's new name is in each of its episodes.
    let shows = server.library("Shows", kind::SHOW, "/data/shows");
    let (show, episode) = server.write(|database| {
        let show = written::add_row(database, shows, kind::SHOW, "Old name", None, Some(1));
        let season = written::add_row(database, shows, kind::SEASON, "", Some(show), Some(2));
        let episode = written::add_row(database, shows, kind::EPISODE, "Pilot", Some(season), Some(3));
        written::add_files(database, episode, &["/data/shows/pilot.mkv"]);
        (show, episode)
    });
    let asked = || {
        let found = index.query().answer("/data/shows/pilot.mkv");
        found.item.expect("an item")
    };
    let item = asked();
    assert_eq!(item.show_title.as_deref(), Some("Old name"));
    assert_eq!((item.season, item.episode), (Some(2), Some(3)));
    index.list();
    server.write(|database| {
        let sql = "UPDATE metadata_items SET title = 'New name' WHERE id = ?1";
        written::run(database, sql, [show]);
        written::touch(database, show);
    });
    assert_eq!(asked().show_title.as_deref(), Some("New name"));
    assert_eq!(asked().rating_key, episode.to_string());
    // A show's new id is known with the next change.
    server.write(|database| {
        written::add_external_id(database, show, "tvdb://81189");
        written::touch(database, show);
    });
    let found = index.query().guid("tvdb://show/81189");
    let item = found.item.expect("an item");
    assert_eq!(item.rating_key, episode.to_string());
}

/// As many are in the trash as before. The server counts none of these changes, or each, after one by which the rows are
/// counted.
#[test]
fn what_comes_back_from_the_trash_as_another_goes_there_is_seen() {
    for (table, id) in [
        ("metadata_items", "id"),
        ("media_items", "metadata_item_id"),
        ("media_parts", "id"),
    ] {
        for (many, is_counted) in [(false, false), (true, false), (false, true)] {
            let (folder, server, _) = films(200);
            let count = |ids: &[i64]| {
                let counted = ids.iter().filter(|_| is_counted);
                server.write(|database| counted.for_each(|id| written::touch(database, *id)));
            };
            let trash = |which: &str, at: &str| {
                let sql = format!("UPDATE {table} SET deleted_at = {at} WHERE {id} IN ({which})");
                server.write(|database| database.execute_batch(&sql).expect("set"));
            };
            if many {
                trash(
                    "WITH RECURSIVE n (i) AS (SELECT 20 UNION ALL SELECT i + 1 FROM n WHERE i < 160) SELECT i FROM n",
                    "1700000001",
                );
            }
            trash("3", "1700000001");
            let index = open(options(&folder.path().join("store"), &server.folder), &clock());
            index.list();
            assert_eq!(key_of(&index, &path(2)), None, "{table}");
            count(&[9]);
            assert_eq!(key_of(&index, &path(8)).as_deref(), Some("9"), "{table}");
            trash("5", "1700000002");
            trash("3", "NULL");
            count(&[5, 3]);
            assert_eq!(key_of(&index, &path(2)).as_deref(), Some("3"), "{table}");
            assert_eq!(key_of(&index, &path(4)), None, "{table}");
            if table == "metadata_items" && !many {
                assert_eq!(index.counts().items, 199);
            }
        }
    }
}

#[test]
fn what_is_in_the_trash_is_left_out_until_it_comes_back() {
    let (folder, server, section) = films(10);
    let index = open(options(&folder.path().join("store"), &server.folder), &clock());
    index.list();
    let set = |sql: &str| server.write(|database| database.execute_batch(sql).expect("set"));
    // Neither change of an item is counted by the server here.
    set("UPDATE metadata_items SET deleted_at = 1700000001 WHERE id = 3");
    assert_eq!(key_of(&index, &path(2)), None);
    set("UPDATE media_parts SET deleted_at = '2023-01-01 00:00:00' WHERE id = 5");
    assert_eq!(key_of(&index, &path(4)), None);
    set("UPDATE media_items SET deleted_at = 1700000001 WHERE id = 6");
    assert_eq!(key_of(&index, &path(5)), None);
    assert_eq!(index.counts().items, 9, "an item without files is an item");
    // A first listing leaves it out, too.
    let listed = open(options(&folder.path().join("other"), &server.folder), &clock());
    listed.list();
    assert_eq!(key_of(&listed, &path(2)), None);
    assert_eq!(key_of(&listed, &path(9)).as_deref(), Some("10"));
    // With a change that is counted it comes back.
    server.write(|database| {
        written::run(database, "UPDATE metadata_items SET deleted_at = NULL WHERE id = 3", []);
        written::touch(database, 3);
    });
    assert_eq!(key_of(&index, &path(2)).as_deref(), Some("3"));
    // Remote parts and extras.
    server.write(|database| {
        let extra = written::add_row(database, section, 12, "Trailer", None, Some(1));
        written::add_files(database, extra, &[""]);
        let sql = "UPDATE metadata_items SET library_section_id = NULL WHERE id = ?1";
        written::run(database, sql, [extra]);
        let optimized = written::add_files(database, 1, &["/data/films/Plex Versions/Film 0.mp4"]);
        let sql = "UPDATE media_items SET proxy_type = 42 WHERE id = ?1";
        written::run(database, sql, [optimized]);
        written::touch(database, 1);
    });
    let optimized = "/data/films/Plex Versions/Film 0.mp4";
    assert_eq!(key_of(&index, optimized).as_deref(), Some("1"));
    assert_eq!(index.counts().items, 10);
}

#[test]
fn who_reads_the_file_is_a_partition_of_its_own() {
    let (folder, server, _) = films(3);
    let store = folder.path().join("store");
    {
        let index = open(options(&store, &server.folder), &clock());
        assert_eq!(key_of(&index, &path(1)).as_deref(), Some("2"));
        index.list();
    }
    // A token's view of the same folder, offline, has nothing of it.
    let place = server.folder.to_str().expect("a name").to_owned();
    for token in [None, plexindex::model::Token::new("another")] {
        let mut theirs = Options::new(&store);
        (theirs.server_url, theirs.token, theirs.offline) = (Some(place.clone()), token, true);
        let theirs = Index::open(theirs).expect("opened");
        assert_eq!(theirs.counts().items, 0);
    }
    // What opens it by the file again has all of it, also offline.
    let mut again = options(&store, &server.folder);
    again.offline = true;
    let again = Index::open(again).expect("opened");
    assert_eq!(key_of(&again, &path(1)).as_deref(), Some("2"));
}

#[test]
fn a_file_that_cannot_be_read_leaves_old_answers_marked_as_stale() {
    let (folder, server, _) = films(3);
    let clock = clock();
    let index = open(options(&folder.path().join("store"), &server.folder), &clock);
    index.list();
    clock.advance_ms(1);
    let away = folder.path().join("away.db");
    std::fs::rename(server.file(), &away).expect("away");
    let found = index.query().answer(path(1));
    assert_eq!((found.status, found.stale), (Status::Ok, true));
    // It is looked for again at once, not after a pause: nothing is saved by waiting.
    std::fs::rename(&away, server.file()).expect("back");
    let found = index.query().answer(path(1));
    assert_eq!((found.status, found.stale), (Status::Ok, false));
    assert_eq!(index.counts().last_failure, None);
}

#[test]
fn what_is_gone_is_not_there() {
    let (_folder, server, _) = films(4);
    let source = PlexDatabase::new(&server.folder);
    let films = library(&source, "Films");
    server.write(|database| written::delete(database, 3));
    let items = source.items(&["2", "3", "4"], Bounds::NONE).expect("asked");
    let keys: Vec<String> = items.into_iter().map(|placed| placed.item.rating_key).collect();
    assert_eq!(keys, ["2", "4"]);
    assert_eq!(source.items(&["3"], Bounds::NONE), Ok(Vec::new()));
    for section in ["77", "none"] {
        let gone = Library {
            section: section.to_owned(),
            ..films.clone()
        };
        let page = source.page(&rows_of(&gone, 0, 0, 10), Bounds::NONE, &mut Vec::new());
        assert_eq!(page.expect_err("gone").status, Status::NotOnServer, "{section}");
    }
}

#[test]
fn a_page_ends_with_its_bounds() {
    let (_folder, server, _) = films(4);
    let source = PlexDatabase::new(&server.folder);
    let films = library(&source, "Films");
    for (bounds, status) in [
        (stopped_by(&|| true), Status::Aborted),
        (within(Duration::ZERO), Status::Timeout),
    ] {
        let page = source.page(&rows_of(&films, 0, 0, 10), bounds, &mut Vec::new());
        assert_eq!(page.expect_err("it ends").status, status);
    }
}

/// Makes the file old enough for the next write to show in its time.
fn age(server: &Server) {
    let minute_ago = std::time::SystemTime::now() - Duration::from_secs(60);
    writable(server.file()).set_modified(minute_ago).expect("set");
    std::thread::sleep(Duration::from_millis(60)); // the time of its facts cannot be set
}

/// An index that counts how often the database is looked into.
fn counted(server: &Server, looks: &Arc<AtomicU64>, clock: &Arc<ManualClock>) -> Index {
    let (looks, folder) = (Arc::clone(looks), server.folder.clone());
    let hook: Hook = Arc::new(move |_, _| {
        looks.fetch_add(1, Ordering::Relaxed);
    });
    let real = PlexDatabase::new(&folder);
    let options = options(&folder.parent().expect("a folder").join("store"), &folder);
    let hooked = Hooked::over(real, hook);
    Index::open_with(options, Arc::clone(clock) as _, |_, _, _| Ok(hooked)).expect("opened")
}

/// A server of so many libraries, each with one film.
fn libraries(count: i64) -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::new(&folder.path().join("Plex Media Server"));
    server.write(|database| {
        let numbers = format!("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})");
        database
            .execute_batch(&format!(
                "INSERT INTO library_sections (name, section_type, uuid, scanned_at) {numbers} SELECT 'Films ' || i, 1, \
                 'uuid-' || i, 1700000000 FROM n; \
                 INSERT INTO section_locations (library_section_id, root_path) {numbers} SELECT i, '/data/' || i FROM n; \
                 INSERT INTO metadata_items (library_section_id, metadata_type, title, changed_at) {numbers} SELECT i, 1, \
                 'Film', i FROM n; \
                 INSERT INTO media_items (metadata_item_id, library_section_id) {numbers} SELECT i, i FROM n; \
                 INSERT INTO media_parts (media_item_id, file) {numbers} SELECT i, '/data/' || i || '/Film.mkv' FROM n"
            ))
            .expect("added");
    });
    (folder, server)
}

#[test]
fn twenty_thousand_libraries_are_read() {
    let (_folder, server) = libraries(20_000);
    let source = PlexDatabase::new(&server.folder);
    let read = source.libraries(Bounds::NONE).expect("libraries");
    assert_eq!(read.len(), 20_000);
    for library in read {
        assert_eq!(library.locations, [format!("/data/{}", library.section)]);
    }
}

#[test]
fn a_refresh_does_not_read_all_libraries_for_each() {
    let (_folder, server) = libraries(40);
    age(&server);
    let looks = Arc::new(AtomicU64::new(0));
    let index = counted(&server, &looks, &clock());
    index.list();
    assert_eq!(key_of(&index, "/data/40/Film.mkv").as_deref(), Some("40"));
    // The pages, and the libraries before and after the first listing.
    assert!((40..=43).contains(&looks.load(Ordering::Relaxed)), "{looks:?}");
}

#[test]
fn a_file_that_did_not_move_is_not_looked_into() {
    let (folder, server, _) = films(30);
    age(&server);
    let (looks, clock) = (Arc::new(AtomicU64::new(0)), clock());
    let counted = || counted(&server, &looks, &clock);
    let index = counted();
    index.list();
    let before = looks.load(Ordering::Relaxed);
    clock.advance_ms(HOUR_MS / 2);
    for film in 0..30 {
        assert!(key_of(&index, &path(film)).is_some());
        assert!(key_of(&index, "/data/films/nowhere.mkv").is_none());
    }
    // Nor by a process that comes later.
    drop(index);
    let index = counted();
    assert!(key_of(&index, &path(3)).is_some());
    assert_eq!(looks.load(Ordering::Relaxed), before);
    server.write(|database| written::rename(database, 4, "/data/films/moved.mkv"));
    assert!(key_of(&index, &path(3)).is_none());
    assert!(looks.load(Ordering::Relaxed) > before);
    drop(folder);
}
