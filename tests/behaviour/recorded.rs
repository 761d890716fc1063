//! What hosts recorded outlives damage: damaged databases stay, and their matches can be exported and recorded again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::index::{Ask as _, Index};
use crate::support::{Scene, add, path_of, remove, store_of};
use plexindex::options::Options;
use plexindex::{ImportedMatches, RecordedMatch};
use plexindex_standin::{LibrarySpec, MediaSpec, Standin};

fn open(folder: &Path) -> Index {
    Index::open(Options::new(folder)).expect("the index opens")
}

fn damage(folder: &Path) -> Vec<u8> {
    let damaged = [&b"not a database: "[..], &[7; 5_000]].concat();
    fs::write(folder.join("plexindex-1.db"), &damaged).expect("written");
    damaged
}

#[test]
fn a_damaged_database_never_replaces_an_earlier_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut expected = Vec::new();
    for end in ["", ".2", ".3"] {
        let name = &*format!("plexindex-1.db{end}.broken");
        let mut content = damage(folder.path());
        content.extend(name.as_bytes());
        fs::write(folder.path().join("plexindex-1.db"), &content).expect("written");
        let index = open(folder.path());
        expected.push((name.to_owned(), content));
        let mut names: Vec<_> = expected.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        assert_eq!(index.store().expect("described").broken, names);
        for (name, content) in &expected {
            assert_eq!(fs::read(folder.path().join(name)).expect("kept"), *content, "{name}");
        }
    }
}

/// A folder with a store of a format whose database was damaged, and is now called `.broken`. It has 700 matches, of which
/// `change` may damage some.
fn with_broken_database(format: i64, change: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, PathBuf) {
    let folder = store_of(format);
    let broken = folder.path().join("plexindex-1.db.broken");
    let mut content = fs::read(folder.path().join("plexindex-1.db")).expect("read");
    change(&mut content);
    fs::write(&broken, content).expect("written");
    fs::remove_file(folder.path().join("plexindex-1.db")).expect("removed");
    (folder, broken)
}

fn is_right(found: &RecordedMatch) -> bool {
    let name = found.path.file_stem().and_then(|name| name.to_str());
    let number = name.and_then(|name| name.parse::<u32>().ok());
    number.is_some_and(|number| found.key == format!("/library/metadata/{}", 1_001 + number % 10))
}

#[test]
fn matches_of_a_damaged_database_are_exported_as_far_as_they_can_be_read() {
    // The first has the matches in a log of records.
    for format in [3, 14] {
        check_export(format);
    }
}

/// The positions of the pages with a match or its form.
fn pages_of(content: &[u8], number: u32) -> Vec<usize> {
    let path = format!("/mnt/{number}.mkv");
    let windows = content.windows(path.len()).enumerate();
    let pages: Vec<usize> = windows
        .filter(|(_, text)| *text == path.as_bytes())
        .map(|(at, _)| at / 4_096 * 4_096)
        .collect();
    assert!(!pages.is_empty(), "a match");
    pages
}

fn check_export(format: i64) {
    let (folder, broken) = with_broken_database(format, |_| {});
    let before = fs::read(&broken).expect("read");
    let found = open(folder.path()).export_matches(Some(&broken)).expect("exported");
    assert_eq!(found.len(), 700);
    assert!(found.iter().all(is_right));
    assert!(found.iter().all(|one| one.library_title == "Movies"));
    assert!(found.iter().all(|one| !one.server.is_empty()));
    assert_eq!(fs::read(&broken).expect("read"), before);
    let by_name = open(folder.path()).export_matches(broken.file_name().map(Path::new));
    assert_eq!(by_name.expect("exported"), found);

    // Pages in the middle of the records, and of their index.
    let (folder, broken) = with_broken_database(format, |content| {
        for page in [pages_of(content, 251), pages_of(content, 551)].concat() {
            content[page..][..8].fill(0xff);
        }
    });
    let found = open(folder.path()).export_matches(Some(&broken)).expect("exported");
    assert!((400..700).contains(&found.len()), "{}", found.len());
    assert!(found.iter().all(is_right));
    let has = |number: u32| found.iter().any(|one| one.path.ends_with(format!("{number}.mkv")));
    assert!(has(0) && has(400) && has(699), "before, between and after the damage");
    let mut left = fs::read_dir(folder.path()).expect("the folder").flatten();
    assert!(!left.any(|file| file.file_name().to_string_lossy().contains(".new")));
}

