//! Walks folders on disk with several threads. Each call has a time limit, and returns the folders that remain unread.

use std::collections::HashMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::ignored::Ignored;
use super::rules::{MediaTypes, Rule};
use super::walk_request::{FolderLink, ListedStatus, Location, WalkFindings, WalkProgress, WalkRequest};
use super::walk_rules::{WalkRules, hash_of, is_in, join_path, leads_up, resolve_folder};
use crate::matching::NormalPath;
use crate::platform::files::{bytes_of, is_gone, path_from_bytes};
use crate::platform::folder_reader::{FolderId, FolderReader};
use crate::platform::local_path::canonical;
use crate::platform::mutex::lock;
use crate::platform::thread::on_workers;

const EXTRA_THREADS: usize = 3; // besides the calling thread; they mostly wait for the disk or the network
const LOOKUP_BATCH: usize = 256;
const SHARED_FOLDERS: usize = 64; // so many folders to read are worth starting the threads

/// Walks the folders in a request until the request's limit is reached. Returns the findings, and whether the walk is
/// finished. Skips files and folders that disappear during the walk.
///
/// With `progress`, the walk reads each folder below a location only once, even if links lead to it, so links cause no
/// loop. A call without starting points follows links. Without `progress`, the walk only reports links.
#[must_use]
pub fn walk(request: &WalkRequest<'_>, progress: Option<&mut WalkProgress>) -> (WalkFindings, bool) {
    let mut walk = Walk::new(request);
    let mut findings = WalkFindings::default();
    let folders = request.starts.folders.iter();
    let files = request.starts.files.iter();
    let mut starts: Vec<Start> = folders
        .map(|(twin, folder)| Start::Folder(walk.pending_folder(folder, *twin)))
        .collect();
    starts.extend(files.map(|(twin, file)| {
        Start::File(MediaFile {
            path: file.to_vec(),
            location_index: walk.rules.innermost(file),
            twin: *twin,
        })
    }));
    if let Some(progress) = progress {
        let folders = request.locations.iter().map(|location| location.folder.as_slice());
        walk.read_sets = folders
            .chain([&b""[..]]) // for folders outside all locations
            .map(|folder| progress.location_set(folder))
            .collect();
        if starts.is_empty() {
            walk.start_at_links(progress, &mut starts, &mut findings);
        }
        walk.progress = Some(Mutex::new(progress));
    }
    let mut unread = walk.walk_starts(starts, &mut findings);
    while !unread.is_empty() && !walk.is_over() {
        // The walk began at few folders. All threads share the folders below.
        unread = walk.walk_starts(unread.into_iter().map(Start::Folder).collect(), &mut findings);
    }
    let has_no_links = walk.progress.is_none_or(|progress| lock(&progress).has_no_links());
    // A caller that passed folders may have more folders for the next call, so only a call without folders ends a walk.
    let is_over = request.starts.folders.is_empty() && unread.is_empty() && has_no_links;
    for folder in unread {
        findings.add_unread_folder(&folder.path, folder.has_twin);
    }
    (findings, is_over)
}

/// A starting point of a call.
enum Start {
    Folder(PendingFolder),
    File(MediaFile),
    Link(FolderLink),
}

struct Walk<'w> {
    request: &'w WalkRequest<'w>,
    /// For each location, the index of its set of read folders. The last entry is for paths outside all locations.
    read_sets: Vec<usize>,
    progress: Option<Mutex<&'w mut WalkProgress>>,
    location_indexes: HashMap<&'w [u8], usize>,
    rules: WalkRules<'w>,
    names_read: AtomicUsize,
}

struct PendingFolder {
    path: Vec<u8>,
    location_index: Option<usize>, // the innermost location that contains the folder
    has_twin: bool,
    is_marked_read: bool, // because a link leads to the folder
}

#[derive(Default)]
struct WalkThread {
    stack: Vec<PendingFolder>, // the folders to read, with the next folder last
    files: Vec<MediaFile>,
    findings: WalkFindings,
}

struct MediaFile {
    path: Vec<u8>,
    location_index: Option<usize>,
    twin: bool,
}

