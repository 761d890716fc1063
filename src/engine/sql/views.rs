//! Views. Each view, which is one server's libraries as one user sees them, is a row in the table `views`. Endpoints
//! map a URL and a user to a view, so that opening an index sends no request.

use rusqlite::{Connection, params};

use super::knowledge_rows::forget_library_questions;
use super::library_rows::{LibraryRows, detach_libraries};
use super::schema::{CachedStatements, DAY_MS, Tx};
use super::sweeper::Sweeper;
use crate::error::Result;
use crate::model::{LibraryId, Server, ViewId};
use crate::platform::clock::Deadline;

/// A keyed hash of the user that a token claims, and of the key that signed the token. Anyone can forge a token, so the
/// hash proves nothing until the server accepts the token.
pub type ClaimedUserHash = [u8; 32];

/// Prefix of the placeholder for a server's machine identifier. An expired token can get a view with a placeholder.
const UNNAMED: char = '?';

impl LibraryRows<'_> {
    /// Returns the machine identifier of a view's server; `None` if the store has only a placeholder for it.
    pub fn machine_identifier(&self, view_id: ViewId) -> Result<Option<String>> {
        let name = "SELECT s.machine_identifier FROM servers s JOIN views v ON v.server = s.id WHERE v.id = ?1";
        let name: String = self.0.read(|c| c.value(name, [view_id]))?;
        Ok(Some(name).filter(|name| !name.starts_with(UNNAMED)))
    }

    /// Returns the view that an earlier token reached at this URL, if both tokens claim the same user, so that the new
    /// token keeps the view; otherwise `None`. If there are several views, returns the most recently changed view. The
    /// caller must not use the view until the server has accepted the new token, because the claim may be forged.
    pub fn find_claimed_view(&self, endpoint: &Endpoint, user: ClaimedUserHash) -> Result<Option<ViewId>> {
        self.0.read(|connection| {
            connection.find_value(
                "SELECT v.id FROM endpoints e JOIN views v ON v.id = e.view_id \
                 WHERE e.url = ?1 AND v.same_user = ?2 \
                 ORDER BY v.changed DESC",
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
            let view_id = match find_allowed_view(tx, endpoint, machine_identifier, user)? {
                Some(view_id) => view_id,
                None => insert_view(tx, endpoint, machine_identifier)?,
            };
            // Store the claim, so that a later token for the same user finds the view.
            if user.is_some() {
                tx.execute(
                    "UPDATE views SET same_user = ?2 WHERE id = ?1 AND same_user IS NOT ?2",
                    params![view_id, user],
                )?;
            }
            store_endpoint(tx, endpoint, view_id)?;
            Ok(view_id)
        })
    }

    /// Does the same as [`Self::store_accepted_token`] for a token that claims no user.
    #[cfg(test)]
    pub fn reached(&self, endpoint: &Endpoint, server: &Server) -> Result<ViewId> {
        self.store_accepted_token(endpoint, server, None, Deadline::NONE)
    }

    /// Removes a view's libraries at the host's request; later sweeps delete the rows. From then on, the view copies no
    /// confirmed matches from the views of other tokens.
    pub fn clear(&self, view_id: ViewId, deadline: Deadline) -> Result<()> {
        let rows = self.libraries(view_id)?;
        let cleared: Vec<LibraryId> = rows.iter().map(|row| row.id).collect();
        self.0.write(deadline, |tx| {
            tx.execute("UPDATE views SET cleared = 1 WHERE id = ?1", [view_id])?;
            cleared.iter().try_for_each(|library| tx.take_all_back(*library))?;
            forget_library_questions(tx, view_id)?;
            detach_libraries(tx, "view_id", view_id)?;
            tx.libraries_changed(view_id)
        })?;
        Sweeper(self.0).remove_segments_of(&cleared);
        Ok(())
    }
}

