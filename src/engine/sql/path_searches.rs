//! Records when plexindex searched the server for a path, so that no process repeats a search too soon. Also records
//! probes for unlisted paths, and checks of sources' preconditions.

use rusqlite::params;

use super::cached::CachedStatements;
use super::store::Store;
use crate::error::{Result, Status};
use crate::model::{LibraryId, PathSearch, ViewId};
use crate::platform::deadline::Deadline;

/// Retention time for a record: a day, which is longer than any pause between two searches for a path.
const SEARCH_KEPT_MS: i64 = 86_400_000;

/// Library id in the records of probes, whose hash is 0, and of preconditions.
const PROBE: LibraryId = LibraryId(0);

/// Value of `found` for a running probe. [`ANSWERED`] is the value for an answered probe; other values are the error
/// status of a failed probe.
const UNDER_WAY: i64 = 0;
const ANSWERED: i64 = 1;

/// The outcome of a probe that plexindex sent because a path is unlisted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// The probe is running, or has no outcome because its process was killed or the server rejected the token.
    UnderWay,
    Answered,
    /// The probe or the search after it failed with this status; `None` for a status from a newer version.
    Failed(Option<Status>),
}

/// Access to a store's records of path searches.
pub struct SearchRows<'s>(pub &'s Store);

impl SearchRows<'_> {
    /// Returns the last search for the target with this hash, such as a path's normal form; `None` if there is no
    /// record.
    pub fn path_search(&self, identity: ViewId, library: LibraryId, hash: u64) -> Result<Option<PathSearch>> {
        self.0.read(|connection| {
            connection.find(
                "SELECT first_ms, last_ms, found FROM path_searches WHERE view_id = ?1 AND library = ?2 AND hash = ?3",
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

    /// Returns the time, in Unix ms, when plexindex last searched the server for any path (`None`: never), and the
    /// number of paths searched since `since_ms`, so that callers can limit the rate. Ignores searches after `now_ms`,
    /// which were recorded before the clock was set back.
    pub fn last_path_search(&self, identity: ViewId, since_ms: i64, now_ms: i64) -> Result<(Option<i64>, u64)> {
        self.0.read(|connection| {
            connection.row(
                "SELECT max(last_ms), count(*) FILTER (WHERE last_ms > ?3) FROM path_searches \
                 WHERE view_id = ?1 AND library <> ?2 AND last_ms <= ?4",
                params![identity, PROBE, since_ms, now_ms],
                |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())),
            )
        })
    }

    /// Returns the time, in Unix ms, and the outcome of the last probe for an unlisted path; `None` without a record.
    pub fn last_probe_for_path(&self, identity: ViewId) -> Result<Option<(i64, ProbeOutcome)>> {
        self.0.read(|connection| {
            connection.find(
                "SELECT last_ms, found FROM path_searches WHERE view_id = ?1 AND library = ?2 AND hash = 0",
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

    /// Records the outcome of a probe for an unlisted path, so that no process repeats the probe too soon.
    pub fn note_probe_outcome(
        &self,
        identity: ViewId,
        now_ms: i64,
        outcome: ProbeOutcome,
        deadline: Deadline,
    ) -> Result<()> {
        let found = match outcome {
            ProbeOutcome::UnderWay => UNDER_WAY,
            ProbeOutcome::Answered => ANSWERED,
            // Only an outcome that was read from the store can lack a status.
            ProbeOutcome::Failed(status) => i64::from(status.unwrap_or(Status::Timeout) as i32),
        };
        // 0 instead of a path's hash: all probes of a view share one record.
        self.note_outcome(identity, PROBE, 0, now_ms, found, deadline)
    }

    /// Returns whether a check less than a day ago found that a source's precondition is met, for example that a
    /// database belongs to the server. `hash`: the hash of the precondition's text.
    pub fn has_recent_precondition_check(&self, hash: u64, now_ms: i64) -> Result<bool> {
        let last_check = self.path_search(ViewId::ALL, PROBE, hash)?;
        Ok(last_check.is_some_and(|check| (0..SEARCH_KEPT_MS).contains(&now_ms.saturating_sub(check.last_ms))))
    }

    /// Records, for all users of the store, that a source's precondition is met, so that no process checks it again for
    /// a day. `hash`: the hash of the precondition's text.
    pub fn record_precondition_met(&self, hash: u64, now_ms: i64, deadline: Deadline) -> Result<()> {
        self.note_path_search(ViewId::ALL, PROBE, hash, now_ms, true, deadline) // `true`: it is met
    }

    /// Records that plexindex searched the server for the target with this hash, such as a path's normal form.
    /// `found`: whether the server has the target.
    pub fn note_path_search(
        &self,
        identity: ViewId,
        library: LibraryId,
        hash: u64,
        now_ms: i64,
        found: bool,
        deadline: Deadline,
    ) -> Result<()> {
        self.note_outcome(identity, library, hash, now_ms, found.into(), deadline)
    }

    /// Records the outcome of a search, a probe or a precondition check, and deletes old records. `found`: 1 if a
    /// search found the path, otherwise 0; for a probe, see [`UNDER_WAY`]. If the outcome is the same as before, keeps
    /// the time of the first search, from which callers derive the next pause.
    fn note_outcome(
        &self,
        identity: ViewId,
        library: LibraryId,
        hash: u64,
        now_ms: i64,
        found: i64,
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run(
                "INSERT INTO path_searches (view_id, library, hash, first_ms, last_ms, found) \
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT (view_id, library, hash) DO UPDATE SET \
                 first_ms = CASE WHEN found <> excluded.found THEN excluded.first_ms ELSE first_ms END, \
                 last_ms = excluded.last_ms, found = excluded.found",
                params![identity, library, hash.cast_signed(), now_ms, found],
            )?;
            // Also delete records in the future, which would remain the newest records after the clock was set back.
            tx.run(
                "DELETE FROM path_searches WHERE last_ms NOT BETWEEN ?1 AND ?2",
                params![now_ms - SEARCH_KEPT_MS, now_ms],
            )
        })
    }
}
