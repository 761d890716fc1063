//! The interface to the shared log, and the types of its entries.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::platform::Deadline;
use crate::platform::ForkLock;
pub use plexindex::peers::entries::{EntryKind, EntryName, HostId, LARGEST_ENTRY, NewEntry, Position};

/// The number of a view (one server's libraries as one user sees them) in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewNumber(pub i64);

/// Maximum total size of one read or write, in bytes.
pub const LARGEST_BATCH: usize = 16 << 20;

/// An entry in the shared log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name. A later entry with the same name replaces this entry.
    pub name: EntryName,
    /// The content; see [`EntryKind`].
    pub body: Vec<u8>,
    /// The entry's number in its view.
    pub number: u64,
    /// The host that wrote the entry.
    pub host: HostId,
}

/// One page of log entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryPage {
    /// Entries in ascending order of their numbers.
    pub entries: Vec<Entry>,
    /// Position for the next read. Replaced entries leave gaps, so this position may be beyond the last entry.
    pub position: Position,
    /// The last number that the host for which the page was read has delivered; 0 if there is none.
    pub delivered: u64,
    /// Whether more entries follow this page.
    pub has_more: bool,
    /// Whether the page starts at the log's beginning instead of at the requested position, because the log was
    /// restored or cleared, or because the position is too old.
    pub starts_over: bool,
}

/// Default timeout for calls that can continue without the log.
pub const ANSWER_TIMEOUT: Duration = Duration::from_millis(300);

/// The result of [`SharedIndex::shared_init`](crate::SharedIndex::shared_init): `made` if the call created the log's
/// tables, `present` if tables of this version already existed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SharedTables {
    /// The call created the tables.
    Made,
    /// Tables of this version already existed.
    Present,
}

/// Statistics for one view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// The view.
    pub view: ViewNumber,
    /// The server's machine identifier.
    pub server: String,
    /// The user: a hash, or the prefix `user ` followed by a name.
    pub viewer: Vec<u8>,
    /// Number of the last entry.
    pub last: u64,
    /// Time since the last write; `None` before the first write.
    pub age: Option<Duration>,
    /// Number of entries of each kind.
    pub entries: Vec<(EntryKind, u64)>,
    /// Number of hosts that have delivered entries, or whose entries are still in the log.
    pub hosts: u64,
    /// Total size of the view in the log, in bytes.
    pub bytes: u64,
}

/// A log that several hosts share. Several threads can call the methods concurrently. Methods that send requests run
/// only on threads that plexindex started. Each call returns by its deadline. A call without a deadline fails after a
/// few hundred milliseconds if the log is unreachable, and after a few seconds if the log does not respond.
///
/// # Errors
/// [`Status::Connect`](crate::error::Status::Connect) if the log is unreachable,
/// [`Status::Timeout`](crate::error::Status::Timeout) if the log does not respond,
/// [`Status::Forbidden`](crate::error::Status::Forbidden) if the database role is not allowed to read or write, and
/// [`Status::ServerError`](crate::error::Status::ServerError) for other errors that the log reports. The log may have
/// stored a write although the call failed, so every write can safely be repeated.
pub trait SharedLog: Send + Sync {
    /// Returns the log's address for messages, without a password.
    fn name(&self) -> &str;

    /// Returns how long a call that can continue without the log, such as a lookup, waits for each answer.
    fn answer_timeout(&self) -> Duration {
        ANSWER_TIMEOUT
    }

    /// Creates the log's tables if they do not exist, and returns whether this call created them. The default, for a
    /// log without tables, only checks that the log answers.
    fn create_tables(&self, deadline: Deadline) -> Result<SharedTables> {
        self.secret(deadline).map(|_| SharedTables::Present)
    }

    /// Returns the log's random key for hashing tokens. All hosts get the same key.
    fn secret(&self, deadline: Deadline) -> Result<[u8; 32]>;

    /// Returns a view's number, and creates the view if it does not exist. `viewer`: the user, in the format of
    /// [`LogSummary::viewer`].
    fn view(&self, server: &str, viewer: &[u8], deadline: Deadline) -> Result<ViewNumber>;

    /// Reads up to `limit` entries after the position `after`, or fewer if their total size would exceed
    /// [`LARGEST_BATCH`]. Skips entries larger than [`LARGEST_ENTRY`], and of kinds that [`EntryKind`] lacks. Also
    /// returns the last number that `host` has delivered.
    fn read(
        &self,
        view: ViewNumber,
        host: HostId,
        after: Position,
        limit: usize,
        deadline: Deadline,
    ) -> Result<EntryPage>;

    /// Returns the entries with the given names, in any order. Omits entries that do not exist.
    fn find(&self, view: ViewNumber, names: &[EntryName], deadline: Deadline) -> Result<Vec<Entry>>;

    /// Writes a host's entries atomically, each exactly once: the host has numbered them in ascending order, and the log
    /// skips numbers that it already has. If several entries have the same name, keeps only the last. Returns the last
    /// delivered number. `entries` is not empty.
    ///
    /// An invalidation also covers older matches, so that no host records them later. [`EntryKind::InvalidLibrary`]
    /// removes the library's matches and invalidations. [`EntryKind::InvalidPath`] removes the path's match.
    /// [`EntryKind::InvalidItem`] with a body empties the bodies of the item's matches. An emptied match stays in the
    /// log, so that each host removes its own earlier match for the same path.
    ///
    /// `last_delivered`: the last number that the host knows to be delivered. Writes nothing if the log's last number
    /// is lower, because the log was restored. Also writes nothing if the log's last number lies between
    /// `last_delivered` and the number of the last entry, but is not in `entries`, because the host's folder was
    /// restored.
    fn deliver(
        &self,
        view: ViewNumber,
        host: HostId,
        last_delivered: u64,
        entries: &[(u64, NewEntry)],
        deadline: Deadline,
    ) -> Result<u64>;

    /// Waits until a view has entries after `number`, `time` has passed, or [`SharedLog::interrupt`] is called. Returns
    /// whether the view may have new entries. Sends at most one query.
    fn wait(&self, view: ViewNumber, number: u64, time: Duration) -> Result<bool>;

    /// Interrupts the current [`SharedLog::wait`]; if no thread is waiting, interrupts the next wait.
    fn interrupt(&self);

    /// From now on, calls wait only about a second for a log that does not respond. plexindex calls this method when
    /// the index closes.
    fn shorten_timeouts(&self) {}

    /// Fails if this host is not allowed to write to the log.
    fn expect_writable(&self, deadline: Deadline) -> Result<()>;

    /// Counts the entries after `number` that hosts other than `host` wrote: the entries that `host` has not read yet.
    fn count_others(&self, view: ViewNumber, host: HostId, number: u64, deadline: Deadline) -> Result<u64>;

    /// Returns statistics for each view.
    fn summary(&self, deadline: Deadline) -> Result<Vec<LogSummary>>;

    /// Empties the log but keeps its tables. Does not change the hosts' folders.
    fn clear(&self, deadline: Deadline) -> Result<()>;

    /// Closes all connections before a fork, so that the child does not share them. No thread can open a connection
    /// while the caller holds the returned locks.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn ForkLock>>;
}
