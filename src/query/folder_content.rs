//! The contents of a folder: pages of listed files, and walks over local files.

use std::borrow::Cow;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::queries::Queries;
use crate::disk::{self, ListedStatus, Location, MediaTypes, Rules, WalkFindings, WalkStarts};
use crate::engine::{Snapshot, library_indexes};
use crate::error::{Result, Status, invalid_argument_error};
use crate::matching::{
    FolderFile, FolderResolver, FoundItem, LibraryIndex, Mappings, NormalPath, Presence, Scope, are_lookalike_paths,
};
use crate::model::{LibraryKind, Reason};
use crate::platform::deadline::Deadline;
use crate::platform::files::{is_gone, path_from_bytes};
use crate::platform::local_path;
use crate::platform::mutex::lock;
use crate::platform::thread::on_workers;
use crate::sync::{Call, Resolved, Selection, Selector, segments_lost_error};

/// Maximum number of attempts to rebuild damaged segments before a page fails.
const MAX_REBUILDS: u32 = 3;
/// Maximum duration of one call that continues a walk. Between calls, the caller can report progress or stop.
const WALK_STEP: Duration = Duration::from_millis(200);
/// Maximum number of threads that look up files on disk, in addition to the caller's thread.
const WORKERS: usize = 3;
/// Number of files that a thread looks up in one batch.
const FILES_PER_BATCH: usize = 64;

/// Filter for the listed files in a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFilter {
    /// All files of the page.
    All,
    /// Files that are not on this machine, files of items with several files, and the page's last file, which the host
    /// needs to request the next page. The answer says whether each file exists.
    NotOnDisk,
}

