//! The feed of changes, and the watch.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answered, Caller, LibraryName, Nothing, done, page};
use crate::strings::check_page_limit;
use plexindex::error::Status;
use plexindex::inside::{ChangePage, DebounceIntervals};

/// Lists the items that were added, removed, changed or moved after a cursor, oldest first, whichever process learned of it.
/// Sends no request: plexindex_refresh() asks the server.
///
/// A reader that calls until a page has no `more` has the state of the time of its first call. Commits that come meanwhile are
/// for the call after that, so the reader comes to an end however fast others write. A change concerns one file of one item: an
/// item of several files has a change for each.
///
/// - `added`: the item has the file `path`.
/// - `removed`: the item no longer has the file `path`.
/// - `moved`: the file was `from` and is `path` now.
/// - `changed`: something else changed; `from` is a file that the item lost.
/// - `list_again`: the library has to be listed again. It was listed for the first time, came, went, or got another title or
///   section id, or more than a fifth of it and more than 20 items changed.
///
/// A host that keeps pairs of a file and a rating key applies each change in two steps. First it removes the pairs of `path` and
/// of `from` with the key `from_key`, or that of the item where `from_key` is absent. Then, unless the change is `removed`, it
/// adds the pair of `path` and the item's key. After `list_again`, and after the status LIST_AGAIN, it empties its map and begins
/// with `full` and no cursor. Then it stores map and cursor together. The example feed.c does all this.
///
/// A cursor outlives processes. It belongs to one store, server and user, and to the library if the request named one; a cursor
/// of all libraries may be used for one of them. A reader that goes on with its last cursor after a kill misses nothing and sees
/// some changes twice. Changes are kept up to some 64 MiB, and less where `size_limit` is reached.
///
/// LIST_AGAIN: the changes since the cursor are gone, or it belongs elsewhere, or to a state that a power cut or a restored copy
/// undid. NOT_FETCHED: nothing was fetched yet.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListChanges {
    /// The library; all of them if absent.
    library: Option<LibraryName>,
    /// What the last page gave. Without it the page is empty, and its cursor is that of now.
    #[serde(default)]
    cursor: String,
    /// Without a cursor: the pages list all items as additions first.
    #[serde(default)]
    full: bool,
    /// Items of a page, 1 to 10,000.
    #[serde(default = "page")]
    limit: usize,
}

pub fn list(caller: &Caller<'_>, request: ListChanges) -> Answered<ChangePage> {
    check_page_limit(request.limit)?;
    let library = caller.library(request.library)?;
    let query = caller.query(library.query(), false)?;
    done(query.changes_page(&request.cursor, request.full, request.limit)?)
}

/// Waits until `changes.list` has a change after a cursor, or until a refresh is due, because a listing has expired or an event
/// came (`watch.start`). Then call plexindex_refresh() and `changes.list`. A due refresh ends no more than one wait of a handle
/// in a second, also when refreshing fails. Sends no request.
///
/// The deadline ends the wait: the status is NOT_YET then. The progress function runs every 200 ms, after a signal handler ran
/// in this thread, and by plexindex_wake_waiting(): what it returns ends the wait, with ABORTED. A commit of another process is
/// seen within 100 ms; where processes do not share memory, on some network file systems, within a second.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitForChanges {
    /// The library; all of them if absent.
    library: Option<LibraryName>,
    /// A cursor of `changes.list`.
    cursor: String,
    /// Waits for changes only, not for a refresh to be due.
    #[serde(default)]
    offline: bool,
}

/// What ended the wait.
#[derive(Serialize, JsonSchema)]
pub struct Waited {
    /// There is a change, or a refresh is due. Otherwise the deadline came first: the status is NOT_YET.
    ready: bool,
}

pub fn wait(caller: &Caller<'_>, request: WaitForChanges) -> Answered<Waited> {
    let library = caller.library(request.library)?;
    let query = caller.query(library.query(), request.offline)?;
    let ready = query.wait_for_changes(&request.cursor)? == plexindex::Waited::Something;
    let status = if ready { Status::Ok } else { Status::NotYet };
    Ok((Waited { ready }, Ok(status)))
}

/// Listens to the server's events on a thread of the library, until `watch.stop` or plexindex_close(). An event makes the next
/// query about the library ask the server; the thread itself asks for nothing. A lost connection is made again after 1 to 60
/// seconds, and the next queries ask what changed in between. The log says whether the server can be reached. A second call
/// changes nothing. The child of a fork does not listen until it calls this itself.
///
/// OFFLINE: there is no server to listen to. STORE: no thread can be started.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartWatch {}

pub fn watch_start(caller: &Caller<'_>, _: StartWatch) -> Answered<Nothing> {
    caller.index()?.watch_start(DebounceIntervals::default())?;
    done(Nothing {})
}

/// Ends `watch.start`. The thread has ended when the call returns: within a second, or later while the system resolves a host
/// name. Without a watch the call does nothing.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StopWatch {}

pub fn watch_stop(caller: &Caller<'_>, _: StopWatch) -> Answered<Nothing> {
    caller.index()?.watch_stop();
    done(Nothing {})
}
