//! Reads all that a snapshot needs in one transaction, and later the changes after it.

use std::sync::atomic::Ordering;

use rusqlite::{Connection, Params, params};
use serde::{Deserialize, Serialize};

use super::cached::CachedStatements;
use super::change_log::{LoggedChange, LoggedKind};
use super::columns::{list, names, read};
use super::endpoints::{Endpoint, identity_of, one_of_several};
use super::incarnation::Incarnation;
use super::incarnation::is_fresh;
use super::library_rows::{LibraryRow, libraries};
use super::places::end_of;
use super::record_log::{Manifest, manifest};
use super::state_file::{CachedEndpoint, CachedState, CachedView, StoreFiles, write_state_file};
use super::store::Store;
use super::tx::sequence_of;
use super::unverified::unverified_of;
use crate::engine::segment::match_of;
use crate::engine::version_page::PageState;
use crate::error::Result;
use crate::model::{IdentityId, LibraryId, Sequence};
use crate::platform::clock::coarse_ms;
use crate::platform::mutex::lock;

/// Maximum number of changes that are read one by one. If there are more, plexindex reads the whole state.
const MAX_CHANGES: i64 = 2_000;

/// Maximum number of changes in a cached state. A state with more changes is not cached, as they are compacted soon.
const MAX_CACHED_CHANGES: usize = 1_024;

/// Returns the columns of the cached rows. A build with other columns ignores the cache.
fn columns() -> String {
    format!("{}; {}", list::<LibraryRow>(), list::<LoggedChange>())
}

/// Returns the URL and the user of an endpoint, by which the state file finds its state.
fn cached_endpoint_of(endpoint: Option<&Endpoint>) -> CachedEndpoint {
    endpoint.map(|endpoint| (endpoint.url.clone(), endpoint.who.clone()))
}

/// The data that a process needs to answer, read at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StoreState {
    /// The change sequence at which it was read.
    pub sequence: Sequence,
    /// The incarnation that it was read from.
    #[serde(skip)]
    pub incarnation: Incarnation,
    /// The libraries of the last probe, in the server's order.
    pub libraries: Vec<LibraryRow>,
    /// The segments of hosts' records.
    pub manifest: Manifest,
    /// Confirmed matches and single items that changed since the segments were made, oldest first; then the
    /// invalidations. For [`StoreState::continued`] libraries: all changes since the earlier state.
    pub changes: Vec<LoggedChange>,
    /// Libraries of which only changes were read, because the caller has an earlier state of them.
    #[serde(skip)]
    pub continued: Vec<LibraryId>,
}

/// Returns all data that a process needs for an identity, without regard to what it knows already.
pub fn state_of(
    connection: &Connection,
    incarnation: Incarnation,
    identity: Option<IdentityId>,
) -> rusqlite::Result<StoreState> {
    state(connection, incarnation, identity, &|_, _| None)
}

/// The change sequence up to which a process already knows all changes of a library, given the current manifest; `None`
/// if it must start anew.
pub type KnownChanges<'k> = dyn Fn(&LibraryRow, &Manifest) -> Option<Sequence> + 'k;

/// Reads the state, without the data that the caller knows already. Without an identity, the state has only a change
/// sequence.
fn state(
    connection: &Connection,
    incarnation: Incarnation,
    identity: Option<IdentityId>,
    known: &KnownChanges<'_>,
) -> rusqlite::Result<StoreState> {
    let Some(identity) = identity else {
        return Ok(StoreState {
            sequence: sequence_of(connection)?,
            incarnation,
            ..StoreState::default()
        });
    };
    let libraries = libraries(connection, identity)?;
    let sequence = sequence_of(connection)?;
    let manifest = manifest(connection)?;
    let mut changes = recorded_since(connection, Some(identity), manifest.merged, sequence, i64::MAX)?;
    let mut continued = Vec::new();
    for row in &libraries {
        let since = known(row, &manifest).filter(|since| *since <= sequence);
        if let Some(since) = since
            && trimmed_of(connection)? <= since
        {
            changes.retain(|(position, one)| one.library != row.id || *position > end_of(since));
            let all = "id > ?1 AND library = ?2 AND kind IN (3, 4, 5, 6, 8, 9) ORDER BY id";
            changes.extend(logged(connection, all, params![end_of(since), row.id])?);
            continued.push(row.id);
        } else {
            let since = row.segment_sequence;
            // The index returns the items by rating key; their order follows below.
            let single_items = "library = ?1 AND kind IN (8, 9) AND id > ?2";
            changes.extend(logged(connection, single_items, params![row.id, end_of(since)])?);
        }
    }
    let mut changes = in_order(changes);
    let unverified = unverified_of(connection, identity, sequence)?;
    changes.extend(unverified.into_iter().filter(|one| !continued.contains(&one.library)));
    Ok(StoreState {
        sequence,
        incarnation,
        libraries,
        manifest,
        changes,
        continued,
    })
}

