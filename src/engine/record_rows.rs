//! The rows of hosts' tables and of confirmed matches.

use crate::model::{LibraryId, Sequence, TableId};

/// Maximum length of a value that a process keeps in memory, in bytes.
pub const MAX_INLINE: usize = 1000;

/// An entry of a host's table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEntry {
    /// The length of the value in bytes.
    pub length: u64,
    /// The value; `None` if it is longer than [`MAX_INLINE`].
    pub value: Option<Vec<u8>>,
    /// Expiry time in Unix ms; `None` if the value never expires.
    pub expires_ms: Option<i64>,
}

/// When a match was recorded or taken back: µs since 1970 by the hosts' common clock, followed by bits of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordTime(pub i64);

/// Number of low bits of a [`RecordTime`] that tell hosts apart.
const HOST_BITS: u32 = 11;
/// The latest time of a record in µs: the shared database refuses what is later.
const LAST_US: i64 = (9_000_000_000_000_000_000 >> HOST_BITS) - 1;
/// The latest time in µs to which a clock is set: in the year 2100, so that later records remain possible.
pub const LAST_SET_US: i64 = 4_102_444_800_000_000;

impl RecordTime {
    /// Earlier than every record.
    pub const NEVER: Self = Self(i64::MIN);

    /// Returns the earliest record time at a time, in µs since 1970.
    #[must_use]
    pub fn at_us(us: i64) -> Self {
        Self(us.clamp(0, LAST_US) << HOST_BITS)
    }

    /// Returns the earliest record time at a Unix time of a host, in ms. `difference_us`: what to add to the host's clock.
    #[must_use]
    pub fn of_unix(unix_ms: i64, difference_us: i64) -> Self {
        Self::at_us(unix_ms.saturating_mul(1_000).saturating_add(difference_us))
    }

    /// Returns the time in µs since 1970.
    #[must_use]
    pub fn us(self) -> i64 {
        self.0 >> HOST_BITS
    }

    /// Returns the time of a record that is made now, and that is later than another one. `host`: a number of the host.
    #[must_use]
    pub fn of_host(now_us: i64, host: i64, after: Self) -> Self {
        let us = now_us.max(after.us().saturating_add(1));
        Self(Self::at_us(us).0 | host & ((1 << HOST_BITS) - 1))
    }
}

/// A match of a path, or that it was taken back, at a time. Of two, the later counts, on every host: of the same time, the
/// one with the larger rating key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version<'k> {
    pub at: RecordTime,
    /// `None`: taken back.
    pub rating_key: Option<&'k str>,
}

/// A confirmed match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredMatch {
    /// The change sequence at which the match was recorded.
    pub sequence: Sequence,
    /// The path as the host passed it.
    pub path: Vec<u8>,
    pub rating_key: String,
    /// When it was recorded, by the hosts' common clock: [`RecordTime`]. 0 in a snapshot, which does not need it.
    pub at: RecordTime,
}

impl StoredMatch {
    pub fn version(&self) -> Version<'_> {
        Version {
            at: self.at,
            rating_key: Some(&self.rating_key),
        }
    }
}

/// A normal form, and all matches of paths with this form.
pub type FormMatches = (Vec<u8>, Vec<StoredMatch>);

/// Collects the matches with the same form, which follow one another; `None` for a match that does not count.
pub fn by_form(matches: impl IntoIterator<Item = (Vec<u8>, Option<StoredMatch>)>) -> Vec<FormMatches> {
    let mut forms: Vec<FormMatches> = Vec::new();
    for (form, stored) in matches {
        match forms.last_mut() {
            Some((last, matches)) if *last == form => matches.extend(stored),
            _ => forms.push((form, stored.into_iter().collect())),
        }
    }
    forms
}

/// A record that a commit has changed: an entry, or the matches of the paths with a normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedRecord {
    /// The change sequence of the commit.
    pub sequence: Sequence,
    pub table: TableId,
    /// The entry's name, or the normal form.
    pub key: Vec<u8>,
    /// The library of a match.
    pub library: Option<LibraryId>,
}

/// The id and the name of a host's table.
pub type NamedTable = (TableId, Vec<u8>);

/// The changes in hosts' tables since a snapshot.
#[derive(Clone, Debug, Default)]
pub struct TableChanges {
    /// The change sequence of the database.
    pub sequence: Sequence,
    /// The names of the tables, and the change sequence at which a table was last created or cleared; `None` if the
    /// snapshot has them.
    pub tables: Option<(Sequence, Vec<NamedTable>)>,
    /// The changed entries; `None` if they cannot be told, for example because there are too many.
    pub entries: Option<Vec<ChangedRecord>>,
}