impl Queries {
    /// Passes a page of the files listed below a folder to `then`, in the order of their normal forms. The page has
    /// about `limit` files, and starts after the listed path `after`. Sends no request. [`Answer::folder`] counts
    /// the page's files before filtering.
    pub fn items_below<R>(
        &self,
        library: &Selection,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        filter: FileFilter,
        then: impl FnOnce(&Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        self.display.check_path(path)?;
        for attempt in 0.. {
            self.reading.catch_up(Deadline::NONE)?;
            let snapshot = self.reading.snapshot();
            // An empty page means that no files remain, so return an error if the listing is missing or evicted.
            let scope = library.fetched_scope(&snapshot, &self.reading)?;
            let mappings = self.reading.mappings();
            let mut files = NormalPath::with(path, |path| {
                FolderResolver::new(&snapshot.libraries, scope, mappings, path).files(after, limit)
            });
            let is_broken =
                library_indexes(scope, snapshot.rows.len()).any(|index| snapshot.libraries[index].is_broken());
            if (is_broken || snapshot.is_incomplete) && attempt < MAX_REBUILDS {
                drop(files);
                drop(snapshot);
                self.reading.rebuild_broken(Deadline::NONE)?;
                continue;
            }
            if is_broken {
                break;
            }
            let page_files = files.len() as u64;
            if filter == FileFilter::NotOnDisk {
                retain_not_on_disk(&mut files, mappings);
            }
            let found: Vec<FoundItem<'_>> = files.iter().map(|file| file.found).collect();
            let mut answer = Answer::of_items(self.reading.kind(), &found, found.len(), &snapshot.rows);
            answer.folder.files = page_files;
            if !found.is_empty() {
                // A page of several files is not ambiguous.
                answer.status = Status::Ok;
            }
            return then(&answer);
        }
        Err(segments_lost_error())
    }

    /// Walks the folders in `starts` for at most [`WALK_STEP`], and checks the files in `starts`. Returns the files
    /// that the index does not list for exactly one item, and the folders that are still unread.
    ///
    /// `walk_number` is the number of the walk to continue, from an earlier call's `next_walk_number`; 0 starts a new
    /// walk. A walk reads each folder once, and a call without starting points follows the links that the walk has
    /// found. `None`: the call only reports links. `rules` are the rules of Plex that exclude files and folders. The
    /// call also returns after reading `max_names` names.
    ///
    /// # Errors
    /// Returns [`Status::InvalidArgument`] for an invalid path or an unknown walk, and the errors of
    /// [`Queries::items_below`].
    pub fn walk(
        &self,
        library: &Selection,
        walk_number: Option<u64>,
        starts: &WalkStarts<'_>,
        (rules, max_names): (Rules, usize),
    ) -> Result<WalkFindings> {
        let (folders, files) = (self.local_paths(&starts.folders)?, self.local_paths(&starts.files)?);
        let starts = &WalkStarts {
            folders: folders.iter().map(|(twin, path)| (*twin, &**path)).collect(),
            files: files.iter().map(|(twin, path)| (*twin, &**path)).collect(),
        };
        self.reading.catch_up(Deadline::NONE)?;
        self.reading
            .check_accepted()
            .map_err(|error| self.reading.explain_rejected_token(error))?;
        let fetched_libraries = || {
            let snapshot = self.reading.snapshot();
            snapshot.rows.iter().filter(|row| row.generation.is_fetched()).count()
        };
        let fetched_at_start = fetched_libraries();
        let locations = {
            let snapshot = self.reading.snapshot();
            let scope = match library.resolve(&snapshot)? {
                Resolved::Scope(scope) if !snapshot.rows.is_empty() => scope,
                // If the index has no libraries, the walk would report every file as unlisted.
                _ => {
                    let error = library.not_stored_error(&snapshot, &self.reading);
                    return Err(self.reading.explain_rejected_token(error));
                }
            };
            locations(&snapshot, scope, self.reading.mappings())
        };
        let failure = Mutex::new(None);
        let request = disk::WalkRequest {
            starts,
            locations: &locations,
            rules,
            max_names,
            until: Instant::now() + WALK_STEP,
            is_first: walk_number.is_none_or(|walk_number| walk_number == 0),
            is_listed: &|paths, each| {
                self.reading
                    .lookup_keys(library, paths.iter().copied(), |key| each(key.is_some()));
            },
            status: &|path, twin| {
                self.file_status(library, path, twin).unwrap_or_else(|error| {
                    lock(&failure).get_or_insert(error);
                    ListedStatus::Unlisted
                })
            },
        };
        // If a listing was damaged or evicted during the walk, its files look unlisted.
        let check = |findings| {
            if let Some(error) = lock(&failure).take() {
                return Err(error);
            }
            if fetched_libraries() < fetched_at_start {
                return Err(segments_lost_error());
            }
            Ok(findings)
        };
        let Some(walk) = walk_number else {
            return check(disk::walk(&request, None).0);
        };
        let (walk_number, mut progress) = self.walks.take(walk)?;
        let (mut findings, is_over) = disk::walk(&request, Some(&mut progress));
        if !is_over {
            findings.next_walk_number = Some(walk_number);
            self.walks.store(walk_number, progress);
        }
        check(findings)
    }

    /// Validates and normalizes local paths; rejects relative paths. Keeps each path's flag: whether the path has a
    /// twin, another name in the same folder that differs only in case or Unicode form.
    fn local_paths<'p>(&self, paths: &[(bool, &'p [u8])]) -> Result<Vec<(bool, Cow<'p, [u8]>)>> {
        let normalized = paths.iter().map(|(twin, path)| {
            self.display.check_path(path)?;
            let local_path = local_path::normalize_host_path(path);
            if local_path::root(&local_path).is_empty() {
                return invalid_argument_error(format!(
                    "'{}' is not an absolute path: specify the full path",
                    self.display.path(path)
                ));
            }
            Ok((*twin, local_path))
        });
        normalized.collect()
    }

    /// Returns how the index lists a local file. `has_case_twin`: the folder has another file, the twin, whose name
    /// differs only in case. Both names match the same item, which belongs to the twin if one of the item's files
    /// exists but none has this path.
    fn file_status(&self, library: &Selection, path: &[u8], has_case_twin: bool) -> Result<ListedStatus> {
        let mappings = self.reading.mappings();
        let is_of_twin = |answer: &Answer<'_>| {
            let host_paths = || answer.candidates().iter().map(|found| mappings.host_path(found.path));
            mappings.can_invert_all()
                && !host_paths().any(|host_path| *local_path::normalize_host_path(&host_path) == *path)
                && host_paths().any(|host_path| path_from_bytes(host_path).symlink_metadata().is_ok())
        };
        let is_missing = |path: &[u8]| path_from_bytes(path).components().as_path().symlink_metadata().is_err();
        let lookalike = |answer: &Answer<'_>| {
            let mut found = answer.candidates().iter().map(|found| found.path).filter(|listed| {
                let host_path = mappings.host_path(listed);
                are_lookalike_paths(path, &host_path) && is_missing(&host_path)
            });
            let listed = found.next()?;
            found.all(|other| other == listed).then(|| listed.to_vec())
        };
        let token_number = self.reading.tokens.current().number();
        let status_in = |library: Option<&Selection>, has_case_twin: bool| {
            let (call, mut pin) = (Call::offline(library, token_number), self.reading.eviction_pin());
            let status = self.match_path(&mut pin, &call, path, |answer| {
                let is_listed = answer.match_kind.is_listed() && !(has_case_twin && is_of_twin(answer));
                Ok(match answer.item() {
                    _ if is_listed && answer.status == Status::Ambiguous => ListedStatus::SeveralItems,
                    _ if is_listed => ListedStatus::Listed,
                    Some(item) if matches!(answer.reason, Reason::SameFile | Reason::OnlyRootDiffers) => {
                        ListedStatus::OnlyRootDiffers(item.path.to_vec())
                    }
                    _ => lookalike(answer).map_or(ListedStatus::Unlisted, ListedStatus::Lookalike),
                })
            });
            match status {
                // Without a listing, no library lists the file.
                Err(error) if error.status == Status::NotFetched => Ok(ListedStatus::Unlisted),
                status => status,
            }
        };
        let is_listed = |status: &ListedStatus| matches!(status, ListedStatus::Listed | ListedStatus::SeveralItems);
        let status = status_in(Some(library), has_case_twin)?;
        // Several libraries may share a folder, so another library may list the file. There, an item of a twin (`true`)
        // does not count.
        if !is_listed(&status) && *library.selector() != Selector::All && is_listed(&status_in(None, true)?) {
            return Ok(ListedStatus::ListedElsewhere);
        }
        Ok(status)
    }
}

