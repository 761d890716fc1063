//! The version page of an open store: updated with each transaction, and replaced when it is missing.

use std::sync::atomic::Ordering;

use super::open::Store;
use super::opened::{is_fresh, repair, warn_of_page};
use crate::engine::version_page::{PageState, VersionPage};
use crate::model::Sequence;
use crate::platform::clock::coarse_ms;

impl Store {
    /// Announces transaction `sequence`, which follows `before`, on the version page, and returns the page. Called
    /// under the write lock.
    ///
    /// A page that was removed or replaced is created again, because processes that open it now would not see the old
    /// one. If it cannot be mapped, it is removed, so that all processes query the database. `files_checked`: the page
    /// is known to have its name.
    pub(super) fn begin_on_page(
        &self,
        before: Sequence,
        sequence: Sequence,
        files_checked: bool,
    ) -> rusqlite::Result<Option<&VersionPage>> {
        let opened = self.opened.newest();
        let begun = |page: &VersionPage| page.begin(sequence.0);
        if !self.folder.shares_memory() {
            return Ok(None);
        }
        if files_checked && opened.own_page().is_some() || opened.is_page_valid() {
            return Ok(opened.page.as_ref().inspect(|page| begun(page)));
        }
        opened.retire_page();
        let place = self.folder.page();
        let page = VersionPage::open(&place, opened.id, is_fresh(before));
        match &page {
            Ok(page) => {
                begun(page);
                self.is_page_unmapped.store(false, Ordering::Relaxed);
                log::info!("the version page in {} is opened anew", self.folder.path().display());
            }
            Err(error) => {
                if opened.page.is_some() {
                    warn_of_page(error);
                }
                VersionPage::take_away(&place, self.is_page_unmapped.load(Ordering::Relaxed))
                    .map_err(|_| rusqlite::Error::ToSqlConversionFailure(Box::new(error.clone())))?;
                self.is_page_unmapped.store(true, Ordering::Relaxed);
                if opened.page.is_none() {
                    return Ok(None); // unchanged
                }
            }
        }
        opened.follow(opened.with_page(&self.folder, page.ok()));
        Ok(self.opened.newest().page.as_ref())
    }

    /// Maps the version page that another process made, if this process has none or its own is gone. Never waits.
    pub fn find_page(&self) {
        let opened = self.opened.newest();
        let is_page_valid = || matches!(opened.state(coarse_ms()), PageState::Equal(_)) || opened.is_page_valid();
        if !self.believes || !self.folder.shares_memory() || is_page_valid() {
            return;
        }
        let Ok(mut writer) = self.connections.writer.try_lock() else {
            return;
        };
        if self.is_stale(&writer) || !opened.is_of(&writer) {
            return;
        }
        if let Ok(Some(page)) = VersionPage::existing(&self.folder.page(), opened.id)
            && let Ok((connection, _)) = writer.connection()
            && let Ok(sequence) = repair(&page, connection)
            && page.state() == PageState::Equal(sequence.0)
        {
            opened.follow(opened.with_page(&self.folder, Some(page)));
        }
    }
}
