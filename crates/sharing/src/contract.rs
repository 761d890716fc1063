//! The interface to the shared log, and the types of its entries.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::platform::Deadline;
use crate::platform::Release;
pub use plexindex::peers::entries::{EntryKind, EntryName, HostId, LARGEST_ENTRY, NewEntry, Position};

/// The number of a view: one server as one user sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewNumber(pub i64);

/// Maximum size of a stored chunk in bytes.
pub const LARGEST_CHUNK: usize = 16 << 20;

/// Maximum total size of one read or write.
pub const LARGEST_BATCH: usize = 16 << 20;

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name. A later entry with the same name replaces this one.
    pub name: EntryName,
    /// The content, in the format of `bodies`.
    pub body: Vec<u8>,
    /// The position in the view.
    pub number: u64,
    /// The host that wrote it.
    pub host: HostId,
    /// Time since the entry was written, by the log's clock.
    pub age: Duration,
}

/// One page of entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Entries in ascending order.
    pub entries: Vec<Entry>,
    /// The position to read from next: that of the last entry or later, since replaced entries leave gaps.
    pub position: Position,
    /// Whether more entries follow.
    pub more: bool,
    /// Whether the log does not know the requested position, because it was restored or cleared, or the position is too
    /// old. The page is the first one then.
    pub from_start: bool,
}

/// The right to ask the server for something, on behalf of all hosts. Expires after [`LEASE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The view.
    pub view: ViewNumber,
    /// The name of the task, such as `probe`.
    pub what: String,
    /// A number that increases with each lease of this name. The log rejects writes under an older number.
    pub fence: i64,
}

/// The lifetime of a lease since it was acquired or renewed.
pub const LEASE: Duration = Duration::from_secs(20);

/// The default of [`SharedLog::patience`].
pub const PATIENCE: Duration = Duration::from_millis(300);

/// `made`: [`SharedIndex::shared_init`](crate::SharedIndex::shared_init) created the log's tables. `present`: they
/// existed in this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SharedTables {
    /// Created.
    Made,
    /// Existed in this version.
    Present,
}

/// Statistics of one view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// The view.
    pub view: ViewNumber,
    /// The server's machine identifier.
    pub server: String,
    /// The user: a hash, or a name after the prefix `user `.
    pub viewer: Vec<u8>,
    /// The number of the last entry.
    pub last: u64,
    /// Time since the last write; `None` before the first.
    pub age: Option<Duration>,
    /// Number of entries by kind.
    pub entries: Vec<(EntryKind, u64)>,
    /// Number of hosts that wrote the remaining entries.
    pub hosts: u64,
    /// Total size of entries and chunks in bytes.
    pub bytes: u64,
}

/// A log that several hosts share. Any number of threads of the library may call it at once. Each call returns by its
/// deadline. Without a deadline, a call fails after some hundred milliseconds if the log is unreachable, and after some
/// seconds if the log is silent.
///
/// # Errors
/// [`Status::Connect`](crate::error::Status::Connect) if the log cannot be reached,
/// [`Status::Timeout`](crate::error::Status::Timeout) if it is silent,
/// [`Status::Forbidden`](crate::error::Status::Forbidden) if this role may not read or write, and
/// [`Status::ServerError`](crate::error::Status::ServerError) for other errors of the log. A write that failed may have
/// happened, so all writes can be repeated.
pub trait SharedLog: Send + Sync {
    /// The log's address, without a password, for messages.
    fn name(&self) -> &str;

    /// How long a call that can do without the log waits for an answer.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// Creates the log's tables, or upgrades them.
    fn init(&self, deadline: Deadline) -> Result<SharedTables> {
        self.secret(deadline).map(|_| SharedTables::Present)
    }

    /// The log's random key for hashes of tokens, the same for all hosts.
    fn secret(&self, deadline: Deadline) -> Result<[u8; 32]>;

    /// Returns the number of a view, and creates a new view if necessary. `viewer`: a hash, or the name of a user.
    fn view(&self, server: &str, viewer: &[u8], deadline: Deadline) -> Result<ViewNumber>;

    /// Reads up to `limit` entries after a position, fewer if they exceed [`LARGEST_BATCH`]. Skips entries larger than
    /// [`LARGEST_ENTRY`].
    fn read(&self, view: ViewNumber, after: Position, limit: usize, deadline: Deadline) -> Result<News>;

