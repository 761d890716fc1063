//! What is dead is swept by later writes: the store's size is bounded by what lives.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::Scene;
use crate::support::index::{Ask as _, Index};
use crate::support::{age, files_in, segments};
use plexindex::error::Status;
use plexindex::options::Options;
use plexindex::tables::Op;
use plexindex_standin::Standin;

use super::broken::answer;
use crate::support::worker::{Worker, database, rounds, say};
use crate::support::{HOUR_MS, KEEP, path_of};

/// The write-ahead log is apart: it is written anew from its beginning once it has some 5 MB.
const LOG: u64 = 6 << 20;

fn size_of(folder: &Path) -> u64 {
    let log = folder.join("plexindex-1.db-wal").metadata();
    assert!(log.is_ok_and(|facts| facts.len() <= LOG), "the write-ahead log grows");
    count_as(folder, "page_count * page_size", "pragma_page_count, pragma_page_size")
}

fn count(folder: &Path, what: &str) -> u64 {
    count_as(folder, "count(*)", what)
}

fn count_as(folder: &Path, what: &str, from: &str) -> u64 {
    let sql = format!("SELECT {what} FROM {from}");
    let count = database(folder).query_row(&sql, [], |row| row.get::<_, i64>(0));
    count.expect("a count").cast_unsigned()
}

/// Refreshes again and again after `change`, and asserts that the store stays within some times of one library.
fn stays_bounded(items: u32, change: fn(&Standin, &crate::support::index::Index)) {
    let (at, index, library) = Scene::movies(items).and_opened();
    let (path, key) = path_of(&at.server, 1, 3);
    assert_eq!(answer(&library, &path).expect("fetched"), key);
    let make_indexes = || {
        library.query().title("the");
        let guid = library.query().match_guid("imdb://tt0000001");
        guid.expect("an answer");
    };
    make_indexes();
    let one = size_of(at.folder());
    let mut largest = 0;
    let refreshes = rounds("PLEXINDEX_REFRESHES", 20, 4);
    for _ in 0..refreshes {
        change(&at.server, &index);
        age(&segments(at.folder()));
        at.clock.advance_ms(HOUR_MS);
        assert_eq!(library.query().refreshed(true).expect("listed"), Status::Ok);
        make_indexes();
        let (path, key) = path_of(&at.server, 1, 5);
        assert_eq!(answer(&library, &path).expect("an answer"), key);
        largest = largest.max(size_of(at.folder()));
        assert!(segments(at.folder()).len() <= 3, "old segments stay");
    }
    // The old listing and the new one live side by side for a moment; what was freed is used again.
    assert!(largest <= one * 7 / 2, "{one} bytes became {largest}");
    index.close().expect("closes");
    let listed = count_as(at.folder(), "sum(listed_items)", "libraries");
    assert_eq!(listed, u64::from(items));
    let [feed, listings, libraries] = ["feed", "listings", "libraries"].map(|table| count(at.folder(), table));
    // A listing that changes everything is one row of the feed, however many items it has.
    assert!(feed <= refreshes + 3, "{feed} rows of the feed stay");
    assert_eq!(listings, 0, "dead rows stay");
    assert!(libraries <= 2);
}

#[test]
fn refreshes_that_change_everything_do_not_grow_the_store() {
    stays_bounded(600, |server, _| {
        server.alter(|state| state.rekey_library(1));
    });
}

#[test]
fn clearing_and_fetching_again_does_not_grow_the_store() {
    stays_bounded(400, |_, index| index.clear().expect("cleared"));
}

#[test]
fn a_listing_leaves_none_of_the_files_that_it_replaces() {
    let (at, _index, library) = Scene::movies(60).and_listed();
    let reader = at.open();
    let read = reader.movies();
    let count = || {
        let mut files = files_in(at.folder());
        files.retain(|file| {
            file.extension()
                .is_some_and(|end| ["segment", "index", "items"].iter().any(|one| end == *one))
        });
        files
    };
    for round in 0..20 {
        at.server.alter(|state| state.rekey_library(1));
        library.query().title("the");
        assert_eq!(library.query().refreshed(true).expect("listed"), Status::Ok);
        let (path, key) = path_of(&at.server, 1, 5);
        for library in [&library, &read] {
            assert_eq!(library.fast(&path), Some(key.clone()), "{round}");
        }
        assert!(count().len() <= 2, "{round}: {:#?}", count());
    }
}

#[test]
fn a_fast_lookup_finds_its_item_while_listings_replace_each_other() {
    let (at, _index, library) = Scene::movies(60).and_listed();
    let (path, _) = path_of(&at.server, 1, 5);
    let reader = at.open();
    let read = reader.movies();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let looks = scope.spawn(|| {
            let mut misses = 0;
            while !is_over.load(Ordering::Relaxed) {
                misses += u32::from(read.fast(&path).is_none());
            }
            misses
        });
        for _ in 0..rounds("PLEXINDEX_REPLACED", 40, 10) {
            at.server.alter(|state| state.rekey_library(1));
            assert_eq!(library.query().refreshed(true).expect("listed"), Status::Ok);
        }
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(looks.join().expect("no panic"), 0);
    });
}

/// In a worker: a host that stores something and ends without closing.
pub fn stores_and_ends(words: &[&str]) {
    let index = Index::open(Options::new(words[0])).expect("opens");
    let table = index.tables().table(b"own", false).expect("a table");
    let names: Vec<String> = (0..400).map(|number| number.to_string()).collect();
    let value = vec![7; 3_000];
    let ops = names.iter().map(|name| Op::Put(&table, name.as_bytes(), &value));
    let ops: Vec<Op<'_>> = ops.collect();
    index.tables().write(&ops, &KEEP).expect("stored");
    say("done");
    // SAFETY: ends the process, and runs nothing.
    unsafe { libc::_exit(0) };
}

#[test]
fn the_log_of_hosts_that_end_without_closing_begins_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    for _ in 0..10 {
        Worker::start("stores and ends", [&folder.path().display().to_string()]).done();
    }
    let log = folder.path().join("plexindex-1.db-wal").metadata();
    let log = log.expect("a log").len();
    assert!(log <= LOG + (2 << 20), "{log}");
}
