//! The trait through which matching reads a library. `engine::load_library` implements the trait with segments and
//! memtables; tests implement it with a linear scan.

use std::ops::Deref;

use super::normal::{ExactBytes, NormalPath};
use super::resolution::{FoundItem, HitDoubt, ItemRef};
use crate::model::{LibraryKind, MatchKind};

/// The time when a path was listed or recorded, as a change sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryTime {
    /// The change sequence of the transaction that completed the listing, added the single item or recorded the match.
    pub sequence: u64,
    /// The order of changes with the same sequence: 0 in a segment, and increasing in a memtable.
    pub order: u64,
}

/// The number of the first entry with a hash in a library's segment. A lookup passes this number on, so that it
/// searches the hash table only once. `None` if there is no such entry, or if the caller did not look up the entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstEntry(pub Option<std::num::NonZero<u32>>);

/// One library as one user sees it. All methods are lock-free and allocate no memory.
pub trait LibraryIndex: Sized {
    /// The path of a listed file or confirmed match, with its item; cheap to copy, since fields are decoded on demand.
    type Hit<'v>: Copy
    where
        Self: 'v;

    /// Returns whether the library has a complete listing.
    fn is_fetched(&self) -> bool;

    /// Returns the kind of library.
    fn kind(&self) -> LibraryKind;

    /// Returns whether the path lies under a location of the library.
    fn owns(&self, path: &NormalPath<'_>) -> bool;

    /// Iterates over the normal forms of the library's locations.
    fn locations(&self) -> impl Iterator<Item = &[u8]>;

    /// Returns the number of components that a listed path has below its location; 0 if the path is outside all
    /// locations. If locations are nested, counts from the outermost location.
    fn components_below_location(&self, listed: &NormalPath<'_>) -> usize;

    /// Returns whether the library may have confirmed matches; if `false`, the caller skips them.
    fn may_have_confirmed(&self) -> bool;

    /// Returns the rating key and the kind of match if exactly one item lists the path's exact bytes. Most lookups use
    /// this fast path. `entry` is the first entry with the path's hash. The kind is [`MatchKind::Confirmed`] if the
    /// match is also recorded, and otherwise [`MatchKind::Exact`]. `None` means that the caller must resolve the path.
    fn unique_hit<'v>(&'v self, path: &NormalPath<'_>, entry: FirstEntry) -> Option<(&'v str, MatchKind)>;

    /// Returns the rating key and the kind of match if exactly one item lists this non-ASCII path's exact bytes; `None`
    /// means that the caller must resolve the path. `entry` is the first entry with the hash of these bytes, so that
    /// the caller need not compute the normal form.
    fn unique_hit_by_bytes<'v>(&'v self, path: &ExactBytes<'_>, entry: FirstEntry) -> Option<(&'v str, MatchKind)>;

    /// Returns the stored normal form of the listed path with these exact bytes, so that the caller need not compute
    /// it; `None` if no listed path has these bytes. `entry` is the first entry with the bytes' hash.
    fn stored_form<'v>(&'v self, path: &ExactBytes<'_>, entry: FirstEntry) -> Option<&'v [u8]>;

    /// Prefetches the index entries with this hash into the CPU cache, before the caller looks up the hash.
    fn prefetch(&self, hash: u64);

    /// Looks up the first entry with a hash. Prefetches the stored path and normal form; `length` is their total length
    /// in bytes.
    fn first_entry(&self, hash: u64, length: usize) -> FirstEntry;

    /// Returns the hit for an entry that [`LibraryIndex::unique_hit`] accepted; `None` for a default entry.
    fn hit_of_entry(&self, entry: FirstEntry) -> Option<Self::Hit<'_>>;

