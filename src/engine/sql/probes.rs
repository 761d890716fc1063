//! Stores the results of probes, which are a view's libraries and their change tokens.

use std::collections::{BTreeSet, HashMap, HashSet};

use rusqlite::params;

use super::evicting::remove_vanished;
use super::feed_rows::{MAX_FEED_ROWS, trim_feed};
use super::knowledge_rows::Folding;
use super::library_rows::{LibraryRow, LibraryRows, libraries, upsert};
use super::schema::{CachedStatements, Tx};
use crate::error::Result;
use crate::knowledge::{Cause, Doubt, Observation, Ticket};
use crate::model::{Library, LibraryId, ViewId};
use crate::platform::clock::Deadline;

impl LibraryRows<'_> {
    /// Stores the libraries that a probe returned (`on_server`), and folds their states. Returns the rows of all the view's
    /// libraries. `asked`: the probe's ticket. A reply to a later probe decides which libraries there are.
    pub fn store_probe(
        &self,
        view_id: ViewId,
        on_server: &[Library],
        asked: Ticket,
        now_ms: i64,
        deadline: Deadline,
    ) -> Result<Vec<LibraryRow>> {
        self.0.write(deadline, |tx| {
            // Fails if the view belongs to a database that has since been renamed to `.broken`.
            tx.row("SELECT 1 FROM views WHERE id = ?1", [view_id], |_| Ok(()))?;
            let stored = libraries(tx.connection, view_id)?;
            // Also a list without a library tells of it.
            let last: Ticket = tx.value(
                "SELECT coalesce(max(seen_asked), 0) FROM libraries WHERE view_id = ?1",
                [view_id],
            )?;
            let is_latest = last < asked;
            if on_server.is_empty() && is_latest && hold_back_empty_list(tx, view_id, &stored, asked, now_ms)? {
                return libraries(tx.connection, view_id);
            }
            let mut ids = Vec::new();
            for library in on_server {
                let known = stored.iter().find(|row| row.library.uuid == library.uuid);
                // What was doubted of a library that was not there is not known.
                let was_gone = is_latest
                    && known.is_none()
                    && tx.has(
                        "SELECT 1 FROM libraries WHERE view_id = ?1 AND uuid = ?2 AND gone_ms > 0",
                        params![view_id, library.uuid],
                    )?;
                let id = if is_latest {
                    upsert(tx, view_id, library)?
                } else if let Some(row) = known {
                    row.id
                } else {
                    continue;
                };
                ids.push(id);
                let folding = Folding::open(self.0, tx, id, &|_, _| Vec::new())?;
                folding.apply(&folding.fold(&Observation::State(&library.change), asked, now_ms)?)?;
                // The server moved the files, too.
                if was_gone || is_latest && known.is_some_and(|row| has_moved(&row.library, library)) {
                    tx.doubt_library(view_id, id, Cause::Invalidated, now_ms)?;
                }
            }
            if !is_latest {
                return libraries(tx.connection, view_id);
            }
            for row in stored.iter().filter(|row| !ids.contains(&row.id)) {
                tx.run(
                    "UPDATE libraries SET gone_ms = ?2, seen_asked = ?3, seen_came = ?4 WHERE id = ?1",
                    params![row.id, now_ms.max(1), asked, tx.sequence],
                )?;
            }
            remove_vanished(tx, view_id, now_ms)?;
            trim_feed(tx, MAX_FEED_ROWS)?;
            let updated = libraries(tx.connection, view_id)?;
            for row in only_in_first(&stored, &updated).chain(only_in_first(&updated, &stored)) {
                tx.relist_in_feed(row.id)?; // the library vanished, or came back with its old listing
            }
            // The feed's changes contain a library's title and section, so readers list it again after a change to either.
            let names_of = |row: &LibraryRow| (row.library.title.clone(), row.library.section.clone());
            let names: HashMap<LibraryId, _> = updated.iter().map(|row| (row.id, names_of(row))).collect();
            for row in &stored {
                if names.get(&row.id).is_some_and(|names| *names != names_of(row)) {
                    tx.relist_in_feed(row.id)?;
                }
            }
            tx.libraries_changed(view_id)?;
            Ok(updated)
        })
    }
}

/// Returns whether a library's folders have changed, so that its files have other paths.
fn has_moved(stored: &Library, on_server: &Library) -> bool {
    let sorted = |library: &Library| library.locations.iter().cloned().collect::<BTreeSet<_>>();
    let (before, now) = (sorted(stored), sorted(on_server));
    !before.is_subset(&now)
}

/// Returns the libraries that only the first list contains.
fn only_in_first<'r>(first: &'r [LibraryRow], second: &'r [LibraryRow]) -> impl Iterator<Item = &'r LibraryRow> {
    let others: HashSet<LibraryId> = second.iter().map(|row| row.id).collect();
    first.iter().filter(move |row| !others.contains(&row.id))
}

/// Holds back an empty list of libraries: keeps the libraries, and doubts them. Returns `false` if the view has no
/// libraries, or if an earlier empty list, at least a minute ago, confirms this one.
fn hold_back_empty_list(
    tx: &Tx<'_>,
    view_id: ViewId,
    stored: &[LibraryRow],
    asked: Ticket,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let confirms = |doubt: &Doubt| doubt.cause == Cause::EmptyList && doubt.is_confirmed_by(asked, now_ms);
    if stored.is_empty() || stored.iter().flat_map(|row| &row.doubts).any(confirms) {
        return Ok(false);
    }
    for row in stored {
        tx.doubt_library(view_id, row.id, Cause::EmptyList, now_ms)?;
    }
    log::warn!("the server lists no libraries; plexindex keeps its libraries until a second list confirms this");
    Ok(true)
}
