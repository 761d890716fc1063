//! One library as matching sees it. `engine::view` implements it; tests implement it by a linear scan.

use super::normal::{Normal, Spelling};
use super::resolution::{FoundItem, ItemRef};
use crate::model::Rung;

/// When a fact became known: at which change sequence, then the order of changes on top of the segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct FactTime {
    /// The change sequence: of a listing's facts when it began to answer, of a single item when it came, of a match when it
    /// was recorded.
    pub sequence: u64,
    /// 0 for facts of a segment; later changes count up.
    pub order: u64,
}

/// Number of the first entry with a hash in a view's segment; `None` if there is none or it was not looked up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstEntry(pub Option<std::num::NonZero<u32>>);

/// One library. All methods are lock-free and allocate nothing.
pub trait View {
    /// A path of an item, listed or recorded: cheap to copy, decoded when it is answered.
    type Hit<'v>: Copy
    where
        Self: 'v;

    /// Whether a listing was ever completed.
    fn fetched(&self) -> bool;

    /// Whether the path lies under one of the library's folders.
    fn owns(&self, path: &Normal<'_>) -> bool;

    /// Number of components of a listed path below its location; 0 outside all locations. If locations are nested, the
    /// outermost counts.
    fn below(&self, listed: &Normal<'_>) -> usize;

    /// Returns whether the library has confirmed matches or a memtable with changes. If not, confirmed matches are not
    /// searched.
    fn may_be_recorded(&self) -> bool;

    /// Shortcut for most lookups: the rating key of the one item that lists exactly these bytes, with [`Rung::Confirmed`] if that
    /// match is recorded, else [`Rung::Exact`]. `None` says nothing: the caller resolves the path.
    fn unique_hit<'v>(&'v self, path: &Normal<'_>, first: FirstEntry) -> Option<(&'v str, Rung)>;

    /// The same for a path that is not ASCII, as it is spelled.
    fn unique_hit_spelled<'v>(&'v self, path: &Spelling<'_>, first: FirstEntry) -> Option<(&'v str, Rung)>;

    /// The normal form of the one path that is listed in this spelling, where that is kept. `first`: of the spelling's hash.
    fn form_of<'v>(&'v self, path: &Spelling<'_>, first: FirstEntry) -> Option<&'v [u8]>;

    /// Prefetch hint: the caller looks for paths with this hash next.
    fn prefetch(&self, hash: u64);

    /// The first entry of a hash. Its path and form, of this length together, are prefetched.
    fn first(&self, hash: u64, length: usize) -> FirstEntry;

    /// The listed path of this entry.
    fn hit_of_entry(&self, first: FirstEntry) -> Option<Self::Hit<'_>>;

    /// The confirmed matches whose path has this normal form.
    fn recorded<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>));

    /// The listed paths with this normal form, each with whether the raw bytes are the same too.
    fn listed<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// The listed paths that a server-to-host rule turns into a path with this normal form, each with whether the raw
    /// bytes are the same too.
    fn mapped<'v>(&'v self, path: &Normal<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// The listed paths with the longest common end, of at least `least` components (and one): `each` gets the number
    /// of components, the same in all calls, and a path; some 16 distinct items at least when there are as many.
    /// Returns how many further paths have that end too.
    fn suffix_matches<'v>(&'v self, path: &Normal<'_>, least: usize, each: impl FnMut(usize, Self::Hit<'v>)) -> usize;

    /// A path of the listed item with this rating key. An item without files has an empty one.
    fn find<'v>(&'v self, rating_key: &str) -> Option<Self::Hit<'v>>;

    /// The rating key of its item, and the path in the spelling of who listed or recorded it.
    fn facts<'v>(&'v self, hit: Self::Hit<'v>) -> (&'v str, &'v [u8]);

    /// Its item; of a confirmed match only the key is known.
    fn item<'v>(&'v self, hit: Self::Hit<'v>) -> ItemRef<'v>;

    /// [`View::item`] and the path of [`View::facts`] for the price of one, written where they are wanted: they are large.
    fn show<'v>(&'v self, hit: Self::Hit<'v>, found: &mut FoundItem<'v>) {
        found.item = self.item(hit);
        found.path = self.facts(hit).1;
    }

    /// When it became known.
    fn stamp(&self, hit: Self::Hit<'_>) -> FactTime;

    /// Whether the question's path, the answer's path or the item was invalidated and not confirmed since.
    fn is_unverified(&self, question: &Normal<'_>, path: &[u8], rating_key: &str) -> bool;

    /// A check sum did not agree: results mean nothing until the segment is rebuilt.
    fn broken(&self) -> bool;
}
