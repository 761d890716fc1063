//! The method `sharing`, for the shared database.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, MethodResult, ok_answer};
#[cfg(feature = "shared")]
use plexindex_sharing::{SharedIndex, SharedProgress, SharedStatus, SharedTables};

/// Inspects, prepares or clears the shared database (`options.shared`), or delivers to it. Waits for the database until
/// `options.timeout_ms`, or a few seconds without a timeout.
///
/// If `deliver` returns TIMEOUT, plexindex delivers the rest later. The other actions, except `status`, can return CONNECT,
/// TIMEOUT, OFFLINE, or FORBIDDEN if the PostgreSQL role lacks the privilege. All actions except `status` return
/// INVALID_ARGUMENT without `options.shared`. `deliver` and `clear` also require `server_url` and an online index.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Share {
    #[serde(default)]
    action: Action,
}

/// `status`: reports the database's state. `init`: creates its tables. `clear`: takes back all matches of this server and
/// user, on all hosts. `deliver`: waits until the database has everything that this host recorded. `drop_old`: removes the
/// tables of versions that shared a log.
#[derive(Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    #[default]
    Status,
    Init,
    Clear,
    Deliver,
    DropOld,
}

#[cfg(feature = "shared")]
#[derive(Serialize, JsonSchema)]
pub struct Shared {
    /// The database's state; absent without `options.shared`, and after `deliver`.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<SharedStatus>,
    /// The database's tables; present only after `init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    tables: Option<SharedTables>,
    /// This folder's position; absent without `options.shared`.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<SharedProgress>,
}

/// An empty answer, since this build shares nothing.
#[cfg(not(feature = "shared"))]
#[derive(Serialize, JsonSchema)]
pub struct Shared {}

/// Runs `sharing` in a build without sharing: every action except `status` fails.
#[cfg(not(feature = "shared"))]
pub fn sharing(caller: &Caller<'_>, request: Share) -> MethodResult<Shared> {
    let index = caller.index()?;
    if !matches!(request.action, Action::Status) {
        index.peers().expect_shared()?;
    }
    ok_answer(Shared {})
}

/// Runs `sharing`: performs an action on the shared database, and reports its state.
#[cfg(feature = "shared")]
pub fn sharing(caller: &Caller<'_>, request: Share) -> MethodResult<Shared> {
    let index = caller.index()?;
    let mut tables = None;
    let database = match request.action {
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
        Action::DropOld => {
            index.shared_drop_old()?;
            index.shared_status()?
        }
    };
    let folder = index.shared_progress();
    ok_answer(Shared {
        database,
        tables,
        folder,
    })
}
