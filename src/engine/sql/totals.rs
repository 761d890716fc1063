//! Counters since the creation of the store.

use super::cached::CachedStatements;
use super::store::Store;
use super::tx::sequence_of;
use crate::engine::version_page::VersionPage;
use crate::error::Result;
use crate::model::Sequence;
use crate::platform::deadline::Deadline;

/// Counters since the creation of the store: requests to the server, answered lookups, and evictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub requests: u64,
    pub answers: u64,
    pub evictions: u64,
    pub sequence: Sequence,
}

impl Totals {
    /// Reads the counters, including answers that are counted only on the version page.
    pub fn of(store: &Store) -> Result<Self> {
        let answers_on_page = store.opened.newest().page.as_ref().map_or(0, VersionPage::answers);
        store.read(|connection| {
            let sequence = sequence_of(connection)?;
            connection.row("SELECT requests, answers, evictions FROM meta", [], |row| {
                Ok(Totals {
                    requests: row.get::<_, i64>(0)?.cast_unsigned(),
                    answers: row.get::<_, i64>(1)?.cast_unsigned() + answers_on_page,
                    sequence,
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
        let added = store.write_unless_busy(deadline, |tx| {
            tx.run(
                "UPDATE meta SET requests = requests + ?1, answers = answers + ?2",
                [requests.cast_signed(), (answers + answers_on_page).cast_signed()],
            )
        });
        // If the store has not counted the answers, move them back to the page.
        if !matches!(added, Ok(Some(()))) {
            Self::count_on_page(store, answers_on_page);
        }
        Ok(added?.is_some())
    }

    /// Adds `answers` to the answer count on the version page, so that a process that only does lookups need not write
    /// to the store. A later writer moves the count to the store. Returns `false` if there is no valid page.
    pub fn count_on_page(store: &Store, answers: u64) -> bool {
        let opened = store.opened.newest();
        let page = opened.page.as_ref().filter(|_| opened.is_page_valid());
        page.inspect(|page| page.count_answers(answers)).is_some()
    }
}
