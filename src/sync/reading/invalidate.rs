//! Invalidation of paths, items and libraries. It has no deadline: a wrong answer is worse than a wait.

use super::items::segments_lost;
use super::selection::{Resolved, Selection, Selector};
use super::state::Reading;
use crate::engine::{LibraryRow, LibraryRows, ListingRows, LocalWrite, LoggedKind, Snapshot, places, unverified_kind};
use crate::error::{Error, Result, Status};
use crate::matching::{Resolver, Scope, View};
use crate::model::{IdentityId, LibraryId, MatchKind};
use crate::platform::deadline::Deadline;

/// What happens to the path of a match that is removed.
const FORGOTTEN: [LoggedKind; 2] = [LoggedKind::Forgotten, LoggedKind::UnverifiedPath];
/// Attempts of a write while other threads clear the same library.
pub const MAX_RETRIES: u32 = 100;

/// The error after [`MAX_RETRIES`] attempts.
pub fn cleared_again(library: &str) -> Error {
    Error::new(
        Status::Store,
        format!("library '{library}' was cleared during each attempt: try again later"),
    )
}

/// The identity and the libraries that were written to.
type WriteTarget = (IdentityId, Vec<LibraryId>);

impl Reading {
    /// Repeats a write until the libraries that it wrote to are still current afterwards. A library that is cleared
    /// meanwhile gets a new id. `write` returns what it wrote to, or `None` if there is nothing to write. The retries
    /// end if another thread sets another token, because the write must not apply to another user's view.
    pub fn retry(&self, mut write: impl FnMut() -> Result<Option<WriteTarget>>) -> Result<()> {
        let session = self.tokens.current().number();
        for attempt in 0..MAX_RETRIES {
            self.catch_up(Deadline::NONE)?;
            if attempt > 0 && self.tokens.current_for(session).is_none() {
                return Ok(());
            }
            let Some((identity, libraries)) = write()? else {
                // If an earlier attempt wrote, nothing more has to be written.
                return if attempt == 0 { self.check_accepted() } else { Ok(()) };
            };
            self.catch_up(Deadline::NONE)?;
            let snapshot = self.snapshot();
            let is_current = |id: &LibraryId| snapshot.rows.iter().any(|row| row.id == *id);
            if snapshot.identity == Some(identity) && libraries.iter().all(is_current) {
                return Ok(());
            }
        }
        Err(Error::new(
            Status::Store,
            "the libraries were cleared during each attempt: try again later",
        ))
    }

    /// Invalidates the paths of one file: all its spellings.
    pub fn invalidate_paths(&self, library: &Selection, paths: &[&[u8]]) -> Result<()> {
        self.retry(|| self.forget_paths(library, paths, paths.len()))?;
        self.records.flush_removals(Deadline::NONE)
    }

    /// Invalidates a path by this host's spelling and by the server's. That may be another file here, so a match of it
    /// stays.
    pub fn invalidate_spellings(&self, library: &Selection, own: &[u8], server: &[u8]) -> Result<()> {
        self.retry(|| self.forget_paths(library, &[own, server], 1))?;
        self.records.flush_removals(Deadline::NONE)
    }

    /// Reads a snapshot whose segments are whole. A match in a segment that cannot be read would not be removed, and would
    /// reappear.
    pub(super) fn read_whole<T>(&self, read: impl Fn(&Snapshot) -> Result<T>) -> Result<T> {
        for _ in 0..2 {
            self.rebuild_broken(Deadline::NONE)?;
            let snapshot = self.snapshot();
            let found = read(&snapshot)?;
            if !snapshot.views.iter().any(|view| view.is_broken()) {
                return Ok(found);
            }
        }
        Err(segments_lost())
    }

    /// Marks the paths as unverified, and removes the confirmed matches of the first `removed` of them.
    fn forget_paths(&self, library: &Selection, paths: &[&[u8]], removed: usize) -> Result<Option<WriteTarget>> {
        let read = self.read_whole(|snapshot| {
            let (Some(identity), Resolved::Scope(scope)) = (snapshot.identity, library.resolve(snapshot)?) else {
                return Ok(None); // nothing is known, so nothing has to be invalidated
            };
            let mut confirmed = Vec::new();
            let mut listed = Vec::new();
            for index in places(scope, snapshot.rows.len()) {
                let row = &snapshot.rows[index];
                // In a library that was never listed, only items from searches, or from a listing under way, can be
                // wrong.
                let library_scope = Scope::One(index);
                let is_listed = row.generation.is_fetched() || ListingRows(&self.store).listing(row.id)?.is_some();
                for (at, path) in paths.iter().enumerate() {
                    let before = confirmed.len();
                    if at < removed {
                        snapshot.views[index].confirmed_paths(path, |exact| confirmed.push((row.id, exact.to_vec())));
                    }
                    let resolver = || Resolver::new(&snapshot.views, library_scope, self.mappings());
                    // The path of a match that goes is marked with it.
                    if confirmed.len() == before
                        && (is_listed || resolver().resolve(path).match_kind != MatchKind::None)
                    {
                        listed.push((row.id, *path, ""));
                    }
                }
            }
            let ids = ids_of(&snapshot.rows, scope);
            Ok(Some((identity, ids, listed, confirmed)))
        })?;
        let Some((identity, ids, listed, confirmed)) = read else {
            return Ok(None);
        };
        let asked = LocalWrite::Paths(&ids, &paths[..removed]);
        self.invalidate_both(identity, &asked, &listed, &confirmed)?;
        Ok(Some((identity, ids)))
    }

