//! Facts about the folder of a store, for people who ask why it is slow or does not work.

use serde::Serialize;

use super::open::Store;
use crate::error::Result;
use crate::platform::{files, lock};

/// Facts about the folder of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct StoreInfo {
    /// The folder.
    pub folder: String,
    /// The kind of file system, such as `ext4`; `None` when it is not known by name.
    pub file_system: Option<String>,
    /// How `SQLite` keeps its journal: `wal`, or `truncate` where memory is not shared.
    pub journal: String,
    /// Whether processes can share memory there.
    pub shares_memory: bool,
    /// Whether other processes' commits are seen for a few loads, or by asking the database each time.
    pub counter_page: bool,
    /// Whether a lock keeps others out, tried just now.
    pub locks: bool,
    /// Why locks do not work.
    pub locks_error: Option<String>,
    /// Bytes that the store takes.
    pub disk_bytes: u64,
    /// Bytes that are left for this user.
    pub free_bytes: Option<u64>,
}

impl Store {
    /// Facts about the folder. Tries a lock with a temporary file.
    pub fn info(&self) -> Result<StoreInfo> {
        let folder = self.folder();
        let disk = files::disk(folder.path());
        let trial = folder.trial();
        let locks_error = match lock::trial(&trial) {
            Ok(true) => None,
            Ok(false) => Some("two holders had the same lock at once".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        let _ = files::remove(&trial);
        Ok(StoreInfo {
            folder: folder.path().to_string_lossy().into_owned(),
            file_system: disk.kind,
            journal: self.read(|connection| connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)))?,
            shares_memory: folder.shares_memory(),
            counter_page: self.believes && self.opened.newest().page.is_some(),
            locks: locks_error.is_none(),
            locks_error,
            disk_bytes: folder.disk_bytes(),
            free_bytes: disk.free,
        })
    }
}
