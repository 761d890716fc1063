//! Whose view of which server: servers and identities.

use rusqlite::{Connection, OptionalExtension, params};

use super::endpoints::{Endpoint, TOKEN, leads_to};
use super::history::begin_anew;
use super::libraries::{disown, libraries};
use super::matches::hand_over;
use super::open::Store;
use super::patience::BUSY;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{IdentityId, LibraryId, Server};
use crate::platform::files;

/// How often it is noted that an identity is used.
pub const USE_NOTED_MS: i64 = 86_400_000;

/// In the place of when an identity was used: that is not noted, for it is never forgotten.
pub const NEVER_FORGOTTEN: i64 = i64::MAX;

/// What a token says of its user. Hearsay, until the server accepted that very token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SameUser {
    /// Equal for tokens of one user and one key pair; `None` where the token does not say both.
    pub hash: Option<[u8; 32]>,
    /// When the token expires, Unix ms.
    pub until_ms: i64,
}

/// What the machine identifier of a server begins with that was not asked for it yet; its URL follows.
const UNNAMED: char = '?';

impl Store {
    /// The machine identifier of an identity's server.
    pub fn machine_identifier(&self, identity: IdentityId) -> Result<String> {
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
    pub fn reached(&self, endpoint: &Endpoint, server: &Server) -> Result<IdentityId> {
        self.write(|tx| {
            let identity = identity_at(tx, endpoint, server)?;
            leads_to(tx, endpoint, identity)?;
            Ok(identity)
        })
    }

    /// The identity of the user that a token claims to be of, as this URL led to it before. It says which server is asked,
    /// and nothing more: the server has not accepted the token.
    pub fn claimed(&self, endpoint: &Endpoint, user: SameUser) -> Result<Option<IdentityId>> {
        self.read(|connection| claimed_at(connection, endpoint, user))
    }

    /// [`Store::reached`], once the server accepted this very token: leads to the identity of the user that it claims to be of,
    /// if there is one, and remembers that until the token expires.
    pub fn accepted(&self, endpoint: &Endpoint, server: &Server, user: SameUser, now_ms: i64) -> Result<IdentityId> {
        self.write(|tx| {
            let c = tx.connection;
            let known = match server.machine_identifier.as_str() {
                "" => claimed_at(c, endpoint, user)?,
                name => c
                    .prepare_cached(
                        "SELECT i.id FROM identities i JOIN servers s ON s.id = i.server WHERE i.same_user = ?1 \
                         AND s.machine_identifier IN (?2, ?3) ORDER BY s.machine_identifier = ?2 DESC, i.used_ms DESC",
                    )?
                    .query_row(params![user.hash, name, format!("{UNNAMED}{}", endpoint.url)], |row| {
                        row.get(0)
                    })
                    .optional()?,
            };
            let identity = known.map_or_else(|| identity_at(tx, endpoint, server), Ok)?;
            c.execute(
                "UPDATE identities SET same_user = ?2 WHERE id = ?1 AND same_user IS NOT ?2",
                params![identity, user.hash],
            )?;
            leads_to(tx, endpoint, identity)?;
            c.execute(
                "UPDATE endpoints SET until_ms = ?3 WHERE url = ?1 AND who = ?2",
                params![endpoint.url, endpoint.who, user.until_ms],
            )?;
            // But for its own: a server may have another idea of the time.
            c.execute(
                "DELETE FROM endpoints WHERE until_ms BETWEEN 1 AND ?3 AND NOT (url = ?1 AND who = ?2)",
                params![endpoint.url, endpoint.who, now_ms],
            )?;
            Ok(identity)
        })
    }

    /// Whether it is known which server an identity is of.
    pub fn is_named(&self, identity: IdentityId) -> Result<bool> {
        Ok(!self.machine_identifier(identity)?.starts_with(UNNAMED))
    }

    /// Notes which server an identity is of that had no name before. Gives the identity that stands for it from now on:
    /// another one when the same server was reached before under another URL. It gets what hosts confirmed meanwhile.
    pub fn name_server(&self, unnamed: IdentityId, endpoint: &Endpoint, server: &Server) -> Result<IdentityId> {
        // In one transaction: what a host records meanwhile is handed over, or finds its library gone and is recorded again.
        self.write(|tx| {
            let id = server_number(tx, &server.machine_identifier, &server.version)?;
            let known: Option<IdentityId> = tx
                .connection
                .query_row(
                    "SELECT id FROM identities WHERE server = ?1 AND id <> ?3 AND (who = ?2 \
                     OR same_user = (SELECT same_user FROM identities WHERE id = ?3)) ORDER BY who = ?2 DESC",
                    params![id, endpoint.who, unnamed],
                    |row| row.get(0),
                )
                .optional()?;
            let Some(known) = known else {
                tx.connection
                    .execute("UPDATE identities SET server = ?2 WHERE id = ?1", params![unnamed, id])?;
                tx.libraries_changed(IdentityId::ALL)?;
                return Ok(unnamed);
            };
            tx.connection.execute(
                "UPDATE libraries SET identity = ?2 WHERE identity = ?1 \
                 AND uuid NOT IN (SELECT uuid FROM libraries WHERE identity = ?2)",
                [unnamed, known],
            )?;
            let both: Vec<(LibraryId, LibraryId)> = tx
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
            for library in libraries(tx.connection, known)? {
                begin_anew(tx, library.id)?; // some were another identity's until now
            }
            empty(tx, unnamed)?;
            leads_to(tx, endpoint, known)?;
            Ok(known)
        })
    }

    /// Empties an identity because the host says so: it inherits nothing from others either.
    pub fn clear_for_good(&self, identity: IdentityId) -> Result<()> {
        self.write(|tx| {
            tx.connection
                .execute("UPDATE identities SET cleared = 1 WHERE id = ?1", [identity])?;
            empty(tx, identity)
        })?;
        // It tells nothing any more; what it holds goes too.
        let _ = files::remove(&self.folder.state());
        Ok(())
    }

    /// Empties an identity: its libraries belong to none at once, and their rows are swept by later writes.
    pub fn clear(&self, identity: IdentityId) -> Result<()> {
        self.write(|tx| empty(tx, identity))
    }

    /// Notes that an identity is used, once a day; not where that would have to wait for other writers: then the next
    /// call does. `false`: it was not possible now.
    pub fn note_use(&self, identity: IdentityId, now_ms: i64) -> Result<bool> {
        self.open_late(BUSY);
        let known = self.try_read(|connection| {
            // Those of users who were named are never forgotten.
            connection
                .prepare_cached("SELECT used_ms FROM identities WHERE id = ?1 AND length(who) = ?2")?
                .query_row(params![identity, TOKEN], |row| row.get::<_, i64>(0))
                .optional()
        });
        let Some(known) = known.transpose()? else {
            return Ok(false);
        };
        if known.is_none_or(|known| (0..USE_NOTED_MS).contains(&now_ms.saturating_sub(known))) {
            return Ok(true);
        }
        let noted = self.try_write(|tx| {
            tx.connection.execute(
                "UPDATE identities SET used_ms = ?2 WHERE id = ?1",
                params![identity, now_ms],
            )
        });
        Ok(noted.transpose()?.is_some())
    }

    /// Empties the identities of this one's server that were not used since `before_ms`: those of old tokens. A
    /// user who was named stays the same, and what was confirmed for him has no expiry.
    pub fn forget_unused(&self, identity: IdentityId, before_ms: i64) -> Result<()> {
        const UNUSED: &str = "SELECT i.id FROM identities me JOIN identities i ON i.server = me.server AND i.id <> me.id \
             JOIN libraries l ON l.identity = i.id WHERE me.id = ?1 AND length(i.who) = ?3 \
             GROUP BY i.id HAVING max(i.used_ms, max(l.checked_ms)) BETWEEN 1 AND ?2";
        let unused: Vec<IdentityId> = self.read(|connection| {
            let mut statement = connection.prepare_cached(UNUSED)?;
            let ids = statement.query_map(params![identity, before_ms, TOKEN], |row| row.get(0))?;
            ids.collect()
        })?;
        unused.into_iter().try_for_each(|unused| self.clear(unused))
    }
}

/// The identity of whoever asks at an endpoint, noted when it is new.
fn identity_at(tx: &Tx<'_>, endpoint: &Endpoint, server: &Server) -> rusqlite::Result<IdentityId> {
    let name = match server.machine_identifier.as_str() {
        "" => &format!("{UNNAMED}{}", endpoint.url),
        name => name,
    };
    let id = server_number(tx, name, &server.version)?;
    tx.connection.execute(
        "INSERT OR IGNORE INTO identities (server, who) VALUES (?1, ?2)",
        params![id, endpoint.who],
    )?;
    tx.connection.query_row(
        "SELECT id FROM identities WHERE server = ?1 AND who = ?2",
        params![id, endpoint.who],
        |row| row.get(0),
    )
}

/// Where tokens of this user led at this URL.
fn claimed_at(connection: &Connection, endpoint: &Endpoint, user: SameUser) -> rusqlite::Result<Option<IdentityId>> {
    connection
        .prepare_cached(
            "SELECT i.id FROM endpoints e JOIN identities i ON i.id = e.identity WHERE e.url = ?1 AND i.same_user = ?2 \
             ORDER BY i.used_ms DESC",
        )?
        .query_row(params![endpoint.url, user.hash], |row| row.get(0))
        .optional()
}

fn empty(tx: &Tx<'_>, identity: IdentityId) -> rusqlite::Result<()> {
    disown(tx, "identity", identity)?;
    tx.libraries_changed(identity)
}

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
