//! Records when plexindex asked the server about a path or searched for it, so that no process repeats this too soon.
//! Also records probes for unlisted paths, the budget for fruitless requests, and checks of sources' preconditions.

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::store::Store;
use super::tx::Tx;
use crate::error::{Result, Status};
use crate::freshness::RequestBudget;
use crate::model::{LibraryId, PathSearch, Sequence, ViewId};
use crate::platform::deadline::Deadline;

/// Retention time for a record: a day, which is longer than any pause between two searches for a path.
const SEARCH_KEPT_MS: i64 = 86_400_000;

/// Library id in the records of probes, budgets and preconditions. A view's last probe has the hash 0.
const PROBE: LibraryId = LibraryId(0);
/// Hashes of a view's records of its request budget: one per clock, because processes' clocks can differ.
const BUDGETS: std::ops::RangeInclusive<i64> = 1..=4;
/// Hash of the record of a view's last search in libraries that had not changed.
const UNCHANGED_SEARCH: i64 = 5;
/// Library id in the records of questions for a list of libraries.
const LIBRARY_LIST: LibraryId = LibraryId(i64::MIN);

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

/// The last probe that plexindex sent because a path is unlisted.
#[derive(Clone, Copy, Debug)]
pub struct LastProbe {
    /// The change sequence at which the probe began. The probe answers for every path that was missed before.
    pub begun: Sequence,
    /// Time of the outcome, in Unix ms.
    pub ended_ms: i64,
    pub outcome: ProbeOutcome,
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

    /// Returns the number of targets that plexindex searched for in a library since `since_ms`, so that callers can limit
    /// the rate. Ignores searches after `now_ms`, which were recorded before the clock was set back.
    pub fn count_searches(&self, identity: ViewId, library: LibraryId, since_ms: i64, now_ms: i64) -> Result<u64> {
        self.0.read(|connection| {
            connection.row(
                "SELECT count(*) FROM path_searches WHERE view_id = ?1 AND library = ?2 AND last_ms > ?3 AND \
                 last_ms <= ?4",
                params![identity, library, since_ms, now_ms],
                |row| row.get::<_, i64>(0).map(i64::cast_unsigned),
            )
        })
    }

    /// Returns the time, in Unix ms, of the last search in libraries that had not changed; `None` if there was none.
    pub fn last_unchanged_search(&self, identity: ViewId) -> Result<Option<i64>> {
        let last = self.path_search(identity, PROBE, UNCHANGED_SEARCH.cast_unsigned())?;
        Ok(last.map(|search| search.last_ms))
    }

    /// Records a search in libraries that had not changed.
    pub fn note_unchanged_search(&self, identity: ViewId, now_ms: i64, deadline: Deadline) -> Result<()> {
        self.note_path_search(
            identity,
            PROBE,
            UNCHANGED_SEARCH.cast_unsigned(),
            now_ms,
            false,
            deadline,
        )
    }

    /// Returns the last probe for an unlisted path; `None` without a record.
    pub fn last_probe_for_path(&self, identity: ViewId) -> Result<Option<LastProbe>> {
        self.0.read(|connection| {
            connection.find(
                "SELECT first_ms, last_ms, found FROM path_searches WHERE view_id = ?1 AND library = ?2 AND hash = 0",
                params![identity, PROBE],
                |row| {
                    let outcome = match row.get::<_, i64>(2)? {
                        UNDER_WAY => ProbeOutcome::UnderWay,
                        ANSWERED => ProbeOutcome::Answered,
                        status => ProbeOutcome::Failed(i32::try_from(status).ok().and_then(Status::from_number)),
                    };
                    Ok(LastProbe {
                        begun: row.get(0)?,
                        ended_ms: row.get(1)?,
                        outcome,
                    })
                },
            )
        })
    }

