//! Information about servers, proposed mappings, and the outcomes of refreshes and waits.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::error::Status;
use crate::matching::{ProposedMapping, byte_string};
use crate::options::Mapping;
use crate::platform::files::path_from_bytes;
use crate::stats::as_micros;

/// A server that answered a connection test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ServerInfo {
    /// Plex's machine identifier, which is the same for all of the server's URLs.
    pub machine_identifier: String,
    /// The server's version, for display.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Duration of one small request.
    #[serde(rename = "answered_us", serialize_with = "as_micros")]
    #[cfg_attr(feature = "schema", schemars(with = "u64"))]
    pub answered_in: Duration,
    /// Number of libraries that the user can access.
    pub libraries: usize,
}

/// A mapping that would make paths match.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Proposal {
    /// The host's folder.
    #[serde(serialize_with = "byte_string::path")]
    #[cfg_attr(feature = "schema", schemars(with = "byte_string::ByteString"))]
    pub from: PathBuf,
    /// The server's folder.
    #[serde(serialize_with = "byte_string::path")]
    #[cfg_attr(feature = "schema", schemars(with = "byte_string::ByteString"))]
    pub to: PathBuf,
    /// Number of paths that would match, with the size that Plex lists.
    pub matched: usize,
    /// Number of examined paths.
    pub of: usize,
    /// Number of paths that speak against the mapping: it would lead to a file of another size, or another folder has the
    /// same files.
    pub contradicted: usize,
    /// Whether sizes leave no doubt: ten paths match, and none is contradicted.
    pub certain: bool,
    /// Number of given paths that match with this proposal but with no earlier proposal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain: Option<usize>,
}

impl Proposal {
    /// Converts a proposed pair of folders to the type for the host. `gain`: how many of the host's paths match with
    /// this proposal but with no earlier one; `None` if the host gave no paths.
    pub(super) fn of(pair: ProposedMapping, gain: Option<usize>) -> Self {
        Self {
            certain: pair.is_certain(),
            contradicted: pair.contradicted,
            from: path_from_bytes(pair.from),
            to: path_from_bytes(pair.to),
            matched: pair.matched,
            of: pair.examined,
            gain,
        }
    }

    /// Converts the proposal to a mapping for [`Options::mappings`](crate::Options::mappings).
    #[must_use]
    pub fn mapping(&self) -> Mapping {
        Mapping::host_to_server(&self.from, &self.to)
    }
}

/// The outcome of a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use = "the timeout may have passed before the refresh finished"]
pub enum Refreshed {
    /// The libraries are up to date.
    Done,
    /// The timeout passed before the refresh finished, and the next refresh continues where this refresh stopped; or
    /// answers are stale for another reason, such as a listing that a second one must confirm.
    NotYet,
    /// The timeout is too short for the server, so repeating the call does not help. Refresh once without a timeout.
    NeedsWarm,
}

/// The outcome of a wait for changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[must_use = "the timeout may have passed before a change"]
pub enum WaitOutcome {
    /// There are changes, or a refresh is due because a listing has expired or an event has arrived. A due refresh ends
    /// at most one wait per second, and never ends the wait of an offline query.
    Something,
    /// The timeout passed before there was a change.
    NotYet,
}

enum_names! { Refreshed: Done "done", NotYet "not_yet", NeedsWarm "needs_warm" }
enum_names! { WaitOutcome: Something "something", NotYet "not_yet" }

impl Refreshed {
    /// Converts the status of a refresh that caused no error.
    pub(super) fn of(status: Status) -> Self {
        match status {
            Status::NotYet => Self::NotYet,
            Status::NeedsWarm => Self::NeedsWarm,
            _ => Self::Done,
        }
    }
}
