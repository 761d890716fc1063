//! Regression tests of the store: each reproduces a former defect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::connection::LazyConnection;
use super::for_tests::{
    DAY_MS, Films, NOW_MS, count, endpoint, film, listed, matches, movie, opened, probed, reached, record_pairs,
    server, written,
};
use super::record_rows::all_matches_of;
use super::store_folder::StoreFolder;
use super::{Endpoint, FeedRows, LibraryRows, ShowRows, Store, StoreStates, Sweeper, Totals};
use crate::engine::memtable::MemtableChange;
use crate::engine::records::{TableLimits, Tables};
use crate::engine::version_page::PAGE_CHECK_MS;
use crate::model::ViewId;
use crate::platform::clock::{Deadline, SystemClock};

const SINGLE_ITEMS: &str = "SELECT count(*) FROM overlay WHERE item IS NOT NULL";

/// Rows of all kinds belong to it: they are swept, and other users' rows stay.
#[test]
fn a_cleared_library_leaves_no_row_and_does_not_stop_the_listings_of_others() {
    let films = Films::with(&[film(1), film(2)]);
    let store = &films.store;
    let other = reached(store, "http://b", "two");
    films.merge(&[movie("1", "/data/new.mkv")]);
    films.remove(&["2"]);
    films.record(&[(b"/h/1.mkv", "1")]);
    films.invalidate(b"/h/2.mkv", "");
    ShowRows(store)
        .store_shows(films.id, Some(&[]), Deadline::NONE)
        .expect("stored");
    films.begin();
    let left = || {
        let tables = ["overlay", "feed", "shows", "doubts", "listings", "tables"];
        tables.map(|table| films.count(&format!("SELECT count(*) FROM {table} WHERE library = {}", films.id.0)))
    };
    assert!(!left().contains(&0), "{:?}", left());
    films.clear();
    for view_id in [other, films.view_id] {
        let row = probed(store, view_id, &["films"], NOW_MS).remove(0);
        listed(store, &row, &[film(1)]);
    }
    films.sweep();
    assert_eq!(left(), [0; 6]);
    assert_eq!(films.count("SELECT count(*) FROM libraries"), 2);
    assert_eq!(films.count("SELECT count(*) FROM matches"), 0);
    assert_eq!(films.count(SINGLE_ITEMS), 0);
    assert_eq!(films.count("SELECT sum(listed_items) FROM libraries"), 2);
}

#[test]
fn a_second_invalidation_outlives_the_first_verification() {
    let films = Films::with(&[film(1)]);
    let left = || films.count("SELECT count(*) FROM doubts");
    films.invalidate(b"", "1");
    let asked = films.ticket();
    films.invalidate(b"", "1");
    films.merge_asked(&[film(1)], asked);
    assert_eq!(left(), 1);
    films.merge(&[film(1)]);
    assert_eq!(left(), 0);
}

#[test]
fn a_store_without_change_sequences_left_is_recreated() {
    let films = Films::new();
    let (row, first) = (films.row(), films.sequence());
    rusqlite::Connection::open(films.store.folder.database())
        .and_then(|other| other.execute("UPDATE meta SET sequence = (sequence | 0xFFFFFFFFF) - 1", []))
        .expect("written");
    films.record(&[(b"/h/1.mkv", "1")]);
    assert_eq!(matches(&films.store, films.id).len(), 1);
    let recorded = record_pairs(&films.store, &row, &[(b"/h/2.mkv", "1")]);
    assert!(recorded.is_none(), "the library is not in the new one");
    let now = films.sequence();
    assert_ne!(now.0 >> 36, first.0 >> 36);
    assert_ne!(now.0 >> 36, (first.0 >> 36) + 1);
}

