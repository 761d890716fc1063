//! What this folder exchanges with other hosts: the matches of shared views, and what was taken back.
//!
//! Rows get ids in the order of their writes, so one number tells which of them other hosts have. A row that arrives
//! counts if it is later than what this folder has of its path: [`Version`].

use rusqlite::{Connection, OptionalExtension, params};

use super::record_encoding::RecordKind;
use super::record_rows::{
    ITEM, MATCH_COLUMNS, all_matches_of, drop_matches, match_in, matches_of_file, matches_where, path_of_item,
    path_taken_back, taken_back_at,
};
use super::record_writes::{Limited, MatchTime, find_or_create_match_table};
use super::schema::{CachedStatements, LibraryState, Tx, last_position_of, sequence_at, sequence_of};
use super::store::Store;
use super::views::libraries_of_others;
use crate::engine::record_rows::{RecordTime, StoredMatch, Version};
use crate::error::Result;
use crate::matching::normal::normal_form;
use crate::model::{LibraryId, Sequence, ViewId};
use crate::platform::clock::Deadline;

/// Time after which what was taken back is forgotten: a year, in µs.
const FORGOTTEN_AFTER_US: i64 = 366 * 24 * 3_600 * 1_000_000;
/// Earlier than every time of this version. What is older has the order of an earlier version's log, and is kept.
const FIRST_TIME: i64 = 1 << 52;
/// The time of what waited for that log, together with its number there: later than what is in the log.
const WAITING: i64 = 1 << 50;
/// Commits without rows of a view are skipped once there are this many.
const SKIPPED_COMMITS: u64 = 10_000;
/// Maximum number of rows that one commit forgets.
const FORGOTTEN_PER_STEP: i64 = 400;

/// A match of a path, or that the match was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedRow {
    /// The library's uuid; empty: all libraries of the view.
    pub library: String,
    /// The host's path; empty: everything that was recorded before; `path_of_item`: that of an item.
    pub path: Vec<u8>,
    /// The item's rating key; `None`: taken back.
    pub rating_key: Option<String>,
    pub at: RecordTime,
}

impl SharedRow {
    /// Returns whether the row has a path, which differs between hosts.
    #[must_use]
    pub fn has_path(&self) -> bool {
        !self.path.is_empty() && !self.path.starts_with(ITEM)
    }
}

/// Up to which row this folder has read a view: the number of the last row, and the mark of the delivery that wrote it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedPosition {
    pub seq: i64,
    pub mark: i64,
}

/// What this folder has exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedState {
    pub read: SharedPosition,
    /// Up to which row other hosts have this folder's rows.
    pub delivered: i64,
    /// Number of matches that went before they were delivered.
    pub lost: u64,
}

/// A step of reading.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedStep {
    pub from: SharedPosition,
    /// The new position; `None` until everything is read.
    pub to: Option<SharedPosition>,
    /// Up to which row this folder's rows were delivered before the page was read. Stored only together with a new
    /// position: a database that has this position has the deliveries, too, and one that was restored does not have it.
    pub delivered: i64,
}

/// Rows that other hosts do not have yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Undelivered {
    pub rows: Vec<SharedRow>,
    /// Their number. Damaged ones are not in `rows`.
    pub count: usize,
    /// The id up to which these are all rows.
    pub upto: i64,
    /// Whether so many commits without such rows follow that it is worth a write to skip them.
    pub is_far: bool,
}

/// Access to what a store shares.
pub struct SharedRows<'s>(pub &'s Store);

