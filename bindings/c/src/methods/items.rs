//! Methods for stored items: a library's items, one item, items below a folder, and files missing on this machine.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Caller, LibraryName, MethodResult, Nothing, default_page_limit, ok_answer};
use crate::strings::check_page_limit;
use plexindex::error::{Result, Status, invalid_argument_error};
use plexindex::inside::{Answer, ByteString, Presence};
use plexindex::{Item, Match, Season, Show};

/// Maximum number of rows in one request for the trash.
const MAX_TRASH_ROWS: u32 = 1_000;
const INVALID_CURSOR: &str = "cursor is invalid; pass the cursor of the last page, or none for the first page";

/// Lists the stored items of a library, or the items in its trash.
///
/// NOT_FETCHED: the listing is not stored. The library was never fetched, or was evicted because of `size_limit`,
/// perhaps between two pages.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListItems {
    /// The library.
    library: LibraryName,
    /// Cursor of the last page; absent for the first page.
    cursor: Option<String>,
    /// Maximum number of items per page, up to 10,000.
    #[serde(default = "default_page_limit")]
    limit: usize,
    /// Lists the items in the server's trash instead. Each page is one request, and plexindex stores no such item. A
    /// page can have fewer items than `limit`, even none.
    #[serde(default)]
    trashed: bool,
    /// With `trashed`: fails with OFFLINE instead of sending a request.
    #[serde(default)]
    offline: bool,
}

/// Items with all their files and external ids.
#[derive(Serialize, JsonSchema)]
pub struct ItemsPage {
    items: Vec<Item>,
    /// Cursor of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Runs `items.list`: returns a page of stored items. A cursor is the number of its page's last row; 0 stands for the
/// first page.
pub fn list(caller: &Caller<'_>, request: ListItems) -> MethodResult<ItemsPage> {
    check_page_limit(request.limit)?;
    let after = match request.cursor.as_deref().map(str::parse) {
        None => 0,
        Some(Ok(after)) if after > 0 => after,
        Some(_) => return invalid_argument_error(INVALID_CURSOR),
    };
    let library = caller.library(Some(request.library))?;
    if request.trashed {
        let size = u32::try_from(request.limit).map_or(MAX_TRASH_ROWS, |limit| limit.min(MAX_TRASH_ROWS));
        let (items, next) = caller
            .query(library.query(), request.offline)?
            .trash(i64::unsigned_abs(after), size)?;
        let cursor = next.map(|next| next.to_string());
        return ok_answer(ItemsPage { items, cursor });
    }
    let (mut items, last) = library.page(after, request.limit)?;
    // Stored items do not contain the library's section id and title.
    if let Some(stored) = library.stored_library() {
        for item in &mut items {
            item.section = Some(stored.section.clone());
            item.library_title = Some(stored.title.clone());
        }
    }
    // A page with fewer items than `limit` is the last page.
    let is_full = items.len() == request.limit;
    ok_answer(ItemsPage {
        items,
        cursor: last.filter(|_| is_full).map(|last| last.to_string()),
    })
}

/// Returns one stored item with all its files and external ids. NOT_FOUND: no listing has the item. NOT_FETCHED: as for
/// `items.list`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetItem {
    /// The library. Default: all libraries.
    library: Option<LibraryName>,
    /// The item's key or rating key.
    key: String,
}

#[derive(Serialize, JsonSchema)]
pub struct OneItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Item>,
}

/// Runs `items.get`: returns one stored item; without an item, the status is `NotFound`.
pub fn get(caller: &Caller<'_>, request: GetItem) -> MethodResult<OneItem> {
    let item = caller.library(request.library)?.item(&request.key)?;
    let status = if item.is_some() { Status::Ok } else { Status::NotFound };
    Ok((OneItem { item }, status))
}

/// Tells the server to refresh what it shows of items, such as after a new subtitle, with one request for each. The
/// server refreshes them later. NOT_ON_SERVER: an item does not exist, and the later ones are skipped.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshItems {
    /// Keys or rating keys of items, shows, seasons, artists or albums.
    keys: Vec<String>,
    /// Analyzes the items' files instead, such as after an edit of a file.
    #[serde(default)]
    analyze: bool,
}

/// Runs `items.refresh`: tells the server to refresh or analyze items.
pub fn refresh(caller: &Caller<'_>, request: RefreshItems) -> MethodResult<Nothing> {
    let query = caller.query(caller.index()?.query(), false)?;
    if request.analyze {
        query.analyze_items(&request.keys)?;
    } else {
        query.refresh_items(&request.keys)?;
    }
    ok_answer(Nothing {})
}

