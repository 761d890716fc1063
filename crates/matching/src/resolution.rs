//! What the resolver reads of a library, and the result of resolving a path. The engine implements the trait
//! [`LibraryIndex`] with segments and memtables. A result borrows from the index, so that callers copy only the fields
//! they need.

use std::ops::Deref;

use smallvec::SmallVec;

use super::form::Form;
use super::mappings::SizeEvidence;
use super::normal::{ExactBytes, NormalPath};
use crate::model::{Confidence, Item, ItemType, LibraryKind, MatchKind, Reason};

/// The time when a path was listed or recorded, as a change sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryTime {
    /// The change sequence of the transaction that completed the listing, added the single item or recorded the match.
    pub sequence: u64,
    /// The order of changes with the same sequence: 0 in a segment, and increasing in a memtable.
    pub order: u64,
}

/// The number of the only entry with a hash in a library's segment. A lookup passes this number on, so that it
/// searches the hash table only once. `None` if there is no such entry, if there are several, or if the caller did not
/// look up the entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnlyEntry(pub Option<std::num::NonZero<u32>>);

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

    /// Returns the rating key and the kind of match if exactly one item lists the path's exact bytes. Most lookups use
    /// this fast path. `entry` is the only entry with the path's hash. The kind is [`MatchKind::Confirmed`] if the
    /// match is also recorded, and otherwise [`MatchKind::Exact`]. `None` means that the caller must resolve the path.
    fn unique_hit<'v>(&'v self, path: &NormalPath<'_>, entry: OnlyEntry) -> Option<(&'v str, MatchKind)>;

    /// Returns the rating key and the kind of match if exactly one item lists this non-ASCII path's exact bytes; `None`
    /// means that the caller must resolve the path. `entry` is the only entry with the hash of these bytes, so that
    /// the caller need not compute the normal form.
    fn unique_hit_by_bytes<'v>(&'v self, path: &ExactBytes<'_>, entry: OnlyEntry) -> Option<(&'v str, MatchKind)>;

    /// Returns the stored normal form of the listed path with these exact bytes, so that the caller need not compute
    /// it; `None` if no listed path has these bytes. `entry` is the only entry with the bytes' hash.
    fn stored_form<'v>(&'v self, path: &ExactBytes<'_>, entry: OnlyEntry) -> Option<&'v [u8]>;

    /// Prefetches the index entries with this hash into the CPU cache, before the caller looks up the hash.
    fn prefetch(&self, hash: u64);

    /// Looks up the only entry with a hash. Prefetches the stored path and normal form; `length` is their total length
    /// in bytes.
    fn only_entry(&self, hash: u64, length: usize) -> OnlyEntry;

    /// Returns the hit for an entry that [`LibraryIndex::unique_hit`] accepted; `None` for a default entry.
    fn hit_of_entry(&self, entry: OnlyEntry) -> Option<Self::Hit<'_>>;

    /// Calls `each` for the confirmed matches whose paths have this normal form. Returns `false` if the library does not
    /// know them, so that the caller must not trust the results.
    fn each_confirmed<'v>(&'v self, path: &NormalPath<'_>, each: impl FnMut(Self::Hit<'v>)) -> bool;

    /// Calls `each` for the listed paths with this normal form. The second argument of `each` says whether the raw
    /// bytes are also equal.
    fn each_listed<'v>(&'v self, path: &NormalPath<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// Calls `each` for the listed paths that a server-to-host rule maps to this normal form. The second argument of
    /// `each` says whether the raw bytes are also equal.
    fn each_mapped<'v>(&'v self, path: &NormalPath<'_>, each: impl FnMut(Self::Hit<'v>, bool));

    /// Calls `each` for the listed paths whose file names have this [`name_hash`](super::name_hash), and perhaps for others,
    /// with the path's normal form, until it returns `false`.
    fn each_named<'v>(&'v self, name_hash: u64, each: impl FnMut(Form<'v>, Self::Hit<'v>) -> bool);

    /// Calls `each` for the listed files of this size, which is not 0; for about `limit` files.
    fn each_of_size<'v>(&'v self, size: u64, limit: usize, each: impl FnMut(Self::Hit<'v>));

    /// Passes the size in bytes and the duration in ms of about `count` listed files to `each`, 0 if unknown: of those
    /// with the same extension whose paths are before and after this one in the order of their normal forms, of its own, and
    /// of as many that were added since.
    fn each_beside(&self, form: &[u8], count: usize, each: impl FnMut(u64, u64));

    /// Returns the size of a listed file in bytes; 0 if it is unknown.
    fn file_size(&self, hit: Self::Hit<'_>) -> u64;

    /// Returns the duration of a listed file in milliseconds; 0 if it is unknown.
    fn duration_ms(&self, hit: Self::Hit<'_>) -> u64;

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

/// What is doubted about a hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum HitDoubt {
    /// Nothing.
    #[default]
    None,
    /// The item may have changed, so that the server must be asked about it.
    Item,
    /// The path was called wrong since the item was requested, so that no answer may contain the item before the server
    /// was asked.
    Path,
}

/// Maximum number of candidates in an answer.
pub const MAX_CANDIDATES: usize = 16;

/// An item's GUID: a string, or the packed encoding in segments. Converts into the original string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuidRef<'v> {
    /// The string as the server sent it; empty without a GUID.
    Text(&'v str),
    /// A packed GUID: `plex://<type>/<24 hexadecimal digits>`.
    Plex {
        /// The part of the string before the digits, such as `plex://movie/`.
        prefix: &'static str,
        /// The value of the digits.
        id: [u8; 12],
    },
}

impl GuidRef<'_> {
    /// No GUID.
    pub const NONE: Self = Self::Text("");

    /// Passes a packed GUID to `then` as two strings, the prefix and the digits, so that callers allocate no memory.
    #[inline]
    pub fn with_pieces<R>((prefix, id): (&str, &[u8; 12]), then: impl FnOnce([&[u8]; 2]) -> R) -> R {
        then([prefix.as_bytes(), &hex_digits(id)])
    }
}

/// Encodes the bytes of a GUID as lower-case hexadecimal digits.
#[inline]
fn hex_digits(id: &[u8; 12]) -> [u8; 24] {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let mut text = [0; 24];
    for (pair, byte) in text.as_chunks_mut().0.iter_mut().zip(id) {
        *pair = [digit(byte >> 4), digit(byte & 0xF)];
    }
    text
}

impl From<GuidRef<'_>> for String {
    fn from(guid: GuidRef<'_>) -> Self {
        match guid {
            GuidRef::Text(text) => text.to_owned(),
            GuidRef::Plex { prefix, id } => GuidRef::with_pieces((prefix, &id), |pieces| {
                Self::from_utf8(pieces.concat()).unwrap_or_default()
            }),
        }
    }
}

