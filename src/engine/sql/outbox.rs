//! The outbox: the entries that this folder publishes in the shared log. Also stores the position for reading that log.
//!
//! A write and its outbox entries are one transaction, so a killed process loses both or neither. plexindex keeps
//! delivered entries for a while, so that an old invalidation that this folder reads again removes no newer matches.

use std::collections::HashMap;
use std::sync::Weak;
use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};

use super::library_rows::libraries;
use super::schema::{CachedStatements, Tx};
use super::store::{LocalWrite, Store, WriteObserver};
use crate::entries::{EntryKind, EntryName, HostId, NewEntry, Position};
use crate::error::Result;
use crate::model::{Library, LibraryId, ViewId};
use crate::platform::deadline::Deadline;
use crate::platform::files::Inode;
use crate::platform::stamp::boot_id;

/// Number of delivered entries that the outbox keeps for each server and user.
const KEPT: i64 = 20_000;
/// Maximum number of undelivered entries for each server and user, in addition to one for each confirmed match, which a
/// host sends again after the log lost entries.
const MAX_UNDELIVERED: i64 = if cfg!(test) { 2_000 } else { 100_000 };
/// The outbox compares its size with [`MAX_UNDELIVERED`] once in so many entries, because counting reads every entry.
const COUNT_EVERY: i64 = 1_000;
/// Placeholder for the number of an entry that has not been delivered yet.
pub const UNDELIVERED: u64 = i64::MAX.cast_unsigned();
/// Number of random bits at the end of an entry's number. A folder that was restored from a backup reuses the counter
/// but not the random bits, so plexindex notices that the log has different entries from this folder.
const RANDOM_BITS: u32 = 20;

/// An entry that has not been delivered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// The number that the host assigned to the entry.
    pub number: u64,
    /// This folder's host id when it wrote the entry.
    pub host: HostId,
    pub entry: NewEntry,
}

/// The position up to which this folder has read the shared log for one view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedLogPosition {
    pub position: Position,
    /// Time of the last read of the log, in Unix ms. 0 while this folder joins the log: until it has read the log to
    /// its end once, and has added its older matches to the outbox.
    pub last_read_ms: i64,
}

/// Access to a store's data about the shared log.
pub struct Outbox<'s>(pub &'s Store);