#[test]
fn writes_between_two_matches_are_read() {
    let films = Films::new();
    let row = films.row();
    let shows = probed(&films.store, films.view_id, &["films", "shows"], NOW_MS).remove(1);
    let unverified_after = |path: &[u8]| {
        record_pairs(&films.store, &row, &[(path, "1")]).expect("recorded");
        films.count("SELECT count(*) FROM doubts")
    };
    assert_eq!(unverified_after(b"/h/1.mkv"), 0);
    assert_eq!(unverified_after(b"/h/2.mkv"), 0, "as the first one left it");
    record_pairs(&films.store, &shows, &[(b"/h/3.mkv", "1")]);
    assert_eq!(unverified_after(b"/h/4.mkv"), 0);
    films.invalidate(b"/h/5.mkv", "");
    films.invalidate(b"", "2");
    assert_eq!(unverified_after(b"/h/6.mkv"), 2);
    assert_eq!(unverified_after(b"/H/5.MKV"), 1, "and a path in another spelling");
    films.invalidate_libraries(Some(films.id));
    let many: Vec<Vec<u8>> = (0..100).map(|n| format!("/h/many {n}.mkv").into_bytes()).collect();
    let many: Vec<(&[u8], &str)> = many.iter().map(|path| (&path[..], "1")).collect();
    record_pairs(&films.store, &row, &many);
    assert_eq!(matches(&films.store, films.id).len(), 100, "of the epoch that is now");
    films.clear();
    assert!(record_pairs(&films.store, &row, &[(b"/h/8.mkv", "1")]).is_none());
}

#[test]
fn a_vanished_library_leaves_only_its_matches() {
    let films = Films::with(&[film(1), film(2)]);
    let listed_items = || films.count("SELECT sum(listed_items) FROM libraries");
    let probe = |uuids: &[&str], days| probed(&films.store, films.view_id, uuids, NOW_MS + days * DAY_MS);
    probe(&["films", "shows", "empty"], 0);
    films.record(&[(b"/h/1.mkv", "1")]);
    for days in 0..60 {
        probe(&["shows"], days);
        films.sweep();
        if days == 29 {
            assert_eq!(listed_items(), 2, "it may be a disk that is away");
        }
    }
    assert_eq!(listed_items(), 0);
    assert_eq!(films.count("SELECT count(*) FROM libraries"), 2);
    // The library comes back: it has no listing, but its matches are there for every new process.
    let row = probe(&["shows", "films"], 61).remove(0);
    assert!(!row.generation.is_fetched());
    assert_eq!(matches(&films.store, row.id).len(), 1);
    let state = StoreStates(&films.store).state(Some(films.view_id)).expect("read");
    let tables: Vec<_> = state.libraries.iter().filter_map(|row| row.matches).collect();
    assert_eq!(tables, [row.matches.expect("a table")]);
}

#[test]
fn a_reader_of_long_ago_reads_what_changed_since_and_no_more() {
    let films = Films::with(&[film(1)]);
    let since = films.sequence();
    films.merge(&[film(2)]);
    for _ in 0..50 {
        films.invalidate(b"/h/1.mkv", "");
    }
    let states = StoreStates(&films.store);
    let changes = |since| {
        let changes = states.changes(Some(films.view_id), since, films.store.database_number(), None);
        changes.expect("read").1.expect("single changes").0
    };
    let all: Vec<_> = changes(since).into_iter().map(|one| one.change).collect();
    let [MemtableChange::Added { .. }, MemtableChange::DoubtedPath { .. }] = all[..] else {
        panic!("{all:?}");
    };
    assert_eq!(changes(films.sequence().previous()).len(), 1);
    assert_eq!(changes(films.sequence()), []);
}

#[test]
fn a_segment_that_no_row_names_counts_for_no_limit() {
    let (folder, store) = opened();
    let before = Sweeper(&store).bytes_after_vacuum().expect("counted");
    let bytes = vec![0; 1 << 20];
    std::fs::write(folder.path().join("plexindex-1-l99-1-1-1-ab.segment"), &bytes).expect("written");
    assert_eq!(Sweeper(&store).bytes_after_vacuum().expect("counted"), before);
}

