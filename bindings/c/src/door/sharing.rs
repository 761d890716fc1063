//! The log that several hosts share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answered, Caller, done};
#[cfg(feature = "shared")]
use plexindex::Index;
#[cfg(feature = "shared")]
use plexindex_sharing::{SharedIndex, SharedStatus, SharedTables};

/// Looks at the shared log of `options.shared`, prepares it, empties it, or exchanges news. Waits for the log, for
/// `options.deadline_ms` at most, and for some seconds without one; `follow` and `unfollow` do not wait.
///
/// Once a match is recorded, `deliver` makes sure that the other hosts can have it, unless its path lies in no folder of the
/// library and under no mapping: PLEXINDEX_RECORD_THROUGH refuses such a path. A host whose tools run for moments only has a
/// process that follows. A forked child does not follow until it calls this.
///
/// `status` succeeds also where the log is not reachable. `deliver` is TIMEOUT if the log does not have all in time: it is stored
/// in this folder, and delivered later. `init` and `clear`: CONNECT; TIMEOUT; FORBIDDEN if PostgreSQL does not allow it to the
/// role; OFFLINE. All but `status`: INVALID_ARGUMENT without `options.shared`; `deliver`, `follow` and `unfollow` also without
/// `server_url`, and offline.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// What to do.
    #[serde(default)]
    action: Action,
}

/// `status`: changes nothing. `init`: creates or upgrades the tables of the log. `clear`: empties the log, for all servers and
/// users; each host keeps its folder. `deliver`: waits until the log has all that this host has to tell. `follow`: from now on
/// takes news of other hosts as it comes, and delivers what waits here. `unfollow`: ends that.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    #[default]
    Status,
    Init,
    Clear,
    Deliver,
    Follow,
    Unfollow,
}

/// The log, and this folder's place in it.
#[cfg(feature = "shared")]
#[derive(Serialize, JsonSchema)]
pub struct Shared {
    /// What the log holds; absent without `options.shared`, and after `deliver`, `follow` and `unfollow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<SharedStatus>,
    /// After `init`: whether the tables were made, or there already.
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<SharedTables>,
    /// What this folder knows; absent without `options.shared`.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<Place>,
}

/// What this folder knows of its own place in the log.
#[cfg(feature = "shared")]
#[derive(Serialize, JsonSchema)]
pub struct Place {
    /// The log's address, without a password.
    address: String,
    /// Number of the last entry that this folder has.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<u64>,
    /// Entries of this folder that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    undelivered: Option<u64>,
}

/// Nothing: no index of this build is shared.
#[cfg(not(feature = "shared"))]
#[derive(Serialize, JsonSchema)]
pub struct Shared {}

#[cfg(not(feature = "shared"))]
pub fn sharing(caller: &Caller<'_>, request: Share) -> Answered<Shared> {
    let index = caller.index()?;
    if !matches!(request.action, Action::Status) {
        index.peers().expect_shared()?;
    }
    done(Shared {})
}

#[cfg(feature = "shared")]
pub fn sharing(caller: &Caller<'_>, request: Share) -> Answered<Shared> {
    let index = caller.index()?;
    let mut tables = None;
    let log = match request.action {
        Action::Status => index.shared_status()?,
        Action::Init => {
            tables = Some(index.shared_init()?);
            index.shared_status()?
        }
        Action::Clear => {
            index.shared_clear()?;
            index.shared_status()?
        }
        Action::Deliver => {
            index.shared_deliver()?;
            None
        }
        Action::Follow | Action::Unfollow => {
            index.follow_shared_until(matches!(request.action, Action::Unfollow))?;
            None
        }
    };
    let folder = place(index);
    done(Shared { log, tables, folder })
}

#[cfg(feature = "shared")]
fn place(index: &Index) -> Option<Place> {
    let (address, taken, undelivered) = index.shared_progress()?;
    Some(Place {
        address: address.to_owned(),
        taken,
        undelivered,
    })
}
