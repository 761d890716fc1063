//! Confirmed matches. Each library has a table for its matches.
//!
//! Also invalidates paths, libraries and items, such as those that events report as deleted.

use rusqlite::params;

use super::doubts::doubts_of;
use super::library_rows::{LibraryRow, LibraryRows, libraries};
use super::overlay::overlay_row;
use super::record_rows::{RecordRows, all_matches_of, drop_matches, find_match_table, path_of_item};
use super::schema::{CachedStatements, Tx};
use super::shared_rows::SharedRow;
use super::stored_items::OpenListing;
use super::views::libraries_of_others;
use crate::engine::record_rows::RecordTime;
use crate::error::Result;
use crate::knowledge::{Cause, Interval};
use crate::matching::normal::normal_form;
use crate::model::{Hint, LibraryId, ViewId};
use crate::platform::clock::Deadline;

impl RecordRows<'_> {
    /// Returns what other tokens' views recorded and took back in the same library, oldest first. A view merges these rows
    /// when it first lists the library. Includes only items for which `is_listed` returns `true`, because this token's
    /// user may have no access to other items.
    pub fn rows_of_others(&self, library: &LibraryRow, is_listed: &dyn Fn(&str) -> bool) -> Result<Vec<SharedRow>> {
        let uuid = &library.library.uuid;
        let row = |path, rating_key, at| SharedRow {
            library: uuid.clone(),
            path,
            rating_key,
            at,
        };
        let mut rows = self.0.read(|c| {
            let mut rows = Vec::new();
            for (view_id, other) in libraries_of_others(c, library.id)? {
                let theirs = all_matches_of(c, other)?.into_iter();
                rows.extend(theirs.map(|one| row(one.path, Some(one.rating_key), one.at)));
                let taken_back = "SELECT path, at FROM taken_back WHERE view_id = ?1 AND library IN ('', ?2)";
                rows.extend(c.rows::<SharedRow>(taken_back, params![view_id, uuid], |found| {
                    Ok(row(found.get(0)?, None, RecordTime(found.get(1)?)))
                })?);
            }
            Ok(rows)
        })?;
        rows.retain(|row| row.rating_key.as_deref().is_none_or(is_listed));
        rows.sort_unstable_by_key(|row| row.at);
        Ok(rows)
    }
}

#[cfg(test)]
impl RecordRows<'_> {
    /// Invalidates an item and removes its confirmed matches.
    pub fn invalidate_item(&self, library: LibraryId, rating_key: &str) {
        let item = Invalidated {
            library,
            path: b"",
            rating_key,
        };
        super::library_rows::LibraryRows(self.0)
            .invalidate(&[item], Deadline::NONE)
            .expect("invalidated");
    }

    /// Returns all confirmed matches of a library.
    pub fn all_matches(&self, library: LibraryId) -> Result<std::collections::BTreeMap<Vec<u8>, String>> {
        let all = self.0.read(|connection| all_matches_of(connection, library))?;
        Ok(all.into_iter().map(|one| (one.path, one.rating_key)).collect())
    }
}

/// A path or an item that is invalidated in a library. Its confirmed matches are removed, and it is doubted, as are their
/// paths, because the listing may be wrong where a host had to confirm a match.
#[derive(Clone, Copy, Debug)]
pub struct Invalidated<'i> {
    pub library: LibraryId,
    /// The path; empty for an item.
    pub path: &'i [u8],
    /// The item's rating key; empty for a path.
    pub rating_key: &'i str,
}

impl Invalidated<'_> {
    fn write(&self, tx: &Tx<'_>) -> rusqlite::Result<()> {
        let table = find_match_table(tx.connection, self.library)?;
        let removed = match table {
            Some(table) if self.path.is_empty() => tx.remove_matches_of_item(table, self.rating_key)?,
            Some(table) => tx.remove_matches_of_form(table, &normal_form(self.path))?,
            None => Vec::new(),
        };
        for stored in &removed {
            tx.take_back(self.library, &stored.path, stored.at)?;
            if self.path.is_empty() {
                tx.doubt_path_or_item(self.library, &stored.path, "")?;
            }
        }
        // Another host may have recorded the item, or the path.
        if self.path.is_empty() {
            let latest = removed.iter().map(|stored| stored.at).max();
            let item = path_of_item(self.rating_key);
            tx.take_back(self.library, &item, latest.unwrap_or(RecordTime::NEVER))?;
        } else if removed.iter().all(|stored| stored.path != self.path) {
            tx.take_back(self.library, self.path, RecordTime::NEVER)?;
        }
        // A doubt about a library that another call has cleared would mean nothing.
        if tx.has("SELECT 1 FROM libraries WHERE id = ?1", [self.library])? {
            tx.doubt_path_or_item(self.library, self.path, self.rating_key)?;
        }
        Ok(())
    }
}