    /// Marks what is `unverified`, removes the matches in `confirmed`, and shows it in the snapshot. `asked`: what the
    /// host asked for.
    fn invalidate_both(
        &self,
        identity: IdentityId,
        asked: &LocalWrite<'_>,
        unverified: &[(LibraryId, &[u8], &str)],
        confirmed: &[(LibraryId, Vec<u8>)],
    ) -> Result<()> {
        let at = LibraryRows(&self.store).invalidate(identity, asked, unverified, confirmed, Deadline::NONE)?;
        let forgotten = confirmed
            .iter()
            .flat_map(|(id, path)| FORGOTTEN.map(|kind| (*id, kind, &path[..], "")));
        let unverified = unverified
            .iter()
            .map(|(id, path, key)| (*id, unverified_kind(path), *path, *key));
        self.apply_own(identity, at, &forgotten.chain(unverified).collect::<Vec<_>>());
        Ok(())
    }

    /// The confirmed matches of an item in these libraries.
    pub fn matches_of_item(&self, libraries: &[LibraryId], rating_key: &str) -> Result<Vec<(LibraryId, Vec<u8>)>> {
        self.catch_up(Deadline::NONE)?;
        self.read_whole(|snapshot| {
            let views = snapshot.rows.iter().zip(&snapshot.views);
            let paths = views
                .filter(|(row, _)| libraries.contains(&row.id))
                .flat_map(|(row, view)| view.paths_of(rating_key).into_iter().map(|path| (row.id, path)));
            Ok(paths.collect())
        })
    }

    pub fn invalidate_item(&self, library: &Selection, rating_key: &str) -> Result<()> {
        self.retry(|| {
            let Some((identity, ids)) = self.resolve_selection(library)? else {
                return Ok(None);
            };
            let confirmed = self.matches_of_item(&ids, rating_key)?;
            let asked = LocalWrite::Items {
                libraries: &ids,
                rating_keys: &[rating_key],
                with_matches: true,
            };
            let unverified: Vec<_> = ids.iter().map(|id| (*id, &b""[..], rating_key)).collect();
            self.invalidate_both(identity, &asked, &unverified, &confirmed)?;
            Ok(Some((identity, ids)))
        })?;
        self.records.flush_removals(Deadline::NONE)
    }

    /// Invalidates the selected libraries; with `None`, all libraries of the identity.
    pub fn invalidate(&self, library: Option<&Selection>) -> Result<()> {
        let selected = library.filter(|library| *library.selector() != Selector::All);
        self.retry(|| {
            let Some(library) = selected else {
                let Some(identity) = self.identity() else {
                    return Ok(None);
                };
                LibraryRows(&self.store).invalidate_libraries(identity, None, Deadline::NONE)?;
                return Ok(Some((identity, Vec::new())));
            };
            let Some((identity, ids)) = self.resolve_selection(library)? else {
                return Ok(None);
            };
            for id in &ids {
                LibraryRows(&self.store).invalidate_libraries(identity, Some(*id), Deadline::NONE)?;
            }
            Ok(Some((identity, ids)))
        })?;
        match selected {
            Some(library) => log::info!("library '{}' was invalidated", library.selector().name()),
            None => log::info!("all libraries were invalidated"),
        }
        Ok(())
    }

    /// The identity and the library numbers that a selection resolves to; `None` if the library is unknown.
    fn resolve_selection(&self, library: &Selection) -> Result<Option<WriteTarget>> {
        let snapshot = self.snapshot();
        let (Some(identity), Resolved::Scope(scope)) = (snapshot.identity, library.resolve(&snapshot)?) else {
            return Ok(None);
        };
        Ok(Some((identity, ids_of(&snapshot.rows, scope))))
    }
}

/// The ids of the libraries of a scope.
fn ids_of(rows: &[LibraryRow], scope: Scope) -> Vec<LibraryId> {
    places(scope, rows.len()).map(|index| rows[index].id).collect()
}