/// The page whose damage makes plexindex set a database aside has no match, and one byte of a row is one row.
#[test]
fn damage_outside_the_matches_costs_no_match() {
    for format in [3, 14] {
        let table = if format == 3 { "store" } else { "meta" };
        let (folder, broken) = with_broken_database(format, |content| {
            let file = tempfile::NamedTempFile::new().expect("a file");
            fs::write(file.path(), &*content).expect("written");
            let database = rusqlite::Connection::open(file.path()).expect("opened");
            let root = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
            let page: u16 = database.query_row(root, [table], |row| row.get(0)).expect("a page");
            content[(usize::from(page) - 1) * 4_096..][..8].fill(0xff);
        });
        let found = open(folder.path()).export_matches(Some(&broken)).expect("exported");
        assert_eq!(found.len(), 700, "format {format}");
    }
    let (folder, broken) = with_broken_database(14, |content| {
        let at = content
            .windows(12)
            .position(|text| text == b"/mnt/352.mkv")
            .expect("a match");
        let key = content[at..]
            .windows(4)
            .position(|text| text == b"1003")
            .expect("its rating key");
        content[at + key + 1] = 0xff;
    });
    let found = open(folder.path()).export_matches(Some(&broken)).expect("exported");
    assert_eq!(found.len(), 699);
    assert!(found.iter().all(is_right));
}

/// What leads to the matches has names that nothing needs, and rows of other libraries.
#[test]
fn a_damaged_name_costs_no_match() {
    let (folder, broken) = with_broken_database(14, |content| {
        let at = content.windows(6).rposition(|text| text == b"Movies").expect("a title");
        content[at] = 0xff;
    });
    let found = open(folder.path()).export_matches(Some(&broken)).expect("exported");
    assert_eq!(found.len(), 700);
}

#[test]
fn a_database_that_was_cut_short_is_exported() {
    let server = Standin::builder().library(LibrarySpec::movies(10)).serve();
    let scene = Scene::of(server);
    let (index, library) = scene.listed();
    let paths: Vec<String> = (0..700).map(|number| format!("/mnt/{number}.mkv")).collect();
    library
        .record_matches(paths.iter().map(|path| (path, "1001")))
        .expect("recorded");
    drop((library, index));
    let content = fs::read(scene.folder().join("plexindex-1.db")).expect("read");
    let broken = scene.folder().join("plexindex-1.db.broken");
    fs::write(&broken, &content[..content.len() / 4_096 * 3 / 4 * 4_096]).expect("written");
    let found = open(scene.folder()).export_matches(Some(&broken)).expect("exported");
    assert!((100..700).contains(&found.len()), "{}", found.len());
    // Without any of them, this is not called an export.
    fs::write(&broken, &content[..4_096]).expect("written");
    open(scene.folder()).export_matches(Some(&broken)).expect_err("refused");
}

/// A process that dies during a commit without a write-ahead log leaves what was before in the journal.
#[test]
fn an_interrupted_commit_is_not_exported() {
    let store = store_of(14);
    let (folder, broken) = with_broken_database(14, |_| {});
    let path = store.path().join("plexindex-1.db");
    let database = rusqlite::Connection::open(&path).expect("opened");
    database
        .execute_batch("PRAGMA journal_mode = TRUNCATE; PRAGMA cache_size = 1; BEGIN; DELETE FROM matches WHERE id % 2")
        .expect("deleted");
    for end in ["", "-journal"] {
        let to = format!("{}{end}", broken.display());
        fs::copy(format!("{}{end}", path.display()), to).expect("copied");
    }
    let found = open(folder.path()).export_matches(Some(&broken)).expect("exported");
    assert_eq!(found.len(), 700);
    drop(database);
}

#[test]
fn only_damaged_databases_are_exported_by_name() {
    let folder = store_of(3);
    let index = open(folder.path());
    let export = |path: &Path| index.export_matches(Some(path)).expect_err("refused");
    let error = export(&folder.path().join("plexindex-1.db"));
    assert_eq!(error.kind(), plexindex::ErrorKind::InvalidArgument);
    for (name, content) in [("none.broken", None), ("text.broken", Some("no database"))] {
        let path = folder.path().join(name);
        if let Some(content) = content {
            fs::write(&path, content).expect("written");
        }
        let error = export(&path);
        assert!(error.message.contains(name), "{error}");
    }
}

