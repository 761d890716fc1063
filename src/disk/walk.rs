//! Folders of a disk, walked by several threads in calls of bounded length: each reads some of what it is given, and hands the
//! rest back.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Instant;

use super::ignored::Ignored;
use super::progress::{Link, Progress};
use super::rules::{Kinds, Rule, Rules, of_file, of_folder};
use crate::matching::Normal;
use crate::platform::files::{Inode, bytes_of, is_gone, named};
use crate::platform::mutex::lock;
use crate::platform::names::{FolderId, FolderReader, Kind};
use crate::platform::thread::on_several;

/// Threads beside the caller's. Most of the time goes into the system's calls, and on a network into waiting.
const OTHERS: usize = 3;
/// Files that are looked up at once.
const AT_ONCE: usize = 256;
/// Folders that a thread takes at a time, where there are many.
const SOME: usize = 8;

/// A folder of libraries, as this machine names it.
#[derive(Debug)]
pub struct Location {
    pub folder: Vec<u8>,
    pub kinds: Kinds,
    /// It is of libraries that are not asked only: nothing is told of what lies there.
    pub is_others: bool,
}

/// Tells of each path in order whether it is listed.
pub type IsListed<'q> = dyn Fn(&[&[u8]], &mut dyn FnMut(bool)) + Sync + 'q;

/// What is walked, and how far.
pub struct Question<'q> {
    /// The folders, in order, and whether each lies below one with a twin ([`Walked::text`]).
    pub folders: &'q [(bool, &'q [u8])],
    pub locations: &'q [Location],
    pub rules: Rules,
    /// After so many names, or at this moment, the rest is handed back.
    pub most: usize,
    pub until: Instant,
    /// Tells of each path whether it is listed, without a doubt.
    pub is_listed: &'q IsListed<'q>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Walked {
    /// Findings, each of four texts that NULs follow: what it is; why; the path; and a sentence. `folder`: it is to be walked
    /// yet; these come last, with `walk`: a walk that is not over; why: its number. `file`: a media file that is not listed without a doubt; why: the rule that leaves it out if it is not listed at
    /// all. `left_out`: a folder; why: the rule, `loop`, or `linked`: it was read by another path, and the sentence is its real one.
    /// `link`: a link to a folder that a call without progress does not follow. `unreadable`: why: the number of the system's
    /// error. `twin_folder` and `twin_file`: another name in that folder, or in one above, differs from its own in case or
    /// composition only.
    pub text: Vec<u8>,
    /// Media files, whether they are listed or not.
    pub files: u64,
}

impl Walked {
    pub(super) fn put(&mut self, what: &str, why: &str, path: &[u8], sentence: &[u8]) {
        for text in [what.as_bytes(), why.as_bytes(), path, sentence] {
            self.text.extend_from_slice(text);
            self.text.push(0);
        }
    }

    /// That the walk with this number is not over.
    pub fn goes_on(&mut self, number: u64) {
        self.put("walk", &number.to_string(), b"", b"");
    }

    fn folder(&mut self, path: &[u8], twin: bool) {
        self.put(if twin { "twin_folder" } else { "folder" }, "", path, b"");
    }

    fn unreadable(&mut self, path: &[u8], error: &io::Error) {
        self.put("unreadable", &error.raw_os_error().unwrap_or(0).to_string(), path, b"");
    }
}

/// Whether a path is this folder, or lies below it.
fn is_in(path: &[u8], folder: &[u8]) -> bool {
    let folder = folder.strip_suffix(b"/").unwrap_or(folder);
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.first().is_none_or(|byte| *byte == b'/'))
}

/// The innermost of these that a folder lies in.
fn innermost(locations: &[Location], folder: &[u8]) -> Option<usize> {
    let around = (0..locations.len()).filter(|at| is_in(folder, &locations[*at].folder));
    around.max_by_key(|at| locations[*at].folder.len())
}

