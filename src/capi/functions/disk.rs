//! A disk against what is listed.

use std::ffi::c_char;

use crate::capi::answer::{write_bytes, write_folder};
use crate::capi::functions::matching::{FolderPage, page_of};
use crate::capi::guard::guard;
use crate::capi::handles::{self, opened};
use crate::capi::strings::{bytes, out, split};
use crate::capi::types::{Buffer, Handle, LibraryHandle};
use crate::disk::Rules;
use crate::error::{Result, refuse};
use crate::query::Which;

/// Walks folders of this machine for a while, and tells what there is that is not listed without a doubt. Sends no request.
/// plexindex_items_not_on_disk() is the other direction.
///
/// `library`: one, or all of them: what lies in a folder that only others have is not told. `folders`: `count` pairs of texts
/// that NULs follow, `length` bytes in all: `folder` or `twin_folder` and the full path; and `walk`, once, and a number, 0 to begin
/// a walk that goes on with further calls. `rules`: those of
/// PLEXINDEX_RULE_* that hold. Outside every library's folder only EXTENSION, HIDDEN, SYSTEM and EMPTY do. `limit`: after so
/// many names, 1 to 1,000,000, and after 200 ms, the call ends with the folder that it reads.
///
/// `files`: receives how many media files there were, those included that are listed. `page`: receives findings, four texts each,
/// of which a NUL follows every one: what it is; why; the path; and the line of a .plexignore, or nothing.
///
/// - `folder`, `twin_folder`: it is to be walked yet. These come last. Give these to the next call, before those that you kept back: then
///   folders come by their names, and few wait.
/// - `walk`: behind them. The walk is not over. Why: its number, for the next call. Call without a folder when none is left: then
///   links are followed. A walk that is given up needs no call: an index remembers the 64 that went on last.
/// - `file`, `twin_file`: a media file that plexindex_lookup_key() does not know; ask plexindex_match_path(). Why: the name of the
///   rule that leaves it out unless it is listed, such as `hidden` for PLEXINDEX_RULE_HIDDEN, or nothing.
/// - `left_out`: a folder. Why: the name of a rule; `loop` for a link that leads to a folder above it; `linked` for a folder that
///   was read already, by another path: the last text is its real path.
/// - `link`: a link to a folder, which is not followed: only without `walk`.
/// - `unreadable`: a folder or a link. Why: the number of the system's error.
///
/// Of a `twin_` another name in its folder, or of a folder above it, differs in case or composition only: a lookup may find the
/// other one. Files outside every library's folder are all told of: a lookup may find one below another root. A walk reads each
/// real folder (device and inode) once below a location, and follows links when all that is reached without them was read: which
/// of two is followed depends on their paths only. The findings are lost with PLEXINDEX_BUFFER_TOO_SMALL: enlarge the buffer
/// and call again with the same texts.
///
/// The call has three threads beside the caller's, which end before it returns.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_INVALID_ARGUMENT, also for a walk that is over or with which another
/// call goes on; PLEXINDEX_LIBRARY_NOT_FOUND for a library that is not known.
///
/// # Safety
/// Pointers must be NULL or valid; `library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_walk(
    library: *const LibraryHandle,
    folders: *const c_char,
    length: usize,
    count: usize,
    rules: u32,
    limit: usize,
    files: *mut u64,
    page: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (library, folders, page, files) = unsafe {
            (
                handles::library(library)?,
                bytes(folders, length, "folders")?,
                out(page, "page")?,
                out(files, "files")?,
            )
        };
        page.length = 0;
        *files = 0;
        let Some(rules) = Rules::of_bits(rules) else {
            return refuse(format!("rules is {rules:#x}: give bits of PLEXINDEX_RULE_*"));
        };
        if limit == 0 || limit > 1_000_000 {
            return refuse(format!("limit is {limit}: give 1 to 1000000"));
        }
        let (number, folders) = pairs(folders, count)?;
        library.walk(number, &folders, (rules, limit), |found| {
            *files = found.files;
            write_bytes(page, &found.text)
        })
    })
}

/// The number of the walk, if one is given, and the folders.
type Pairs<'f> = (Option<u64>, Vec<(bool, &'f [u8])>);

fn pairs(given: &[u8], count: usize) -> Result<Pairs<'_>> {
    let texts = split(given, count.saturating_mul(2), "folders")?;
    let (mut number, mut folders) = (None, Vec::with_capacity(count));
    for pair in texts.chunks_exact(2) {
        let text = || String::from_utf8_lossy(pair[1]);
        match pair[0] {
            b"folder" => folders.push((false, pair[1])),
            b"twin_folder" => folders.push((true, pair[1])),
            b"walk" if number.is_some() => return refuse("folders: 'walk' stands there twice: give one walk a call"),
            b"walk" => match text().parse() {
                Ok(parsed) => number = Some(parsed),
                Err(_) => return refuse(format!("folders: walk '{}' is no number: give 0 to begin one", text())),
            },
            other => {
                return refuse(format!(
                    "folders: '{}' stands before a path: give 'folder', 'twin_folder' or 'walk'",
                    String::from_utf8_lossy(other)
                ));
            }
        }
    }
    Ok((number, folders))
}

/// Those of the items that plexindex_items_below() gives whose files are not on this machine's disk, as mappings name them
/// there (plexindex_host_path() tells how), one page a call. Sends no request. With a page come, too, the files of items that
/// have several, and the last one of the `limit` files that were looked for: to know, look again.
///
/// `library`: one, or all of them. `path`: the folder. `after`: the `path` of the last candidate of the page before; NULL and
/// 0 for the first page. `limit`: how many files are looked for, 1 to 10,000. `page`: receives a block as from
/// plexindex_items_below(). `files` of the answer says how many were looked for. What a mapping of
/// the kind PLEXINDEX_MAPPING_HOST_PATTERN leads to is not found: it leads one way. The call has three threads beside the
/// caller's, which end before it returns.
///
/// Returns what plexindex_items_below() returns.
///
/// # Safety
/// As plexindex_items_below().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_items_not_on_disk(
    library: *const LibraryHandle,
    path: *const c_char,
    path_length: usize,
    after: *const c_char,
    after_length: usize,
    limit: usize,
    page: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let library = unsafe { handles::library(library) }?;
        // SAFETY: as above.
        let FolderPage { path, after, page } = unsafe { page_of(path, path_length, after, after_length, page, limit) }?;
        library.items_below_with(path, after, limit, Which::NotOnDisk, |found, folder| {
            write_folder(page, found, folder)
        })
    })
}

/// What a path of the server is called on this machine, by the index's mappings, or the path itself where none fits: the way
/// back from an item's `path` to the file. A mapping of the kind PLEXINDEX_MAPPING_HOST_PATTERN leads one way, so behind it the
/// path stays as it is. Reads no file, and sends no request.
///
/// `path`: `path_length` bytes, as the server has them. `host`: receives the bytes, and a NUL behind them that the length does
/// not count.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_BUFFER_TOO_SMALL; PLEXINDEX_INVALID_ARGUMENT for an empty path, or one with a NUL.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_host_path(
    handle: *const Handle,
    path: *const c_char,
    path_length: usize,
    host: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard(error, || {
        // SAFETY: the caller's promise.
        let (opened, path, host) = unsafe { (opened(handle)?, bytes(path, path_length, "path")?, out(host, "host")?) };
        write_bytes(host, &opened.index().host_path(path)?)
    })
}
