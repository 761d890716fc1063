//! Timelines. Within one timeline, a change sequence identifies only one state.
//!
//! A power cut can lose the last commits, and a restored backup loses more. Later commits then use the same change
//! sequences again. Therefore, the first commit after a reboot, or in a replaced database file, starts a new timeline.
//! A feed reader's cursor contains the id of its timeline. The cursor stays valid in later timelines, unless its
//! position is after the end of its own timeline.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::schema::failure;
use super::store::Store;
use super::tx::Tx;
use crate::model::Sequence;
use crate::platform::files::{self, Inode};
use crate::platform::stamp::boot_id;

/// Maximum number of stored timelines. Cursors from older timelines are invalid.
const MAX_TIMELINES: i64 = 1_000;

/// Starts a timeline with this transaction if the machine rebooted or the database was replaced since the last commit.
pub fn begin_timeline_if_needed(store: &Store, tx: &Tx<'_>) -> rusqlite::Result<()> {
    let incarnation = store.opened.newest().number + 1; // 0 stands for no incarnation
    if store.on_timeline.load(Ordering::Relaxed) == incarnation {
        return Ok(());
    }
    let boot_and_inode = format!(
        "{:?} {:?}",
        boot_id().map(|id| String::from_utf8_lossy(&id).into_owned()),
        Inode::of(store.folder.database())
    );
    let c = tx.connection;
    let newest: Option<String> = c.find_value("SELECT here FROM timelines ORDER BY begun DESC LIMIT 1", [])?;
    if newest.is_some_and(|newest| newest == boot_and_inode) {
        // Set this only after an earlier transaction committed the timeline; the current one may still roll back.
        store.on_timeline.store(incarnation, Ordering::Relaxed);
        return Ok(());
    }
    insert_timeline(tx, &boot_and_inode).map(drop)
}

/// Starts a timeline with this transaction although there was no reboot and no new file, so that this folder gets a new
/// host id. Returns the timeline's id.
pub fn begin_timeline(tx: &Tx<'_>) -> rusqlite::Result<i64> {
    let boot_and_inode: Option<String> = tx
        .connection
        .find_value("SELECT here FROM timelines ORDER BY begun DESC LIMIT 1", [])?;
    insert_timeline(tx, &boot_and_inode.unwrap_or_default())
}

/// Stores a timeline that starts with this transaction, and returns its id. `here`: the machine's boot id and the
/// database's inode, which differ after a reboot or a replacement.
fn insert_timeline(tx: &Tx<'_>, here: &str) -> rusqlite::Result<i64> {
    let c = tx.connection;
    let random = files::random_bytes().map_err(|_| failure(rusqlite::ffi::SQLITE_IOERR))?;
    let id = i64::from_le_bytes(random) & i64::MAX; // not negative
    c.execute(
        "INSERT INTO timelines (id, begun, here) VALUES (?1, ?2, ?3)",
        params![id, tx.sequence, here],
    )?;
    c.execute(
        "DELETE FROM timelines WHERE begun < (SELECT begun FROM timelines ORDER BY begun DESC LIMIT 1 OFFSET ?1)",
        [MAX_TIMELINES],
    )?;
    Ok(id)
}

/// Returns the current timeline's id; 0 before the first commit.
pub fn timeline(c: &Connection) -> rusqlite::Result<i64> {
    let newest = c.find_value("SELECT id FROM timelines ORDER BY begun DESC LIMIT 1", [])?;
    Ok(newest.unwrap_or(0))
}

/// The end of the current timeline, which has no end yet.
pub const NO_END: Sequence = Sequence(i64::MAX.cast_unsigned());

/// Returns the first change sequence after a timeline; [`NO_END`] for the current one, `None` for an unknown one.
pub fn timeline_end(c: &Connection, timeline: i64) -> rusqlite::Result<Option<Sequence>> {
    c.find_value(
        "SELECT coalesce((SELECT min(begun) FROM timelines n WHERE n.begun > l.begun), ?2) FROM timelines l WHERE l.id = ?1",
        params![timeline, NO_END],
    )
}
