//! How far back the feed can tell what changed: rows that ended stay as long, and so do the changes that name them.
//!
//! `feed_from` of a library is the change sequence from which on all of it is told. What happened up to there is one change:
//! 'list again'. `feed_generation` is the listing that answered then: rows that ended with it, or before, may go.

use rusqlite::params;

use super::cached::CachedStatements;
use super::changes::{LoggedKind, trim};
use super::open::Store;
use super::tx::{LibraryState, Tx};
use crate::error::Result;
use crate::model::{Generation, LibraryId, Sequence};
use crate::platform::deadline::Deadline;

/// Time for which the feed keeps changes.
const KEPT_MS: i64 = 30 * 86_400_000;
/// A day ends so long after the last one that was noted.
const DAY_MS: i64 = 86_400_000;
/// Rows that ended, of all libraries, which are kept for it: 64 MiB of some 512 bytes each.
const KEPT_ROWS: i64 = (64 << 20) / 512;
/// A listing that changes more items than this, and more than a fifth of all, is reported as 'list again'.
const MANY: u64 = 20;

/// Tells of a listing that took the place of the one of `library.generation`: what differs, or, where that is most of it,
/// that it has to be listed again.
pub fn log_listing(tx: &Tx<'_>, library: &LibraryState, generation: Generation, items: u64) -> rusqlite::Result<()> {
    let count = |which: &str| {
        tx.value::<i64>(
            &format!("SELECT count(*) FROM items WHERE library = ?1 AND {which} = ?2"),
            params![library.id, generation],
        )
        .map(i64::cast_unsigned)
    };
    let changed = count("born > 1 AND born")?.max(count("died")?);
    if !library.generation.is_fetched() || changed > MANY && changed > items / 5 {
        return begin_anew(tx, library.id);
    }
    let last: i64 = tx.value("SELECT coalesce(max(id), 0) FROM items", [])?;
    tx.change_of_items(library, LoggedKind::Listed, "", (generation.0, last))?;
    forget_surplus(tx, KEPT_ROWS)
}

/// Starts a library's history now: readers with an earlier cursor must list it again.
pub fn begin_anew(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE libraries SET feed_from = ?2, feed_generation = abs(generation) WHERE id = ?1",
        params![library, tx.sequence],
    )
}

/// Notes the end of a day, and forgets what is older than a month.
pub fn note_day(tx: &Tx<'_>, now_ms: i64) -> rusqlite::Result<()> {
    let c = tx.connection;
    let noted = c.has(
        "SELECT 1 FROM days WHERE ms > ?1 AND ms <= ?2",
        params![now_ms - DAY_MS, now_ms],
    )?;
    if noted {
        return Ok(());
    }
    // A clock that was wrong noted days to come.
    c.execute("DELETE FROM days WHERE ms > ?1", [now_ms])?;
    c.execute(
        "INSERT INTO days (ms, sequence) VALUES (?1, ?2)",
        params![now_ms, tx.sequence],
    )?;
    let old: Option<Sequence> = c.value(
        "SELECT max(sequence) FROM days WHERE ms <= ?1",
        [now_ms.saturating_sub(KEPT_MS)],
    )?;
    if let Some(old) = old {
        forget_upto(tx, old)?;
        c.execute(
            "DELETE FROM days WHERE ms <= ?1 AND sequence < ?2",
            params![now_ms.saturating_sub(KEPT_MS), old],
        )?;
    }
    Ok(())
}

/// Removes the oldest history while the feed keeps more than `most` rows.
pub fn forget_surplus(tx: &Tx<'_>, most: i64) -> rusqlite::Result<()> {
    let kept: i64 = tx.value("SELECT count(*) FROM items WHERE died IS NOT NULL", [])?;
    if kept <= most {
        return Ok(());
    }
    // A tenth more than needed, so that the next listing does not do it again.
    let mut surplus = kept - most + most / 10;
    let mut upto = None;
    {
        let mut told = tx.prepare_cached(
            "SELECT c.sequence, CASE c.kind WHEN 11 THEN \
             (SELECT count(*) FROM items i WHERE i.library = c.library AND i.died = c.was) ELSE 1 END \
             FROM changes c WHERE c.kind IN (8, 9, 11) ORDER BY c.id",
        )?;
        let mut rows = told.query([])?;
        while surplus > 0
            && let Some(row) = rows.next()?
        {
            upto = Some(row.get(0)?);
            surplus -= row.get::<_, i64>(1)?;
        }
    }
    upto.map_or(Ok(()), |upto| forget_upto(tx, upto))
}

/// Removes the history of all libraries up to a change sequence.
pub fn forget_upto(tx: &Tx<'_>, upto: Sequence) -> rusqlite::Result<()> {
    tx.execute(
        "UPDATE libraries SET feed_from = ?1, feed_generation = coalesce((SELECT max(was) FROM changes c \
         WHERE c.library = libraries.id AND c.kind = 11 AND c.sequence <= ?1), feed_generation) \
         WHERE feed_from < ?1 AND generation > 0",
        [upto],
    )?;
    trim_feed_changes(tx)
}

/// Removes changes that only the feed needs.
fn trim_feed_changes(tx: &Tx<'_>) -> rusqlite::Result<()> {
    let trimmed: Sequence = tx.value("SELECT trimmed FROM store", [])?;
    trim(tx, trimmed)
}

impl Store {
    /// Forgets all that the feed could tell: the first thing to go where the folder takes too much. Returns whether there was
    /// something; a library that is not listed has nothing to tell.
    pub fn forget_history(&self, deadline: Deadline) -> Result<bool> {
        let told = self.read(|connection| {
            connection.value::<bool>(
                "SELECT EXISTS (SELECT 1 FROM changes c JOIN libraries l ON l.id = c.library AND l.generation > 0 \
                 WHERE c.kind IN (8, 9, 11) AND c.was + c.now <> 0 AND c.sequence > l.feed_from) \
                 OR EXISTS (SELECT 1 FROM items i JOIN libraries l ON l.id = i.library AND l.generation > 0 \
                 WHERE i.died <= l.generation AND (i.died > l.feed_generation OR i.since > l.feed_from))",
                [],
            )
        })?;
        if told {
            self.write(deadline, |tx| {
                tx.execute(
                    "UPDATE libraries SET feed_from = ?1, feed_generation = generation WHERE generation > 0",
                    [tx.sequence],
                )?;
                trim_feed_changes(tx)
            })?;
        }
        Ok(told)
    }
}