/// An item in an answer, with the fields of [`crate::model::Item`] except external IDs, season title and files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRef<'v> {
    /// Plex's rating key.
    pub rating_key: &'v str,
    /// Type of the item.
    pub kind: ItemType,
    /// Title of the item.
    pub title: &'v str,
    /// Year of release; 0 if unknown.
    pub year: i32,
    /// Title of the show or artist.
    pub show_title: &'v str,
    /// Rating key of the show or artist.
    pub show_rating_key: &'v str,
    /// GUID of the show or artist.
    pub show_guid: GuidRef<'v>,
    /// Season number or disc number; -1 if unknown.
    pub season: i32,
    /// Episode number or track number; -1 if unknown.
    pub episode: i32,
    /// GUID of the item.
    pub guid: GuidRef<'v>,
    /// Whether only the rating key is known, as for a confirmed match with an unlisted item.
    pub key_only: bool,
}

impl<'v> From<&'v Item> for ItemRef<'v> {
    fn from(item: &'v Item) -> Self {
        Self {
            rating_key: &item.rating_key,
            kind: item.kind,
            title: &item.title,
            year: item.year,
            show_title: &item.show_title,
            show_rating_key: &item.show_rating_key,
            show_guid: GuidRef::Text(&item.show_guid),
            season: item.season,
            episode: item.episode,
            guid: GuidRef::Text(&item.guid),
            key_only: false,
        }
    }
}

