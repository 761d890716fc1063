//! The entries of the log that hosts share, as the store keeps them until they are delivered.

/// A host: a folder, and an incarnation of it. A folder that was copied or restored is another host, since it may give
/// a number to another write than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub i64);

/// A position in the log that hosts share, within one view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The number of the last entry read; 0 before the first.
    pub number: u64,
    /// The random mark of the write that gave this number. A log that was restored from a backup has another mark for
    /// it, or none.
    pub mark: i64,
}

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntryKind {
    /// The last probe. One entry of a view; its key and its library are empty.
    Probe,
    /// The head of a library's listing. Its key is empty.
    Listing,
    /// An item that was added, changed or removed since the listing. Its key is the rating key.
    Item,
    /// A confirmed match. Its key is a path in the server's spelling, its body a rating key; empty: it was removed.
    Match,
    /// An invalidated item. Its key is the rating key; its body is empty if matches of the item stay.
    InvalidItem,
    /// An invalidated path. Its key is the path in the server's spelling.
    InvalidPath,
    /// The library was invalidated: earlier matches and invalidations of it are void. Its key is empty.
    InvalidLibrary,
    /// The result of a search for a path or title. Its key is the hash of what was searched for.
    Search,
    /// A library of which an event told: it is to be probed. Its key is empty.
    Hint,
}

impl EntryKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Probe,
        Self::Listing,
        Self::Item,
        Self::Match,
        Self::InvalidItem,
        Self::InvalidPath,
        Self::InvalidLibrary,
        Self::Search,
        Self::Hint,
    ];

    /// The number that stands for it in the log; none is changed or used again.
    #[must_use]
    pub fn number(self) -> i16 {
        self as i16 + 1
    }

    /// The kind with this number. `None` for a kind of a later version, whose entries are passed over.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// The name of an entry: there is one entry of each name in a view.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryName {
    /// What it is about.
    pub kind: EntryKind,
    /// The uuid of its library; empty for a probe.
    pub library: String,
    /// Distinguishes the entries of a kind in a library. Paths are the longest: 32 KiB.
    pub key: Vec<u8>,
}

/// The largest entry, with its name, in bytes. Nobody writes a larger one, and readers pass it over without fetching
/// it.
pub const LARGEST_ENTRY: usize = 1 << 20;

/// An entry to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Its name.
    pub name: EntryName,
    /// Its content, which the log does not read.
    pub body: Vec<u8>,
}

impl NewEntry {
    /// Its size, with its name.
    #[must_use]
    pub fn size(&self) -> usize {
        self.name.library.len() + self.name.key.len() + self.body.len()
    }

    /// Returns whether readers take it.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.size() <= LARGEST_ENTRY
    }
}
