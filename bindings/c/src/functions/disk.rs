//! Listings against the disk.

use std::ffi::c_char;
use std::mem::offset_of;

use crate::answer::{write_bytes, write_folder};
use crate::constants as c;
use crate::functions::items::{FolderPage, page_of};
use crate::guard::guard_into;
use crate::handles::{self, opened};
use crate::strings::{check_flags, fill, path_bytes, sized, split};
use crate::types::{Buffer, Handle, LibraryHandle, WalkRecord};
use plexindex::error::{Error, Result, Status, abridged, refuse};
use plexindex::inside::FileFilter;
use plexindex::inside::{Rules, WalkStarts};

/// Default of `limit`; types_more.rs states it.
const NAMES: usize = 1_000;

/// Reads folders of this machine, and reports each file that is not listed as a single item, and why. Sends no request:
/// refresh the libraries first. plexindex_list_items_not_on_disk() is the other direction.
///
/// A walk takes several calls with the same struct, since each call ends after `limit` names or 200 ms. Each call is
/// given a list of folders to read, and reports those that are still to be read: folders of the list that it did not
/// come to, and folders that it found.
///
/// 1. The first call has `walk` 0, and a list of the folders to walk, or the first of them.
/// 2. The list of each further call begins with the `folder` and `twin_folder` findings of the call before, in their
///    order. Folders that the first list left out come behind them. So the walk reads folders in the order of their
///    names, and the list stays short. The list must be a copy: the call overwrites the findings of the call before.
/// 3. If that gives an empty list and `walk` is not 0, make the call with it: it reads the targets of links. If it
///    reports folders, go on with step 2, else with this one.
/// 4. The walk is over when the call leaves 0 in `walk`.
///
/// A walk may be abandoned after any call. An index remembers the 64 walks that were continued last.
///
/// `walk`: see plexindex_walk_request. `out_findings`: receives findings, for plexindex_get_next_finding(). Each is four
/// texts, each text followed by a NUL: the kind, the cause, the path, and a detail or nothing. The kinds:
///
/// - `folder`, `twin_folder`: a folder that the walk has not read yet. These come last.
/// - `file`, `twin_file`: a media file that is not listed as a single item. The cause is `several_items`: more than one
///   item has it; the rule that leaves it out, such as `hidden` for PLEXINDEX_RULE_HIDDEN, with the line of a
///   .plexignore as detail; `not_scanned`: it lies in a library's folder; `not_fetched`: so it does, and that library
///   has no listing here: refresh it first; `mapping_missing`: it lies in none, and the library lists the detail, of
///   which only the root differs; `no_library`. What only other libraries list is no finding.
/// - `left_out`: a folder that is not read. The cause is a rule; or `loop`: a link to a folder above it; or `linked`:
///   the folder was read by another path, and the last text is its real path.
/// - `link`: a link to a folder, with PLEXINDEX_WALK_ONCE only.
/// - `unreadable`: a folder or link that cannot be read, or a folder of the first call that does not exist. The cause is
///   the number of the system's error.
///
/// A kind begins with `twin_` for names in one folder that differ by case or Unicode form only, such as `Up.mkv` and
/// `UP.mkv`, and for everything below such folders. If the server lists one of two such files, the other one counts as
/// not listed; else a spelling makes no difference. A file that is given is reported as if the walk had found it: after
/// a refresh, or to learn why it is not in Plex. Below a location each real folder (device and inode) is read once.
/// Links are followed after everything that is reached without them, so the choice between two links to a folder
/// depends on their paths only.
///
/// The call uses three threads beside the caller's. They end before it returns.
///
/// Returns PLEXINDEX_OK; PLEXINDEX_BUFFER_TOO_SMALL: enlarge the buffer and call again with the same struct;
/// PLEXINDEX_INVALID_ARGUMENT, also for a walk that is over or that another call continues;
/// PLEXINDEX_LIBRARY_NOT_FOUND for a library that is not known; PLEXINDEX_NOT_FETCHED while none is, or
/// PLEXINDEX_UNAUTHORIZED if the server refused the token.
///
/// # Safety
/// Pointers must be NULL or valid; `walk.library` must be a handle of an open index.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_walk(walk: *mut WalkRecord, out_findings: *mut Buffer, error: *mut Buffer) -> i32 {
    guard_into(error, out_findings, "out_findings", |findings| {
        // SAFETY: the caller's promise.
        let mut given = unsafe { sized(walk.cast_const(), offset_of!(WalkRecord, rules), "walk") }?;
        check_flags(given.flags, 0, c::PLEXINDEX_WALK_ONCE, "walk")?;
        // SAFETY: as above.
        let (library, folders) = unsafe { (handles::library(given.library)?, given.folders.get("walk.folders")?) };
        let Some(rules) = Rules::of_bits(given.rules) else {
            let why = format!("walk.rules is {:#x}: give bits of PLEXINDEX_RULE_*", given.rules);
            return Err(Error::new(Status::Unsupported, why));
        };
        let limit = if given.limit == 0 { NAMES } else { given.limit };
        if limit > 1_000_000 {
            return refuse(format!("walk.limit is {limit}: give 1 to 1000000, or 0 for {NAMES}"));
        }
        let number = (given.flags & c::PLEXINDEX_WALK_ONCE == 0).then_some(given.walk);
        let starts = starts(folders, given.folders_count)?;
        let status = library.walk(number, &starts, (rules, limit), |found| {
            (given.files, given.walk) = (found.files, found.goes_on.unwrap_or(0));
            write_bytes(findings, &texts_of(&found.found))
        })?;
        // SAFETY: as above.
        unsafe { fill(&given, walk, given.size) };
        Ok(status)
    })
}

