//! Sweeps of rows that no reader can see and of files that the database does not reference, the counters of the store, and the properties of its folder.

use std::collections::HashSet;
use std::path::PathBuf;

use serde::Serialize;

use super::schema::CachedStatements;
use super::store::Store;
use super::store_folder::{NAME, is_abandoned, is_locked, is_temporary, referenced_name};
use crate::engine::version_page::VersionPage;
use crate::error::Result;
use crate::matching::byte_string;
use crate::model::LibraryId;
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

impl Sweeper<'_> {
    /// Removes old segments that the database does not reference, and temporary files that a killed process left. A
    /// process that has a removed segment mapped can still read the segment.
    pub fn sweep_segments(&self) {
        // List the folder before reading the database, so that a segment that is published in between is not removed.
        let files = self.0.folder.files().unwrap_or_default();
        let is_unreferenced = match self.unreferenced() {
            Ok(is_unreferenced) => is_unreferenced,
            Err(error) => return log::debug!("cannot remove old segment files: {error}; a later sweep will retry"),
        };
        for (name, file) in files {
            // No process can still need it.
            if (is_temporary(&name) || is_unreferenced(&name)) && is_abandoned(&name, &file) {
                let _ = files::remove(&file.path());
            }
        }
    }

    /// Removes the segments and page files of libraries that were evicted or cleared, regardless of the files' age, to
    /// free their space at once.
    pub fn remove_segments_of(&self, libraries: &[LibraryId]) {
        let prefixes: Vec<String> = libraries.iter().map(|library| format!("{NAME}-l{library}-")).collect();
        self.remove_files(|file| prefixes.iter().any(|prefix| file.starts_with(prefix)));
    }

    /// Removes the files of a listing's segment that the database no longer references. A process that has read this
    /// name, but not opened the file yet, reads the library's row again.
    pub(super) fn remove_replaced(&self, name: &str) {
        self.remove_files(|file| referenced_name(file) == Some(name));
    }

    /// Removes the segments, indexes and page files whose names satisfy `is_removed`. On Windows, a file that a process
    /// has mapped stays until a sweep.
    fn remove_files(&self, is_removed: impl Fn(&str) -> bool) {
        for (name, file) in self.0.folder.files().unwrap_or_default() {
            if referenced_name(&name).is_some() && is_removed(&name) {
                let _ = files::remove(&file.path());
            }
        }
    }

    /// Reads which segments, indexes and page files the database references. Returns a function that tells of a file's
    /// name whether it is one that the database does not reference.
    pub fn unreferenced(&self) -> Result<impl Fn(&str) -> bool + use<>> {
        // A cleared library has a negative `view_id`.
        let referenced = "SELECT segment FROM libraries WHERE view_id > 0 UNION ALL \
                          SELECT n.file FROM listings n JOIN libraries l ON l.id = n.library WHERE l.view_id > 0";
        let names: Vec<String> = self.0.read(|c| c.values(referenced, []))?;
        let names: HashSet<String> = names.into_iter().collect();
        Ok(move |file: &str| referenced_name(file).is_some_and(|name| !names.contains(name)))
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
