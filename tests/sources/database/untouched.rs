//! Reading leaves nothing behind: not a file, not a byte, not a lock that its server would wait for.

use std::collections::BTreeMap;
use std::fs;
#[cfg(unix)]
use std::os::unix::fs::MetadataExt;
#[cfg(windows)]
use std::os::windows::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::support::index::{Ask as _, Index};
use plexindex::error::{Result, RetryAdvice};
use plexindex::model::Item;
use plexindex::source::database::PlexDatabase;
use plexindex::source::{Bounds, Source};

use crate::database::alone::{films, path};
use crate::database::options;
use crate::support::plex_database::{self as written, Server};
use crate::support::worker::{Worker, say, told};
use crate::support::{rows_of, wanted};

/// What there is of a file: which it is, whose, with which rights, when it was written, when these facts changed, and its bytes.
type Facts = (u64, u32, u32, u32, [i64; 4], Vec<u8>);

fn facts(server: &Server) -> BTreeMap<String, Facts> {
    let folder = server.file().parent().expect("a folder").to_owned();
    fs::read_dir(folder)
        .expect("read")
        .map(|entry| {
            let entry = entry.expect("an entry");
            let facts = entry.metadata().expect("facts");
            (
                entry.file_name().to_string_lossy().into_owned(),
                #[cfg(windows)]
                (
                    0,
                    facts.file_attributes(),
                    0,
                    0,
                    [facts.last_write_time().cast_signed(), 0, 0, 0],
                    fs::read(entry.path()).expect("read"),
                ),
                #[cfg(unix)]
                (
                    facts.ino(),
                    facts.mode(),
                    facts.uid(),
                    facts.gid(),
                    [facts.mtime(), facts.mtime_nsec(), facts.ctime(), facts.ctime_nsec()],
                    fs::read(entry.path()).expect("read"),
                ),
            )
        })
        .collect()
}

fn names(server: &Server) -> Vec<String> {
    facts(server).into_keys().collect()
}

const ALONE: [&str; 1] = ["com.plexapp.plugins.library.db"];
const OPEN: [&str; 3] = [
    "com.plexapp.plugins.library.db",
    "com.plexapp.plugins.library.db-shm",
    "com.plexapp.plugins.library.db-wal",
];

/// Everything that reads.
fn read_all(server: &Server, store: &Path) {
    let index = Index::open(options(store, &server.folder)).expect("opened");
    let found = index.query().answer(path(3));
    assert_eq!(found.item.expect("an item").rating_key, "4");
    index.query().refreshed(true).expect("listed");
    index.query().refreshed(true).expect("listed again");
    let handle = index.library("Films").expect("a handle");
    handle.invalidate_item("4").expect("invalidated");
    assert!(index.query().answer(path(3)).item.is_some());
    index.close().expect("closed");
}

/// Everything is read, and all files are as they were.
fn read_without_a_trace(folder: &Path, server: &Server, there: &[&str]) {
    let before = facts(server);
    assert_eq!(names(server), there);
    read_all(server, &folder.join("store"));
    assert!(facts(server) == before, "{:?}", names(server));
}

/// Another process, as the server: holds the database open, with something in its log.
pub fn hold(words: &[&str]) {
    let server = Server::at(Path::new(words[0]));
    let database = server.open();
    database.execute_batch("PRAGMA wal_autocheckpoint = 0").expect("set");
    written::run(&database, "UPDATE library_sections SET user_fields = 'held'", []);
    say("ready");
    let _ = told();
    database.close().expect("closed");
}

/// A process that does.
pub fn held(server: &Server) -> Worker {
    let mut running = Worker::start("hold", [server.folder.to_str().expect("a name")]);
    assert_eq!(running.hear(), "ready");
    running
}

