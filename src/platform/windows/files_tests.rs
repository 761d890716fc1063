use std::os::windows::fs::OpenOptionsExt;

use rusqlite::Connection;
use windows_sys::Win32::Storage::FileSystem::{FILE_SHARE_READ, FILE_SHARE_WRITE};

use super::*;

fn open_without_sharing_its_name(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.read(true).share_mode(FILE_SHARE_READ | FILE_SHARE_WRITE);
    options.open(path).expect("opened")
}

#[test]
fn a_file_that_is_held_for_a_moment_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let inside = parent_folder(folder.path()).expect("opened");
    let steps: [fn(&OpenFolder) -> io::Result<()>; 2] = [
        |inside| inside.rename("one".as_ref(), "other".as_ref()),
        |inside| inside.remove("one".as_ref()),
    ];
    for step in steps {
        let path = folder.path().join("one");
        fs::write(&path, "x").expect("written");
        let held = open_without_sharing_its_name(&path);
        let refused = fs::remove_file(&path).expect_err("it is held");
        assert!(is_one_of(&refused, &HELD), "{refused}");
        std::thread::scope(|scope| {
            let done = scope.spawn(|| step(&inside));
            std::thread::sleep(Duration::from_millis(30));
            drop(held);
            done.join().expect("no panic").expect("the file was free then");
        });
        assert!(!path.exists());
    }
}

#[test]
fn a_file_that_is_held_for_long_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one");
    fs::write(&path, "x").expect("written");
    let _held = open_without_sharing_its_name(&path);
    let inside = parent_folder(folder.path()).expect("opened");
    assert!(is_one_of(
        &inside.remove("one".as_ref()).expect_err("it is held"),
        &HELD
    ));
}

#[test]
fn each_commit_has_another_version_of_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let (database, index) = (folder.path().join("plex.db"), folder.path().join("plex.db-shm"));
    assert_eq!(log_version(&index), None);
    let connection = Connection::open(database).expect("opened");
    connection
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE one (id)")
        .expect("made");
    let mut known = vec![log_version(&index).expect("read")];
    for _ in 0..5 {
        // The log is written from its beginning again, and keeps its length.
        connection
            .execute_batch("PRAGMA wal_checkpoint; INSERT INTO one VALUES (1)")
            .expect("written");
        let version = log_version(&index).expect("read");
        assert!(!known.contains(&version));
        known.push(version);
    }
}

#[test]
fn a_share_that_is_away_is_no_missing_file() {
    assert!(is_gone(&error(2)) && is_gone(&error(3)));
    assert!(
        ![ERROR_BAD_NETPATH, ERROR_BAD_NET_NAME, ERROR_INVALID_DRIVE]
            .iter()
            .any(|code| is_gone(&error(*code)))
    );
}

#[test]
fn both_calls_tell_files_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let inodes = ["a", "b"].map(|name| {
        let path = folder.path().join(name);
        fs::write(&path, name).expect("written");
        let file = open(&path, false).expect("opened");
        assert_eq!(
            inode_of(&file).expect("told"),
            inode_of(&open(&path, false).expect("opened")).expect("told")
        );
        [inode_of(&file).expect("told"), older_inode_of(&file).expect("told")]
    });
    assert!(inodes[0][0] != inodes[1][0] && inodes[0][1] != inodes[1][1]);
}
