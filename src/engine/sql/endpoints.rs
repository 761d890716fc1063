//! Endpoints: the identity of each URL and user, so that opening an index sends no request.

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::library_rows::LibraryRows;
use super::tx::Tx;
use crate::error::Result;
use crate::model::IdentityId;

/// A server's URL and the user who reached it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The base URL as the host gave it, without a trailing slash.
    pub url: String,
    /// The user's name, or the digest of the token.
    pub who: Vec<u8>,
    /// When the token expires, Unix ms; 0 for never.
    pub until_ms: i64,
    /// When this index first used the token, Unix ms. If the token had expired before, it leads to no identity.
    pub given_ms: i64,
}

const DAY_MS: i64 = 86_400_000;

/// How long to keep the endpoint of a token that had expired by this clock, but that the server accepted.
const ACCEPTED_LATE_MS: i64 = DAY_MS;

/// How long to keep the endpoint of an expired token, for an index that was opened before it expired.
const EXPIRED_KEPT_MS: i64 = 30 * DAY_MS;

impl Endpoint {
    /// Returns whether the token had expired before this index first used it.
    pub(super) fn is_expired(&self) -> bool {
        (1..=self.given_ms).contains(&self.until_ms)
    }
}

/// Number of bytes of a token's digest in [`Endpoint::who`]. Other kinds of users have longer digests.
pub const TOKEN_DIGEST_LENGTH: i64 = 32;

impl LibraryRows<'_> {
    /// Returns the identity of this endpoint; `None` if no server has accepted it.
    pub fn identity(&self, endpoint: &Endpoint) -> Result<Option<IdentityId>> {
        self.0.read(|connection| identity_of(connection, Some(endpoint)))
    }

    /// Returns whether this URL led any token to an identity with libraries.
    pub fn has_led_to_libraries(&self, endpoint: &Endpoint) -> Result<bool> {
        self.0.read(|connection| {
            connection.value(
                "SELECT EXISTS (SELECT 1 FROM endpoints e JOIN identities i ON i.id = e.identity \
                 JOIN libraries l ON l.identity = i.id WHERE e.url = ?1 AND length(i.who) = ?2)",
                params![endpoint.url, TOKEN_DIGEST_LENGTH],
            )
        })
    }
}

/// Returns the identity of an endpoint. Without an endpoint, returns the newest identity with libraries, or the newest
/// one if none has libraries.
pub fn identity_of(connection: &Connection, endpoint: Option<&Endpoint>) -> rusqlite::Result<Option<IdentityId>> {
    let Some(endpoint) = endpoint else {
        // A rejected token leaves an identity without libraries.
        return connection.value(
            "SELECT coalesce((SELECT max(identity) FROM libraries WHERE identity > 0), \
             (SELECT max(id) FROM identities))",
            [],
        );
    };
    connection.find_value(
        "SELECT identity FROM endpoints WHERE url = ?1 AND who = ?2 AND (NOT ?3 OR until_ms > ?4)",
        params![endpoint.url, endpoint.who, endpoint.is_expired(), endpoint.given_ms],
    )
}

/// Returns a warning that the host names no server although the store has several views; `None` if it has one view.
/// `identity`: the view that answers.
pub fn one_of_several(connection: &Connection, identity: IdentityId) -> rusqlite::Result<Option<String>> {
    let views: i64 = connection.value("SELECT count(DISTINCT identity) FROM libraries WHERE identity > 0", [])?;
    if views < 2 {
        return Ok(None);
    }
    let url: Option<String> = connection.find("SELECT url FROM endpoints WHERE identity = ?1", [identity], |row| {
        row.get(0)
    })?;
    let whose = url.map(|url| format!(", of {url},")).unwrap_or_default();
    Ok(Some(format!(
        "this store has the views of {views} servers or users, and server_url names none of them; using the \
         newest{whose}"
    )))
}

/// Stores the identity of an endpoint until its token expires. Removes endpoints of the same URL and identity whose
/// tokens expired more than [`EXPIRED_KEPT_MS`] before the first use of this token.
pub fn store_endpoint(tx: &Tx<'_>, endpoint: &Endpoint, identity: IdentityId) -> rusqlite::Result<()> {
    let until_ms = if endpoint.is_expired() {
        endpoint.given_ms.saturating_add(ACCEPTED_LATE_MS)
    } else {
        endpoint.until_ms
    };
    tx.execute(
        "INSERT OR REPLACE INTO endpoints (url, who, identity, until_ms) VALUES (?1, ?2, ?3, ?4)",
        params![endpoint.url, endpoint.who, identity, until_ms],
    )?;
    tx.execute(
        "DELETE FROM endpoints WHERE url = ?1 AND identity = ?2 AND who <> ?3 AND until_ms BETWEEN 1 AND ?4",
        params![
            endpoint.url,
            identity,
            endpoint.who,
            endpoint.given_ms.saturating_sub(EXPIRED_KEPT_MS)
        ],
    )?;
    tx.libraries_changed(IdentityId::ALL)
}
