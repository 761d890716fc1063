//! The content of a folder: listed items, page by page, and files on the disk.

use std::borrow::Cow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::answer::{Answer, FolderFacts};
use super::queries::Queries;
use crate::disk::{self, Kinds, ListedStatus, Location, Rules, WalkFindings, WalkStarts};
use crate::engine::{Snapshot, places};
use crate::error::{Result, Status, refuse};
use crate::matching::{FolderFile, FolderResolver, FoundItem, Mappings, Normal, OnDisk, Scope, View, tidy};
use crate::model::{LibraryKind, Reason};
use crate::platform::deadline::Deadline;
use crate::platform::files::{is_gone, named};
use crate::platform::local_path;
use crate::platform::mutex::lock;
use crate::platform::thread::on_several;
use crate::sync::{Call, Resolved, Selection, Selector, segments_lost};

/// Attempts to rebuild damaged segments for one page.
const REBUILDS: u32 = 3;
/// Duration of one step of a walk. Between steps the caller can report progress or stop.
const WALK_STEP: Duration = Duration::from_millis(200);
/// Worker threads that look up files, besides the caller's thread.
const WORKERS: usize = 3;
/// Files that a thread looks up at a time.
const FILES_PER_BATCH: usize = 64;

/// The listed files that a page contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFilter {
    /// All files.
    All,
    /// Files that are not on this machine, files of items with several files, and the last file, after which the next
    /// page starts. Each says whether it exists.
    NotOnDisk,
}

