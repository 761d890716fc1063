//! The content of a folder: listed items, page by page, and files on the disk.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::answer::{Answer, FolderFacts};
use super::path::tidy;
use super::room::Queries;
use crate::disk::{self, Kinds, Location, Rules, WalkFindings};
use crate::engine::{Resolved, Selection, Snapshot, places};
use crate::error::{Result, Status, refuse};
use crate::matching::{FolderFile, FolderResolver, FoundItem, Mappings, Normal, Scope, View};
use crate::model::LibraryKind;
use crate::platform::deadline::Deadline;
use crate::platform::files::named;
use crate::platform::mutex::lock;
use crate::platform::thread::on_several;

/// Attempts to rebuild damaged segments for one page.
const REBUILDS: u32 = 3;
/// Duration of one step of a walk: between steps the caller can report progress or stop.
const A_WHILE: Duration = Duration::from_millis(200);
/// Threads that look for files beside the caller's, and how many files each looks for at a time.
const OTHERS: usize = 3;
const AT_ONCE: usize = 64;

/// The listed files that a page contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// All files.
    All,
    /// Files that are not on this machine's disk, files of items with several files, and the last file, where the next page
    /// continues.
    NotOnDisk,
}

impl Queries {
    /// The files below a folder behind the listed path `after`: a page of what is known, in the order of their normal forms.
    /// `files` of what `then` gets counts all of the page.
    pub fn items_below<R>(
        &self,
        library: &Selection,
        path: &[u8],
        after: Option<&[u8]>,
        limit: usize,
        which: Which,
        then: impl FnOnce(&Answer<'_>, FolderFacts) -> Result<R>,
    ) -> Result<R> {
        self.shown.check_path(path)?;
        let path = without_dot(path);
        let tidied = tidy(path);
        let path = tidied.as_deref().unwrap_or(path);
        for tried in 0.. {
            self.reading.catch_up_unnoted(Deadline::NONE)?;
            let snapshot = self.reading.snapshot();
            let scope = match library.resolve(&snapshot)? {
                Resolved::Scope(scope) => scope,
                Resolved::Unknown if snapshot.rows.is_empty() => return Err(library.never_fetched(&self.reading)),
                Resolved::Unknown => return Err(library.unknown(&snapshot, &self.reading)),
            };
            let rows = snapshot.asked(scope);
            // An empty page would be the end: of a listing that is not there, or was evicted on the way.
            if !rows.iter().any(|row| row.generation.is_fetched()) {
                return Err(library.never_fetched(&self.reading));
            }
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
            if which == Which::NotOnDisk {
                retain_not_on_disk(&mut files, mappings);
            }
            let found: Vec<FoundItem<'_>> = files.iter().map(|file| file.found).collect();
            let mut answer = Answer::of_items(self.reading.kind(), &found, found.len(), &snapshot.rows);
            if !found.is_empty() {
                answer.status = Status::Ok;
            }
            return then(&answer, facts);
        }
        Err(super::driver::images_lost())
    }

    /// Walks local folders for a limited time, and finds files that are not listed with certainty. `number`: the walk
    /// to continue; 0 begins one. If `then` fails, the walk stays as it was before the call.
    ///
    /// # Errors
    /// [`Status::InvalidArgument`] for an invalid path, or an unknown walk; as [`Queries::items_below`]; that of
    /// `then`.
    pub fn walk<R>(
        &self,
        library: &Selection,
        number: Option<u64>,
        folders: &[(bool, &[u8])],
        (rules, most): (Rules, usize),
        then: impl FnOnce(&WalkFindings) -> Result<R>,
    ) -> Result<R> {
        for (_, folder) in folders {
            self.shown.check_path(folder)?;
            if !folder.starts_with(b"/") {
                return refuse(format!(
                    "the folder '{}' is no full path: where it lies depends on the current folder",
                    self.shown.path(folder)
                ));
            }
        }
        self.reading.catch_up_unnoted(Deadline::NONE)?;
        self.reading.check_accepted()?;
        let locations = {
            let snapshot = self.reading.snapshot();
            let scope = match library.resolve(&snapshot)? {
                Resolved::Scope(scope) => scope,
                Resolved::Unknown => return Err(library.unknown(&snapshot, &self.reading)),
            };
            locations(&snapshot, scope, self.reading.mappings())
        };
        let question = disk::WalkRequest {
            folders,
            locations: &locations,
            rules,
            most,
            until: Instant::now() + A_WHILE,
            is_listed: &|paths, each| {
                self.reading
                    .lookup_keys(library, paths.iter().copied(), |key| each(key.is_some()));
            },
        };
        let Some(given) = number else {
            return then(&disk::walk(&question, None).0);
        };
        let (number, mut progress) = self.walks.take(given)?;
        let (mut walked, is_over) = disk::walk(&question, Some(&mut progress));
        walked.goes_on = (!is_over).then_some(number);
        let taken = then(&walked);
        match &taken {
            Ok(_) if is_over => {}
            Ok(_) => {
                progress.commit();
                self.walks.keep(number, progress);
            }
            Err(_) if given == 0 => {}
            Err(_) => {
                progress.undo();
                self.walks.keep(number, progress);
            }
        }
        taken
    }
}

/// The folders of all libraries as this machine names them, each once.
fn locations(snapshot: &Snapshot, scope: Scope, mappings: &Mappings) -> Vec<Location> {
    let asked = places(scope, snapshot.rows.len());
    let mut folders: Vec<(Vec<u8>, Vec<LibraryKind>)> = Vec::new();
    let mut others: Vec<Vec<u8>> = Vec::new();
    for (place, row) in snapshot.rows.iter().enumerate() {
        for location in row.library.locations.iter().filter(|location| !location.is_empty()) {
            let folder = on_this_machine(location, mappings);
            if !asked.contains(&place) {
                others.push(folder);
            } else if let Some((_, kinds)) = folders.iter_mut().find(|(known, _)| *known == folder) {
                kinds.push(row.library.kind);
            } else {
                folders.push((folder, vec![row.library.kind]));
            }
        }
    }
    others.sort_unstable();
    others.dedup();
    others.retain(|folder| folders.iter().all(|(known, _)| known != folder));
    let own = folders.into_iter().map(|(folder, kinds)| Location {
        folder,
        kinds: Kinds::of(&kinds),
        is_out_of_scope: false,
    });
    let others = others.into_iter().map(|folder| Location {
        folder,
        kinds: Kinds::of(&[]),
        is_out_of_scope: true,
    });
    own.chain(others).collect()
}

/// A library's folder as this machine names it: mappings are written for what lies below it.
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

/// Leaves out the files that are on the disk, but for those of items with several files, and for the last one.
fn retain_not_on_disk(files: &mut Vec<FolderFile<'_>>, mappings: &Mappings) {
    let (next, all) = (AtomicUsize::new(0), &*files);
    let gone: Mutex<Vec<usize>> = Mutex::default();
    on_several(OTHERS.min(all.len() / AT_ONCE), || {
        let mut own = Vec::new();
        loop {
            let from = next.fetch_add(AT_ONCE, Ordering::Relaxed);
            let Some(some) = all.get(from..).filter(|some| !some.is_empty()) else {
                break;
            };
            for (at, file) in some.iter().take(AT_ONCE).enumerate() {
                let is_there = || named(mappings.host_path(file.found.path)).metadata().is_ok();
                if file.is_of_several || from + at + 1 == all.len() || !is_there() {
                    own.push(from + at);
                }
            }
        }
        lock(&gone).append(&mut own);
    });
    let mut gone = std::mem::take(&mut *lock(&gone));
    gone.sort_unstable();
    let mut at = 0;
    files.retain(|_| {
        at += 1;
        gone.binary_search(&(at - 1)).is_ok()
    });
}

/// A folder's path without a `.` at its end, which names the same folder.
pub(super) fn without_dot(path: &[u8]) -> &[u8] {
    if path.ends_with(b"/.") {
        &path[..path.len() - 1]
    } else {
        path
    }
}
