//! Walks folders of a disk with several threads, in calls of bounded length: a call reads some of its folders and
//! returns the others.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::ignored::Ignored;
use super::paths::{folder_behind, is_in, join_path, leads_up};
use super::progress::{Link, WalkProgress};
use super::request::{ListedStatus, Location, WalkFindings, WalkRequest};
use super::rules::{Kinds, Rule};
use super::walk_rules::WalkRules;
use crate::matching::Normal;
use crate::platform::files::{bytes_of, named};
use crate::platform::mutex::lock;
use crate::platform::names::{EntryKind, FolderId, FolderReader};
use crate::platform::thread::on_several;

/// Number of threads besides the caller's. Most time is spent in system calls, and waiting for the network.
const OTHERS: usize = 3;
/// Number of files looked up at once.
const AT_ONCE: usize = 256;

/// Walks folders. Files and folders that disappear during the walk are skipped. Returns the findings, and whether the
/// walk is over.
///
/// With `progress`, each real folder below a location is read once, so links between folders cause no loop; links are
/// followed by a call that has no folder left to walk. Without `progress`, links are reported as findings.
#[must_use]
pub fn walk(request: &WalkRequest<'_>, progress: Option<&mut WalkProgress>) -> (WalkFindings, bool) {
    let mut walk = Walk {
        request,
        slots: Vec::new(),
        progress: None,
        location_indexes: (request.locations.iter().enumerate())
            .map(|(at, location)| (location.folder.as_slice(), at))
            .collect(),
        location_parents: (request.locations.iter())
            .filter_map(|location| {
                location
                    .folder
                    .iter()
                    .rposition(|byte| *byte == b'/')
                    .map(|at| &location.folder[..at])
            })
            .collect(),
        rules: WalkRules::new(request),
        next: AtomicUsize::new(0),
        names_read: AtomicUsize::new(0),
    };
    let mut refused = WalkFindings::default();
    let mut starts: Vec<Start<'_>> = (request.starts.folders.iter())
        .map(|(twin, folder)| Start::Folder(*twin, folder))
        .collect();
    starts.extend(request.starts.files.iter().map(|(twin, file)| Start::File(*twin, file)));
    if let Some(progress) = progress {
        let folders = request.locations.iter().map(|location| location.folder.as_slice());
        walk.slots = folders.chain([&b""[..]]).map(|folder| progress.slot(folder)).collect();
        if starts.is_empty() {
            walk.start_at_links(progress, &mut starts, &mut refused);
        }
        walk.progress = Some(Mutex::new(progress));
    }
    let walk = walk;
    let whole = Mutex::new(refused);
    let left: Mutex<Vec<(usize, WalkFindings)>> = Mutex::default();
    on_several(OTHERS.min(starts.len().saturating_sub(1)), || {
        let (mut reader, mut thread, mut rest) = (FolderReader::default(), WalkThread::default(), Vec::new());
        loop {
            let at = walk.next.fetch_add(1, Ordering::Relaxed);
            let Some(start) = starts.get(at) else {
                break;
            };
            let mut left = WalkFindings::default();
            walk.walk_below(&mut reader, start, &mut thread, &mut left);
            if !left.text.is_empty() {
                rest.push((at, left));
            }
        }
        walk.report_unlisted(&mut thread);
        let mut whole = lock(&whole);
        whole.text.append(&mut thread.findings.text);
        whole.files += thread.findings.files;
        lock(&left).append(&mut rest);
    });
    let (mut whole, mut left) = (std::mem::take(&mut *lock(&whole)), std::mem::take(&mut *lock(&left)));
    let has_no_links = walk.progress.is_none_or(|progress| lock(&progress).has_no_links());
    let is_over = request.starts.folders.is_empty() && left.is_empty() && has_no_links;
    left.sort_unstable_by_key(|(at, _)| *at);
    for (_, rest) in left {
        whole.text.extend_from_slice(&rest.text);
    }
    (whole, is_over)
}

/// A starting point of a walk.
enum Start<'s> {
    Folder(bool, &'s [u8]),
    File(bool, &'s [u8]),
    /// The link's folder is already marked as read.
    Link(Arc<Link>),
}

struct Walk<'w> {
    request: &'w WalkRequest<'w>,
    /// Index of each location in the progress, followed by that of paths outside of all locations.
    slots: Vec<usize>,
    progress: Option<Mutex<&'w mut WalkProgress>>,
    /// Locations by folder, and the parent folders of locations.
    location_indexes: HashMap<&'w [u8], usize>,
    location_parents: HashSet<&'w [u8]>,
    rules: WalkRules<'w>,
    next: AtomicUsize,
    /// Number of names read.
    names_read: AtomicUsize,
}