/// Walks. What goes meanwhile is passed over.
///
/// With `progress` each real folder is read once below a location: folders that link to each other would be walked in every
/// order else. Links wait until a call has no folder of its own to walk, and are followed then; without `progress` they are told.
/// The second is whether the walk is over.
#[must_use]
pub fn walk(question: &Question<'_>, progress: Option<&mut Progress>) -> (Walked, bool) {
    let mut walk = Walk {
        question,
        slots: Vec::new(),
        progress: None,
        places: (question.locations.iter().enumerate())
            .map(|(at, location)| (location.folder.as_slice(), at))
            .collect(),
        above: (question.locations.iter())
            .filter_map(|location| {
                location
                    .folder
                    .iter()
                    .rposition(|byte| *byte == b'/')
                    .map(|at| &location.folder[..at])
            })
            .collect(),
        ignored: question.locations.iter().map(|_| OnceLock::new()).collect(),
        next: AtomicUsize::new(0),
        spent: AtomicUsize::new(0),
    };
    let mut refused = Walked::default();
    let mut starts: Vec<Start<'_>> = (question.folders.iter())
        .map(|(twin, folder)| Start::Folder(*twin, folder))
        .collect();
    if let Some(progress) = progress {
        let folders = question.locations.iter().map(|location| location.folder.as_slice());
        walk.slots = folders.chain([&b""[..]]).map(|folder| progress.slot(folder)).collect();
        if starts.is_empty() {
            walk.follow(progress, &mut starts, &mut refused);
        }
        walk.progress = Some(Mutex::new(progress));
    }
    let walk = walk;
    let count = starts.len();
    let whole = Mutex::new(refused);
    let left: Mutex<Vec<(usize, Walked)>> = Mutex::default();
    let some = if count > SOME * SOME { SOME } else { 1 };
    on_several(OTHERS.min(count.saturating_sub(1) / some), || {
        let (mut reader, mut files) = (FolderReader::default(), Vec::new());
        let (mut found, mut rest) = (Walked::default(), Vec::new());
        loop {
            let at = walk.next.fetch_add(some, Ordering::Relaxed);
            let Some(taken) = starts.get(at..).filter(|taken| !taken.is_empty()) else {
                break;
            };
            let mut left = Walked::default();
            for start in &taken[..taken.len().min(some)] {
                walk.below(&mut reader, start, &mut files, &mut found, &mut left);
            }
            if !left.text.is_empty() {
                rest.push((at, left));
            }
        }
        walk.look_up(&mut files, &mut found);
        let mut whole = lock(&whole);
        whole.text.append(&mut found.text);
        whole.files += found.files;
        lock(&left).append(&mut rest);
    });
    let (mut whole, mut left) = (std::mem::take(&mut *lock(&whole)), std::mem::take(&mut *lock(&left)));
    let has_no_links = walk.progress.is_none_or(|progress| lock(&progress).has_no_links());
    let is_over = question.folders.is_empty() && left.is_empty() && has_no_links;
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
    question: &'w Question<'w>,
    /// The place of each location in the progress, and behind them that of what lies outside of all.
    slots: Vec<usize>,
    progress: Option<Mutex<&'w mut Progress>>,
    /// The locations by their folders, and the folders that have one in them.
    places: HashMap<&'w [u8], usize>,
    above: HashSet<&'w [u8]>,
    /// What is ignored in each location and in all below it.
    ignored: Vec<OnceLock<Option<Ignored>>>,
    next: AtomicUsize,
    /// Names that were read.
    spent: AtomicUsize,
}

struct Folder {
    path: Vec<u8>,
    /// The location that it lies in.
    place: Option<usize>,
    twin: bool,
    /// It counts as read already.
    begun: bool,
}

/// A media file of which it is not known yet whether it is listed.
struct File {
    path: Vec<u8>,
    place: Option<usize>,
    twin: bool,
    ignored: Option<Rc<Ignored>>,
}

/// A name in a folder.
struct Name {
    bytes: Vec<u8>,
    /// The first of them, in their order.
    begin: u64,
    /// Of a link: which folder it leads to.
    link: Option<FolderId>,
    twin: bool,
}

/// A folder whose folders are entered.
struct Above<'f> {
    folder: &'f Folder,
    /// Its path without a separator at its end.
    start: &'f [u8],
    at_root: bool,
    has_locations: bool,
    /// What its own file names, where that is not the location's.
    ignored: Option<&'f Ignored>,
}

