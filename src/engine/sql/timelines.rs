//! Timelines: within one, no change sequence ever stands for two states.
//!
//! A power cut takes the last commits, and a copy that is put back takes more: then the numbers of what is gone are given once
//! more. So a timeline begins with the first commit after a start of the machine, and in a file that is another one than it was. A
//! reader's token names its timeline: in a later one it holds as far as both have the same commits.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::open::Store;
use super::schema::failure;
use super::tx::Tx;
use crate::model::Sequence;
use crate::platform::files::{self, Inode};
use crate::platform::stamp::boot;

/// Most timelines whose tokens are stored.
const KEPT: i64 = 1_000;

impl Store {
    /// Begins a timeline with this transaction, where the last commit was made before the machine was started, or in another file.
    pub(super) fn begin_timeline_if_needed(&self, tx: &Tx<'_>) -> rusqlite::Result<()> {
        let opened = self.opened.newest().number + 1;
        if self.on_timeline.load(Ordering::Relaxed) == opened {
            return Ok(());
        }
        let here = format!(
            "{:?} {:?}",
            boot().map(|id| String::from_utf8_lossy(&id).into_owned()),
            Inode::of(self.folder.database())
        );
        let c = tx.connection;
        let last: Option<String> = c.find_value("SELECT here FROM timelines ORDER BY begun DESC LIMIT 1", [])?;
        if last.is_some_and(|last| last == here) {
            // Not before a commit: this transaction may be undone.
            self.on_timeline.store(opened, Ordering::Relaxed);
            return Ok(());
        }
        let random = files::random().map_err(|_| failure(rusqlite::ffi::SQLITE_IOERR))?;
        let id = i64::from_le_bytes(random) & i64::MAX;
        c.execute(
            "INSERT INTO timelines (id, begun, here) VALUES (?1, ?2, ?3)",
            params![id, tx.sequence, here],
        )?;
        c.execute(
            "DELETE FROM timelines WHERE begun < (SELECT begun FROM timelines ORDER BY begun DESC LIMIT 1 OFFSET ?1)",
            [KEPT],
        )?;
        Ok(())
    }
}

/// The timeline of what is read now.
pub fn timeline(c: &Connection) -> rusqlite::Result<i64> {
    let newest = c.find_value("SELECT id FROM timelines ORDER BY begun DESC LIMIT 1", [])?;
    Ok(newest.unwrap_or(0))
}

/// The end of a timeline that goes on.
pub const NO_END: Sequence = Sequence(i64::MAX.cast_unsigned());

/// Where a timeline ends: the first change sequence of the next one, or [`NO_END`]. `None` where it is not known.
pub fn end_of(c: &Connection, timeline: i64) -> rusqlite::Result<Option<Sequence>> {
    c.find_value(
        "SELECT coalesce((SELECT min(begun) FROM timelines n WHERE n.begun > l.begun), ?2) FROM timelines l WHERE l.id = ?1",
        params![timeline, NO_END],
    )
}
