//! The set of arguments that a server refuses.

/// A set of arguments that a server refuses. All of them are optional: without them replies are larger, less stable or
/// less complete, and each caller handles the consequences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused(u16);

/// The arguments by bit number. The words are stored on disk, the bit numbers are not.
const WORDS: [&str; 11] = [
    "includeGuids",
    "includeCollections",
    "sort=id",
    "sort=updatedAt",
    "clusterZoomLevel",
    "excludeElements",
    "excludeFields",
    "skipRefresh",
    "file",
    "type=12",
    "type=13",
];

impl Refused {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// `includeGuids`: without it rows lack their external ids.
    pub const GUIDS: Self = Self(1);
    /// `includeCollections`.
    pub const COLLECTIONS: Self = Self(1 << 1);
    /// `sort=id`: without it rows come in the server's own order.
    pub const SORT_ID: Self = Self(1 << 2);
    /// `sort=updatedAt`: without it the items changed last cannot be found.
    pub const SORT_UPDATED: Self = Self(1 << 3);
    /// `clusterZoomLevel`: servers that do not support it list photos without it.
    pub const CLUSTER: Self = Self(1 << 4);
    /// `excludeElements`: without it rows are larger.
    pub const ELEMENTS: Self = Self(1 << 5);
    /// `excludeFields`: without it rows are larger.
    pub const FIELDS: Self = Self(1 << 6);
    /// `skipRefresh`.
    pub const SKIP_REFRESH: Self = Self(1 << 7);
    /// `file`: without it items cannot be found by file name.
    pub const FILE: Self = Self(1 << 8);
    /// `type=12`: without it clips are not listed at all.
    pub const CLIPS: Self = Self(1 << 9);
    /// `type=13`: without it photos are not listed at all.
    pub const PHOTOS: Self = Self(1 << 10);

    /// Returns whether the set contains any of these arguments.
    #[must_use]
    pub fn has(self, some: Self) -> bool {
        self.0 & some.0 != 0
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the union of both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns this set without the arguments of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Iterates over the arguments, as sets of one.
    pub fn each(self) -> impl Iterator<Item = Self> {
        (0..WORDS.len())
            .map(|place| Self(1 << place))
            .filter(move |one| self.has(*one))
    }

    /// Encodes the set as words separated by spaces.
    #[must_use]
    pub fn words(self) -> String {
        let words: Vec<&str> = (WORDS.iter().enumerate())
            .filter(|(place, _)| self.has(Self(1 << place)))
            .map(|(_, word)| *word)
            .collect();
        words.join(" ")
    }

    /// Decodes a set; unknown words are ignored.
    #[must_use]
    pub fn from_words(text: &str) -> Self {
        let bits = text
            .split(' ')
            .filter_map(|word| WORDS.iter().position(|one| *one == word));
        Self(bits.fold(0, |all, place| all | 1 << place))
    }

    /// Returns the set as a number, for an atomic.
    pub(super) fn bits(self) -> u16 {
        self.0
    }

    /// The inverse of [`Refused::bits`].
    pub(super) fn from_bits(bits: u16) -> Self {
        Self(bits)
    }
}

#[cfg(test)]
#[path = "refused_tests.rs"]
mod tests;