impl SharedRows<'_> {
    /// Returns what a view has exchanged; `None` if it has not exchanged anything with this digest. `digest`: of all that
    /// decides which rows concern this host.
    pub fn state(&self, view_id: ViewId, digest: u64) -> Result<Option<SharedState>> {
        self.0.read(|c| state_of(c, view_id, digest.cast_signed()))
    }

    /// Begins to share a view, or begins anew: everything is read and offered, and the later rows win.
    pub fn begin(&self, view_id: ViewId, digest: u64, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run(
                "INSERT INTO shared (view_id, digest, seq, mark, delivered, latest, lost) \
                 VALUES (?1, ?2, 0, 0, 0, (SELECT coalesce(max(latest), 0) FROM shared WHERE view_id = ?1), 0) \
                 ON CONFLICT (view_id, digest) DO UPDATE SET seq = 0, mark = 0, delivered = 0",
                params![view_id, digest.cast_signed()],
            )
        })
    }

    /// Stores the difference between the shared database's clock and that of this host, in µs.
    pub fn set_clock(&self, difference_us: i64) -> Result<()> {
        self.0.common_clock.set(difference_us);
        let is_known = self
            .0
            .read(|c| c.has("SELECT 1 FROM meta WHERE clock_us = ?1", [difference_us]))?;
        if is_known {
            return Ok(());
        }
        self.0.write(Deadline::NONE, |tx| {
            tx.known.clock.set(None);
            tx.run("UPDATE meta SET clock_us = ?1", [difference_us])
        })
    }

    /// Returns a view's rows after an id, oldest first, at most `most`.
    pub fn undelivered(&self, view_id: ViewId, after: i64, most: usize) -> Result<Undelivered> {
        self.0.read(|c| undelivered(c, view_id, after, most))
    }

    /// Merges rows that came from other hosts, and stores the new position in the same transaction. `unlisted`: rating keys
    /// that their libraries do not list, so that their items are doubted. `limit`: the maximum size of all matches.
    ///
    /// Returns up to which id other hosts then have this folder's rows: what was just read need not be delivered. Returns
    /// `None`, and does nothing, if another process has moved the position.
    pub fn apply(
        &self,
        (view_id, digest): (ViewId, u64),
        rows: &[SharedRow],
        unlisted: &[(LibraryId, String)],
        progress: SharedStep,
        limit: u64,
    ) -> Result<Option<i64>> {
        self.0.write(Deadline::NONE, |tx| {
            let state = state_of(tx, view_id, digest.cast_signed())?;
            if state.is_none_or(|state| state.read != progress.from) {
                return Ok(None);
            }
            let is_all_delivered = undelivered(tx, view_id, progress.delivered, 1)?.count == 0;
            merge(tx, view_id, rows, unlisted, limit)?;
            let delivered = if is_all_delivered {
                last_position_of(tx.sequence)
            } else {
                progress.delivered
            };
            let to = progress.to.unwrap_or(progress.from);
            let stored = if progress.to.is_some() { delivered } else { 0 };
            tx.run(
                "UPDATE shared SET seq = ?2, mark = ?3, delivered = max(delivered, ?4) WHERE view_id = ?1 AND digest = ?5",
                params![view_id, to.seq, to.mark, stored, digest.cast_signed()],
            )?;
            Ok(Some(delivered))
        })
    }

    /// Adds rows with their times, such as those of another token's view. Later ones of this folder stay.
    pub fn add(&self, view_id: ViewId, rows: &[SharedRow], limit: u64, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| merge(tx, view_id, rows, &[], limit))
    }

    /// Returns the matches, items, paths and libraries that waited for the log of an earlier version, with the server's paths.
    pub fn waiting(&self, view_id: ViewId) -> Result<Vec<SharedRow>> {
        self.0.read(|c| {
            c.rows(
                "SELECT library, iif(kind = 7, x'', key), iif(kind = 4, body, x''), ?2 + id, iif(kind = 5, ?3, x'') FROM outbox \
                 WHERE view_id = ?1 AND (kind = 7 OR kind IN (4, 6) AND key <> x'' OR kind = 5 AND body <> x'') ORDER BY id",
                params![view_id, WAITING, ITEM],
                |row| {
                    Ok(SharedRow {
                        library: row.get(0)?,
                        path: [row.get::<_, Vec<u8>>(4)?, row.get(1)?].concat(),
                        rating_key: String::from_utf8(row.get(2)?).ok().filter(|key| !key.is_empty()),
                        at: RecordTime(row.get(3)?),
                    })
                },
            )
        })
    }

    /// Adds rows that waited, with this host's paths, in place of what waited.
    pub fn adopt(&self, view_id: ViewId, rows: &[SharedRow]) -> Result<()> {
        let (libraries, paths): (Vec<SharedRow>, Vec<SharedRow>) =
            rows.iter().cloned().partition(|row| row.path.is_empty());
        self.0.write(Deadline::NONE, |tx| {
            // This host has taken back what it had of a library. What it recorded since is not in the row.
            let mut libraries = libraries.iter();
            libraries.try_for_each(|row| tx.store_taken_back(view_id, &row.library, b"", row.at))?;
            merge(tx, view_id, &paths, &[], u64::MAX)?;
            tx.run("DELETE FROM outbox WHERE view_id = ?1", [view_id])
        })
    }

    /// Forgets some of what was taken back long before the latest row of another host, and by this clock, which may be wrong.
    pub fn forget_old(&self, view_id: ViewId, now_us: i64) -> Result<()> {
        let latest = "SELECT coalesce(max(latest), 0) FROM shared WHERE view_id = ?1";
        let latest = RecordTime(self.0.read(|c| c.value(latest, [view_id]))?);
        let now_us = now_us.min(latest.us());
        let before = RecordTime::at_us(now_us.saturating_sub(FORGOTTEN_AFTER_US)).0;
        let old = "SELECT library, path FROM taken_back WHERE view_id = ?1 AND at BETWEEN ?2 AND ?3 LIMIT ?4";
        let values = params![view_id, FIRST_TIME, before, FORGOTTEN_PER_STEP];
        if !self.0.read(|c| c.has(old, values))? {
            return Ok(());
        }
        let forget = format!("DELETE FROM taken_back WHERE view_id = ?1 AND (library, path) IN ({old})");
        self.0.write(Deadline::NONE, |tx| tx.run(&forget, values))
    }
}

