//! Entries of the shared log. The store keeps this host's entries until the log has received them.

/// The id of a host. A host is one index folder. A copied or restored folder gets a new id, since it may reuse the
/// numbers of earlier writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub i64);

/// A position in the shared log, within one view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    pub const ALL: [Self; 4] = [Self::Match, Self::InvalidItem, Self::InvalidPath, Self::InvalidLibrary];

    /// Returns the kind's number in the log. Numbers never change, and a new kind never reuses a number; 1 to 3, 8 and 9
    /// were kinds of earlier versions.
    #[must_use]
    pub fn number(self) -> i16 {
        self as i16 + 4
    }

    /// Returns the kind with this number; `None` for a kind of another version. Readers skip entries of an unknown
    /// kind.
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
    /// The uuid of the library.
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
    /// Creates an entry about the library with this uuid. `key`: a path or a rating key, depending on `kind`.
    #[must_use]
    pub fn new(kind: EntryKind, library: &str, key: &[u8], body: Vec<u8>) -> Self {
        Self {
            name: EntryName {
                kind,
                library: library.to_owned(),
                key: key.to_vec(),
            },
            body,
        }
    }
}
