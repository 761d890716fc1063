//! The content of a folder: listed items, page by page, and files on the disk.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::answer::{Answer, FolderFacts};
use super::path::tidy;
use super::room::Queries;
use crate::disk::{self, Kinds, ListedStatus, Location, Rules, WalkFindings, WalkStarts};
use crate::engine::{Resolved, Selection, Selector, Snapshot, places};
use crate::error::{Result, Status, refuse};
use crate::matching::{FolderFile, FolderResolver, FoundItem, Mappings, Normal, OnDisk, Scope, View};
use crate::model::{LibraryKind, Reason};
use crate::platform::deadline::Deadline;
use crate::platform::files::{is_gone, named};
use crate::platform::mutex::lock;
use crate::platform::thread::on_several;
use crate::sync::Call;

/// Attempts to rebuild damaged segments for one page.
const REBUILDS: u32 = 3;
/// Duration of one step of a walk: between steps the caller can report progress or stop.
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
    /// Files that are not found on this machine, files of items with several files, and the last file, where the next page
    /// continues. Each says whether it exists.
    NotOnDisk,
}

impl Queries {
    /// Passes a page of listed files below a folder to `then`, in the order of their normal forms, after the listed
    /// path `after`. Sends no request. The count `files` includes those that `which` leaves out.
    pub fn items_below<R>(
        &self,
        library: &Selection,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        which: FileFilter,
        then: impl FnOnce(&Answer<'_>, FolderFacts) -> Result<R>,
    ) -> Result<R> {
        self.shown.check_path(path)?;
        let path = without_dot(path);
        let tidied = tidy(path);
        let path = tidied.as_deref().unwrap_or(path);
        for tried in 0.. {
            self.reading.catch_up_without_noting(Deadline::NONE)?;
            let snapshot = self.reading.snapshot();
            // An empty page means the end, so a listing that is missing or was evicted meanwhile must be an error.
            let scope = library.fetched_scope(&snapshot, &self.reading)?;
            let mappings = self.reading.mappings();
            let mut files = Normal::with(path, |path| {
                FolderResolver::new(&snapshot.views, scope, mappings, path).files(after, limit)
            });
            let broken = places(scope, snapshot.rows.len()).any(|place| snapshot.views[place].broken());
            if (broken || snapshot.incomplete) && tried < REBUILDS {
                drop(files);
                drop(snapshot);
                self.reading.rebuild_broken(Deadline::NONE)?;
                continue;
            }
            if broken {
                break;
            }
            let now = self.clock.now_ms();
            for place in files.iter().map(|file| file.found.library) {
                snapshot.ask_for(place, now);
            }
            let facts = FolderFacts {
                files: files.len() as u64,
                ..FolderFacts::default()
            };
            if which == FileFilter::NotOnDisk {
                retain_not_on_disk(&mut files, mappings);
            }
            let found: Vec<FoundItem<'_>> = files.iter().map(|file| file.found).collect();
            let mut answer = Answer::of_items(self.reading.kind(), &found, found.len(), &snapshot.rows);
            if !found.is_empty() {
                answer.status = Status::Ok;
            }
            return then(&answer, facts);
        }
        Err(super::driver::segments_lost())
    }

    /// Walks local folders for a limited time, and passes files that are not listed as a single item to `then`, and says
    /// the same of the files of `starts`. If `then` fails, the walk can be continued from where this call began.
    ///
    /// `number`: the walk to continue; 0 begins one; `None` reads the folders of `starts` only. `most`: maximum number of
    /// findings.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for an invalid path or an unknown walk; errors of [`Queries::items_below`] and of
    /// `then`.
    pub fn walk<R>(
        &self,
        library: &Selection,
        number: Option<u64>,
        starts: &WalkStarts<'_>,
        (rules, most): (Rules, usize),
        then: impl FnOnce(&WalkFindings) -> Result<R>,
    ) -> Result<R> {
        for (_, path) in starts.folders.iter().chain(&starts.files) {
            self.shown.check_path(path)?;
            if !path.starts_with(b"/") {
                return refuse(format!(
                    "the path '{}' is no full path: where it lies depends on the current folder",
                    self.shown.path(path)
                ));
            }
        }
        self.reading.catch_up_without_noting(Deadline::NONE)?;
        self.reading.check_accepted()?;
        let locations = {
            let snapshot = self.reading.snapshot();
            let scope = match library.resolve(&snapshot)? {
                // Without a library all files would be in none.
                Resolved::Scope(_) if snapshot.rows.is_empty() => return Err(library.never_fetched(&self.reading)),
                Resolved::Scope(scope) => scope,
                Resolved::Unknown => return Err(library.unknown(&snapshot, &self.reading)),
            };
            locations(&snapshot, scope, self.reading.mappings())
        };
        let question = disk::WalkRequest {
            starts,
            locations: &locations,
            rules,
            most,
            until: Instant::now() + WALK_STEP,
            is_first: number.is_none_or(|number| number == 0),
            is_listed: &|paths, each| {
                self.reading
                    .lookup_keys(library, paths.iter().copied(), |key| each(key.is_some()));
            },
            status: &|path, twin| self.file_status(library, path, twin),
        };
        let Some(walk) = number else {
            return then(&disk::walk(&question, None).0);
        };
        let (number, mut progress) = self.walks.take(walk)?;
        let (mut walked, is_over) = disk::walk(&question, Some(&mut progress));
        walked.goes_on = (!is_over).then_some(number);
        let result = then(&walked);
        match &result {
            Ok(_) if is_over => {}
            Ok(_) => {
                progress.commit();
                self.walks.store(number, progress);
            }
            Err(_) if walk == 0 => {}
            Err(_) => {
                progress.undo();
                self.walks.store(number, progress);
            }
        }
        result
    }

    /// What the index says of a file of this machine. With a `twin`, an item is the twin's if one of its files exists, and
    /// is spelt otherwise.
    fn file_status(&self, library: &Selection, path: &[u8], twin: bool) -> ListedStatus {
        let mappings = self.reading.mappings();
        let is_twins = |answer: &Answer<'_>| {
            let listed = || answer.candidates().iter().map(|one| mappings.host_path(one.path));
            mappings.name_each_file()
                && !listed().any(|one| *one == *path)
                && listed().any(|one| named(one).symlink_metadata().is_ok())
        };
        let session = self.reading.tokens.current().number();
        let ask = |library: Option<&Selection>, twin: bool| {
            let asked = self.match_path(&Call::offline(library, session), path, |answer| {
                let is_listed = answer.match_kind.is_listed() && !(twin && is_twins(answer));
                Ok(match (answer.item(), answer.reason) {
                    _ if is_listed && answer.status == Status::Ambiguous => ListedStatus::SeveralItems,
                    _ if is_listed => ListedStatus::Listed,
                    (Some(item), Reason::OnlyRootDiffers) => ListedStatus::OnlyRootDiffers(item.path.to_vec()),
                    _ => ListedStatus::Unlisted,
                })
            });
            asked.unwrap_or(ListedStatus::Unlisted)
        };
        let is_listed = |status: &ListedStatus| matches!(status, ListedStatus::Listed | ListedStatus::SeveralItems);
        let own = ask(Some(library), twin);
        // Libraries may share a folder: this one need not list what another one lists.
        if !is_listed(&own) && *library.selector() != Selector::All && is_listed(&ask(None, true)) {
            return ListedStatus::ListedElsewhere;
        }
        own
    }
}

