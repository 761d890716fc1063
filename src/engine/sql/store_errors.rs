//! Converts SQLite errors to errors for users, which state the folder, the cause and a remedy.

use rusqlite::ErrorCode;

use super::store_folder::StoreFolder;
use crate::error::{Error, Status};

/// Returns whether the error means that the file is a damaged database, or is not a database.
pub fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Returns whether a read failed because the file was too short. SQLite reports this only for the WAL.
fn is_short_read(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ)
}

/// Converts a SQLite error to an error for users, which states the folder, the cause and a remedy.
pub fn explain(error: &rusqlite::Error, folder: &StoreFolder) -> Error {
    let path = folder.path().display();
    if is_short_read(error) {
        return Error::new(
            Status::Store,
            format!(
                "store in {path}: {} was removed, truncated or replaced while processes had it open; stop these \
                 processes, then try again",
                folder.wal_and_shm()[0].display()
            ),
        );
    }
    let code = error.sqlite_error_code();
    // On shared memory and some file systems, a full disk causes a plain I/O error.
    let is_full = code == Some(ErrorCode::DiskFull) || code == Some(ErrorCode::SystemIoFailure) && folder.is_full();
    let remedy = match code {
        _ if is_full => "the disk is full; free some space, or choose another cache_dir",
        Some(ErrorCode::SystemIoFailure) => {
            "plexindex cannot read or write a file; look for a file size limit (ulimit -f), a quota or a failing disk"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "plexindex cannot write to the store; check the owner and permissions of the folder and its files"
        }
        Some(ErrorCode::CannotOpen) => {
            "plexindex cannot open the store; check that its folder exists, and that the folder and the files in it \
             belong to this user"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has locked the store; try again, and look for a hung process"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the database is damaged; the next call renames it to .broken and creates a new one"
        }
        Some(ErrorCode::SchemaChanged) => "update plexindex, or choose another cache_dir",
        _ if matches!(error, rusqlite::Error::QueryReturnedNoRows) => {
            "another call cleared or recreated the data during this call; try again"
        }
        _ => "try again, or choose another cache_dir",
    };
    let status = if is_full { Status::StoreFull } else { Status::Store };
    let explained = Error::new(status, format!("store in {path}: {error}; {remedy}"));
    match error.sqlite_error() {
        Some(cause) => explained.with_source(*cause),
        None => explained,
    }
}