impl Outbox<'_> {
    /// Sets the observer, which turns later writes by hosts and events into outbox entries. Only the first call has an
    /// effect.
    pub fn observe(&self, observer: Weak<dyn WriteObserver>) {
        let _ = self.0.observer.set(observer);
    }

    /// Makes each later write that adds outbox entries sync to disk before it returns, so that a power cut loses none.
    pub fn sync_each(&self) {
        self.0.syncs_outbox.store(true, Ordering::Relaxed);
    }

    /// Returns this folder's host id in the shared log.
    pub fn host(&self) -> Result<HostId> {
        self.0.read(host_id).map(HostId)
    }

    /// Returns the position up to which this folder has read the log at the address `log` for one library. `digest`: the
    /// digest of the mappings and the library's folders, which determine the entries that this host can use. Returns the
    /// start of the log if this folder has not read this log with this digest.
    pub fn log_position(&self, view_id: ViewId, log: &str, digest: u64) -> Result<SharedLogPosition> {
        let stored_position = self.0.read(|c| {
            c.find(
                "SELECT number, mark, looked_ms FROM shared WHERE view_id = ?1 AND log = ?2 AND mappings = ?3",
                params![view_id, log, digest.cast_signed()],
                |row| {
                    Ok(SharedLogPosition {
                        position: Position {
                            number: row.get::<_, i64>(0)?.cast_unsigned(),
                            mark: row.get(1)?,
                        },
                        last_read_ms: row.get(2)?,
                    })
                },
            )
        })?;
        Ok(stored_position.unwrap_or_default())
    }

    /// Stores the positions up to which this folder has read the log at the address `log`, each with its digest (see
    /// [`Self::log_position`]). Deletes the positions in other logs.
    pub fn store_log_positions(
        &self,
        view_id: ViewId,
        log: &str,
        positions: &[(u64, SharedLogPosition)],
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run(
                "DELETE FROM shared WHERE view_id = ?1 AND log <> ?2",
                params![view_id, log],
            )?;
            for (digest, read) in positions {
                tx.run(
                    "INSERT OR REPLACE INTO shared (view_id, log, number, mark, mappings, looked_ms) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        view_id,
                        log,
                        read.position.number.cast_signed(),
                        read.position.mark,
                        digest.cast_signed(),
                        read.last_read_ms
                    ],
                )?;
            }
            Ok(())
        })
    }

    /// Adds entries about earlier writes to the outbox, for example if the log has lost entries.
    pub fn enqueue(&self, view_id: ViewId, entries: &[NewEntry], deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| enqueue(tx, view_id, entries))
    }

    /// Returns at most `limit` entries that are not known to be delivered, oldest first.
    pub fn entries(&self, view_id: ViewId, limit: usize) -> Result<Vec<OutboxRow>> {
        self.0.read(|c| {
            c.rows(
                "SELECT id, host, kind, library, key, body FROM outbox WHERE view_id = ?1 AND sent = 0 \
                 ORDER BY id LIMIT ?2",
                params![view_id, i64::try_from(limit).unwrap_or(i64::MAX)],
                |row| {
                    Ok(OutboxRow {
                        number: row.get::<_, i64>(0)?.cast_unsigned(),
                        host: HostId(row.get(1)?),
                        entry: NewEntry {
                            name: EntryName {
                                // The number is always valid, because `enqueue` wrote it.
                                kind: EntryKind::from_number(row.get(2)?).unwrap_or(EntryKind::Match),
                                library: row.get(3)?,
                                key: row.get(4)?,
                            },
                            body: row.get(5)?,
                        },
                    })
                },
            )
        })
    }

    /// Returns the number of entries that are not known to be delivered.
    pub fn count(&self, view_id: ViewId) -> Result<u64> {
        let undelivered: i64 = self
            .0
            .read(|c| c.value("SELECT count(*) FROM outbox WHERE view_id = ?1 AND sent = 0", [view_id]))?;
        Ok(undelivered.cast_unsigned())
    }

    /// Marks the entries up to the number `upto` as delivered if this folder wrote them under the host id `host`. Also
    /// deletes old delivered entries.
    pub fn mark_delivered(&self, view_id: ViewId, host: HostId, upto: u64, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run(
                "UPDATE outbox SET sent = 1 WHERE view_id = ?1 AND sent = 0 AND id <= ?3 AND host = ?2",
                params![view_id, host.0, upto.cast_signed()],
            )?;
            // Keep about `KEPT` delivered entries: a number is a counter, followed by `RANDOM_BITS` random bits.
            tx.run(
                "DELETE FROM outbox WHERE view_id = ?1 AND sent <> 0 AND id <= ?2",
                params![view_id, upto.cast_signed() - (KEPT << RANDOM_BITS)],
            )
        })
    }

    /// Returns the host id and number of the last entry that this folder delivered under its current host id, so that
    /// the caller can check that the log still has the entry; `None` if there is none.
    pub fn last_delivered(&self, view_id: ViewId) -> Result<Option<(HostId, u64)>> {
        self.0.read(|c| {
            c.find(
                "SELECT host, id FROM outbox WHERE view_id = ?1 AND sent = 1 ORDER BY id DESC LIMIT 1",
                [view_id],
                |row| Ok((HostId(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned())),
            )
        })
    }

    /// Returns whether this folder wrote the entry with this number and this host id. If the log has such an entry, but
    /// this folder did not write it, the folder was restored from a backup.
    pub fn has_written_entry(&self, host: HostId, number: u64) -> Result<bool> {
        self.0.read(|c| {
            c.has(
                "SELECT 1 FROM outbox WHERE id = ?2 AND host = ?1",
                params![host.0, number.cast_signed()],
            )
        })
    }

    /// Gives this folder a new host id, and assigns the undelivered entries to the new id. This is necessary after the
    /// log or the folder was restored from a backup, because the two then disagree about the entries of the old id.
    pub fn assign_new_host_id(&self, view_id: ViewId, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| assign_new_host_id(tx, view_id))
    }

    /// Returns up to which entries this folder has applied a host's invalidations: the number of the last entry that
    /// this folder itself wrote under that host id, and the number of the last entry that it read from the log. A
    /// number is 0 if there is no such entry.
    pub fn applied_upto(&self, host: HostId) -> Result<(u64, u64)> {
        self.0.read(|c| {
            let written: Option<i64> = c.value("SELECT max(id) FROM outbox WHERE host = ?1", [host.0])?;
            let read: Option<i64> = c.find_value("SELECT number FROM applied WHERE host = ?1", [host.0])?;
            Ok((written.unwrap_or(0).cast_unsigned(), read.unwrap_or(0).cast_unsigned()))
        })
    }

    /// Maps each path for which the outbox has a match in a library to the number of its last entry, or to
    /// [`UNDELIVERED`] if that entry has not been delivered. `library`: the library's uuid.
    pub fn outbox_matches(&self, view_id: ViewId, library: &str) -> Result<HashMap<Vec<u8>, u64>> {
        let entries: Vec<(Vec<u8>, i64)> = self.0.read(|c| {
            c.rows(
                "SELECT key, CASE sent WHEN 0 THEN ?4 ELSE id END FROM outbox \
                 WHERE view_id = ?1 AND library = ?2 AND kind = ?3",
                params![view_id, library, EntryKind::Match.number(), UNDELIVERED.cast_signed()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })?;
        let mut last_numbers = HashMap::new();
        for (key, number) in entries {
            let last_number: &mut u64 = last_numbers.entry(key).or_default();
            *last_number = number.cast_unsigned().max(*last_number);
        }
        Ok(last_numbers)
    }

    /// Stores that this folder has applied a host's invalidation with this entry number, so that it is not applied
    /// again.
    pub fn note_applied(&self, host: HostId, number: u64, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run(
                "INSERT INTO applied (host, number) VALUES (?1, ?2) \
                 ON CONFLICT (host) DO UPDATE SET number = max(number, excluded.number)",
                params![host.0, number.cast_signed()],
            )
        })
    }
}

