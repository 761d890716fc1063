//! Views. Each view, which is one server's libraries as one user sees them, is a row in the table `views`.

use rusqlite::params;

use super::cached::CachedStatements;
use super::endpoints::{Endpoint, store_endpoint};
use super::library_rows::{LibraryRows, detach_libraries};
use super::path_searches::forget_library_questions;
use super::sweeping::Sweeper;
use super::tx::Tx;
use crate::error::Result;
use crate::model::{LibraryId, Server, ViewId};
use crate::platform::deadline::Deadline;
use crate::platform::files;

/// A keyed hash of the user that a token claims, and of the key that signed the token. Anyone can forge a token, so the
/// hash proves nothing until the server accepts the token.
pub type ClaimedUserHash = [u8; 32];

/// Prefix of the placeholder for a server's machine identifier. An expired token can get a view with a placeholder.
const UNNAMED: char = '?';

impl LibraryRows<'_> {
    /// Returns the machine identifier of a view's server, or a placeholder that starts with [`UNNAMED`].
    pub fn machine_identifier(&self, identity: ViewId) -> Result<String> {
        self.0.read(|connection| {
            connection.value(
                "SELECT s.machine_identifier FROM servers s JOIN views v ON v.server = s.id WHERE v.id = ?1",
                [identity],
            )
        })
    }

    /// Returns the view that an earlier token reached at this URL, if both tokens claim the same user, so that the new
    /// token keeps the view; otherwise `None`. If there are several views, returns the most recently checked view. The
    /// caller must not use the view until the server has accepted the new token, because the claim may be forged.
    pub fn find_claimed_view(&self, endpoint: &Endpoint, user: ClaimedUserHash) -> Result<Option<ViewId>> {
        self.0.read(|connection| {
            connection.find_value(
                "SELECT v.id FROM endpoints e JOIN views v ON v.id = e.view_id \
                 WHERE e.url = ?1 AND v.same_user = ?2 \
                 ORDER BY (SELECT max(checked_ms) FROM libraries WHERE view_id = v.id) DESC",
                params![endpoint.url, user],
            )
        })
    }

    /// Stores that the server accepted the endpoint's token, so that the endpoint now uses the view `claimed`, which
    /// belongs to an earlier token that claimed the same user.
    pub fn store_accepted_claim(&self, endpoint: &Endpoint, claimed: ViewId, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            // Fails if the view belongs to a database that has since been renamed to `.broken`.
            tx.row("SELECT 1 FROM views WHERE id = ?1", [claimed], |_| Ok(()))?;
            store_endpoint(tx, endpoint, claimed)
        })
    }

    /// Stores that the server accepted the endpoint's token. Returns the token's view, which may be new. `user`: the
    /// user that the token claims; `None` without a claim.
    pub fn store_accepted_token(
        &self,
        endpoint: &Endpoint,
        server: &Server,
        user: Option<ClaimedUserHash>,
        deadline: Deadline,
    ) -> Result<ViewId> {
        self.0.write(deadline, |tx| {
            let machine_identifier = &server.machine_identifier;
            let identity = match find_allowed_view(tx, endpoint, machine_identifier, user)? {
                Some(identity) => identity,
                None => insert_view(tx, endpoint, machine_identifier)?,
            };
            // Store the claim, so that a later token for the same user finds the view.
            if user.is_some() {
                tx.execute(
                    "UPDATE views SET same_user = ?2 WHERE id = ?1 AND same_user IS NOT ?2",
                    params![identity, user],
                )?;
            }
            store_endpoint(tx, endpoint, identity)?;
            Ok(identity)
        })
    }

    /// Does the same as [`Self::store_accepted_token`] for a token that claims no user.
    #[cfg(test)]
    pub fn reached(&self, endpoint: &Endpoint, server: &Server) -> Result<ViewId> {
        self.store_accepted_token(endpoint, server, None, Deadline::NONE)
    }

    /// Returns whether the store has the machine identifier of a view's server. Other hosts cannot share a view whose
    /// server has only a placeholder.
    pub fn has_machine_identifier(&self, identity: ViewId) -> Result<bool> {
        Ok(!self.machine_identifier(identity)?.starts_with(UNNAMED))
    }

    /// Removes a view's libraries at the host's request; later sweeps delete the rows. From then on, the view copies no
    /// confirmed matches from the views of other tokens.
    pub fn clear(&self, identity: ViewId, deadline: Deadline) -> Result<()> {
        let rows = self.libraries(identity)?;
        let cleared: Vec<LibraryId> = rows.iter().map(|row| row.id).collect();
        self.0.write(deadline, |tx| {
            tx.execute("UPDATE views SET cleared = 1 WHERE id = ?1", [identity])?;
            forget_library_questions(tx, identity)?;
            remove_libraries(tx, identity)
        })?;
        Sweeper(self.0).remove_segments_of(&cleared);
        // The state file is already invalid, but its content must be removed from the disk too.
        let _ = files::remove(&self.0.folder.state());
        Ok(())
    }
}

