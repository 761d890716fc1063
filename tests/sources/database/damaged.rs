//! Damaged files, and those that were made to have no end: a call ends with its time, and the file is left alone for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::index::{Ask as _, Index, Match};
use plexindex::error::{Result, Status};
use plexindex::model::Item;
use plexindex::source::database::PlexDatabase;
use plexindex::source::{Bounds, IndexedItems, Source};

use crate::database::alone::{films, path};
use crate::database::untouched::held;
use crate::database::{library, options};
use crate::support::plex_database::{self as written, Server};
#[cfg(unix)]
use crate::support::worker::{fork, until, wait_for};
use crate::support::worker::{read_at, writable, write_at};
use crate::support::{clock, rows_of, stopped_by, wanted, within};

/// So long a call may take that is over after `DEADLINE`: SQLite would try for ten seconds.
const DEADLINE: Duration = Duration::from_millis(300);
const MOST: Duration = Duration::from_secs(5);

/// What it gives, which must not take as long as SQLite would.
fn soon<T>(what: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let done = what();
    assert!(begun.elapsed() < MOST, "{:?}", begun.elapsed());
    done
}

/// The server was killed, and its log has other bytes at this place since.
pub fn damage_log(server: &Server, place: u64) {
    held(server).kill();
    flip(server, "-wal", place);
}

fn flip(server: &Server, end: &str, place: u64) {
    let file = writable(server.beside(end));
    let mut byte = [0];
    read_at(&file, &mut byte, place);
    write_at(&file, &[byte[0] ^ 64], place);
}

/// Where a log says what it is, and how large its pages are.
const OF_A_LOG: [u64; 2] = [0, 10];

#[test]
fn a_damaged_log_holds_up_no_call() {
    for place in OF_A_LOG {
        let (_folder, server, _) = films(40);
        damage_log(&server, place);
        let asked = |bounds| {
            let error = soon(|| PlexDatabase::new(&server.folder).libraries(bounds)).expect_err("damaged");
            assert!(error.message.contains("its -wal is damaged"), "{error}");
            error.status
        };
        assert_eq!(asked(within(DEADLINE)), Status::Timeout);
        assert_eq!(asked(Bounds::NONE), Status::ServerError, "and no deadline");
        // A call that is stopped ends at once, too.
        let stopped = AtomicBool::new(false);
        let aborted = || stopped.swap(true, Ordering::Relaxed);
        let aborted = stopped_by(&aborted);
        let error = soon(|| PlexDatabase::new(&server.folder).libraries(aborted)).expect_err("stopped");
        assert_eq!(error.status, Status::Aborted);
    }
}

fn asked(index: &Index, path: &str) -> Result<Match> {
    let query = index.query().timeout(DEADLINE);
    query.matched(path)
}

/// The file is left alone for 15 s after a failure that took long, and for 2 s where it has changed since.
#[test]
fn a_damaged_log_is_left_alone_for_a_while() {
    let (folder, server, _) = films(40);
    let clock = clock();
    let open = |store: &str| {
        let options = options(&folder.path().join(store), &server.folder);
        Index::open_with_clock(options, Arc::clone(&clock) as _).expect("opened")
    };
    let index = open("store");
    index.list();
    server.write(|database| written::rename(database, 7, "/data/films/renamed.mkv"));
    damage_log(&server, 0);
    clock.advance_ms(1);
    // The old answer stands in, and says so.
    for _ in 0..3 {
        let found = soon(|| asked(&index, &path(3))).expect("the old answer");
        assert_eq!((found.status, found.stale), (Status::Ok, true));
        assert_eq!(found.item.expect("an item").rating_key, "4");
    }
    let failure = index.counts().last_failure.expect("a failure");
    assert!(failure.contains("its -wal is damaged"), "{failure}");
    flip(&server, "-wal", 0);
    let renamed = |index: &Index| asked(index, "/data/films/renamed.mkv").expect("an answer").status;
    assert_ne!(renamed(&index), Status::Ok, "it is left alone");
    clock.advance_ms(1_999);
    assert_ne!(renamed(&index), Status::Ok, "still");
    clock.advance_ms(1);
    assert_eq!(renamed(&index), Status::Ok, "it is whole again");
    // Another process asks, and finds it whole.
    assert_eq!(renamed(&open("other")), Status::Ok);
}

/// What the index has: nothing that any of these asks for.
struct Nothing(String);

impl IndexedItems for Nothing {
    fn base_token(&self) -> &str {
        &self.0
    }
    fn add(&self, _: &[Item]) -> Result<()> {
        Ok(())
    }
    fn has(&self, _: &Item) -> Result<bool> {
        Ok(false)
    }
    fn has_any(&self, _: &[String]) -> Result<bool> {
        Ok(true)
    }
    fn count(&self) -> Result<u64> {
        Ok(1_000_000)
    }
    fn keys(&self, _: &mut dyn FnMut(&str)) -> Result<()> {
        Ok(())
    }
    fn accepts_shrinking_to(&self, _: u64) -> Result<bool> {
        Ok(true)
    }
}

