//! Walks folders of a disk with several threads, in calls of bounded length: a call reads some of its folders and
//! returns the others.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use super::ignored::Ignored;
use super::paths::{folder_behind, is_in, joined, leads_up};
use super::progress::{Link, WalkProgress};
use super::request::{Location, WalkFindings, WalkRequest};
use super::rules::{Kinds, Rule, Rules, rule_for_file, rule_for_folder};
use crate::matching::Normal;
use crate::platform::files::{bytes_of, named};
use crate::platform::mutex::lock;
use crate::platform::names::{EntryKind, FolderId, FolderReader};
use crate::platform::thread::on_several;

/// Threads beside the caller's. Most of the time goes into the system's calls, and on a network into waiting.
const OTHERS: usize = 3;
/// Files that are looked up at once.
const AT_ONCE: usize = 256;

/// The innermost of these that a folder lies in.
fn innermost(locations: &[Location], folder: &[u8]) -> Option<usize> {
    let around = (0..locations.len()).filter(|at| is_in(folder, &locations[*at].folder));
    around.max_by_key(|at| locations[*at].folder.len())
}

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
        places: (request.locations.iter().enumerate())
            .map(|(at, location)| (location.folder.as_slice(), at))
            .collect(),
        above: (request.locations.iter())
            .filter_map(|location| {
                location
                    .folder
                    .iter()
                    .rposition(|byte| *byte == b'/')
                    .map(|at| &location.folder[..at])
            })
            .collect(),
        ignored: request.locations.iter().map(|_| OnceLock::new()).collect(),
        next: AtomicUsize::new(0),
        spent: AtomicUsize::new(0),
    };
    let mut refused = WalkFindings::default();
    let mut starts: Vec<Start<'_>> = (request.folders.iter())
        .map(|(twin, folder)| Start::Folder(*twin, folder))
        .collect();
    if let Some(progress) = progress {
        let folders = request.locations.iter().map(|location| location.folder.as_slice());
        walk.slots = folders.chain([&b""[..]]).map(|folder| progress.slot(folder)).collect();
        if starts.is_empty() {
            walk.follow(progress, &mut starts, &mut refused);
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
            walk.below(&mut reader, start, &mut thread, &mut left);
            if !left.text.is_empty() {
                rest.push((at, left));
            }
        }
        walk.look_up(&mut thread);
        let mut whole = lock(&whole);
        whole.text.append(&mut thread.findings.text);
        whole.files += thread.findings.files;
        lock(&left).append(&mut rest);
    });
    let (mut whole, mut left) = (std::mem::take(&mut *lock(&whole)), std::mem::take(&mut *lock(&left)));
    let has_no_links = walk.progress.is_none_or(|progress| lock(&progress).has_no_links());
    let is_over = request.folders.is_empty() && left.is_empty() && has_no_links;
    left.sort_unstable_by_key(|(at, _)| *at);
    for (_, rest) in left {
        whole.text.extend_from_slice(&rest.text);
    }
    (whole, is_over)
}

/// Where a walk begins.
enum Start<'s> {
    Folder(bool, &'s [u8]),
    /// Its folder counts as read already.
    Link(Arc<Link>),
}

struct Walk<'w> {
    request: &'w WalkRequest<'w>,
    /// The place of each location in the progress, and behind them that of what lies outside of all.
    slots: Vec<usize>,
    progress: Option<Mutex<&'w mut WalkProgress>>,
    /// The locations by their folders, and the folders that have one in them.
    places: HashMap<&'w [u8], usize>,
    above: HashSet<&'w [u8]>,
    /// What is ignored in each location and in all below it.
    ignored: Vec<OnceLock<Option<Ignored>>>,
    next: AtomicUsize,
    /// Names that were read.
    spent: AtomicUsize,
}

struct PendingFolder {
    path: Vec<u8>,
    /// The location that it lies in.
    place: Option<usize>,
    twin: bool,
    /// It counts as read already.
    is_marked: bool,
}

