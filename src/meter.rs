//! The metrics of the requests that a source sends.

use std::time::Duration;

/// The kinds of requests, as statistics count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
#[non_exhaustive]
pub enum RequestKind {
    /// `/identity`: the identity of the server.
    Identity = 0,
    /// `/library/sections`: the probe.
    Probe = 1,
    /// A page of a full listing.
    Page = 2,
    /// A page of a delta.
    Delta = 3,
    /// A search for one path or title.
    FindPath = 4,
    /// `/library/metadata/…`, which shows whether items still exist with the same files.
    Confirm = 5,
    /// A batch edit.
    Edit = 6,
    /// The connection of an event stream.
    Events = 7,
}

impl RequestKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: &'static [Self] = &[
        Self::Identity,
        Self::Probe,
        Self::Page,
        Self::Delta,
        Self::FindPath,
        Self::Confirm,
        Self::Edit,
        Self::Events,
    ];

    /// Number of kinds.
    #[doc(hidden)]
    pub const COUNT: usize = Self::ALL.len();
}

enum_names! { RequestKind:
    Identity "identity", Probe "probe", Page "page", Delta "delta", FindPath "find_path", Confirm "confirm",
    Edit "edit", Events "events"
}

/// Receives the metrics of every request sent, retries included, when it ends.
pub trait Meter: Send + Sync {
    /// Records a request. `bytes` is the transferred size of the reply's body, and `took` the time spent waiting for
    /// the reply's head and body.
    fn request(&self, kind: RequestKind, bytes: u64, took: Duration);

    /// Records further bytes of an event stream. The stream's request was recorded at its start.
    fn received(&self, _bytes: u64) {}

    /// Records the time for decompressing and parsing a reply, without the time spent waiting.
    fn parsed(&self, _took: Duration) {}

    /// Records the pause before a retry.
    fn paused(&self, _took: Duration) {}
}