struct PendingFolder {
    path: Vec<u8>,
    /// Index of its location.
    place: Option<usize>,
    twin: bool,
    /// It is already marked as read.
    is_marked: bool,
}

/// The state of one thread.
#[derive(Default)]
struct WalkThread {
    /// Folders to read, the next one last.
    stack: Vec<PendingFolder>,
    /// Files to look up together.
    files: Vec<MediaFile>,
    findings: WalkFindings,
}

/// A media file to look up.
struct MediaFile {
    path: Vec<u8>,
    place: Option<usize>,
    twin: bool,
}

/// A name in a folder.
struct FolderEntry {
    bytes: Vec<u8>,
    /// Target of a link.
    link: Option<FolderId>,
    twin: bool,
}

/// A folder whose subfolders are entered.
struct ParentFolder<'f> {
    folder: &'f PendingFolder,
    /// Its path without trailing separator.
    path: &'f [u8],
    at_root: bool,
    has_locations: bool,
    /// Its own `.plexignore` file, unless it is a location's.
    ignored: Option<&'f Ignored>,
}

impl Walk<'_> {
    /// Adds the queued links as starting points, unless their folder was read before.
    fn start_at_links(&self, progress: &mut WalkProgress, starts: &mut Vec<Start<'_>>, findings: &mut WalkFindings) {
        let links = progress.next_links(|progress, link| {
            let place = self.rules.innermost(&link.path);
            let is_new = progress.mark_read_by_link(self.slot(place), link.id);
            if !is_new {
                self.report_linked(&link.path, place, findings);
            }
            is_new
        });
        starts.extend(links.into_iter().map(Start::Link));
    }

    fn slot(&self, place: Option<usize>) -> usize {
        self.slots[place.unwrap_or(self.request.locations.len())]
    }

    /// Reports that a folder was read by another path.
    fn report_linked(&self, path: &[u8], place: Option<usize>, findings: &mut WalkFindings) {
        if !self.rules.is_out_of_scope(place) {
            let real = fs::canonicalize(named(path)).unwrap_or_default();
            findings.put("left_out", "linked", path, bytes_of(&real));
        }
    }

    /// Walks one starting point: a file is only noted, a folder is read with all below it. If the call is over before
    /// that, the folders not read go into `left`; a link whose own folder was not read goes back to the queue.
    fn walk_below(
        &self,
        reader: &mut FolderReader,
        start: &Start<'_>,
        thread: &mut WalkThread,
        left: &mut WalkFindings,
    ) {
        let (path, twin) = match start {
            Start::Folder(twin, path) | Start::File(twin, path) => (*path, *twin),
            Start::Link(link) => (link.path.as_slice(), link.twin),
        };
        let place = self.rules.innermost(path);
        if matches!(start, Start::File(..)) {
            thread.findings.files += 1;
            thread.files.push(MediaFile {
                path: path.to_vec(),
                place,
                twin,
            });
            if thread.files.len() >= AT_ONCE {
                self.report_unlisted(thread);
            }
            return;
        }
        thread.stack.push(PendingFolder {
            path: path.to_vec(),
            place,
            twin,
            is_marked: matches!(start, Start::Link(_)),
        });
        while !self.is_over()
            && let Some(folder) = thread.stack.pop()
        {
            self.read(reader, &folder, thread);
            if thread.files.len() >= AT_ONCE {
                self.report_unlisted(thread);
            }
        }
        for folder in thread.stack.drain(..).rev() {
            match (start, &self.progress) {
                (Start::Link(link), Some(progress)) if folder.is_marked => lock(progress).put_back(link),
                _ => left.folder(&folder.path, folder.twin),
            }
        }
    }

    /// At least one folder is read per call, so that repeated calls terminate.
    fn is_over(&self) -> bool {
        let names_read = self.names_read.load(Ordering::Relaxed);
        names_read >= self.request.most || names_read > 0 && Instant::now() >= self.request.until
    }

    /// Reads a folder. Its media files wait to be looked up together. Its subfolders go onto the stack in reverse
    /// order, so that they are read in the order of their names.
    fn read(&self, reader: &mut FolderReader, folder: &PendingFolder, thread: &mut WalkThread) {
        if self.is_only_out_of_scope(folder) {
            return;
        }
        let (id, names) = match reader.read(&folder.path) {
            Ok(read) => read,
            Err(error) => return self.report_unreadable(folder, &error, thread),
        };
        self.names_read.fetch_add(1 + names.len(), Ordering::Relaxed);
        // A link's folder was marked as read when the link became a starting point.
        if !folder.is_marked && self.was_read(folder, id) {
            return self.report_linked(&folder.path, folder.place, &mut thread.findings);
        }
        let path = folder.path.strip_suffix(b"/").unwrap_or(&folder.path);
        let mut has_plexignore = false;
        let (mut folders, mut media) = (Vec::new(), Vec::new());
        for (name, kind) in names {
            has_plexignore |= name == b".plexignore";
            if let Some((is_folder, entry)) = self.entry(folder, path, name, kind, &mut thread.findings) {
                if is_folder { &mut folders } else { &mut media }.push(entry);
            }
        }
        if !folder.twin {
            mark_twins(&mut folders, &mut media);
        }
        let location = self.rules.location(folder.place);
        let at_root = location.is_some_and(|own| own.folder == folder.path && !own.is_out_of_scope);
        // The `.plexignore` of a location is among the rules already.
        let ignored = (location.is_some() && has_plexignore && !at_root && self.request.rules.has(Rule::Plexignore))
            .then(|| Ignored::of(path))
            .flatten();
        thread.findings.files += media.len() as u64;
        thread.files.extend(media.into_iter().map(|file| MediaFile {
            path: join_path(path, &file.bytes),
            place: folder.place,
            twin: file.twin,
        }));
        folders.sort_unstable_by(|a, b| a.bytes.cmp(&b.bytes));
        let first = thread.stack.len();
        let parent = ParentFolder {
            folder,
            path,
            at_root,
            has_locations: self.location_parents.contains(path),
            ignored: ignored.as_ref(),
        };
        for entry in folders {
            self.enter(&parent, &entry, thread);
        }
        thread.stack[first..].reverse();
    }

    /// Returns whether a folder is a location out of scope without a location in scope below it.
    fn is_only_out_of_scope(&self, folder: &PendingFolder) -> bool {
        let is_own = |own: &Location| own.is_out_of_scope && own.folder == folder.path;
        let is_asked = |inner: &Location| !inner.is_out_of_scope && is_in(&inner.folder, &folder.path);
        self.rules.location(folder.place).is_some_and(is_own) && !self.request.locations.iter().any(is_asked)
    }

    /// Reports an unreadable folder, unless it disappeared meanwhile. A searchable one may contain readable locations.
    fn report_unreadable(&self, folder: &PendingFolder, error: &io::Error, thread: &mut WalkThread) {
        let is_given = self.request.is_first && self.request.starts.folders.iter().any(|(_, one)| *one == folder.path);
        if error.kind() == io::ErrorKind::NotFound && !is_given {
            return;
        }
        if !self.rules.is_out_of_scope(folder.place) {
            thread.findings.unreadable(&folder.path, error);
        }
        if named(join_path(&folder.path, b".")).metadata().is_ok() {
            self.enter_locations(&folder.path, folder.twin, &mut thread.stack);
        }
    }

    /// Marks a folder as read; returns whether it was read before by another path.
    fn was_read(&self, folder: &PendingFolder, id: FolderId) -> bool {
        let progress = self.progress.as_ref();
        progress.is_some_and(|progress| !lock(progress).mark_read(self.slot(folder.place), id))
    }

    /// Returns the entry for a subfolder or a media file, and whether it is a folder; `None` for other names.
    fn entry(
        &self,
        folder: &PendingFolder,
        path: &[u8],
        name: &[u8],
        kind: EntryKind,
        findings: &mut WalkFindings,
    ) -> Option<(bool, FolderEntry)> {
        let is_out_of_scope = self.rules.is_out_of_scope(folder.place);
        let kinds = self
            .rules
            .location(folder.place)
            .map_or_else(|| Kinds::of(&[]), |own| own.kinds);
        let (is_folder, link) = match kind {
            EntryKind::Folder => (true, None),
            EntryKind::Other => (false, None),
            EntryKind::Link | EntryKind::Unknown => match folder_behind(&join_path(path, name)) {
                Ok(found) => found,
                Err(error) => {
                    if !is_out_of_scope {
                        findings.unreadable(&join_path(path, name), &error);
                    }
                    return None;
                }
            },
        };
        let is_media = || !is_out_of_scope && (!self.request.rules.has(Rule::Extension) || kinds.has(name));
        (is_folder || is_media()).then(|| {
            let entry = FolderEntry {
                bytes: name.to_vec(),
                link,
                twin: folder.twin,
            };
            (is_folder, entry)
        })
    }

    /// Pushes a subfolder; of an ignored one, which is reported, only the locations below. No rule ignores a location itself.
    fn enter(&self, parent: &ParentFolder<'_>, subfolder: &FolderEntry, thread: &mut WalkThread) {
        let outer_location = parent.folder.place;
        let is_out_of_scope = self.rules.is_out_of_scope(outer_location);
        let path = join_path(parent.path, &subfolder.bytes);
        let own_location = if parent.has_locations {
            self.location_indexes.get(path.as_slice()).copied()
        } else {
            None
        };
        let rule = (self.rules).folder_rule(&path, outer_location, parent.at_root, parent.ignored);
        if let (Some((rule, line)), None) = (&rule, own_location) {
            if !is_out_of_scope {
                thread.findings.put("left_out", rule.name(), &path, line);
            }
            self.enter_locations(&path, subfolder.twin, &mut thread.stack);
        } else if rule.is_none() && subfolder.link.is_some() && leads_up(&path) {
            if !is_out_of_scope {
                thread.findings.put("left_out", "loop", &path, b"");
            }
        } else if let (Some(id), None) = (subfolder.link, own_location) {
            let twin = subfolder.twin;
            match &self.progress {
                Some(progress) => lock(progress).add_link(Link { path, twin, id }),
                None if is_out_of_scope => {}
                None => thread.findings.put("link", "", &path, b""),
            }
        } else {
            thread.stack.push(PendingFolder {
                path,
                place: own_location.or(outer_location),
                twin: subfolder.twin,
                is_marked: false,
            });
        }
    }

    /// Pushes the outermost locations below a folder that is not entered itself.
    fn enter_locations(&self, path: &[u8], twin: bool, stack: &mut Vec<PendingFolder>) {
        let locations = self.request.locations;
        let is_below = |inner: &Location, outer: &[u8]| inner.folder != outer && is_in(&inner.folder, outer);
        let below = |at: &usize| is_below(&locations[*at], path);
        for at in (0..locations.len()).filter(below) {
            let is_outermost = |other: usize| !is_below(&locations[at], &locations[other].folder);
            if (0..locations.len()).filter(below).all(is_outermost) {
                stack.push(PendingFolder {
                    path: locations[at].folder.clone(),
                    place: Some(at),
                    twin,
                    is_marked: false,
                });
            }
        }
    }

    /// Reports the files that are not listed as a single item, each with the cause. A path outside of all locations may
    /// match a file below another root, and a file with a twin may match the twin's item.
    fn report_unlisted(&self, thread: &mut WalkThread) {
        let files = &thread.files;
        let paths: Vec<&[u8]> = files.iter().map(|file| file.path.as_slice()).collect();
        let (mut at, mut unknown) = (0, Vec::new());
        (self.request.is_listed)(&paths, &mut |is_listed| {
            if !is_listed || files[at].place.is_none() || files[at].twin {
                unknown.push(at);
            }
            at += 1;
        });
        for file in unknown.into_iter().map(|at| &files[at]) {
            let status = (self.request.status)(&file.path, file.twin);
            let rule = || self.rules.rule_for_path(&file.path, file.place);
            let own = || self.rules.location(file.place).filter(|own| !own.is_out_of_scope);
            let (cause, detail) = match status {
                ListedStatus::Listed => continue,
                ListedStatus::ListedElsewhere => {
                    thread.findings.files -= 1;
                    continue;
                }
                ListedStatus::SeveralItems => ("several_items", Vec::new()),
                ListedStatus::OnlyRootDiffers(_) | ListedStatus::Unlisted => match (rule(), own(), status) {
                    (Some((rule, line)), ..) => (rule.name(), line),
                    (_, Some(own), _) if own.is_fetched => ("not_scanned", Vec::new()),
                    (_, Some(_), _) => ("not_fetched", Vec::new()),
                    (.., ListedStatus::OnlyRootDiffers(listed)) => ("mapping_missing", listed),
                    _ => ("no_library", Vec::new()),
                },
            };
            let what = if file.twin { "twin_file" } else { "file" };
            thread.findings.put(what, cause, &file.path, &detail);
        }
        thread.files.clear();
    }
}

fn hash_of(name: &Normal<'_>) -> u64 {
    name.hash()
}

/// Marks names that have the same normal form as another.
fn mark_twins(folders: &mut [FolderEntry], media: &mut [FolderEntry]) {
    if folders.len() + media.len() < 2 {
        return;
    }
    let mut names: Vec<(u64, &mut FolderEntry)> = folders
        .iter_mut()
        .chain(media)
        .map(|name| (Normal::with(&name.bytes, hash_of), name))
        .collect();
    names.sort_unstable_by_key(|(hash, _)| *hash);
    for alike in names.chunk_by_mut(|a, b| a.0 == b.0).filter(|alike| alike.len() > 1) {
        for (_, name) in alike {
            name.twin = true;
        }
    }
}
