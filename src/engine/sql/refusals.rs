//! Request arguments that a server refused. They are stored with the server's version, as another version may accept
//! them.

use rusqlite::params;

use super::cached::CachedStatements;
use super::open::Store;
use crate::error::Result;
use crate::model::IdentityId;
use crate::platform::deadline::Deadline;

impl Store {
    /// The arguments that this server is known to refuse, as one text; empty after its version changed.
    pub fn refusals(&self, identity: IdentityId) -> Result<String> {
        self.read(|connection| {
            connection.find_value(
                "SELECT r.arguments FROM identities i JOIN servers s ON s.id = i.server \
                 JOIN refusals r ON r.server = s.id AND r.version = s.version WHERE i.id = ?1",
                [identity],
            )
        })
        .map(Option::unwrap_or_default)
    }

    /// Stores further refused arguments: `add` joins them to the stored text.
    pub fn note_refusals(&self, identity: IdentityId, deadline: Deadline, add: &dyn Fn(&str) -> String) -> Result<()> {
        self.write(deadline, |tx| {
            let known: (i64, String, Option<String>) = tx.row(
                "SELECT s.id, s.version, r.arguments FROM identities i JOIN servers s ON s.id = i.server \
                 LEFT JOIN refusals r ON r.server = s.id AND r.version = s.version WHERE i.id = ?1",
                [identity],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
            let (server, version, arguments) = known;
            tx.execute(
                "INSERT OR REPLACE INTO refusals (server, version, arguments) VALUES (?1, ?2, ?3)",
                params![server, version, add(&arguments.unwrap_or_default())],
            )?;
            Ok(())
        })
    }

    /// Stores the version of the identity's server. Returns whether it changed.
    pub fn note_version(&self, identity: IdentityId, version: &str, deadline: Deadline) -> Result<bool> {
        let is_known = self.read(|connection| {
            connection.has(
                "SELECT 1 FROM identities i JOIN servers s ON s.id = i.server WHERE i.id = ?1 AND s.version = ?2",
                params![identity, version],
            )
        })?;
        if !is_known {
            self.write(deadline, |tx| {
                tx.execute(
                    "UPDATE servers SET version = ?2 WHERE id = (SELECT server FROM identities WHERE id = ?1)",
                    params![identity, version],
                )
            })?;
        }
        Ok(!is_known)
    }
}
