//! Timelines. Within one timeline, a change sequence stands for only one state.
//!
//! A power cut loses the last commits, and a restored copy loses more. Later commits then use the same change sequences
//! again. So the first commit after a start of the machine, or in a replaced database file, begins a new timeline. The
//! cursor of a feed reader names its timeline. The cursor stays valid in later timelines, unless its position is after
//! the end of its own timeline.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::schema::failure;
use super::store::Store;
use super::tx::Tx;
use crate::model::Sequence;
use crate::platform::files::{self, Inode};
use crate::platform::stamp::boot;

/// Most timelines that are stored. Cursors of older timelines are not valid any more.
const MAX_TIMELINES: i64 = 1_000;

/// Begins a timeline with this transaction if the machine was started or the file was replaced since the last commit.
pub fn begin_timeline_if_needed(store: &Store, tx: &Tx<'_>) -> rusqlite::Result<()> {
    let opened = store.opened.newest().number + 1;
    if store.on_timeline.load(Ordering::Relaxed) == opened {
        return Ok(());
    }
    let here = format!(
        "{:?} {:?}",
        boot().map(|id| String::from_utf8_lossy(&id).into_owned()),
        Inode::of(store.folder.database())
    );
    let c = tx.connection;
    let last: Option<String> = c.find_value("SELECT here FROM timelines ORDER BY begun DESC LIMIT 1", [])?;
    if last.is_some_and(|last| last == here) {
        // Set it only if an earlier transaction committed the timeline: this one may still roll back.
        store.on_timeline.store(opened, Ordering::Relaxed);
        return Ok(());
    }
    insert_timeline(tx, &here).map(drop)
}

/// Begins a timeline with this transaction, for the same start of the machine and the same file as the last one.
/// Returns its id.
pub fn begin_timeline(tx: &Tx<'_>) -> rusqlite::Result<i64> {
    let here: Option<String> = tx
        .connection
        .find_value("SELECT here FROM timelines ORDER BY begun DESC LIMIT 1", [])?;
    insert_timeline(tx, &here.unwrap_or_default())
}

/// Stores a timeline that begins with this transaction, and returns its id. `here`: the start of the machine, and the
/// database file.
fn insert_timeline(tx: &Tx<'_>, here: &str) -> rusqlite::Result<i64> {
    let c = tx.connection;
    let random = files::random().map_err(|_| failure(rusqlite::ffi::SQLITE_IOERR))?;
    let id = i64::from_le_bytes(random) & i64::MAX;
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

/// Returns the id of the current timeline; 0 before the first commit.
pub fn timeline(c: &Connection) -> rusqlite::Result<i64> {
    let newest = c.find_value("SELECT id FROM timelines ORDER BY begun DESC LIMIT 1", [])?;
    Ok(newest.unwrap_or(0))
}

/// The end of the current timeline.
pub const NO_END: Sequence = Sequence(i64::MAX.cast_unsigned());

/// Returns the first change sequence after a timeline, or [`NO_END`] for the current one; `None` for an unknown
/// timeline.
pub fn end_of(c: &Connection, timeline: i64) -> rusqlite::Result<Option<Sequence>> {
    c.find_value(
        "SELECT coalesce((SELECT min(begun) FROM timelines n WHERE n.begun > l.begun), ?2) FROM timelines l WHERE l.id = ?1",
        params![timeline, NO_END],
    )
}
