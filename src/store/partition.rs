//! Whose view of which server: servers, identities, and the libraries of one.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, OptionalExtension, params};

use super::guids::carrier;
use super::matches::{TOKEN, hand_over};
use super::rows::{LibraryRow, libraries, one_library};
use super::single::renew;
use super::titles::titled;
use super::{Store, Tx};
use crate::error::Result;
use crate::model::{Clocks, Library, Server};

/// After how long the listing of a library is forgotten that the server does not show any more.
const GONE_MS: i64 = 30 * 86_400_000;

/// How often it is noted that an identity is used.
pub const USE_NOTED_MS: i64 = 86_400_000;

/// Where an identity was last reached, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The base URL as the host gave it, without a trailing slash.
    pub url: String,
    /// The user's name, or what stands for the token.
    pub who: Vec<u8>,
}

impl Store {
    /// The identity that this endpoint led to last; `None` when it was never asked.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn identity(&self, endpoint: &Endpoint) -> Result<Option<i64>> {
        self.read(|connection| identity_of(connection, Some(endpoint)))
    }

    /// The machine identifier of an identity's server.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn machine_identifier(&self, identity: i64) -> Result<String> {
        self.read(|connection| {
            connection.query_row(
                "SELECT s.machine_identifier FROM servers s JOIN identities i ON i.server = s.id WHERE i.id = ?1",
                [identity],
                |row| row.get(0),
            )
        })
    }

    /// Notes that this endpoint led to this server: gives the identity, made when it is new. A server without a machine
    /// identifier was not asked for it yet.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn reached(&self, endpoint: &Endpoint, server: &Server) -> Result<i64> {
        self.write(|tx| {
            let connection = tx.connection;
            let name = match server.machine_identifier.as_str() {
                "" => &format!("{UNNAMED}{}", endpoint.url),
                name => name,
            };
            let id = server_number(tx, name, &server.version)?;
            connection.execute(
                "INSERT OR IGNORE INTO identities (server, who) VALUES (?1, ?2)",
                params![id, endpoint.who],
            )?;
            let identity: i64 = connection.query_row(
                "SELECT id FROM identities WHERE server = ?1 AND who = ?2",
                params![id, endpoint.who],
                |row| row.get(0),
            )?;
            leads_to(tx, endpoint, identity)?;
            Ok(identity)
        })
    }

    /// Whether it is known which server an identity is of.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn is_named(&self, identity: i64) -> Result<bool> {
        Ok(!self.machine_identifier(identity)?.starts_with(UNNAMED))
    }

    /// Notes which server an identity is of that had no name before. Gives the identity that stands for it from now on:
    /// another one when the same server was reached before under another URL. It gets what hosts confirmed meanwhile.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn name_server(&self, unnamed: i64, endpoint: &Endpoint, server: &Server) -> Result<i64> {
        // In one transaction: what a host records meanwhile is handed over, or finds its library gone and is recorded again.
        self.write(|tx| {
            let id = server_number(tx, &server.machine_identifier, &server.version)?;
            let known: Option<i64> = tx
                .connection
                .query_row(
                    "SELECT id FROM identities WHERE server = ?1 AND who = ?2 AND id <> ?3",
                    params![id, endpoint.who, unnamed],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(known) = known else {
                tx.connection
                    .execute("UPDATE identities SET server = ?2 WHERE id = ?1", [unnamed, id])?;
                tx.libraries_changed(0)?;
                return Ok(unnamed);
            };
            tx.connection.execute(
                "UPDATE libraries SET identity = ?2 WHERE identity = ?1 \
                 AND uuid NOT IN (SELECT uuid FROM libraries WHERE identity = ?2)",
                [unnamed, known],
            )?;
            let both: Vec<(i64, i64)> = tx
                .connection
                .prepare_cached(
                    "SELECT a.id, b.id FROM libraries a JOIN libraries b ON b.uuid = a.uuid \
                     WHERE a.identity = ?1 AND b.identity = ?2",
                )?
                .query_map([unnamed, known], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            for (from, to) in both {
                hand_over(tx, from, to)?;
            }
            empty(tx, unnamed)?;
            leads_to(tx, endpoint, known)?;
            Ok(known)
        })
    }

    /// Notes what a probe showed that began at the change sequence `begun`, and which libraries it proved to be current:
    /// `current` decides, from the row as it was and the library as it is.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn probed(
        &self,
        identity: i64,
        shown: &[Library],
        begun: u64,
        now_ms: i64,
        current: &dyn Fn(&LibraryRow, &Library) -> bool,
    ) -> Result<Vec<LibraryRow>> {
        self.write(|tx| {
            // It may be one of a database that was set aside.
            tx.connection
                .query_row("SELECT 1 FROM identities WHERE id = ?1", [identity], |_| Ok(()))?;
            let before = libraries(tx.connection, identity)?;
            tx.connection
                .execute("UPDATE libraries SET present = 0 WHERE identity = ?1", [identity])?;
            tx.connection
                .execute("UPDATE identities SET used_ms = ?2 WHERE id = ?1", [identity, now_ms])?;
            for (position, library) in (0_i64..).zip(shown) {
                upsert(tx, identity, position, library)?;
                if let Some(row) = before.iter().find(|row| row.library.uuid == library.uuid)
                    && row.generation > 0
                    && current(row, library)
                {
                    renew(tx, row.id, &library.clocks, begun, now_ms, row.provisional)?;
                }
            }
            forget_gone(tx, identity, now_ms)?;
            let after = libraries(tx.connection, identity)?;
            if before.iter().map(lasting).eq(after.iter().map(lasting)) {
                tx.clocks_changed(identity)?;
            } else {
                tx.libraries_changed(identity)?;
            }
            Ok(after)
        })
    }

    /// The library's row as it is now.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn library_row(&self, id: i64) -> Result<LibraryRow> {
        self.read(|connection| one_library(connection, id))
    }

    /// Makes a full listing due, and all confirmed matches of the library dead, whatever their number. Without a library: of
    /// every library of the identity.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn invalidate_libraries(&self, identity: i64, library: Option<i64>) -> Result<()> {
        self.write(|tx| {
            tx.connection.execute(
                "UPDATE libraries SET due_seq = ?3, epoch = epoch + 1, dead_matches = 1, match_count = 0, matches_image = '', \
                 matches_compacted = ?3 WHERE identity = ?1 AND (?2 IS NULL OR id = ?2)",
                params![identity, library, tx.sequence.cast_signed()],
            )?;
            tx.libraries_changed(identity)
        })
    }

    /// Empties an identity because the host says so: it inherits nothing from others either.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn clear_for_good(&self, identity: i64) -> Result<()> {
        self.write(|tx| {
            tx.connection
                .execute("UPDATE identities SET cleared = 1 WHERE id = ?1", [identity])?;
            empty(tx, identity)
        })
    }

    /// Empties an identity: its libraries become nobody's at once, and their rows are swept by later writes.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn clear(&self, identity: i64) -> Result<()> {
        self.write(|tx| empty(tx, identity))
    }

    /// Notes that an identity is used, once a day; not where that would have to wait for other writers: then the next
    /// call does. `false`: it was not possible now.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn note_use(&self, identity: i64, now_ms: i64) -> Result<bool> {
        let known = self.try_read(|connection| {
            // Those of users who were named are never forgotten.
            connection
                .prepare_cached("SELECT used_ms FROM identities WHERE id = ?1 AND length(who) = ?2")?
                .query_row([identity, TOKEN], |row| row.get::<_, i64>(0))
                .optional()
        });
        let Some(known) = known.transpose()? else {
            return Ok(false);
        };
        if known.is_none_or(|known| (0..USE_NOTED_MS).contains(&now_ms.saturating_sub(known))) {
            return Ok(true);
        }
        let noted = self.try_write(|tx| {
            tx.connection
                .execute("UPDATE identities SET used_ms = ?2 WHERE id = ?1", [identity, now_ms])
        });
        Ok(noted.transpose()?.is_some())
    }

    /// Empties the identities of this one's server that were not used since `before_ms`: those of old tokens. A
    /// user who was named stays the same, and what was confirmed for him has no expiry.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn forget_unused(&self, identity: i64, before_ms: i64) -> Result<()> {
        const UNUSED: &str = "SELECT i.id FROM identities me JOIN identities i ON i.server = me.server AND i.id <> me.id \
             JOIN libraries l ON l.identity = i.id WHERE me.id = ?1 AND length(i.who) = ?3 \
             GROUP BY i.id HAVING max(i.used_ms, max(l.checked_ms)) BETWEEN 1 AND ?2";
        let unused: Vec<i64> = self.read(|connection| {
            let mut statement = connection.prepare_cached(UNUSED)?;
            let ids = statement.query_map([identity, before_ms, TOKEN], |row| row.get(0))?;
            ids.collect()
        })?;
        unused.into_iter().try_for_each(|unused| self.clear(unused))
    }

    /// Removes rows that nobody can see any more, at most `slice` of each kind. Gives whether some may be left.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn sweep(&self, slice: usize) -> Result<bool> {
        // Shows of which the last episode was swept can be told only by looking at all episodes.
        let shows = self.orphans.load(Ordering::Relaxed);
        let left = self.write(|tx| {
            let swept = sweep_slice(tx, slice)?;
            if swept.rows > 0 {
                self.orphans.fetch_or(swept.of_shows, Ordering::Relaxed);
                return Ok(true);
            }
            for statement in [
                "DELETE FROM shows WHERE library IN (SELECT id FROM libraries WHERE identity < 0)",
                "DELETE FROM shows WHERE ?1 AND id NOT IN (SELECT show FROM items WHERE show IS NOT NULL)",
                "DELETE FROM unverified WHERE library IN (SELECT id FROM libraries WHERE identity < 0)",
                "DELETE FROM listings WHERE library IN (SELECT id FROM libraries WHERE identity < 0)",
                "DELETE FROM seen WHERE library IN (SELECT id FROM libraries WHERE identity < 0)",
                "DELETE FROM libraries WHERE identity < 0",
                "PRAGMA incremental_vacuum(256)",
            ] {
                let mut statement = tx.connection.prepare_cached(statement)?;
                if statement.parameter_count() > 0 {
                    statement.raw_bind_parameter(1, shows)?;
                }
                let mut rows = statement.raw_query();
                while rows.next()?.is_some() {} // a pragma gives rows
            }
            Ok(false)
        })?;
        if !left && shows {
            self.orphans.store(false, Ordering::Relaxed);
        }
        Ok(left)
    }
}

