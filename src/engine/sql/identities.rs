//! Identities. An identity is one user's view of one server.

use rusqlite::params;

use super::cached::CachedStatements;
use super::endpoints::{Endpoint, store_endpoint};
use super::library_rows::{LibraryRows, detach_libraries};
use super::sweeping::Sweeper;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{IdentityId, LibraryId, Server};
use crate::platform::deadline::Deadline;
use crate::platform::files;

/// A digest of the user in a token and of the key that signed the token. Anyone can forge a token, so the digest proves
/// nothing until the server accepts the token.
pub type SameUser = [u8; 32];

/// Prefix of the placeholder that replaces a server's machine identifier if a token has expired.
const UNNAMED: char = '?';

impl LibraryRows<'_> {
    /// Returns the machine identifier of an identity's server.
    pub fn machine_identifier(&self, identity: IdentityId) -> Result<String> {
        self.0.read(|connection| {
            connection.value(
                "SELECT s.machine_identifier FROM servers s JOIN identities i ON i.server = s.id WHERE i.id = ?1",
                [identity],
            )
        })
    }

    /// Returns the identity to which this URL led an earlier token that claims the same user; `None` if there was no
    /// such token. If there are several identities, returns the most recently checked one. The caller must not use the
    /// identity until the server has accepted the new token.
    pub fn find_claimed_identity(&self, endpoint: &Endpoint, user: SameUser) -> Result<Option<IdentityId>> {
        self.0.read(|connection| {
            connection.find_value(
                "SELECT i.id FROM endpoints e JOIN identities i ON i.id = e.identity \
                 WHERE e.url = ?1 AND i.same_user = ?2 \
                 ORDER BY (SELECT max(checked_ms) FROM libraries WHERE identity = i.id) DESC",
                params![endpoint.url, user],
            )
        })
    }

    /// Stores that the server accepted the endpoint's token for the identity that [`Self::find_claimed_identity`]
    /// returned.
    pub fn store_accepted_claim(&self, endpoint: &Endpoint, claimed: IdentityId, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            // Fails if the identity belongs to a database that has since been renamed to `.broken`.
            tx.row("SELECT 1 FROM identities WHERE id = ?1", [claimed], |_| Ok(()))?;
            store_endpoint(tx, endpoint, claimed)
        })
    }

    /// Stores that the server accepted the endpoint's token. Returns the identity, which may be new.
    pub fn store_accepted_token(
        &self,
        endpoint: &Endpoint,
        server: &Server,
        user: Option<SameUser>,
        deadline: Deadline,
    ) -> Result<IdentityId> {
        self.0.write(deadline, |tx| {
            let name = &server.machine_identifier;
            let identity = match find_allowed_identity(tx, endpoint, name, user)? {
                Some(identity) => identity,
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

    /// Does the same as [`Self::store_accepted_token`] for a token that claims no user.
    #[cfg(test)]
    pub fn reached(&self, endpoint: &Endpoint, server: &Server) -> Result<IdentityId> {
        self.store_accepted_token(endpoint, server, None, Deadline::NONE)
    }

    /// Returns whether the store has the machine identifier of an identity's server, and not a placeholder.
    pub fn is_named(&self, identity: IdentityId) -> Result<bool> {
        Ok(!self.machine_identifier(identity)?.starts_with(UNNAMED))
    }

    /// Removes an identity's libraries at the host's request; later sweeps delete the rows. From then on, the identity
    /// inherits no matches from other tokens.
    pub fn clear(&self, identity: IdentityId, deadline: Deadline) -> Result<()> {
        let rows = self.libraries(identity)?;
        let cleared: Vec<LibraryId> = rows.iter().map(|row| row.id).collect();
        self.0.write(deadline, |tx| {
            tx.execute("UPDATE identities SET cleared = 1 WHERE id = ?1", [identity])?;
            remove_libraries(tx, identity)
        })?;
        Sweeper(self.0).remove_segments_of(&cleared);
        // The state file is already invalid, but its content must be removed from the disk too.
        let _ = files::remove(&self.0.folder.state());
        Ok(())
    }
}

/// Returns the identity at this server that an endpoint is allowed to use; `None` if the caller must create an
/// identity. An endpoint is allowed to use an identity in two cases:
/// - The same token or user name has used the identity at this URL or, if the token has not expired, at any URL.
/// - Another token for the same user has used the identity at this URL.
///
/// Weaker evidence could be forged: a server can claim any machine identifier, a token can claim any user, and a
/// stranger can have an expired token.
fn find_allowed_identity(
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
        params![name, endpoint.user_hash, endpoint.url, endpoint.is_expired(), user],
    )
}

/// Creates an identity for an endpoint, and returns its id. If the user already has an identity that an expired token
/// must not open, creates the new identity for a server with a placeholder name.
fn new_identity(tx: &Tx<'_>, endpoint: &Endpoint, name: &str) -> rusqlite::Result<IdentityId> {
    let add = |name: &str| {
        let id = server_number(tx, name)?;
        let added = tx.execute(
            "INSERT OR IGNORE INTO identities (server, who) VALUES (?1, ?2)",
            params![id, endpoint.user_hash],
        )?;
        Ok::<_, rusqlite::Error>((id, added > 0))
    };
    let (server, _) = match add(name)? {
        (_, false) => add(&format!("{UNNAMED}{}", endpoint.url))?,
        added => added,
    };
    tx.value(
        "SELECT id FROM identities WHERE server = ?1 AND who = ?2",
        params![server, endpoint.user_hash],
    )
}

/// Removes all libraries of an identity; later sweeps delete the rows.
fn remove_libraries(tx: &Tx<'_>, identity: IdentityId) -> rusqlite::Result<()> {
    detach_libraries(tx, "identity", identity)?;
    tx.libraries_changed(identity)
}

/// Returns the row id of a server. Adds a row for a new server.
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
