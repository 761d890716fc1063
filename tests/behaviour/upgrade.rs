//! Stores of other formats. `tests/release/stores.tar.xz` has a store of each format, made by the last build that wrote
//! it. They are alike, so one archive of all is a quarter of one of each. To add format N:
//! `python3 -m tarfile -e tests/release/stores.tar.xz build/stores`,
//! `PLEXINDEX_NEW_STORE=build/stores/N cargo test -p plexindex-tests --test behaviour -- --ignored new_store`, and
//! `(cd build/stores && python3 -m tarfile -c ../../tests/release/stores.tar.xz *)`.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::support::index::{Ask as _, Index, Library, freeze_coarse_clock};
use crate::support::{
    KEEP, STORE_PORT, STORE_TOKEN, add, copy_of, files_in, repository, segments, store_of, store_options, unpacked,
    warnings,
};
use plexindex::ChangeKind;
use plexindex::error::Status;
use plexindex::options::Options;
use plexindex_sharing::SharedIndex;
use plexindex_standin::{LibrarySpec, Standin};
use rusqlite::Connection;

const ITEMS: u32 = 20;
/// Formats before 11 had so many in two segments.
const MATCHES: usize = 700;
const ENTRIES: usize = 500;

fn open(folder: &Path, change: impl FnOnce(&mut Options)) -> Index {
    let mut options = Options {
        // However old the stores are, a delta is enough: the items of today's stand-in have other sizes.
        max_age: Duration::from_secs(100 * 365 * 86_400),
        ..store_options(folder)
    };
    change(&mut options);
    Index::open(options).expect("the index opens")
}

/// Options of a host that shares a database, which does not answer.
fn share(options: &mut Options) {
    options.shared = Some("postgres://nobody@127.0.0.1:1/log".into());
}

/// The path and rating key of a match that a host recorded. Every seventh one is in the library's folder, so that other
/// hosts can use it.
fn recorded(number: usize) -> (String, String) {
    let folder = if number.is_multiple_of(7) {
        "/data/movies"
    } else {
        "/mnt"
    };
    (format!("{folder}/{number}.mkv"), (1_001 + number % 10).to_string())
}

fn entry(number: usize) -> (String, String) {
    (format!("entry {number}"), format!("value {number}"))
}

/// The server of the stores at another port, before a film was added.
fn serve(port: u16) -> Standin {
    let builder = Standin::builder()
        .library(LibrarySpec::movies(ITEMS).plain())
        .port(port);
    builder.token(STORE_TOKEN).serve()
}

/// Writes everything that a host can record into a new store in `folder`.
fn fill(folder: &Path) {
    let server = serve(STORE_PORT);
    let index = open(folder, |_| {});
    index.list();
    let cursor = index.query().cursor();
    let table = index.tables().table(b"Notes", false).expect("a table");
    table.put(b"cursor", cursor.as_bytes(), &KEEP).expect("stored");
    add(&server, &["/data/movies/later.mkv"]);
    index.list();
    let end = index.query().cursor();
    table.put(b"end", end.as_bytes(), &KEEP).expect("stored");
    let matches: Vec<(String, String)> = (0..MATCHES).map(recorded).collect();
    for some in matches.chunks(50) {
        let recorded = index
            .movies()
            .record_matches(some.iter().map(|(path, key)| (path, key)));
        recorded.expect("recorded");
    }
    for number in 0..ENTRIES {
        let (name, value) = entry(number);
        table.put(name.as_bytes(), value.as_bytes(), &KEEP).expect("stored");
    }
    drop(index);
    // The database never answers, so what is recorded waits in the store.
    let index = open(folder, share);
    for number in (0..MATCHES).step_by(70) {
        let (path, key) = recorded(number);
        index.movies().record(path, &key);
    }
    drop(index);
}

#[test]
#[ignore = "makes the store of a format before the format changes"]
fn new_store() {
    let made = tempfile::tempdir().expect("a folder");
    fill(made.path());
    check(copy_of(made.path()).path());
    let Some(folder) = std::env::var_os("PLEXINDEX_NEW_STORE").map(|path| repository(PathBuf::from(path))) else {
        return;
    };
    fs::create_dir_all(&folder).expect("made");
    for file in fs::read_dir(made.path()).expect("the folder").flatten() {
        // Other files belong to the machine: plexindex makes them again.
        let name = file.file_name().into_string().expect("UTF-8");
        if [".db", ".segment", "-client-id"].iter().any(|end| name.ends_with(end)) {
            fs::copy(file.path(), folder.join(name)).expect("copied");
        }
    }
}

