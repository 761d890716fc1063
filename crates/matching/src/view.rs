//! The trait that matching needs of a library. `engine::view` implements it; tests implement it by a linear scan.

use super::normal::{Normal, Spelling};
use super::resolution::{FoundItem, ItemRef};
use crate::model::MatchKind;

/// The time of a fact: a change sequence, then the order of changes in the memtable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactTime {
    /// The change sequence at which the listing was completed, the single item was added, or the match was recorded.
    pub sequence: u64,
    /// 0 for facts of a segment; later changes count up.
    pub order: u64,
}

/// Number of the first entry with a hash in a view's segment; `None` if there is none or it was not looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstEntry(pub Option<std::num::NonZero<u32>>);

/// One library. All methods are lock-free and allocate nothing.
pub trait View {
    /// A listed or recorded path of an item: cheap to copy, decoded on demand.
    type Hit<'v>: Copy
    where
        Self: 'v;

    /// Returns whether a listing was ever completed.
    fn fetched(&self) -> bool;

    /// Returns whether the path lies under one of the library's locations.
    fn owns(&self, path: &Normal<'_>) -> bool;

    /// Number of components of a listed path below its location; 0 outside all locations. If locations are nested, the
    /// outermost counts.
    fn below(&self, listed: &Normal<'_>) -> usize;

    /// Returns whether the library has confirmed matches or a memtable with changes. If not, confirmed matches are not
    /// searched.
    fn may_be_recorded(&self) -> bool;

    /// Shortcut for most lookups: the rating key of the one item that lists exactly these bytes.
    /// [`MatchKind::Confirmed`] if that match is recorded, else [`MatchKind::Exact`]. After `None` the caller resolves
    /// the path.
    fn unique_hit<'v>(&'v self, path: &Normal<'_>, first: FirstEntry) -> Option<(&'v str, MatchKind)>;

    /// [`View::unique_hit`] for a path that is not ASCII, by its spelling.
    fn unique_hit_spelled<'v>(&'v self, path: &Spelling<'_>, first: FirstEntry) -> Option<(&'v str, MatchKind)>;

    /// Returns the stored normal form of the path that is listed in this spelling, if there is one. `first`: first
    /// entry of the spelling's hash.
    fn form_of<'v>(&'v self, path: &Spelling<'_>, first: FirstEntry) -> Option<&'v [u8]>;

    /// Prefetch hint: the caller looks for paths with this hash next.
    fn prefetch(&self, hash: u64);

    /// Looks up the first entry of a hash, and prefetches its path and form, which together have this length.
    fn first(&self, hash: u64, length: usize) -> FirstEntry;

    /// Returns the listed path of this entry.
    fn hit_of_entry(&self, first: FirstEntry) -> Option<Self::Hit<'_>>;

    /// Calls `each` for the confirmed matches of paths with this normal form.
    fn recorded<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>));

    /// Calls `each` for the listed paths with this normal form, and with whether the raw bytes are equal too.
    fn listed<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// Calls `each` for the listed paths that a server-to-host rule maps to this normal form, and with whether the raw
    /// bytes are equal too.
    fn mapped<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// Finds the listed paths with the longest common suffix of at least `least` components (and one). Calls `each`
    /// with the number of common components, the same in all calls, and a path, for at least 16 distinct items if there
    /// are as many. Returns how many further paths share that suffix.
    fn suffix_matches<'v>(&'v self, path: &Normal<'_>, least: usize, each: impl FnMut(usize, Self::Hit<'v>)) -> usize;

    /// Returns a path of the listed item with this rating key; an empty one for an item without files.
    fn find<'v>(&'v self, rating_key: &str) -> Option<Self::Hit<'v>>;

    /// Returns the rating key and the path, as it was listed or recorded.
    fn facts<'v>(&'v self, hit: Self::Hit<'v>) -> (&'v str, &'v [u8]);

    /// Returns the item; for a confirmed match only its key.
    fn item<'v>(&'v self, hit: Self::Hit<'v>) -> ItemRef<'v>;

    /// Writes [`View::item`] and the path into `found`: cheaper than both calls and a copy.
    fn show<'v>(&'v self, hit: Self::Hit<'v>, found: &mut FoundItem<'v>) {
        found.item = self.item(hit);
        found.path = self.facts(hit).1;
    }

    /// Returns when the path was listed or recorded.
    fn stamp(&self, hit: Self::Hit<'_>) -> FactTime;

    /// Returns whether the requested path, the matched path or the item was invalidated and not verified since.
    fn is_unverified(&self, question: &Normal<'_>, path: &[u8], rating_key: &str) -> bool;

    /// Returns whether a checksum failed: results are meaningless until the segment is rebuilt.
    fn broken(&self) -> bool;
}