/// Returns the changes in the log that satisfy a condition, with their positions.
fn logged(c: &Connection, condition: &str, arguments: impl Params) -> rusqlite::Result<Vec<(i64, LoggedChange)>> {
    let statement = format!("SELECT {}, id FROM changes WHERE {condition}", list::<LoggedChange>());
    let position = names::<LoggedChange>().len();
    c.rows(&statement, arguments, |row| Ok((row.get(position)?, read(row)?)))
}

/// Returns the change sequence up to which the logs are incomplete, because they were trimmed or merged into segments.
fn trimmed_of(connection: &Connection) -> rusqlite::Result<Sequence> {
    connection.value("SELECT max(trimmed, merged) FROM store", [])
}

/// Sorts changes by their positions in the logs, and removes the positions.
fn in_order(mut changes: Vec<(i64, LoggedChange)>) -> Vec<LoggedChange> {
    changes.sort_by_key(|(position, _)| *position);
    changes.into_iter().map(|(_, change)| change).collect()
}

/// Returns at most `most` confirmed matches that were recorded or removed after `since`, with their positions in the
/// log. `now`: the current change sequence.
fn recorded_since(
    connection: &Connection,
    identity: Option<IdentityId>,
    since: Sequence,
    now: Sequence,
    most: i64,
) -> rusqlite::Result<Vec<(i64, LoggedChange)>> {
    connection.rows(
        "SELECT r.id, t.library, r.name, r.value FROM records r JOIN tables t ON t.id = r.in_table \
         JOIN libraries l ON l.id = t.library WHERE r.id > ?1 AND (?2 IS NULL OR l.identity = ?2) \
         ORDER BY r.id LIMIT ?3",
        params![end_of(since), identity, most],
        |row| {
            let match_of = |value| match_of(value, now);
            let recorded = row.get_ref(3)?.as_blob_or_null()?.and_then(match_of);
            let change = LoggedChange {
                library: row.get(1)?,
                kind: recorded.map_or(LoggedKind::Forgotten, |_| LoggedKind::Matched),
                path: row.get(2)?,
                rating_key: recorded.map_or_else(String::new, |(key, _)| key.to_owned()),
                sequence: recorded.map_or(now, |(_, recorded_at)| recorded_at),
                ..LoggedChange::default()
            };
            Ok((row.get(0)?, change))
        },
    )
}

/// The states of a store: read from the database, or cached in the state file for the next process.
pub struct StoreStates<'s>(pub &'s Store);

