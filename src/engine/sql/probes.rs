//! Stores what the server tells: the results of probes, which are a view's libraries and their change tokens, the GUIDs of
//! shows, and hints from events. Removes a library a month after the server stopped listing it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rusqlite::{Connection, params};

use super::confirmed_matches::mark_item_unverified;
use super::evicting::remove_items;
use super::feed_rows::FeedRows;
use super::item_rows::OpenListing;
use super::library_rows::{LibraryRow, LibraryRows, detach_libraries, libraries, mark_listing_current, upsert};
use super::schema::{CachedStatements, Tx, last_position_of};
use super::store::Store;
use super::views::{LastQuestion, SearchRows, questions_about, read_budget, read_last_question, read_search};
use crate::error::Result;
use crate::freshness::RequestBudget;
use crate::matching::RequestedGuid;
use crate::model::{Hint, Item, Library, LibraryId, PathSearch, Sequence, ViewId};
use crate::platform::deadline::Deadline;

/// Retention time for a library that the server no longer lists: 30 days.
const VANISHED_KEPT_MS: i64 = 30 * 86_400_000;

/// Time after an empty list of libraries before a second one can confirm it, in milliseconds.
const CONFIRM_EMPTY_MS: i64 = 60_000;

impl LibraryRows<'_> {
    /// Stores the libraries that a probe returned (`on_server`), and returns the rows of all the view's libraries.
    ///
    /// `begun`: the change sequence before the probe; later change hints stay. 0 for another host's earlier probe, which
    /// answers no question of this host. `is_current` compares a stored row with
    /// the library on the server, and returns whether the probe proves that the row's listing is current.
    pub fn store_probe(
        &self,
        view_id: ViewId,
        on_server: &[Library],
        begun: Sequence,
        now_ms: i64,
        deadline: Deadline,
        is_current: &dyn Fn(&LibraryRow, &Library) -> bool,
    ) -> Result<Vec<LibraryRow>> {
        self.0.write(deadline, |tx| {
            // Fails if the view belongs to a database that has since been renamed to `.broken`.
            tx.row("SELECT 1 FROM views WHERE id = ?1", [view_id], |_| Ok(()))?;
            let stored = libraries(tx.connection, view_id)?;
            if on_server.is_empty() && hold_back_empty_list(tx, view_id, now_ms)? {
                tx.libraries_changed(view_id)?;
                return libraries(tx.connection, view_id);
            }
            let probed = if begun == Sequence::default() {
                begun
            } else {
                tx.sequence
            };
            // Mark all libraries as absent; `upsert` marks those on the server as present.
            tx.execute("UPDATE libraries SET present = 0 WHERE view_id = ?1", [view_id])?;
            let by_uuid: HashMap<&str, &LibraryRow> = stored.iter().map(|row| (&*row.library.uuid, row)).collect();
            for (position, library) in (0_i64..).zip(on_server) {
                upsert(tx, view_id, position, library, probed)?;
                if let Some(row) = by_uuid.get(&*library.uuid)
                    && row.generation.is_fetched()
                    && is_current(row, library)
                {
                    mark_listing_current(tx, row.id, &library.change.token, begun, now_ms, row.provisional)?;
                }
            }
            remove_vanished(tx, view_id, now_ms)?;
            trim_history(tx, MAX_FEED_CHANGES)?;
            let updated = libraries(tx.connection, view_id)?;
            for row in only_in_first(&stored, &updated).chain(only_in_first(&updated, &stored)) {
                restart_history(tx, row.id)?; // the library vanished, or came back with its old listing
            }
            // The feed contains a library's title and section, so a change to either restarts the library's history.
            let names_of = |row: &LibraryRow| (row.library.title.clone(), row.library.section.clone());
            let names: HashMap<LibraryId, _> = updated.iter().map(|row| (row.id, names_of(row))).collect();
            for row in &stored {
                if names.get(&row.id).is_some_and(|names| *names != names_of(row)) {
                    restart_history(tx, row.id)?;
                }
            }
            tx.libraries_changed(view_id)?;
            Ok(updated)
        })
    }
}

/// What is known about an unlisted path before a question about it.
pub struct EarlierQuestions {
    /// The view's last question about any unlisted path.
    pub last: Option<LastQuestion>,
    /// Whether an event has reported a change in one of the libraries since the last question began.
    pub has_event: bool,
    pub budget: RequestBudget,
    /// For each library, the earlier questions about the path.
    pub questions: Vec<Option<PathSearch>>,
}