/// The folders of all libraries, as paths of this machine, without duplicates.
fn locations(snapshot: &Snapshot, scope: Scope, mappings: &Mappings) -> Vec<Location> {
    let in_scope = places(scope, snapshot.rows.len());
    let mut folders: Vec<(Vec<u8>, Vec<LibraryKind>, bool)> = Vec::new();
    let mut others: Vec<Vec<u8>> = Vec::new();
    for (place, row) in snapshot.rows.iter().enumerate() {
        for location in row.library.locations.iter().filter(|location| !location.is_empty()) {
            let folder = on_this_machine(location, mappings);
            if !in_scope.contains(&place) {
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

/// A library's folder as a path of this machine. Mappings apply to paths below a folder, so a file name is appended for
/// the mapping.
fn on_this_machine(location: &str, mappings: &Mappings) -> Vec<u8> {
    let below = [location.trim_end_matches('/').as_bytes(), b"/x"].concat();
    let below = mappings.host_path(&below);
    let folder = &below[..below.iter().rposition(|byte| *byte == b'/').unwrap_or(0)];
    let mut names: Vec<&[u8]> = Vec::new();
    for name in folder.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => drop(names.pop()),
            name => names.push(name),
        }
    }
    [b"/", &*names.join(&b'/')].concat()
}

/// Looks the files up, and removes those that exist, except those of items with several files, and the last one.
fn retain_not_on_disk(files: &mut Vec<FolderFile<'_>>, mappings: &Mappings) {
    let (next, all) = (AtomicUsize::new(0), &*files);
    let kept: Mutex<Vec<(usize, OnDisk)>> = Mutex::default();
    on_several(WORKERS.min(all.len() / FILES_PER_BATCH), || {
        let mut own = Vec::new();
        loop {
            let from = next.fetch_add(FILES_PER_BATCH, Ordering::Relaxed);
            let Some(some) = all.get(from..).filter(|some| !some.is_empty()) else {
                break;
            };
            for (at, file) in some.iter().take(FILES_PER_BATCH).enumerate() {
                let on_disk = match named(mappings.host_path(file.found.path)).metadata() {
                    Ok(_) => OnDisk::Assumed,
                    Err(error) if is_gone(&error) => OnDisk::Missing,
                    Err(_) => OnDisk::Unknown,
                };
                if on_disk != OnDisk::Assumed || file.is_of_several || from + at + 1 == all.len() {
                    own.push((from + at, on_disk));
                }
            }
        }
        lock(&kept).append(&mut own);
    });
    let mut kept = std::mem::take(&mut *lock(&kept));
    kept.sort_unstable_by_key(|(at, _)| *at);
    let (mut kept, mut next) = (kept.into_iter().peekable(), 0..);
    files.retain_mut(|file| {
        let at = next.next();
        let own = kept.next_if(|(kept, _)| Some(*kept) == at);
        file.found.on_disk = own.map_or(OnDisk::Assumed, |(_, on_disk)| on_disk);
        own.is_some()
    });
}

/// Removes a `.` at the end of a folder's path.
pub(super) fn without_dot(path: &[u8]) -> &[u8] {
    if path.ends_with(b"/.") {
        &path[..path.len() - 1]
    } else {
        path
    }
}
