//! Folders, GUIDs and titles.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Caller, LibraryName, MethodResult};
use plexindex::error::Status;
use plexindex::inside::{ByteString, named};
use plexindex::{Folder, Match, MatchStatus};

/// Finds the item that a folder is: the deepest show, season, artist, album or item that all listed files below the
/// folder share. If the server hides seasons, the item is the show, with `season` set. If there are several items, as
/// in a library's own folder, the first 16 are the candidates, each with its own file or folder.
///
/// The item's `path` is the folder in the server's spelling. A folder that matches by suffix has high confidence only
/// with the reason `only_root_differs`.
///
/// First fetches libraries that were never fetched or have expired. With Plex's database, reads all files below the
/// folder at once. NOT_YET: the deadline passed meanwhile. Other statuses as for plexindex_match_path().
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchFolder {
    /// Only this library. Default: all.
    library: Option<LibraryName>,
    path: ByteString,
    /// Sends no request.
    #[serde(default)]
    offline: bool,
    /// Returns NOT_YET instead of waiting.
    #[serde(default)]
    at_once: bool,
}

/// Runs `match.folder`: finds the item that a folder is.
pub fn folder(caller: &Caller<'_>, request: MatchFolder) -> MethodResult<Folder> {
    let library = caller.library(request.library)?;
    let query = caller.query(library.query(), request.offline)?;
    let path = named(request.path.0);
    let folder = if request.at_once {
        query.match_folder_at_once(path)?
    } else {
        query.match_folder(path)?
    };
    let status = status_of(&folder.answer);
    Ok((folder, Ok(status)))
}

/// Finds the items with a GUID; the GUID of a show or season finds episodes, that of an artist or album tracks. OK: one
/// item. AMBIGUOUS: several. First fetches libraries that were never fetched or have expired. Other statuses as for
/// plexindex_match_path().
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchGuid {
    /// Only this library. Default: all.
    library: Option<LibraryName>,
    /// `plex://…`, `imdb://tt…`, `tmdb://…`, `tvdb://…`, or a GUID of a legacy agent.
    guid: String,
    /// Sends no request.
    #[serde(default)]
    offline: bool,
}

/// Runs `match.guid`: finds items by a GUID.
pub fn guid(caller: &Caller<'_>, request: MatchGuid) -> MethodResult<Match> {
    let library = caller.library(request.library)?;
    with_status(
        caller
            .query(library.query(), request.offline)?
            .match_guid(&request.guid)?,
    )
}

/// Finds the items with a title, ignoring case, accents and punctuation; if there are none, finds titles that contain
/// all its words. A show's title finds its episodes. Otherwise works as `match.guid`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchTitle {
    /// Only this library. Default: all.
    library: Option<LibraryName>,
    title: String,
    /// Sends no request.
    #[serde(default)]
    offline: bool,
}

/// Runs `match.title`: finds items by a title.
pub fn title(caller: &Caller<'_>, request: MatchTitle) -> MethodResult<Match> {
    let library = caller.library(request.library)?;
    with_status(
        caller
            .query(library.query(), request.offline)?
            .search_title(&request.title)?,
    )
}

/// A match as the answer of a call, with the call's status.
fn with_status(answer: Match) -> MethodResult<Match> {
    let status = status_of(&answer);
    Ok((answer, Ok(status)))
}

/// The status of a call that returns this match.
fn status_of(answer: &Match) -> Status {
    match answer.status {
        MatchStatus::Found => Status::Ok,
        MatchStatus::Ambiguous => Status::Ambiguous,
        MatchStatus::NotYet => Status::NotYet,
        MatchStatus::NeedsWarm => Status::NeedsWarm,
        _ => Status::NotFound,
    }
}
