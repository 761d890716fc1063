//! Methods for the change feed and the watch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, LibraryName, MethodResult, Nothing, default_page_limit, ok_answer};
use crate::strings::check_page_limit;
use plexindex::error::Status;
use plexindex::inside::{ChangePage, DebounceIntervals};

/// Lists the items that were added, removed, changed or moved since a cursor, oldest first. Refresh the index first.
///
/// Read pages until `more` is false. Each change concerns one file of an item:
///
/// - `added`: the item now has the file `path`.
/// - `removed`: the item no longer has the file `path`.
/// - `moved`: the file `from` is now `path`. Across two pages, an item with a new rating key is `removed` and `added`.
/// - `changed`: something else changed; `from` is a file that the item no longer has.
/// - `list_again`: the library is new, was removed or renamed, has a new section id, or has changes in more than 20
///   items and in more than a fifth of its items. List the library again.
///
/// To maintain a map from files to rating keys, first remove `path` and `from` with the key `from_key`, or with the
/// item's key if `from_key` is absent. Then, unless the change is `removed`, add `path` with the item's key. After
/// `list_again` or the status LIST_AGAIN, empty the map and start again with `full` and no cursor. Store the map and
/// the cursor together, as feed.c does.
///
/// A cursor remains valid after a crash: a reader misses no changes, but may see some changes twice. A cursor belongs
/// to one store, server, user and library; a cursor for all libraries also works for one library. The store keeps
/// 131,072 changes, or fewer when the folder is near `size_limit`.
///
/// LIST_AGAIN: the store no longer has the changes since the cursor, the cursor belongs elsewhere, or a power cut or a
/// restored copy undid its state. NOT_FETCHED: no library has been fetched yet.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListChanges {
    /// The library. Default: all libraries.
    library: Option<LibraryName>,
    /// Cursor of the last page. Without a cursor, the page is empty and returns the current cursor.
    #[serde(default)]
    cursor: String,
    /// Lists every item as `added` first; allowed only without a cursor.
    #[serde(default)]
    full: bool,
    /// Maximum number of items per page, up to 10,000.
    #[serde(default = "default_page_limit")]
    limit: usize,
}

/// Runs `changes.list`: returns a page of the feed, with the cursor after it.
pub fn list(caller: &Caller<'_>, request: ListChanges) -> MethodResult<ChangePage> {
    check_page_limit(request.limit)?;
    let library = caller.library(request.library)?;
    let query = caller.query(library.query(), false)?; // `false`: not offline
    ok_answer(query.changes_page(&request.cursor, request.full, request.limit)?)
}

/// Waits for a change after a cursor, or until a refresh is due because a listing has expired or an event has arrived.
/// After the wait, call plexindex_refresh() and `changes.list`. A due refresh ends at most one wait per second and
/// handle. A commit in another process ends the wait within 100 ms, or within a second without shared memory.
///
/// NOT_YET: the timeout passed. ABORTED: the progress function ended the wait. The progress function runs every 200
/// ms and after plexindex_wake_waiting().
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitForChanges {
    /// The library. Default: all libraries.
    library: Option<LibraryName>,
    /// A cursor from `changes.list`.
    cursor: String,
    /// Waits only for changes, not for a due refresh.
    #[serde(default)]
    offline: bool,
}

#[derive(Serialize, JsonSchema)]
pub struct Waited {
    /// Whether there is a change or a due refresh.
    ready: bool,
}

/// Runs `changes.wait`: waits for a change or a due refresh. The status is `NotYet` if the timeout passed first.
pub fn wait(caller: &Caller<'_>, request: WaitForChanges) -> MethodResult<Waited> {
    let library = caller.library(request.library)?;
    let query = caller.query(library.query(), request.offline)?;
    let ready = query.wait_for_changes(&request.cursor)? == plexindex::WaitOutcome::Something;
    let status = if ready { Status::Ok } else { Status::NotYet };
    Ok((Waited { ready }, status))
}

/// Starts a thread that receives the server's events, until `watch.stop` or plexindex_close(). After an event, the next
/// query about the changed library asks the server. The thread reconnects after 1 to 60 seconds, and logs whether the
/// server is reachable. A second call does nothing. A forked child must call `watch.start` itself.
///
/// OFFLINE: the index has no server. STORE: the thread cannot start.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartWatch {}

/// Runs `watch.start`: starts the thread that receives the server's events.
pub fn watch_start(caller: &Caller<'_>, _: StartWatch) -> MethodResult<Nothing> {
    caller.index()?.watch_start(DebounceIntervals::default())?;
    ok_answer(Nothing {})
}

/// Stops the thread from `watch.start`. Waits for it at most a second, or longer while the system resolves a host name.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopWatch {}

/// Runs `watch.stop`: stops the thread that receives the server's events.
pub fn watch_stop(caller: &Caller<'_>, _: StopWatch) -> MethodResult<Nothing> {
    caller.index()?.watch_stop();
    ok_answer(Nothing {})
}
