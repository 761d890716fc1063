//! How the file is found and opened, and when it is not.

use std::fs;
use std::path::Path;

use plexindex::error::{RetryAdvice, Status};
use plexindex::source::database::PlexDatabase;
use plexindex::source::{Bounds, Source};
use rusqlite::Connection;

use crate::support::index::Index;
use crate::support::plex_database::{IN_FOLDER, Server, kind, run};

fn served() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::new(&folder.path().join("Plex Media Server"));
    server.library("Films", kind::MOVIE, "/data/films");
    (folder, server)
}

fn refusal(path: &Path) -> (Status, String) {
    let error = PlexDatabase::new(path).libraries(Bounds::NONE).expect_err("refused");
    (error.status, error.message)
}

#[test]
fn the_file_or_the_folder_of_the_server_may_be_named() {
    let (folder, server) = served();
    let link = folder.path().join("a link");
    #[cfg(unix)]
    std::os::unix::fs::symlink(server.file(), &link).expect("linked");
    // Links need a right there.
    #[cfg(windows)]
    fs::hard_link(server.file(), &link).expect("linked");
    let own = server.file().parent().expect("a folder").to_owned();
    for named in [server.folder.clone(), server.file(), own, link] {
        let libraries = PlexDatabase::new(&named).libraries(Bounds::NONE).expect("read");
        assert_eq!(libraries[0].title, "Films", "{}", named.display());
        assert_eq!(libraries[0].locations, ["/data/films"]);
    }
    // A name that means something in a URI.
    let odd = folder.path().join(if cfg!(windows) {
        "50% more #1 ü"
    } else {
        "50% more? #1 ü"
    });
    fs::create_dir(&odd).expect("made");
    fs::copy(server.file(), odd.join("a copy.db")).expect("copied");
    let copy = PlexDatabase::new(&odd.join("a copy.db"));
    assert!(copy.libraries(Bounds::NONE).is_ok());
}

#[test]
fn what_is_not_there_is_said_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    for named in [folder.path().to_owned(), folder.path().join("nowhere.db")] {
        let (status, text) = refusal(&named);
        assert_eq!(status.retry_advice(), RetryAdvice::NotNow, "a disk may come");
        assert!(text.contains("com.plexapp.plugins.library.db"), "{text}");
        assert!(text.contains(&named.display().to_string()), "{text}");
        assert_eq!(text.contains(&format!("nor {IN_FOLDER}")), named.is_dir(), "{text}");
    }
    let none = folder.path().join("text.db");
    fs::write(&none, "no database, and long enough for a header ".repeat(30)).expect("written");
    let (status, text) = refusal(&none);
    assert_eq!(status, Status::NotPlex, "{text}");
    let other = folder.path().join("other.db");
    let made = Connection::open(&other).expect("made");
    run(
        &made,
        "CREATE TABLE media_parts (id INTEGER PRIMARY KEY, path TEXT)",
        [],
    );
    drop(made);
    let (status, text) = refusal(&other);
    assert_eq!(status, Status::NotPlex);
    for missing in ["column media_parts.file", "table metadata_items", "table tags"] {
        assert!(text.contains(missing), "{missing}: {text}");
    }
    assert!(!text.contains("media_parts.id"), "{text}");
}

#[test]
fn a_column_with_a_name_of_sql_is_missed_too() {
    let (_folder, server) = served();
    server.write(|database| {
        run(database, "DROP INDEX index_metadata_items_on_index", []);
        run(
            database,
            "ALTER TABLE metadata_items RENAME COLUMN \"index\" TO place",
            [],
        );
    });
    let (status, text) = refusal(&server.folder);
    assert_eq!(status, Status::NotPlex);
    assert!(text.contains("lacks the column metadata_items.index:"), "{text}");
}

#[test]
fn one_companion_alone_is_not_now() {
    let (_folder, server) = served();
    let source = PlexDatabase::new(&server.folder);
    for (end, missing) in [("-wal", "-shm"), ("-shm", "-wal")] {
        let lone = server.beside(end);
        fs::write(&lone, b"").expect("written");
        let error = source.libraries(Bounds::NONE).expect_err("not now");
        assert_eq!(error.status, Status::Starting);
        assert_eq!(error.status.retry_advice(), RetryAdvice::NotNow);
        // Its server's, or a copy without it: that stays so.
        let lacks = format!("has {end} but not {missing}");
        assert!(error.message.contains(&lacks), "{error}");
        assert!(error.message.contains(&format!("also copy {missing}")), "{error}");
        assert_eq!(fs::read(&lone).expect("still there"), b"");
        fs::remove_file(&lone).expect("removed");
        assert!(source.libraries(Bounds::NONE).is_ok(), "and it is over");
    }
}

// On Windows locks are of a handle: closing another handle of the file ends none.
#[cfg(unix)]
#[test]
fn what_this_process_has_open_is_left_alone() {
    let (_folder, server) = served();
    let open = fs::File::open(server.file()).expect("opened");
    let (status, text) = refusal(&server.folder);
    assert_eq!(status.retry_advice(), RetryAdvice::NotNow);
    assert!(text.contains("is already open in this process"), "{text}");
    drop(open);
    assert!(PlexDatabase::new(&server.folder).libraries(Bounds::NONE).is_ok());
    // Its log counts too.
    let _holder = crate::database::untouched::held(&server);
    let log = fs::File::open(server.beside("-wal")).expect("opened");
    assert!(refusal(&server.folder).1.contains("is already open in this process"));
    drop(log);
    assert!(PlexDatabase::new(&server.folder).libraries(Bounds::NONE).is_ok());
}

