//! Confirmed matches. Each library has a table for its matches, and each match is a record with the path as its name
//! and the rating key in its value.
//!
//! Also invalidates paths, libraries and items, such as those that events report as deleted.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::doubts::{doubts_of, doubts_of_path, has_doubted_paths};
use super::item_rows::OpenListing;
use super::library_rows::{LibraryRow, LibraryRows, libraries};
use super::opened_files::DatabaseNumber;
use super::overlay::overlay_row;
use super::record_log::{RecordRows, RecordTx};
use super::schema::{CachedStatements, LibraryState, Tx, sequence_of};
use super::store::LocalWrite;
use super::views::TOKEN_DIGEST_LENGTH;
use crate::engine::segment::{decode_match, encode_match};
use crate::error::Result;
use crate::knowledge::{Cause, Interval};
use crate::matching::normal::normal_form;
use crate::model::{Hint, LibraryId, Sequence, TableId, ViewId};
use crate::platform::deadline::Deadline;

/// The result of [`RecordRows::record_matches`].
pub struct RecordedMatches<T> {
    /// The database and the change sequence of the write.
    pub written_at: (DatabaseNumber, Sequence),
    pub then_result: T,
}

/// A match's rating key, and the change sequence at which a host recorded the match.
type Match = (String, Sequence);

impl RecordRows<'_> {
    /// Records confirmed matches in one transaction. `pairs`: paths with their rating keys. `unlisted`: those of these keys
    /// that the library does not list, so that their items are doubted. `then` runs at the end of
    /// the transaction, so that the caller can flush a long log of records. Returns the database and change sequence
    /// of the write, and the result of `then`; `None` if the library no longer exists, because another call cleared it.
    pub fn record_matches<T>(
        &self,
        row: &LibraryRow,
        request: &LocalWrite<'_>,
        pairs: &[(&[u8], &str)],
        unlisted: &[&str],
        deadline: Deadline,
        mut then: impl FnMut(&RecordTx<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<RecordedMatches<T>>> {
        // Read the database before the write. If the write creates a new database, callers then ignore this result,
        // because its database is outdated.
        let database_number = self.0.database_number();
        self.0.write(deadline, |tx| {
            // The library's view or listing may have changed since the caller read `row`, so read the library again,
            // unless this connection also made the last write and has the current state.
            let cached = tx.last_library.filter(|library| library.id == row.id);
            let Some(mut library) = cached.map_or_else(|| tx.expect_library(row.id), Ok).optional()? else {
                return Ok(None);
            };
            // The host's word ends its doubt about the path. `cached` is set only for a library without doubts about paths.
            let has_doubted_paths = cached.is_none() && has_doubted_paths(tx, row.id)?;
            for (path, _) in pairs.iter().filter(|_| has_doubted_paths) {
                tx.end_doubts(row.id, &doubts_of_path(tx, row.id, normal_form(path))?)?;
            }
            for key in unlisted {
                tx.doubt_path_or_item(row.id, b"", key)?;
            }
            let table = find_or_create_match_table(tx, &mut library)?;
            self.0.observe(tx, library.view_id, request)?;
            // Keep the library's state for the next write, unless doubted paths may remain.
            tx.next_library.set(Some(library).filter(|_| !has_doubted_paths));
            let records = RecordTx::new(tx);
            let matches: Vec<(&[u8], Vec<u8>)> = (pairs.iter())
                .map(|(path, key)| (*path, encode_match(key, tx.sequence)))
                .collect();
            records.add_all(table, &matches)?;
            Ok(Some(RecordedMatches {
                written_at: (database_number, tx.sequence),
                then_result: then(&records)?,
            }))
        })
    }

    /// Returns the confirmed matches (paths and rating keys) that other tokens' views have for the same library, but
    /// this view lacks; oldest first. A view copies these matches when it first lists the library. `view_id`,
    /// `library`: this view and its library. Includes only items for which `is_listed` returns `true`, because this
    /// token's user may have no access to other items.
    ///
    /// Includes only tokens that used the same URL: at a different URL, a server could pretend to be this one.
    pub fn matches_of_others(
        &self,
        view_id: ViewId,
        library: LibraryId,
        is_listed: &dyn Fn(&str) -> bool,
    ) -> Result<Vec<(Vec<u8>, String)>> {
        let candidates = self.0.read(|c| {
            // `who` has this length only for a token. A cleared view inherits no matches.
            let others: Vec<LibraryId> = c.values(
                "SELECT theirs.id FROM libraries own JOIN views me ON me.id = ?1 \
                 JOIN views other ON other.server = me.server AND other.id <> me.id \
                 AND NOT me.cleared AND length(me.who) = ?3 AND length(other.who) = ?3 \
                 AND EXISTS (SELECT 1 FROM endpoints mine JOIN endpoints same ON same.url = mine.url \
                 WHERE mine.view_id = me.id AND same.view_id = other.id) \
                 JOIN libraries theirs ON theirs.view_id = other.id AND theirs.uuid = own.uuid WHERE own.id = ?2",
                params![view_id, library, TOKEN_DIGEST_LENGTH],
            )?;
            let mut matches: Vec<(Sequence, Vec<u8>, String)> = Vec::new();
            if !others.is_empty() {
                let own_matches = all_matches_of(c, library)?;
                for other in others {
                    for (path, (key, recorded_at)) in all_matches_of(c, other)? {
                        if !own_matches.contains_key(&path) {
                            matches.push((recorded_at, path, key));
                        }
                    }
                }
            }
            matches.sort_unstable();
            Ok(matches)
        })?;
        let listed = candidates.into_iter().filter(|(_, _, key)| is_listed(key));
        Ok(listed.map(|(_, path, key)| (path, key)).collect())
    }

    /// Returns the path and rating key of each confirmed match in a library, in any order, for the exchange with other
    /// hosts. Scans the whole log of records.
    pub fn confirmed_matches(&self, library: LibraryId) -> Result<Vec<(Vec<u8>, String)>> {
        let all = self.0.read(|connection| all_matches_of(connection, library))?;
        Ok(all.into_iter().map(|(path, (key, _))| (path, key)).collect())
    }
}

#[cfg(test)]
impl RecordRows<'_> {
    /// Invalidates an item and removes its confirmed matches.
    pub fn invalidate_item(&self, view_id: ViewId, library: LibraryId, rating_key: &str) {
        let all = self.all_matches(library).expect("read").into_iter();
        let confirmed: Vec<_> = all
            .filter(|(_, key)| key == rating_key)
            .map(|(path, _)| (library, path))
            .collect();
        super::library_rows::LibraryRows(self.0)
            .invalidate(
                view_id,
                &LocalWrite::NONE,
                &[(library, b"", rating_key)],
                &confirmed,
                Deadline::NONE,
            )
            .expect("invalidated");
    }

    /// Returns all confirmed matches of a library.
    pub fn all_matches(&self, library: LibraryId) -> Result<std::collections::BTreeMap<Vec<u8>, String>> {
        let all = self.0.read(|connection| all_matches_of(connection, library))?;
        Ok(all.into_iter().map(|(path, (key, _))| (path, key)).collect())
    }
}

