//! The history: the changes that the feed can report.
//!
//! A library's history starts at the change sequence `feed_from`. A reader at an earlier position gets a single change,
//! 'list again'. A sweep removes older rows.

use rusqlite::params;

use super::cached::CachedStatements;
use super::feed_rows::FeedRows;
use super::row_positions::last_position_of;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{LibraryId, Sequence};
use crate::platform::deadline::Deadline;

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