#[test]
fn a_match_has_the_sequence_of_its_write() {
    let path = b"/data/1.mkv".as_slice();
    let of_path = |key| [movie(key, "/data/1.mkv")];
    let films = Films::with(&of_path("1"));
    let before = films.row();
    // The listing finishes between the caller's read and its write.
    let now = films.list(&of_path("2"));
    assert!(now.generation > before.generation);
    record_pairs(&films.store, &before, &[(path, "3")]);
    let all = films.store.read(|connection| all_matches_of(connection, films.id));
    let recorded = all.expect("read")[0].sequence;
    assert!(
        recorded > films.row().listed_sequence(),
        "the listing that is older overrules it"
    );
    // A later listing with another item is newer than the match; one with the same item changes nothing.
    assert!(films.list(&of_path("2")).listed_sequence() < recorded);
    assert!(films.list(&of_path("4")).listed_sequence() > recorded);
}

#[cfg(unix)]
#[test]
fn a_folder_whose_path_is_too_long_for_sqlite_is_refused_before_it_is_created() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("a path");
    let name = "n".repeat(200);
    let parent = root.join(&name);
    let used = parent.as_os_str().len() + 1;
    let [longest, longer] = [477, 478].map(|length| {
        let rest = length - used;
        parent.join("m".repeat(rest - 101)).join("l".repeat(100))
    });
    let error = Store::open(&longer, true).err().expect("refused");
    assert!(error.to_string().contains("at most 477"), "{error}");
    assert!(!parent.exists(), "nothing is created");
    drop(Store::open(&longest, true).expect("opens"));
}

#[test]
fn a_folder_is_read_only_if_its_database_is_complete() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
    let for_reading = || {
        let folder = StoreFolder::open(folder.path()).expect("a folder");
        folder.for_reading(&error).map(|folder| folder.is_read_only)
    };
    let missing = for_reading().expect_err("no database");
    assert!(missing.to_string().contains("can write to"), "{missing}");
    let store = Store::open(folder.path(), true).expect("opens");
    Totals::add(&store, 1, 0, Deadline::NONE).expect("written");
    let behind = for_reading().expect_err("changes in the log");
    assert!(
        behind.to_string().contains("plexindex-1.db-wal has changes"),
        "{behind}"
    );
    drop(store);
    assert!(for_reading().expect("complete"));
}

/// A program writes while a handle that can only read opens the database: the handle never takes what is in the file for
/// what the log completes.
#[test]
fn a_reader_opens_no_database_whose_log_has_content() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Store::open(folder.path(), true).expect("opens"));
    let error = std::io::Error::from(std::io::ErrorKind::ReadOnlyFilesystem);
    let opened = StoreFolder::open(folder.path()).and_then(|folder| folder.for_reading(&error));
    let read_only = opened.expect("complete");
    let log = folder.path().join("plexindex-1.db-wal");
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                std::fs::write(&log, b"a frame").expect("written");
                std::thread::sleep(Duration::from_micros(300));
                std::fs::write(&log, b"").expect("written");
            }
        });
        let opens_behind = (0..3_000).any(|_| {
            let mut slot = LazyConnection::new(&read_only, false);
            slot.open_within(Duration::ZERO).is_ok() && slot.file().is_none()
        });
        is_done.store(true, Ordering::Relaxed);
        assert!(!opens_behind, "a database that its log completes");
    });
}

#[test]
fn a_database_of_another_program_is_renamed() {
    let folder = tempfile::tempdir().expect("a folder");
    let connection = rusqlite::Connection::open(folder.path().join("plexindex-1.db")).expect("connects");
    connection
        .execute_batch("CREATE TABLE films (title TEXT)")
        .expect("written");
    drop(connection);
    let store = Store::open(folder.path(), true).expect("opens");
    Totals::add(&store, 1, 0, Deadline::NONE).expect("written");
    assert!(folder.path().join("plexindex-1.db.broken").exists());
}

