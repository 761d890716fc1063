//! Reads the data for a snapshot in one transaction, and later the changes since the snapshot.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::doubts::{doubts_of_items_and_paths, doubts_since};
use super::library_rows::{LibraryRow, libraries};
use super::opened_files::{
    CachedEndpoint, CachedState, CachedView, DatabaseNumber, StoreFiles, is_first_sequence, write_state_file,
};
use super::overlay::{changes_of, changes_since};
use super::record_log::manifest;
use super::schema::{CachedStatements, last_position_of, list, sequence_at, sequence_of};
use super::store::Store;
use super::views::{Endpoint, several_views_warning, view_of};
use crate::engine::memtable::{LibraryChange, MemtableChange};
use crate::engine::record_rows::Manifest;
use crate::engine::segment::decode_match;
use crate::engine::version_page::PageState;
use crate::error::Result;
use crate::model::{Sequence, ViewId};
use crate::platform::clock::coarse_ms;
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;

/// Maximum number of changes to read one by one. If there are more changes, plexindex reads the whole state.
const MAX_CHANGES: i64 = 2_000;

/// Maximum number of changes in a cached state. Compaction would soon replace a state with more changes.
const MAX_CACHED_CHANGES: usize = 1_024;

/// Returns the column names of the rows in the state file. A build with different columns ignores the state file.
fn columns() -> String {
    list::<LibraryRow>()
}

/// Returns the URL and the user of an endpoint, which are the key of a state in the state file.
fn cached_endpoint_of(endpoint: Option<&Endpoint>) -> CachedEndpoint {
    endpoint.map(|endpoint| (endpoint.url.clone(), endpoint.user_hash.clone()))
}

/// The data that a process needs to answer queries, read in one transaction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoreState {
    pub sequence: Sequence,
    /// The database from which the state was read.
    #[serde(skip)]
    pub database_number: DatabaseNumber,
    /// The libraries from the last probe.
    pub libraries: Vec<LibraryRow>,
    pub manifest: Manifest,
    /// Confirmed matches and single items that the segments do not include, and doubts about items and paths; oldest first.
    pub changes: Vec<LibraryChange>,
}

/// Reads a view's complete state. If `view_id` is `None`, the state contains only a change sequence.
pub fn state_of(
    connection: &Connection,
    database_number: DatabaseNumber,
    view_id: Option<ViewId>,
) -> rusqlite::Result<StoreState> {
    let sequence = sequence_of(connection)?;
    let Some(view_id) = view_id else {
        return Ok(StoreState {
            sequence,
            database_number,
            ..StoreState::default()
        });
    };
    let libraries = libraries(connection, view_id)?;
    let manifest = manifest(connection)?;
    let mut changes = match_changes_since(connection, Some(view_id), manifest.merged, sequence, i64::MAX)?;
    for row in &libraries {
        changes.extend(changes_of(connection, row.id)?);
        changes.extend(doubts_of_items_and_paths(connection, row.id)?);
    }
    changes.sort_by_key(|change| change.sequence);
    Ok(StoreState {
        sequence,
        database_number,
        libraries,
        manifest,
        changes,
    })
}

/// Returns the change sequence up to which the log of records is incomplete, because rows are in segments.
fn merged_upto(connection: &Connection) -> rusqlite::Result<Sequence> {
    connection.value("SELECT merged FROM meta", [])
}

/// Returns at most `most` changes to confirmed matches after `since`, oldest first. If `view_id` is `None`, includes all views. `now`: the current change sequence, whose upper bits the rows lack.
fn match_changes_since(
    connection: &Connection,
    view_id: Option<ViewId>,
    since: Sequence,
    now: Sequence,
    most: i64,
) -> rusqlite::Result<Vec<LibraryChange>> {
    connection.rows(
        "SELECT r.id, t.library, r.name, r.value FROM records r JOIN tables t ON t.id = r.in_table \
         JOIN libraries l ON l.id = t.library WHERE r.id > ?1 AND (?2 IS NULL OR l.view_id = ?2) \
         ORDER BY r.id LIMIT ?3",
        params![last_position_of(since), view_id, most],
        |row| {
            let match_of = |value| decode_match(value, now);
            let recorded = row.get_ref(3)?.as_blob_or_null()?.and_then(match_of);
            let path = row.get(2)?;
            let change = match recorded {
                Some((key, recorded_at)) => MemtableChange::Matched {
                    path,
                    rating_key: key.to_owned(),
                    sequence: recorded_at.0,
                },
                None => MemtableChange::Forgotten { path },
            };
            Ok(LibraryChange {
                sequence: sequence_at(row.get(0)?, now),
                library: row.get(1)?,
                change,
            })
        },
    )
}

/// Reads a store's state from the database or the state file, and writes the state file for the next process.
pub struct StoreStates<'s>(pub &'s Store);

