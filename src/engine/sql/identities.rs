//! Identities: one user's view of one server.

use rusqlite::params;

use super::cached::CachedStatements;
use super::endpoints::{Endpoint, TOKEN_DIGEST_LENGTH, store_endpoint};
use super::history::begin_anew;
use super::libraries::{disown, libraries};
use super::lock_wait::BUSY;
use super::matches::hand_over;
use super::open::Store;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{IdentityId, LibraryId, Server};
use crate::platform::deadline::Deadline;
use crate::platform::files;

/// Interval at which the use of an identity is stored.
pub const USE_NOTED_MS: i64 = 86_400_000;

/// Stands for the last use of an identity that is never forgotten.
pub const NEVER_FORGOTTEN: i64 = i64::MAX;

/// Equal for tokens of one user and one key pair, as they say. Hearsay, until the server accepted that very token.
pub type SameUser = [u8; 32];

/// Prefix of the machine identifier of a server that was not asked for it yet; its URL follows.
const UNNAMED: char = '?';

impl Store {
    /// The machine identifier of an identity's server.
    pub fn machine_identifier(&self, identity: IdentityId) -> Result<String> {
        self.read(|connection| {
            connection.value(
                "SELECT s.machine_identifier FROM servers s JOIN identities i ON i.server = s.id WHERE i.id = ?1",
                [identity],
            )
        })
    }

    /// The identity of the user that a token claims to be of, as this URL led to it before. It says which server is asked,
    /// and nothing more: the server has not accepted the token.
    pub fn claimed(&self, endpoint: &Endpoint, user: SameUser) -> Result<Option<IdentityId>> {
        self.read(|connection| {
            connection.find_value(
                "SELECT i.id FROM endpoints e JOIN identities i ON i.id = e.identity \
                 WHERE e.url = ?1 AND i.same_user = ?2 ORDER BY i.used_ms DESC",
                params![endpoint.url, user],
            )
        })
    }

    /// Notes that the server accepted this very token, of the user that [`Store::claimed`] gave.
    pub fn accepted_claim(&self, endpoint: &Endpoint, claimed: IdentityId, deadline: Deadline) -> Result<()> {
        self.write(deadline, |tx| {
            // It may belong to a database that was renamed to `.broken`.
            tx.row("SELECT 1 FROM identities WHERE id = ?1", [claimed], |_| Ok(()))?;
            store_endpoint(tx, endpoint, claimed)
        })
    }

    /// Notes that this endpoint led to this server, which accepted the token: gives the identity, made when it is new. A server
    /// without a machine identifier was not asked for it yet.
    pub fn accepted(
        &self,
        endpoint: &Endpoint,
        server: &Server,
        user: Option<SameUser>,
        deadline: Deadline,
    ) -> Result<IdentityId> {
        self.write(deadline, |tx| {
            let name = match server.machine_identifier.as_str() {
                "" => &format!("{UNNAMED}{}", endpoint.url),
                name => name,
            };
            let identity = match known_at(tx, endpoint, name, user)? {
                Some(known) => known,
                None => new_identity(tx, endpoint, name, &server.version)?,
            };
            if user.is_some() {
                tx.execute(
                    "UPDATE identities SET same_user = ?2 WHERE id = ?1 AND same_user IS NOT ?2",
                    params![identity, user],
                )?;
            }
            store_endpoint(tx, endpoint, identity)?;
            Ok(identity)
        })
    }

    /// The same of a token that says nothing of its user.
    #[cfg(test)]
    pub fn reached(&self, endpoint: &Endpoint, server: &Server) -> Result<IdentityId> {
        self.accepted(endpoint, server, None, Deadline::NONE)
    }

    /// Whether the server of an identity is known.
    pub fn is_named(&self, identity: IdentityId) -> Result<bool> {
        Ok(!self.machine_identifier(identity)?.starts_with(UNNAMED))
    }