fn empty(tx: &Tx<'_>, identity: i64) -> rusqlite::Result<()> {
    tx.connection
        .execute(&format!("{DISOWN} WHERE identity = ?1"), [identity])?;
    tx.libraries_changed(identity)
}

/// What makes libraries belong to no identity: their rows are swept.
const DISOWN: &str = "UPDATE libraries SET identity = -id, present = 0, image = '', matches_image = ''";

/// Forgets the listings of libraries that the server has not shown for a month, and those libraries of which nothing was
/// confirmed. What was confirmed has no expiry: it waits, under a new number, for the library to come back.
fn forget_gone(tx: &Tx<'_>, identity: i64, now_ms: i64) -> rusqlite::Result<()> {
    let c = tx.connection;
    c.execute(
        "UPDATE libraries SET gone_ms = ?2 WHERE identity = ?1 AND NOT present AND gone_ms NOT BETWEEN 1 AND ?2",
        [identity, now_ms],
    )?;
    let gone: Vec<(i64, bool)> = c
        .prepare_cached(
            "SELECT id, match_count > 0 FROM libraries l WHERE identity = ?1 AND NOT present AND gone_ms <= ?2 \
             AND (match_count = 0 OR generation > 0 OR EXISTS (SELECT 1 FROM items WHERE library = l.id))",
        )?
        .query_map([identity, now_ms.saturating_sub(GONE_MS)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (id, has_matches) in gone {
        c.execute(&format!("{DISOWN} WHERE id = ?1"), [id])?;
        if has_matches {
            c.execute(
                "INSERT INTO libraries (identity, section, uuid, title, kind, locations, position, present, gone_ms) \
                 SELECT ?2, section, uuid, title, kind, locations, position, 0, gone_ms FROM libraries WHERE id = ?1",
                [id, identity],
            )?;
            hand_over(tx, id, c.last_insert_rowid())?;
        }
    }
    Ok(())
}

/// Notes that an endpoint leads to an identity.
fn leads_to(tx: &Tx<'_>, endpoint: &Endpoint, identity: i64) -> rusqlite::Result<()> {
    tx.connection.execute(
        "INSERT OR REPLACE INTO endpoints (url, who, identity) VALUES (?1, ?2, ?3)",
        params![endpoint.url, endpoint.who, identity],
    )?;
    tx.libraries_changed(0)
}

/// What of a library an answer's item depends on, as far as a probe shows it.
fn lasting(row: &LibraryRow) -> (i64, Library) {
    let library = Library {
        clocks: Clocks::default(),
        ..row.library.clone()
    };
    (row.id, library)
}

/// What the machine identifier of a server begins with that was not asked for it yet; its URL follows.
const UNNAMED: char = '?';

/// The number of a server, noted when it is new.
fn server_number(tx: &Tx<'_>, machine_identifier: &str, version: &str) -> rusqlite::Result<i64> {
    tx.connection.execute(
        "INSERT INTO servers (machine_identifier, version) VALUES (?1, ?2) \
         ON CONFLICT (machine_identifier) DO UPDATE SET version = excluded.version",
        [machine_identifier, version],
    )?;
    tx.connection.query_row(
        "SELECT id FROM servers WHERE machine_identifier = ?1",
        [machine_identifier],
        |row| row.get(0),
    )
}

/// What one slice of sweeping removed.
pub(super) struct Swept {
    pub rows: usize,
    /// Episodes were among them.
    pub of_shows: bool,
}

/// Removes rows that nobody can see any more, at most `slice` of each kind.
pub(super) fn sweep_slice(tx: &Tx<'_>, slice: usize) -> rusqlite::Result<Swept> {
    let slice = i64::try_from(slice).unwrap_or(i64::MAX);
    let c = tx.connection;
    // Items of libraries of no identity, then those of others that died before the generation that answers: two
    // statements, for one with OR would read every item. No item is in both: what is swept is swept once. One that went
    // singly stays while a page may be on its way that still has it.
    let mut dead = Vec::new();
    let mut of_shows = false;
    for whose in [
        "l.identity < 0",
        "l.identity > 0 AND i.died IS NOT NULL AND i.died <= l.generation \
         AND NOT EXISTS (SELECT 1 FROM listings n WHERE n.library = l.id AND n.begun_seq < i.since)",
    ] {
        let mut rows = c.prepare_cached(&format!(
            "SELECT i.id, i.guid, i.guids, coalesce(s.guid, ''), i.title, coalesce(s.title, ''), i.library, \
             i.show IS NOT NULL FROM libraries l JOIN items i ON i.library = l.id LEFT JOIN shows s ON s.id = i.show \
             WHERE {whose} LIMIT ?1"
        ))?;
        let mut rows = rows.query([slice])?;
        while let Some(row) = rows.next()? {
            dead.push((carrier(row)?, titled(row, 4)?, row.get(6)?));
            of_shows |= row.get::<_, bool>(7)?;
        }
    }
    for (item, titles, library) in &dead {
        super::guids::forget(tx, item)?;
        super::titles::forget(tx, *library, titles)?;
        c.prepare_cached("DELETE FROM items WHERE id = ?1")?
            .execute([item.id])?;
    }
    let disowned = c
        .prepare_cached(
            "DELETE FROM matches WHERE (library, path) IN (SELECT m.library, m.path FROM libraries l \
             JOIN matches m ON m.library = l.id WHERE l.identity < 0 LIMIT ?1)",
        )?
        .execute([slice])?;
    let ended = c
        .prepare_cached(
            "DELETE FROM matches WHERE (library, path) IN (SELECT m.library, m.path FROM libraries l \
             JOIN matches m ON m.library = l.id WHERE l.dead_matches AND m.epoch <> l.epoch LIMIT ?1)",
        )?
        .execute([slice])?;
    // Of an empty page nothing was looked for.
    if ended == 0 && slice > 0 {
        c.execute("UPDATE libraries SET dead_matches = 0 WHERE dead_matches", [])?;
    }
    Ok(Swept {
        rows: dead.len() + disowned + ended,
        of_shows,
    })
}

/// The identity that an endpoint led to last; without one that of a store that has just one, or the newest.
pub(super) fn identity_of(connection: &Connection, endpoint: Option<&Endpoint>) -> rusqlite::Result<Option<i64>> {
    let Some(endpoint) = endpoint else {
        // The newest that has libraries: a token that was refused leaves an identity without any.
        return connection.query_row(
            "SELECT coalesce((SELECT max(identity) FROM libraries WHERE identity > 0), (SELECT max(id) FROM identities))",
            [],
            |row| row.get(0),
        );
    };
    connection
        .prepare_cached("SELECT identity FROM endpoints WHERE url = ?1 AND who = ?2")?
        .query_row(params![endpoint.url, endpoint.who], |row| row.get(0))
        .optional()
}

pub(super) fn upsert(tx: &Tx<'_>, identity: i64, position: i64, library: &Library) -> rusqlite::Result<()> {
    let locations = serde_json::to_string(&library.locations).unwrap_or_else(|_| "[]".to_owned());
    tx.connection
        .prepare_cached(
            "INSERT INTO libraries (identity, section, uuid, title, kind, locations, position, present, \
             content_changed_at, scanned_at, updated_at, refreshing, probed_seq) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?9, ?10, ?11, ?12) \
             ON CONFLICT (identity, uuid) DO UPDATE SET section = excluded.section, title = excluded.title, \
             kind = excluded.kind, locations = excluded.locations, position = excluded.position, present = 1, gone_ms = 0, \
             content_changed_at = excluded.content_changed_at, scanned_at = excluded.scanned_at, \
             updated_at = excluded.updated_at, refreshing = excluded.refreshing, probed_seq = excluded.probed_seq",
        )?
        .execute(params![
            identity,
            library.section,
            library.uuid,
            library.title,
            library.kind as i64,
            locations,
            position,
            library.clocks.content_changed_at,
            library.clocks.scanned_at,
            library.clocks.updated_at,
            library.clocks.refreshing,
            tx.sequence.cast_signed(),
        ])?;
    Ok(())
}