impl SearchRows<'_> {
    /// Returns what is known about the path with this hash, which one of the `libraries` may contain.
    pub fn earlier_questions(
        &self,
        view_id: ViewId,
        libraries: &[LibraryId],
        hash: u64,
        now_ms: i64,
    ) -> Result<EarlierQuestions> {
        self.0.read(|connection| {
            let last = read_last_question(connection, view_id)?;
            let (mut has_event, mut questions) = (false, Vec::new());
            for library in libraries {
                if let Some(last) = last {
                    let text = "SELECT 1 FROM libraries WHERE id = ?1 AND hint_seq > ?2";
                    has_event |= connection
                        .find(text, params![library, last.begun], |_| Ok(()))?
                        .is_some();
                }
                questions.push(read_search(connection, view_id, questions_about(*library), hash)?);
            }
            Ok(EarlierQuestions {
                last,
                has_event,
                budget: read_budget(connection, view_id, now_ms)?,
                questions,
            })
        })
    }
}

/// Returns the libraries that only the first list contains.
fn only_in_first<'r>(first: &'r [LibraryRow], second: &'r [LibraryRow]) -> impl Iterator<Item = &'r LibraryRow> {
    let others: HashSet<LibraryId> = second.iter().map(|row| row.id).collect();
    first.iter().filter(move |row| !others.contains(&row.id))
}

/// Holds back an empty list of libraries: keeps the libraries, and marks their answers as stale. Returns `false` if the
/// view has no libraries, or if an earlier empty list, at least a minute ago, confirms this one.
fn hold_back_empty_list(tx: &Tx<'_>, view_id: ViewId, now_ms: i64) -> rusqlite::Result<bool> {
    let confirmed_ms = now_ms.saturating_sub(CONFIRM_EMPTY_MS);
    let is_confirmed = tx.connection.has(
        "SELECT 1 FROM libraries WHERE view_id = ?1 AND present AND gone_ms BETWEEN 1 AND ?2",
        params![view_id, confirmed_ms],
    )?;
    if is_confirmed {
        return Ok(false);
    }
    let held = tx.execute(
        "UPDATE libraries SET gone_ms = iif(gone_ms BETWEEN 1 AND ?2, gone_ms, ?2), checked_ms = ?2 \
         WHERE view_id = ?1 AND present",
        params![view_id, now_ms],
    )?;
    if held > 0 {
        log::warn!("the server lists no libraries; plexindex keeps its libraries until a second list confirms this");
    }
    Ok(held > 0)
}

/// Removes libraries that the server has not listed for a month. Confirmed matches do not expire: a library with matches
/// loses only its items, until the server lists the library again.
fn remove_vanished(tx: &Tx<'_>, view_id: ViewId, now_ms: i64) -> rusqlite::Result<()> {
    let c = tx.connection;
    // Start the month now if it has not started, or if its start is in the future because the clock was set back.
    c.execute(
        "UPDATE libraries SET gone_ms = ?2 WHERE view_id = ?1 AND NOT present AND gone_ms NOT BETWEEN 1 AND ?2",
        params![view_id, now_ms],
    )?;
    let limit_ms = now_ms.saturating_sub(VANISHED_KEPT_MS);
    let has_vanished = c.has(
        "SELECT 1 FROM libraries WHERE view_id = ?1 AND NOT present AND gone_ms <= ?2",
        params![view_id, limit_ms],
    )?;
    if !has_vanished {
        return Ok(());
    }
    // Skip libraries that have only matches, because an earlier call removed their listings. Changes of the kinds 8 and
    // 9 add or remove single items.
    let vanished: Vec<(LibraryId, bool)> = c.rows(
        "SELECT id, matches FROM (SELECT *, EXISTS (SELECT 1 FROM tables WHERE library = libraries.id) AS matches \
         FROM libraries) l WHERE view_id = ?1 AND NOT present AND gone_ms <= ?2 \
         AND (NOT matches OR generation > 0 \
         OR EXISTS (SELECT 1 FROM changes WHERE library = l.id AND kind IN (8, 9)))",
        params![view_id, limit_ms],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (id, has_matches) in vanished {
        if has_matches {
            remove_items(tx, id)?;
        } else {
            detach_libraries(tx, "id", id)?;
        }
    }
    Ok(())
}

// The history: the changes that the feed can report.
//
// A library's history starts at the change sequence `feed_from`. A reader at an earlier position gets a single change,
// 'list again'. A sweep removes older rows.

/// Maximum number of changes that the feed keeps for all libraries: 64 MiB of rows, at about 512 bytes each.
pub const MAX_FEED_CHANGES: i64 = (64 << 20) / 512;

/// Restarts a library's history at this transaction, because the feed cannot report the library's changes. Readers with
/// an earlier cursor must list the library again.
pub fn restart_history(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    tx.changes_feed.set(true);
    tx.run(
        "UPDATE libraries SET feed_from = ?2 WHERE id = ?1",
        params![library, tx.sequence],
    )
}

/// If the feed has more than `max_changes` changes, removes the oldest changes of all libraries, so that the feed stays
/// small. Readers with an earlier cursor must then list again.
pub fn trim_history(tx: &Tx<'_>, max_changes: i64) -> rusqlite::Result<()> {
    let count: i64 = tx.value("SELECT count(*) FROM feed", [])?;
    if count <= max_changes {
        return Ok(());
    }
    // Remove a tenth more than necessary, so that the next listing need not remove changes again.
    let surplus = count - max_changes + max_changes / 10;
    let last_removed = tx.find_value(
        "SELECT sequence FROM feed ORDER BY id LIMIT 1 OFFSET ?1",
        [surplus.min(count) - 1],
    )?;
    last_removed.map_or(Ok(()), |last_removed| remove_history_upto(tx, last_removed))
}

/// Removes the history of all fetched libraries up to the change sequence `upto`. Readers with an earlier cursor must
/// then list again.
pub fn remove_history_upto(tx: &Tx<'_>, upto: Sequence) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE libraries SET feed_from = ?1 WHERE feed_from < ?1 AND generation > 0",
        [upto],
    )?;
    // `id` contains only the low bits of a change sequence, but is the primary key.
    tx.run(
        "DELETE FROM feed WHERE id <= ?2 AND sequence <= ?1",
        params![upto, last_position_of(upto)],
    )
}