/// Returns the view of this server that an endpoint is allowed to use; `None` if the caller must create a view. `name`:
/// the server's machine identifier. `user`: the user that the token claims; `None` without a claim. Prefers a view at
/// this URL, and then the most recently changed view. An endpoint is allowed to use a view in two cases:
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
         ORDER BY e.url = ?3 DESC, v.changed DESC",
        params![name, endpoint.user_hash, endpoint.url, endpoint.is_expired(), user],
    )
}

/// Creates a view for an endpoint, and returns its id. `name`: the server's machine identifier. If the user already has
/// a view of this server, which an expired token must not open, creates the view under a placeholder for the server.
fn insert_view(tx: &Tx<'_>, endpoint: &Endpoint, name: &str) -> rusqlite::Result<ViewId> {
    let new = "INSERT INTO views (server, who) VALUES (?1, ?2) ON CONFLICT DO NOTHING RETURNING id";
    let own = params![server_number(tx, name)?, endpoint.user_hash];
    if let Some(view_id) = tx.find_value(new, own)? {
        return Ok(view_id);
    }
    // The user already has a view of this server.
    tx.value(
        "INSERT INTO views (server, who) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET who = excluded.who RETURNING id",
        params![
            server_number(tx, &format!("{UNNAMED}{}", endpoint.url))?,
            endpoint.user_hash
        ],
    )
}

/// Returns a server's row id. Adds a row if the server is new.
fn server_number(tx: &Tx<'_>, machine_identifier: &str) -> rusqlite::Result<i64> {
    tx.value(
        "INSERT INTO servers (machine_identifier) VALUES (?1) \
         ON CONFLICT DO UPDATE SET machine_identifier = excluded.machine_identifier RETURNING id",
        [machine_identifier],
    )
}

/// A server URL and the user who connects to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The base URL from the host, without a trailing slash.
    pub url: String,
    /// Identifies the user: a keyed hash of the token, or of the user's name.
    pub user_hash: Vec<u8>,
    /// Expiry time of the token in Unix ms; 0 if the token never expires.
    pub until_ms: i64,
    /// Time when this index first used the token, in Unix ms. A token that had expired by then has no view until the
    /// server accepts the token.
    pub first_used_ms: i64,
}

/// Retention time for the endpoint of an accepted token that has expired by this machine's clock.
const ACCEPTED_LATE_MS: i64 = DAY_MS;

/// Retention time for the endpoint of an expired token, which an index opened before the expiry may still need.
const EXPIRED_KEPT_MS: i64 = 30 * DAY_MS;

impl Endpoint {
    /// Returns whether the token had expired when this index first used it. Such a token has no view until the server
    /// accepts it, because a stranger may have found it.
    pub(super) fn is_expired(&self) -> bool {
        // Starts at 1, because 0 means that the token never expires.
        (1..=self.first_used_ms).contains(&self.until_ms)
    }
}

/// Length in bytes of [`Endpoint::user_hash`] for a token. For other kinds of users, the hash is longer.
const TOKEN_DIGEST_LENGTH: i64 = 32;

