//! The result of resolving a path. Borrows from the views, so that the caller copies only the fields it needs.

use std::fmt;

use smallvec::SmallVec;

use crate::model::{Confidence, Item, ItemType, MatchKind, Reason};

/// Maximum number of candidates in an answer.
pub const MAX_CANDIDATES: usize = 16;

/// A scalar GUID, as text or in the packed form of segments. [`fmt::Display`] writes the text of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuidRef<'v> {
    /// The text as the server sent it; empty without a GUID.
    Text(&'v str),
    /// `plex://<type>/<24 hexadecimal digits>`.
    Plex {
        /// The part before the digits, such as `plex://movie/`.
        prefix: &'static str,
        /// The value of the digits.
        id: [u8; 12],
    },
}

impl GuidRef<'_> {
    /// No GUID.
    pub const NONE: Self = Self::Text("");

    /// Passes the text of a packed GUID to `then` in two pieces, the prefix and the digits, so that callers need no
    /// allocation.
    #[inline]
    pub fn with_pieces<R>((prefix, id): (&str, &[u8; 12]), then: impl FnOnce([&[u8]; 2]) -> R) -> R {
        then([prefix.as_bytes(), &hex_digits(id)])
    }
}

/// Returns the hexadecimal digits of these bytes, in lower case.
#[inline]
fn hex_digits(id: &[u8; 12]) -> [u8; 24] {
    let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'a' - 10 };
    let mut text = [0; 24];
    for (pair, byte) in text.as_chunks_mut().0.iter_mut().zip(id) {
        *pair = [digit(byte >> 4), digit(byte & 0xF)];
    }
    text
}

impl fmt::Display for GuidRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Plex { prefix, id } => Self::with_pieces((prefix, id), |pieces| {
                let mut texts = pieces
                    .iter()
                    .map(|piece| std::str::from_utf8(piece).unwrap_or_default());
                texts.try_for_each(|piece| f.write_str(piece))
            }),
        }
    }
}

/// An item in an answer: the fields of [`crate::model::Item`] except external ids and further files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRef<'v> {
    /// Plex's rating key.
    pub rating_key: &'v str,
    /// Type of the item.
    pub kind: ItemType,
    /// Title of the item.
    pub title: &'v str,
    /// Year; 0 when unknown.
    pub year: i32,
    /// Title of the show or artist.
    pub show_title: &'v str,
    /// Rating key of the show or artist.
    pub show_rating_key: &'v str,
    /// GUID of the show or artist.
    pub show_guid: GuidRef<'v>,
    /// Season or disc; -1 without one.
    pub season: i32,
    /// Episode or track number; -1 without one.
    pub episode: i32,
    /// Scalar GUID.
    pub guid: GuidRef<'v>,
    /// Whether only the key is known: a confirmed match of an item that is not listed.
    pub key_only: bool,
}

impl<'v> From<&'v Item> for ItemRef<'v> {
    /// Borrows the fields of a stored item.
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
    /// Creates an item of which only the key is known.
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

/// A candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundItem<'v> {
    /// Index of the library's view in the resolver's slice.
    pub library: usize,
    /// The item.
    pub item: ItemRef<'v>,
    /// The listed path that matches, as the server spells it; for a confirmed match the recorded path.
    pub path: &'v [u8],
    /// Whether the file exists on this machine.
    pub on_disk: OnDisk,
}

/// Whether a listed file exists on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDisk {
    /// The file exists, or plexindex did not check.
    #[default]
    Assumed,
    /// The file does not exist.
    Missing,
    /// The operating system returned an error.
    Unknown,
}

impl<'v> FoundItem<'v> {
    /// Creates a candidate for a stored item, with its first path. Lookups by GUID or title use it, since no resolver
    /// finds their items.
    #[must_use]
    pub fn of(item: &'v Item) -> Self {
        Self {
            library: 0,
            item: ItemRef::from(item),
            path: item.parts.first().map_or(b"", |path| path.as_bytes()),
            on_disk: OnDisk::Assumed,
        }
    }
}

/// The matches for a path.
#[derive(Clone, Debug)]
pub struct Resolution<'v> {
    /// The kind of match.
    pub match_kind: MatchKind,
    /// Confidence; `None` without a match.
    pub confidence: Confidence,
    /// Why there is no single item.
    pub reason: Reason,
    /// Number of distinct items that match equally well. Exact up to [`MAX_CANDIDATES`]. Beyond that, it counts paths,
    /// and an item may have several.
    pub total: usize,
    /// Whether a candidate, its path or the requested path was invalidated, so that a request must verify the match.
    pub unverified: bool,
    /// Whether a segment is damaged: rebuild it and resolve again.
    pub broken: bool,
    /// For a suffix match, the number of common components at the end; otherwise 0.
    pub components: usize,
    found: SmallVec<[FoundItem<'v>; MAX_CANDIDATES]>,
    /// Whether all candidates are episodes in one file.
    are_episodes_of_one_file: bool,
}

impl Default for Resolution<'_> {
    /// Returns the result without a match.
    fn default() -> Self {
        Self {
            match_kind: MatchKind::None,
            confidence: Confidence::None,
            reason: Reason::None,
            total: 0,
            unverified: false,
            broken: false,
            components: 0,
            found: SmallVec::new(),
            are_episodes_of_one_file: false,
        }
    }
}

impl<'v> Resolution<'v> {
    /// Adds a candidate and lets `fill` set its fields in place, which is faster than moving a complete candidate.
    #[inline]
    pub(super) fn push_with(&mut self, fill: impl FnOnce(&mut FoundItem<'v>)) {
        let empty = FoundItem {
            library: 0,
            item: ItemRef::key_only(""),
            path: b"",
            on_disk: OnDisk::Assumed,
        };
        self.found.push(empty);
        self.found.last_mut().map(fill);
    }

    /// Adds a candidate, unless there are [`MAX_CANDIDATES`].
    pub(super) fn push(&mut self, found: FoundItem<'v>) {
        if self.found.len() < MAX_CANDIDATES {
            self.found.push(found);
        }
    }

    /// Returns the candidates, best first, at most [`MAX_CANDIDATES`].
    #[must_use]
    pub fn found(&self) -> &[FoundItem<'v>] {
        &self.found
    }

    /// Sorts the candidates by episode if all are episodes of one show in the same file. Two items for the same episode
    /// remain ambiguous.
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

    /// Returns the only item, with any confidence; for several episodes in one file, the first episode.
    #[must_use]
    pub fn single(&self) -> Option<&FoundItem<'v>> {
        if self.total == 1 || self.are_episodes_of_one_file {
            self.found().first()
        } else {
            None
        }
    }

    /// Returns whether several items match equally well.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.total > 1 && !self.are_episodes_of_one_file
    }
}

/// The result of a fast lookup: an item with high confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupHit<'v> {
    /// Index of the library's view in the resolver's slice.
    pub library: usize,
    /// The kind of match, for the statistics.
    pub match_kind: MatchKind,
    /// Plex's rating key.
    pub rating_key: &'v str,
}

impl<'v> LookupHit<'v> {
    /// Creates a result from the rating key and kind of match that a view returned.
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
#[path = "resolution_tests.rs"]
mod tests;