impl Walk<'_> {
    /// The links that wait, where no other one led to the same folder.
    fn follow(&self, progress: &mut Progress, starts: &mut Vec<Start<'_>>, walked: &mut Walked) {
        let links = progress.follow(|progress, link| {
            let place = innermost(self.question.locations, &link.path);
            let is_new = progress.begin_by_link(self.slot(place), link.id);
            if !is_new {
                self.put_linked(&link.path, place, walked);
            }
            is_new
        });
        starts.extend(links.into_iter().map(Start::Link));
    }

    fn slot(&self, place: Option<usize>) -> usize {
        self.slots[place.unwrap_or(self.question.locations.len())]
    }

    /// That a folder was read by another path.
    fn put_linked(&self, path: &[u8], place: Option<usize>, walked: &mut Walked) {
        if !self.location(place).is_some_and(|own| own.is_others) {
            let real = fs::canonicalize(named(path)).unwrap_or_default();
            walked.put("left_out", "linked", path, bytes_of(&real));
        }
    }

    /// Walks a folder. What there is no time for is handed back, or waits.
    fn below(
        &self,
        reader: &mut FolderReader,
        start: &Start<'_>,
        files: &mut Vec<File>,
        walked: &mut Walked,
        left: &mut Walked,
    ) {
        let (path, twin) = match start {
            Start::Folder(twin, path) => (*path, *twin),
            Start::Link(link) => (link.path.as_slice(), link.twin),
        };
        let place = innermost(self.question.locations, path);
        let mut stack = vec![Folder {
            path: path.to_vec(),
            place,
            twin,
            begun: matches!(start, Start::Link(_)),
        }];
        while !self.is_over()
            && let Some(folder) = stack.pop()
        {
            self.read(reader, &folder, &mut stack, files, walked);
            if files.len() >= AT_ONCE {
                self.look_up(files, walked);
            }
        }
        for folder in stack.into_iter().rev() {
            match (start, &self.progress) {
                (Start::Link(link), Some(progress)) if folder.begun => lock(progress).put_back(link),
                _ => left.folder(&folder.path, folder.twin),
            }
        }
    }

    /// One folder is always read: who goes on with the rest comes to an end.
    fn is_over(&self) -> bool {
        let spent = self.spent.load(Ordering::Relaxed);
        spent >= self.question.most || spent > 0 && Instant::now() >= self.question.until
    }

    fn location(&self, place: Option<usize>) -> Option<&Location> {
        place.map(|at| &self.question.locations[at])
    }

    /// Reads a folder: what is below it goes onto the stack, so that it comes off in the order of the names.
    fn read(
        &self,
        reader: &mut FolderReader,
        folder: &Folder,
        stack: &mut Vec<Folder>,
        files: &mut Vec<File>,
        walked: &mut Walked,
    ) {
        let (path, locations) = (&folder.path, self.question.locations);
        let own = self.location(folder.place);
        let is_others = own.is_some_and(|own| own.is_others);
        let at_root = own.is_some_and(|own| own.folder == *path && !own.is_others);
        if is_others
            && own.is_some_and(|own| own.folder == *path)
            && !locations
                .iter()
                .any(|inner| !inner.is_others && is_in(&inner.folder, path))
        {
            return;
        }
        let (id, names) = match reader.read(path) {
            Ok(names) => names,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                if !is_others {
                    walked.unreadable(path, &error);
                }
                // What one may pass through, and not read, may be above what one may read.
                if named(joined(path, b".")).metadata().is_ok() {
                    self.enter_locations(path, folder.twin, stack);
                }
                return;
            }
        };
        self.spent.fetch_add(1 + names.len(), Ordering::Relaxed);
        if !folder.begun
            && let Some(progress) = &self.progress
            && !lock(progress).begin(self.slot(folder.place), id)
        {
            return self.put_linked(path, folder.place, walked);
        }
        let start = path.strip_suffix(b"/").unwrap_or(path);
        let kinds = own.map_or_else(|| Kinds::of(&[]), |own| own.kinds);
        let any_extension = !self.question.rules.has(Rule::Extension);
        let (mut folders, mut media, mut ignores) = (Vec::new(), Vec::new(), false);
        for (name, kind) in names {
            ignores |= name == b".plexignore";
            let is_media = !is_others && (any_extension || kinds.has(name));
            let (is_folder, link) = match kind {
                Kind::Folder => (true, None),
                Kind::Other => (false, None),
                Kind::Link | Kind::Unknown => match look(&joined(start, name)) {
                    Ok(found) => found,
                    Err(error) => {
                        if !is_others {
                            walked.unreadable(&joined(start, name), &error);
                        }
                        continue;
                    }
                },
            };
            if is_folder || is_media {
                let names = if is_folder { &mut folders } else { &mut media };
                names.push(Name {
                    bytes: name.to_vec(),
                    begin: begin_of(name),
                    link,
                    twin: folder.twin,
                });
            }
        }
        if !folder.twin {
            mark_twins(&mut folders, &mut media);
        }
        let named_here = (own.is_some() && ignores && !at_root && self.question.rules.has(Rule::Plexignore))
            .then(|| Ignored::of(start).map(Rc::new))
            .flatten();
        walked.files += media.len() as u64;
        files.extend(media.into_iter().map(|file| File {
            path: joined(start, &file.bytes),
            place: folder.place,
            twin: file.twin,
            ignored: named_here.clone(),
        }));
        // Most are told apart by where they begin, which lies at hand.
        folders.sort_unstable_by(|a, b| a.begin.cmp(&b.begin).then_with(|| a.bytes.cmp(&b.bytes)));
        let first = stack.len();
        let above = Above {
            folder,
            start,
            at_root,
            has_locations: self.above.contains(start),
            ignored: named_here.as_deref(),
        };
        for name in folders {
            self.enter(&above, &name, stack, walked);
        }
        stack[first..].reverse();
    }

    /// Goes into a folder of a folder, unless a rule leaves it out: then into the locations below it only.
    fn enter(&self, above: &Above<'_>, name: &Name, stack: &mut Vec<Folder>, walked: &mut Walked) {
        let around = above.folder.place;
        let is_others = self.location(around).is_some_and(|own| own.is_others);
        let (rules, kinds) = self.rules_at(around);
        let path = joined(above.start, &name.bytes);
        let place = if above.has_locations {
            self.places.get(path.as_slice()).copied()
        } else {
            None
        };
        let mut rule = of_folder(&name.bytes, rules, kinds, above.at_root);
        let mut line = Vec::new();
        if rule.is_none()
            && let Some(found) = self
                .ignored_at(around, above.ignored)
                .find_map(|one| one.names_folder(&path))
        {
            (rule, line) = (Some(Rule::Plexignore), found);
        }
        if let (Some(rule), None) = (rule, place) {
            if !is_others {
                walked.put("left_out", rule.name(), &path, &line);
            }
            self.enter_locations(&path, name.twin, stack);
        } else if rule.is_none() && name.link.is_some() && leads_up(&path) {
            if !is_others {
                walked.put("left_out", "loop", &path, b"");
            }
        } else if let (Some(id), None) = (name.link, place) {
            let twin = name.twin;
            match &self.progress {
                Some(progress) => lock(progress).wait(Link { path, twin, id }),
                None if is_others => {}
                None => walked.put("link", "", &path, b""),
            }
        } else {
            stack.push(Folder {
                path,
                place: place.or(around),
                twin: name.twin,
                begun: false,
            });
        }
    }

    /// Goes into the locations below a folder that is not gone into itself.
    fn enter_locations(&self, path: &[u8], twin: bool, stack: &mut Vec<Folder>) {
        let locations = self.question.locations;
        let is_below = |inner: &Location, outer: &[u8]| inner.folder != outer && is_in(&inner.folder, outer);
        let below = |at: &usize| is_below(&locations[*at], path);
        for at in (0..locations.len()).filter(below) {
            let is_outermost = |other: usize| !is_below(&locations[at], &locations[other].folder);
            if (0..locations.len()).filter(below).all(is_outermost) {
                stack.push(Folder {
                    path: locations[at].folder.clone(),
                    place: Some(at),
                    twin,
                    begun: false,
                });
            }
        }
    }

    /// Tells of those files that are not listed without a doubt. Of a path that lies in no library's folder the item may be of
    /// a file below another root, and of a file with a twin the twin's.
    fn look_up(&self, files: &mut Vec<File>, walked: &mut Walked) {
        let paths: Vec<&[u8]> = files.iter().map(|file| file.path.as_slice()).collect();
        let (mut at, mut unknown) = (0, Vec::new());
        (self.question.is_listed)(&paths, &mut |is_listed| {
            if !is_listed || files[at].place.is_none() || files[at].twin {
                unknown.push(at);
            }
            at += 1;
        });
        for file in unknown.into_iter().map(|at| &files[at]) {
            let name = file.path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            let (rules, kinds) = self.rules_at(file.place);
            let rule = of_file(&named(file.path.as_slice()), name, rules, kinds);
            let line = match rule {
                Some(_) => None,
                None => (self.ignored_at(file.place, file.ignored.as_deref()))
                    .find_map(|ignored| ignored.names_file(&file.path, name)),
            };
            let rule = rule.or(line.is_some().then_some(Rule::Plexignore));
            let what = if file.twin { "twin_file" } else { "file" };
            walked.put(what, rule.map_or("", Rule::name), &file.path, &line.unwrap_or_default());
        }
        files.clear();
    }

    /// Outside every library no rule of a library's holds.
    fn rules_at(&self, place: Option<usize>) -> (Rules, Kinds) {
        let rules = self.question.rules;
        match self.location(place) {
            Some(location) => (rules, location.kinds),
            None => (rules.everywhere(), Kinds::of(&[])),
        }
    }

    /// What is ignored somewhere: what the location's own file names, then what that of the folder does.
    fn ignored_at<'i>(&'i self, place: Option<usize>, own: Option<&'i Ignored>) -> impl Iterator<Item = &'i Ignored> {
        let holds = self.question.rules.has(Rule::Plexignore);
        let of_location = place.filter(|_| holds).and_then(|at| {
            let location = &self.question.locations[at];
            let ignored = self.ignored[at].get_or_init(|| Ignored::of(&location.folder));
            ignored.as_ref().filter(|_| !location.is_others)
        });
        of_location.into_iter().chain(own)
    }
}

