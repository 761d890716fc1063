//! Reads the data for a snapshot in one transaction, and later the changes since the snapshot.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};

use super::doubts::{doubts_of_items_and_paths, doubts_since};
use super::library_rows::{LibraryRow, libraries};
use super::overlay::{changes_of, changes_since};
use super::record_rows::{MAX_FOLLOWED, matches_changed_since};
use super::schema::{CachedStatements, sequence_of};
use super::store::{DatabaseNumber, Store};
use super::views::{Endpoint, several_views_warning, view_of};
use crate::engine::memtable::LibraryChange;
use crate::engine::record_rows::ChangedRecord;
use crate::error::Result;
use crate::model::{Sequence, ViewId};
use crate::platform::clock::Deadline;

/// The data that a process needs to answer queries, read in one transaction.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoreState {
    pub sequence: Sequence,
    /// The database from which the state was read.
    pub database_number: DatabaseNumber,
    /// The libraries from the last probe.
    pub libraries: Vec<LibraryRow>,
    /// The matches that have changed since [`HeldMatches`]; `None` if they cannot be told.
    pub changed_matches: Option<Vec<ChangedRecord>>,
    /// Single items that the segments do not include, and doubts about items and paths; oldest first.
    pub changes: Vec<LibraryChange>,
}

/// The commit up to which the process has followed the matches that it has in memory, and whether it has any.
pub type HeldMatches = (Sequence, bool);

/// The changes of libraries and of matches since a snapshot.
pub type Changes = (Vec<LibraryChange>, Vec<ChangedRecord>);

/// Reads a view's complete state; without libraries if `view_id` is `None`. `held`: the matches in memory.
pub fn state_of(
    connection: &Connection,
    database_number: DatabaseNumber,
    view_id: Option<ViewId>,
    (since, has_matches): HeldMatches,
) -> rusqlite::Result<StoreState> {
    let sequence = sequence_of(connection)?;
    let changed_matches = if has_matches {
        matches_changed_since(connection, since)?
    } else {
        None
    };
    let libraries = view_id.map_or(Ok(Vec::new()), |view_id| libraries(connection, view_id))?;
    let mut changes = Vec::new();
    for row in &libraries {
        changes.extend(changes_of(connection, row.id)?);
        changes.extend(doubts_of_items_and_paths(connection, row.id)?);
    }
    changes.sort_by_key(|change| change.sequence);
    Ok(StoreState {
        sequence,
        database_number,
        libraries,
        changed_matches,
        changes,
    })
}

/// Reads a store's state.
pub struct StoreStates<'s>(pub &'s Store);

impl StoreStates<'_> {
    /// Reads a view's complete state.
    #[cfg(test)]
    pub fn state(&self, view_id: Option<ViewId>) -> Result<StoreState> {
        self.0
            .read(|connection| state_of(connection, self.0.database_number(), view_id, HeldMatches::default()))
    }

    /// Returns the id and the state of the view for `endpoint` (server URL and user), read in one transaction, so that
    /// the state includes the commit that stored the endpoint. The id is `None` if the view is unknown. `held`: the matches
    /// that the caller need not read again, in the database `held_of`. If `deadline` is `None`, waits only a moment for locks, and then fails.
    pub fn state_at(
        &self,
        endpoint: Option<&Endpoint>,
        (held_of, held): (DatabaseNumber, HeldMatches),
        deadline: Option<Deadline>,
    ) -> Result<(Option<ViewId>, StoreState)> {
        self.0.read_by(deadline, |connection| {
            // Read the database first. If the database is replaced during the read, the state then belongs to an old
            // database, so the caller reads it again.
            let database_number = self.0.database_number();
            let view_id = view_of(connection, endpoint)?;
            if endpoint.is_none()
                && !self.0.warned_of_views.load(Ordering::Relaxed)
                && let Some(view_id) = view_id
                && let Some(warning) = several_views_warning(connection, view_id)?
                && !self.0.warned_of_views.swap(true, Ordering::Relaxed)
            {
                log::warn!("{warning}");
            }
            let held = if held_of == database_number {
                held
            } else {
                HeldMatches::default()
            };
            Ok((view_id, state_of(connection, database_number, view_id, held)?))
        })
    }

    /// Returns the current change sequence, and the changes after `since`, oldest first. `since`: a change sequence of
    /// `database`. The changes are `None` if the caller must read the whole state with [`Self::state_at`], for
    /// example because there are too many changes. If `deadline` is `None`, waits only a moment for locks, and then
    /// fails.
    pub fn changes(
        &self,
        view_id: Option<ViewId>,
        since: Sequence,
        database_number: DatabaseNumber,
        deadline: Option<Deadline>,
    ) -> Result<(Sequence, Option<Changes>)> {
        let work = |connection: &Connection| {
            let current = sequence_of(connection)?;
            if current == since {
                return Ok((current, Some(Changes::default())));
            }
            let changed_views = "SELECT 1 FROM views WHERE changed > ?1 AND (?2 IS NULL OR id = ?2)";
            if current < since || connection.has(changed_views, params![since, view_id])? {
                return Ok((current, None));
            }
            let mut changes = Vec::new();
            for some in [
                changes_since(connection, since, MAX_FOLLOWED)?,
                doubts_since(connection, since, MAX_FOLLOWED)?,
            ] {
                // There may be more changes.
                if i64::try_from(some.len()).is_ok_and(|count| count >= MAX_FOLLOWED) {
                    return Ok((current, None));
                }
                changes.extend(some);
            }
            changes.sort_by_key(|change| change.sequence);
            let matches = matches_changed_since(connection, since)?;
            Ok((current, matches.map(|matches| (changes, matches))))
        };
        let outcome = self.0.read_by(deadline, work);
        // In another database, `since` means nothing.
        if self.0.database_number() != database_number {
            return outcome.map(|(current, _)| (current, None));
        }
        outcome
    }
}
