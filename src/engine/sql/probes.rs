//! Stores the results of probes: a view's libraries and their change tokens. Removes a library a month after the server
//! stopped listing it.

use std::collections::{HashMap, HashSet};

use rusqlite::params;

use super::cached::CachedStatements;
use super::confirmed_matches::move_matches_and_invalidations;
use super::history::{MAX_FEED_CHANGES, restart_history, trim_history};
use super::library_rows::{LibraryRow, LibraryRows, detach_libraries, libraries, mark_listing_current, upsert};
use super::tx::Tx;
use crate::error::Result;
use crate::model::{Library, LibraryId, Sequence, SourceState, ViewId};
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
        identity: ViewId,
        on_server: &[Library],
        begun: Sequence,
        now_ms: i64,
        deadline: Deadline,
        is_current: &dyn Fn(&LibraryRow, &Library) -> bool,
    ) -> Result<Vec<LibraryRow>> {
        self.0.write(deadline, |tx| {
            // Fails if the view belongs to a database that has since been renamed to `.broken`.
            tx.row("SELECT 1 FROM views WHERE id = ?1", [identity], |_| Ok(()))?;
            let stored = libraries(tx.connection, identity)?;
            if on_server.is_empty() && hold_back_empty_list(tx, identity, now_ms)? {
                tx.freshness_changed(identity)?;
                return libraries(tx.connection, identity);
            }
            let probed = if begun == Sequence::default() {
                begun
            } else {
                tx.sequence
            };
            // Mark all libraries as absent; `upsert` marks those on the server as present.
            tx.execute("UPDATE libraries SET present = 0 WHERE view_id = ?1", [identity])?;
            let by_uuid: HashMap<&str, &LibraryRow> = stored.iter().map(|row| (&*row.library.uuid, row)).collect();
            for (position, library) in (0_i64..).zip(on_server) {
                upsert(tx, identity, position, library, probed)?;
                if let Some(row) = by_uuid.get(&*library.uuid)
                    && row.generation.is_fetched()
                    && is_current(row, library)
                {
                    mark_listing_current(tx, row.id, &library.change.token, begun, now_ms, row.provisional)?;
                }
            }
            remove_vanished(tx, identity, now_ms)?;
            trim_history(tx, MAX_FEED_CHANGES)?;
            let updated = libraries(tx.connection, identity)?;
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
            // If only change tokens or times differ, other processes can keep their snapshots.
            if stored.iter().map(without_change).eq(updated.iter().map(without_change)) {
                tx.freshness_changed(identity)?;
            } else {
                tx.libraries_changed(identity)?;
            }
            Ok(updated)
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
fn hold_back_empty_list(tx: &Tx<'_>, identity: ViewId, now_ms: i64) -> rusqlite::Result<bool> {
    let confirmed_ms = now_ms.saturating_sub(CONFIRM_EMPTY_MS);
    let is_confirmed = tx.connection.has(
        "SELECT 1 FROM libraries WHERE view_id = ?1 AND present AND gone_ms BETWEEN 1 AND ?2",
        params![identity, confirmed_ms],
    )?;
    if is_confirmed {
        return Ok(false);
    }
    let held = tx.execute(
        "UPDATE libraries SET gone_ms = iif(gone_ms BETWEEN 1 AND ?2, gone_ms, ?2), checked_ms = ?2 \
         WHERE view_id = ?1 AND present",
        params![identity, now_ms],
    )?;
    if held > 0 {
        log::warn!("the server lists no libraries; plexindex keeps its libraries until a second list confirms this");
    }
    Ok(held > 0)
}

/// Removes libraries that the server has not listed for a month. Confirmed matches do not expire: they move to a new
/// library id without a listing, until the server lists the library again.
fn remove_vanished(tx: &Tx<'_>, identity: ViewId, now_ms: i64) -> rusqlite::Result<()> {
    let c = tx.connection;
    // Start the month now if it has not started, or if its start is in the future because the clock was set back.
    c.execute(
        "UPDATE libraries SET gone_ms = ?2 WHERE view_id = ?1 AND NOT present AND gone_ms NOT BETWEEN 1 AND ?2",
        params![identity, now_ms],
    )?;
    let limit_ms = now_ms.saturating_sub(VANISHED_KEPT_MS);
    let has_vanished = c.has(
        "SELECT 1 FROM libraries WHERE view_id = ?1 AND NOT present AND gone_ms <= ?2",
        params![identity, limit_ms],
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
        params![identity, limit_ms],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (id, has_matches) in vanished {
        detach_libraries(tx, "id", id)?;
        if has_matches {
            c.execute(
                "INSERT INTO libraries (view_id, section, uuid, title, kind, locations, position, present, gone_ms) \
                 SELECT ?2, section, uuid, title, kind, locations, position, 0, gone_ms FROM libraries WHERE id = ?1",
                params![id, identity],
            )?;
            move_matches_and_invalidations(tx, id, LibraryId(c.last_insert_rowid()))?;
        }
    }
    Ok(())
}

/// Returns a library's id, and the library without its change token, which does not affect answers.
fn without_change(row: &LibraryRow) -> (LibraryId, Library) {
    let library = Library {
        change: SourceState::default(),
        ..row.library.clone()
    };
    (row.id, library)
}