struct FolderEntry {
    name: Vec<u8>,
    link: Option<FolderId>,
    twin: bool,
}

/// A folder whose subfolders the walk enters next.
struct ParentFolder<'f> {
    folder: &'f PendingFolder,
    path: &'f [u8],
    is_location: bool, // whether the folder is a location in scope
    /// The folder's own `.plexignore` file; `None` for a location, whose file is already part of the rules.
    ignored: Option<&'f Ignored>,
}

impl<'w> Walk<'w> {
    fn new(request: &'w WalkRequest<'w>) -> Self {
        Self {
            request,
            read_sets: Vec::new(),
            progress: None,
            location_indexes: (request.locations.iter().enumerate())
                .map(|(index, location)| (location.folder.as_slice(), index))
                .collect(),
            rules: WalkRules::new(request),
            names_read: AtomicUsize::new(0),
        }
    }

    /// Walks the starting points on several threads, and adds the results to `findings`. Returns the unread folders in
    /// the order of the starting points. With fewer starting points than threads, reads only until there are enough
    /// folders for all threads.
    fn walk_starts(&self, starts: Vec<Start>, findings: &mut WalkFindings) -> Vec<PendingFolder> {
        let findings = Mutex::new(findings);
        let max_pending = if starts.len() > EXTRA_THREADS {
            usize::MAX
        } else {
            SHARED_FOLDERS
        };
        let threads = EXTRA_THREADS.min(starts.len().saturating_sub(1));
        let mut unread: Vec<Vec<PendingFolder>> = starts.iter().map(|_| Vec::new()).collect();
        let remaining = Mutex::new(starts.into_iter().zip(&mut unread));
        let next = || lock(&remaining).next();
        on_workers(threads, || {
            let (mut reader, mut thread) = (FolderReader::default(), WalkThread::default());
            while let Some((start, unread)) = next() {
                *unread = self.walk_start(&mut reader, start, max_pending, &mut thread);
            }
            self.report_unlisted(&mut thread);
            let mut findings = lock(&findings);
            findings.found.append(&mut thread.findings.found);
            findings.files += thread.findings.files;
        });
        unread.into_iter().flatten().collect()
    }

    /// Adds the next links to `starts`. If the walk has already read a link's target, only reports the link.
    fn start_at_links(&self, progress: &mut WalkProgress, starts: &mut Vec<Start>, findings: &mut WalkFindings) {
        let links = progress.next_links(|progress, link| {
            let location_index = self.rules.innermost(&link.path);
            let is_new = progress.mark_read_by_link(self.read_set_of(location_index), link.id);
            if !is_new {
                self.report_linked(&link.path, location_index, findings);
            }
            is_new
        });
        starts.extend(links.into_iter().map(Start::Link));
    }

    /// Returns the index of a location's set of read folders in [`WalkProgress`]. `None`: outside all locations.
    fn read_set_of(&self, location_index: Option<usize>) -> usize {
        self.read_sets[location_index.unwrap_or(self.request.locations.len())]
    }

    /// Reports, with its real path, a folder in scope that the walk has already read under another path.
    fn report_linked(&self, path: &[u8], location_index: Option<usize>, findings: &mut WalkFindings) {
        if !self.rules.is_out_of_scope(location_index) {
            let real = canonical(&path_from_bytes(path)).unwrap_or_default();
            findings.add_finding("left_out", false, "linked", path, bytes_of(&real));
        }
    }

    /// Returns a folder to read. `path`: its path; `has_twin`: whether the folder or a folder above it has a twin.
    fn pending_folder(&self, path: &[u8], has_twin: bool) -> PendingFolder {
        PendingFolder {
            path: path.to_vec(),
            location_index: self.rules.innermost(path),
            has_twin,
            is_marked_read: false,
        }
    }

