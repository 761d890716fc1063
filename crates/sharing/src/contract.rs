//! The interface of a log that hosts share, and the types of its entries.

use std::sync::Arc;
use std::time::Duration;

use crate::error::Result;
use crate::platform::Deadline;
use crate::platform::Release;
pub use plexindex::peers::entries::{EntryKind, EntryName, HostId, LARGEST_ENTRY, NewEntry, Position};

/// The number of a view in the log: one server as one user sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ViewNumber(pub i64);

/// The largest chunk of a listing as it is stored, in bytes.
pub const LARGEST_CHUNK: usize = 16 << 20;

/// Entries of so many bytes, and no more of them, are read or written at once.
pub const LARGEST_BATCH: usize = 16 << 20;

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: EntryName,
    /// Its content.
    pub body: Vec<u8>,
    /// Its number in the view.
    pub number: u64,
    /// The host that wrote it.
    pub host: HostId,
    /// Time since it was written, by the clock of the log.
    pub age: Duration,
}

/// What is new in a view.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The entries, by ascending number.
    pub entries: Vec<Entry>,
    /// Where the next reading begins. Not before the last entry; behind it if the numbers between were replaced.
    pub position: Position,
    /// Whether there are more entries.
    pub more: bool,
    /// The log does not have the position asked for: it was restored from a backup, or cleared, or the position is too
    /// old. The entries are those from the beginning.
    pub from_start: bool,
}

/// The right to ask the server for something, for all hosts. It ends by itself after [`LEASE`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The view.
    pub view: ViewNumber,
    /// What may be asked for.
    pub what: String,
    /// Grows with each lease of this name. The log refuses writes under an older number than the last.
    pub fence: i64,
}

/// The lifetime of a lease that is not renewed.
pub const LEASE: Duration = Duration::from_secs(20);

/// How long a call that needs something else waits for a log that is slow or silent.
pub const PATIENCE: Duration = Duration::from_millis(300);

/// What [`SharedIndex::shared_init`](crate::SharedIndex::shared_init) did with the tables of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SharedTables {
    /// It made them.
    Made,
    /// They were there, in this version.
    Present,
}

/// What the log holds of a view, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSummary {
    /// The view.
    pub view: ViewNumber,
    /// The server's machine identifier.
    pub server: String,
    /// The user: a hash, or a name after `user `.
    pub viewer: Vec<u8>,
    /// The last number.
    pub last: u64,
    /// Time since the last write; `None` before the first.
    pub age: Option<Duration>,
    /// Number of entries, by kind.
    pub entries: Vec<(EntryKind, u64)>,
    /// Number of hosts that wrote something that is there.
    pub hosts: u64,
    /// Size of its entries and chunks in bytes.
    pub bytes: u64,
}

/// A log that several hosts share. Calls are made from threads of the library only, from many at once; each returns by
/// the deadline. Without one, a log that is away fails within some hundred milliseconds, and one that is silent within
/// some seconds.
///
/// # Errors
/// [`Status::Connect`](crate::error::Status::Connect) if the log cannot be reached,
/// [`Status::Timeout`](crate::error::Status::Timeout) if it is silent,
/// [`Status::Forbidden`](crate::error::Status::Forbidden) if it does not allow this role to read or write, and
/// [`Status::ServerError`](crate::error::Status::ServerError) for what else it refuses. After an error a write may have
/// been made: all writes may be repeated.
pub trait SharedLog: Send + Sync {
    /// The address for people, without a password.
    fn name(&self) -> &str;

    /// How long a call that needs something else waits for this log to say something.
    fn patience(&self) -> Duration {
        PATIENCE
    }

    /// Makes the tables of the log, or upgrades them.
    fn init(&self, deadline: Deadline) -> Result<SharedTables> {
        self.secret(deadline).map(|_| SharedTables::Present)
    }

    /// The key of the hashes of tokens: random, the same for all hosts.
    fn secret(&self, deadline: Deadline) -> Result<[u8; 32]>;

    /// The number of a view, which is created if it is new. `viewer` is a hash, or the name of a user.
    fn view(&self, server: &str, viewer: &[u8], deadline: Deadline) -> Result<ViewNumber>;

    /// Reads up to `limit` entries behind a position, and fewer if they have more than [`LARGEST_BATCH`]. Entries that
    /// are larger than [`LARGEST_ENTRY`] are passed over, and larger chunks than [`LARGEST_CHUNK`] are none.
    fn read(&self, view: ViewNumber, after: Position, limit: usize, deadline: Deadline) -> Result<News>;

