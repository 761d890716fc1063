//! Connections: on a file system without shared memory, closed, and opened only when needed.

use super::Store;
use super::connection::LazyConnection;
use super::store_folder::StoreFolder;
use super::store_state::StoreStates;
use super::sweeper::Totals;
use crate::error::Status;
use crate::platform::clock::Deadline;
use crate::platform::fork::lock;
use std::fs;
use std::path::Path;

/// Makes a store whose write-ahead log was not checkpointed.
fn with_log(from: &Path, to: &Path) {
    let store = Store::open(from, true).expect("opens");
    Totals::add(&store, 7, 0, Deadline::NONE).expect("written");
    for end in ["", "-wal"] {
        let name = format!("plexindex-1.db{end}");
        fs::copy(from.join(&name), to.join(&name)).expect("copied");
    }
    assert!(fs::metadata(to.join("plexindex-1.db-wal")).expect("a log").len() > 0);
}

fn slot(folder: &StoreFolder) -> LazyConnection {
    LazyConnection::new(folder, true)
}

fn mode(slot: &mut LazyConnection) -> String {
    let (connection, _) = slot.connection().expect("opens");
    connection
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .expect("a mode")
}

#[test]
fn turns_wal_off_without_shared_memory() {
    let (from, to) = (
        tempfile::tempdir().expect("a folder"),
        tempfile::tempdir().expect("a folder"),
    );
    with_log(from.path(), to.path());
    // Without shared memory the file for it is never read, whatever it contains.
    let shared = to.path().join("plexindex-1.db-shm");
    fs::write(&shared, "of another machine").expect("written");
    let folder = StoreFolder::open(to.path()).expect("a folder").without_shared_memory();
    let mut slot = slot(&folder);
    assert_eq!(mode(&mut slot), "truncate");
    let (connection, _) = slot.connection().expect("is open");
    let requests: i64 = connection
        .query_row("SELECT requests FROM meta", [], |row| row.get(0))
        .expect("a count");
    assert_eq!(requests, 7, "what was in the log is there");
    assert!(!to.path().join("plexindex-1.db-wal").exists());
    assert_eq!(fs::read(&shared).expect("as it was"), b"of another machine");
    // Others may open it too: nothing stays locked.
    assert_eq!(mode(&mut self::slot(&folder)), "truncate");
}

#[test]
fn opening_without_wal_fails_while_others_use_wal() {
    let place = tempfile::tempdir().expect("a folder");
    let store = Store::open(place.path(), true).expect("opens");
    let folder = StoreFolder::open(place.path())
        .expect("a folder")
        .without_shared_memory();
    let error = slot(&folder).connection().map(drop).expect_err("refused");
    assert_eq!(error.status, Status::Store);
    assert!(error.message.contains("does not share memory"), "{error}");
    assert!(error.message.contains("has the store open"), "{error}");
    store.close();
    assert_eq!(mode(&mut slot(&folder)), "truncate", "now it is alone");
}

#[test]
fn the_last_connection_truncates_the_log_and_keeps_the_file() {
    let place = tempfile::tempdir().expect("a folder");
    let open = || Store::open(place.path(), true).expect("opens");
    let log = || {
        fs::metadata(place.path().join("plexindex-1.db-wal"))
            .expect("a log")
            .len()
    };
    let (one, other) = (open(), open());
    Totals::add(&one, 7, 0, Deadline::NONE).expect("written");
    one.close();
    assert!(log() > 0, "another one has it open");
    other.close();
    assert_eq!(log(), 0);
    assert!(place.path().join("plexindex-1.db-shm").exists());
    assert_eq!(Totals::of(&open()).expect("read").requests, 7);
}

#[test]
fn a_replaced_folder_is_noticed_by_the_next_write() {
    let root = tempfile::tempdir().expect("a folder");
    let place = root.path().join("store");
    let store = Store::open(&place, true).expect("opens");
    fs::rename(&place, root.path().join("elsewhere")).expect("renamed");
    Totals::add(&store, 1_000_000, 0, Deadline::NONE).expect("written");
    let other = Store::open(&place, true).expect("opens");
    assert_eq!(Totals::of(&other).expect("read").requests, 1_000_000);
}

#[test]
fn a_second_connection_is_opened_before_the_first_write() {
    let place = tempfile::tempdir().expect("a folder");
    let open = || Store::open(place.path(), true).expect("opens");
    let has_two = |store: &Store| lock(&store.connections.reader).id().is_some();
    let store = open();
    let (_, state) = StoreStates(&store)
        .state_at(None, Default::default(), Some(Deadline::NONE))
        .expect("read");
    let changes =
        |store: &Store, deadline| StoreStates(store).changes(None, state.sequence, state.database_number, deadline);
    assert!(changes(&store, None).is_ok() && changes(&store, Some(Deadline::NONE)).is_ok());
    assert!(!has_two(&store));

    let store = open();
    assert!(store.write(Deadline::NONE, |_| Ok(has_two(&store))).expect("written"));
    // A last write before the close needs no reader's connection.
    let store = open();
    Totals::add(&store, 7, 0, Deadline::NONE).expect("written");
    assert!(!has_two(&store));
}

/// A copy that was put back has the same id, and may have gone on otherwise.
#[test]
fn a_copy_is_another_database() {
    let [here, there] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let store = Store::open(here.path(), false).expect("a store");
    Totals::add(&store, 7, 0, Deadline::NONE).expect("written");
    let opened = store.opened.newest();
    for file in fs::read_dir(here.path()).expect("the folder").flatten() {
        fs::copy(file.path(), there.path().join(file.file_name())).expect("copied");
    }
    let is_open_in = |folder: &Path| {
        let mut slot = slot(&StoreFolder::open(folder).expect("a folder"));
        slot.connection().expect("opens");
        assert_eq!(slot.id(), Some(opened.id));
        opened.is_open_in(&slot)
    };
    assert!(is_open_in(here.path()));
    assert!(!is_open_in(there.path()));
}