/// Lists the shows and seasons of a library, or its artists and albums, each once. Reads all stored items. Plex lists no
/// year and no external ids of shows with their episodes. NOT_FETCHED: as for `items.list`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListShows {
    /// The library of shows or music.
    library: LibraryName,
}

#[derive(Serialize, JsonSchema)]
pub struct Shows {
    /// The shows or artists, sorted by title.
    shows: Vec<Show>,
    /// The seasons or albums, sorted by show, number and title, without those that a show hides.
    seasons: Vec<Season>,
}

/// Runs `shows.list`: returns the shows and seasons of a library.
pub fn shows(caller: &Caller<'_>, request: ListShows) -> MethodResult<Shows> {
    let (shows, seasons) = caller.library(Some(request.library))?.shows_and_seasons()?;
    ok_answer(Shows { shows, seasons })
}

/// Lists the items with files below a folder, sorted by path. If the store changes between two pages, each unchanged
/// file still appears exactly once. NOT_FETCHED: as for `items.list`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemsBelow {
    /// The library. Default: all libraries.
    library: Option<LibraryName>,
    /// The folder, which plexindex finds like `match.folder`; a folder that matches by suffix needs high confidence.
    path: ByteString,
    /// Cursor of the last page; absent for the first page.
    cursor: Option<String>,
    /// Maximum number of files per page, up to 10,000. A page has more files if its last file belongs to several items.
    #[serde(default = "default_page_limit")]
    limit: usize,
}

/// An item appears once for each of its files below the folder, with that file as `path`.
#[derive(Serialize, JsonSchema)]
pub struct FilesPage {
    items: Vec<Item>,
    /// Cursor of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// Runs `items.below`: returns a page of the files below a folder, as items.
pub fn below(caller: &Caller<'_>, request: ItemsBelow) -> MethodResult<FilesPage> {
    read_page(caller, request, false, |answer, cursor, _| {
        let items = Match::of(answer)?.candidates;
        Ok(FilesPage { items, cursor })
    })
}

/// Lists the files below a folder that are missing on this machine. Checks whether each file on a page of `items.below`
/// exists at the path that `mappings.to_host` returns. Uses three extra threads. NOT_FETCHED: as for `items.list`.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ItemsMissing(ItemsBelow);

/// Files that are missing or that plexindex could not check. A file that exists appears only if its item has several
/// files, or at the end of a page.
#[derive(Serialize, JsonSchema)]
pub struct MissingPage {
    files: Vec<LookedFor>,
    /// Number of files that plexindex looked for.
    looked_for: u64,
    /// Cursor of the next page; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub struct LookedFor {
    /// The item, with the file as `path`.
    item: Item,
    /// Whether a file exists on this machine. `unknown`: the check failed.
    on_disk: Presence,
}

/// Runs `items.missing`: looks for a page of a folder's listed files on this machine. Returns the files that are
/// missing or could not be checked, and the number of files that it looked for (`looked_for`).
pub fn missing(caller: &Caller<'_>, request: ItemsMissing) -> MethodResult<MissingPage> {
    read_page(caller, request.0, true, |answer, cursor, looked_for| {
        let on_disk: Vec<Presence> = answer.candidates.iter().map(|found| found.on_disk).collect();
        let files = Match::of(answer)?.candidates.into_iter().zip(on_disk);
        Ok(MissingPage {
            files: files.map(|(item, on_disk)| LookedFor { item, on_disk }).collect(),
            looked_for,
            cursor,
        })
    })
}

/// Reads a page of the files below a folder, and returns the result of `make_page`, which receives the files, the
/// cursor for the next page (`None` on the last page), and the number of files before `not_on_disk` excluded those on
/// this machine. A cursor is the last path on its page, in Base64.
fn read_page<A>(
    caller: &Caller<'_>,
    request: ItemsBelow,
    not_on_disk: bool,
    make_page: impl FnOnce(&Answer<'_>, Option<String>, u64) -> Result<A>,
) -> MethodResult<A> {
    check_page_limit(request.limit)?;
    let Ok(after) = request.cursor.map(|cursor| STANDARD.decode(cursor)).transpose() else {
        return invalid_argument_error(INVALID_CURSOR);
    };
    let library = caller.library(request.library)?;
    let answer = library.items_below_with(
        &request.path.0,
        after.as_deref(),
        request.limit,
        not_on_disk,
        |answer| {
            let files = answer.folder.files;
            // A page with fewer files than `limit` is the last page.
            let is_full = usize::try_from(files).is_ok_and(|files| files >= request.limit);
            let last = answer.candidates.last().filter(|_| is_full);
            make_page(answer, last.map(|found| STANDARD.encode(found.path)), files)
        },
    )?;
    ok_answer(answer)
}