impl StoreStates<'_> {
    /// Returns everything that a process needs in order to answer for this identity.
    #[cfg(test)]
    pub fn state(&self, identity: Option<IdentityId>) -> Result<StoreState> {
        self.0
            .read(|connection| state_of(connection, self.0.incarnation(), identity))
    }

    /// Reads the identity that an endpoint leads to, and the state of this identity, both at one moment, so that the
    /// state includes the commit that stored the endpoint. `known`: what the caller knows already. Fails if not
    /// `patient` and the database is locked.
    pub fn state_at(
        &self,
        endpoint: Option<&Endpoint>,
        known: &KnownChanges<'_>,
        patient: bool,
    ) -> Result<(Option<IdentityId>, StoreState)> {
        if let Some(cached) = self.take_cached_state(endpoint) {
            return Ok(cached);
        }
        self.0.read_if(patient, |connection| {
            // Get the incarnation first: if the database is replaced during the read, the state belongs to one that has
            // ended.
            let incarnation = self.0.incarnation();
            let identity = identity_of(connection, endpoint)?;
            if endpoint.is_none()
                && !self.0.warned_of_views.load(Ordering::Relaxed)
                && let Some(identity) = identity
                && let Some(warning) = one_of_several(connection, identity)?
                && !self.0.warned_of_views.swap(true, Ordering::Relaxed)
            {
                log::warn!("{warning}");
            }
            Ok((identity, state(connection, incarnation, identity, known)?))
        })
    }

    /// Returns the change sequence now, and the changes after `since`, oldest first. `since` is a sequence of
    /// `incarnation`. The changes are `None` if there are too many or one concerns whole libraries: then the caller
    /// must read [`Self::state_at`]. Fails if not `patient` and the database is locked.
    pub fn changes(
        &self,
        identity: Option<IdentityId>,
        since: Sequence,
        incarnation: Incarnation,
        patient: bool,
    ) -> Result<(Sequence, Option<Vec<LoggedChange>>)> {
        let work = |connection: &Connection| {
            let now = sequence_of(connection)?;
            if now == since {
                return Ok((now, Some(Vec::new())));
            }
            if trimmed_of(connection)? > since || now < since {
                return Ok((now, None));
            }
            let newer = "id > ?1 AND (?2 IS NULL OR identity IN (0, ?2)) ORDER BY id LIMIT ?3";
            let mut found = logged(connection, newer, params![end_of(since), identity, MAX_CHANGES])?;
            let recorded = recorded_since(connection, identity, since, now, MAX_CHANGES)?;
            let reaches_limit = |some: &[_]| i64::try_from(some.len()).is_ok_and(|count| count >= MAX_CHANGES);
            let must_reload = reaches_limit(&found)
                || reaches_limit(&recorded)
                || found.iter().any(|(_, one)| one.kind == LoggedKind::Library);
            found.extend(recorded);
            Ok((now, (!must_reload).then(|| in_order(found))))
        };
        let read = self.0.read_if(patient, work);
        if self.0.incarnation() != incarnation {
            return read.map(|(now, _)| (now, None));
        }
        read
    }

    /// Takes the cached state of this endpoint, if the store was opened from the state file. Only the first call gets
    /// it, because it becomes outdated.
    fn take_cached_state(&self, endpoint: Option<&Endpoint>) -> Option<(Option<IdentityId>, StoreState)> {
        // Only the database knows whether a server accepted an expired token.
        let is_expired = endpoint.is_some_and(Endpoint::is_expired);
        let cached = lock(&self.0.cached_state).take().filter(|_| !is_expired)?;
        let cached_endpoint = cached_endpoint_of(endpoint);
        let view = cached.views.into_iter().find(|view| view.endpoint == cached_endpoint)?;
        let (form, state): (String, StoreState) = postcard::from_bytes(&view.state).ok()?;
        if form != columns() {
            return None;
        }
        *lock(&self.0.cache_used) = Some((cached.sequence, cached_endpoint));
        let incarnation = self.0.incarnation();
        Some((Some(view.identity), StoreState { incarnation, ..state }))
    }

    /// Closes the connections, and writes the state file if this process had to open the database.
    pub fn close_and_keep(&self, endpoint: Option<&Endpoint>) {
        let cached = self.state_to_cache(endpoint);
        self.0.close();
        let Some(cached) = cached else { return };
        let opened = self.0.opened.newest();
        // Read after closing, because that copies the log into the database.
        let Some(files) = StoreFiles::of(&self.0.folder).filter(|files| opened.is_of_files(files)) else {
            return;
        };
        let sequence = cached.sequence.0;
        let is_unchanged = || opened.state(coarse_ms()) == PageState::Equal(sequence) && opened.is_page_valid();
        if let Err(error) = write_state_file(&self.0.folder, cached, &files, is_unchanged) {
            log::debug!("the next process opens the database itself: {error}");
        }
    }

    /// Returns the current state of this endpoint, for the state file. `None` if that file has it already, or if
    /// reading it would require opening the database or waiting.
    fn state_to_cache(&self, endpoint: Option<&Endpoint>) -> Option<CachedState> {
        let opened = self.0.opened.newest();
        let PageState::Equal(now) = opened.state(coarse_ms()) else {
            return None;
        };
        let now = Sequence(now);
        let is_cached = lock(&self.0.cache_used)
            .as_ref()
            .is_some_and(|(at, cached_endpoint)| *at == now && *cached_endpoint == cached_endpoint_of(endpoint));
        if !self.0.believes || is_fresh(now) || is_cached || !StoreFiles::of(&self.0.folder)?.are_settled() {
            return None;
        }
        let incarnation = self.0.incarnation();
        let view = self.0.read_if(false, |connection| {
            let Some(identity) = identity_of(connection, endpoint)? else {
                return Ok(None);
            };
            // The next process must read the database to log which of several views answers.
            if endpoint.is_none() && one_of_several(connection, identity)?.is_some() {
                return Ok(None);
            }
            let state = state_of(connection, incarnation, Some(identity))?;
            if state.sequence != now || state.changes.len() > MAX_CACHED_CHANGES {
                return Ok(None);
            }
            let state = postcard::to_stdvec(&(columns(), state)).ok();
            Ok(state.map(|state| CachedView {
                endpoint: cached_endpoint_of(endpoint),
                identity,
                state,
            }))
        });
        let view = view.ok()??;
        Some(CachedState {
            id: opened.id,
            secret: opened.secret,
            sequence: now,
            views: vec![view],
        })
    }
}
