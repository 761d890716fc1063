//! The result of resolving a path. A result borrows from the index, so that callers copy only the fields they need.

use smallvec::SmallVec;

use super::mapping_proposals::SizeEvidence;
use crate::model::{Confidence, Item, ItemType, MatchKind, Reason};

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
    /// The index of a library whose sizes could decide the answer, but whose listing has none yet.
    pub lacks_sizes: Option<usize>,
    /// Number of common components for a suffix match; 0 for other matches.
    pub common_components: usize,
    found: SmallVec<[FoundItem<'v>; MAX_CANDIDATES]>,
    /// Whether all candidates are different episodes in one file.
    are_episodes_of_one_file: bool,
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
            lacks_sizes: None,
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
        let is_suffix = matches!(self.match_kind, MatchKind::Suffix | MatchKind::FileName);
        let is_unlisted = matches!(
            self.reason,
            Reason::NotListed | Reason::NoLocation | Reason::NotFetched | Reason::SameSize
        );
        self.single().filter(|_| is_suffix && !is_unlisted && !self.is_owned)
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

/// The result of a fast lookup: an item that matches with high confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupHit<'v> {
    /// Index of the library among the resolver's libraries.
    pub library: usize,
    /// The kind of match, for the statistics.
    pub match_kind: MatchKind,
    /// Plex's rating key.
    pub rating_key: &'v str,
}

impl<'v> LookupHit<'v> {
    #[inline]
    pub(super) fn new(library: usize, (rating_key, match_kind): (&'v str, MatchKind)) -> Self {
        Self {
            library,
            match_kind,
            rating_key,
        }
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