impl Tx<'_> {
    /// Stores that a path's match was taken back, if other hosts must know. `after`: when the match was recorded.
    pub fn take_back(&self, library: LibraryId, path: &[u8], after: RecordTime) -> rusqlite::Result<()> {
        self.take_back_after(library, path, |state| Ok(after.max(taken_back_at(self, state, path)?)))
    }

    /// Stores that this match ended, but no later one of its path, if other hosts must know.
    pub fn end_match(&self, library: LibraryId, stored: &StoredMatch) -> rusqlite::Result<()> {
        self.store_back(library, &stored.path, |state| {
            let known = taken_back_at(self, state, &stored.path)?;
            Ok(known.max(RecordTime(stored.at.0.saturating_add(1))))
        })
    }

    /// Stores that all matches of a library were taken back, if other hosts must know. Call it before the matches go.
    pub fn take_all_back(&self, library: LibraryId) -> rusqlite::Result<()> {
        self.take_back_after(library, b"", |state| {
            // This host's own matches can be later than its clock, which may have been ahead.
            let latest = "SELECT max((SELECT coalesce(max(latest), 0) FROM shared WHERE view_id = ?1), \
                          (SELECT coalesce(max(at), 0) FROM matches WHERE +in_table = ?2))";
            let latest = RecordTime(self.value(latest, params![state.view_id, state.matches])?);
            Ok(latest.max(state.all_taken_back))
        })
    }

    /// Stores that a path, or all paths of a library, were taken back later than `after`, if other hosts must know.
    fn take_back_after(
        &self,
        library: LibraryId,
        path: &[u8],
        after: impl FnOnce(&LibraryState) -> rusqlite::Result<RecordTime>,
    ) -> rusqlite::Result<()> {
        self.store_back(library, path, |state| self.time_after(after(state)?))
    }

    /// Stores that a path, or all paths of a library, were taken back at a time, if the view is shared, or another token's
    /// view has the library, from which the next token would inherit the match.
    fn store_back(
        &self,
        library: LibraryId,
        path: &[u8],
        at: impl FnOnce(&LibraryState) -> rusqlite::Result<RecordTime>,
    ) -> rusqlite::Result<()> {
        let Some(state) = self.expect_library(library).optional()? else {
            return Ok(());
        };
        if !state.is_shared && libraries_of_others(self, library)?.is_empty() {
            return Ok(());
        }
        let at = at(&state)?;
        let uuid: String = self.value("SELECT uuid FROM libraries WHERE id = ?1", [library])?;
        if state.is_shared {
            self.is_shared.set(true);
        }
        self.store_taken_back(state.view_id, &uuid, path, at)
    }

    fn store_taken_back(&self, view_id: ViewId, library: &str, path: &[u8], at: RecordTime) -> rusqlite::Result<()> {
        self.run(
            "INSERT INTO taken_back (view_id, library, path, at, id) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (view_id, library, path) DO UPDATE SET at = excluded.at, id = excluded.id",
            params![view_id, library, path_taken_back(path), at.0, self.next_row_id()],
        )?;
        // The change sequence is not looked for in these rows.
        self.run("UPDATE meta SET sequence = ?1", [self.sequence])?;
        note_latest(self, view_id, at)
    }
}

