//! Items as the store has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Answered, Caller, LibraryName, done, page};
use crate::strings::check_page_limit;
use plexindex::error::{Result, Status, refuse};
use plexindex::inside::{Answer, ByteString, FileFilter, FolderFacts, OnDisk};
use plexindex::{Item, Match};

/// Lists the items of a library as the store has them, a page a call. Sends no request.
///
/// NOT_FETCHED: the store does not have the listing. It was never fetched, or was removed for the limit on the folder, between
/// two pages perhaps.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListItems {
    /// The library: one, not all.
    library: LibraryName,
    /// What the last page gave; absent for the first one.
    cursor: Option<String>,
    /// Items of a page, 1 to 10,000.
    #[serde(default = "page")]
    limit: usize,
}

/// A page of items, with all their files and external ids.
#[derive(Serialize, JsonSchema)]
pub struct ItemsPage {
    items: Vec<Item>,
    /// For the next page; absent after the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

pub fn list(caller: &Caller<'_>, request: ListItems) -> Answered<ItemsPage> {
    check_page_limit(request.limit)?;
    let after = match request.cursor.as_deref().map(str::parse) {
        None => 0,
        Some(Ok(after)) if after > 0 => after,
        Some(_) => return refuse("cursor: give what the last page gave, or none for the first page"),
    };
    let library = caller.library(Some(request.library))?;
    let (mut items, last) = library.page(after, request.limit)?;
    if let Some(known) = library.known() {
        for item in &mut items {
            item.section = Some(known.section.clone());
            item.library_title = Some(known.title.clone());
        }
    }
    let is_full = items.len() == request.limit;
    done(ItemsPage {
        items,
        cursor: last.filter(|_| is_full).map(|last| last.to_string()),
    })
}

/// Gives one item as the store has it, with all its files and external ids. Sends no request. NOT_FETCHED: as `items.list`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetItem {
    /// The library; all of them if absent.
    library: Option<LibraryName>,
    /// The item's key or rating key.
    key: String,
}

/// The item.
#[derive(Serialize, JsonSchema)]
pub struct OneItem {
    /// Absent when no listing holds the item: the status is NOT_FOUND.
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<Item>,
}

pub fn get(caller: &Caller<'_>, request: GetItem) -> Answered<OneItem> {
    let item = caller.library(request.library)?.item(&request.key)?;
    let status = if item.is_some() { Status::Ok } else { Status::NotFound };
    Ok((OneItem { item }, Ok(status)))
}

/// Lists the items with files below a folder, a page a call, in the order of their paths. Sends no request.
///
/// A change between two pages moves no file that was not changed itself: none comes twice, none is missed. NOT_FETCHED: as
/// `items.list`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemsBelow {
    /// The library; all of them if absent.
    library: Option<LibraryName>,
    /// The folder, found as by `match.folder`; one that is found by its end counts with high confidence only.
    path: ByteString,
    /// What the last page gave; absent for the first one.
    cursor: Option<String>,
    /// Files of a page, 1 to 10,000. A page has more where its last file is of several items.
    #[serde(default = "page")]
    limit: usize,
}

/// A page of files: an item stands once for each of its files below the folder, with that file as `path`.
#[derive(Serialize, JsonSchema)]
pub struct FilesPage {
    items: Vec<Item>,
    /// For the next page; absent after the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

pub fn below(caller: &Caller<'_>, request: ItemsBelow) -> Answered<FilesPage> {
    read_page(caller, request, FileFilter::All, |answer, cursor, _| {
        let items = Match::of(answer)?.candidates;
        Ok(FilesPage { items, cursor })
    })
}

/// Lists the files below a folder that are missing from this machine, a page a call. It looks for each file of a page of
/// `items.below` under the name that `mappings.to_host` gives. Sends no request. Uses three threads beside the caller's, which
/// end before the call returns. NOT_FETCHED: as `items.list`.
#[derive(Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ItemsMissing(ItemsBelow);

/// A page of files that are missing, or could not be looked for. A file that is there stands here only if its item has several
/// files, or as the last one of a page.
#[derive(Serialize, JsonSchema)]
pub struct MissingPage {
    files: Vec<LookedFor>,
    /// How many files were looked for.
    looked_for: u64,
    /// For the next page; absent after the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

/// A file that was looked for.
#[derive(Serialize, JsonSchema)]
pub struct LookedFor {
    /// Its item, with the file as `path`.
    item: Item,
    /// Where the file is.
    on_disk: Presence,
}

/// Whether a file is on this machine: `unknown` if it could not be looked for.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    There,
    Missing,
    Unknown,
}

pub fn missing(caller: &Caller<'_>, request: ItemsMissing) -> Answered<MissingPage> {
    read_page(
        caller,
        request.0,
        FileFilter::NotOnDisk,
        |answer, cursor, looked_for| {
            let on_disk = answer.candidates().iter().map(|found| match found.on_disk {
                OnDisk::Assumed => Presence::There,
                OnDisk::Missing => Presence::Missing,
                OnDisk::Unknown => Presence::Unknown,
            });
            let on_disk: Vec<Presence> = on_disk.collect();
            let files = Match::of(answer)?.candidates.into_iter().zip(on_disk);
            Ok(MissingPage {
                files: files.map(|(item, on_disk)| LookedFor { item, on_disk }).collect(),
                looked_for,
                cursor,
            })
        },
    )
}

/// Reads a page of files; passes the answer, the cursor for the next page, and how many files were read. A cursor is the last
/// path of its page.
fn read_page<A>(
    caller: &Caller<'_>,
    request: ItemsBelow,
    which: FileFilter,
    then: impl FnOnce(&Answer<'_>, Option<String>, u64) -> Result<A>,
) -> Answered<A> {
    check_page_limit(request.limit)?;
    let Ok(after) = request.cursor.map(|cursor| STANDARD.decode(cursor)).transpose() else {
        return refuse("cursor: give what the last page gave, or none for the first page");
    };
    let library = caller.library(request.library)?;
    let answer = library.items_below_with(
        &request.path.0,
        after.as_deref(),
        request.limit,
        which,
        |answer, FolderFacts { files, .. }| {
            let is_full = usize::try_from(files).is_ok_and(|files| files >= request.limit);
            let last = answer.candidates().last().filter(|_| is_full);
            then(answer, last.map(|found| STANDARD.encode(found.path)), files)
        },
    )?;
    done(answer)
}
