//! Syncs a connection's write-ahead log to disk.

use std::ptr::{null, null_mut};

use rusqlite::Connection;
use rusqlite::ffi::{
    Error, SQLITE_FCNTL_JOURNAL_POINTER, SQLITE_OK, SQLITE_SYNC_FULL, sqlite3_file, sqlite3_file_control,
};

/// Syncs the write-ahead log to disk, so that a power cut loses no commit: a commit with `synchronous = NORMAL` does
/// not sync. Also syncs the log's directory entry if this connection created the log. Uses SQLite's own file
/// descriptor, since closing another descriptor would release the process's locks.
///
/// # Errors
/// SQLite errors. After an error, commits may be missing on disk.
pub fn sync_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut file: *mut sqlite3_file = null_mut();
    // SAFETY: the connection is open, and only this thread uses it. The file is open as long as the connection, and an
    // open file has methods.
    let code = unsafe {
        let file_pointer = (&raw mut file).cast();
        let code = sqlite3_file_control(connection.handle(), null(), SQLITE_FCNTL_JOURNAL_POINTER, file_pointer);
        match file.as_ref().and_then(|file| file.pMethods.as_ref()) {
            Some(methods) if code == SQLITE_OK => methods.xSync.map_or(SQLITE_OK, |sync| sync(file, SQLITE_SYNC_FULL)),
            _ => code,
        }
    };
    if code == SQLITE_OK {
        return Ok(());
    }
    Err(rusqlite::Error::SqliteFailure(Error::new(code), None))
}
