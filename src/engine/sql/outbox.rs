//! What this folder tells the log that hosts share, and how far it has read it.
//!
//! An entry is written to the outbox in the transaction of what it tells of, so a kill loses neither or both. Delivered
//! entries are kept for a while: an invalidation that is read again must not void what was told after it.

use std::collections::HashMap;
use std::sync::Weak;
use std::sync::atomic::Ordering;

use rusqlite::params;

use super::cached::CachedStatements;
use super::libraries::libraries;
use super::local_write::{LocalWrite, WriteObserver};
use super::store::Store;
use super::timelines::{begin_timeline, timeline};
use super::tx::Tx;
use crate::entries::{EntryKind, EntryName, HostId, NewEntry, Position};
use crate::error::Result;
use crate::model::{IdentityId, Library, LibraryId};
use crate::platform::deadline::Deadline;

/// Number of delivered entries that are kept, of each server and user.
const KEPT: i64 = 20_000;
/// In place of its number: an entry waits to be delivered.
pub const WAITS: u64 = i64::MAX.cast_unsigned();
/// Random bits at the end of each number. A folder whose backup was restored in place counts on from there, and its
/// numbers differ from those that the log has of it.
const RANDOM_BITS: u32 = 20;

/// An entry that waits to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// The number that its host gave it.
    pub number: u64,
    /// The host that wrote it: this folder, or an earlier incarnation of it.
    pub host: HostId,
    /// The entry.
    pub entry: NewEntry,
}

/// How far a view of the log was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedPlace {
    /// The position in the log.
    pub position: Position,
    /// When it was last read, or tried, Unix ms. 0: not all of it was read yet, or it was not told what it lacks.
    pub looked_ms: i64,
}

/// A store's rows for the log that hosts share.
pub struct Outbox<'s>(pub &'s Store);

