//! Metrics for the requests that a source sends.

use std::time::Duration;

/// The kind of a request, for statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
#[non_exhaustive]
pub enum RequestKind {
    /// `/identity`: the server's identity.
    Identity = 0,
    /// `/library/sections`: the probe.
    Probe = 1,
    /// A page of a full listing.
    Page = 2,
    /// A page of a delta.
    Delta = 3,
    /// A search for one path or title.
    FindPath = 4,
    /// `/library/metadata/…`: whether items still exist and have the same files.
    Confirm = 5,
    /// The start of a scan.
    Scan = 6,
    /// An event stream.
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
        Self::Scan,
        Self::Events,
    ];

    /// Number of kinds.
    #[doc(hidden)]
    pub const COUNT: usize = Self::ALL.len();
}

enum_names! { RequestKind:
    Identity "identity", Probe "probe", Page "page", Delta "delta", FindPath "find_path", Confirm "confirm",
    Scan "scan", Events "events"
}

/// Receives metrics for each request, including each retry, when the request completes.
pub trait Meter: Send + Sync {
    /// Records a request. `bytes` is the number of body bytes received, and `took` is the time spent waiting for the
    /// response headers and body.
    fn record_request(&self, kind: RequestKind, bytes: u64, took: Duration);

    /// Records bytes received from an event stream. [`Meter::record_request`] recorded the stream's request at its
    /// start.
    fn record_received_bytes(&self, _bytes: u64) {}

    /// Records the time spent decompressing and parsing a reply, excluding the time spent waiting.
    fn record_parsing(&self, _took: Duration) {}

    /// Records the pause before a retry.
    fn record_pause(&self, _took: Duration) {}
}
