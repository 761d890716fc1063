//! The trait through which matching reads a library. `engine::view` implements it, and tests implement it by a linear
//! scan.

use super::normal::{Normal, Spelling};
use super::resolution::{FoundItem, ItemRef};
use crate::model::MatchKind;

/// When a path was listed or recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactTime {
    /// The change sequence at which the listing was completed, the single item was added, or the match was recorded.
    pub sequence: u64,
    /// The order of changes with the same sequence: 0 in a segment, and counted up in the memtable.
    pub order: u64,
}

/// The number of the first entry with a hash in a view's segment. `None` if there is no such entry, or if the caller
/// did not look it up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstEntry(pub Option<std::num::NonZero<u32>>);

/// One library as one user sees it. All methods are lock-free and allocate nothing.
pub trait LibraryIndex {
    /// A path that is listed or recorded, with its item. A hit is cheap to copy, since its fields are decoded on
    /// demand.
    type Hit<'v>: Copy
    where
        Self: 'v;

    /// Returns whether a listing was ever completed.
    fn is_fetched(&self) -> bool;

    /// Returns whether the path lies under one of the library's locations.
    fn owns(&self, path: &Normal<'_>) -> bool;

    /// Returns how many components a listed path has below its location; 0 outside all locations. If locations are
    /// nested, the outermost counts.
    fn components_below_location(&self, listed: &Normal<'_>) -> usize;

    /// Returns `false` if the library has no confirmed matches, so that the caller need not search them.
    fn may_have_confirmed(&self) -> bool;

    /// Returns the rating key if exactly one item lists exactly these bytes. Most lookups take this fast path. The kind
    /// is [`MatchKind::Confirmed`] if the match is recorded too, else [`MatchKind::Exact`]. After `None` the caller
    /// resolves the path.
    fn unique_hit<'v>(&'v self, path: &Normal<'_>, entry: FirstEntry) -> Option<(&'v str, MatchKind)>;

    /// Returns the rating key as [`LibraryIndex::unique_hit`] does, for a path that is not ASCII, by its spelling.
    fn unique_hit_spelled<'v>(&'v self, path: &Spelling<'_>, entry: FirstEntry) -> Option<(&'v str, MatchKind)>;

    /// Returns the stored normal form of the path that is listed with this spelling; `None` if no such path is listed.
    /// `entry` is the first entry of the spelling's hash.
    fn stored_form<'v>(&'v self, path: &Spelling<'_>, entry: FirstEntry) -> Option<&'v [u8]>;

    /// Loads the memory of the index entries with this hash into the cache, since the caller looks for the hash next.
    fn prefetch(&self, hash: u64);

    /// Looks up the first entry of a hash. Prefetches the stored path and form, which together have this length.
    fn first_entry(&self, hash: u64, length: usize) -> FirstEntry;

    /// Returns the listed path of an entry that [`LibraryIndex::unique_hit`] accepted.
    fn hit_of_entry(&self, entry: FirstEntry) -> Option<Self::Hit<'_>>;

    /// Calls `each` for the confirmed matches of paths with this normal form.
    fn each_confirmed<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>));

    /// Calls `each` for the listed paths with this normal form. The second argument says whether the raw bytes are
    /// equal too.
    fn each_listed<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// Calls `each` for the listed paths that a server-to-host rule maps to this normal form. The second argument says
    /// whether the raw bytes are equal too.
    fn each_mapped<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// Finds the listed paths with the longest common suffix, if the suffix has at least `min_components` components
    /// (and at least one). Calls `each` with the number of common components, the same in all calls, and a path.
    /// Reports at least 16 distinct items if there are as many. Returns how many further paths share that suffix.
    fn suffix_matches<'v>(
        &'v self,
        path: &Normal<'_>,
        min_components: usize,
        each: impl FnMut(usize, Self::Hit<'v>),
    ) -> usize;

    /// Returns the first path of the listed item with this rating key; an empty path for an item without files.
    fn find_item<'v>(&'v self, rating_key: &str) -> Option<Self::Hit<'v>>;

    /// Returns the rating key, and the path as it was listed or recorded.
    fn key_and_path<'v>(&'v self, hit: Self::Hit<'v>) -> (&'v str, &'v [u8]);

    /// Returns the item; for a confirmed match only its key.
    fn item<'v>(&'v self, hit: Self::Hit<'v>) -> ItemRef<'v>;

    /// Writes the item and the path into `found`, without a copy of the item.
    fn fill_found<'v>(&'v self, hit: Self::Hit<'v>, found: &mut FoundItem<'v>) {
        found.item = self.item(hit);
        found.path = self.key_and_path(hit).1;
    }

    /// Returns when the path was listed or recorded.
    fn fact_time(&self, hit: Self::Hit<'_>) -> FactTime;

    /// Returns whether the requested path, the matched path or the item was invalidated and not verified since.
    fn is_unverified(&self, requested: &Normal<'_>, matched: &[u8], rating_key: &str) -> bool;

    /// Returns whether a checksum failed: results are meaningless until the segment is rebuilt.
    fn is_broken(&self) -> bool;
}
