//! Stores searches for paths on the server, so that no process repeats a search too soon.

use rusqlite::params;

use super::cached::CachedStatements;
use super::store::Store;
use crate::error::{Result, Status};
use crate::model::{IdentityId, LibraryId, PathSearch};
use crate::platform::deadline::Deadline;

/// Path searches older than this are removed. A day is longer than any pause between two searches for a path.
const SEARCH_KEPT_MS: i64 = 86_400_000;

/// The library number of a probe for a path that is not listed.
const PROBE: LibraryId = LibraryId(0);

/// The value of `found` for a probe that the server answered. For a failed probe, `found` is the error status.
const ANSWERED: i64 = 1;

/// The outcome of a probe for a path that is not listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It is under way, or it ended without an outcome: its process was killed, or the server refused its token.
    UnderWay,
    /// The server answered.
    Answered,
    /// It failed, or the search after it did, with this status; `None` for a status of a newer version.
    Failed(Option<Status>),
}

/// A store's rows of searches for paths.
pub struct SearchRows<'s>(pub &'s Store);

impl SearchRows<'_> {
    /// The last search for the path with this hash.
    pub fn path_search(&self, identity: IdentityId, library: LibraryId, hash: u64) -> Result<Option<PathSearch>> {
        self.0.read(|connection| {
            connection.find(
                "SELECT first_ms, last_ms, found FROM path_searches WHERE identity = ?1 AND library = ?2 AND hash = ?3",
                params![identity, library, hash.cast_signed()],
                |row| {
                    Ok(PathSearch {
                        first_ms: row.get(0)?,
                        last_ms: row.get(1)?,
                        found: row.get(2)?,
                    })
                },
            )
        })
    }

    /// Returns when a path was last searched on the server, and the number of searches since `since_ms`. Ignores
    /// searches later than `now_ms`: the clock was set back after them.
    pub fn last_path_search(&self, identity: IdentityId, since_ms: i64, now_ms: i64) -> Result<(Option<i64>, u64)> {
        self.0.read(|connection| {
            connection.row(
                "SELECT max(last_ms), count(*) FILTER (WHERE last_ms > ?3) FROM path_searches \
                 WHERE identity = ?1 AND library <> ?2 AND last_ms <= ?4",
                params![identity, PROBE, since_ms, now_ms],
                |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())),
            )
        })
    }

    /// The last probe because of a path that is not listed: its time and its outcome.
    pub fn last_probe_for_path(&self, identity: IdentityId) -> Result<Option<(i64, ProbeOutcome)>> {
        self.0.read(|connection| {
            connection.find(
                "SELECT last_ms, found FROM path_searches WHERE identity = ?1 AND library = ?2 AND hash = 0",
                params![identity, PROBE],
                |row| {
                    let outcome = match row.get::<_, i64>(1)? {
                        0 => ProbeOutcome::UnderWay,
                        ANSWERED => ProbeOutcome::Answered,
                        status => ProbeOutcome::Failed(i32::try_from(status).ok().and_then(Status::from_number)),
                    };
                    Ok((row.get(0)?, outcome))
                },
            )
        })
    }

    /// Stores the outcome of a probe because of a path that is not listed.
    pub fn note_probe_for_path(
        &self,
        identity: IdentityId,
        now_ms: i64,
        outcome: ProbeOutcome,
        deadline: Deadline,
    ) -> Result<()> {
        let found = match outcome {
            ProbeOutcome::UnderWay => 0,
            ProbeOutcome::Answered => ANSWERED,
            ProbeOutcome::Failed(status) => i64::from(status.unwrap_or(Status::Timeout) as i32),
        };
        self.note_outcome(identity, PROBE, 0, now_ms, found, deadline)
    }

    /// Returns whether a check that a source depends on succeeded less than a day ago. `hash`: of the check's text.
    pub fn has_held(&self, hash: u64, now_ms: i64) -> Result<bool> {
        let known = self.path_search(IdentityId::ALL, PROBE, hash)?;
        Ok(known.is_some_and(|known| (0..SEARCH_KEPT_MS).contains(&now_ms.saturating_sub(known.last_ms))))
    }

    /// Stores that such a check succeeded, for every user of the store.
    pub fn note_held(&self, hash: u64, now_ms: i64, deadline: Deadline) -> Result<()> {
        self.note_path_search(IdentityId::ALL, PROBE, hash, now_ms, true, deadline)
    }

    /// Stores that a path was searched on the server, and whether it was found.
    pub fn note_path_search(
        &self,
        identity: IdentityId,
        library: LibraryId,
        hash: u64,
        now_ms: i64,
        found: bool,
        deadline: Deadline,
    ) -> Result<()> {
        self.note_outcome(identity, library, hash, now_ms, found.into(), deadline)
    }

    /// Stores the result of a search, a probe or a precondition, and removes old ones.
    fn note_outcome(
        &self,
        identity: IdentityId,
        library: LibraryId,
        hash: u64,
        now_ms: i64,
        found: i64,
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run(
                "INSERT INTO path_searches (identity, library, hash, first_ms, last_ms, found) \
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT (identity, library, hash) DO UPDATE SET \
                 first_ms = CASE WHEN found <> excluded.found THEN excluded.first_ms ELSE first_ms END, \
                 last_ms = excluded.last_ms, found = excluded.found",
                params![identity, library, hash.cast_signed(), now_ms, found],
            )?;
            // Also remove searches in the future, which would stay the newest ones after the clock was set back.
            tx.run(
                "DELETE FROM path_searches WHERE last_ms NOT BETWEEN ?1 AND ?2",
                params![now_ms - SEARCH_KEPT_MS, now_ms],
            )
        })
    }
}
