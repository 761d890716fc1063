//! Endpoints map a URL and a user to a view, so that opening an index sends no request.

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::library_rows::LibraryRows;
use super::tx::Tx;
use crate::error::Result;
use crate::model::ViewId;

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

const DAY_MS: i64 = 86_400_000;

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
pub const TOKEN_DIGEST_LENGTH: i64 = 32;

impl LibraryRows<'_> {
    /// Returns an endpoint's view; `None` if no server has accepted the endpoint's user yet.
    pub fn identity(&self, endpoint: &Endpoint) -> Result<Option<ViewId>> {
        self.0.read(|connection| identity_of(connection, Some(endpoint)))
    }

    /// Returns whether the server at the endpoint's URL has accepted any token whose view has libraries. If so, a token
    /// that the server has not accepted yet may belong to the same user, and plexindex must not return data until then.
    pub fn has_led_to_libraries(&self, endpoint: &Endpoint) -> Result<bool> {
        self.0.read(|connection| {
            connection.value(
                "SELECT EXISTS (SELECT 1 FROM endpoints e JOIN views v ON v.id = e.view_id \
                 JOIN libraries l ON l.view_id = v.id WHERE e.url = ?1 AND length(v.who) = ?2)",
                params![endpoint.url, TOKEN_DIGEST_LENGTH],
            )
        })
    }
}

/// Returns the view of `endpoint`; `None` if no server has accepted its user. If the host specified no server
/// (`endpoint` is `None`), returns the newest view with libraries, or the newest view if no view has libraries.
pub fn identity_of(connection: &Connection, endpoint: Option<&Endpoint>) -> rusqlite::Result<Option<ViewId>> {
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

/// Returns a warning for a host that specified no server, if the store has several views; otherwise `None`. `identity`:
/// the view that plexindex uses.
pub fn several_views_warning(connection: &Connection, identity: ViewId) -> rusqlite::Result<Option<String>> {
    let views: i64 = connection.value("SELECT count(DISTINCT view_id) FROM libraries WHERE view_id > 0", [])?;
    if views < 2 {
        return Ok(None);
    }
    let url: Option<String> = connection.find("SELECT url FROM endpoints WHERE view_id = ?1", [identity], |row| {
        row.get(0)
    })?;
    let whose = url.map(|url| format!(" ({url})")).unwrap_or_default();
    Ok(Some(format!(
        "this store has views of {views} servers or users, but server_url is not set; using the newest view{whose}"
    )))
}

/// Stores an endpoint's view until the token expires; for a day if the server accepted a token that has expired by this
/// machine's clock. Also deletes endpoints with the same URL and view whose tokens expired more than 30 days ago.
pub fn store_endpoint(tx: &Tx<'_>, endpoint: &Endpoint, identity: ViewId) -> rusqlite::Result<()> {
    let until_ms = if endpoint.is_expired() {
        endpoint.first_used_ms.saturating_add(ACCEPTED_LATE_MS)
    } else {
        endpoint.until_ms
    };
    tx.execute(
        "INSERT OR REPLACE INTO endpoints (url, who, view_id, until_ms) VALUES (?1, ?2, ?3, ?4)",
        params![endpoint.url, endpoint.user_hash, identity, until_ms],
    )?;
    tx.execute(
        "DELETE FROM endpoints WHERE url = ?1 AND view_id = ?2 AND who <> ?3 AND until_ms BETWEEN 1 AND ?4",
        params![
            endpoint.url,
            identity,
            endpoint.user_hash,
            endpoint.first_used_ms.saturating_sub(EXPIRED_KEPT_MS)
        ],
    )?;
    // Processes that opened an index for this endpoint may have no view yet. A change in all views makes them read it.
    tx.libraries_changed(ViewId::ALL)
}
