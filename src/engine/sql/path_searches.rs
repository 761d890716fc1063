//! The table `path_searches`: when plexindex asked the server about a path or searched for it, so that no process
//! repeats this too soon. Also the last question about any path, the budget for fruitless requests, and checks of
//! sources' preconditions.

use rusqlite::{Connection, params};

use super::schema::{CachedStatements, DAY_MS, Tx};
use super::store::Store;
use crate::error::{Result, Status};
use crate::knowledge::{PATH_REQUEST_INTERVAL_MS, RequestBudget, is_pause_over};
use crate::model::{LibraryId, PathSearch, Sequence, ViewId};
use crate::platform::clock::{Deadline, SHORTEST_WAIT};

/// What is known about a view's requests for unlisted paths.
#[derive(Clone, Copy, Debug, Default)]
pub struct ViewRequests {
    /// The last question about any unlisted path; `None` without a record.
    pub last: Option<LastQuestion>,
    /// The budget for fruitless requests.
    pub budget: RequestBudget,
    /// Time, in Unix ms, of the last search in libraries that had not changed; `None` if there was none.
    pub unchanged_search_ms: Option<i64>,
}

impl SearchRows<'_> {
    /// Returns what is known about a view's requests, and for each of the `libraries` the earlier questions about the path
    /// with this hash.
    pub fn earlier_questions(
        &self,
        view_id: ViewId,
        libraries: &[LibraryId],
        hash: u64,
        now_ms: i64,
    ) -> Result<(ViewRequests, Vec<Option<PathSearch>>)> {
        self.0.read(|c| {
            let questions = libraries
                .iter()
                .map(|library| read_record(c, view_id, questions_about(*library), hash));
            let questions = questions.collect::<rusqlite::Result<_>>()?;
            Ok((read_view(c, view_id, now_ms)?, questions))
        })
    }

    /// Returns what is known about a view's requests for unlisted paths.
    pub fn of_view(&self, view_id: ViewId, now_ms: i64) -> Result<ViewRequests> {
        self.0.read(|c| read_view(c, view_id, now_ms))
    }
}

/// Retention time for a record: a day, which is longer than any pause between two searches for a path.
const SEARCH_KEPT_MS: i64 = DAY_MS;

/// Library id in the records of a view's last question, budget and preconditions.
const QUESTION: LibraryId = LibraryId(0);
/// Hash of the record of a view's last question.
const LAST_QUESTION: u64 = 0;
/// Hash of the record of a view's request budget. Its first time is when the budget is whole again.
const BUDGET: u64 = 1;
/// Hash of the record of a view's last search in libraries that had not changed.
const UNCHANGED_SEARCH: u64 = 5;
/// Library id in the records of requests for the list of libraries, by the hash of what a call selects.
pub const LIBRARY_LIST: LibraryId = LibraryId(i64::MIN);

/// Value of `found` for a question that has no outcome yet. [`ANSWERED`] is the value for an answered question; other
/// values are the error status of a failed one.
const UNDER_WAY: i64 = 0;
const ANSWERED: i64 = 1;

/// The outcome of a question about an unlisted path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionOutcome {
    /// The question has no outcome yet, or none because its process was killed or the server rejected the token.
    UnderWay,
    Answered,
    /// The question or the search after it failed with this status.
    Failed(Status),
}

/// The last question about any unlisted path.
#[derive(Clone, Copy, Debug)]
pub struct LastQuestion {
    /// Time of the outcome, in Unix ms.
    pub ended_ms: i64,
    pub outcome: QuestionOutcome,
}

/// What requests about unlisted paths have shown, for [`SearchRows::note_path_requests`].
#[derive(Clone, Copy, Default)]
pub struct PathRequests<'r> {
    /// The outcome of a question; `None`: the last outcome stays.
    pub outcome: Option<QuestionOutcome>,
    /// Libraries and hashes about which the server was asked.
    pub questions: &'r [(LibraryId, u64)],
    /// The change sequence when the call that asked began.
    pub since: Sequence,
    /// Whether a search must still follow the questions.
    pub are_open: bool,
    /// Libraries and hashes for which the server was searched, and whether it has the target.
    pub searches: &'r [(LibraryId, u64, bool)],
    /// Whether a search follows in libraries that have not changed.
    pub begins_unchanged_search: bool,
    /// Number of requests to take from the budget.
    pub requests: u64,
}

/// Access to a store's records of path searches.
pub struct SearchRows<'s>(pub &'s Store);

