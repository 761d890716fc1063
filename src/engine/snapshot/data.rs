//! A snapshot: the libraries of one user's view with their segments and memtables.

use std::sync::Arc;

use crate::engine::current::Shown;
use crate::engine::segment::ListingSegment;
use crate::engine::sql::LibraryRow;
use crate::engine::view::LibraryView;
use crate::freshness::Age;
use crate::matching::{LibraryIndex, Mappings, Normal, Scope};
use crate::model::IdentityId;

/// The state that lookups read. Changes of single matches and items are added in place; any other change replaces the
/// snapshot. It is outdated when the freshness in its rows is outdated. A call that can wait then reads the rows again;
/// fast lookups use the snapshot nevertheless.
pub type Snapshot = Shown<SnapshotLibraries>;

/// What a snapshot shows of the libraries.
#[derive(Default)]
pub struct SnapshotLibraries {
    /// The user's view of a server; `None` until the server was first reached.
    pub identity: Option<IdentityId>,
    /// The libraries, in the server's order.
    pub rows: Vec<LibraryRow>,
    /// Their segments and memtables, in the same order.
    pub views: Vec<Arc<LibraryView>>,
    /// A segment is missing, or was made under other mappings.
    pub incomplete: bool,
}

impl Snapshot {
    /// Returns the view of a library if a later snapshot can reuse it: the row names the same segments, and the change
    /// log has all changes since.
    pub fn reusable_view(&self, row: &LibraryRow) -> Option<&Arc<LibraryView>> {
        let index = self.rows.iter().position(|old| old.id == row.id)?;
        let (old, view) = (&self.rows[index], &self.views[index]);
        // A finished listing and an invalidation of all paths end invalidations, but the change log has no rows for
        // that.
        let is_same = (
            old.generation,
            old.listed_sequence,
            old.begun_sequence,
            old.due_sequence,
            old.matches,
        ) == (
            row.generation,
            row.listed_sequence,
            row.begun_sequence,
            row.due_sequence,
            row.matches,
        ) && (old.segment, old.segment_sequence) == (row.segment, row.segment_sequence)
            && (&old.library.uuid, &old.library.locations) == (&row.library.uuid, &row.library.locations)
            && (view.segment.is_none() && !row.generation.is_fetched() || usable(view.segment.as_ref()))
            && view.matches.as_ref().is_none_or(|matches| !matches.are_lost());
        is_same.then_some(view)
    }

    /// Returns the rows of the libraries of a scope.
    pub fn rows_in(&self, scope: Scope) -> &[LibraryRow] {
        &self.rows[places(scope, self.rows.len())]
    }

    /// Returns the views of the libraries of a scope.
    pub fn views_in(&self, scope: Scope) -> &[Arc<LibraryView>] {
        &self.views[places(scope, self.views.len())]
    }

    /// Returns whether an item, the path in the question or the path that was found is invalidated. `place`: the index
    /// of the library. `queried`: the path in the question.
    pub fn is_unverified(&self, place: usize, queried: &Normal<'_>, path: &[u8], rating_key: &str) -> bool {
        self.views[place].is_unverified(queried, path, rating_key)
    }

    /// Returns for each library whether the path, as given or mapped, lies in one of its folders.
    pub fn owners(&self, path: &Normal<'_>, mappings: &Mappings) -> Vec<bool> {
        self.views
            .iter()
            .map(|view| {
                view.owns(path)
                    || mappings
                        .to_server(path, |mapped| {
                            Normal::with(mapped, |mapped| view.owns(mapped).then_some(()))
                        })
                        .is_some()
            })
            .collect()
    }
}

/// Returns whether a new snapshot can reuse a segment of the last one.
pub(super) fn usable(segment: Option<&Arc<ListingSegment>>) -> bool {
    segment.is_some_and(|segment| !segment.is_broken())
}

/// Returns the age of a library's listing, from which the freshness rules decide whether to refresh it.
pub fn age(row: &LibraryRow) -> Age {
    Age {
        listed: row.generation.is_fetched(),
        listed_ms: row.listed_ms,
        checked_ms: row.checked_ms,
        provisional: row.provisional,
        due: row.due,
        held_back: row.held_back,
        partial: row.partial,
        items: row.items,
        hint: row.hint,
        trust: row.library.change.trust,
        moved: false,
    }
}

/// Returns the indexes of the libraries of a scope. `count`: the number of all libraries.
pub fn places(scope: Scope, count: usize) -> std::ops::Range<usize> {
    match scope {
        Scope::One(index) => index..index + 1,
        Scope::All => 0..count,
    }
}
