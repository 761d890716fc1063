//! Lists the libraries in the index, with the freshness of each listing.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::owned_answers::as_millis;
use super::queries::Queries;
use super::query_kind::QueryState;
use crate::engine::{Snapshot, is_locked};
use crate::error::{Error, Result, Status};
use crate::model::{LibraryKind, Sequence};
use crate::sync::{Call, Selector, never_fetched_error};

/// A library, with the freshness of its listing.
///
/// The JSON uses the field names, except `age_ms` for `age`, and omits `checked` and fields that are `None`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct LibraryInfo {
    /// Section ID of the library, such as `1`.
    pub section: String,
    /// UUID of the library, which renaming does not change. Consists of `section:` and the section ID if the server
    /// reports no UUID.
    pub uuid: String,
    /// Title of the library; several libraries may have the same title.
    pub title: String,
    /// Type of the library.
    pub kind: LibraryKind,
    /// The library's folders, as server paths.
    pub locations: Vec<PathBuf>,
    /// Number of listed items; `None` if the library was never fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<u64>,
    /// Time when plexindex last checked that the listing is current; `None` if the library was never fetched.
    #[serde(skip)]
    pub checked: Option<SystemTime>,
    /// Time since plexindex last checked that the listing is current; `None` if the library was never fetched.
    #[serde(
        rename = "age_ms",
        serialize_with = "as_millis",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<u64>"))]
    pub age: Option<Duration>,
    /// Generation of the listing, which changes only if the listing changes; `None` if the library was never fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// Whether the listing is current, so that answers are not stale.
    pub fresh: bool,
}

impl From<&LibraryInfo> for Selector {
    /// Selects a library by its UUID, which renaming does not change.
    fn from(library: &LibraryInfo) -> Self {
        Self::Uuid(library.uuid.clone())
    }
}

impl Queries {
    /// Returns the call's libraries. Fetches the list of libraries from the server if the index has no libraries.
    ///
    /// # Errors
    /// Returns the errors of the store, and the errors of the server if the index has no libraries. Fails if the index
    /// does not have the library that the call selects, or has several.
    pub fn libraries(&self, call: &Call<'_>) -> Result<Vec<LibraryInfo>> {
        self.reading.catch_up(call.deadline)?;
        if self.reading.snapshot().rows.is_empty() && self.sync.may_send_requests(call) {
            self.sync.probe(call, Sequence::default())?;
            self.reading.catch_up(call.deadline)?;
        }
        let snapshot = self.reading.snapshot();
        self.sync.check_view(call, &snapshot)?;
        let now = self.clock.now_ms();
        // A time can be negative if the clock was set back.
        let time = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
        let Some(scope) = call.scope(&snapshot)? else {
            return Err(self.library_error(call, &snapshot, None));
        };
        let infos = snapshot.rows_in(scope).iter().map(|row| {
            let (library, is_fetched) = (row.library.clone(), row.generation.is_fetched());
            LibraryInfo {
                section: library.section,
                uuid: library.uuid,
                title: library.title,
                kind: library.kind,
                locations: library.locations.into_iter().map(PathBuf::from).collect(),
                items: Some(row.items).filter(|items| is_fetched || *items > 0),
                checked: is_fetched.then(|| UNIX_EPOCH + time(row.checked_ms())),
                age: is_fetched.then(|| time(now - row.checked_ms())),
                generation: is_fetched.then_some(row.generation.0.cast_unsigned()),
                fresh: !self.sync.is_stale(row, now),
            }
        });
        Ok(infos.collect())
    }

    /// Fetches the list of libraries from the server. Returns an error only if the call is for one library, was
    /// cancelled, or must be repeated with a new token. Otherwise the query continues, with the failure or the timeout
    /// in `state` for the answer's message.
    /// `seen`: the last probe that the query has seen.
    pub fn fetch_libraries(&self, call: &Call<'_>, seen: Sequence, state: &mut QueryState) -> Result<()> {
        match self.sync.probe(call, seen) {
            Ok(_) => Ok(()),
            Err(error) if error.status == Status::Timeout && call.deadline.is_set() => {
                // Once the lock is free, the same timeout can be long enough.
                let is_locked = is_locked(&error);
                state.timeout_status = Some(if is_locked { Status::NotYet } else { Status::NeedsWarm });
                Ok(())
            }
            Err(error)
                if call.library.is_none()
                    && error.status != Status::Aborted
                    && !self.sync.should_retry_with_new_token(call, &error) =>
            {
                state.failure = Some(error);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Returns the error for a call whose library is unknown, or for an index without libraries. `failure`: the error
    /// of the attempt to fetch the list of libraries, if the attempt failed; this error takes precedence.
    pub fn library_error(&self, call: &Call<'_>, snapshot: &Snapshot, failure: Option<Error>) -> Error {
        match (failure, call.library) {
            (Some(error), _) => error,
            (None, Some(library)) if !snapshot.rows.is_empty() || self.sync.may_send_requests(call) => {
                library.unknown_library_error(snapshot, &self.reading)
            }
            (None, library) => never_fetched_error(library, &self.reading),
        }
    }
}