impl SearchRows<'_> {
    /// Records requests, even if the call has no time left. Logs an error, and returns whether the record is stored.
    fn record(&self, work: impl FnMut(&Tx<'_>) -> rusqlite::Result<()>) -> bool {
        let result = self.0.write(Deadline::NONE.at_most(SHORTEST_WAIT), work);
        if let Err(error) = &result {
            log::debug!("cannot record a request to the server: {error}");
        }
        result.is_ok()
    }

    /// Returns the last search for the target with this hash, such as a path's normal form; `None` if there is no
    /// record.
    pub fn path_search(&self, view_id: ViewId, library: LibraryId, hash: u64) -> Result<Option<PathSearch>> {
        self.0
            .read(|connection| read_record(connection, view_id, library, hash))
    }

    /// Returns the last question about the target with this hash.
    pub fn question(&self, view_id: ViewId, library: LibraryId, hash: u64) -> Result<Option<PathSearch>> {
        self.path_search(view_id, questions_about(library), hash)
    }

    /// Returns the number of targets that plexindex searched for in a library since `since_ms`, so that callers can
    /// limit the rate. Ignores searches after `now_ms`, which were recorded before the clock was set back.
    pub fn count_searches(&self, view_id: ViewId, library: LibraryId, since_ms: i64, now_ms: i64) -> Result<u64> {
        self.0.read(|connection| {
            connection.row(
                "SELECT count(*) FROM path_searches WHERE view_id = ?1 AND library = ?2 AND last_ms > ?3 AND \
                 last_ms <= ?4",
                params![view_id, library, since_ms, now_ms],
                |row| row.get::<_, i64>(0).map(i64::cast_unsigned),
            )
        })
    }

    /// Records what requests about unlisted paths have shown, in one transaction; nothing to record needs none. Returns
    /// whether the record is stored and, with `begins_unchanged_search`, the search may begin, because no other call
    /// began one a moment ago.
    pub fn note_path_requests(&self, view_id: ViewId, now_ms: i64, record: &PathRequests<'_>) -> bool {
        let is_empty = record.outcome.is_none() && record.questions.is_empty() && record.searches.is_empty();
        if is_empty && !record.begins_unchanged_search && record.requests == 0 {
            return true;
        }
        let mut may_search = true;
        let is_stored = self.record(|tx| {
            if let Some(outcome) = record.outcome {
                let found = match outcome {
                    QuestionOutcome::UnderWay => UNDER_WAY,
                    QuestionOutcome::Answered => ANSWERED,
                    QuestionOutcome::Failed(status) => i64::from(status as i32),
                };
                replace(tx, view_id, LAST_QUESTION, (0, now_ms), found)?;
            }
            for (library, hash) in record.questions {
                let key = (view_id, questions_about(*library), *hash);
                note(tx, key, now_ms, record.are_open, record.since)?;
            }
            for (library, hash, is_found) in record.searches {
                note(tx, (view_id, *library, *hash), now_ms, *is_found, Sequence(0))?;
            }
            let view = read_view(tx, view_id, now_ms)?;
            if record.begins_unchanged_search {
                may_search = is_pause_over(view.unchanged_search_ms, PATH_REQUEST_INTERVAL_MS, now_ms);
                if may_search {
                    note(tx, (view_id, QUESTION, UNCHANGED_SEARCH), now_ms, false, Sequence(0))?;
                }
            }
            delete_old(tx, now_ms)?;
            write_budget(tx, view_id, now_ms, view.budget.spend(record.requests, now_ms))
        });
        is_stored && may_search
    }

    /// Returns requests to the budget, because they were fruitful.
    pub fn refund(&self, view_id: ViewId, requests: u64, now_ms: i64) {
        self.record(|tx| {
            let view = read_view(tx, view_id, now_ms)?;
            write_budget(tx, view_id, now_ms, view.budget.refund(requests))
        });
    }

    /// Returns whether a check less than a day ago found that a source's precondition is met, for example that a
    /// database belongs to the server. `hash`: the hash of the precondition's text.
    pub fn has_recent_precondition_check(&self, hash: u64, now_ms: i64) -> Result<bool> {
        let last_check = self.path_search(ViewId::ALL, QUESTION, hash)?;
        Ok(last_check.is_some_and(|check| (0..SEARCH_KEPT_MS).contains(&now_ms.saturating_sub(check.last_ms))))
    }

    /// Records, for all users of the store, that a source's precondition is met, so that no process checks it again for
    /// a day. `hash`: the hash of the precondition's text.
    pub fn record_precondition_met(&self, hash: u64, now_ms: i64) {
        self.note_search(ViewId::ALL, QUESTION, hash, now_ms, true); // `true`: it is met
    }

    /// Records that plexindex searched the server for the target with this hash, such as a path's normal form.
    /// `found`: whether the server has the target.
    pub fn note_search(&self, view_id: ViewId, library: LibraryId, hash: u64, now_ms: i64, found: bool) {
        self.record(|tx| {
            note(tx, (view_id, library, hash), now_ms, found, Sequence(0))?;
            delete_old(tx, now_ms)
        });
    }
}

/// Removes the records of a view's requests for the list of libraries, because the view no longer has the list.
pub fn forget_library_questions(tx: &Tx<'_>, view_id: ViewId) -> rusqlite::Result<()> {
    tx.run(
        "DELETE FROM path_searches WHERE view_id = ?1 AND library = ?2",
        params![view_id, LIBRARY_LIST],
    )
}

