//! What is counted of the requests that a source sends.

use std::time::Duration;

/// The kinds of requests, as statistics count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(usize)]
#[non_exhaustive]
pub enum RequestKind {
    /// `/identity`: which server is this.
    Identity = 0,
    /// `/library/sections`: the probe.
    Probe = 1,
    /// A page of a full listing.
    Page = 2,
    /// A page of a positive delta.
    Delta = 3,
    /// A path search: one path, one title.
    FindPath = 4,
    /// `/library/metadata/…`: do these items still exist, with these files.
    Confirm = 5,
    /// A batch edit.
    Edit = 6,
    /// An event stream's connection.
    Events = 7,
}

impl RequestKind {
    /// How many kinds there are.
    pub const COUNT: usize = 8;

    /// Every kind, in the order of its number.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Identity,
        Self::Probe,
        Self::Page,
        Self::Delta,
        Self::FindPath,
        Self::Confirm,
        Self::Edit,
        Self::Events,
    ];

    /// The word for statistics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Probe => "probe",
            Self::Page => "page",
            Self::Delta => "delta",
            Self::FindPath => "find_path",
            Self::Confirm => "confirm",
            Self::Edit => "edit",
            Self::Events => "events",
        }
    }
}

/// Told of every request that was sent, retries included, when it ended.
pub trait Meter: Send + Sync {
    /// One request of this kind was sent; `bytes` of its answer's body came over the wire (compressed as they
    /// came), and it was waited for `took` long, for its head and for each piece of its body.
    fn request(&self, kind: RequestKind, bytes: u64, took: Duration);

    /// So many more bytes came of an answer that was told before its end: an event stream's.
    fn received(&self, _bytes: u64) {}

    /// Reading an answer took so long, waiting for it not included: decompressing and parsing.
    fn parsed(&self, _took: Duration) {}

    /// So long nothing was done before a request was tried again.
    fn paused(&self, _took: Duration) {}
}
