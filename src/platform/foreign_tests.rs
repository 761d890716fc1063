use super::*;
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_FCNTL_FILE_POINTER, SQLITE_SHM_SHARED, SQLITE_SHM_UNLOCK, sqlite3_file_control};

#[test]
fn a_reader_never_holds_the_lock_of_writers() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("database");
    let writer = Connection::open(&file).expect("opened");
    writer
        .execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        .expect("written");
    let vfs = ReadOnlyWalVfs::new().expect("a VFS");
    for _ in 0..2 {
        let reader = vfs.open(file.to_str().expect("a name")).expect("opened");
        let row: i64 = reader.query_row("SELECT x FROM t", [], |row| row.get(0)).expect("read");
        assert_eq!(row, 1);
        let shared = |first: c_int, flag: c_int| {
            let mut opened: *mut sqlite3_file = std::ptr::null_mut();
            // SAFETY: the connection is open, and its file is locked as SQLite locks it.
            unsafe {
                let asked = sqlite3_file_control(
                    reader.handle(),
                    c"main".as_ptr(),
                    SQLITE_FCNTL_FILE_POINTER,
                    (&raw mut opened).cast(),
                );
                assert_eq!(asked, SQLITE_OK);
                ((*(*opened).pMethods).xShmLock.expect("a method"))(opened, first, 1, flag | SQLITE_SHM_SHARED)
            }
        };
        for _ in 0..MAX_REFUSALS {
            assert_eq!(shared(WRITE_LOCK, SQLITE_SHM_LOCK), SQLITE_BUSY);
        }
        assert_eq!(shared(WRITE_LOCK, SQLITE_SHM_LOCK), SQLITE_READONLY_RECOVERY);
        // Other locks are granted.
        assert_eq!(shared(7, SQLITE_SHM_LOCK), SQLITE_OK);
        assert_eq!(shared(7, SQLITE_SHM_UNLOCK), SQLITE_OK);
    }
}

#[test]
fn a_statement_ends_with_its_limit_and_the_next_one_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("database");
    Connection::open(&file)
        .and_then(|writer| {
            writer.execute_batch(
                "CREATE TABLE t (x); INSERT INTO t VALUES (1); CREATE VIEW endless AS WITH RECURSIVE n (x) AS \
                 (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
            )
        })
        .expect("written");
    let vfs = ReadOnlyWalVfs::new().expect("a VFS");
    let reader = vfs.open(file.to_str().expect("a name")).expect("opened");
    let count =
        |table: &str| reader.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
    let asked = Cell::new(0);
    let third = || {
        asked.set(asked.get() + 1);
        asked.get() > 2
    };
    let limit = StatementLimit::new(Deadline::NONE, &third);
    let error = limit.run(|| count("endless")).expect_err("interrupted");
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::OperationInterrupted));
    assert!(limit.was_reached() && !limit.is_stuck());
    assert_eq!(count("t"), Ok(1), "without a limit");
    let never = StatementLimit::new(Deadline::NONE, &|| false);
    assert_eq!(never.run(|| count("t")), Ok(1));
    assert!(!never.was_reached());
}

#[test]
fn pauses_end_with_the_limit_and_are_counted() {
    // SAFETY: the function reads neither pointer.
    let pause_for = |microseconds: c_int| unsafe { pause(std::ptr::null_mut(), microseconds) };
    let asked = Cell::new(0);
    let is_over = || asked.replace(asked.get() + 1) > 0;
    let limit = StatementLimit::new(Deadline::NONE, &is_over);
    assert_eq!(limit.run(|| pause_for(1_000_000_000)), 1_000_000_000);
    assert!(limit.was_reached() && limit.paused.get() > Duration::ZERO);
    let limit = StatementLimit::new(Deadline::NONE, &|| false);
    limit.paused.set(LONGEST_PAUSES);
    limit.run(|| pause_for(1_000_000_000));
    assert!(limit.was_reached() && limit.is_stuck());
}
