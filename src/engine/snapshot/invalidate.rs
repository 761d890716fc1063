//! What hosts say is wrong: paths, items and libraries invalidated.

use super::data::places;
use super::reading::Reading;
use super::selection::{Resolved, Selection, Selector};
use crate::engine::sql::LibraryRow;
use crate::error::{Error, Result, Status};
use crate::matching::{Scope, View, climb};
use crate::model::{IdentityId, LibraryId, Rung};

/// How often a library is looked for that others clear at the same time. A thread of a busy machine may be outrun more often
/// than not, by sixteen others that clear.
pub const MAX_RETRIES: u32 = 100;

/// What is said then.
pub fn cleared_again(library: &str) -> Error {
    Error::new(
        Status::Store,
        format!("library '{library}' is cleared again and again: try again later"),
    )
}

/// An identity, and the numbers of its libraries that a write concerned.
type Told = (IdentityId, Vec<LibraryId>);

impl Reading {
    /// Tells the store something, until it concerns what answers: what is cleared, or gets its name, in between lives under
    /// other numbers. `tell` gives what it told of; `None` when there is nothing to tell. Once it told something, no other
    /// user's view is told it: one whose token is set meanwhile.
    pub fn retry(&self, mut tell: impl FnMut() -> Result<Option<Told>>) -> Result<()> {
        let session = self.tokens.current().number();
        for attempt in 0..MAX_RETRIES {
            self.catch_up()?;
            if attempt > 0 && self.tokens.current_for(session).is_none() {
                return Ok(());
            }
            let Some((identity, libraries)) = tell()? else {
                // After a write that was made there is nothing more to tell.
                return if attempt == 0 { self.check_accepted() } else { Ok(()) };
            };
            self.catch_up()?;
            let snapshot = self.snapshot();
            let lives = |id: &LibraryId| snapshot.rows.iter().any(|row| row.id == *id);
            if snapshot.identity == Some(identity) && libraries.iter().all(lives) {
                return Ok(());
            }
        }
        Err(Error::new(
            Status::Store,
            "what this concerns is cleared again and again: try again later",
        ))
    }

    /// Invalidates one file's paths: as it was given, and as else it is asked for.
    pub fn invalidate_paths(&self, library: &Selection, paths: &[&[u8]]) -> Result<()> {
        self.retry(|| self.forget_paths(library, paths, false))?;
        self.records.settle()
    }

    /// `again`: a segment was found to be damaged on the way.
    fn forget_paths(&self, library: &Selection, paths: &[&[u8]], again: bool) -> Result<Option<Told>> {
        // What is not seen cannot be forgotten, and would come back.
        self.rebuild_broken()?;
        let (identity, ids, listed, confirmed) = {
            let snapshot = self.snapshot();
            let (Some(identity), Resolved::Scope(scope)) = (snapshot.identity, library.resolve(&snapshot)?) else {
                return Ok(None); // nothing is known, so nothing has to be invalidated
            };
            let mut confirmed = Vec::new();
            let mut listed = Vec::new();
            for place in places(scope, snapshot.rows.len()) {
                let row = &snapshot.rows[place];
                // Of one that was never fetched only what a query found can be wrong, or what a listing under way has read.
                let one = Scope::One(place);
                let is_listed = row.generation.is_fetched() || self.store.listing(row.id)?.is_some();
                for path in paths {
                    if is_listed || climb(&snapshot.views, one, &self.mappings, path).rung != Rung::None {
                        listed.push((row.id, *path));
                    }
                    snapshot.views[place].confirmed_paths(path, |exact| confirmed.push((row.id, exact.to_vec())));
                }
            }
            if snapshot.views.iter().any(|view| view.broken()) && !again {
                drop(snapshot);
                return self.forget_paths(library, paths, true);
            }
            (identity, ids_of(&snapshot.rows, scope), listed, confirmed)
        };
        self.store.invalidate_paths(identity, &listed, &confirmed)?;
        Ok(Some((identity, ids)))
    }

    pub fn invalidate_item(&self, library: &Selection, rating_key: &str) -> Result<()> {
        self.retry(|| {
            let Some((identity, ids)) = self.meant(library)? else {
                return Ok(None);
            };
            self.store.invalidate_item(identity, &ids, rating_key)?;
            Ok(Some((identity, ids)))
        })?;
        self.records.settle()
    }

    pub fn invalidate(&self, library: Option<&Selection>) -> Result<()> {
        let one = library.filter(|library| *library.selector() != Selector::All);
        self.retry(|| {
            let Some(library) = one else {
                let Some(identity) = self.identity() else {
                    return Ok(None);
                };
                self.store.invalidate_libraries(identity, None)?;
                return Ok(Some((identity, Vec::new())));
            };
            let Some((identity, ids)) = self.meant(library)? else {
                return Ok(None);
            };
            for id in &ids {
                self.store.invalidate_libraries(identity, Some(*id))?;
            }
            Ok(Some((identity, ids)))
        })?;
        match one {
            Some(library) => log::info!("library '{}' was invalidated", library.selector().name()),
            None => log::info!("all libraries were invalidated"),
        }
        Ok(())
    }

    /// The identity and the numbers of what a library means now; `None` where nothing is known of it.
    fn meant(&self, library: &Selection) -> Result<Option<Told>> {
        let snapshot = self.snapshot();
        let (Some(identity), Resolved::Scope(scope)) = (snapshot.identity, library.resolve(&snapshot)?) else {
            return Ok(None);
        };
        Ok(Some((identity, ids_of(&snapshot.rows, scope))))
    }
}

/// The numbers of the libraries that a scope means.
fn ids_of(rows: &[LibraryRow], scope: Scope) -> Vec<LibraryId> {
    places(scope, rows.len()).map(|place| rows[place].id).collect()
}
