//! What a climb answers: borrowed from the views, so that only what is read is copied.

use std::fmt;

use crate::model::{Confidence, Item, ItemType, Reason, Rung};

/// How many candidates an answer holds at most.
pub const LIMIT: usize = 16;

/// A scalar GUID, as text or in the packed form that images keep; [`fmt::Display`] writes the text of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuidRef<'v> {
    /// As the server spelt it; empty when there is none.
    Text(&'v str),
    /// `plex://<what>/<24 hexadecimal digits>`.
    Plex {
        /// All before the digits, such as `plex://movie/`.
        what: &'static str,
        /// The digits' value.
        id: [u8; 12],
    },
}

impl GuidRef<'_> {
    /// No GUID.
    pub const NONE: Self = Self::Text("");

    /// The text of one that is packed, in pieces.
    #[inline]
    pub fn with_pieces<R>((what, id): (&str, &[u8; 12]), then: impl FnOnce([&[u8]; 2]) -> R) -> R {
        then([what.as_bytes(), &hex(id)])
    }
}

#[inline]
fn hex(id: &[u8; 12]) -> [u8; 24] {
    let mut text = [0; 24];
    for (eight, four) in text.as_chunks_mut().0.iter_mut().zip(id.as_chunks().0) {
        *eight = hex_of(*four);
    }
    text
}

/// The digits of four bytes, all at once: each half byte is spread to a byte of its own, and these are made digits.
#[inline]
fn hex_of(four: [u8; 4]) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut halves = u64::from(u32::from_be_bytes(four));
    halves = (halves << 16 | halves) & 0x0000_FFFF_0000_FFFF;
    halves = (halves << 8 | halves) & 0x00FF_00FF_00FF_00FF;
    halves = (halves << 4 | halves) & 0x0F0F_0F0F_0F0F_0F0F;
    // 6 more carries what is above 9 into the upper half: a letter.
    let letters = (halves + EACH * 6) >> 4 & EACH;
    (halves + EACH * u64::from(b'0') + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

impl fmt::Display for GuidRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Plex { what, id } => Self::with_pieces((what, id), |pieces| {
                let mut texts = pieces
                    .iter()
                    .map(|piece| std::str::from_utf8(piece).unwrap_or_default());
                texts.try_for_each(|piece| f.write_str(piece))
            }),
        }
    }
}

/// An item as an answer shows it: the fields of [`crate::model::Item`] but for external ids and further files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemRef<'v> {
    /// Plex's rating key.
    pub rating_key: &'v str,
    /// What kind of leaf it is.
    pub kind: ItemType,
    /// Its own title.
    pub title: &'v str,
    /// Year; 0 when unknown.
    pub year: i32,
    /// Title of the show or artist.
    pub show_title: &'v str,
    /// Rating key of the show or artist.
    pub show_rating_key: &'v str,
    /// GUID of the show or artist.
    pub show_guid: GuidRef<'v>,
    /// Season or disc; -1 when there is none.
    pub season: i32,
    /// Episode or track number; -1 when there is none.
    pub episode: i32,
    /// Scalar GUID.
    pub guid: GuidRef<'v>,
    /// Only the key is known: a confirmed match of an item that no listing holds.
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
    /// An item of which only the key is known.
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
pub struct Found<'v> {
    /// Which view: its index in the slice given to the climb.
    pub library: usize,
    /// The item.
    pub item: ItemRef<'v>,
    /// The listed path that fitted, as the server spells it; of a confirmed match the recorded path.
    pub path: &'v [u8],
}

impl<'v> Found<'v> {
    /// A stored item, with its first path.
    #[must_use]
    pub fn of(item: &'v Item) -> Self {
        Self {
            library: 0,
            item: ItemRef::from(item),
            path: item.parts.first().map_or(b"", |path| path.as_bytes()),
        }
    }
}