/// A call with these bounds.
type Call<'c> = dyn FnMut(Bounds<'_>) -> Result<()> + 'c;

/// A table of the database becomes a view that has no rows, and is read for ever.
fn make_endless(server: &Server, table: &str) {
    server.write(|database| {
        database
            .execute_batch(&format!(
                "PRAGMA legacy_alter_table = 1; PRAGMA foreign_keys = 0; ALTER TABLE {table} RENAME TO was_{table}; \
                 CREATE VIEW {table} AS WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) \
                 SELECT t.* FROM n CROSS JOIN was_{table} t WHERE n.x < 0"
            ))
            .expect("a view");
    });
}

#[test]
fn a_table_without_an_end_is_refused_and_holds_up_no_statement() {
    let mut late = 0;
    let tables = "library_sections section_locations metadata_items media_items media_parts tags taggings";
    for table in tables.split(' ') {
        let (_folder, server, _) = films(40);
        server.write(|database| (1..=40).for_each(|id| written::add_external_id(database, id, "imdb://tt1")));
        let before = library(&PlexDatabase::new(&server.folder), "Films");
        server.write(|database| written::touch(database, 3));
        make_endless(&server, table);
        // Before anything is read of it.
        let source = || PlexDatabase::new(&server.folder);
        let error = source().libraries(Bounds::NONE).expect_err("a view");
        assert_eq!(error.status, Status::NotPlex);
        assert!(error.message.contains(&format!("the table {table}")), "{error}");
        let request = rows_of(&before, 0, 0, 100);
        let paths = [path(3).into_bytes()];
        let wanted = wanted(&paths, "Film 3.mkv", None);
        let known = Nothing(before.change.token.clone());
        let never = &mut |_| Ok(false);
        let calls: [(&str, &mut Call<'_>); 3] = [
            ("page", &mut |of| source().page(&request, of, &mut Vec::new()).map(drop)),
            ("changes", &mut |of| source().changes(&before, &known, of).map(drop)),
            ("find_path", &mut |of| {
                source().find_path(&before, &wanted, of, never).map(drop)
            }),
        ];
        for (what, call) in calls {
            let done = soon(|| call(within(DEADLINE)));
            if let Err(error) = done {
                assert_eq!(error.status, Status::Timeout, "{table}, {what}: {error}");
                late += 1;
            }
        }
    }
    assert!(late > 12, "{late}");
}

/// While a statement runs that would not end, the process forks: both sides go on at once.
#[test]
#[cfg(unix)]
fn a_fork_waits_for_no_statement_that_lasts() {
    let (folder, server, _) = films(40);
    let source = Arc::new(PlexDatabase::new(&server.folder));
    let films = library(&*source, "Films");
    make_endless(&server, "media_parts");
    let its_source = Arc::clone(&source) as Arc<dyn Source>;
    // It is told of forks.
    let options = options(&folder.path().join("store"), &server.folder);
    let _index = Index::open_with(options, clock(), |_, _, _| Ok(its_source)).expect("opened");
    let (runs, forked) = (std::sync::atomic::AtomicU32::new(0), AtomicBool::new(false));
    let aborted = || {
        runs.fetch_add(1, Ordering::Relaxed);
        forked.load(Ordering::Relaxed)
    };
    let bounds = stopped_by(&aborted);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let paths = [path(3).into_bytes()];
            let wanted = wanted(&paths, "Film 3.mkv", None);
            source.find_path(&films, &wanted, bounds, &mut |_| Ok(false))
        });
        until("a statement runs", || runs.load(Ordering::Relaxed) > 1_000);
        let child = fork(|| {
            let read = source.libraries(Bounds::NONE);
            i32::from(!read.is_err_and(|error| error.status == Status::NotPlex))
        });
        forked.store(true, Ordering::Relaxed);
        assert_eq!(wait_for(child), 0, "the child reads");
        // A statement that the fork had waited for would have come to its own end, which is another error.
        let error = asking.join().expect("no panic").expect_err("stopped");
        assert_eq!(error.status, Status::Aborted, "{error}");
    });
}

/// What `doctor` asks.
#[test]
fn the_server_is_asked_for_with_a_deadline() {
    let (folder, server, _) = films(40);
    damage_log(&server, 0);
    let index = Index::open(options(&folder.path().join("store"), &server.folder)).expect("opened");
    let query = index.query().timeout(DEADLINE);
    let error = soon(|| query.server()).expect_err("damaged");
    assert!(error.message.contains("its -wal is damaged"), "{error}");
}
