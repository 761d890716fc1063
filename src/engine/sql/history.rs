//! The history: the changes that the feed can report. The store keeps these changes, and the ended rows of items that
//! they name. A row ends when its item changes or is removed.
//!
//! The history of a library starts at its `feed_from`, a change sequence. A reader at an earlier position gets a single
//! change, 'list again'. `feed_generation` is the generation that was current at `feed_from`. Rows that ended in this
//! generation or an earlier one may be swept.

use rusqlite::params;

use super::cached::CachedStatements;
use super::change_log::{LoggedKind, trim};
use super::feed::FeedRows;
use super::last_write::LibraryState;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{Generation, LibraryId, Sequence};
use crate::platform::deadline::Deadline;

/// Maximum number of ended rows that are kept for the feed, over all libraries: 64 MiB of rows of some 512 bytes.
pub const MAX_ENDED_ROWS: i64 = (64 << 20) / 512;
/// A listing that changes more items than this, and more than a fifth of all items, is reported as 'list again'.
const RELIST_ABOVE: u64 = 20;

/// Logs that a listing replaced the generation `library.generation`. The feed reports the differences, or 'list again'
/// if most items differ.
pub fn log_listing(tx: &Tx<'_>, library: &LibraryState, generation: Generation, items: u64) -> rusqlite::Result<()> {
    let count = |which: &str| {
        tx.value::<i64>(
            &format!("SELECT count(*) FROM items WHERE library = ?1 AND {which} = ?2"),
            params![library.id, generation],
        )
        .map(i64::cast_unsigned)
    };
    let changed = count("born > 1 AND born")?.max(count("died")?);
    if !library.generation.is_fetched() || changed > RELIST_ABOVE && changed > items / 5 {
        return restart_history(tx, library.id);
    }
    let last: i64 = tx.value("SELECT coalesce(max(id), 0) FROM items", [])?;
    tx.change_of_items(library, LoggedKind::Listed, "", (generation.0, last))
}

/// Starts a library's history now. Readers with an earlier cursor must list the library again.
pub fn restart_history(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    tx.run(
        "UPDATE libraries SET feed_from = ?2, feed_generation = abs(generation) WHERE id = ?1",
        params![library, tx.sequence],
    )
}

/// Removes the oldest history while the feed keeps more than `most` rows.
pub fn forget_surplus(tx: &Tx<'_>, most: i64) -> rusqlite::Result<()> {
    let kept: i64 = tx.value("SELECT count(*) FROM items WHERE died IS NOT NULL", [])?;
    if kept <= most {
        return Ok(());
    }
    // Remove a tenth more than necessary, so that the next listing need not do this again.
    let mut surplus = kept - most + most / 10;
    let mut upto = None;
    {
        let mut statement = tx.prepare_cached(
            "SELECT c.sequence, CASE c.kind WHEN 11 THEN \
             (SELECT count(*) FROM items i WHERE i.library = c.library AND i.died = c.was) ELSE 1 END \
             FROM changes c WHERE c.kind IN (8, 9, 11) ORDER BY c.id",
        )?;
        let mut rows = statement.query([])?;
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

impl FeedRows<'_> {
    /// Removes the history of all listed libraries, to free space in the folder. Returns whether there was any.
    pub fn forget_history(&self, deadline: Deadline) -> Result<bool> {
        let has_history = self.0.read(|connection| {
            connection.value::<bool>(
                "SELECT EXISTS (SELECT 1 FROM changes c JOIN libraries l ON l.id = c.library AND l.generation > 0 \
                 WHERE c.kind IN (8, 9, 11) AND c.was + c.now <> 0 AND c.sequence > l.feed_from) \
                 OR EXISTS (SELECT 1 FROM items i JOIN libraries l ON l.id = i.library AND l.generation > 0 \
                 WHERE i.died <= l.generation AND (i.died > l.feed_generation OR i.since > l.feed_from))",
                [],
            )
        })?;
        if has_history {
            self.0.write(deadline, |tx| {
                tx.execute(
                    "UPDATE libraries SET feed_from = ?1, feed_generation = generation WHERE generation > 0",
                    [tx.sequence],
                )?;
                trim_feed_changes(tx)
            })?;
        }
        Ok(has_history)
    }
}
