//! Invalidates paths, items and libraries, without a deadline, because a wrong answer is worse than a delay.

use super::lookup::segments_lost_error;
use super::reading_state::IndexReader;
use super::selection::{Resolved, Selection, Selector};
use crate::engine::{Invalidated, LibraryRow, LibraryRows, Snapshot, library_indexes};
use crate::error::{Error, Result, Status};
use crate::matching::{LibraryIndex, Scope};
use crate::model::{LibraryId, ViewId};
use crate::platform::clock::Deadline;

/// Maximum number of attempts for a write while other threads clear the same library.
pub const MAX_RETRIES: u32 = 100;

/// Returns the error for a library that other calls cleared during all [`MAX_RETRIES`] attempts.
pub fn cleared_repeatedly_error(library: &str) -> Error {
    Error::new(
        Status::Store,
        format!("cannot use library '{library}': other calls cleared it during each attempt; try again later"),
    )
}

/// The view's id, and the ids of the libraries that a write changed.
type WriteTarget = (ViewId, Vec<LibraryId>);

impl IndexReader {
    /// Repeats `write` until no other call has cleared the changed libraries during the write, because a cleared
    /// library gets a new id. `write` returns the view and the libraries that it changed, or `None` if there was
    /// nothing to change.
    ///
    /// Stops without an error if another thread sets a token with a different view, which the write must not change.
    pub fn retry_until_current(&self, mut write: impl FnMut() -> Result<Option<WriteTarget>>) -> Result<()> {
        let token_number = self.tokens.current().number();
        for attempt in 0..MAX_RETRIES {
            self.catch_up(Deadline::NONE)?;
            if attempt > 0 && self.tokens.current_if_same_view(token_number).is_none() {
                return Ok(());
            }
            let Some((view_id, libraries)) = write()? else {
                // If a retry has nothing to change, an earlier attempt has already succeeded.
                return if attempt == 0 { self.check_accepted() } else { Ok(()) };
            };
            self.catch_up(Deadline::NONE)?;
            let snapshot = self.snapshot();
            let is_current = |id: &LibraryId| snapshot.rows.iter().any(|row| row.id == *id);
            if snapshot.view_id == Some(view_id) && libraries.iter().all(is_current) {
                return Ok(());
            }
        }
        Err(Error::new(
            Status::Store,
            "cannot write: other calls cleared the libraries during each attempt; try again later",
        ))
    }

    /// Invalidates paths in the selected libraries, and removes the paths' confirmed matches.
    pub fn invalidate_paths(&self, library: &Selection, paths: &[&[u8]]) -> Result<()> {
        let names: Vec<_> = paths.iter().map(|path| (*path, "")).collect();
        self.invalidate_each(library, &names)
    }

    /// Returns the result of `read` for a snapshot without damaged segments. Repairs damaged segments first.
    pub(super) fn read_undamaged<T>(&self, read: impl Fn(&Snapshot) -> Result<T>) -> Result<T> {
        for _ in 0..2 {
            self.rebuild_broken(Deadline::NONE)?;
            let snapshot = self.snapshot();
            let result = read(&snapshot)?;
            if !snapshot.libraries.iter().any(|view| view.is_broken()) {
                return Ok(result);
            }
        }
        Err(segments_lost_error())
    }

    /// Invalidates paths or items, each a path and a rating key of which one is empty, and removes their confirmed matches.
    fn invalidate_each(&self, library: &Selection, names: &[(&[u8], &str)]) -> Result<()> {
        self.retry_until_current(|| {
            let Some((view_id, ids)) = self.resolve_selection(library)? else {
                return Ok(None);
            };
            // Also in libraries that the server does not list now: they may come back.
            let gone = LibraryRows(&self.store).gone_libraries(view_id)?;
            let mut invalidated = Vec::new();
            for library in ids.iter().chain(&gone) {
                invalidated.extend(names.iter().map(|(path, rating_key)| Invalidated {
                    library: *library,
                    path,
                    rating_key,
                }));
            }
            LibraryRows(&self.store).invalidate(&invalidated, Deadline::NONE)?;
            Ok(Some((view_id, ids)))
        })
    }

    /// Returns the rating keys among `matches` that a listed library lacks, so that the server must be asked about them.
    pub fn unlisted<'m>(&self, row: &LibraryRow, matches: &[(&[u8], &'m str)]) -> Vec<&'m str> {
        let snapshot = self.snapshot();
        let index = snapshot
            .rows
            .iter()
            .position(|other| other.id == row.id && other.generation.is_fetched());
        let Some(view) = index.map(|index| &snapshot.libraries[index]) else {
            return Vec::new();
        };
        let keys = matches.iter().map(|(_, key)| *key);
        keys.filter(|key| view.find_item(key).is_none()).collect()
    }

    /// Invalidates an item in the selected libraries, and removes the item's confirmed matches.
    pub fn invalidate_item(&self, library: &Selection, rating_key: &str) -> Result<()> {
        self.invalidate_each(library, &[(b"", rating_key)])
    }

    /// Invalidates the selected libraries (`None`: all libraries in the view), so that each needs a full listing.
    pub fn invalidate(&self, library: Option<&Selection>) -> Result<()> {
        let selected = library.filter(|library| *library.selector() != Selector::All);
        self.retry_until_current(|| {
            let Some(library) = selected else {
                let Some(view_id) = self.view_id() else {
                    return Ok(None);
                };
                LibraryRows(&self.store).invalidate_libraries(view_id, None, Deadline::NONE)?;
                // No library id to check: the write covers all libraries that exist now.
                return Ok(Some((view_id, Vec::new())));
            };
            let Some((view_id, ids)) = self.resolve_selection(library)? else {
                return Ok(None);
            };
            for id in &ids {
                LibraryRows(&self.store).invalidate_libraries(view_id, Some(*id), Deadline::NONE)?;
            }
            Ok(Some((view_id, ids)))
        })?;
        match selected {
            Some(library) => log::info!("invalidated library '{}'", library.selector().name()),
            None => log::info!("invalidated all libraries"),
        }
        Ok(())
    }

    /// Returns the view's id and the ids of the selected libraries, none if the server lists no such library; `None` if
    /// nothing is stored. Repairs damaged segments first, because a fast lookup after the write cannot.
    fn resolve_selection(&self, library: &Selection) -> Result<Option<WriteTarget>> {
        self.rebuild_broken(Deadline::NONE)?;
        let snapshot = self.snapshot();
        let Some(view_id) = snapshot.view_id else {
            return Ok(None);
        };
        let ids = match library.resolve(&snapshot)? {
            Resolved::Scope(scope) => ids_of(&snapshot.rows, scope),
            Resolved::Unknown => Vec::new(),
        };
        Ok(Some((view_id, ids)))
    }
}

/// Returns the ids of the libraries in a scope.
fn ids_of(rows: &[LibraryRow], scope: Scope) -> Vec<LibraryId> {
    library_indexes(scope, rows.len()).map(|index| rows[index].id).collect()
}
