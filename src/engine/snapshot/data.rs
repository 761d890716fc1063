//! A snapshot: the libraries in one view, with their segments and memtables.

use std::sync::Arc;

use crate::engine::current::SnapshotOf;
use crate::engine::segment::ListingSegment;
use crate::engine::sql::LibraryRow;
use crate::engine::view::LibrarySnapshot;
use crate::freshness::{Age, has_changed_content};
use crate::matching::{FoundItem, LibraryIndex, Mappings, NormalPath, Scope};
use crate::model::{Sequence, ViewId};

/// The snapshot of the libraries that lookups read. plexindex adds changes to single matches and items to the snapshot,
/// and replaces the snapshot after any other change.
pub type Snapshot = SnapshotOf<SnapshotLibraries>;

/// The libraries in a snapshot.
#[derive(Default)]
pub struct SnapshotLibraries {
    /// The view's id; `None` until plexindex first reached the server.
    pub view_id: Option<ViewId>,
    /// The libraries, in the server's order.
    pub rows: Vec<LibraryRow>,
    /// The segments and memtables of the libraries, in the order of `rows`.
    pub libraries: Vec<Arc<LibrarySnapshot>>,
    /// Whether a segment is missing or damaged, or was built with different mappings.
    pub is_incomplete: bool,
}

impl Snapshot {
    /// Returns the rows of the libraries in a scope.
    pub fn rows_in(&self, scope: Scope) -> &[LibraryRow] {
        &self.rows[library_indexes(scope, self.rows.len())]
    }

    /// Returns the change sequence before the last probe that the snapshot includes.
    pub fn probed_sequence(&self) -> Sequence {
        let probed = self.rows.iter().map(|row| row.probed_sequence);
        probed.max().unwrap_or_default()
    }

    /// Returns the segments and memtables of the libraries in a scope.
    pub fn libraries_in(&self, scope: Scope) -> &[Arc<LibrarySnapshot>] {
        &self.libraries[library_indexes(scope, self.libraries.len())]
    }

    /// Returns whether the item with this rating key, the requested path (`queried`) or the matched path (`path`) is
    /// invalidated, so that a request must verify the answer. `library_index`: the library's index in `libraries`.
    pub fn is_unverified(&self, library_index: usize, queried: &NormalPath<'_>, path: &[u8], rating_key: &str) -> bool {
        self.libraries[library_index].is_unverified(queried, path, rating_key)
    }

    /// Returns the number of components that a found item's listed path has below its library's location.
    pub fn components_below_location(&self, found: &FoundItem<'_>) -> usize {
        NormalPath::with(found.path, |listed| {
            self.libraries[found.library].components_below_location(listed)
        })
    }

    /// Returns for each library, in the order of `libraries`, whether one of its folders contains the path itself or
    /// the server path that a mapping gives for it.
    pub fn owners(&self, path: &NormalPath<'_>, mappings: &Mappings) -> Vec<bool> {
        self.libraries
            .iter()
            .map(|view| {
                view.owns(path)
                    || mappings
                        .to_server(path, |mapped| {
                            NormalPath::with(mapped, |mapped| view.owns(mapped).then_some(()))
                        })
                        .is_some()
            })
            .collect()
    }
}

/// Returns whether a new snapshot can reuse a segment: the segment is open and not damaged.
pub(super) fn is_usable(segment: Option<&Arc<ListingSegment>>) -> bool {
    segment.is_some_and(|segment| !segment.is_broken())
}

/// Returns the age of a library's listing and other facts from which plexindex decides whether to refresh the library.
pub fn listing_age(row: &LibraryRow) -> Age {
    Age {
        listed: row.generation.is_fetched(),
        listed_ms: row.listed_ms,
        checked_ms: row.checked_ms,
        provisional: row.provisional,
        due: row.due,
        held_back: row.held_back,
        unexplained: row.unexplained,
        unsettled: row.provisional && has_changed_content(&row.listed_token, &row.library.change),
        partial: row.partial,
        items: row.items,
        hint: row.hint,
        trust: row.library.change.trust,
        // Only the source knows whether its files have changed, so the caller may set this field later.
        source_changed: false,
    }
}

/// Returns the index range of the libraries in a scope. `count`: the total number of libraries.
pub fn library_indexes(scope: Scope, count: usize) -> std::ops::Range<usize> {
    match scope {
        Scope::One(index) => index..index + 1,
        Scope::All => 0..count,
    }
}
