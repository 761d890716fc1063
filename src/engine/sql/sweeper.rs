//! Sweeps of rows that no reader can see, the counters of the store, and the properties of its folder.

use std::path::PathBuf;

use serde::Serialize;

use super::schema::CachedStatements;
use super::store::Store;
use super::store_folder::is_locked;
use crate::engine::version_page::VersionPage;
use crate::error::Result;
use crate::matching::byte_string;
use crate::platform::clock::Deadline;
use crate::platform::{files, lock};

/// Removes rows and files that a store no longer needs.
pub struct Sweeper<'s>(pub &'s Store);

impl Sweeper<'_> {
    /// Deletes rows that no reader can see, and then releases free pages of the database to the file system. Returns
    /// whether more may remain: more rows, or more free pages, if this call released some.
    pub fn sweep(&self, deadline: Deadline) -> Result<bool> {
        self.0.write(deadline, |tx| {
            if tx.sweep_step()? {
                return Ok(true);
            }
            for statement in [
                "DELETE FROM overlay WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM shows WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM doubts WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM listings WHERE library IN (SELECT id FROM libraries WHERE view_id < 0)",
                "DELETE FROM libraries WHERE view_id < 0",
            ] {
                tx.run(statement, [])?;
            }
            let free_pages = || tx.value::<i64>("PRAGMA freelist_count", []);
            let before = free_pages()?;
            // Runs to completion; only 256 pages, so that the write stays short.
            tx.rows("PRAGMA incremental_vacuum(256)", [], |_| Ok(()))?;
            let left = free_pages()?;
            Ok(0 < left && left < before)
        })
    }
}

/// Counters since the creation of the store: requests to the server, answered lookups, and evictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub requests: u64,
    pub answers: u64,
    pub evictions: u64,
}

impl Totals {
    /// Reads the counters, including answers that are counted only on the version page.
    pub fn of(store: &Store) -> Result<Self> {
        let answers_on_page = store.opened.newest().page.as_ref().map_or(0, VersionPage::answers);
        store.read(|connection| {
            connection.row("SELECT requests, answers, evictions FROM meta", [], |row| {
                Ok(Totals {
                    requests: row.get::<_, i64>(0)?.cast_unsigned(),
                    answers: row.get::<_, i64>(1)?.cast_unsigned() + answers_on_page,
                    evictions: row.get::<_, i64>(2)?.cast_unsigned(),
                })
            })
        })
    }

    /// Adds new `requests` and `answers` to the store's counters, and moves the answer count from the version page to
    /// the store. Adds nothing and returns `false` if other processes keep writing until the deadline.
    pub fn add(store: &Store, requests: u64, answers: u64, deadline: Deadline) -> Result<bool> {
        let answers_on_page = store
            .opened
            .newest()
            .page
            .as_ref()
            .map_or(0, VersionPage::take_answer_count);
        let added = store.write_last(deadline, |tx| {
            tx.run(
                "UPDATE meta SET requests = requests + ?1, answers = answers + ?2",
                [requests.cast_signed(), (answers + answers_on_page).cast_signed()],
            )
        });
        // If the store has not counted the answers, move them back to the page.
        if added.is_err() {
            Self::count_on_page(store, answers_on_page);
        }
        match added {
            Err(error) if is_locked(&error) => Ok(false),
            added => added.map(|()| true),
        }
    }

    /// Adds `answers` to the answer count on the version page, so that a process that only does lookups need not write
    /// to the store. A later writer moves the count to the store. Returns `false` if there is no valid page.
    pub fn count_on_page(store: &Store, answers: u64) -> bool {
        let opened = store.opened.newest();
        let page = opened.page.as_ref().filter(|_| opened.is_page_valid());
        page.inspect(|page| page.count_answers(answers)).is_some()
    }
}

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
        let folder = &store.folder;
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
            shares_memory: folder.shares_memory,
            counter_page: store.uses_version_page && store.opened.newest().page.is_some(),
            locks: locks_error.is_none(),
            locks_error,
            broken: folder.broken_databases(),
            disk_bytes: folder.disk_bytes(),
            free_bytes: disk.free,
        })
    }
}
