//! Sweeps of rows that no reader can see, and the counters of the store.

use super::record_writes::RecordTx;
use super::schema::CachedStatements;
use super::store::Store;
use super::store_folder::is_locked;
use crate::engine::version_page::VersionPage;
use crate::error::Result;
use crate::platform::clock::Deadline;

/// Removes rows and files that a store no longer needs.
pub struct Sweeper<'s>(pub &'s Store);

impl Sweeper<'_> {
    /// Deletes rows that no reader can see, and then releases free pages of the database to the file system. Returns
    /// whether more may remain: more rows, or more free pages, if this call released some.
    pub fn sweep(&self, deadline: Deadline) -> Result<bool> {
        self.0.write(deadline, |tx| {
            if RecordTx::run(tx, RecordTx::sweep_step)? {
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
            let mut vacuum = tx.cached("PRAGMA incremental_vacuum(256)")?; // only 256 pages, so that the write stays short
            let mut rows = vacuum.raw_query();
            while rows.next()?.is_some() {} // run the pragma to completion
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
