//! What is known of libraries, servers and the store.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::paths::path_of;
use crate::index;
use crate::model::LibraryKind;
use crate::options::Mapping;

/// A library, and how fresh its listing is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LibraryInfo {
    /// Its section id, such as `1`.
    pub section: String,
    /// Its identifier, which outlives a renaming; `section:` and the section id where the server shows none.
    pub uuid: String,
    /// The title that the user gave it. Titles may repeat.
    pub title: String,
    /// What it holds.
    pub kind: LibraryKind,
    /// Its folders, as the server sees them.
    pub locations: Vec<PathBuf>,
    /// Items listed; `None` while it was never fetched.
    pub items: Option<u64>,
    /// When its listing was last seen to be current; `None` while it was never fetched.
    pub checked: Option<SystemTime>,
    /// A number that moves only when its listing changes; `None` while it was never fetched.
    pub generation: Option<u64>,
    /// Whether the next question is answered without asking the server.
    pub fresh: bool,
}

impl LibraryInfo {
    pub(super) fn of(row: index::LibraryFacts) -> Self {
        let known = |number: i64| u64::try_from(number).ok();
        let fetched = row.checked_ms.is_some();
        Self {
            section: row.library.section,
            uuid: row.library.uuid,
            title: row.library.title,
            kind: row.library.kind,
            locations: row.library.locations.into_iter().map(path_of).collect(),
            items: fetched.then_some(row.items),
            checked: row
                .checked_ms
                .map(|ms| UNIX_EPOCH + Duration::from_millis(known(ms).unwrap_or(0))),
            generation: fetched.then_some(row.generation).and_then(known),
            fresh: row.fresh,
        }
    }
}

/// Which server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Its identity, the same behind every URL.
    pub machine_identifier: String,
    /// Its version, for people.
    pub version: Option<String>,
    /// How long it took to answer a small question.
    pub answered_in: Duration,
    /// How many libraries it shows to the token's user.
    pub libraries: usize,
    /// Why Plex's database is put aside, so that the server is asked in its place; `None` where it is used, or none was named.
    pub database_aside: Option<String>,
}

/// What kind of place the store is in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreInfo {
    /// The kind of file system, such as `ext4`, where its name is known.
    pub file_system: Option<String>,
    /// How `SQLite` keeps its journal: `wal`, or `truncate` where memory is not shared.
    pub journal: String,
    /// Whether processes can share memory there.
    pub shares_memory: bool,
    /// Whether another process' commits are seen for a few loads, or by asking the database each time.
    pub counter_page: bool,
    /// Why a lock does not keep others out; `None` where it does.
    pub locks_error: Option<String>,
    /// Bytes that the store takes.
    pub disk_bytes: u64,
    /// Bytes that are left for this user.
    pub free_bytes: Option<u64>,
}

impl StoreInfo {
    pub(super) fn of(facts: index::StoreFacts) -> Self {
        Self {
            file_system: facts.file_system,
            journal: facts.journal,
            shares_memory: facts.shares_memory,
            counter_page: facts.counter_page,
            locks_error: facts.locks_error,
            disk_bytes: facts.disk_bytes,
            free_bytes: facts.free_bytes,
        }
    }
}

/// A mapping that would have made paths match, and how much speaks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proposal {
    /// The folder as the host spells it.
    pub from: PathBuf,
    /// The folder as the server spells it.
    pub to: PathBuf,
    /// So many of the paths would match …
    pub matched: usize,
    /// … of so many that were examined.
    pub of: usize,
}

impl Proposal {
    pub(super) fn of(found: index::Proposal) -> Self {
        Self {
            from: path_of(found.from),
            to: path_of(found.to),
            matched: found.matched,
            of: found.of,
        }
    }

    /// The mapping itself, for [`Options::mappings`](crate::Options::mappings).
    #[must_use]
    pub fn mapping(&self) -> Mapping {
        Mapping::host_to_server(&self.from, &self.to)
    }
}
