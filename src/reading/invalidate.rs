//! What hosts say is wrong: paths, items and libraries invalidated.

use super::catch_up::Reading;
use super::selection::{Resolved, Selection};
use super::snapshot::places;
use crate::error::Result;
use crate::matching::{Scope, View, climb};
use crate::model::{LibraryId, Rung};

impl Reading {
    pub fn invalidate_path(&self, library: &Selection, path: &[u8]) -> Result<()> {
        self.forget_path(library, path, false)
    }

    /// `again`: an image was found to be damaged on the way.
    fn forget_path(&self, library: &Selection, path: &[u8], again: bool) -> Result<()> {
        self.catch_up()?;
        // What is not seen cannot be forgotten, and would come back.
        self.rebuild_broken()?;
        let (identity, listed, confirmed) = {
            let snapshot = self.snapshot();
            let (Some(identity), Resolved::Scope(scope)) = (snapshot.identity, library.resolve(&snapshot)?) else {
                return Ok(()); // nothing is known, so nothing has to be invalidated
            };
            let mut confirmed = Vec::new();
            let mut listed = Vec::new();
            for place in places(scope, snapshot.rows.len()) {
                let row = &snapshot.rows[place];
                // Of one that was never fetched only what a query found can be wrong.
                let one = Scope::One(place);
                if row.generation.is_fetched() || climb(&snapshot.views, one, &self.mappings, path).rung != Rung::None {
                    listed.push(row.id);
                }
                snapshot.views[place].confirmed_paths(path, |exact| confirmed.push((row.id, exact.to_vec())));
            }
            if snapshot.views.iter().any(|view| view.broken()) && !again {
                drop(snapshot);
                return self.forget_path(library, path, true);
            }
            (identity, listed, confirmed)
        };
        self.store.invalidate_path(identity, &listed, path, &confirmed)?;
        self.catch_up()
    }

    pub fn invalidate_item(&self, library: &Selection, rating_key: &str) -> Result<()> {
        self.catch_up()?;
        let (identity, libraries) = {
            let snapshot = self.snapshot();
            let (Some(identity), Resolved::Scope(scope)) = (snapshot.identity, library.resolve(&snapshot)?) else {
                return Ok(());
            };
            let ids: Vec<LibraryId> = places(scope, snapshot.rows.len())
                .map(|place| snapshot.rows[place].id)
                .collect();
            (identity, ids)
        };
        self.store.invalidate_item(identity, &libraries, rating_key)?;
        self.catch_up()
    }

    pub fn invalidate(&self, library: Option<&Selection>) -> Result<()> {
        self.catch_up()?;
        let (identity, id) = {
            let snapshot = self.snapshot();
            let Some(identity) = snapshot.identity else {
                return Ok(());
            };
            let id = match library {
                None => None,
                Some(library) => match library.resolve(&snapshot)? {
                    Resolved::Scope(Scope::All) => None,
                    Resolved::Scope(Scope::One(place)) => Some(snapshot.rows[place].id),
                    Resolved::Unknown => return Ok(()),
                },
            };
            (identity, id)
        };
        self.store.invalidate_libraries(identity, id)?;
        match library {
            Some(library) if id.is_some() => log::info!("library '{}' was invalidated", library.selector().name()),
            _ => log::info!("all libraries were invalidated"),
        }
        self.catch_up()
    }
}
