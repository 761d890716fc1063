//! Properties of a store's folder, for users who investigate slow or failing calls.

use std::path::PathBuf;

use serde::Serialize;

use super::store::Store;
use crate::error::Result;
use crate::matching::byte_string;
use crate::platform::{files, lock};

/// Properties of a store's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct StoreInfo {
    /// Path of the folder.
    #[serde(serialize_with = "byte_string::path")]
    #[cfg_attr(feature = "schema", schemars(with = "byte_string::ByteString"))]
    pub folder: PathBuf,
    /// Type of the file system, such as `ext4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system: Option<String>,
    /// SQLite's journal mode: `wal`, or `truncate` if the file system does not support shared memory.
    pub journal: String,
    /// Whether processes can share memory through files in the folder.
    pub shares_memory: bool,
    /// Whether processes notice commits through the version page. If not, each lookup queries the database.
    pub counter_page: bool,
    /// Whether file locks work in the folder.
    pub locks: bool,
    /// The reason why file locks do not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locks_error: Option<String>,
    /// Names of the damaged databases in the folder, which plexindex renamed to `.broken`.
    pub broken: Vec<String>,
    /// Size of the store in bytes.
    pub disk_bytes: u64,
    /// Free space for this user in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
}

impl StoreInfo {
    /// Determines the properties of a store's folder. Creates a temporary file to test file locks.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn of(store: &Store) -> Result<Self> {
        let folder = store.folder();
        let disk = files::file_system_of(folder.path());
        let trial = folder.lock_trial_path();
        let locks_error = match lock::do_locks_work(&trial) {
            Ok(true) => None,
            Ok(false) => Some("two holders acquired the same lock at the same time".to_owned()),
            Err(error) => Some(error.to_string()),
        };
        let _ = files::remove(&trial);
        Ok(StoreInfo {
            folder: folder.path().to_owned(),
            file_system: disk.kind,
            journal: store.read(|connection| connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)))?,
            shares_memory: folder.shares_memory(),
            counter_page: store.uses_version_page && store.opened.newest().page.is_some(),
            locks: locks_error.is_none(),
            locks_error,
            broken: folder.broken_databases(),
            disk_bytes: folder.disk_bytes(),
            free_bytes: disk.free,
        })
    }
}