    /// Calls `each` for the confirmed matches whose paths have this normal form. Returns `false` if the library does not
    /// know them, so that the caller must not trust the results.
    fn each_confirmed<'v>(&'v self, path: &NormalPath<'_>, each: impl FnMut(Self::Hit<'v>)) -> bool;

    /// Calls `each` for the listed paths with this normal form. The second argument of `each` says whether the raw
    /// bytes are also equal.
    fn each_listed<'v>(&'v self, path: &NormalPath<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// Calls `each` for the listed paths that a server-to-host rule maps to this normal form. The second argument of
    /// `each` says whether the raw bytes are also equal.
    fn each_mapped<'v>(&'v self, path: &NormalPath<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// Finds the listed paths that share the longest suffix with `path`, of at least `min_components` components (at
    /// least one). Calls `each` with the number of common components and a hit, for at least `limit` paths if there are
    /// so many. Returns the number of unreported paths with the same suffix. `name_hash`: [`name_hash`](super::name_hash) of
    /// the path.
    fn suffix_matches<'v>(
        &'v self,
        path: &NormalPath<'_>,
        name_hash: Option<u64>,
        min_components: usize,
        limit: usize,
        each: impl FnMut(usize, Self::Hit<'v>),
    ) -> usize;

    /// Calls `each` for the listed paths that share at least `components` last components with `path`; for about `limit`
    /// paths. `name_hash`: [`name_hash`](super::name_hash) of the path.
    fn each_with_suffix<'v>(
        &'v self,
        path: &NormalPath<'_>,
        name_hash: Option<u64>,
        components: usize,
        limit: usize,
        each: impl FnMut(Self::Hit<'v>),
    );

    /// Calls `each` for the listed paths whose file names have this [`name_hash`](super::name_hash), for about `limit`
    /// paths, and perhaps for others.
    fn each_alike<'v>(&'v self, name_hash: u64, limit: usize, each: impl FnMut(Self::Hit<'v>));

    /// Calls `each` for the listed files of this size, which is not 0; for about `limit` files. Returns `false` if the
    /// library does not know them all.
    fn each_of_size<'v>(&'v self, size: u64, limit: usize, each: impl FnMut(Self::Hit<'v>)) -> bool;

    /// Returns the size of a listed file in bytes; 0 if it is unknown.
    fn file_size(&self, hit: Self::Hit<'_>) -> u64;

    /// Returns the duration of a listed item in milliseconds; 0 if it is unknown.
    fn duration_ms(&self, hit: Self::Hit<'_>) -> u64;

    /// Returns whether the server was asked for the sizes of all listed files.
    fn has_sizes(&self) -> bool;

    /// Finds the listed item with this rating key. The hit has the item's first path; an empty path if the item has no
    /// files. `None` if the library does not list the item.
    fn find_item<'v>(&'v self, rating_key: &str) -> Option<Self::Hit<'v>>;

    /// Returns a hit's rating key, and its path as the server listed it or the host recorded it; `None` if the segment
    /// is damaged there.
    fn key_and_path<'v>(&'v self, hit: Self::Hit<'v>) -> Option<(&'v str, &'v [u8])>;

    /// Returns a hit's item; for a confirmed match, an item with only the rating key. `None` if the segment is damaged
    /// there.
    fn item<'v>(&'v self, hit: Self::Hit<'v>) -> Option<ItemRef<'v>>;

    /// Writes a hit's item and path to `found` without copying the item. Returns `false` if the segment is damaged
    /// there; the caller must then discard `found`.
    fn fill_found<'v>(&'v self, hit: Self::Hit<'v>, found: &mut FoundItem<'v>) -> bool;

    /// Returns the time when a hit's path was listed or recorded.
    fn entry_time(&self, hit: Self::Hit<'_>) -> EntryTime;

    /// Returns whether the host called the path wrong, and has not recorded a match for it since.
    fn is_called_wrong(&self, path: &NormalPath<'_>) -> bool;

    /// Returns what is doubted: the item, or the queried path (`requested`) or the matched path since the item was
    /// requested.
    fn doubt(&self, requested: &NormalPath<'_>, matched: &[u8], rating_key: &str) -> HitDoubt;

    /// Returns whether a segment's checksum failed, so that results are unreliable until the segment is rebuilt.
    fn is_broken(&self) -> bool;
}

/// The libraries to search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Only the library with this index.
    One(usize),
    /// All libraries of the resolver.
    All,
}

impl Scope {
    /// Returns the index of the only library in scope; `None` if all libraries are in scope.
    #[inline]
    #[must_use]
    pub fn only(self) -> Option<usize> {
        match self {
            Self::One(library) => Some(library),
            Self::All => None,
        }
    }
}

/// Iterates over the libraries in scope, with their indexes.
pub(super) fn libraries_in_scope<V: Deref>(libraries: &[V], scope: Scope) -> impl Iterator<Item = (usize, &V::Target)> {
    let is_in_scope = move |library: usize| scope == Scope::All || scope == Scope::One(library);
    let libraries = libraries.iter().map(|view| &**view).enumerate();
    libraries.filter(move |(library, _)| is_in_scope(*library))
}

/// Returns whether a library in scope of this kind was never fetched, so that it may have any path.
pub(super) fn has_unfetched_of_kind<V: Deref<Target: LibraryIndex>>(
    libraries: &[V],
    scope: Scope,
    kind: LibraryKind,
) -> bool {
    libraries_in_scope(libraries, scope).any(|(_, view)| view.kind() == kind && !view.is_fetched())
}
