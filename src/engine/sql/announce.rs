//! Announces each transaction on the version page, and replaces a missing page.

use super::incarnation::{is_first_sequence, repair, warn_of_page};
use super::schema::failure;
use super::store::Store;
use crate::engine::version_page::{PageState, VersionPage};
use crate::model::Sequence;
use crate::platform::clock::coarse_ms;

impl Store {
    /// Announces the transaction `sequence` on the version page, so that lookups query the database until the commit.
    /// `before`: the last commit's change sequence. Returns the page, on which the caller confirms the commit; `None`
    /// if there is no page, because then all lookups query the database. The caller holds the write lock.
    ///
    /// If the page's file was removed or replaced, first creates a new page, because processes that open the store now
    /// would not see the old page.
    pub(super) fn begin_on_page(&self, before: Sequence, sequence: Sequence) -> rusqlite::Result<Option<&VersionPage>> {
        if !self.folder.shares_memory() {
            return Ok(None);
        }
        let mut opened = self.opened.newest();
        if !opened.is_page_valid() {
            // If another database has replaced the open one, the page file belongs to that database, so keep the file.
            if !opened.has_database() {
                return Err(failure(rusqlite::ffi::SQLITE_BUSY)); // the caller retries with the new database
            }
            // Before the first commit, no process can have an old page mapped, so `open` need not wait for processes.
            let page = VersionPage::open(&self.folder.page(), opened.id, is_first_sequence(before));
            // Remove a page that this process cannot map: this process's commits could not change the page's counters.
            if let Err(error) = &page {
                // Waits until other processes have noticed the removal, unless there was no page. If the removal fails,
                // the transaction fails with the page's error, wrapped as a rusqlite error.
                VersionPage::remove_file(&self.folder.page(), opened.page.is_none())
                    .map_err(|_| rusqlite::Error::ToSqlConversionFailure(Box::new(error.clone())))?;
                if opened.page.is_none() {
                    return Ok(None); // there was no page before
                }
                warn_of_page(error);
            }
            opened.append(opened.with_page(&self.folder, page.ok()));
            opened = self.opened.newest();
        }
        Ok(opened.page.as_ref().inspect(|page| page.begin(sequence.0)))
    }

    /// Maps a version page that another process created, so that lookups need not query the database. Does nothing if
    /// this process has a valid page, or if another thread is using the writer's connection. Never waits.
    pub fn map_existing_page(&self) {
        let opened = self.opened.newest();
        let is_page_valid = || matches!(opened.state(coarse_ms()), PageState::Equal(_)) || opened.is_page_valid();
        if !self.uses_version_page || !self.folder.shares_memory() || is_page_valid() {
            return;
        }
        let Ok(mut writer) = self.connections.writer.try_lock() else {
            return;
        };
        // The page must belong to the database that the writer's connection has open.
        if self.is_stale(&writer) || !opened.is_open_in(&writer) {
            return;
        }
        // Use the page only if it shows the database's change sequence.
        if let Ok(Some(page)) = VersionPage::existing(&self.folder.page(), opened.id)
            && let Ok((connection, _)) = writer.connection()
            && let Ok(sequence) = repair(&page, connection)
            && page.state() == PageState::Equal(sequence.0)
        {
            opened.append(opened.with_page(&self.folder, Some(page)));
        }
    }
}