/// Returns the id of a library's match table; `None` if the library has no match table.
fn find_match_table(connection: &Connection, library: LibraryId) -> rusqlite::Result<Option<TableId>> {
    connection.find_value("SELECT id FROM tables WHERE library = ?1", [library])
}

/// Returns the id of a library's match table. If there is no table, creates one and stores its id in `library`. The
/// caller has read `library` in this transaction, or knows that it is current.
fn find_or_create_match_table(tx: &Tx<'_>, library: &mut LibraryState) -> rusqlite::Result<TableId> {
    if let Some(table) = library.matches {
        return Ok(table);
    }
    tx.run("INSERT INTO tables (library) VALUES (?1)", [library.id])?;
    let table = TableId(tx.last_insert_rowid());
    library.matches = Some(table);
    Ok(table)
}

/// Returns all confirmed matches in a library by path, each with its rating key and the change sequence at which it was
/// recorded. Scans the whole log of records, which also contains the records in segments.
pub fn all_matches_of(connection: &Connection, library: LibraryId) -> rusqlite::Result<HashMap<Vec<u8>, Match>> {
    let mut matches = HashMap::new();
    let Some(table) = find_match_table(connection, library)? else {
        return Ok(matches);
    };
    // A value stores only the low bits of a change sequence. The current sequence has the same upper bits.
    let any_sequence = sequence_of(connection)?;
    let mut statement = connection.prepare_cached("SELECT name, value FROM records WHERE in_table = ?1 ORDER BY id")?;
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let path = row.get_ref(0)?.as_blob()?;
        match row.get_ref(1)?.as_blob_or_null()? {
            Some(value) => {
                if let Some((key, recorded_at)) = decode_match(value, any_sequence) {
                    matches.insert(path.to_vec(), (key.to_owned(), recorded_at));
                }
            }
            None => drop(matches.remove(path)), // this record removes the match
        }
    }
    Ok(matches)
}