    /// Processes one starting point: collects a file, or reads a folder and all its subfolders. If the call must end
    /// first, or more than `max_pending` folders are left, returns the remaining folders, and puts a link with an unread
    /// target back into the queue.
    fn walk_start(
        &self,
        reader: &mut FolderReader,
        start: Start,
        max_pending: usize,
        thread: &mut WalkThread,
    ) -> Vec<PendingFolder> {
        let mut link = None;
        match start {
            Start::File(file) => {
                thread.findings.files += 1;
                thread.files.push(file);
            }
            Start::Folder(folder) => thread.stack.push(folder),
            Start::Link(start) => {
                thread.stack.push(PendingFolder {
                    is_marked_read: true,
                    ..self.pending_folder(&start.path, start.has_twin)
                });
                link = Some(start);
            }
        }
        while thread.stack.len() <= max_pending
            && !self.is_over()
            && let Some(folder) = thread.stack.pop()
        {
            self.read_folder(reader, &folder, thread);
            if thread.files.len() >= LOOKUP_BATCH {
                self.report_unlisted(thread);
            }
        }
        if thread.files.len() >= LOOKUP_BATCH {
            self.report_unlisted(thread);
        }
        if let (Some(link), Some(progress)) = (link, &self.progress)
            && thread.stack.pop_if(|folder| folder.is_marked_read).is_some()
        {
            lock(progress).put_back(link);
        }
        thread.stack.drain(..).rev().collect()
    }

    /// Returns whether the call must end. Each call reads at least one folder, so that repeated calls finish the walk.
    fn is_over(&self) -> bool {
        let names_read = self.names_read.load(Ordering::Relaxed);
        names_read >= self.request.max_names || names_read > 0 && Instant::now() >= self.request.until
    }

    /// Reads a folder: collects its media files for the next lookup, and pushes its subfolders, last name first.
    fn read_folder(&self, reader: &mut FolderReader, folder: &PendingFolder, thread: &mut WalkThread) {
        if self.is_fully_out_of_scope(folder) {
            return;
        }
        let (id, names) = match reader.read(&folder.path) {
            Ok(read) => read,
            Err(error) => return self.report_unreadable(folder, &error, thread),
        };
        self.names_read.fetch_add(1 + names.len(), Ordering::Relaxed); // a folder counts as one name
        // Read each real folder only once, even if several paths lead to it.
        if !folder.is_marked_read && self.check_and_mark_read(folder, id) {
            return self.report_linked(&folder.path, folder.location_index, &mut thread.findings);
        }
        let path = folder.path.strip_suffix(b"/").unwrap_or(&folder.path);
        let mut has_plexignore = false;
        let (mut folders, mut media) = (Vec::new(), Vec::new());
        for (name, is_folder) in names {
            has_plexignore |= name == b".plexignore";
            if let Some((is_folder, entry)) =
                self.media_or_folder_entry(folder, path, name, is_folder, &mut thread.findings)
            {
                if is_folder { &mut folders } else { &mut media }.push(entry);
            }
        }
        if !folder.has_twin {
            mark_twins(&mut folders, &mut media);
        }
        let location = self.rules.location(folder.location_index);
        let is_root = location.is_some_and(|location| location.folder == folder.path && !location.is_out_of_scope);
        // The rules already include the `.plexignore` file of a location.
        let ignored = (location.is_some() && has_plexignore && !is_root && self.request.rules.has(Rule::Plexignore))
            .then(|| Ignored::read(path))
            .flatten();
        thread.findings.files += media.len() as u64;
        thread.files.extend(media.into_iter().map(|file| MediaFile {
            path: join_path(path, &file.name),
            location_index: folder.location_index,
            twin: file.twin,
        }));
        folders.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let stack_length = thread.stack.len();
        let parent = ParentFolder {
            folder,
            path,
            is_location: is_root,
            ignored: ignored.as_ref(),
        };
        for entry in folders {
            self.push_subfolder(&parent, &entry, thread);
        }
        thread.stack[stack_length..].reverse(); // the next folder to read is last
    }

    /// Returns whether a folder is a location out of scope and contains no location in scope, so the walk can skip it.
    fn is_fully_out_of_scope(&self, folder: &PendingFolder) -> bool {
        let is_this_folder = |location: &Location| location.is_out_of_scope && location.folder == folder.path;
        let is_in_scope_below = |inner: &Location| !inner.is_out_of_scope && is_in(&inner.folder, &folder.path);
        self.rules.location(folder.location_index).is_some_and(is_this_folder)
            && !self.request.locations.iter().any(is_in_scope_below)
    }