/// The server shows the item that it lists for the path again and again, also with another title: that is nothing new.
#[test]
fn a_record_for_a_listed_path_stays_until_another_item_gets_the_path() {
    let (at, index, library) = Scene::movies(30).and_listed();
    let path = "/data/movies/New (2020)/New (2020).mkv";
    let (_, right) = path_of(&at.server, 1, 3);
    let check = |what: &str, expected: &str| {
        at.clock.advance_ms(1_000);
        library.query().checked().expect("checked");
        assert_eq!(library.fast(path).as_deref(), Some(expected), "{what}");
        assert_eq!(library.ask(path).key().as_deref(), Some(expected), "{what}");
    };
    add(&at.server, &[path]);
    library.query().checked().expect("checked");
    let listed = library.fast(path).expect("a delta brought it");
    library.record(path, &right);
    check("nothing changed", &right);
    for number in 0..3 {
        add(&at.server, &[format!("/data/movies/Other {number}.mkv")]);
        check("a delta shows it again", &right);
    }
    let key = listed.parse().expect("a number");
    for title in ["Newer", "Newest"] {
        at.server
            .alter(|state| state.change_item(key, |item| item.title = title.to_owned()));
        library.invalidate_item(&listed).expect("invalidated");
        check("another title", &right);
    }
    at.list(&index);
    check("a listing", &right);
    at.server
        .alter(|state| state.change_item(key, |item| item.title = "Again".to_owned()));
    library.invalidate_item(&listed).expect("invalidated");
    check("another title than in the listing", &right);
    let version = "/data/movies/New (2020)/New (2020) 4K.mkv";
    library.record(version, &right);
    for files in [vec![path, version], vec![version, path], vec![path]] {
        at.server.alter(|state| {
            state.set_files(
                key,
                files.iter().map(|file| MediaSpec::File((*file).to_owned())).collect(),
                true,
                true,
            )
        });
        library.invalidate_item(&listed).expect("invalidated");
        check("another version came or went", &right);
        at.list(&index);
        check("a listing after it", &right);
        let of_version = if files.contains(&version) { &listed } else { &right };
        assert_eq!(library.fast(version).as_ref(), Some(of_version), "{files:?}");
    }
    remove(&at.server, &[key]);
    add(&at.server, &[path]);
    library.query().checked().expect("checked");
    let other = library.fast(path).expect("listed");
    assert!(other != right && other != listed, "{other}");
}

fn two_libraries(items: u32) -> Scene {
    let server = Standin::builder().library(LibrarySpec::movies(items));
    Scene::of(server.library(LibrarySpec::shows(items)).serve())
}

#[test]
fn exported_matches_are_imported_elsewhere() {
    let (from, to) = (two_libraries(20), tempfile::tempdir().expect("a folder"));
    let (index, library) = from.listed();
    library.record("/mnt/1.mkv", "1001");
    library.record("/mnt/2.mkv", "1002");
    let exported = index.export_matches(None).expect("exported");
    let keys: Vec<&str> = exported.iter().map(|one| &*one.key).collect();
    assert_eq!(keys, ["/library/metadata/1001", "/library/metadata/1002"]);

    let other = from.open_with(|options| options.cache_dir = to.path().to_owned());
    let movies = other.movies();
    movies.record("/mnt/2.mkv", "1003");
    let mut elsewhere = exported[0].clone();
    elsewhere.library_uuid = "a-library-of-another-server".to_owned();
    let all = [exported, vec![elsewhere]].concat();
    let counts = |imported: ImportedMatches| [imported.recorded, imported.kept, imported.skipped];
    assert_eq!(counts(other.query().import_matches(&all).expect("imported")), [1, 1, 1]);
    assert_eq!(counts(other.query().import_matches(&all).expect("imported")), [0, 2, 1]);
    other.list();
    for (path, key) in [("/mnt/1.mkv", "1001"), ("/mnt/2.mkv", "1003")] {
        assert_eq!(movies.fast(&path).as_deref(), Some(key));
    }
}

#[test]
fn a_damaged_database_does_not_count_against_the_size_limit() {
    let scene = two_libraries(200).with(|options| options.size_limit = Some(16 << 20));
    let broken = fs::File::create(scene.folder().join("plexindex-1.db.broken")).expect("made");
    broken.set_len(64 << 20).expect("long");
    let (index, _) = scene.listed();
    for _ in 0..3 {
        scene.list(&index);
    }
    let stats = index.counts();
    assert_eq!((stats.evictions, stats.over_limit), (0, 0));
    assert!(scene.folder().join("plexindex-1.db.broken").exists());
}