/// Returns the view of this server that an endpoint is allowed to use; `None` if the caller must create a view. `name`:
/// the server's machine identifier. `user`: the user that the token claims; `None` without a claim. Prefers a view at
/// this URL, and then the most recently checked view. An endpoint is allowed to use a view in two cases:
/// - The same token or user name has used the view at this URL or, if the token has not expired, at any URL.
/// - Another token for the same user has used the view at this URL.
///
/// Weaker evidence could be forged: a server can claim any machine identifier, a token can claim any user, and a
/// stranger can have an expired token.
fn find_allowed_view(
    tx: &Tx<'_>,
    endpoint: &Endpoint,
    name: &str,
    user: Option<ClaimedUserHash>,
) -> rusqlite::Result<Option<ViewId>> {
    tx.find_value(
        "SELECT v.id FROM servers s JOIN views v ON v.server = s.id LEFT JOIN endpoints e ON e.view_id = v.id \
         WHERE s.machine_identifier = ?1 AND ((v.who = ?2 OR e.who = ?2) \
         AND (e.url = ?3 OR NOT ?4) OR e.url = ?3 AND v.same_user = ?5) \
         ORDER BY e.url = ?3 DESC, (SELECT max(checked_ms) FROM libraries WHERE view_id = v.id) DESC",
        params![name, endpoint.user_hash, endpoint.url, endpoint.is_expired(), user],
    )
}

/// Creates a view for an endpoint, and returns its id. `name`: the server's machine identifier. If the user already has
/// a view of this server, which an expired token must not open, creates the view under a placeholder for the server.
fn insert_view(tx: &Tx<'_>, endpoint: &Endpoint, name: &str) -> rusqlite::Result<ViewId> {
    let try_insert = |name: &str| {
        let server = server_number(tx, name)?;
        let inserted = tx.execute(
            "INSERT OR IGNORE INTO views (server, who) VALUES (?1, ?2)",
            params![server, endpoint.user_hash],
        )?;
        Ok::<_, rusqlite::Error>((server, inserted > 0))
    };
    let (server, _) = match try_insert(name)? {
        // The user already has a view of this server.
        (_, false) => try_insert(&format!("{UNNAMED}{}", endpoint.url))?,
        new => new,
    };
    tx.value(
        "SELECT id FROM views WHERE server = ?1 AND who = ?2",
        params![server, endpoint.user_hash],
    )
}

/// Removes all libraries in a view, and logs the change; later sweeps delete the rows.
fn remove_libraries(tx: &Tx<'_>, identity: ViewId) -> rusqlite::Result<()> {
    detach_libraries(tx, "view_id", identity)?;
    tx.libraries_changed(identity)
}

/// Returns a server's row id. Adds a row if the server is new.
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