    /// Reports an unreadable folder, unless it disappeared during the walk. A missing folder that the host chose is
    /// reported. Still pushes the locations below the folder, since paths in an unlistable folder can be readable.
    fn report_unreadable(&self, folder: &PendingFolder, error: &io::Error, thread: &mut WalkThread) {
        let request = self.request;
        let is_from_caller =
            request.is_first && (request.starts.folders.iter()).any(|(_, start)| *start == folder.path);
        if error.kind() == io::ErrorKind::NotFound && is_gone(error) && !is_from_caller {
            return;
        }
        if !self.rules.is_out_of_scope(folder.location_index) {
            thread.findings.add_unreadable(&folder.path, error);
        }
        if path_from_bytes(join_path(&folder.path, b".")).metadata().is_ok() {
            self.push_locations_below(&folder.path, folder.has_twin, &mut thread.stack);
        }
    }

    /// Marks a folder as read. Returns whether the walk had already read the folder. Returns `false` without progress.
    fn check_and_mark_read(&self, folder: &PendingFolder, id: FolderId) -> bool {
        let progress = self.progress.as_ref();
        progress.is_some_and(|progress| !lock(progress).mark_read(self.read_set_of(folder.location_index), id))
    }

    /// Returns whether a name is a subfolder, and its entry; `None` if it is no subfolder and no media file. Adds an
    /// unreadable link to `findings`, and returns `None`. `path`: the folder's path without a slash at the end.
    fn media_or_folder_entry(
        &self,
        folder: &PendingFolder,
        path: &[u8],
        name: &[u8],
        is_folder: Option<bool>,
        findings: &mut WalkFindings,
    ) -> Option<(bool, FolderEntry)> {
        let is_out_of_scope = self.rules.is_out_of_scope(folder.location_index);
        let kinds = self
            .rules
            .location(folder.location_index)
            .map_or_else(|| MediaTypes::of(&[]), |location| location.media_types);
        let resolved = is_folder.map_or_else(
            || resolve_folder(&join_path(path, name)),
            |is_folder| Ok((is_folder, None)),
        );
        let (is_folder, link) = match resolved {
            Ok(folder_and_link) => folder_and_link,
            Err(error) => {
                if !is_out_of_scope {
                    findings.add_unreadable(&join_path(path, name), &error);
                }
                return None;
            }
        };
        let is_media = || !is_out_of_scope && (!self.request.rules.has(Rule::Extension) || kinds.has_extension(name));
        (is_folder || is_media()).then(|| {
            let entry = FolderEntry {
                name: name.to_vec(),
                link,
                twin: folder.has_twin,
            };
            (is_folder, entry)
        })
    }

    /// Pushes a subfolder onto the stack. If a rule ignores the subfolder, reports it and pushes only the locations
    /// below it. Reports a link that leads to a folder above; keeps other links in the progress for later calls, or
    /// reports them without progress. A location is never ignored.
    fn push_subfolder(&self, parent: &ParentFolder<'_>, subfolder: &FolderEntry, thread: &mut WalkThread) {
        let outer_location = parent.folder.location_index;
        let is_out_of_scope = self.rules.is_out_of_scope(outer_location);
        let path = join_path(parent.path, &subfolder.name);
        let own_location = self.location_indexes.get(path.as_slice()).copied();
        let rule = (self.rules).folder_rule(&path, outer_location, parent.is_location, parent.ignored);
        if let (Some((rule, line)), None) = (&rule, own_location) {
            if !is_out_of_scope {
                thread.findings.add_finding("left_out", false, rule.name(), &path, line);
            }
            self.push_locations_below(&path, subfolder.twin, &mut thread.stack);
        } else if rule.is_none() && subfolder.link.is_some() && leads_up(&path) {
            if !is_out_of_scope {
                thread.findings.add_finding("left_out", false, "loop", &path, b"");
            }
        } else if let (Some(id), None) = (subfolder.link, own_location) {
            let twin = subfolder.twin;
            match &self.progress {
                Some(progress) => lock(progress).add_link(FolderLink {
                    path,
                    has_twin: twin,
                    id,
                }),
                None if is_out_of_scope => {}
                None => thread.findings.add_finding("link", false, "", &path, b""),
            }
        } else {
            thread.stack.push(PendingFolder {
                path,
                location_index: own_location.or(outer_location),
                has_twin: subfolder.twin,
                is_marked_read: false,
            });
        }
    }