/// Removes all confirmed matches from a library in constant time: detaches their table, whose rows later writes delete.
pub fn drop_matches(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    tx.run("UPDATE tables SET library = NULL WHERE library = ?1", [library])
}

/// Removes confirmed matches, and doubts their paths, because the listing may be wrong where a host had to confirm a
/// match. `confirmed`: each match's library and path.
pub fn remove_matches(tx: &Tx<'_>, confirmed: &[(LibraryId, Vec<u8>)]) -> rusqlite::Result<()> {
    for (library, path) in confirmed {
        if let Some(table) = find_match_table(tx.connection, *library)? {
            RecordTx::new(tx).add(table, path, None, None)?; // no value (removes the match), no expiry time
        }
        tx.doubt_path_or_item(*library, path, "")?;
    }
    Ok(())
}

impl LibraryRows<'_> {
    /// Invalidates paths and items in one transaction, so that they become invalid together. Returns the database
    /// and the change sequence of the write.
    ///
    /// Doubts the paths and items in `doubted`; a path's entry has an empty rating key, and an item's entry has an empty
    /// path. Removes the confirmed matches for the paths in `confirmed`, and doubts these paths too. `request`: the
    /// host's request, which the observer shares with other hosts.
    pub fn invalidate(
        &self,
        view_id: ViewId,
        request: &LocalWrite<'_>,
        doubted: &[(LibraryId, &[u8], &str)],
        confirmed: &[(LibraryId, Vec<u8>)],
        deadline: Deadline,
    ) -> Result<(DatabaseNumber, Sequence)> {
        // Read the database before the write. If the write creates a new database, callers then ignore this result,
        // because its database is outdated.
        let database_number = self.0.database_number();
        self.0.write(deadline, |tx| {
            self.0.observe(tx, view_id, request)?;
            // A doubt about a library that another call has cleared would mean nothing.
            let exists = |library: &LibraryId| tx.has("SELECT 1 FROM libraries WHERE id = ?1", [library]);
            remove_matches(tx, confirmed)?;
            for (library, path, rating_key) in doubted {
                if exists(library)? {
                    tx.doubt_path_or_item(*library, path, rating_key)?;
                }
            }
            Ok((database_number, tx.sequence))
        })
    }

    /// Doubts items after an edit, so that plexindex verifies them. The observer shares this with other hosts. Keeps
    /// confirmed matches.
    pub fn invalidate_items(
        &self,
        view_id: ViewId,
        library: LibraryId,
        rating_keys: &[&str],
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            let request = LocalWrite::Items {
                libraries: &[library],
                rating_keys,
                with_matches: false,
            };
            self.0.observe(tx, view_id, &request)?;
            tx.expect_library(library)?;
            for rating_key in rating_keys {
                tx.doubt_path_or_item(library, b"", rating_key)?;
            }
            Ok(())
        })
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
    /// does so for all libraries in the view. The observer shares this with other hosts.
    pub fn invalidate_libraries(&self, view_id: ViewId, library: Option<LibraryId>, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            self.0.observe(tx, view_id, &LocalWrite::Library(library))?;
            let libraries: Vec<LibraryId> = tx.values(
                "SELECT id FROM libraries WHERE view_id = ?1 AND (?2 IS NULL OR id = ?2)",
                params![view_id, library],
            )?;
            for library in libraries {
                tx.doubt_library(view_id, library, Cause::Invalidated, 0)?;
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
            let mut listings = Vec::new();
            if hints.iter().any(|event| !event.deleted.is_empty()) {
                for row in &rows {
                    listings.push((row.id, OpenListing::of_row(self.0, row)));
                }
            }
            for event in hints {
                let is_hinted = |row: &&LibraryRow| event.section.as_ref().is_none_or(|id| row.library.section == *id);
                let hinted_rows: Vec<&LibraryRow> = rows.iter().filter(is_hinted).collect();
                let mut hint = event.hint;
                for rating_key in &event.deleted {
                    let mut is_listed = false;
                    let is_hinted = |library| hinted_rows.iter().any(|row| row.id == library);
                    for (library, base) in listings.iter().filter(|(library, _)| is_hinted(*library)) {
                        // A reply that is on its way may still bring the item.
                        tx.doubt_path_or_item(*library, b"", rating_key)?;
                        let single = overlay_row(tx, *library, rating_key)?;
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