    /// Reads the entries of these names, in any order; missing ones are left out.
    fn find(&self, view: ViewNumber, names: &[EntryName], deadline: Deadline) -> Result<Vec<Entry>>;

    /// Writes entries, all or none, with ascending numbers; of two with the same name the later counts. Returns `false`
    /// and writes nothing if `lease` is given and has ended, or another host has a newer one.
    ///
    /// Invalidations void older matches, which no host records any more: [`EntryKind::InvalidLibrary`] removes the
    /// matches, invalidations and searches of its library, [`EntryKind::InvalidPath`] the match of its path.
    /// [`EntryKind::InvalidItem`] with a body empties the bodies of the matches of its key, which keep their numbers: a
    /// host may have an earlier match of the same path.
    fn append(
        &self,
        view: ViewNumber,
        host: HostId,
        entries: &[NewEntry],
        lease: Option<&Lease>,
        deadline: Deadline,
    ) -> Result<bool>;

    /// Writes entries that a host numbered, each exactly once: those up to the number that this host delivered last are
    /// passed over. Returns the number that is delivered last now. `entries` ascend; without any this is a question.
    /// `known`: what the host knows to have delivered before. Nothing is written if the log knows less, since it was
    /// restored; or if it has a number between `known` and the last entry that is none of these, since the host's
    /// folder was restored.
    fn deliver(
        &self,
        view: ViewNumber,
        host: HostId,
        known: u64,
        entries: &[(u64, NewEntry)],
        deadline: Deadline,
    ) -> Result<u64>;

    /// Takes a lease, or returns `None` while another holder has it. Each call that takes it gives a new fence, also to
    /// the host that has it.
    fn lease(&self, view: ViewNumber, what: &str, deadline: Deadline) -> Result<Option<Lease>>;

    /// Makes a lease last for [`LEASE`] from now. Returns `false` if another holder took it.
    fn renew(&self, lease: &Lease, deadline: Deadline) -> Result<bool>;

    /// Gives a lease back. Does nothing if another holder took it.
    fn release(&self, lease: &Lease, deadline: Deadline) -> Result<()>;

    /// Stores a chunk of the listing under this lease, whose fence is the number of the listing. Nobody reads it before
    /// [`SharedLog::publish_listing`]. Returns `false` if the lease is lost.
    fn put_chunk(&self, lease: &Lease, library: &str, number: u32, body: &[u8], deadline: Deadline) -> Result<bool>;

    /// Publishes the listing of the lease's fence: writes its head, removes the chunks of other listings of the
    /// library, and its entries of items up to the number `included`, which the listing has. Returns `false` if the
    /// lease is lost.
    fn publish_listing(
        &self,
        lease: &Lease,
        host: HostId,
        head: &NewEntry,
        included: u64,
        deadline: Deadline,
    ) -> Result<bool>;

    /// Reads a chunk of a listing; `None` if there is none, as when a newer listing was published.
    fn chunk(
        &self,
        view: ViewNumber,
        library: &str,
        listing: i64,
        number: u32,
        deadline: Deadline,
    ) -> Result<Option<Vec<u8>>>;

    /// Waits until a view has entries behind `number`, for `time` at most, or until [`SharedLog::interrupt`]. Returns
    /// whether it may have some. Sends one query at most, however long it waits.
    fn wait(&self, view: ViewNumber, number: u64, time: Duration) -> Result<bool>;

    /// Ends [`SharedLog::wait`], on whatever thread, or the next one if there is none now.
    fn interrupt(&self);

    /// Called when the index closes: calls of other threads wait for a silent log for about a second from now on.
    fn hurry(&self) {}

    /// Checks that the log takes what this host has to tell.
    fn expect_writable(&self, deadline: Deadline) -> Result<()>;

    /// The number of entries behind a number that other hosts wrote.
    fn behind(&self, view: ViewNumber, host: HostId, number: u64, deadline: Deadline) -> Result<u64>;

    /// What the log holds of each view.
    fn summary(&self, deadline: Deadline) -> Result<Vec<LogSummary>>;

    /// Removes everything from the log, and keeps its tables. Hosts keep their folders.
    fn clear(&self, deadline: Deadline) -> Result<()>;

    /// Called before a fork: closes all connections, so that the child does not share them, and returns the locks that
    /// keep them closed.
    fn before_fork(self: Arc<Self>) -> Vec<Box<dyn Release>>;
}