/// Checks that fast lookups find every recorded match.
fn check_matches(library: &Library) {
    for (path, key) in (0..MATCHES).map(recorded) {
        assert_eq!(library.fast(&path), Some(key), "{path}");
    }
}

/// Checks that the store in `folder` has everything that [`fill`] has recorded.
fn check(folder: &Path) {
    check_offline(folder);
    check_with(folder, Ok(&[ChangeKind::Added]), Ok(&[]));
}

/// Checks the same for what was a store of this format.
fn check_migrated(folder: &Path, format: i64) {
    if format < 10 {
        // Its libraries are listed again.
        check_offline(folder);
        check_with(folder, Err(Status::ListAgain), Err(Status::ListAgain));
    } else {
        check(folder);
    }
}

/// Checks that matches are found before any query, also beside segments of an older format.
fn check_offline(folder: &Path) {
    check_matches(&open(folder, |options| options.offline = true).movies());
}

/// Checks the same. `told`, `last`: what the readers of the feed find that had not, and that had, read everything.
fn check_with(folder: &Path, told: Result<&[ChangeKind], Status>, last: Result<&[ChangeKind], Status>) {
    let server = serve(0);
    add(&server, &["/data/movies/later.mkv"]);
    let index = open(folder, |options| options.server_url = Some(server.url()));
    let library = index.movies();
    let later = library.ask("/data/movies/later.mkv");
    assert_eq!(later.status, Status::Ok);
    check_matches(&library);
    let table = index.tables().table(b"Notes", false).expect("a table");
    for (name, value) in (0..ENTRIES).map(entry) {
        let found = table.lookup(name.as_bytes(), <[u8]>::to_vec);
        assert_eq!(found, Some(value.into_bytes()), "{name}");
    }
    let kinds_after = |name: &[u8]| {
        let cursor = table.lookup(name, |bytes| String::from_utf8(bytes.to_vec()).expect("text"))?;
        let page = index.query().changes_page(&cursor, false, 100);
        let kinds = page.map(|page| page.changes.iter().map(|change| change.kind).collect::<Vec<_>>());
        Some(kinds.map_err(|error| error.status))
    };
    assert_eq!(kinds_after(b"cursor").expect("a cursor"), told.map(<[_]>::to_vec));
    // Stores before format 7 have no cursor of a reader that had read everything.
    if let Some(kinds) = kinds_after(b"end") {
        assert_eq!(kinds, last.map(<[_]>::to_vec));
    }
    drop(index);
    let index = open(folder, share);
    let status = index.shared_status().expect("read").expect("it shares");
    // Every seventh match is in the library's folder: this host offers them all.
    assert_eq!(status.undelivered, Some(MATCHES.div_ceil(7) as u64));
}

/// The formats of the stores, lowest first.
fn formats() -> Vec<i64> {
    let stores = files_in(&unpacked("stores")).into_iter();
    let names = stores.map(|store| store.file_name().expect("a name").to_str().expect("UTF-8").to_owned());
    let mut formats: Vec<i64> = names.map(|name| name.parse().expect("a format")).collect();
    formats.sort_unstable();
    formats
}

fn database(folder: &Path) -> PathBuf {
    folder.join("plexindex-1.db")
}

/// A connection of another program, which leaves the write-ahead log to the index. The index opens no database that
/// another connection in its process has open.
fn connect(folder: &Path) -> Connection {
    let connection = Connection::open(database(folder)).expect("connects");
    let keep_log = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
    connection.set_db_config(keep_log, true).expect("set");
    connection
}

fn version(folder: &Path) -> i64 {
    let row = connect(folder).query_row("PRAGMA user_version", [], |row| row.get(0));
    row.expect("a version")
}

/// The format that this build writes.
fn current_version() -> i64 {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path(), |_| {}));
    version(folder.path())
}

#[test]
fn each_older_store_has_all_that_was_recorded_after_its_migration() {
    freeze_coarse_clock(0); // no other process has to notice that there is no version page
    for format in formats() {
        let folder = store_of(format);
        assert_eq!(version(folder.path()), format);
        check_migrated(folder.path(), format);
        assert_eq!(version(folder.path()), current_version());
        assert!(!folder.path().join("plexindex-1.db.broken").exists());
        // It can be written, and keeps what is written.
        let index = open(folder.path(), |options| options.offline = true);
        index.movies().record("/mnt/after.mkv", "1002");
        drop(index);
        check_migrated(folder.path(), format);
    }
}