/// Stores the time of a view's latest row that is not a match of this host.
fn note_latest(tx: &Tx<'_>, view_id: ViewId, at: RecordTime) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE shared SET latest = ?2 WHERE view_id = ?1 AND latest < ?2",
        params![view_id, at.0],
    )
}

fn state_of(c: &Connection, view_id: ViewId, digest: i64) -> rusqlite::Result<Option<SharedState>> {
    c.find(
        "SELECT seq, mark, delivered, lost FROM shared WHERE view_id = ?1 AND digest = ?2",
        params![view_id, digest],
        |row| {
            Ok(SharedState {
                read: SharedPosition {
                    seq: row.get(0)?,
                    mark: row.get(1)?,
                },
                delivered: row.get(2)?,
                lost: row.get::<_, i64>(3)?.cast_unsigned(),
            })
        },
    )
}

/// Returns a view's rows after an id, oldest first, at most `most`.
fn undelivered(c: &Connection, view_id: ViewId, after: i64, most: usize) -> rusqlite::Result<Undelivered> {
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    // In this order, SQLite reads the newest rows.
    let matches = format!(
        "SELECT {MATCH_COLUMNS}, m.in_table, l.uuid FROM matches m CROSS JOIN tables t ON t.id = m.in_table \
         CROSS JOIN libraries l ON l.id = t.library WHERE m.id > ?1 AND l.view_id = ?2 ORDER BY m.id LIMIT ?3"
    );
    let mut rows = c.rows(&matches, params![after, view_id, limit], |row| {
        let stored = match_in(row, row.get(6)?, Sequence(0)).map(|stored| SharedRow {
            library: row.get(7).unwrap_or_default(),
            path: stored.path,
            rating_key: Some(stored.rating_key),
            at: stored.at,
        });
        Ok((row.get(0)?, stored))
    })?;
    rows.extend(c.rows(
        "SELECT id, library, path, at FROM taken_back WHERE view_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        params![view_id, after, limit],
        |row| {
            let back = SharedRow {
                library: row.get(1)?,
                path: row.get(2)?,
                rating_key: None,
                at: RecordTime(row.get(3)?),
            };
            Ok((row.get(0)?, Some(back)))
        },
    )?);
    rows.sort_by_key(|(id, _): &(i64, _)| *id);
    let is_last = rows.len() < most;
    rows.truncate(most);
    let now = sequence_of(c)?;
    let upto = match rows.last() {
        Some((id, _)) if !is_last => *id,
        _ => last_position_of(now),
    };
    Ok(Undelivered {
        count: rows.len(),
        is_far: rows.is_empty() && now.0.saturating_sub(sequence_at(after, now).0) > SKIPPED_COMMITS,
        rows: rows.into_iter().filter_map(|(_, row)| row).collect(),
        upto,
    })
}