    /// Records that a probe for an unlisted path begins. The probe answers for every path that was missed before this
    /// transaction.
    pub fn begin_probe(&self, identity: ViewId, now_ms: i64, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            tx.run(
                "INSERT INTO path_searches (view_id, library, hash, first_ms, last_ms, found) \
                 VALUES (?1, ?2, 0, ?3, ?4, ?5) ON CONFLICT (view_id, library, hash) DO UPDATE SET \
                 first_ms = excluded.first_ms, last_ms = excluded.last_ms, found = excluded.found",
                params![identity, PROBE, tx.sequence, now_ms, UNDER_WAY],
            )
        })
    }

    /// Records the outcome of a probe for an unlisted path, so that no process repeats a failed probe too soon.
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
        self.0.write(deadline, |tx| {
            tx.run(
                "INSERT INTO path_searches (view_id, library, hash, first_ms, last_ms, found) \
                 VALUES (?1, ?2, 0, 0, ?3, ?4) ON CONFLICT (view_id, library, hash) DO UPDATE SET \
                 last_ms = excluded.last_ms, found = excluded.found",
                params![identity, PROBE, now_ms, found],
            )
        })
    }

    /// Returns the earlier questions about the target with this hash; `None` without a record.
    pub fn question(&self, identity: ViewId, library: LibraryId, hash: u64) -> Result<Option<PathSearch>> {
        self.path_search(identity, questions_about(library), hash)
    }

    /// Records, in one transaction, questions about targets: libraries and hashes. Spends `requests` of the budget.
    pub fn note_questions(
        &self,
        identity: ViewId,
        targets: &[(LibraryId, u64)],
        requests: u64,
        now_ms: i64,
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            for (library, hash) in targets {
                note(tx, identity, questions_about(*library), hash.cast_signed(), now_ms, 0)?;
            }
            delete_old(tx, now_ms)?;
            change_budget(tx, identity, now_ms, |budget| budget.spend(requests, now_ms))
        })
    }

    /// Returns the budget for fruitless requests.
    pub fn budget(&self, identity: ViewId, now_ms: i64) -> Result<RequestBudget> {
        self.0.read(|connection| {
            Ok(stored_budget(connection, identity, now_ms)?.map_or_else(RequestBudget::default, |(_, budget)| budget))
        })
    }

    /// Returns requests to the budget, because they were fruitful.
    pub fn refund(&self, identity: ViewId, requests: u64, now_ms: i64, deadline: Deadline) -> Result<()> {
        self.0.write(deadline, |tx| {
            change_budget(tx, identity, now_ms, |budget| budget.refund(requests))
        })
    }

    /// Returns whether an event has reported a change in one of these libraries after the change sequence `since`.
    pub fn has_event_since(&self, libraries: &[LibraryId], since: Sequence) -> Result<bool> {
        self.0.read(|connection| {
            for library in libraries {
                let has_event = "SELECT 1 FROM libraries WHERE id = ?1 AND hint_seq > ?2";
                if connection
                    .find(has_event, params![library, since], |_| Ok(()))?
                    .is_some()
                {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }

    /// Returns the earlier requests for the list of libraries by calls that select a library with this hash.
    pub fn library_question(&self, identity: ViewId, hash: u64) -> Result<Option<PathSearch>> {
        self.path_search(identity, LIBRARY_LIST, hash)
    }

    /// Records a request for the list of libraries by a call that selects a library with this hash.
    pub fn note_library_question(&self, identity: ViewId, hash: u64, now_ms: i64, deadline: Deadline) -> Result<()> {
        self.note_path_search(identity, LIBRARY_LIST, hash, now_ms, false, deadline)
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
        self.0.write(deadline, |tx| {
            note(tx, identity, library, hash.cast_signed(), now_ms, found.into())?;
            delete_old(tx, now_ms)
        })
    }
}

/// Removes the records of a view's requests for the list of libraries, because the view no longer has the list.
pub fn forget_library_questions(tx: &Tx<'_>, identity: ViewId) -> rusqlite::Result<()> {
    tx.run(
        "DELETE FROM path_searches WHERE view_id = ?1 AND library = ?2",
        params![identity, LIBRARY_LIST],
    )
}

/// Returns the id under which the store records questions about paths in a library. Searches have the library's id.
fn questions_about(library: LibraryId) -> LibraryId {
    LibraryId(-library.0)
}

/// Records the outcome of a search, a question or a precondition check. `found`: 1 if a search found the path, otherwise
/// 0. If the outcome is the same as before, keeps the time of the first search, from which callers derive the next
/// pause.
fn note(tx: &Tx<'_>, identity: ViewId, library: LibraryId, hash: i64, now_ms: i64, found: i64) -> rusqlite::Result<()> {
    tx.run(
        "INSERT INTO path_searches (view_id, library, hash, first_ms, last_ms, found) \
         VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT (view_id, library, hash) DO UPDATE SET \
         first_ms = CASE WHEN found <> excluded.found OR first_ms > excluded.last_ms THEN excluded.first_ms \
         ELSE first_ms END, \
         last_ms = excluded.last_ms, found = excluded.found",
        params![identity, library, hash, now_ms, found],
    )
}

/// Deletes old records, except those of probes and budgets. Also deletes records in the future, which the clock will not
/// reach within a day.
fn delete_old(tx: &Tx<'_>, now_ms: i64) -> rusqlite::Result<()> {
    tx.run(
        "DELETE FROM path_searches WHERE last_ms NOT BETWEEN ?1 AND ?2 AND (library <> ?3 OR hash NOT BETWEEN 0 AND ?4)",
        params![now_ms - SEARCH_KEPT_MS, now_ms + SEARCH_KEPT_MS, PROBE, BUDGETS.end()],
    )
}

/// Returns a view's budget and the hash of its record. Processes whose clocks differ have different records: the budget
/// is in the newest record that is not in the future.
fn stored_budget(
    connection: &Connection,
    identity: ViewId,
    now_ms: i64,
) -> rusqlite::Result<Option<(i64, RequestBudget)>> {
    connection.find(
        "SELECT hash, first_ms, max(last_ms) FROM path_searches WHERE view_id = ?1 AND library = ?2 AND \
         hash BETWEEN ?3 AND ?4 AND last_ms <= ?5 GROUP BY view_id",
        params![identity, PROBE, BUDGETS.start(), BUDGETS.end(), now_ms],
        |row| Ok((row.get(0)?, RequestBudget { whole_ms: row.get(1)? })),
    )
}

/// Changes a view's budget. If all records are in the future, because the clock was set back, uses another record.
fn change_budget(
    tx: &Tx<'_>,
    identity: ViewId,
    now_ms: i64,
    change: impl Fn(RequestBudget) -> RequestBudget,
) -> rusqlite::Result<()> {
    let stored = stored_budget(tx.connection, identity, now_ms)?;
    let (hash, budget) = if let Some(stored) = stored {
        stored
    } else {
        let count: i64 = tx.row(
            "SELECT count(*) FROM path_searches WHERE view_id = ?1 AND library = ?2 AND hash BETWEEN ?3 AND ?4",
            params![identity, PROBE, BUDGETS.start(), BUDGETS.end()],
            |row| row.get(0),
        )?;
        ((BUDGETS.start() + count).min(*BUDGETS.end()), RequestBudget::default())
    };
    tx.run(
        "INSERT INTO path_searches (view_id, library, hash, first_ms, last_ms, found) \
         VALUES (?1, ?2, ?3, ?4, ?5, 0) ON CONFLICT (view_id, library, hash) DO UPDATE SET \
         first_ms = excluded.first_ms, last_ms = excluded.last_ms",
        params![identity, PROBE, hash, change(budget).whole_ms, now_ms],
    )
}
