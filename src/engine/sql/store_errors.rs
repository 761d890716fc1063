//! Errors of `SQLite` as texts for users: what failed, where, and how to solve it.

use rusqlite::ErrorCode;

use super::store_folder::StoreFolder;
use crate::error::{Error, Status};

/// Returns whether the error means that the database is damaged, or is not a database.
pub fn is_broken(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// Returns whether a read reached the end of a file too early. `SQLite` returns this error only for the write-ahead
/// log.
fn is_short_read(error: &rusqlite::Error) -> bool {
    error
        .sqlite_error()
        .is_some_and(|error| error.extended_code == rusqlite::ffi::SQLITE_IOERR_SHORT_READ)
}

/// Returns an error for users, whose text says what failed, where, and how to solve it.
pub fn explain(error: &rusqlite::Error, folder: &StoreFolder) -> Error {
    let place = folder.path().display();
    if is_short_read(error) {
        return Error::new(
            Status::Store,
            format!(
                "store in {place}: {} was removed, emptied or replaced while processes had it open: end these processes, \
                 then try again",
                folder.log()[0].display()
            ),
        );
    }
    let code = error.sqlite_error_code();
    // On shared memory and some file systems a full disk causes a plain I/O error.
    let is_full = code == Some(ErrorCode::DiskFull) || code == Some(ErrorCode::SystemIoFailure) && folder.is_full();
    let remedy = match code {
        _ if is_full => "the disk is full: free some space, or choose another cache_dir",
        Some(ErrorCode::SystemIoFailure) => {
            "it cannot be read or written: look for a limit on the size of files (ulimit -f), a quota or a failing disk"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "plexindex cannot write to it: check the owner and the permissions of the folder and its files"
        }
        Some(ErrorCode::CannotOpen) => {
            "it cannot be opened: check that the folder exists, and that it and its files belong to this user"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process keeps it locked: try again, and look for a process that hangs"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "the database is broken; the next call sets it aside"
        }
        _ if matches!(error, rusqlite::Error::QueryReturnedNoRows) => {
            "it was cleared or recreated during this call: try again"
        }
        _ => "try again, or choose another cache_dir",
    };
    let status = if is_full { Status::StoreFull } else { Status::Store };
    let explained = Error::new(status, format!("store in {place}: {error}; {remedy}"));
    match error.sqlite_error() {
        Some(cause) => explained.because(*cause),
        None => explained,
    }
}
