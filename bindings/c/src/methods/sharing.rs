//! The method `sharing`, for the shared log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, MethodResult, ok_answer};
#[cfg(feature = "shared")]
use plexindex_sharing::{SharedIndex, SharedProgress, SharedStatus, SharedTables};

/// Inspects, prepares or empties the shared log (`options.shared`), or exchanges entries with it. Waits for the log
/// until `options.timeout_ms`, or a few seconds without a timeout; `follow` and `unfollow` do not wait.
///
/// After you record a match, `deliver` ensures that other hosts can use it, unless the match's path is in no library
/// folder and under no mapping. A forked child must call `follow` itself.
///
/// If `deliver` returns TIMEOUT, plexindex delivers the rest later. `init` and `clear` can return CONNECT, TIMEOUT,
/// OFFLINE, or FORBIDDEN if the PostgreSQL role lacks the privilege. All actions except `status` return
/// INVALID_ARGUMENT without `options.shared`. `deliver`, `follow` and `unfollow` also require `server_url` and an
/// online index.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    #[serde(default)]
    action: Action,
}

/// `status`: reports the log's state. `init`: creates or upgrades the log's tables. `clear`: empties the log for all
/// servers and users; hosts keep their folders. `deliver`: waits until the log has all entries of this host. `follow`:
/// receives other hosts' entries as they arrive, and delivers this host's entries. `unfollow`: stops `follow`.
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

#[cfg(feature = "shared")]
#[derive(Serialize, JsonSchema)]
pub struct Shared {
    /// The log's state; absent without `options.shared`, and after `deliver`, `follow` and `unfollow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<SharedStatus>,
    /// The log's tables; present only after `init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<SharedTables>,
    /// This folder's position in the log; absent without `options.shared`.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<SharedProgress>,
}

/// An empty answer, since this build has no shared log.
#[cfg(not(feature = "shared"))]
#[derive(Serialize, JsonSchema)]
pub struct Shared {}

/// Runs `sharing` in a build without the shared log: every action except `status` fails.
#[cfg(not(feature = "shared"))]
pub fn sharing(caller: &Caller<'_>, request: Share) -> MethodResult<Shared> {
    let index = caller.index()?;
    if !matches!(request.action, Action::Status) {
        index.peers().expect_shared()?;
    }
    ok_answer(Shared {})
}

/// Runs `sharing`: performs an action on the shared log, and reports the log's state.
#[cfg(feature = "shared")]
pub fn sharing(caller: &Caller<'_>, request: Share) -> MethodResult<Shared> {
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
            index.follow_shared_until(matches!(request.action, Action::Unfollow))?; // `true` stops following
            None
        }
    };
    let folder = index.shared_progress();
    ok_answer(Shared { log, tables, folder })
}