    /// Reads the entries with these names, in any order; omits missing ones.
    fn find(&self, view: ViewNumber, names: &[EntryName], deadline: Deadline) -> Result<Vec<Entry>>;

    /// Writes entries with ascending numbers, all or none; of two with the same name, the later wins. Returns `false`
    /// without writing if `lease` has expired or another host has a newer one.
    ///
    /// Invalidations also void older matches, so that no host records them later. [`EntryKind::InvalidLibrary`] removes
    /// the library's matches, invalidations and searches, and [`EntryKind::InvalidPath`] the match of its path.
    /// [`EntryKind::InvalidItem`] with a body empties the bodies of the item's matches, which keep their numbers: a
    /// host may have an earlier match of the same path.
    fn append(
        &self,
        view: ViewNumber,
        host: HostId,
        entries: &[NewEntry],
        lease: Option<&Lease>,
        deadline: Deadline,
    ) -> Result<bool>;

    /// Writes entries under ascending numbers of this host, each exactly once: skips numbers that the host has
    /// delivered before. Returns the last delivered number. Without entries, only returns it.
    ///
    /// `last_delivered`: the last number that the host knows to be delivered. Writes nothing if the log has a lower
    /// one, because the log was restored; or if it has one between `last_delivered` and the last entry that is not in
    /// `entries`, because the host's folder was restored.
    fn deliver(
        &self,
        view: ViewNumber,
        host: HostId,
        last_delivered: u64,
        entries: &[(u64, NewEntry)],
        deadline: Deadline,
    ) -> Result<u64>;

    /// Acquires a lease; `None` while another holder has it. Each success returns a new fence, even to the current
    /// holder.
    fn lease(&self, view: ViewNumber, what: &str, deadline: Deadline) -> Result<Option<Lease>>;

    /// Extends a lease to [`LEASE`] from now. Returns `false` if another holder has it.
    fn renew(&self, lease: &Lease, deadline: Deadline) -> Result<bool>;

    /// Releases a lease, unless another holder has it.
    fn release(&self, lease: &Lease, deadline: Deadline) -> Result<()>;

    /// Stores a chunk of the listing whose number is the lease's fence. [`SharedLog::publish_listing`] makes it
    /// visible. Returns `false` if the lease is lost.
    fn put_chunk(&self, lease: &Lease, library: &str, number: u32, body: &[u8], deadline: Deadline) -> Result<bool>;

    /// Publishes the listing whose number is the lease's fence: writes the head, removes the library's other chunks,
    /// and removes its item entries up to the number `included`, which the listing includes. Returns `false` if the
    /// lease is lost.
    fn publish_listing(
        &self,
        lease: &Lease,
        host: HostId,
        head: &NewEntry,
        included: u64,
        deadline: Deadline,
    ) -> Result<bool>;

    /// Reads a chunk of a listing; `None` if the listing was replaced, or the chunk is larger than [`LARGEST_CHUNK`].
    fn chunk(
        &self,
        view: ViewNumber,
        library: &str,
        listing: i64,
        number: u32,
        deadline: Deadline,
    ) -> Result<Option<Vec<u8>>>;

    /// Waits until a view has entries after `number`, at most for `time`, or until [`SharedLog::interrupt`]. Returns
    /// whether it may have some. Sends at most one query.
    fn wait(&self, view: ViewNumber, number: u64, time: Duration) -> Result<bool>;

    /// Ends [`SharedLog::wait`] on any thread, or the next wait.
    fn interrupt(&self);

    /// Called when the index closes: from now on, calls wait about a second for a silent log.
    fn shorten_timeouts(&self) {}

    /// Checks that this host may write to the log.
    fn expect_writable(&self, deadline: Deadline) -> Result<()>;

    /// Number of entries of other hosts after a number.
    fn behind(&self, view: ViewNumber, host: HostId, number: u64, deadline: Deadline) -> Result<u64>;

    /// Statistics of each view.
    fn summary(&self, deadline: Deadline) -> Result<Vec<LogSummary>>;

    /// Empties the log and keeps its tables. Hosts keep their folders.
    fn clear(&self, deadline: Deadline) -> Result<()>;

    /// Called before a fork: closes all connections, so that the child does not share them, and returns locks that keep
    /// them closed.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn Release>>;
}