impl LibraryRows<'_> {
    /// Invalidates paths and items in one transaction, so that they become invalid together.
    pub fn invalidate(&self, invalidated: &[Invalidated<'_>], deadline: Deadline) -> Result<()> {
        self.0
            .write(deadline, |tx| invalidated.iter().try_for_each(|one| one.write(tx)))
    }

    /// Replaces the doubts about single paths and items in a library by one about the library, which a listing ends,
    /// because there are too many for a memtable. Keeps confirmed matches.
    pub fn invalidate_all_paths(&self, view_id: ViewId, library: LibraryId, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            let doubts = doubts_of(tx, library)?;
            tx.end_doubts(library, doubts.iter().filter(|doubt| !doubt.is_about_library()))?;
            tx.doubt_library(view_id, library, Cause::Invalidated, 0)
        })
    }

    /// Requests a full listing of an invalidated library, and removes its confirmed matches. If `library` is `None`,
    /// does so for all libraries in the view.
    pub fn invalidate_libraries(&self, view_id: ViewId, library: Option<LibraryId>, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            let libraries: Vec<LibraryId> = tx.values(
                "SELECT id FROM libraries WHERE view_id = ?1 AND (?2 IS NULL OR id = ?2)",
                params![view_id, library],
            )?;
            for library in libraries {
                tx.doubt_library(view_id, library, Cause::Invalidated, 0)?;
                tx.take_all_back(library)?;
                drop_matches(tx, library)?;
            }
            Ok(())
        })
    }
}

/// Hints from events about one library or all libraries: whether to probe, and which items were deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LibraryHint {
    /// The library's section id; `None` for all libraries.
    pub section: Option<String>,
    /// Whether to probe the library, and why.
    pub hint: Hint,
    /// Rating keys of items that events reported as deleted. plexindex must verify these items.
    pub deleted: Vec<String>,
}

impl LibraryRows<'_> {
    /// Stores hints from events (`hints`) in one transaction as doubts, so that the next refresh acts on them. Doubts
    /// deleted items. A hint about a library that the view lacks becomes a hint to probe all libraries.
    pub fn store_hints(&self, view_id: ViewId, hints: &[LibraryHint], deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            let rows = libraries(tx.connection, view_id)?;
            // Open the listings only if deleted items must be found in them.
            let has_deleted = hints.iter().any(|event| !event.deleted.is_empty());
            let opened = rows.iter().filter(|_| has_deleted);
            let listings: Vec<_> = opened.map(|row| (row, OpenListing::of_row(self.0, row))).collect();
            for event in hints {
                let is_hinted = |row: &&LibraryRow| event.section.as_ref().is_none_or(|id| row.library.section == *id);
                let hinted_rows: Vec<&LibraryRow> = rows.iter().filter(is_hinted).collect();
                let mut hint = event.hint;
                for rating_key in &event.deleted {
                    let mut is_listed = false;
                    for (row, base) in listings.iter().filter(|(row, _)| is_hinted(row)) {
                        // A reply that is on its way may still bring the item.
                        tx.doubt_path_or_item(row.id, b"", rating_key)?;
                        let single = overlay_row(tx, row.id, rating_key)?;
                        // Other processes may still have a lost segment.
                        is_listed |=
                            base.is_lost || base.stored(single, rating_key, Interval::default()).value.is_some();
                    }
                    // Otherwise, the key belongs to a show or an album, or only an unfinished listing has the item.
                    if !is_listed {
                        hint = hint.max(Hint::Probe);
                    }
                }
                // The token may tell more than a delta shows.
                let causes: &[Cause] = match hint {
                    Hint::None => &[],
                    Hint::Probe => &[Cause::Event],
                    Hint::Changed => &[Cause::Event, Cause::Changed],
                    Hint::Deleted => &[Cause::Invalidated],
                };
                for row in &hinted_rows {
                    for cause in causes {
                        tx.doubt_library(view_id, row.id, *cause, 0)?;
                    }
                }
                // A probe also finds a library that is not stored yet.
                for row in rows.iter().filter(|_| hinted_rows.is_empty() && !causes.is_empty()) {
                    tx.doubt_library(view_id, row.id, Cause::Event, 0)?;
                }
            }
            Ok(())
        })
    }

    /// Stores that events have announced changes in the libraries with these section ids (`None`: all libraries). This
    /// ends the pauses of unlisted paths, but answers do not become stale before the hints follow.
    pub fn store_news(
        &self,
        view_id: ViewId,
        sections: &[Option<String>],
        now_ms: i64,
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            for row in libraries(tx.connection, view_id)? {
                let is_told = |section: &Option<String>| section.as_ref().is_none_or(|id| *id == row.library.section);
                if sections.iter().any(is_told) {
                    tx.doubt_library(view_id, row.id, Cause::News, now_ms)?;
                }
            }
            Ok(())
        })
    }
}
