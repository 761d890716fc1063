//! The entries of the shared log. The store holds the entries of this host until they are delivered.

/// A host: one folder of an index. A folder that was copied or restored is a different host, since it may reuse the
/// numbers of earlier writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub i64);

/// A position in the shared log, within one view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// The number of the last entry read; 0 before the first.
    pub number: u64,
    /// The random mark of the write that used this number. After the log was restored from a backup, the number has a
    /// different mark or none.
    pub mark: i64,
}

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntryKind {
    /// The last probe: one entry for the view. Key and library are empty.
    Probe,
    /// The head of a library's listing. The key is empty.
    Listing,
    /// An item that was added, changed or removed since the listing. The key is the rating key.
    Item,
    /// A confirmed match. The key is a path in the server's spelling. The body is a rating key, or empty if the match
    /// was removed.
    Match,
    /// An invalidated item. The key is the rating key. The body is empty if the item's matches remain valid.
    InvalidItem,
    /// An invalidated path. The key is the path in the server's spelling.
    InvalidPath,
    /// An invalidated library: earlier matches and invalidations of the library are void. The key is empty.
    InvalidLibrary,
    /// The result of a search for a path or title. The key is the hash of that path or title.
    Search,
    /// A library for which an event arrived, so that hosts probe it. The key is empty.
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

    /// Returns the number of the kind in the log. Numbers never change and are never reused.
    #[must_use]
    pub fn number(self) -> i16 {
        self as i16 + 1
    }

    /// Returns the kind with this number; `None` for a kind of a later version, whose entries readers skip.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// The name of an entry, unique within a view.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryName {
    /// The kind of the entry.
    pub kind: EntryKind,
    /// The uuid of the library; empty for a probe.
    pub library: String,
    /// Distinguishes the entries of one kind in a library. The longest keys are paths of 32 KiB.
    pub key: Vec<u8>,
}

/// Maximum size of an entry and its name in bytes. Readers skip a larger entry without fetching it.
pub const LARGEST_ENTRY: usize = 1 << 20;

/// An entry to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// The name of the entry.
    pub name: EntryName,
    /// The content, which the log does not interpret.
    pub body: Vec<u8>,
}

impl NewEntry {
    /// Returns the size of the entry and its name in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.name.library.len() + self.name.key.len() + self.body.len()
    }

    /// Returns whether the entry is small enough for readers.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.size() <= LARGEST_ENTRY
    }
}