#[test]
fn two_readers_in_one_process_do_not_refuse_each_other() {
    let (_folder, server) = served();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let source = PlexDatabase::new(&server.folder);
                for _ in 0..50 {
                    source.libraries(Bounds::NONE).expect("read");
                }
            });
        }
    });
}

#[test]
fn dates_are_read_as_texts_and_as_numbers() {
    let (_folder, server) = served();
    let scanned = || {
        let libraries = PlexDatabase::new(&server.folder).libraries(Bounds::NONE).expect("read");
        libraries[0].change.scanned_ms
    };
    assert_eq!(scanned(), 1_700_000_000_000);
    server.write(|database| {
        let sql = "UPDATE library_sections SET scanned_at = '2023-04-15 19:25:00'";
        run(database, sql, [])
    });
    assert_eq!(scanned(), 1_681_586_700_000);
    server.write(|database| run(database, "UPDATE library_sections SET scanned_at = NULL", []));
    assert_eq!(scanned(), 0);
}

#[test]
fn the_server_is_known_by_its_preferences_else_by_the_place() {
    let (folder, server) = served();
    let name = |path: &Path| {
        let server = PlexDatabase::new(path).server(Bounds::NONE).expect("a server");
        server.machine_identifier
    };
    let unnamed = name(&server.folder);
    assert!(unnamed.starts_with("database:"), "{unnamed}");
    assert_eq!(unnamed, name(&server.file()), "the same, however it was named");
    let elsewhere = folder.path().join("a copy.db");
    fs::copy(server.file(), &elsewhere).expect("copied");
    assert_ne!(unnamed, name(&elsewhere));
    let text = "<Preferences ProcessedMachineIdentifier=\"0123456789abcdef\" PlexOnlineToken=\"SECRET\"/>";
    fs::write(server.folder.join("Preferences.xml"), text).expect("written");
    assert_eq!(name(&server.folder.join(IN_FOLDER)), "0123456789abcdef");
}

/// Whatever is asked, in a database of any size: nothing reads all rows of a table.
#[test]
fn every_statement_goes_by_an_index() {
    let sources = [
        include_str!("../../../src/source/database/item_reader.rs"),
        include_str!("../../../src/source/database/changed_rows.rs"),
        include_str!("../../../src/source/database/mod.rs"),
    ];
    let (folder, empty) = served();
    // With the server's own statistics, which are of few rows, and without.
    let small = Server::recorded(&folder.path().join("recorded"), "2023-05");
    let databases = [empty.open(), small.open()];
    let mut planned = 0;
    let pairs = sources
        .iter()
        .flat_map(|source| databases.iter().map(move |one| (source, one)));
    for (source, database) in pairs {
        // Statements are the texts that begin so, with lines joined as Rust joins them.
        for text in source
            .split('"')
            .filter(|text| text.starts_with("SELECT ") || text.starts_with("WITH "))
        {
            let joined = text.split("\\\n").map(str::trim_start).collect::<Vec<_>>().join("");
            let sql = joined.replace("{}", "1");
            // Few rows, whatever the library has.
            if sql.contains("FROM library_sections") || sql.contains("FROM section_locations") {
                continue;
            }
            // All rows, by the smallest index: never before the first answer.
            if sql == "SELECT count(*) FROM metadata_items" {
                continue;
            }
            let plan = database.prepare(&format!("EXPLAIN QUERY PLAN {sql}"));
            let mut plan = plan.expect("a statement");
            let ones = std::iter::repeat_n(1, plan.parameter_count());
            let steps = plan.query_map(rusqlite::params_from_iter(ones), |row| row.get::<_, String>(3));
            let steps = steps.expect("a plan");
            // A recursive statement sorts, and looks at, what it found. The shows of one library are few.
            let may_sort = sql.starts_with("WITH ") || sql.starts_with("SELECT id, title, guid FROM metadata_items ");
            for step in steps {
                let step = step.expect("a step");
                assert!(
                    // SQLite's own table has a row for each table.
                    step == "SCAN sqlite_sequence"
                        || step == "SCAN changed"
                        || !step.starts_with("SCAN ") && (!step.contains("TEMP B-TREE") || may_sort),
                    "{sql}: {step}"
                );
            }
            planned += 1;
        }
    }
    assert!(planned >= 30, "{planned}");
}

#[test]
fn a_journal_beside_it_is_left_to_its_server() {
    let (folder, server) = served();
    let journal = server.beside("-journal");
    // Empty, it is what a server leaves that keeps it.
    fs::write(&journal, "").expect("written");
    let source = PlexDatabase::new(&server.folder);
    assert!(source.libraries(Bounds::NONE).is_ok());
    fs::write(&journal, "a change that is not whole").expect("written");
    let before = fs::read(server.file()).expect("read");
    let error = source.libraries(Bounds::NONE).expect_err("refused");
    assert_eq!(error.status.retry_advice(), RetryAdvice::NotNow);
    assert!(error.message.contains("-journal"), "{error}");
    assert_eq!(fs::read(server.file()).expect("read"), before);
    assert_eq!(fs::read(&journal).expect("read"), b"a change that is not whole");
    fs::remove_file(&journal).expect("removed");
    assert!(source.libraries(Bounds::NONE).is_ok());
    drop(folder);
}

#[test]
fn an_empty_name_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let unnamed = crate::database::options(folder.path(), Path::new(""));
    let refused = Index::open(unnamed).expect_err("refused");
    assert_eq!(refused.status, Status::InvalidArgument);
    assert!(refused.message.contains("database is empty"), "{refused}");
}