impl Queries {
    /// Passes a page of listed files below a folder to `then`, in the order of their normal forms, after the listed
    /// path `after`. Sends no request. [`FolderFacts::files`] also counts the files that `filter` drops.
    pub fn items_below<R>(
        &self,
        library: &Selection,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        filter: FileFilter,
        then: impl FnOnce(&Answer<'_>, FolderFacts) -> Result<R>,
    ) -> Result<R> {
        self.shown.check_path(path)?;
        let path = without_dot(path);
        let tidied = tidy(path);
        let path = tidied.as_deref().unwrap_or(path);
        for attempt in 0.. {
            self.reading.catch_up(Deadline::NONE)?;
            let snapshot = self.reading.snapshot();
            // An empty page means the end, so a listing that is missing or was evicted meanwhile must be an error.
            let scope = library.fetched_scope(&snapshot, &self.reading)?;
            let mappings = self.reading.mappings();
            let mut files = Normal::with(path, |path| {
                FolderResolver::new(&snapshot.views, scope, mappings, path).files(after, limit)
            });
            let broken = places(scope, snapshot.rows.len()).any(|index| snapshot.views[index].broken());
            if (broken || snapshot.incomplete) && attempt < REBUILDS {
                drop(files);
                drop(snapshot);
                self.reading.rebuild_broken(Deadline::NONE)?;
                continue;
            }
            if broken {
                break;
            }
            let facts = FolderFacts {
                files: files.len() as u64,
                ..FolderFacts::default()
            };
            if filter == FileFilter::NotOnDisk {
                retain_not_on_disk(&mut files, mappings);
            }
            let found: Vec<FoundItem<'_>> = files.iter().map(|file| file.found).collect();
            let mut answer = Answer::of_items(self.reading.kind(), &found, found.len(), &snapshot.rows);
            if !found.is_empty() {
                answer.status = Status::Ok;
            }
            return then(&answer, facts);
        }
        Err(segments_lost())
    }

    /// Walks local folders for a limited time. Returns the files that are not listed as a single item; the files of `starts`
    /// are checked too.
    ///
    /// `number`: the walk to continue; 0 begins one; `None` reads the folders of `starts` only.
    /// `max_findings`: after so many findings the call returns.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for an invalid path or an unknown walk; errors of [`Queries::items_below`] and of
    /// `then`.
    pub fn walk(
        &self,
        library: &Selection,
        number: Option<u64>,
        starts: &WalkStarts<'_>,
        (rules, max_findings): (Rules, usize),
    ) -> Result<WalkFindings> {
        let (folders, files) = (self.taken(&starts.folders)?, self.taken(&starts.files)?);
        let starts = &WalkStarts {
            folders: folders.iter().map(|(twin, path)| (*twin, &**path)).collect(),
            files: files.iter().map(|(twin, path)| (*twin, &**path)).collect(),
        };
        self.reading.catch_up(Deadline::NONE)?;
        self.reading
            .check_accepted()
            .map_err(|error| self.reading.refused_or(error))?;
        let locations = {
            let snapshot = self.reading.snapshot();
            let scope = match library.resolve(&snapshot)? {
                Resolved::Scope(scope) if !snapshot.rows.is_empty() => scope,
                // Without a library all files would be in none.
                _ => {
                    let error = library.not_stored(&snapshot, &self.reading);
                    return Err(self.reading.refused_or(error));
                }
            };
            locations(&snapshot, scope, self.reading.mappings())
        };
        let request = disk::WalkRequest {
            starts,
            locations: &locations,
            rules,
            most: max_findings,
            until: Instant::now() + WALK_STEP,
            is_first: number.is_none_or(|number| number == 0),
            is_listed: &|paths, each| {
                self.reading
                    .lookup_keys(library, paths.iter().copied(), |key| each(key.is_some()));
            },
            status: &|path, twin| self.file_status(library, path, twin),
        };
        let Some(walk) = number else {
            return Ok(disk::walk(&request, None).0);
        };
        let (number, mut progress) = self.walks.take(walk)?;
        let (mut findings, is_over) = disk::walk(&request, Some(&mut progress));
        if !is_over {
            findings.goes_on = Some(number);
            self.walks.store(number, progress);
        }
        Ok(findings)
    }

    /// Returns paths of this machine as a walk takes them.
    fn taken<'p>(&self, given: &[(bool, &'p [u8])]) -> Result<Vec<(bool, Cow<'p, [u8]>)>> {
        let each = given.iter().map(|(twin, path)| {
            self.shown.check_path(path)?;
            let taken = local_path::taken(path);
            if local_path::root(&taken).is_empty() {
                return refuse(format!(
                    "the path '{}' is not a full path: it depends on the current folder",
                    self.shown.path(path)
                ));
            }
            Ok((*twin, taken))
        });
        each.collect()
    }

    /// Returns how a local file is listed. `twin`: its folder has another file whose name differs in case only. An item
    /// belongs to that file if one of the item's files exists, and none has exactly this path.
    fn file_status(&self, library: &Selection, path: &[u8], twin: bool) -> ListedStatus {
        let mappings = self.reading.mappings();
        let is_of_twin = |answer: &Answer<'_>| {
            let listed = || answer.candidates().iter().map(|one| mappings.host_path(one.path));
            mappings.name_each_file()
                && !listed().any(|one| *local_path::taken(&one) == *path)
                && listed().any(|one| named(one).symlink_metadata().is_ok())
        };
        let session = self.reading.tokens.current().number();
        let status_in = |library: Option<&Selection>, twin: bool| {
            let (call, mut pin) = (Call::offline(library, session), self.reading.eviction_pin());
            let status = self.match_path(&mut pin, &call, path, |answer| {
                let is_listed = answer.match_kind.is_listed() && !(twin && is_of_twin(answer));
                Ok(match (answer.item(), answer.reason) {
                    _ if is_listed && answer.status == Status::Ambiguous => ListedStatus::SeveralItems,
                    _ if is_listed => ListedStatus::Listed,
                    (Some(item), Reason::OnlyRootDiffers) => ListedStatus::OnlyRootDiffers(item.path.to_vec()),
                    _ => ListedStatus::Unlisted,
                })
            });
            status.unwrap_or(ListedStatus::Unlisted)
        };
        let is_listed = |status: &ListedStatus| matches!(status, ListedStatus::Listed | ListedStatus::SeveralItems);
        let own = status_in(Some(library), twin);
        // Libraries may share a folder: this one need not list what another one lists.
        if !is_listed(&own) && *library.selector() != Selector::All && is_listed(&status_in(None, true)) {
            return ListedStatus::ListedElsewhere;
        }
        own
    }
}