fn joined(folder: &[u8], name: &[u8]) -> Vec<u8> {
    [folder, b"/", name].concat()
}

/// Whether there is a folder, and which one, if a link leads there. A link that leads nowhere, or in a circle, is no folder.
fn look(path: &[u8]) -> io::Result<(bool, Option<FolderId>)> {
    let path = named(path);
    match fs::metadata(&path) {
        Ok(facts) if facts.is_dir() => {
            let is_link = fs::symlink_metadata(&path)?.is_symlink();
            Ok((true, is_link.then(|| FolderId::of(&facts))))
        }
        Ok(_) => Ok((false, None)),
        Err(error) if is_gone(&error) => Ok((false, None)),
        Err(error) => Err(error),
    }
}

/// Whether a link leads to a folder above it: as it is reached, through other links perhaps.
fn leads_up(link: &[u8]) -> bool {
    let link = named(link);
    let Some(target) = Inode::behind(&link) else {
        return false;
    };
    let mut above = link.ancestors().skip(1);
    above.any(|folder| Inode::behind(folder) == Some(target))
}

fn begin_of(name: &[u8]) -> u64 {
    let mut begin = [0; 8];
    let length = name.len().min(8);
    begin[..length].copy_from_slice(&name[..length]);
    u64::from_be_bytes(begin)
}

fn hash_of(name: &Normal<'_>) -> u64 {
    name.hash()
}

/// Marks the names that the index compares as equal to another one.
fn mark_twins(folders: &mut [Name], media: &mut [Name]) {
    if folders.len() + media.len() < 2 {
        return;
    }
    let mut names: Vec<(u64, &mut Name)> = folders
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