impl StoreStates<'_> {
    /// Reads a view's complete state.
    #[cfg(test)]
    pub fn state(&self, view_id: Option<ViewId>) -> Result<StoreState> {
        self.0
            .read(|connection| state_of(connection, self.0.database_number(), view_id))
    }

    /// Returns the id and the state of the view for `endpoint` (server URL and user), read in one transaction, so that
    /// the state includes the commit that stored the endpoint. The id is `None` if the view is unknown. If `deadline` is
    /// `None`, waits only a moment for locks, and then fails.
    pub fn state_at(
        &self,
        endpoint: Option<&Endpoint>,
        deadline: Option<Deadline>,
    ) -> Result<(Option<ViewId>, StoreState)> {
        if let Some(cached) = self.take_cached_state(endpoint) {
            return Ok(cached);
        }
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
            Ok((view_id, state_of(connection, database_number, view_id)?))
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
    ) -> Result<(Sequence, Option<Vec<LibraryChange>>)> {
        let work = |connection: &Connection| {
            let current = sequence_of(connection)?;
            if current == since {
                return Ok((current, Some(Vec::new())));
            }
            let changed_views = "SELECT 1 FROM views WHERE changed > ?1 AND (?2 IS NULL OR id = ?2)";
            if current < since
                || merged_upto(connection)? > since
                || connection.has(changed_views, params![since, view_id])?
            {
                return Ok((current, None));
            }
            let mut changes = Vec::new();
            for some in [
                changes_since(connection, since, MAX_CHANGES)?,
                doubts_since(connection, since, MAX_CHANGES)?,
                match_changes_since(connection, view_id, since, current, MAX_CHANGES)?,
            ] {
                // There may be more changes.
                if i64::try_from(some.len()).is_ok_and(|count| count >= MAX_CHANGES) {
                    return Ok((current, None));
                }
                changes.extend(some);
            }
            changes.sort_by_key(|change| change.sequence);
            Ok((current, Some(changes)))
        };
        let outcome = self.0.read_by(deadline, work);
        // In another database, `since` means nothing.
        if self.0.database_number() != database_number {
            return outcome.map(|(current, _)| (current, None));
        }
        outcome
    }

    /// Takes the view id and the state for `endpoint` (server URL and user) from the state file with which the store
    /// was opened; `None` if the file has none. Only the first call returns a state, because it becomes outdated.
    fn take_cached_state(&self, endpoint: Option<&Endpoint>) -> Option<(Option<ViewId>, StoreState)> {
        // Only the database knows whether a server accepted an expired token.
        let is_expired = endpoint.is_some_and(Endpoint::is_expired);
        let cached = lock(&self.0.cached_state).take().filter(|_| !is_expired)?;
        let cached_endpoint = cached_endpoint_of(endpoint);
        let view = cached.views.into_iter().find(|view| view.endpoint == cached_endpoint)?;
        let (cached_columns, state): (String, StoreState) = postcard::from_bytes(&view.state).ok()?;
        if cached_columns != columns() {
            return None;
        }
        *lock(&self.0.cache_used) = Some((cached.sequence, cached_endpoint));
        let database_number = self.0.database_number();
        Some((
            Some(view.view_id),
            StoreState {
                database_number,
                ..state
            },
        ))
    }

    /// Closes the connections. If the state file is outdated, writes a new one for `endpoint` (server URL and user), so
    /// that the next process need not open the database.
    pub fn close_and_write_state_file(&self, endpoint: Option<&Endpoint>) {
        let cached = self.state_to_cache(endpoint);
        self.0.close();
        let Some(cached) = cached else { return };
        let opened = self.0.opened.newest();
        // Closing copies the WAL into the database, so inspect the files afterwards.
        let Some(files) = StoreFiles::of(&self.0.folder).filter(|files| opened.is_of_files(files)) else {
            return;
        };
        let sequence = cached.sequence.0;
        let is_unchanged = || opened.state(coarse_ms()) == PageState::Equal(sequence) && opened.is_page_valid();
        if let Err(error) = write_state_file(&self.0.folder, cached, &files, is_unchanged) {
            log::debug!("cannot write the state file: {error}; the next process will open the database");
        }
    }

    /// Returns the state to write to the state file: the state of the view for `endpoint` (the host's server URL and
    /// user), or of the newest view without an `endpoint`. `None` if the file already has this state, if a process that
    /// reads the file could miss a commit or a warning, if the state is too large, or if reading it would have to wait.
    fn state_to_cache(&self, endpoint: Option<&Endpoint>) -> Option<CachedState> {
        let opened = self.0.opened.newest();
        let PageState::Equal(sequence) = opened.state(coarse_ms()) else {
            return None;
        };
        let sequence = Sequence(sequence);
        let is_file_current = lock(&self.0.cache_used)
            .as_ref()
            .is_some_and(|(read_at, cached)| *read_at == sequence && *cached == cached_endpoint_of(endpoint));
        // Before the first commit, another process can replace the version page unnoticed. If the files are not
        // settled, a later change may leave their stamps unchanged.
        if !self.0.uses_version_page
            || is_first_sequence(sequence)
            || is_file_current
            || !StoreFiles::of(&self.0.folder)?.detect_later_changes()
        {
            return None;
        }
        let database_number = self.0.database_number();
        // `None`: fail rather than wait long.
        let view = self.0.read_by(None, |connection| {
            let Some(view_id) = view_of(connection, endpoint)? else {
                return Ok(None);
            };
            // With several views, the next process must read the database to log which view it uses.
            if endpoint.is_none() && several_views_warning(connection, view_id)?.is_some() {
                return Ok(None);
            }
            let state = state_of(connection, database_number, Some(view_id))?;
            if state.sequence != sequence || state.changes.len() > MAX_CACHED_CHANGES {
                return Ok(None);
            }
            let state = postcard::to_stdvec(&(columns(), state)).ok();
            Ok(state.map(|state| CachedView {
                endpoint: cached_endpoint_of(endpoint),
                view_id,
                state,
            }))
        });
        let view = view.ok()??;
        Some(CachedState {
            id: opened.id,
            secret: opened.secret,
            sequence,
            views: vec![view],
        })
    }
}