/// The answer of a climb.
#[derive(Clone, Debug)]
pub struct Outcome<'v> {
    /// The rung that found it.
    pub rung: Rung,
    /// High, or low, or none when nothing was found.
    pub confidence: Confidence,
    /// Why there is no single item.
    pub reason: Reason,
    /// How many distinct items fit equally well. Exact up to [`LIMIT`]; beyond, listed paths are counted, of which an
    /// item may have several.
    pub total: usize,
    /// A candidate, its path, or the path asked for was invalidated: one request must confirm it first.
    pub unverified: bool,
    /// An image is damaged: this answer means nothing, make the file anew and ask again.
    pub broken: bool,
    /// At rungs 4 and 5, how many components agree, from the end.
    pub components: usize,
    /// Most outcomes have one candidate: only the others pay for clearing the room for many.
    one: Found<'v>,
    many: Option<[Found<'v>; LIMIT]>,
    length: usize,
    /// What was found are the episodes of one file.
    are_episodes: bool,
}

impl Default for Outcome<'_> {
    /// Nothing found.
    #[inline]
    fn default() -> Self {
        Self {
            rung: Rung::None,
            confidence: Confidence::None,
            reason: Reason::None,
            total: 0,
            unverified: false,
            broken: false,
            components: 0,
            one: Self::EMPTY,
            many: None,
            length: 0,
            are_episodes: false,
        }
    }
}

impl<'v> Outcome<'v> {
    const EMPTY: Found<'static> = Found {
        library: 0,
        item: ItemRef::key_only(""),
        path: b"",
    };

    const NONE: [Found<'static>; LIMIT] = [Self::EMPTY; LIMIT];

    /// The first candidate, filled where it stands.
    #[inline]
    pub(super) fn put_one(&mut self, fill: impl FnOnce(&mut Found<'v>)) {
        fill(&mut self.one);
        self.length = 1;
    }

    pub(super) fn push(&mut self, found: Found<'v>) {
        if self.length == 0 {
            self.one = found;
            self.length = 1;
            return;
        }
        let many = self.many.get_or_insert(Self::NONE);
        many[0] = self.one;
        if let Some(free) = many.get_mut(self.length) {
            *free = found;
            self.length += 1;
        }
    }

    /// The candidates, best first: at most [`LIMIT`].
    #[must_use]
    pub fn found(&self) -> &[Found<'v>] {
        match &self.many {
            Some(many) => &many[..self.length],
            None => &std::slice::from_ref(&self.one)[..self.length],
        }
    }

    /// Puts the episodes of one show that are listed with the very same file in their order, where nothing else was found.
    /// Two items for one episode are not told apart by their order.
    pub(super) fn sort_episodes(&mut self) {
        let Some(episodes) = self.many.as_mut().map(|many| &mut many[..self.length]) else {
            return;
        };
        let place = |one: &Found<'v>| (one.library, one.path, one.item.show_rating_key);
        let number = |one: &Found<'v>| (one.item.season, one.item.episode);
        let first = place(&episodes[0]);
        let all = |one: &Found<'v>| one.item.kind == ItemType::Episode && place(one) == first;
        if self.rung == Rung::Confirmed || self.length != self.total || !episodes.iter().all(all) {
            return;
        }
        episodes.sort_unstable_by_key(number);
        self.are_episodes = episodes.windows(2).all(|pair| number(&pair[0]) != number(&pair[1]));
    }

    /// The item, when there is exactly one, of whatever confidence; of several episodes in one file the first.
    #[must_use]
    pub fn single(&self) -> Option<&Found<'v>> {
        if self.total == 1 || self.are_episodes {
            self.found().first()
        } else {
            None
        }
    }

    /// Several items fit equally well.
    #[must_use]
    pub fn is_ambiguous(&self) -> bool {
        self.total > 1 && !self.are_episodes
    }
}

/// What a fast lookup finds: one item, with certainty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookupHit<'v> {
    /// Which view: its index in the slice given to the fast lookup.
    pub library: usize,
    /// The rung that found it, for the statistics.
    pub rung: Rung,
    /// Plex's rating key.
    pub rating_key: &'v str,
}

#[cfg(test)]
#[path = "outcome_tests.rs"]
mod tests;