/// Another process, as the server: writes as fast as it can until it is told to stop, two films at a time.
pub fn write(words: &[&str]) {
    let (server, restarts) = (Server::at(Path::new(words[0])), words[1] == "restarts");
    say("ready");
    let (stop, stopped) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _ = told();
        let _ = stop.send(());
    });
    let (mut database, mut number) = (Some(server.open()), 0);
    while stopped.try_recv().is_err() {
        let open = database.get_or_insert_with(|| server.open());
        let transaction = open.unchecked_transaction().expect("begun");
        for _ in 0..2 {
            number += 1;
            let path = format!("/data/films/written {number}.mkv");
            written::add_film(open, 1, &format!("Written {number}"), &path);
        }
        transaction.commit().expect("committed");
        if restarts {
            database.take().expect("open").close().expect("closed");
        }
    }
    if let Some(open) = database {
        open.close().expect("closed");
    }
    say(&format!("{number} films"));
}

#[test]
fn a_stopped_server_finds_its_folder_as_it_was() {
    let (folder, server, _) = films(40);
    read_without_a_trace(folder.path(), &server, &ALONE);
}

#[test]
fn a_running_server_finds_its_files_as_they_were() {
    let (folder, server, _) = films(40);
    let mut running = held(&server);
    read_without_a_trace(folder.path(), &server, &OPEN);
    // It stops as if nothing had read: its log is merged, and goes.
    running.tell("stop");
    running.end();
    assert_eq!(names(&server), ALONE);
}

/// As root SQLite would set the owner of `-shm` to that of the database.
#[cfg(unix)]
#[test]
fn no_file_gets_another_owner() {
    let (folder, server, _) = films(40);
    let running = held(&server);
    let database = server.file();
    if std::os::unix::fs::chown(&database, Some(12_345), Some(12_345)).is_ok() {
        read_without_a_trace(folder.path(), &server, &OPEN);
    }
    running.kill();
}

#[test]
fn a_killed_server_finds_its_files_as_they_were() {
    let (folder, server, _) = films(40);
    let running = held(&server);
    running.kill();
    read_without_a_trace(folder.path(), &server, &OPEN);
    // What stood in its log only is read: nothing is lost by reading.
    let sql = "SELECT count(*) FROM library_sections WHERE user_fields = 'held'";
    let held = server.write(|database| database.query_row(sql, [], |row| row.get::<_, i64>(0)));
    assert_eq!(held, Ok(1));
}

/// One slice of the library: of one moment, or a failure that passes.
fn slice(source: &PlexDatabase) -> Result<Vec<Item>> {
    let library = source.libraries(Bounds::NONE)?.swap_remove(0);
    let request = rows_of(&library, 0, 0, 1_000);
    let mut items = Vec::new();
    let end = source.page(&request, Bounds::NONE, &mut items)?;
    assert_eq!(end.total.expect("a total") % 2, 0, "of one moment");
    let paths = [path(3).into_bytes()];
    let wanted = wanted(&paths, "Film 3.mkv", None);
    source.find_path(&library, &wanted, Bounds::NONE, &mut |found| Ok(!found.is_empty()))?;
    Ok(items)
}

/// A writer at full speed, which never stops or stops after each write, and a reader beside it: for this time, and until it
/// has read so many slices.
fn beside(how: &str, time: Duration, least: u32) {
    let (_folder, server, _) = films(40);
    let mut writer = Worker::start("write", [server.folder.to_str().expect("a name"), how]);
    assert_eq!(writer.hear(), "ready");
    let source = PlexDatabase::new(&server.folder);
    let (mut read, begun) = (0, Instant::now());
    while begun.elapsed() < time || read < least {
        assert!(begun.elapsed() < Duration::from_secs(60), "{read} slices");
        match slice(&source) {
            Ok(items) => {
                let all = items.iter().take(40).enumerate();
                all.for_each(|(at, item)| assert_eq!(item.rating_key, (at + 1).to_string()));
                read += 1;
            }
            Err(error) => assert_eq!(error.status.retry_advice(), RetryAdvice::NotNow, "{error}"),
        }
    }
    writer.tell("stop");
    let said = writer.hear();
    writer.end();
    assert_eq!(names(&server), ALONE, "{how}: {said}");
}

#[test]
fn a_server_at_full_speed_is_read_moment_by_moment() {
    beside("runs", Duration::from_millis(700), 10);
}

#[test]
fn a_server_that_starts_and_stops_all_the_time_leaves_no_file_that_it_did_not_make() {
    beside("restarts", Duration::from_millis(1_500), 1);
}