/// Returns the views of other tokens that have the same library, and their library. Includes only tokens that used the
/// same URL: at a different URL, a server could pretend to be this one. None for a view that is cleared, or of a named user.
pub fn libraries_of_others(c: &Connection, library: LibraryId) -> rusqlite::Result<Vec<(ViewId, LibraryId)>> {
    c.rows(
        // `who` has this length only for a token.
        "SELECT other.id, theirs.id FROM libraries own JOIN views me ON me.id = own.view_id \
         JOIN views other ON other.server = me.server AND other.id <> me.id \
         AND NOT me.cleared AND length(me.who) = ?2 AND length(other.who) = ?2 \
         AND EXISTS (SELECT 1 FROM endpoints mine JOIN endpoints same ON same.url = mine.url \
         WHERE mine.view_id = me.id AND same.view_id = other.id) \
         JOIN libraries theirs ON theirs.view_id = other.id AND theirs.uuid = own.uuid WHERE own.id = ?1",
        params![library, TOKEN_DIGEST_LENGTH],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

impl LibraryRows<'_> {
    /// Returns an endpoint's view; `None` if no server has accepted the endpoint's user yet.
    pub fn view_id(&self, endpoint: &Endpoint) -> Result<Option<ViewId>> {
        self.0.read(|connection| view_of(connection, Some(endpoint)))
    }

    /// Returns whether the server at the endpoint's URL has accepted any token whose view has libraries. If so, a token
    /// that the server has not accepted yet may belong to the same user, and plexindex must not return data until then.
    pub fn has_led_to_libraries(&self, endpoint: &Endpoint) -> Result<bool> {
        self.0.read(|connection| {
            connection.has(
                "SELECT 1 FROM endpoints e JOIN views v ON v.id = e.view_id \
                 JOIN libraries l ON l.view_id = v.id WHERE e.url = ?1 AND length(v.who) = ?2",
                params![endpoint.url, TOKEN_DIGEST_LENGTH],
            )
        })
    }
}

/// Returns the view of `endpoint`; `None` if no server has accepted its user. If the host specified no server
/// (`endpoint` is `None`), returns the newest view with libraries, or the newest view if no view has libraries.
pub fn view_of(connection: &Connection, endpoint: Option<&Endpoint>) -> rusqlite::Result<Option<ViewId>> {
    let Some(endpoint) = endpoint else {
        // A view without libraries can remain from a rejected token.
        return connection.value(
            "SELECT coalesce((SELECT max(view_id) FROM libraries WHERE view_id > 0), \
             (SELECT max(id) FROM views))",
            [],
        );
    };
    // An expired token has a view only if the server accepted it after the expiry, which extends `until_ms`.
    connection.find_value(
        "SELECT view_id FROM endpoints WHERE url = ?1 AND who = ?2 AND (NOT ?3 OR until_ms > ?4)",
        params![
            endpoint.url,
            endpoint.user_hash,
            endpoint.is_expired(),
            endpoint.first_used_ms
        ],
    )
}

/// Returns a warning for a host that specified no server, if the store has several views; otherwise `None`. `view_id`:
/// the view that plexindex uses.
pub fn several_views_warning(connection: &Connection, view_id: ViewId) -> rusqlite::Result<Option<String>> {
    let views: i64 = connection.value("SELECT count(DISTINCT view_id) FROM libraries WHERE view_id > 0", [])?;
    if views < 2 {
        return Ok(None);
    }
    let url: Option<String> = connection.find("SELECT url FROM endpoints WHERE view_id = ?1", [view_id], |row| {
        row.get(0)
    })?;
    let whose = url.map(|url| format!(" ({url})")).unwrap_or_default();
    Ok(Some(format!(
        "this store has views of {views} servers or users, but server_url is not set; using the newest view{whose}"
    )))
}

/// Stores an endpoint's view until the token expires; for a day if the server accepted a token that has expired by this
/// machine's clock. Also deletes endpoints with the same URL and view whose tokens expired more than 30 days ago.
pub fn store_endpoint(tx: &Tx<'_>, endpoint: &Endpoint, view_id: ViewId) -> rusqlite::Result<()> {
    let until_ms = if endpoint.is_expired() {
        endpoint.first_used_ms.saturating_add(ACCEPTED_LATE_MS)
    } else {
        endpoint.until_ms
    };
    tx.execute(
        "INSERT OR REPLACE INTO endpoints (url, who, view_id, until_ms) VALUES (?1, ?2, ?3, ?4)",
        params![endpoint.url, endpoint.user_hash, view_id, until_ms],
    )?;
    tx.execute(
        "DELETE FROM endpoints WHERE url = ?1 AND view_id = ?2 AND who <> ?3 AND until_ms BETWEEN 1 AND ?4",
        params![
            endpoint.url,
            view_id,
            endpoint.user_hash,
            endpoint.first_used_ms.saturating_sub(EXPIRED_KEPT_MS)
        ],
    )?;
    // Processes that opened an index for this endpoint may have no view yet. A change in all views makes them read it.
    tx.libraries_changed(ViewId::ALL)
}
