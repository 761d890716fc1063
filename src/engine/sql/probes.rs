//! Results of probes: the libraries of an identity and their change tokens. Libraries that vanish are removed later.

use rusqlite::params;

use super::cached::CachedStatements;
use super::confirmed_matches::move_matches_and_invalidations;
use super::history::{MAX_ENDED_ROWS, forget_surplus, restart_history};
use super::libraries::{LibraryRow, LibraryRows, disown, libraries, renew, upsert};
use super::tx::Tx;
use crate::error::Result;
use crate::model::{Change, IdentityId, Library, LibraryId, Sequence};
use crate::platform::deadline::Deadline;

/// How long the listing of a library is kept after the server stopped showing the library.
const VANISHED_KEPT_MS: i64 = 30 * 86_400_000;

impl LibraryRows<'_> {
    /// Stores the result of a probe that began at the change sequence `begun`. `current` returns whether the probe
    /// proves a listing to be current, from the stored row and the library as probed.
    pub fn probed(
        &self,
        identity: IdentityId,
        shown: &[Library],
        begun: Sequence,
        now_ms: i64,
        deadline: Deadline,
        current: &dyn Fn(&LibraryRow, &Library) -> bool,
    ) -> Result<Vec<LibraryRow>> {
        self.0.write(deadline, |tx| {
            // The identity may be one of a database that was renamed to `.broken`.
            tx.row("SELECT 1 FROM identities WHERE id = ?1", [identity], |_| Ok(()))?;
            let before = libraries(tx.connection, identity)?;
            tx.execute("UPDATE libraries SET present = 0 WHERE identity = ?1", [identity])?;
            for (position, library) in (0_i64..).zip(shown) {
                upsert(tx, identity, position, library)?;
                if let Some(row) = before.iter().find(|row| row.library.uuid == library.uuid)
                    && row.generation.is_fetched()
                    && current(row, library)
                {
                    renew(tx, row.id, &library.change.token, begun, now_ms, row.provisional)?;
                }
            }
            forget_gone(tx, identity, now_ms)?;
            forget_surplus(tx, MAX_ENDED_ROWS)?;
            let after = libraries(tx.connection, identity)?;
            for row in not_in(&before, &after).chain(not_in(&after, &before)) {
                restart_history(tx, row.id)?; // the library vanished, or came back with its old listing
            }
            for (row, probed) in before
                .iter()
                .filter_map(|row| Some((row, after.iter().find(|probed| probed.id == row.id)?)))
            {
                let name_of = |row: &LibraryRow| (row.library.title.clone(), row.library.section.clone());
                if name_of(row) != name_of(probed) {
                    // Changes in the feed have the library's title and section.
                    restart_history(tx, row.id)?;
                }
            }
            if before.iter().map(lasting).eq(after.iter().map(lasting)) {
                tx.freshness_changed(identity)?;
            } else {
                tx.libraries_changed(identity)?;
            }
            Ok(after)
        })
    }
}

/// The libraries that are only in the first list.
fn not_in<'r>(one: &'r [LibraryRow], other: &'r [LibraryRow]) -> impl Iterator<Item = &'r LibraryRow> {
    one.iter().filter(|row| !other.iter().any(|other| other.id == row.id))
}

/// Removes the listings of libraries that the server has not shown for a month, and those libraries unless they have
/// confirmed matches. Matches do not expire. They are kept under a new library id until the library comes back.
fn forget_gone(tx: &Tx<'_>, identity: IdentityId, now_ms: i64) -> rusqlite::Result<()> {
    let c = tx.connection;
    c.execute(
        "UPDATE libraries SET gone_ms = ?2 WHERE identity = ?1 AND NOT present AND gone_ms NOT BETWEEN 1 AND ?2",
        params![identity, now_ms],
    )?;
    let before_ms = now_ms.saturating_sub(VANISHED_KEPT_MS);
    let any_expired = c.has(
        "SELECT 1 FROM libraries WHERE identity = ?1 AND NOT present AND gone_ms <= ?2",
        params![identity, before_ms],
    )?;
    if !any_expired {
        return Ok(());
    }
    // Leave libraries that have only matches, as after an earlier call.
    let gone: Vec<(LibraryId, bool)> = c.rows(
        "SELECT id, matches FROM (SELECT *, EXISTS (SELECT 1 FROM tables WHERE library = libraries.id) AS matches \
         FROM libraries) l WHERE identity = ?1 AND NOT present AND gone_ms <= ?2 \
         AND (NOT matches OR generation > 0 OR EXISTS (SELECT 1 FROM items WHERE library = l.id))",
        params![identity, before_ms],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (id, has_matches) in gone {
        disown(tx, "id", id)?;
        if has_matches {
            c.execute(
                "INSERT INTO libraries (identity, section, uuid, title, kind, locations, position, present, gone_ms) \
                 SELECT ?2, section, uuid, title, kind, locations, position, 0, gone_ms FROM libraries WHERE id = ?1",
                params![id, identity],
            )?;
            move_matches_and_invalidations(tx, id, LibraryId(c.last_insert_rowid()))?;
        }
    }
    Ok(())
}

/// The part of a library that answers depend on.
fn lasting(row: &LibraryRow) -> (LibraryId, Library) {
    let library = Library {
        change: Change::default(),
        ..row.library.clone()
    };
    (row.id, library)
}