/// Gives the segments a version of which this build cannot read the items, without another change.
fn age_segments(folder: &Path) {
    for path in segments(folder) {
        let mut bytes = fs::read(&path).expect("read");
        let version = u32::from_le_bytes(bytes[8..12].try_into().expect("four bytes")) - 2;
        bytes[8..12].copy_from_slice(&version.to_le_bytes());
        fs::write(&path, bytes).expect("written");
    }
}

#[test]
fn segments_of_an_older_version_are_fetched_again_and_not_called_damaged() {
    warnings::keep();
    let folder = tempfile::tempdir().expect("a folder");
    fill(folder.path());
    age_segments(folder.path());
    let offline = open(folder.path(), |options| options.offline = true);
    for (path, key) in (0..MATCHES).step_by(100).map(recorded) {
        let found = offline.movies().ask(&path);
        assert_eq!((found.key(), found.stale), (Some(key), true), "{path}");
    }
    drop(offline);
    // The feed cannot tell what changed since a listing that nobody can read.
    check_with(
        folder.path(),
        Ok(&[ChangeKind::ListAgain]),
        Ok(&[ChangeKind::ListAgain]),
    );
    // The lines say what happened, and speak of no damage.
    let name = folder.path().display().to_string();
    let mut lines = warnings::so_far().clone();
    lines.retain(|line| line.contains(&name));
    let has = |what: &&str| lines.iter().any(|line| line.contains(what));
    let expected = ["another version of plexindex", "will fetch the listing again"];
    assert!(expected.iter().all(has), "{lines:#?}");
    assert!(
        !["damaged", "missing", "renamed", "another store"].iter().any(has),
        "{lines:#?}"
    );
}

#[test]
fn a_migration_adds_only_what_is_missing() {
    let filled = tempfile::tempdir().expect("a folder");
    fill(filled.path());
    for format in formats() {
        let folder = copy_of(filled.path());
        connect(folder.path())
            .pragma_update(None, "user_version", format)
            .expect("written");
        check(folder.path());
        assert_eq!(version(folder.path()), current_version(), "{format}");
    }
}

#[test]
fn the_listing_of_the_format_before_answers_while_the_server_is_away() {
    let folder = store_of(current_version() - 1);
    let index = open(folder.path(), |options| options.offline = true);
    let listed = index.movies().ask("/data/movies/later.mkv");
    assert_eq!(listed.status, Status::Ok);
    // By the end of the path, which the table of names finds.
    let elsewhere = index.movies().ask("/mnt/later.mkv");
    assert_eq!(elsewhere.key(), listed.key());
    assert!(elsewhere.key().is_some());
}

#[test]
fn there_is_a_store_of_each_older_format() {
    assert_eq!(formats(), (3..current_version()).collect::<Vec<_>>());
}

#[test]
fn a_migrated_database_has_the_tables_of_a_new_one() {
    /// Tables and indexes with their columns, whatever the order of the columns.
    fn schema(folder: &Path) -> Vec<String> {
        let rows = |sql: &str, columns: usize| {
            let connection = connect(folder);
            let mut statement = connection.prepare(sql).expect("prepared");
            let rows = statement.query_map([], |row| {
                let cells = (0..columns).map(|column| row.get::<_, rusqlite::types::Value>(column));
                Ok(format!("{:?}", cells.collect::<rusqlite::Result<Vec<_>>>()?))
            });
            rows.expect("rows").collect::<rusqlite::Result<Vec<_>>>().expect("rows")
        };
        let tables = "SELECT t.name, t.type, t.wr, t.strict, c.name, c.type, c.\"notnull\", c.dflt_value, c.pk \
                      FROM pragma_table_list t JOIN pragma_table_xinfo(t.name) c ORDER BY t.name, c.name";
        let indexes = "SELECT t.name, i.\"unique\", i.origin, i.partial, c.seqno, c.name, c.\"desc\", c.coll \
                       FROM pragma_table_list t JOIN pragma_index_list(t.name) i JOIN pragma_index_xinfo(i.name) c \
                       ORDER BY t.name, i.origin, i.name, c.seqno";
        let references = "SELECT t.name, f.\"table\", f.\"from\", f.\"to\" FROM pragma_table_list t \
                          JOIN pragma_foreign_key_list(t.name) f ORDER BY t.name, f.\"from\"";
        let counters = "SELECT name FROM sqlite_sequence WHERE name IN ('views', 'libraries') ORDER BY name";
        [
            rows(tables, 9),
            rows(indexes, 8),
            rows(references, 4),
            rows(counters, 1),
        ]
        .concat()
    }
    freeze_coarse_clock(0); // no other process has to notice that there is no version page
    let new = tempfile::tempdir().expect("a folder");
    drop(open(new.path(), |_| {}));
    for format in formats() {
        let folder = store_of(format);
        drop(open(folder.path(), |_| {}));
        assert_eq!(schema(folder.path()), schema(new.path()));
    }
}

