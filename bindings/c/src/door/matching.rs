//! Folders, GUIDs and titles.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Answered, Caller, LibraryName};
use plexindex::error::Status;
use plexindex::inside::{ByteString, named};
use plexindex::{Folder, Match, MatchStatus};

/// Answers which show, season, artist, album or item a folder is: the deepest one that all listed files below it share.
///
/// - All files below are of one season or album: that is the item. Where the server gives no key for a season (it hides
///   seasons), the item is the show, with `season` set.
/// - All files below are of one show or artist: that is the item.
/// - One film or other item without a show lies below: that is the item.
/// - Several lie below, as in a library's own folder: the first 16 are the candidates, each with the file or folder in which it
///   lies there.
///
/// The item's `path` is the folder, as the server spells it. The kinds of match are those of files. A folder that is found by
/// its end has high confidence only with the reason `only_root_differs`. Without an item the reason is `empty`, `not_listed`,
/// `not_fetched`, `no_location`, or that of several candidates.
///
/// A library that was never fetched, or whose listing has expired, is fetched first: NOT_YET if the deadline passes meanwhile.
/// Plex's database needs no listing: all below the folder is read at once. Returns what plexindex_match_path() returns.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchFolder {
    /// The library; all of them if absent.
    library: Option<LibraryName>,
    /// The folder; separators at its end do not count.
    path: ByteString,
    /// Sends no request, and answers with what is known.
    #[serde(default)]
    offline: bool,
    /// Waits for nothing; the status is NOT_YET if it would have to.
    #[serde(default)]
    at_once: bool,
}

pub fn folder(caller: &Caller<'_>, request: MatchFolder) -> Answered<Folder> {
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

/// Finds the items with a GUID. That of a show or season gives its episodes, that of an artist or album its tracks. One item is
/// OK, several are AMBIGUOUS: at most 16 are given, with the count of all. A library that was never fetched, or whose listing
/// has expired, is fetched first. Returns what plexindex_match_path() returns.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchGuid {
    /// The library; all of them if absent.
    library: Option<LibraryName>,
    /// `plex://…`, `imdb://tt…`, `tmdb://…`, `tvdb://…`, or that of a legacy agent.
    guid: String,
    /// Sends no request, and answers with what is known.
    #[serde(default)]
    offline: bool,
}

pub fn guid(caller: &Caller<'_>, request: MatchGuid) -> Answered<Match> {
    let library = caller.library(request.library)?;
    found(
        caller
            .query(library.query(), request.offline)?
            .match_guid(&request.guid)?,
    )
}

/// Finds the items with a title. Case, accents and punctuation do not count. When no item has the title, those whose titles
/// hold all its words. The title of a show gives its episodes. Else as `match.guid`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchTitle {
    /// The library; all of them if absent.
    library: Option<LibraryName>,
    /// The title.
    title: String,
    /// Sends no request, and answers with what is known.
    #[serde(default)]
    offline: bool,
}

pub fn title(caller: &Caller<'_>, request: MatchTitle) -> Answered<Match> {
    let library = caller.library(request.library)?;
    found(
        caller
            .query(library.query(), request.offline)?
            .search_title(&request.title)?,
    )
}

/// The answer of a call that found, or did not find, items.
fn found(found: Match) -> Answered<Match> {
    let status = status_of(&found);
    Ok((found, Ok(status)))
}

fn status_of(found: &Match) -> Status {
    match found.status {
        MatchStatus::Found => Status::Ok,
        MatchStatus::Ambiguous => Status::Ambiguous,
        MatchStatus::NotYet => Status::NotYet,
        MatchStatus::NeedsWarm => Status::NeedsWarm,
        _ => Status::NotFound,
    }
}