    /// Pushes the outermost locations below a folder that the walk does not read, since no rule ignores a location.
    fn push_locations_below(&self, path: &[u8], twin: bool, stack: &mut Vec<PendingFolder>) {
        let locations = self.request.locations;
        let is_below = |inner: &Location, outer: &[u8]| inner.folder != outer && is_in(&inner.folder, outer);
        let is_below_path = |index: &usize| is_below(&locations[*index], path);
        for index in (0..locations.len()).filter(is_below_path) {
            let is_not_within = |other: usize| !is_below(&locations[index], &locations[other].folder);
            if (0..locations.len()).filter(is_below_path).all(is_not_within) {
                stack.push(PendingFolder {
                    path: locations[index].folder.clone(),
                    location_index: Some(index),
                    has_twin: twin,
                    is_marked_read: false,
                });
            }
        }
    }

    /// Reports the collected files that are not listed as a single item, each with the cause. Checks a listed file
    /// again if it lies outside all locations, since its match is only a suffix match, or if it has a twin, since the
    /// item may belong to the twin.
    fn report_unlisted(&self, thread: &mut WalkThread) {
        let files = &thread.files;
        let paths: Vec<&[u8]> = files.iter().map(|file| file.path.as_slice()).collect();
        let (mut index, mut uncertain) = (0, Vec::new());
        (self.request.is_listed)(&paths, &mut |is_listed| {
            if !is_listed || files[index].location_index.is_none() || files[index].twin {
                uncertain.push(index);
            }
            index += 1;
        });
        for file in uncertain.into_iter().map(|index| &files[index]) {
            let status = (self.request.status)(&file.path, file.twin);
            let rule = || self.rules.rule_for_path(&file.path, file.location_index);
            let location = || {
                self.rules
                    .location(file.location_index)
                    .filter(|location| !location.is_out_of_scope)
            };
            let (cause, detail) = match status {
                ListedStatus::Listed => continue,
                ListedStatus::ListedElsewhere => {
                    thread.findings.files -= 1; // only another library lists the file
                    continue;
                }
                ListedStatus::SeveralItems => ("several_items", Vec::new()),
                // If a rule excludes the file, the rule is the cause.
                status => match (rule(), location(), status) {
                    (Some((rule, line)), ..) => (rule.name(), line),
                    (.., ListedStatus::Lookalike(listed)) if std::str::from_utf8(&file.path).is_err() => {
                        ("not_utf8", listed)
                    }
                    (.., ListedStatus::Lookalike(listed)) => ("replaced_characters", listed),
                    (_, Some(location), _) if location.is_fetched => ("not_scanned", Vec::new()),
                    (_, Some(_), _) => ("not_fetched", Vec::new()),
                    (.., ListedStatus::OnlyRootDiffers(listed)) => ("mapping_missing", listed),
                    _ => ("no_library", Vec::new()),
                },
            };
            thread
                .findings
                .add_finding("file", file.twin, cause, &file.path, &detail);
        }
        thread.files.clear();
    }
}

/// Sets `twin` for the names in one folder that have the same normal form, such as `A.mkv` and `a.mkv`.
fn mark_twins(folders: &mut [FolderEntry], media: &mut [FolderEntry]) {
    if folders.len() + media.len() < 2 {
        return;
    }
    let mut entries: Vec<(u64, &mut FolderEntry)> = folders
        .iter_mut()
        .chain(media)
        .map(|entry| (NormalPath::with(&entry.name, hash_of), entry))
        .collect();
    entries.sort_unstable_by_key(|(hash, _)| *hash);
    for twins in entries.chunk_by_mut(|a, b| a.0 == b.0).filter(|twins| twins.len() > 1) {
        for (_, entry) in twins {
            entry.twin = true;
        }
    }
}