/// Returns the locations of all libraries as local paths, without duplicates. Includes locations out of scope, so that
/// the walk reports no files there; their `kinds` and `is_fetched` are unused. A location in scope is fetched if all
/// its libraries in scope are fetched.
fn locations(snapshot: &Snapshot, scope: Scope, mappings: &Mappings) -> Vec<Location> {
    let in_scope = library_indexes(scope, snapshot.rows.len());
    // Each folder with the kinds of its libraries in scope, and whether all of these have been fetched.
    let mut folders: Vec<(Vec<u8>, Vec<LibraryKind>, bool)> = Vec::new();
    for (index, row) in snapshot.rows.iter().enumerate() {
        let kind = in_scope.contains(&index).then_some(row.library.kind);
        let is_fetched = kind.is_none() || row.generation.is_fetched();
        for location in row.library.locations.iter().filter(|location| !location.is_empty()) {
            let folder = local_folder(location, mappings);
            if let Some((_, kinds, are_fetched)) = folders.iter_mut().find(|(other, ..)| *other == folder) {
                kinds.extend(kind);
                *are_fetched &= is_fetched;
            } else {
                folders.push((folder, kind.into_iter().collect(), is_fetched));
            }
        }
    }
    let locations = folders.into_iter().map(|(folder, kinds, is_fetched)| Location {
        folder,
        media_types: MediaTypes::of(&kinds),
        is_out_of_scope: kinds.is_empty(),
        is_fetched,
    });
    locations.collect()
}

/// Maps a library location to a local path without `.` and `..`. Mappings translate file paths, so the function maps
/// the path of a file in the location.
fn local_folder(location: &str, mappings: &Mappings) -> Vec<u8> {
    let file = [location.trim_end_matches('/').as_bytes(), b"/x"].concat();
    let file = mappings.host_path(&file);
    let file = local_path::normalize_host_path(&file);
    let root = local_path::root(&file);
    let last_separator = file.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let folder = file.get(root.len()..last_separator).unwrap_or_default();
    let mut names: Vec<&[u8]> = Vec::new();
    for name in folder.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    // A path from a server with a different operating system has no root on this machine.
    let root = if root.is_empty() { b"/" } else { root };
    [root, &*names.join(&b'/')].concat()
}

/// Keeps only files that are not on this machine, files of items with several files, and the last file, which the host
/// needs to request the next page. Sets [`FoundItem::on_disk`] for each file. Several threads look up the files,
/// because network file systems are slow.
fn retain_not_on_disk(files: &mut Vec<FolderFile<'_>>, mappings: &Mappings) {
    let workers = WORKERS.min(files.len() / FILES_PER_BATCH);
    let batches = Mutex::new(files.chunks_mut(FILES_PER_BATCH));
    let next_batch = || lock(&batches).next();
    on_workers(workers, || {
        while let Some(batch) = next_batch() {
            for file in batch {
                // A listed path may end with a separator, which would require a folder.
                let path = path_from_bytes(mappings.host_path(file.found.path));
                file.found.on_disk = match path.components().as_path().metadata() {
                    Ok(_) => Presence::Assumed,
                    Err(error) if is_gone(&error) => Presence::Missing,
                    Err(_) => Presence::Unknown,
                };
            }
        }
    });
    let mut remaining = files.len();
    files.retain(|file| {
        remaining -= 1;
        file.found.on_disk != Presence::Assumed || file.item_has_other_files || remaining == 0
    });
}