impl Store {
    /// Passes a write by a host or an event to the observer, and adds the resulting entries to the outbox. Does nothing
    /// without an observer, or while this thread writes data that the shared log has already.
    pub(super) fn observe(&self, tx: &Tx<'_>, view_id: ViewId, write: &LocalWrite<'_>) -> rusqlite::Result<()> {
        let observer = self.observer.get().and_then(Weak::upgrade);
        let Some(observer) = observer.filter(|observer| observer.observes()) else {
            return Ok(());
        };
        let libraries_by_id: Vec<(LibraryId, Library)> = match write {
            LocalWrite::Matches(..) => Vec::new(), // contains the library itself, and no library IDs
            _ => libraries(tx.connection, view_id)?
                .into_iter()
                .map(|row| (row.id, row.library))
                .collect(),
        };
        enqueue(tx, view_id, &observer.entries(&libraries_by_id, write))?;
        limit_undelivered(tx, view_id)
    }

    /// Notifies the observer if the last write added entries to the outbox. The caller must hold no connection, because
    /// the observer uses locks that a fork takes before the connections' locks.
    pub(super) fn notify_observer(&self) {
        if self.has_enqueued.swap(false, Ordering::Relaxed)
            && let Some(observer) = self.observer.get().and_then(Weak::upgrade)
        {
            observer.after_commit();
        }
    }
}

/// Gives this folder a new host id, and assigns the undelivered entries to the new id.
fn assign_new_host_id(tx: &Tx<'_>, view_id: ViewId) -> rusqlite::Result<()> {
    tx.run("UPDATE meta SET host_id = random() & ?1", [i64::MAX])?;
    // 2: delivered under an earlier host id; 1: delivered under the current one; 0: not delivered
    tx.run("UPDATE outbox SET sent = 2 WHERE view_id = ?1 AND sent = 1", [view_id])?;
    tx.run(
        "UPDATE outbox SET host = (SELECT host_id FROM meta) WHERE view_id = ?1 AND sent = 0",
        [view_id],
    )
}

