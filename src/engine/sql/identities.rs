//! Identities: one user's view of one server.

use rusqlite::params;

use super::cached::CachedStatements;
use super::endpoints::{Endpoint, store_endpoint};
use super::libraries::{LibraryRows, disown};
use super::sweeping::Sweeper;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{IdentityId, LibraryId, Server};
use crate::platform::deadline::Deadline;
use crate::platform::files;

/// A digest of the user and key that a token names, equal for tokens of the same user and key. Anyone can forge such a
/// token, so the digest proves nothing until the server has accepted that very token.
pub type SameUser = [u8; 32];

/// Prefix of the placeholder for the machine identifier of a server that an expired token names. Its URL follows.
const UNNAMED: char = '?';

impl LibraryRows<'_> {
    /// The machine identifier of an identity's server.
    pub fn machine_identifier(&self, identity: IdentityId) -> Result<String> {
        self.0.read(|connection| {
            connection.value(
                "SELECT s.machine_identifier FROM servers s JOIN identities i ON i.server = s.id WHERE i.id = ?1",
                [identity],
            )
        })
    }

    /// Returns the identity to which this URL led an earlier token that names the same user. It shows only which server
    /// to ask, because the server has not accepted this token.
    pub fn claimed(&self, endpoint: &Endpoint, user: SameUser) -> Result<Option<IdentityId>> {
        self.0.read(|connection| {
            connection.find_value(
                "SELECT i.id FROM endpoints e JOIN identities i ON i.id = e.identity \
                 WHERE e.url = ?1 AND i.same_user = ?2 \
                 ORDER BY (SELECT max(checked_ms) FROM libraries WHERE identity = i.id) DESC",
                params![endpoint.url, user],
            )
        })
    }

    /// Stores that the server accepted this token, whose identity [`Self::claimed`] returned.
    pub fn accepted_claim(&self, endpoint: &Endpoint, claimed: IdentityId, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            // The identity may be one of a database that was renamed to `.broken`.
            tx.row("SELECT 1 FROM identities WHERE id = ?1", [claimed], |_| Ok(()))?;
            store_endpoint(tx, endpoint, claimed)
        })
    }

    /// Stores that this server accepted the endpoint's token. Returns the identity, which is created if it is new.
    pub fn accepted(
        &self,
        endpoint: &Endpoint,
        server: &Server,
        user: Option<SameUser>,
        deadline: Deadline,
    ) -> Result<IdentityId> {
        self.0.write(deadline, |tx| {
            let name = &server.machine_identifier;
            let identity = match known_at(tx, endpoint, name, user)? {
                Some(known) => known,
                None => new_identity(tx, endpoint, name)?,
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

    /// [`Self::accepted`] for a token that names no user.
    #[cfg(test)]
    pub fn reached(&self, endpoint: &Endpoint, server: &Server) -> Result<IdentityId> {
        self.accepted(endpoint, server, None, Deadline::NONE)
    }

    /// Returns whether the identity belongs to a server that a valid token named.
    pub fn is_named(&self, identity: IdentityId) -> Result<bool> {
        Ok(!self.machine_identifier(identity)?.starts_with(UNNAMED))
    }

    /// Empties an identity at the host's request. Later writes sweep its libraries. It no longer inherits matches from
    /// other tokens.
    pub fn clear(&self, identity: IdentityId, deadline: Deadline) -> Result<()> {
        let rows = self.libraries(identity)?;
        let cleared: Vec<LibraryId> = rows.iter().map(|row| row.id).collect();
        self.0.write(deadline, |tx| {
            tx.execute("UPDATE identities SET cleared = 1 WHERE id = ?1", [identity])?;
            empty(tx, identity)
        })?;
        Sweeper(self.0).remove_segments_of(&cleared);
        // The state file is stale now, but its content must be gone from the disk too.
        let _ = files::remove(&self.0.folder.state());
        Ok(())
    }
}

/// Returns the identity of this server that an endpoint may use; `None` if the caller must create one. An endpoint may
/// use an identity if:
/// - The same token or user name opened it before, at this URL; or at any URL, if the token has not expired.
/// - This URL led to it before, with another token of the same user.
///
/// Weaker evidence could be forged: a server may claim any name, a token may name any user, and others may have an
/// expired token.
fn known_at(
    tx: &Tx<'_>,
    endpoint: &Endpoint,
    name: &str,
    user: Option<SameUser>,
) -> rusqlite::Result<Option<IdentityId>> {
    tx.find_value(
        "SELECT i.id FROM servers s JOIN identities i ON i.server = s.id LEFT JOIN endpoints e ON e.identity = i.id \
         WHERE s.machine_identifier = ?1 AND ((i.who = ?2 OR e.who = ?2) \
         AND (e.url = ?3 OR NOT ?4) OR e.url = ?3 AND i.same_user = ?5) \
         ORDER BY e.url = ?3 DESC, (SELECT max(checked_ms) FROM libraries WHERE identity = i.id) DESC",
        params![name, endpoint.who, endpoint.url, endpoint.is_expired(), user],
    )
}

/// Creates an identity. If this server has one of the same user that the endpoint may not use, because its token has
/// expired, the new identity belongs to a server with the placeholder name.
fn new_identity(tx: &Tx<'_>, endpoint: &Endpoint, name: &str) -> rusqlite::Result<IdentityId> {
    let add = |name: &str| {
        let id = server_number(tx, name)?;
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

/// The row number of a server, which is added if it is new.
fn server_number(tx: &Tx<'_>, machine_identifier: &str) -> rusqlite::Result<i64> {
    tx.execute(
        "INSERT OR IGNORE INTO servers (machine_identifier) VALUES (?1)",
        [machine_identifier],
    )?;
    tx.value(
        "SELECT id FROM servers WHERE machine_identifier = ?1",
        [machine_identifier],
    )
}