impl<'v> ItemRef<'v> {
    /// Creates an item with a rating key, and no other known fields.
    #[must_use]
    pub const fn key_only(rating_key: &'v str) -> Self {
        Self {
            rating_key,
            kind: ItemType::Other,
            title: "",
            year: 0,
            show_title: "",
            show_rating_key: "",
            show_guid: GuidRef::NONE,
            season: -1,
            episode: -1,
            guid: GuidRef::NONE,
            key_only: true,
        }
    }
}

/// An item that matches a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundItem<'v> {
    /// Index of the library among the resolver's libraries.
    pub library: usize,
    /// The item.
    pub item: ItemRef<'v>,
    /// The listed path that matches, as the server sent it; for a confirmed match, the path as the host recorded it.
    pub path: &'v [u8],
    /// Whether the matching file exists on this machine.
    pub on_disk: Presence,
}

/// Whether a listed file exists on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Presence {
    /// The file exists, or plexindex did not check.
    #[default]
    Assumed,
    /// The file does not exist.
    Missing,
    /// The operating system returned an error when plexindex checked the file.
    Unknown,
}

enum_names! { Presence: Assumed "there", Missing "missing", Unknown "unknown" }

impl<'v> FoundItem<'v> {
    /// Creates a candidate whose file is assumed to exist.
    #[inline]
    #[must_use]
    pub fn new(library: usize, item: ItemRef<'v>, path: &'v [u8]) -> Self {
        Self {
            library,
            item,
            path,
            on_disk: Presence::Assumed,
        }
    }

    /// Creates a candidate from an item and its first path, for lookups by GUID or title. The caller must set
    /// `library`.
    #[must_use]
    pub fn of(item: &'v Item) -> Self {
        let path = item.parts.first().map_or(&b""[..], |path| path.as_bytes());
        Self::new(0, ItemRef::from(item), path)
    }
}

/// The matches for a path.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools)] // independent facts
pub struct Resolution<'v> {
    /// The kind of match.
    pub match_kind: MatchKind,
    /// Confidence; `None` if there is no match.
    pub confidence: Confidence,
    /// The reason for a miss or for several items, or the evidence for a suffix match.
    pub reason: Reason,
    /// Number of distinct items that match equally well. Numbers above [`MAX_CANDIDATES`] may include an item several
    /// times, once for each path.
    pub total: usize,
    /// The strongest doubt about a candidate, its path or the queried path, so that a request must verify the match.
    pub doubt: HitDoubt,
    /// Whether a segment is damaged, so that the caller must rebuild the segment and resolve the path again. The
    /// resolution then has no items.
    pub is_broken: bool,
    /// Whether a library's location contains the path, although no library lists it.
    pub is_owned: bool,
    /// Whether name and size say which listed file it is.
    pub is_by_size: bool,
    /// Number of common components for a suffix match; 0 for other matches.
    pub common_components: usize,
    pub(super) found: SmallVec<[FoundItem<'v>; MAX_CANDIDATES]>,
    /// Whether all candidates are different episodes in one file.
    pub(super) are_episodes_of_one_file: bool,
}

impl Default for Resolution<'_> {
    fn default() -> Self {
        Self {
            match_kind: MatchKind::None,
            confidence: Confidence::None,
            reason: Reason::None,
            total: 0,
            doubt: HitDoubt::None,
            is_broken: false,
            is_owned: false,
            is_by_size: false,
            common_components: 0,
            found: SmallVec::new(),
            are_episodes_of_one_file: false,
        }
    }
}

impl<'v> Resolution<'v> {
    /// Creates the result of a search that read a damaged segment: no items.
    pub(super) fn broken() -> Self {
        Self {
            is_broken: true,
            ..Self::default()
        }
    }