impl FeedRows<'_> {
    /// Removes the history of all fetched libraries to free space. Returns `false` if there was no history.
    pub fn remove_all_history(&self, deadline: Deadline) -> Result<bool> {
        let has_history = self
            .0
            .read(|connection| connection.value::<bool>("SELECT EXISTS (SELECT 1 FROM feed)", []))?;
        if has_history {
            self.0.write(deadline, |tx| remove_history_upto(tx, tx.sequence))?;
        }
        Ok(has_history)
    }
}

/// The GUIDs of shows. A show is no item, but a query by a show's GUID finds the show's items.
pub struct ShowRows<'s>(pub &'s Store);

impl ShowRows<'_> {
    /// Replaces the GUIDs of a library's shows; `None`: the source cannot tell them. Writes only the differences.
    pub fn store_shows(&self, library: LibraryId, shows: Option<&[Item]>, deadline: Deadline) -> Result<()> {
        let mut rows = BTreeSet::new();
        if let Some(shows) = shows {
            rows.insert((String::new(), String::new()));
            for item in shows.iter().filter(|item| !item.guid.is_empty()) {
                let show = RequestedGuid::canonical_of(&item.guid);
                for guid in item.guids.iter().chain([&item.guid]).filter(|guid| !guid.is_empty()) {
                    rows.insert((
                        RequestedGuid::canonical_of(guid).into_owned(),
                        show.clone().into_owned(),
                    ));
                }
            }
        }
        self.0.write(deadline, |tx| {
            tx.expect_library(library)?;
            let stored = rows_of(tx, library)?;
            for (guid, show) in stored.difference(&rows) {
                tx.run(
                    "DELETE FROM shows WHERE library = ?1 AND guid = ?2 AND show = ?3",
                    params![library, guid, show],
                )?;
            }
            for (guid, show) in rows.difference(&stored) {
                tx.run(
                    "INSERT INTO shows (library, guid, show) VALUES (?1, ?2, ?3)",
                    params![library, guid, show],
                )?;
            }
            Ok(())
        })
    }

    /// Returns the library's shows with their GUIDs in the canonical spelling, but without rating keys and titles;
    /// `None` if the GUIDs of the library's shows are unknown.
    pub fn shows(&self, library: LibraryId) -> Result<Option<Vec<Item>>> {
        let rows = self.0.read(|connection| rows_of(connection, library))?;
        let is_known = !rows.is_empty();
        let mut shows: BTreeMap<String, Item> = BTreeMap::new();
        for (guid, show) in rows.into_iter().filter(|(guid, _)| !guid.is_empty()) {
            let item = shows.entry(show).or_insert_with_key(|show| Item {
                guid: show.clone(),
                ..Item::default()
            });
            item.guids.push(guid);
        }
        Ok(is_known.then(|| shows.into_values().collect()))
    }

    /// Returns the own GUIDs of the library's shows that have a GUID, both in the canonical spelling; `None` if the
    /// GUIDs of the library's shows are unknown.
    pub fn shows_with(&self, library: LibraryId, guid: &str) -> Result<Option<Vec<String>>> {
        let shows: Vec<String> = self.0.read(|connection| {
            connection.values(
                "SELECT show FROM shows WHERE library = ?1 AND guid IN ('', ?2) ORDER BY guid, show",
                params![library, guid],
            )
        })?;
        let mut shows = shows.into_iter();
        Ok(shows.next().filter(String::is_empty).map(|_| shows.collect()))
    }

    /// Returns whether the GUIDs of the library's shows are known, among them all shows with these own GUIDs.
    pub fn has_shows(&self, library: LibraryId, guids: &BTreeSet<String>) -> Result<bool> {
        for guid in guids.iter().map(String::as_str).chain([""]) {
            let shows = self.shows_with(library, &RequestedGuid::canonical_of(guid))?;
            if shows.is_none_or(|shows| shows.is_empty() && !guid.is_empty()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns all rows of a library, each with a GUID and the show's own GUID.
fn rows_of(connection: &Connection, library: LibraryId) -> rusqlite::Result<BTreeSet<(String, String)>> {
    let rows = connection.rows("SELECT guid, show FROM shows WHERE library = ?1", [library], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.into_iter().collect())
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
    /// Stores hints from events (`hints`) in one transaction, so that the next refresh acts on them. Marks deleted
    /// items as unverified. A hint about a library that the view lacks becomes a hint to probe all libraries.
    pub fn store_hints(&self, view_id: ViewId, hints: &[LibraryHint], deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            let rows = libraries(tx.connection, view_id)?;
            // Open the listings only if deleted items must be found in them.
            let mut listings = Vec::new();
            if hints.iter().any(|event| !event.deleted.is_empty()) {
                for row in &rows {
                    listings.push((row.id, OpenListing::of(tx, self.0, row.id)?));
                }
            }
            let mut is_any_stored = false;
            for event in hints {
                let is_hinted = |row: &&LibraryRow| event.section.as_ref().is_none_or(|id| row.library.section == *id);
                let hinted_rows: Vec<&LibraryRow> = rows.iter().filter(is_hinted).collect();
                let mut hint = event.hint;
                for rating_key in &event.deleted {
                    let mut is_marked = false;
                    let is_hinted = |library| hinted_rows.iter().any(|row| row.id == library);
                    for (library, base) in listings.iter().filter(|(library, _)| is_hinted(*library)) {
                        is_marked |= mark_item_unverified(tx, view_id, *library, base, rating_key)?;
                    }
                    // Otherwise, the key belongs to a show or an album, or only an unfinished listing has the item.
                    if !is_marked {
                        hint = hint.max(Hint::Probe);
                    }
                }
                if hint == Hint::None {
                    continue;
                }
                is_any_stored = true;
                for row in &hinted_rows {
                    store_hint(tx, row.id, hint)?;
                }
                // A probe also finds a library that is not stored yet.
                for row in rows.iter().filter(|_| hinted_rows.is_empty()) {
                    store_hint(tx, row.id, Hint::Probe)?;
                }
            }
            if is_any_stored {
                tx.libraries_changed(view_id)?;
            }
            Ok(())
        })
    }

    /// Stores that events have announced changes in the libraries with these section ids (`None`: all libraries). This
    /// ends the pauses of unlisted paths, but answers do not become stale before the hints follow.
    pub fn store_news(&self, view_id: ViewId, sections: &[Option<String>], deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            for section in sections {
                tx.run(
                    "UPDATE libraries SET hint_seq = ?3 WHERE view_id = ?1 AND (?2 IS NULL OR section = ?2)",
                    params![view_id, section, tx.sequence],
                )?;
            }
            Ok(())
        })
    }
}

/// Stores a hint about a library, or keeps a stronger one. Always updates `hint_seq`, so that only a probe that starts
/// later clears the hint.
fn store_hint(tx: &Tx<'_>, library: LibraryId, hint: Hint) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE libraries SET hint = max(hint, ?2), hint_seq = ?3 WHERE id = ?1",
        params![library, hint as i64, tx.sequence],
    )
}