#[test]
fn processes_that_migrate_at_once_agree() {
    let stores: Vec<_> = formats().into_iter().map(|format| (format, store_of(format))).collect();
    // All stores at once: each waits until there is a version page.
    std::thread::scope(|scope| {
        for (_, folder) in &stores {
            for _ in 0..8 {
                scope.spawn(|| drop(open(folder.path(), |_| {})));
            }
        }
    });
    for (format, folder) in stores {
        check_migrated(folder.path(), format);
    }
}

/// A process of format 3 starts each read of new data and each write with the first statement, and opens with the second.
#[test]
fn statements_of_format_3_fail_after_the_migration() {
    let folder = store_of(3);
    drop(open(folder.path(), |_| {}));
    let connection = connect(folder.path());
    for sql in [
        "SELECT max(sequence, (sequence & ~0xFFFFFFFFF) | (coalesce((SELECT max(id) FROM records), 0) >> 27)) FROM store",
        "SELECT store_id FROM store",
    ] {
        let error = connection.prepare(sql).expect_err("it fails");
        // This error does not mean that the database is damaged, so the old process leaves it where it is.
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::Unknown));
        assert!(error.to_string().contains("no such table: store"), "{error}");
    }
}

/// The name of each file, a hash of its content, and when it was changed; without SQLite's index of the log, which each
/// reader may build again.
fn files(folder: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let entries = fs::read_dir(folder).expect("the folder");
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let mut hasher = DefaultHasher::new();
            fs::read(&path).expect("read").hash(&mut hasher);
            let changed = path.metadata().and_then(|metadata| metadata.modified());
            (path, hasher.finish(), changed.expect("a time"))
        })
        .collect();
    files.retain(|(path, ..)| path.extension() != Some("db-shm".as_ref()));
    files.sort();
    files
}

fn expect_refusal(error: &plexindex::error::Error) {
    let (newer, current) = (current_version() + 1, current_version());
    let expected = format!(
        "has format {newer}, and plexindex {} uses format {current}",
        env!("CARGO_PKG_VERSION")
    );
    assert!(error.message.contains(&expected), "{error}");
    let remedy = "; update plexindex, or choose another cache_dir";
    assert!(error.message.ends_with(remedy), "{error}");
}

#[test]
fn a_newer_store_is_refused_and_not_changed() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(open(folder.path(), |_| {}));
    let newer = current_version() + 1;
    let other = connect(folder.path());
    other.pragma_update(None, "user_version", newer).expect("written");
    drop(other);
    let before = files(folder.path());
    let refused = Index::open(Options::new(folder.path()));
    expect_refusal(&refused.expect_err("refused"));
    assert_eq!(files(folder.path()), before);
}

#[test]
fn an_open_index_leaves_a_store_alone_that_a_newer_version_migrates() {
    let folder = store_of(3);
    let index = open(folder.path(), |options| options.offline = true);
    let library = index.movies();
    let table = index.tables().table(b"Notes", false).expect("a table");
    table.put(b"before", b"1", &KEEP).expect("stored");
    library.record("/mnt/before.mkv", "1002");
    // A newer version migrates the store and writes to it.
    let newer = current_version() + 1;
    connect(folder.path())
        .execute_batch(&format!(
            "BEGIN; PRAGMA user_version = {newer}; UPDATE meta SET sequence = sequence + 1; COMMIT"
        ))
        .expect("migrated");
    let rows = || {
        connect(folder.path()).query_row(
            "SELECT (SELECT count(*) FROM matches) + (SELECT count(*) FROM entries)",
            [],
            |row| row.get::<_, i64>(0),
        )
    };
    let before = rows().expect("counted");
    for _ in 0..2 {
        expect_refusal(&table.put(b"after", b"1", &KEEP).expect_err("refused"));
        let recorded = library.record_match("/mnt/after.mkv", "1002");
        expect_refusal(&recorded.expect_err("refused"));
        expect_refusal(&table.count().expect_err("refused"));
    }
    assert_eq!(rows().expect("counted"), before);
    assert!(!folder.path().join("plexindex-1.db.broken").exists());
}
