//! Records searches for paths on the server, so that no process repeats a search too soon. Also records probes for
//! missing paths, and checks of preconditions.

use rusqlite::params;

use super::cached::CachedStatements;
use super::store::Store;
use crate::error::{Result, Status};
use crate::model::{IdentityId, LibraryId, PathSearch};
use crate::platform::deadline::Deadline;

/// How long to keep a record: a day, which is longer than any pause between two searches for a path.
const SEARCH_KEPT_MS: i64 = 86_400_000;

/// The library id in the record of a probe or a precondition.
const PROBE: LibraryId = LibraryId(0);

/// The values of `found` in the record of a probe. Other values are the error status of a failed probe.
const UNDER_WAY: i64 = 0;
const ANSWERED: i64 = 1;

/// The outcome of a probe for a missing path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The probe is running, or ended without an outcome: its process was killed, or the server rejected its token.
    UnderWay,
    /// The server answered.
    Answered,
    /// The probe or the search after it failed with this status; `None` for a status of a newer version.
    Failed(Option<Status>),
}

/// A store's rows of searches for paths.
pub struct SearchRows<'s>(pub &'s Store);

impl SearchRows<'_> {
    /// Returns the last search for the path with this hash.
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

    /// Returns the time of the last search for any path on the server, and the number of searches since `since_ms`.
    /// Ignores searches later than `now_ms`, after which the clock was set back.
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

    /// Returns the time and the outcome of the last probe for a missing path.
    pub fn last_probe_for_path(&self, identity: IdentityId) -> Result<Option<(i64, ProbeOutcome)>> {
        self.0.read(|connection| {
            connection.find(
                "SELECT last_ms, found FROM path_searches WHERE identity = ?1 AND library = ?2 AND hash = 0",
                params![identity, PROBE],
                |row| {
                    let outcome = match row.get::<_, i64>(1)? {
                        UNDER_WAY => ProbeOutcome::UnderWay,
                        ANSWERED => ProbeOutcome::Answered,
                        status => ProbeOutcome::Failed(i32::try_from(status).ok().and_then(Status::from_number)),
                    };
                    Ok((row.get(0)?, outcome))
                },
            )
        })
    }

    /// Records a probe for a missing path.
    pub fn note_probe_for_path(
        &self,
        identity: IdentityId,
        now_ms: i64,
        outcome: ProbeOutcome,
        deadline: Deadline,
    ) -> Result<()> {
        let found = match outcome {
            ProbeOutcome::UnderWay => UNDER_WAY,
            ProbeOutcome::Answered => ANSWERED,
            ProbeOutcome::Failed(status) => i64::from(status.unwrap_or(Status::Timeout) as i32),
        };
        self.note_outcome(identity, PROBE, 0, now_ms, found, deadline)
    }

    /// Returns whether the precondition of a source, such as that a database belongs to the server, was met at a check
    /// less than a day ago. `hash`: the hash of its text.
    pub fn has_held(&self, hash: u64, now_ms: i64) -> Result<bool> {
        let last_check = self.path_search(IdentityId::ALL, PROBE, hash)?;
        Ok(last_check.is_some_and(|check| (0..SEARCH_KEPT_MS).contains(&now_ms.saturating_sub(check.last_ms))))
    }

    /// Records that the precondition of a source was met now, for all users of the store.
    pub fn note_held(&self, hash: u64, now_ms: i64, deadline: Deadline) -> Result<()> {
        self.note_path_search(IdentityId::ALL, PROBE, hash, now_ms, true, deadline)
    }

    /// Records a search for a path on the server, and whether the search found the path.
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

    /// Records the outcome of a search, a probe or a check of a precondition, and removes old records. `found`: whether
    /// a search found the path; for a probe, see [`UNDER_WAY`].
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
            // Also remove records in the future, which would otherwise remain the newest ones after the clock was set
            // back.
            tx.run(
                "DELETE FROM path_searches WHERE last_ms NOT BETWEEN ?1 AND ?2",
                params![now_ms - SEARCH_KEPT_MS, now_ms],
            )
        })
    }
}