impl Outbox<'_> {
    /// Sets who sees each write of hosts and events from now on.
    pub fn observe(&self, observer: Weak<dyn WriteObserver>) {
        let _ = self.0.observer.set(observer);
    }

    /// Forces each write that puts entries into the outbox to the disk before it returns, from now on.
    pub fn sync_each(&self) {
        self.0.syncs_outbox.store(true, Ordering::Relaxed);
    }

    /// The host that this folder is for the log.
    pub fn host(&self) -> Result<HostId> {
        self.0.read(timeline).map(HostId)
    }

    /// How far the log at this address was read with these mappings; the beginning for another log, and for other
    /// mappings, since they decide which matches are this host's.
    pub fn shared_place(&self, identity: IdentityId, log: &str, mappings: u64) -> Result<SharedPlace> {
        let place = self.0.read(|c| {
            c.find(
                "SELECT number, mark, looked_ms FROM shared WHERE identity = ?1 AND log = ?2 AND mappings = ?3",
                params![identity, log, mappings.cast_signed()],
                |row| {
                    Ok(SharedPlace {
                        position: Position {
                            number: row.get::<_, i64>(0)?.cast_unsigned(),
                            mark: row.get(1)?,
                        },
                        looked_ms: row.get(2)?,
                    })
                },
            )
        })?;
        Ok(place.unwrap_or_default())
    }

    /// Stores how far the log was read.
    pub fn store_shared_place(
        &self,
        identity: IdentityId,
        log: &str,
        mappings: u64,
        place: &SharedPlace,
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run(
                "DELETE FROM shared WHERE identity = ?1 AND log <> ?2",
                params![identity, log],
            )?;
            tx.run(
                "INSERT OR REPLACE INTO shared (identity, log, number, mark, mappings, looked_ms) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    identity,
                    log,
                    place.position.number.cast_signed(),
                    place.position.mark,
                    mappings.cast_signed(),
                    place.looked_ms
                ],
            )
        })
    }

    /// Puts entries into the outbox, about what was written before.
    pub fn enqueue(&self, identity: IdentityId, entries: &[NewEntry], deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| enqueue(tx, identity, entries))
    }

    /// The entries that the log may not have, the oldest first.
    pub fn entries(&self, identity: IdentityId, limit: usize) -> Result<Vec<OutboxRow>> {
        self.0.read(|c| {
            c.rows(
                "SELECT id, timeline, kind, library, key, body FROM outbox WHERE identity = ?1 AND sent = 0 \
                 ORDER BY id LIMIT ?2",
                params![identity, i64::try_from(limit).unwrap_or(i64::MAX)],
                |row| {
                    Ok(OutboxRow {
                        number: row.get::<_, i64>(0)?.cast_unsigned(),
                        host: HostId(row.get(1)?),
                        entry: NewEntry {
                            name: EntryName {
                                // Each was written from a kind.
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

    /// Number of entries that the log may not have.
    pub fn count(&self, identity: IdentityId) -> Result<u64> {
        let waiting: i64 = self.0.read(|c| {
            c.value(
                "SELECT count(*) FROM outbox WHERE identity = ?1 AND sent = 0",
                [identity],
            )
        })?;
        Ok(waiting.cast_unsigned())
    }

    /// Stores that the log has the entries of a host up to this number.
    pub fn delivered(&self, identity: IdentityId, host: HostId, upto: u64, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run(
                "UPDATE outbox SET sent = 1 WHERE identity = ?1 AND sent = 0 AND id <= ?3 AND timeline = ?2",
                params![identity, host.0, upto.cast_signed()],
            )?;
            // Many more may wait, so those before the last one that was delivered are counted.
            tx.run(
                "DELETE FROM outbox WHERE identity = ?1 AND sent <> 0 AND id <= ?2",
                params![identity, upto.cast_signed() - (KEPT << RANDOM_BITS)],
            )
        })
    }

    /// The last entry that was delivered since this folder became its host: its host and number.
    pub fn last_delivered(&self, identity: IdentityId) -> Result<Option<(HostId, u64)>> {
        self.0.read(|c| {
            c.find(
                "SELECT timeline, id FROM outbox WHERE identity = ?1 AND sent = 1 ORDER BY id DESC LIMIT 1",
                [identity],
                |row| Ok((HostId(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned())),
            )
        })
    }

    /// Returns whether this folder has an entry of this number, written as this host.
    pub fn has_numbered(&self, host: HostId, number: u64) -> Result<bool> {
        self.0.read(|c| {
            c.has(
                "SELECT 1 FROM outbox WHERE id = ?2 AND timeline = ?1",
                params![host.0, number.cast_signed()],
            )
        })
    }

    /// Makes this folder another host, which tells what waits: the log or the folder was restored from a backup, so the
    /// log and this folder differ in what the earlier host delivered.
    pub fn become_another_host(&self, identity: IdentityId, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            let new = begin_timeline(tx)?;
            tx.run(
                "UPDATE outbox SET sent = 2 WHERE identity = ?1 AND sent = 1",
                [identity],
            )?;
            tx.run(
                "UPDATE outbox SET timeline = ?2 WHERE identity = ?1 AND sent = 0",
                params![identity, new],
            )
        })
    }

    /// The last numbers of a host up to which this folder has applied invalidations: those that it wrote itself, when
    /// it was this host, and those that it took.
    pub fn applied(&self, host: HostId) -> Result<(u64, u64)> {
        self.0.read(|c| {
            let own: Option<i64> = c.value("SELECT max(id) FROM outbox WHERE timeline = ?1", [host.0])?;
            let taken: Option<i64> = c.find_value("SELECT number FROM applied WHERE host = ?1", [host.0])?;
            Ok((own.unwrap_or(0).cast_unsigned(), taken.unwrap_or(0).cast_unsigned()))
        })
    }

    /// The paths of a library whose matches this host told, each with the number of its last entry, or [`WAITS`].
    pub fn matches_told(&self, identity: IdentityId, library: &str) -> Result<HashMap<Vec<u8>, u64>> {
        let told: Vec<(Vec<u8>, i64)> = self.0.read(|c| {
            c.rows(
                "SELECT key, CASE sent WHEN 0 THEN ?4 ELSE id END FROM outbox \
                 WHERE identity = ?1 AND library = ?2 AND kind = ?3",
                params![identity, library, EntryKind::Match.number(), WAITS.cast_signed()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })?;
        let mut last = HashMap::new();
        for (key, number) in told {
            let known: &mut u64 = last.entry(key).or_default();
            *known = number.cast_unsigned().max(*known);
        }
        Ok(last)
    }

    /// Stores that an invalidation of a host was applied.
    pub fn note_applied(&self, host: HostId, number: u64, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run(
                "INSERT INTO applied (host, number) VALUES (?1, ?2) \
                 ON CONFLICT (host) DO UPDATE SET number = max(number, excluded.number)",
                params![host.0, number.cast_signed()],
            )
        })
    }

    /// The number in the log of a library's listing; `None` if its listing does not come from there.
    pub fn shared_listing(&self, library: LibraryId) -> Result<Option<i64>> {
        self.0.read(|c| {
            c.find_value(
                "SELECT listing FROM shared_listings WHERE library = ?1 AND listing <> 0",
                [library],
            )
        })
    }

    /// When this host began to ask the server for a library's listing, Unix ms; 0 if it was taken from the log.
    pub fn begun_ms(&self, library: LibraryId) -> Result<i64> {
        let begun = self
            .0
            .read(|c| c.find_value("SELECT begun_ms FROM shared_listings WHERE library = ?1", [library]))?;
        Ok(begun.unwrap_or(0))
    }

    /// Stores that a library's listing is this one of the log, and when this host began to ask the server for it.
    pub fn store_shared_listing(
        &self,
        library: LibraryId,
        listing: i64,
        begun_ms: i64,
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run(
                "INSERT OR REPLACE INTO shared_listings (library, listing, begun_ms) VALUES (?1, ?2, ?3)",
                params![library, listing, begun_ms],
            )
        })
    }
}

impl Store {
    /// Shows a write of hosts or events to who sees them, and puts their entries into the outbox.
    pub(super) fn observe(&self, tx: &Tx<'_>, identity: IdentityId, write: &LocalWrite<'_>) -> rusqlite::Result<()> {
        let Some(observer) = self.observer.get().and_then(Weak::upgrade).filter(|it| it.observes()) else {
            return Ok(());
        };
        let named: Vec<(LibraryId, Library)> = match write {
            LocalWrite::Matches(..) => Vec::new(),
            _ => libraries(tx.connection, identity)?
                .into_iter()
                .map(|row| (row.id, row.library))
                .collect(),
        };
        enqueue(tx, identity, &observer.entries(&named, write))
    }

    /// Says that the outbox got entries, if it did. The caller holds no connection: the exchange has locks that a fork
    /// takes before those of connections.
    pub(super) fn tell_observer(&self) {
        if self.has_enqueued.swap(false, Ordering::Relaxed)
            && let Some(observer) = self.observer.get().and_then(Weak::upgrade)
        {
            observer.committed();
        }
    }
}

/// Puts entries into the outbox.
fn enqueue(tx: &Tx<'_>, identity: IdentityId, entries: &[NewEntry]) -> rusqlite::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    tx.enqueues.set(true);
    let host = timeline(tx.connection)?;
    for NewEntry { name, body } in entries {
        tx.run(
            "INSERT INTO outbox (id, identity, timeline, kind, library, key, body) VALUES ( \
             (((SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox') >> ?7) + 1 << ?7) \
             + (random() & (1 << ?7) - 1), ?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                identity,
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