/// Returns the folders of all libraries as local paths, without duplicates.
fn locations(snapshot: &Snapshot, scope: Scope, mappings: &Mappings) -> Vec<Location> {
    let in_scope = places(scope, snapshot.rows.len());
    let mut folders: Vec<(Vec<u8>, Vec<LibraryKind>, bool)> = Vec::new();
    let mut others: Vec<Vec<u8>> = Vec::new();
    for (index, row) in snapshot.rows.iter().enumerate() {
        for location in row.library.locations.iter().filter(|location| !location.is_empty()) {
            let folder = local_folder(location, mappings);
            if !in_scope.contains(&index) {
                others.push(folder);
            } else if let Some((_, kinds, is_fetched)) = folders.iter_mut().find(|(known, ..)| *known == folder) {
                kinds.push(row.library.kind);
                *is_fetched &= row.generation.is_fetched();
            } else {
                folders.push((folder, vec![row.library.kind], row.generation.is_fetched()));
            }
        }
    }
    others.sort_unstable();
    others.dedup();
    others.retain(|folder| folders.iter().all(|(known, ..)| known != folder));
    let own = folders.into_iter().map(|(folder, kinds, is_fetched)| Location {
        folder,
        kinds: Kinds::of(&kinds),
        is_out_of_scope: false,
        is_fetched,
    });
    let others = others.into_iter().map(|folder| Location {
        folder,
        kinds: Kinds::of(&[]),
        is_out_of_scope: true,
        is_fetched: true,
    });
    own.chain(others).collect()
}

/// Maps a library's folder to a local path. Mappings apply to paths below a folder, so a file name is appended first.
fn local_folder(location: &str, mappings: &Mappings) -> Vec<u8> {
    let below = [location.trim_end_matches('/').as_bytes(), b"/x"].concat();
    let below = mappings.host_path(&below);
    let below = local_path::taken(&below);
    let root = local_path::root(&below);
    let last = below.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let folder = below.get(root.len()..last).unwrap_or_default();
    let mut names: Vec<&[u8]> = Vec::new();
    for name in folder.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    // The path of a server with another system has no root here.
    let root = if root.is_empty() { b"/" } else { root };
    [root, &*names.join(&b'/')].concat()
}

/// Keeps only the files that [`FileFilter::NotOnDisk`] names.
fn retain_not_on_disk(files: &mut Vec<FolderFile<'_>>, mappings: &Mappings) {
    let (mut kept, mut indexes) = (find_not_on_disk(files, mappings).into_iter().peekable(), 0..);
    files.retain_mut(|file| {
        let index = indexes.next();
        let entry = kept.next_if(|(kept, _)| Some(*kept) == index);
        file.found.on_disk = entry.map_or(OnDisk::Assumed, |(_, on_disk)| on_disk);
        entry.is_some()
    });
}

/// Looks the files up in several threads. Returns the sorted indexes of those that [`FileFilter::NotOnDisk`] names.
fn find_not_on_disk(files: &[FolderFile<'_>], mappings: &Mappings) -> Vec<(usize, OnDisk)> {
    let next_batch = AtomicUsize::new(0);
    let all: Mutex<Vec<(usize, OnDisk)>> = Mutex::default();
    on_several(WORKERS.min(files.len() / FILES_PER_BATCH), || {
        let mut found = Vec::new();
        loop {
            let from = next_batch.fetch_add(FILES_PER_BATCH, Ordering::Relaxed);
            let Some(rest) = files.get(from..).filter(|rest| !rest.is_empty()) else {
                break;
            };
            for (index, file) in (from..).zip(rest.iter().take(FILES_PER_BATCH)) {
                let on_disk = match named(mappings.host_path(file.found.path)).metadata() {
                    Ok(_) => OnDisk::Assumed,
                    Err(error) if is_gone(&error) => OnDisk::Missing,
                    Err(_) => OnDisk::Unknown,
                };
                if on_disk != OnDisk::Assumed || file.is_of_several || index + 1 == files.len() {
                    found.push((index, on_disk));
                }
            }
        }
        lock(&all).append(&mut found);
    });
    let mut all = std::mem::take(&mut *lock(&all));
    all.sort_unstable_by_key(|(index, _)| *index);
    all
}

/// Removes a `.` at the end of a folder's path.
pub(super) fn without_dot(path: &[u8]) -> &[u8] {
    if path.ends_with(b"/.") {
        &path[..path.len() - 1]
    } else {
        path
    }
}
