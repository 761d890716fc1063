//! Entries of the shared log. The store keeps this host's entries until the log has received them.

/// The id of a host. A host is one index folder. A copied or restored folder gets a new id, since it may reuse the
/// numbers of earlier writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub i64);

/// A position in the shared log, within one view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Position {
    /// Number of the last entry read; 0 before the first entry.
    pub number: u64,
    /// Random mark of the write that used this number. After the log is restored from a backup, the number has a
    /// different mark or no mark.
    pub mark: i64,
}

/// The kind of an entry in the shared log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntryKind {
    /// The last probe. The view has only one such entry, whose key and library are empty.
    Probe,
    /// The header of a library's listing. The key is empty.
    Listing,
    /// An item that was added, changed or removed since the listing. The key is the item's rating key.
    Item,
    /// A confirmed match. The key is the path on the server; the body is a rating key, or empty for a removed match.
    Match,
    /// An invalidated item. The key is the item's rating key. The body is empty if the item's matches remain valid.
    InvalidItem,
    /// An invalidated path. The key is the path on the server.
    InvalidPath,
    /// An invalidated library. Writing it removes the library's earlier matches and invalidations. The key is empty.
    InvalidLibrary,
}

impl EntryKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Probe,
        Self::Listing,
        Self::Item,
        Self::Match,
        Self::InvalidItem,
        Self::InvalidPath,
        Self::InvalidLibrary,
    ];

    /// Returns the kind's number in the log, starting at 1. Numbers never change, and a new kind never reuses a number;
    /// 8 and 9 were kinds of an earlier version.
    #[must_use]
    pub fn number(self) -> i16 {
        self as i16 + 1
    }

    /// Returns the kind with this number; `None` for a kind that a later version added. Readers skip entries of an
    /// unknown kind.
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
    /// The entry's key, unique among the library's entries of the same kind. The longest keys are paths of 32 KiB.
    pub key: Vec<u8>,
}

/// Maximum size of an entry with its name, in bytes. Readers skip a larger entry without fetching it.
pub const LARGEST_ENTRY: usize = 1 << 20;

/// An entry to write to the shared log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// The name of the entry.
    pub name: EntryName,
    /// The entry's content, which the log does not interpret.
    pub body: Vec<u8>,
}

impl NewEntry {
    /// Returns the size of the entry with its name, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.name.library.len() + self.name.key.len() + self.body.len()
    }

    /// Returns whether the entry is at most [`LARGEST_ENTRY`] bytes, so that readers do not skip it.
    #[must_use]
    pub fn is_within_limit(&self) -> bool {
        self.size() <= LARGEST_ENTRY
    }
}
