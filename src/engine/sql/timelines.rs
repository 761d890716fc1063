//! Timelines. Within one timeline, a change sequence identifies only one state of the feed.
//!
//! A power cut can lose the last commits, and a restored backup loses more. Later commits then use the same change
//! sequences again. Therefore, each commit that changes the feed starts a new timeline with a random id, as does the
//! first commit after a reboot, or in a replaced database file. A feed reader's cursor contains the id of its timeline.
//! The cursor stays valid in later timelines, unless its position is after the end of its own timeline. If the timeline
//! was lost with its commits, the cursor is invalid.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::schema::failure;
use super::store::Store;
use super::tx::Tx;
use crate::model::Sequence;
use crate::platform::files::{self, Inode};
use crate::platform::stamp::boot_id;

/// Maximum number of stored timelines after [`trim_timelines`]: as many as the feed keeps changes. Cursors from older
/// timelines are invalid.
const MAX_TIMELINES: i64 = 1 << 17;
/// SQL for the newest timeline that began with a reboot or a new file.
const NEWEST_HERE: &str = "FROM timelines WHERE here IS NOT NULL ORDER BY begun DESC LIMIT 1";

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
    let newest: Option<String> = c.find_value(&format!("SELECT here {NEWEST_HERE}"), [])?;
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
    let boot_and_inode: Option<String> = tx.connection.find_value(&format!("SELECT here {NEWEST_HERE}"), [])?;
    insert_timeline(tx, &boot_and_inode.unwrap_or_default())
}

/// Starts a timeline with this transaction, which changes the feed, unless the transaction has already started one.
pub fn begin_feed_timeline(tx: &Tx<'_>) -> rusqlite::Result<()> {
    tx.run(
        "INSERT OR IGNORE INTO timelines (begun, id) VALUES (?1, ?2)",
        params![tx.sequence, random_id()?],
    )
}

/// Deletes old timelines. Keeps the newest one that began with a reboot or a new file, because its id is the host's id.
pub fn trim_timelines(tx: &Tx<'_>) -> rusqlite::Result<()> {
    tx.run(
        &format!(
            "DELETE FROM timelines WHERE begun < (SELECT begun FROM timelines ORDER BY begun DESC LIMIT 1 OFFSET ?1) \
             AND begun <> (SELECT begun {NEWEST_HERE})"
        ),
        [MAX_TIMELINES],
    )
}

/// Stores a timeline that starts with this transaction, and returns its id. `here`: the machine's boot id and the
/// database's inode, which differ after a reboot or a replacement.
fn insert_timeline(tx: &Tx<'_>, here: &str) -> rusqlite::Result<i64> {
    let id = random_id()?;
    tx.run(
        "INSERT OR REPLACE INTO timelines (begun, id, here) VALUES (?1, ?2, ?3)",
        params![tx.sequence, id, here],
    )?;
    Ok(id)
}

/// Returns a random timeline id, which is not negative.
fn random_id() -> rusqlite::Result<i64> {
    let random = files::random_bytes().map_err(|_| failure(rusqlite::ffi::SQLITE_IOERR))?;
    Ok(i64::from_le_bytes(random) & i64::MAX)
}

/// Returns the current timeline's id; 0 before the first commit.
pub fn timeline(c: &Connection) -> rusqlite::Result<i64> {
    let newest = c.find_value("SELECT id FROM timelines ORDER BY begun DESC LIMIT 1", [])?;
    Ok(newest.unwrap_or(0))
}

/// Returns this folder's host id: the id of the newest timeline that began with a reboot, a new file or
/// [`begin_timeline`]; 0 before the first commit.
pub fn host_id(c: &Connection) -> rusqlite::Result<i64> {
    Ok(c.find_value(&format!("SELECT id {NEWEST_HERE}"), [])?.unwrap_or(0))
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
