//! Methods that match folders, GUIDs and titles.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Caller, LibraryName, MethodResult};
use plexindex::error::Status;
use plexindex::inside::{ByteString, path_from_bytes};
use plexindex::{Folder, FolderKind, Library, Match, MatchStatus, Query};

/// Finds the item for a folder: the outermost show, season, artist, album or item whose files are all below the folder.
/// The folder of a season is therefore the show if the show has no other files. If the server hides seasons, the item
/// is the show, with `season` set. If the folder has several items, as a library's own folder does, the first 16 are
/// candidates, each with its own file or folder.
///
/// The item's `path` is the folder in the server's spelling. A folder that matches by suffix has high confidence only
/// with the reason `same_file`: the name and size of one of its files are those of a listed file, and none differs.
///
/// First fetches libraries whose listing is missing or has expired. NOT_YET: the timeout passed during the fetch. Other
/// statuses: see plexindex_match_path().
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchFolder {
    /// The library. Default: all libraries.
    library: Option<LibraryName>,
    path: ByteString,
    /// The kind of item to find, even if it has files elsewhere. Default: the outermost item.
    kind: Option<FolderKind>,
    /// Sends no request.
    #[serde(default)]
    offline: bool,
    /// First asks the server for changes, even if the listings are fresh.
    #[serde(default)]
    check: bool,
    /// Returns NOT_YET instead of waiting.
    #[serde(default)]
    at_once: bool,
}

/// Runs `match.folder`: finds the item for a folder.
pub fn folder(caller: &Caller<'_>, request: MatchFolder) -> MethodResult<Folder> {
    let library = caller.library(request.library)?;
    let mut query = caller.query(asked(&library, request.check), request.offline)?;
    if let Some(kind) = request.kind {
        query = query.folder_kind(kind);
    }
    let path = path_from_bytes(request.path.0);
    let folder = if request.at_once {
        query.match_folder_at_once(path)?
    } else {
        query.match_folder(path)?
    };
    let status = status_of(&folder.answer);
    Ok((folder, status))
}

/// Waits until Plex lists a file, such as a new import. Returns the match as soon as its confidence is high, or the last
/// answer at the timeout.
///
/// Asks the server for changes every `every_ms`, with one request, or more if something changed. After an event
/// (`watch.start`) or another process's fetch, looks at once, so the interval can be long.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitForMatch {
    /// The library. Default: all libraries.
    library: Option<LibraryName>,
    path: ByteString,
    /// Milliseconds between two checks.
    #[serde(default = "default_interval")]
    every_ms: u64,
    /// The file's size in bytes, or 0 to use none. By default, plexindex reads the size of a file on this machine.
    size: Option<u64>,
}

fn default_interval() -> u64 {
    1_500
}

/// Runs `match.wait`: waits until Plex lists a file.
pub fn wait(caller: &Caller<'_>, request: WaitForMatch) -> MethodResult<Match> {
    let library = caller.library(request.library)?;
    let query = caller.query(library.query(), false)?;
    let query = match request.size {
        None => query,
        Some(0) => query.without_size(),
        Some(bytes) => query.size(bytes),
    };
    with_status(query.wait_for_path(path_from_bytes(request.path.0), Duration::from_millis(request.every_ms))?)
}

/// Finds the items with a GUID. The GUID of a show, season, artist or album finds its episodes or tracks. OK: one item.
/// AMBIGUOUS: several items. First fetches libraries whose listing is missing or has expired. Other statuses: see
/// plexindex_match_path().
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchGuid {
    /// The library. Default: all libraries.
    library: Option<LibraryName>,
    /// `plex://…`, `imdb://tt…`, `tt…`, `tmdb://…`, `tvdb://show/…`, a legacy agent's GUID, or a web address.
    guid: String,
    /// Sends no request.
    #[serde(default)]
    offline: bool,
    /// First asks the server for changes, even if the listings are fresh.
    #[serde(default)]
    check: bool,
}

/// Runs `match.guid`: finds items by GUID.
pub fn guid(caller: &Caller<'_>, request: MatchGuid) -> MethodResult<Match> {
    let library = caller.library(request.library)?;
    with_status(
        caller
            .query(asked(&library, request.check), request.offline)?
            .match_guid(&request.guid)?,
    )
}

/// Finds the items with a title, ignoring case, accents and punctuation. If no item has the title, finds items with all
/// its words, with low confidence. A show's title finds the show's episodes. Otherwise works like `match.guid`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchTitle {
    /// The library. Default: all libraries.
    library: Option<LibraryName>,
    title: String,
    /// Sends no request.
    #[serde(default)]
    offline: bool,
    /// First asks the server for changes, even if the listings are fresh.
    #[serde(default)]
    check: bool,
}

/// Runs `match.title`: finds items by title.
pub fn title(caller: &Caller<'_>, request: MatchTitle) -> MethodResult<Match> {
    let library = caller.library(request.library)?;
    with_status(
        caller
            .query(asked(&library, request.check), request.offline)?
            .search_title(&request.title)?,
    )
}

/// Returns a query of a library, which asks the server for changes first if `check` is true.
fn asked(library: &Library, check: bool) -> Query<'_> {
    let query = library.query();
    if check { query.always_ask() } else { query }
}

/// Returns a match as the call's answer, with the status of the C ABI that corresponds to the match.
fn with_status(answer: Match) -> MethodResult<Match> {
    let status = status_of(&answer);
    Ok((answer, status))
}

/// Converts a match's status to the status of the C ABI.
fn status_of(answer: &Match) -> Status {
    match answer.status {
        MatchStatus::Found => Status::Ok,
        MatchStatus::Ambiguous => Status::Ambiguous,
        MatchStatus::NotYet => Status::NotYet,
        MatchStatus::NeedsWarm => Status::NeedsWarm,
        _ => Status::NotFound,
    }
}