/// The user whom the tokens below claim.
const ANN: [u8; 32] = [1; 32];

/// A token by number for a URL, which expires after `weeks` weeks and was given on `day`.
fn token_at(url: &str, number: u8, weeks: i64, day: i64) -> Endpoint {
    Endpoint {
        user_hash: vec![number; 32],
        until_ms: NOW_MS + weeks * 7 * DAY_MS,
        first_used_ms: NOW_MS + day * DAY_MS,
        ..endpoint(url)
    }
}

fn token(number: u8, weeks: i64, day: i64) -> Endpoint {
    token_at("http://a", number, weeks, day)
}

/// The view of a token that the server accepts. `is_named`: whether the token claims to be Ann's.
fn accepted(store: &Store, token: &Endpoint, is_named: bool) -> ViewId {
    let user = is_named.then_some(ANN);
    let view_id = LibraryRows(store).store_accepted_token(token, &server("one"), user, Deadline::NONE);
    view_id.expect("noted")
}

#[test]
fn an_accepted_token_is_remembered_until_it_expires() {
    let (_folder, store) = opened();
    let known = |endpoint: &Endpoint| LibraryRows(&store).view_id(endpoint).expect("read");
    let accepted = |token: &Endpoint, is_named| accepted(&store, token, is_named);
    let ann = accepted(&token(1, 1, 0), true);
    let claimed = LibraryRows(&store).find_claimed_view(&token(2, 2, 1), ANN);
    assert_eq!(claimed.expect("read"), Some(ann), "the same user");
    LibraryRows(&store)
        .store_accepted_claim(&token(2, 2, 1), ann, Deadline::NONE)
        .expect("noted");
    assert_eq!(accepted(&token(3, 2, 1), true), ann);
    for day in 0..7 {
        let both = [1, 2].map(|number| known(&token(number, number.into(), day)));
        assert_eq!(both, [Some(ann); 2], "both are good");
    }
    assert_eq!(known(&token(1, 1, 7)), None, "the first one has expired");
    // The server's clock may differ: an expired token that it accepts is remembered for a day.
    for day in [8, 10] {
        assert_eq!(known(&token(1, 1, day)), None);
        assert_eq!(accepted(&token(1, 1, day), true), ann);
        assert_eq!(known(&token(1, 1, day)), Some(ann));
    }
    // It is known that a URL led to Ann's identity as long as that identity has libraries.
    let rows = || count(&store, "SELECT count(*) FROM endpoints");
    assert_eq!(rows(), 3);
    assert_eq!(accepted(&token(4, 9, 40), true), ann);
    assert_eq!(rows(), 4, "an index that is open goes on by an expired one");
    assert_eq!(accepted(&token(4, 9, 44), true), ann);
    assert_eq!(rows(), 1);
    // A user without a name is known by the token only.
    let one = accepted(&token(5, 9, 30), false);
    let two = accepted(&token(6, 9, 30), false);
    assert!(one != two && one != ann && two != ann);
}

