//! A snapshot: the libraries in one view, with their segments and memtables.

use std::sync::Arc;

use crate::engine::current::SnapshotOf;
use crate::engine::segment::ListingSegment;
use crate::engine::sql::LibraryRow;
use crate::engine::view::LibrarySnapshot;
use crate::matching::{FoundItem, HitDoubt, LibraryIndex, Mappings, NormalPath, Scope};
use crate::model::{Sequence, ViewId};

/// The snapshot of the libraries that lookups read. plexindex adds changes to single matches and items to the snapshot,
/// and replaces the snapshot after any other change.
pub type Snapshot = SnapshotOf<SnapshotLibraries>;

/// The libraries in a snapshot.
#[derive(Default)]
pub struct SnapshotLibraries {
    /// The view's id; `None` until plexindex first reached the server.
    pub view_id: Option<ViewId>,
    /// The libraries, in the order in which plexindex first saw them.
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

    /// Returns the ticket of the last probe that the snapshot includes.
    pub fn probed_at(&self) -> Sequence {
        let probed = self.rows.iter().map(LibraryRow::probed_at);
        probed.max().unwrap_or_default()
    }

    /// Returns the segments and memtables of the libraries in a scope.
    pub fn libraries_in(&self, scope: Scope) -> &[Arc<LibrarySnapshot>] {
        &self.libraries[library_indexes(scope, self.libraries.len())]
    }

    /// Returns whether the process knows all confirmed matches of the libraries in a scope.
    #[inline]
    pub fn knows_all_matches(&self, scope: Scope) -> bool {
        let knows =
            |view: &Arc<LibrarySnapshot>| view.matches.as_ref().is_none_or(|matches| matches.memory.is_settled());
        self.libraries_in(scope).iter().all(knows)
    }

    /// Returns whether matches of the libraries in a scope were read after a change sequence, at which a lookup began: it
    /// may have seen them, but not what else was changed with them.
    #[inline]
    pub fn has_matches_after(&self, sequence: Sequence, scope: Scope) -> bool {
        let is_newer = |view: &Arc<LibrarySnapshot>| {
            view.matches
                .as_ref()
                .is_some_and(|known| known.memory.newest() > sequence.0)
        };
        self.libraries_in(scope).iter().any(is_newer)
    }

    /// Returns what is doubted about an item that the requested path (`queried`) leads to by the path `matched`.
    /// `library_index`: the library's index in `libraries`.
    pub fn doubt(&self, library_index: usize, queried: &NormalPath<'_>, matched: &[u8], rating_key: &str) -> HitDoubt {
        self.libraries[library_index].doubt(queried, matched, rating_key)
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

/// Returns the index range of the libraries in a scope. `count`: the total number of libraries.
pub fn library_indexes(scope: Scope, count: usize) -> std::ops::Range<usize> {
    match scope {
        Scope::One(index) => index..index + 1,
        Scope::All => 0..count,
    }
}