/// The state of one thread.
#[derive(Default)]
struct WalkThread {
    /// Folders that it reads next, the last one first.
    stack: Vec<PendingFolder>,
    /// Files that are looked up together.
    files: Vec<MediaFile>,
    findings: WalkFindings,
}

/// A media file of which it is not known yet whether it is listed.
struct MediaFile {
    path: Vec<u8>,
    place: Option<usize>,
    twin: bool,
    ignored: Option<Rc<Ignored>>,
}

/// A name in a folder.
struct FolderEntry {
    bytes: Vec<u8>,
    /// Of a link: which folder it leads to.
    link: Option<FolderId>,
    twin: bool,
}

/// A folder whose folders are entered.
struct ParentFolder<'f> {
    folder: &'f PendingFolder,
    /// Its path without a separator at its end.
    path: &'f [u8],
    at_root: bool,
    has_locations: bool,
    /// What its own file names, where that is not the location's.
    ignored: Option<&'f Ignored>,
}

impl Walk<'_> {
    /// The links that wait, where no other one led to the same folder.
    fn follow(&self, progress: &mut WalkProgress, starts: &mut Vec<Start<'_>>, findings: &mut WalkFindings) {
        let links = progress.follow(|progress, link| {
            let place = innermost(self.request.locations, &link.path);
            let is_new = progress.mark_read_by_link(self.slot(place), link.id);
            if !is_new {
                self.put_linked(&link.path, place, findings);
            }
            is_new
        });
        starts.extend(links.into_iter().map(Start::Link));
    }

    fn slot(&self, place: Option<usize>) -> usize {
        self.slots[place.unwrap_or(self.request.locations.len())]
    }

    /// That a folder was read by another path.
    fn put_linked(&self, path: &[u8], place: Option<usize>, findings: &mut WalkFindings) {
        if !self.is_others(place) {
            let real = fs::canonicalize(named(path)).unwrap_or_default();
            findings.put("left_out", "linked", path, bytes_of(&real));
        }
    }

    /// Walks a folder. What there is no time for is handed back, or waits.
    fn below(&self, reader: &mut FolderReader, start: &Start<'_>, thread: &mut WalkThread, left: &mut WalkFindings) {
        let (path, twin) = match start {
            Start::Folder(twin, path) => (*path, *twin),
            Start::Link(link) => (link.path.as_slice(), link.twin),
        };
        let place = innermost(self.request.locations, path);
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
                self.look_up(thread);
            }
        }
        for folder in thread.stack.drain(..).rev() {
            match (start, &self.progress) {
                (Start::Link(link), Some(progress)) if folder.is_marked => lock(progress).put_back(link),
                _ => left.folder(&folder.path, folder.twin),
            }
        }
    }

    /// One folder is always read: who goes on with the rest comes to an end.
    fn is_over(&self) -> bool {
        let spent = self.spent.load(Ordering::Relaxed);
        spent >= self.request.most || spent > 0 && Instant::now() >= self.request.until
    }

    fn is_others(&self, place: Option<usize>) -> bool {
        self.location(place).is_some_and(|own| own.is_others)
    }

    fn location(&self, place: Option<usize>) -> Option<&Location> {
        place.map(|at| &self.request.locations[at])
    }

    /// Reads a folder. The folders in it go onto the stack, so that they come off in the order of their names.
    fn read(&self, reader: &mut FolderReader, folder: &PendingFolder, thread: &mut WalkThread) {
        if self.is_of_others_only(folder) {
            return;
        }
        let (id, names) = match reader.read(&folder.path) {
            Ok(read) => read,
            Err(error) => return self.pass_unreadable(folder, &error, thread),
        };
        self.spent.fetch_add(1 + names.len(), Ordering::Relaxed);
        if !folder.is_marked && self.was_read(folder, id) {
            return self.put_linked(&folder.path, folder.place, &mut thread.findings);
        }
        let path = folder.path.strip_suffix(b"/").unwrap_or(&folder.path);
        let mut has_rules = false;
        let (mut folders, mut media) = (Vec::new(), Vec::new());
        for (name, kind) in names {
            has_rules |= name == b".plexignore";
            if let Some((is_folder, entry)) = self.entry(folder, path, name, kind, &mut thread.findings) {
                if is_folder { &mut folders } else { &mut media }.push(entry);
            }
        }
        if !folder.twin {
            mark_twins(&mut folders, &mut media);
        }
        let own = self.location(folder.place);
        let at_root = own.is_some_and(|own| own.folder == folder.path && !own.is_others);
        let ignored = (own.is_some() && has_rules && !at_root && self.request.rules.has(Rule::Plexignore))
            .then(|| Ignored::of(path).map(Rc::new))
            .flatten();
        thread.findings.files += media.len() as u64;
        thread.files.extend(media.into_iter().map(|file| MediaFile {
            path: joined(path, &file.bytes),
            place: folder.place,
            twin: file.twin,
            ignored: ignored.clone(),
        }));
        folders.sort_unstable_by(|a, b| a.bytes.cmp(&b.bytes));
        let first = thread.stack.len();
        let parent = ParentFolder {
            folder,
            path,
            at_root,
            has_locations: self.above.contains(path),
            ignored: ignored.as_deref(),
        };
        for entry in folders {
            self.enter(&parent, &entry, thread);
        }
        thread.stack[first..].reverse();
    }

    /// Whether a folder is that of a library that is not asked, and none of those that are asked lies below it.
    fn is_of_others_only(&self, folder: &PendingFolder) -> bool {
        let is_own = |own: &Location| own.is_others && own.folder == folder.path;
        let is_asked = |inner: &Location| !inner.is_others && is_in(&inner.folder, &folder.path);
        self.location(folder.place).is_some_and(is_own) && !self.request.locations.iter().any(is_asked)
    }

    /// Tells of a folder that cannot be read, unless it went meanwhile. A folder that one may pass through, and not read, may be
    /// above one that can be read.
    fn pass_unreadable(&self, folder: &PendingFolder, error: &io::Error, thread: &mut WalkThread) {
        if error.kind() == io::ErrorKind::NotFound {
            return;
        }
        if !self.is_others(folder.place) {
            thread.findings.unreadable(&folder.path, error);
        }
        if named(joined(&folder.path, b".")).metadata().is_ok() {
            self.enter_locations(&folder.path, folder.twin, &mut thread.stack);
        }
    }

    /// Whether a folder was read before, by another path.
    fn was_read(&self, folder: &PendingFolder, id: FolderId) -> bool {
        let progress = self.progress.as_ref();
        progress.is_some_and(|progress| !lock(progress).mark_read(self.slot(folder.place), id))
    }

    /// A name in a folder, if it is that of a folder or of a media file, and which of the two.
    fn entry(
        &self,
        folder: &PendingFolder,
        path: &[u8],
        name: &[u8],
        kind: EntryKind,
        findings: &mut WalkFindings,
    ) -> Option<(bool, FolderEntry)> {
        let is_others = self.is_others(folder.place);
        let kinds = self
            .location(folder.place)
            .map_or_else(|| Kinds::of(&[]), |own| own.kinds);
        let (is_folder, link) = match kind {
            EntryKind::Folder => (true, None),
            EntryKind::Other => (false, None),
            EntryKind::Link | EntryKind::Unknown => match folder_behind(&joined(path, name)) {
                Ok(found) => found,
                Err(error) => {
                    if !is_others {
                        findings.unreadable(&joined(path, name), &error);
                    }
                    return None;
                }
            },
        };
        let is_media = || !is_others && (!self.request.rules.has(Rule::Extension) || kinds.has(name));
        (is_folder || is_media()).then(|| {
            let entry = FolderEntry {
                bytes: name.to_vec(),
                link,
                twin: folder.twin,
            };
            (is_folder, entry)
        })
    }

    /// Goes into a folder of a folder, unless a rule leaves it out: then into the locations below it only.
    fn enter(&self, parent: &ParentFolder<'_>, name: &FolderEntry, thread: &mut WalkThread) {
        let around = parent.folder.place;
        let is_others = self.is_others(around);
        let (rules, kinds) = self.rules_at(around);
        let path = joined(parent.path, &name.bytes);
        let place = if parent.has_locations {
            self.places.get(path.as_slice()).copied()
        } else {
            None
        };
        let mut rule = rule_for_folder(&name.bytes, rules, kinds, parent.at_root);
        let mut line = Vec::new();
        if rule.is_none()
            && let Some(found) = self
                .ignored_at(around, parent.ignored)
                .find_map(|one| one.names_folder(&path))
        {
            (rule, line) = (Some(Rule::Plexignore), found);
        }
        if let (Some(rule), None) = (rule, place) {
            if !is_others {
                thread.findings.put("left_out", rule.name(), &path, &line);
            }
            self.enter_locations(&path, name.twin, &mut thread.stack);
        } else if rule.is_none() && name.link.is_some() && leads_up(&path) {
            if !is_others {
                thread.findings.put("left_out", "loop", &path, b"");
            }
        } else if let (Some(id), None) = (name.link, place) {
            let twin = name.twin;
            match &self.progress {
                Some(progress) => lock(progress).add_link(Link { path, twin, id }),
                None if is_others => {}
                None => thread.findings.put("link", "", &path, b""),
            }
        } else {
            thread.stack.push(PendingFolder {
                path,
                place: place.or(around),
                twin: name.twin,
                is_marked: false,
            });
        }
    }

    /// Goes into the locations below a folder that is not gone into itself.
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

    /// Tells of those files that are not listed without a doubt. Of a path that lies in no library's folder the item may be of
    /// a file below another root, and of a file with a twin the twin's.
    fn look_up(&self, thread: &mut WalkThread) {
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
            let name = file.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            let (rules, kinds) = self.rules_at(file.place);
            let rule = rule_for_file(&named(file.path.as_slice()), name, rules, kinds);
            let line = match rule {
                Some(_) => None,
                None => (self.ignored_at(file.place, file.ignored.as_deref()))
                    .find_map(|ignored| ignored.names_file(&file.path, name)),
            };
            let rule = rule.or(line.is_some().then_some(Rule::Plexignore));
            let what = if file.twin { "twin_file" } else { "file" };
            thread
                .findings
                .put(what, rule.map_or("", Rule::name), &file.path, &line.unwrap_or_default());
        }
        thread.files.clear();
    }

    /// Outside every library no rule of a library's holds.
    fn rules_at(&self, place: Option<usize>) -> (Rules, Kinds) {
        let rules = self.request.rules;
        match self.location(place) {
            Some(location) => (rules, location.kinds),
            None => (rules.everywhere(), Kinds::of(&[])),
        }
    }

    /// What is ignored somewhere: what the location's own file names, then what that of the folder does.
    fn ignored_at<'i>(&'i self, place: Option<usize>, own: Option<&'i Ignored>) -> impl Iterator<Item = &'i Ignored> {
        let holds = self.request.rules.has(Rule::Plexignore);
        let of_location = place.filter(|_| holds).and_then(|at| {
            let location = &self.request.locations[at];
            let ignored = self.ignored[at].get_or_init(|| Ignored::of(&location.folder));
            ignored.as_ref().filter(|_| !location.is_others)
        });
        of_location.into_iter().chain(own)
    }
}

fn hash_of(name: &Normal<'_>) -> u64 {
    name.hash()
}

/// Marks the names that the index compares as equal to another one.
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
