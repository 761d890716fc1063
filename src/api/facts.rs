//! Facts about servers, and proposed mappings.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::paths::path_of;
use crate::matching::propose;
use crate::options::Mapping;

/// Which server answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ServerInfo {
    /// Its identity, the same behind every URL.
    pub machine_identifier: String,
    /// Its version, for people.
    #[serde(serialize_with = "or_empty")]
    pub version: Option<String>,
    /// How long it took to answer a small question.
    #[serde(rename = "answered_us", serialize_with = "micros")]
    pub answered_in: Duration,
    /// How many libraries it shows to the token's user.
    pub libraries: usize,
    /// Why Plex's database is unavailable, so that the server is used instead; `None` if it is used, or none was named.
    pub database_unavailable: Option<String>,
}

#[allow(clippy::ref_option)] // serde's shape
fn or_empty<S: Serializer>(text: &Option<String>, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_str(text.as_deref().unwrap_or_default())
}

fn micros<S: Serializer>(time: &Duration, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_u64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

/// A mapping that would have made paths match, and how much speaks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
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
    pub(super) fn of(found: propose::PrefixPair) -> Self {
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
