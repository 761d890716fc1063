//! Arguments that a server was found to refuse.

/// A set of arguments that a server answers with a refusal. All of them can be done without: answers are larger, less
/// steady or less complete then, and each caller knows what follows from that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused(u16);

/// The arguments by the place of their bit. The words are on disk, their places are not.
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
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// `includeGuids`: rows then lack their external ids.
    pub const GUIDS: Self = Self(1);
    /// `includeCollections`.
    pub const COLLECTIONS: Self = Self(1 << 1);
    /// `sort=id`: rows then come in the server's own order.
    pub const SORT_ID: Self = Self(1 << 2);
    /// `sort=updatedAt`: what was changed last cannot be found out then.
    pub const SORT_UPDATED: Self = Self(1 << 3);
    /// `clusterZoomLevel`: servers that do not know it list photos without it.
    pub const CLUSTER: Self = Self(1 << 4);
    /// `excludeElements`: rows are larger then.
    pub const ELEMENTS: Self = Self(1 << 5);
    /// `excludeFields`: rows are larger then.
    pub const FIELDS: Self = Self(1 << 6);
    /// `skipRefresh`.
    pub const SKIP_REFRESH: Self = Self(1 << 7);
    /// `file`: then no item can be asked for by a file's name.
    pub const FILE: Self = Self(1 << 8);
    /// Clips (`type=12`) are not listed at all.
    pub const CLIPS: Self = Self(1 << 9);
    /// Photos (`type=13`) are not listed at all.
    pub const PHOTOS: Self = Self(1 << 10);

    /// Whether one of these arguments is in the set.
    #[must_use]
    pub fn has(self, some: Self) -> bool {
        self.0 & some.0 != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without those of another.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The arguments one by one.
    pub fn each(self) -> impl Iterator<Item = Self> {
        (0..WORDS.len())
            .map(|place| Self(1 << place))
            .filter(move |one| self.has(*one))
    }

    /// As text: words with a space between them.
    #[must_use]
    pub fn words(self) -> String {
        let words: Vec<&str> = (WORDS.iter().enumerate())
            .filter(|(place, _)| self.has(Self(1 << place)))
            .map(|(_, word)| *word)
            .collect();
        words.join(" ")
    }

    /// From text; words that are not known are passed over.
    #[must_use]
    pub fn from_words(text: &str) -> Self {
        let bits = text
            .split(' ')
            .filter_map(|word| WORDS.iter().position(|one| *one == word));
        Self(bits.fold(0, |all, place| all | 1 << place))
    }

    /// As a number, for an atomic.
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