/// Gives this folder a new host id if the machine rebooted or the database was replaced since the last commit, because
/// the store may lack entries that the shared log has under the old id.
pub fn renew_host_id_if_needed(store: &Store, tx: &Tx<'_>) -> rusqlite::Result<()> {
    let database_number = store.opened.newest().number + 1; // 0 stands for no database
    if store.has_host_id.load(Ordering::Relaxed) == database_number {
        return Ok(());
    }
    let boot_and_inode = format!(
        "{:?} {:?}",
        boot_id().map(|id| String::from_utf8_lossy(&id).into_owned()),
        Inode::of(store.folder.database())
    );
    if tx.value::<String>("SELECT host_of FROM meta", [])? == boot_and_inode {
        // Set this only after an earlier transaction committed the id; the current one may still roll back.
        store.has_host_id.store(database_number, Ordering::Relaxed);
        return Ok(());
    }
    tx.run(
        "UPDATE meta SET host_id = random() & ?1, host_of = ?2",
        params![i64::MAX, boot_and_inode],
    )
}

/// Returns this folder's host id; 0 before the first commit.
fn host_id(c: &Connection) -> rusqlite::Result<i64> {
    c.value("SELECT host_id FROM meta", [])
}

/// Removes undelivered entries if there are too many, because the log has been unavailable for long: first each entry
/// whose name has a newer entry, then the oldest entries. Other hosts then never receive the oldest writes, but this
/// folder keeps them. The rest stays consistent, because an entry depends only on older ones.
fn limit_undelivered(tx: &Tx<'_>, view_id: ViewId) -> rusqlite::Result<()> {
    let last: i64 = tx.value(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'",
        [],
    )?;
    if (last >> RANDOM_BITS) % COUNT_EVERY >= tx.enqueued.get() {
        return Ok(());
    }
    let count = || -> rusqlite::Result<i64> {
        tx.value("SELECT count(*) FROM outbox WHERE view_id = ?1 AND sent = 0", [view_id])
    };
    let matches: i64 = tx.value("SELECT count(*) FROM matches", [])?;
    let limit = MAX_UNDELIVERED + matches;
    if count()? <= limit {
        return Ok(());
    }
    tx.run(
        "DELETE FROM outbox WHERE view_id = ?1 AND sent = 0 AND id NOT IN \
         (SELECT max(id) FROM outbox WHERE view_id = ?1 AND sent = 0 GROUP BY kind, library, key)",
        [view_id],
    )?;
    let surplus = count()? - limit / 2;
    if surplus > 0 {
        log::warn!(
            "the shared log has been unavailable for long; {surplus} entries that await delivery were removed: other hosts \
             will not receive these matches and invalidations, which this host keeps"
        );
        tx.run(
            "DELETE FROM outbox WHERE id IN \
             (SELECT id FROM outbox WHERE view_id = ?1 AND sent = 0 ORDER BY id LIMIT ?2 + 0)",
            params![view_id, surplus],
        )?;
    }
    // The log may have received some of the removed entries without confirming them. A new host id has no such entries.
    assign_new_host_id(tx, view_id)
}

/// Adds entries to the outbox. An entry's number (`id`) is a counter, which continues after the highest number so far
/// (in `sqlite_sequence`), followed by [`RANDOM_BITS`] random bits (`?7`).
fn enqueue(tx: &Tx<'_>, view_id: ViewId, entries: &[NewEntry]) -> rusqlite::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    tx.enqueued
        .set(tx.enqueued.get() + i64::try_from(entries.len()).unwrap_or(i64::MAX));
    let host = host_id(tx.connection)?;
    for NewEntry { name, body } in entries {
        tx.run(
            "INSERT INTO outbox (id, view_id, host, kind, library, key, body) VALUES ( \
             (((SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox') >> ?7) + 1 << ?7) \
             + (random() & (1 << ?7) - 1), ?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                view_id,
                host,
                name.kind.number(),
                name.library,
                name.key,
                body,
                RANDOM_BITS
            ],
        )?;
    }
    Ok(())
}