    /// Notes which server an identity is of that had no name before. Gives the identity that stands for it from now on:
    /// another one when the same server was reached before under another URL. It gets what hosts confirmed meanwhile.
    pub fn name_server(
        &self,
        unnamed: IdentityId,
        endpoint: &Endpoint,
        server: &Server,
        deadline: Deadline,
    ) -> Result<IdentityId> {
        // In one transaction: what a host records meanwhile is handed over, or finds its library gone and is recorded again.
        self.write(deadline, |tx| {
            let id = server_number(tx, &server.machine_identifier, &server.version)?;
            let user = tx.row("SELECT same_user FROM identities WHERE id = ?1", [unnamed], |row| {
                row.get(0)
            })?;
            let known = known_at(tx, endpoint, &server.machine_identifier, user)?;
            let Some(known) = known.filter(|known| *known != unnamed) else {
                // One whose token had expired keeps the name of its URL: `new_identity` says why.
                tx.execute(
                    "UPDATE OR IGNORE identities SET server = ?2 WHERE id = ?1",
                    params![unnamed, id],
                )?;
                tx.libraries_changed(IdentityId::ALL)?;
                return Ok(unnamed);
            };
            tx.execute(
                "UPDATE libraries SET identity = ?2 WHERE identity = ?1 \
                 AND uuid NOT IN (SELECT uuid FROM libraries WHERE identity = ?2)",
                [unnamed, known],
            )?;
            let both: Vec<(LibraryId, LibraryId)> = tx.rows(
                "SELECT a.id, b.id FROM libraries a JOIN libraries b ON b.uuid = a.uuid \
                 WHERE a.identity = ?1 AND b.identity = ?2",
                [unnamed, known],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            for (from, to) in both {
                hand_over(tx, from, to)?;
            }
            tx.libraries_changed(known)?;
            for library in libraries(tx.connection, known)? {
                begin_anew(tx, library.id)?; // some were another identity's until now
            }
            empty(tx, unnamed)?;
            store_endpoint(tx, endpoint, known)?;
            Ok(known)
        })
    }

    /// Empties an identity because the host says so: it inherits nothing from others either.
    pub fn clear_for_good(&self, identity: IdentityId, deadline: Deadline) -> Result<()> {
        self.write(deadline, |tx| {
            tx.execute("UPDATE identities SET cleared = 1 WHERE id = ?1", [identity])?;
            empty(tx, identity)
        })?;
        // The state file is out of date; its content must go too.
        let _ = files::remove(&self.folder.state());
        Ok(())
    }

    /// Empties an identity: its libraries belong to none at once, and their rows are swept by later writes.
    pub fn clear(&self, identity: IdentityId, deadline: Deadline) -> Result<()> {
        self.write(deadline, |tx| empty(tx, identity))
    }

    /// Notes that an identity is used, once a day; not where that would have to wait for other writers: then the next
    /// call does. `false`: it was not possible now.
    pub fn note_use(&self, identity: IdentityId, now_ms: i64) -> Result<bool> {
        self.open_late(BUSY);
        let known = self.try_read(|connection| {
            // Identities of named users are never forgotten.
            connection.find_value::<i64>(
                "SELECT used_ms FROM identities WHERE id = ?1 AND length(who) = ?2",
                params![identity, TOKEN_DIGEST_LENGTH],
            )
        });
        let Some(known) = known.transpose()? else {
            return Ok(false);
        };
        if known.is_none_or(|known| (0..USE_NOTED_MS).contains(&now_ms.saturating_sub(known))) {
            return Ok(true);
        }
        let noted = self.try_write(|tx| {
            tx.execute(
                "UPDATE identities SET used_ms = ?2 WHERE id = ?1",
                params![identity, now_ms],
            )
        });
        Ok(noted.transpose()?.is_some())
    }

    /// Empties the identities of this one's server that were not used since `before_ms`: those of old tokens. A
    /// user who was named stays the same, and what was confirmed for him has no expiry.
    pub fn forget_unused(&self, identity: IdentityId, before_ms: i64, deadline: Deadline) -> Result<()> {
        const UNUSED: &str = "SELECT i.id FROM identities me JOIN identities i ON i.server = me.server AND i.id <> me.id \
             JOIN libraries l ON l.identity = i.id WHERE me.id = ?1 AND length(i.who) = ?3 \
             GROUP BY i.id HAVING max(i.used_ms, max(l.checked_ms)) BETWEEN 1 AND ?2";
        let unused: Vec<IdentityId> = self.read(|connection| {
            let mut statement = connection.prepare_cached(UNUSED)?;
            let ids = statement.query_map(params![identity, before_ms, TOKEN_DIGEST_LENGTH], |row| row.get(0))?;
            ids.collect()
        })?;
        unused.into_iter().try_for_each(|unused| self.clear(unused, deadline))
    }
}

/// The identity that this server may open to whoever asks at an endpoint. A server is believed to be the one that it says it is
/// where its URL led to it before, and where it gets the very token, or the user's name, that opened the identity: not for
/// what a token claims, which anyone can write, nor for a token that has expired, which others may have. Who has none is
/// another one at each URL.
fn known_at(
    tx: &Tx<'_>,
    endpoint: &Endpoint,
    name: &str,
    user: Option<SameUser>,
) -> rusqlite::Result<Option<IdentityId>> {
    tx.find_value(
        "SELECT i.id FROM servers s JOIN identities i ON i.server = s.id LEFT JOIN endpoints e ON e.identity = i.id \
         WHERE s.machine_identifier = ?1 AND ((i.who = ?2 OR e.who = ?2) \
         AND (e.url = ?3 OR NOT ?4) OR e.url = ?3 AND i.same_user = ?5) ORDER BY e.url = ?3 DESC, i.used_ms DESC",
        params![name, endpoint.who, endpoint.url, endpoint.is_expired(), user],
    )
}

/// A new identity. Where there is one of this server already, which a token that has expired does not open, it gets the name
/// of the URL.
fn new_identity(tx: &Tx<'_>, endpoint: &Endpoint, name: &str, version: &str) -> rusqlite::Result<IdentityId> {
    let add = |name: &str| {
        let id = server_number(tx, name, version)?;
        let added = tx.execute(
            "INSERT OR IGNORE INTO identities (server, who) VALUES (?1, ?2)",
            params![id, endpoint.who],
        )?;
        Ok::<_, rusqlite::Error>((id, added > 0))
    };
    let (server, _) = match add(name)? {
        (_, false) => add(&format!("{UNNAMED}{}", endpoint.url))?,
        added => added,
    };
    tx.value(
        "SELECT id FROM identities WHERE server = ?1 AND who = ?2",
        params![server, endpoint.who],
    )
}

fn empty(tx: &Tx<'_>, identity: IdentityId) -> rusqlite::Result<()> {
    disown(tx, "identity", identity)?;
    tx.libraries_changed(identity)
}

/// The number of a server, noted when it is new.
fn server_number(tx: &Tx<'_>, machine_identifier: &str, version: &str) -> rusqlite::Result<i64> {
    tx.execute(
        "INSERT INTO servers (machine_identifier, version) VALUES (?1, ?2) \
         ON CONFLICT (machine_identifier) DO UPDATE SET version = excluded.version",
        [machine_identifier, version],
    )?;
    tx.value(
        "SELECT id FROM servers WHERE machine_identifier = ?1",
        [machine_identifier],
    )
}