/// The texts of findings, as the comment above lists them.
fn texts_of(found: &[plexindex::inside::Finding]) -> Vec<u8> {
    let mut text = Vec::new();
    for one in found {
        let twin: &[u8] = if one.twin { b"twin_" } else { b"" };
        let cause = one.errno.map_or(one.cause.to_owned(), |errno| errno.to_string());
        let detail = one.detail.as_ref().map_or(&[][..], |detail| &detail.0);
        text.extend(
            [
                twin,
                one.kind.as_bytes(),
                b"\0",
                cause.as_bytes(),
                b"\0",
                &one.path.0,
                b"\0",
                detail,
                b"\0",
            ]
            .concat(),
        );
    }
    text
}

/// The folders and files: each a pair of texts, such as `folder` or `twin_folder`, and the path.
fn starts(given: &[u8], count: usize) -> Result<WalkStarts<'_>> {
    let mut starts = WalkStarts::default();
    for pair in split(given, count.saturating_mul(2), "walk.folders")?.chunks_exact(2) {
        let twin = pair[0].starts_with(b"twin_");
        match pair[0].strip_prefix(b"twin_").unwrap_or(pair[0]) {
            b"folder" => starts.folders.push((twin, pair[1])),
            b"file" => starts.files.push((twin, pair[1])),
            _ => {
                return refuse(format!(
                    "walk.folders: '{}' stands before a path: give 'folder', 'twin_folder', 'file' or 'twin_file'",
                    abridged(pair[0])
                ));
            }
        }
    }
    Ok(starts)
}

/// Lists the files below a folder that are missing from this machine, one page a call. It reads a page of
/// plexindex_list_items_below(), and looks for each of its files under the name that plexindex_map_to_host() gives.
/// Sends no request.
///
/// Each candidate is a file, and `flags` says what was found: PLEXINDEX_ITEM_FILE_MISSING, the file is missing;
/// PLEXINDEX_ITEM_FILE_UNKNOWN, it could not be looked for; neither, it is there. Each file with one of these flags is
/// a candidate. A file that is there is a candidate only if its item has several files, or if it is the last file of
/// the page.
///
/// `path`, `after`: as for plexindex_list_items_below(); `after` is the `path` of the last candidate, whatever its
/// flags. `limit`: files that the call looks for, 1 to 10,000. `out_page`: a block as from
/// plexindex_list_items_below(); `files` of the answer says how many files were looked for. The call uses three threads
/// beside the caller's. They end before it returns.
///
/// Returns what plexindex_list_items_below() returns.
///
/// # Safety
/// As plexindex_list_items_below().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_list_items_not_on_disk(
    library: *const LibraryHandle,
    path: *const c_char,
    path_length: usize,
    after: *const c_char,
    after_length: usize,
    limit: usize,
    out_page: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_page, "out_page", |page| {
        // SAFETY: the caller's promise.
        let library = unsafe { handles::library(library) }?;
        // SAFETY: as above.
        let FolderPage { path, after } = unsafe { page_of(path, path_length, after, after_length, limit) }?;
        library.items_below_with(path, after.as_deref(), limit, FileFilter::NotOnDisk, |found, folder| {
            write_folder(page, found, folder)
        })
    })
}

/// Names a path of the server as this machine has it, by the index's mappings; without one the path stays as it is. A
/// mapping of the kind PLEXINDEX_MAPPING_HOST_PATTERN works in the other direction only. Reads no file, and sends no
/// request.
///
/// `path`: as the server has it. `out_host`: the bytes, and a NUL that `length` does not count.
///
/// # Safety
/// Pointers must be NULL or valid; `handle` must be open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn plexindex_map_to_host(
    handle: *const Handle,
    path: *const c_char,
    path_length: usize,
    out_host: *mut Buffer,
    error: *mut Buffer,
) -> i32 {
    guard_into(error, out_host, "out_host", |host| {
        // SAFETY: the caller's promise.
        let (opened, path) = unsafe { (opened(handle)?, path_bytes(path, path_length, "path")?) };
        write_bytes(host, &opened.index().host_path(path)?)
    })
}