/// Returns the id under which the store records questions about paths in a library. Searches have the library's id.
fn questions_about(library: LibraryId) -> LibraryId {
    LibraryId(-library.0)
}

/// Reads a record; `None` if there is none.
fn read_record(
    connection: &Connection,
    view_id: ViewId,
    library: LibraryId,
    hash: u64,
) -> rusqlite::Result<Option<PathSearch>> {
    connection.find(
        "SELECT first_ms, last_ms, found, asked FROM path_searches WHERE view_id = ?1 AND library = ?2 AND hash = ?3",
        params![view_id, library, hash.cast_signed()],
        |row| {
            Ok(PathSearch {
                first_ms: row.get(0)?,
                last_ms: row.get(1)?,
                found: row.get(2)?,
                asked: row.get(3)?,
            })
        },
    )
}

/// Reads a view's special rows.
fn read_view(c: &Connection, view_id: ViewId, now_ms: i64) -> rusqlite::Result<ViewRequests> {
    let special = "SELECT hash, first_ms, last_ms, found FROM path_searches WHERE view_id = ?1 AND library = ?2";
    let rows: Vec<(i64, i64, i64, i64)> = c.rows(special, params![view_id, QUESTION], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    let mut view = ViewRequests::default();
    for (hash, first_ms, last_ms, found) in rows {
        match hash.cast_unsigned() {
            LAST_QUESTION => {
                view.last = Some(LastQuestion {
                    ended_ms: last_ms,
                    outcome: outcome_of(found),
                });
            }
            // One from the future is none, because the clock was set back.
            BUDGET if last_ms <= now_ms => view.budget = RequestBudget { whole_ms: first_ms },
            UNCHANGED_SEARCH => view.unchanged_search_ms = Some(last_ms),
            _ => {}
        }
    }
    Ok(view)
}

fn outcome_of(found: i64) -> QuestionOutcome {
    match found {
        UNDER_WAY => QuestionOutcome::UnderWay,
        ANSWERED => QuestionOutcome::Answered,
        // A newer version may have other statuses.
        status => {
            let status = i32::try_from(status).ok().and_then(Status::from_number);
            QuestionOutcome::Failed(status.unwrap_or(Status::Timeout))
        }
    }
}

/// Records the outcome of a search, a question or a precondition check ([`PathSearch`]). Keeps the time of the first
/// question, or of the first search with the same outcome, from which callers derive the next pause. An earlier search
/// does not close an open question.
fn note(
    tx: &Tx<'_>,
    (view_id, library, hash): (ViewId, LibraryId, u64),
    now_ms: i64,
    found: bool,
    asked: Sequence,
) -> rusqlite::Result<()> {
    tx.run(
        "INSERT INTO path_searches (view_id, library, hash, first_ms, last_ms, found, asked) \
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6) ON CONFLICT (view_id, library, hash) DO UPDATE SET \
         first_ms = CASE WHEN library > 0 AND found <> excluded.found OR first_ms > excluded.last_ms \
         THEN excluded.first_ms ELSE first_ms END, \
         last_ms = excluded.last_ms, found = excluded.found, asked = max(asked, excluded.asked) \
         WHERE library > 0 OR found <= excluded.found OR last_ms <= excluded.last_ms",
        params![view_id, library, hash.cast_signed(), now_ms, found, asked],
    )
}

/// Deletes old records, except those of last questions and the budgets. Also deletes records in the future, which the clock
/// will not reach within a day.
fn delete_old(tx: &Tx<'_>, now_ms: i64) -> rusqlite::Result<()> {
    tx.run(
        "DELETE FROM path_searches WHERE last_ms NOT BETWEEN ?1 AND ?2 AND (library <> ?3 OR hash NOT BETWEEN 0 AND ?4)",
        params![
            now_ms - SEARCH_KEPT_MS,
            now_ms + SEARCH_KEPT_MS,
            QUESTION,
            BUDGET.cast_signed()
        ],
    )
}

/// Replaces the record of a view's budget.
fn write_budget(tx: &Tx<'_>, view_id: ViewId, now_ms: i64, budget: RequestBudget) -> rusqlite::Result<()> {
    replace(tx, view_id, BUDGET, (budget.whole_ms, now_ms), UNDER_WAY)
}

/// Replaces a view's record, whatever it was.
fn replace(
    tx: &Tx<'_>,
    view_id: ViewId,
    hash: u64,
    (first_ms, last_ms): (i64, i64),
    found: i64,
) -> rusqlite::Result<()> {
    tx.run(
        "INSERT OR REPLACE INTO path_searches (view_id, library, hash, first_ms, last_ms, found) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![view_id, QUESTION, hash.cast_signed(), first_ms, last_ms, found],
    )
}