/// Merges rows into a view: the later of two rows of a path counts.
fn merge(
    tx: &Tx<'_>,
    view_id: ViewId,
    rows: &[SharedRow],
    unlisted: &[(LibraryId, String)],
    limit: u64,
) -> rusqlite::Result<()> {
    let libraries: Vec<(String, LibraryId)> =
        tx.rows("SELECT uuid, id FROM libraries WHERE view_id = ?1", [view_id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut counted = Vec::new();
    for row in rows {
        let is_meant = |(uuid, _): &&(String, LibraryId)| row.library.is_empty() || *uuid == row.library;
        let mut of_row = libraries.iter().filter(is_meant).map(|(_, id)| *id);
        if row.path.is_empty() {
            merge_end(tx, view_id, row, &mut of_row)?;
        } else if let Some(id) = of_row.next() {
            if let Some(item) = row.path.strip_prefix(ITEM) {
                merge_item(tx, view_id, id, row, &String::from_utf8_lossy(item))?;
            } else if merge_path(tx, view_id, id, row)? {
                counted.push(row.rating_key.as_deref());
            }
        }
    }
    // What is read again changes nothing.
    for (library, rating_key) in unlisted.iter().filter(|(_, key)| counted.contains(&Some(key))) {
        tx.doubt_path_or_item(*library, b"", rating_key)?;
    }
    tx.evict(Limited::All(RecordKind::Matches), limit, 2 * rows.len())?;
    let latest = rows.iter().map(|row| row.at).max();
    latest.map_or(Ok(()), |latest| note_latest(tx, view_id, latest))
}

/// Merges a row about everything that was recorded before: in one library, or in all.
fn merge_end(
    tx: &Tx<'_>,
    view_id: ViewId,
    row: &SharedRow,
    libraries: &mut dyn Iterator<Item = LibraryId>,
) -> rusqlite::Result<()> {
    let known: Option<i64> = tx.find_value(
        "SELECT at FROM taken_back WHERE view_id = ?1 AND library = ?2 AND path = x''",
        params![view_id, row.library],
    )?;
    if known >= Some(row.at.0) {
        return Ok(());
    }
    tx.store_taken_back(view_id, &row.library, b"", row.at)?;
    for library in libraries {
        let all = all_matches_of(tx, library)?;
        if all.iter().all(|stored| stored.at >= row.at) {
            continue;
        }
        // Few are later than the row, which was on its way for a moment.
        drop_matches(tx, library)?;
        tx.libraries_changed(view_id)?;
        let mut state = tx.expect_library(library)?;
        for stored in all.iter().filter(|stored| stored.at >= row.at) {
            let table = find_or_create_match_table(tx, &mut state)?;
            tx.put_match(table, &stored.path, &stored.rating_key, MatchTime::At(stored.at))?;
        }
    }
    Ok(())
}

/// Merges a row about everything that was recorded before for an item. Each of these matches then counts as taken back when
/// it was recorded: an earlier one of its path must not return.
fn merge_item(
    tx: &Tx<'_>,
    view_id: ViewId,
    library: LibraryId,
    row: &SharedRow,
    rating_key: &str,
) -> rusqlite::Result<()> {
    let Some(state) = tx.expect_library(library).optional()? else {
        return Ok(());
    };
    if taken_back_at(tx, &state, &row.path)? >= row.at {
        return Ok(());
    }
    tx.store_taken_back(view_id, &row.library, &row.path, row.at)?;
    let Some(table) = state.matches else { return Ok(()) };
    let of_item = matches_where(tx, table, Sequence(0), "item = ?2", &[&rating_key])?;
    let of_item = of_item.into_iter().filter_map(|(_, stored)| stored);
    for stored in of_item.filter(|stored| stored.at < row.at) {
        tx.remove_match(table, &stored.path)?;
        tx.store_taken_back(view_id, &row.library, &stored.path, stored.at)?;
        tx.doubt_path_or_item(library, &stored.path, "")?;
    }
    Ok(())
}

/// Merges a row about a path. Returns whether it counts.
fn merge_path(tx: &Tx<'_>, view_id: ViewId, library: LibraryId, row: &SharedRow) -> rusqlite::Result<bool> {
    let Some(mut state) = tx.expect_library(library).optional()? else {
        return Ok(false);
    };
    let of_file = match state.matches {
        Some(table) => matches_of_file(tx, table, &row.path, &normal_form(&row.path))?,
        None => Vec::new(),
    };
    let old = of_file.iter().max_by_key(|stored| stored.at);
    let back = Version {
        at: taken_back_at(tx, &state, &row.path)?,
        rating_key: None,
    };
    let known = old.map_or(back, |old| old.version().max(back));
    let version = Version {
        at: row.at,
        // As if the path were taken back, if its item was: see `merge_item`.
        rating_key: match &row.rating_key {
            Some(key) if taken_back_at(tx, &state, &path_of_item(key))? > row.at => None,
            key => key.as_deref(),
        },
    };
    if version <= known {
        return Ok(false);
    }
    if let Some(rating_key) = version.rating_key {
        tx.end_doubts_of_path(library, normal_form(&row.path))?;
        // Which of two hosts is right is for the server to say.
        if old.is_some_and(|old| old.rating_key != rating_key) {
            tx.doubt_path_or_item(library, b"", rating_key)?;
        }
        let table = find_or_create_match_table(tx, &mut state)?;
        tx.put_match(table, &row.path, rating_key, MatchTime::At(row.at))?;
        return Ok(true);
    }
    if let Some(table) = state.matches {
        // An earlier version may have recorded a file twice.
        for stored in &of_file {
            tx.remove_match(table, &stored.path)?;
            tx.doubt_path_or_item(library, &row.path, "")?;
        }
    }
    tx.store_taken_back(view_id, &row.library, &row.path, row.at)?;
    Ok(true)
}

#[cfg(test)]
#[path = "shared_rows_tests.rs"]
mod tests;