    /// Adds a candidate and calls `fill` to set its fields in place, which is faster than moving a complete candidate.
    /// Returns the result of `fill`.
    #[inline]
    pub(super) fn push_with(&mut self, fill: impl FnOnce(&mut FoundItem<'v>) -> bool) -> bool {
        self.found.push(FoundItem::new(0, ItemRef::key_only(""), b""));
        self.found.last_mut().is_some_and(fill)
    }

    /// Adds a candidate, unless there are already [`MAX_CANDIDATES`]. `None`, a candidate in a damaged segment, adds
    /// nothing.
    pub(super) fn push(&mut self, found: Option<FoundItem<'v>>) {
        if self.found.len() < MAX_CANDIDATES {
            self.found.extend(found);
        }
    }

    /// Returns the candidates, best first, at most [`MAX_CANDIDATES`].
    #[must_use]
    pub fn found(&self) -> &[FoundItem<'v>] {
        &self.found
    }

    /// Sorts the candidates by season and episode number if all are episodes of one show in the same file, so that the
    /// first episode becomes the single item. Two items with the same number remain ambiguous. Does nothing for
    /// confirmed matches, or if `found` lacks candidates.
    pub(super) fn sort_episodes(&mut self) {
        let file_and_show = |found: &FoundItem<'v>| (found.library, found.path, found.item.show_rating_key);
        let number = |found: &FoundItem<'v>| (found.item.season, found.item.episode);
        let Some(expected) = self.found.first().map(file_and_show) else {
            return;
        };
        let is_episode_of_file =
            |found: &FoundItem<'v>| found.item.kind == ItemType::Episode && file_and_show(found) == expected;
        if self.found.len() < 2
            || self.match_kind == MatchKind::Confirmed
            || self.found.len() != self.total
            || !self.found.iter().all(is_episode_of_file)
        {
            return;
        }
        self.found.sort_unstable_by_key(number);
        self.are_episodes_of_one_file = self.found.windows(2).all(|pair| number(&pair[0]) != number(&pair[1]));
    }

    /// Returns the single item, whatever the confidence. If one file contains several episodes, returns the first
    /// episode. `None` for other results.
    #[must_use]
    pub fn single(&self) -> Option<&FoundItem<'v>> {
        if self.total == 1 || self.are_episodes_of_one_file {
            self.found().first()
        } else {
            None
        }
    }

    /// Returns the single item whose path has the same end, if a missing mapping may be why the path itself is not listed.
    /// A path in a library's own folder needs no mapping, and a name that is only alike proves none.
    #[must_use]
    pub fn mapping_sample(&self) -> Option<&FoundItem<'v>> {
        let has_same_name = matches!(
            self.reason,
            Reason::OnlyRootDiffers
                | Reason::SameName
                | Reason::SameFile
                | Reason::SizeDiffers
                | Reason::SeveralEpisodes
        );
        self.single()
            .filter(|_| !self.match_kind.is_listed() && has_same_name && !self.is_owned)
    }

    /// Returns what the size of the file shows about the listed file.
    #[must_use]
    pub fn size_evidence(&self) -> SizeEvidence {
        match self.reason {
            _ if self.is_by_size => SizeEvidence::Same,
            Reason::SizeDiffers => SizeEvidence::Other,
            _ => SizeEvidence::None,
        }
    }

    /// Returns whether several items match equally well. Several episodes in one file are not ambiguous.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.total > 1 && !self.are_episodes_of_one_file
    }
}

#[cfg(test)]
mod tests {
    use super::GuidRef;

    #[test]
    fn each_byte_of_a_guid_is_shown() {
        for byte in 0..=255_u8 {
            let id = std::array::from_fn(|at| byte.wrapping_add(u8::try_from(at * 37 % 256).unwrap_or(0)));
            let shown = String::from(GuidRef::Plex {
                prefix: "plex://movie/",
                id,
            });
            let digits = id.map(|byte| format!("{byte:02x}")).concat();
            assert_eq!(shown, format!("plex://movie/{digits}"));
        }
    }
}