#[test]
fn another_url_opens_an_identity_by_the_same_token_only() {
    let (_folder, store) = opened();
    let elsewhere = |number, weeks, day| token_at("http://b", number, weeks, day);
    let accepted = |token: &Endpoint, is_named| accepted(&store, token, is_named);
    let ann = accepted(&token(1, 1, 0), true);
    accepted(&token(2, 2, 7), true);
    // Another URL of the server: a token accepted at the first URL opens the identity, and later tokens of the user do
    // too.
    assert_eq!(accepted(&elsewhere(2, 2, 8), true), ann);
    assert_eq!(accepted(&elsewhere(3, 3, 15), true), ann);
    assert_eq!(accepted(&token(3, 3, 15), true), ann);
    // At a third URL neither a token's claims nor an expired token open the identity.
    let third = |number, weeks, day| token_at("http://c", number, weeks, day);
    let claimed = LibraryRows(&store).find_claimed_view(&third(4, 3, 15), ANN);
    assert_eq!(claimed.expect("read"), None);
    let forged = accepted(&third(4, 3, 15), true);
    assert_ne!(forged, ann);
    for expired in [1, 2] {
        let other = accepted(&third(expired, expired.into(), 15), false);
        assert!(other != ann && other != forged, "{expired}");
    }
    // Neither does a request without a token.
    let nobody = |url: &str| Endpoint {
        user_hash: [url.as_bytes(), &[0; 3]].concat(),
        ..endpoint(url)
    };
    let here = accepted(&nobody("http://a"), false);
    assert_ne!(accepted(&nobody("http://c"), false), here);
    assert_eq!(accepted(&nobody("http://a"), false), here);
    // A token accepted at the third URL opens nothing at Ann's, where the same user continues.
    assert_eq!(LibraryRows(&store).view_id(&token(4, 3, 15)).expect("read"), None);
    assert_eq!(accepted(&token(5, 4, 16), true), ann);
}

#[test]
fn items_added_singly_between_two_evictions_are_swept() {
    let films = Films::new();
    for round in 0..3 {
        films.list(&[film(1), film(2)]);
        assert_eq!(films.paths().len(), 2);
        assert!(films.evict(), "{round}");
        films.sweep();
        assert_eq!(films.count(SINGLE_ITEMS), 0, "{round}");
        films.merge(&[film(2)]);
        films.sweep();
        assert_eq!(films.count(SINGLE_ITEMS), 1, "{round}");
    }
}

/// The folder's limit removes history until there is none; if it never ended, a call would never return.
#[test]
fn the_history_of_an_evicted_library_is_removed_once() {
    let films = Films::with(&[film(1), film(2)]);
    assert!(films.evict());
    films.merge(&[film(2)]);
    films.remove(&["2"]);
    let remove = || {
        FeedRows(&films.store)
            .remove_all_history(Deadline::NONE)
            .expect("forgotten")
    };
    remove();
    assert!(!remove());
}

/// A process that dies between the commit and the page's update leaves a page that no reader trusts.
#[test]
#[cfg_attr(windows, ignore = "there is no page")]
fn a_transaction_is_announced_before_its_commit() {
    let (_folder, store) = opened();
    let state = || store.opened.newest().page_state();
    let before = written(&store, |tx| Ok(tx.sequence));
    assert_eq!(state(), Some(before.0));
    let amid = written(&store, |_| Ok(state()));
    assert_eq!(amid, None);
    assert_eq!(state(), Some(before.next().0));
}

/// Such as a folder in the image of a container, or another container's folder that is mounted read-only.
#[test]
fn a_folder_that_can_only_be_read_shows_what_others_write_once_it_is_in_the_database() {
    let (folder, store) = opened();
    let table = |store| {
        Tables::new(store, Arc::new(SystemClock))
            .table(b"table", false)
            .expect("opens")
    };
    let put = |store, value| {
        let written = table(store).put(b"name", value, &TableLimits::default());
        written.expect("written"); // the last handle closes the store
    };
    put(store, b"value");
    let refused = std::io::ErrorKind::PermissionDenied.into();
    let for_reading = StoreFolder::open(folder.path()).and_then(|folder| folder.for_reading(&refused));
    let store = Store::open_in(for_reading.expect("no log"), false).expect("opens");
    let read = table(Arc::new(store));
    let length = || read.get(b"name", 0, &mut |_| {});
    assert_eq!(length().expect("read"), Some(5));
    let writer = Arc::new(Store::open(folder.path(), true).expect("opens"));
    put(Arc::clone(&writer), b"longer value");
    let checked = || std::thread::sleep(std::time::Duration::from_millis(PAGE_CHECK_MS + 20));
    checked();
    let behind = length().expect_err("in the log");
    assert!(behind.to_string().contains("-wal has changes"), "{behind}");
    drop(writer);
    checked();
    assert_eq!(length().expect("read"), Some(12));
}
