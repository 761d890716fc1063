//! The request and the result of a walk, and its state between two calls.

use std::collections::HashSet;
use std::io;
use std::time::Instant;

use serde::Serialize;

use super::rules::{MediaTypes, Rules};
use crate::matching::byte_string::ByteString;
use crate::platform::folder_reader::FolderId;
use crate::platform::local_path::to_native;

/// A library location on this machine.
#[derive(Debug)]
pub struct Location {
    pub folder: Vec<u8>,
    pub media_types: MediaTypes, // of the libraries with this location
    /// Whether all libraries with this location are out of the walk's scope: the host did not select these libraries.
    /// The walk reports nothing in this location.
    pub is_out_of_scope: bool,
    pub is_fetched: bool, // whether each library in scope with this location has a listing
}

/// A callback that looks up paths. Calls its second argument for each path, in order, with `true` for a listed path.
pub type IsListed<'q> = dyn Fn(&[&[u8]], &mut dyn FnMut(bool)) + Sync + 'q;

/// How the index lists a file.
#[derive(Debug, PartialEq, Eq)]
pub enum ListedStatus {
    /// A single item has the file.
    Listed,
    /// Only a library that the host did not select lists the file.
    ListedElsewhere,
    /// Several items have the file.
    SeveralItems,
    /// The file's path differs only in its root from this listed path, so a mapping is missing.
    OnlyRootDiffers(Vec<u8>),
    /// Plex probably lists the file under this path, which differs only in bytes that are not UTF-8 or in characters
    /// that SMB, rclone and Windows replace.
    Lookalike(Vec<u8>),
    /// No library lists the file.
    Unlisted,
}

/// A callback that returns how the index lists a file. The second argument: whether the file has a twin
/// ([`WalkStarts`]). The callback must then ignore the twin's item.
pub type StatusOf<'q> = dyn Fn(&[u8], bool) -> ListedStatus + Sync + 'q;

/// The folders and files of a request, in order. The flag says whether the path, or a folder above the path, has a
/// twin. Twins are names in the same folder that have the same normal form, so an item that matches the path may belong
/// to the twin.
#[derive(Debug, Default)]
pub struct WalkStarts<'q> {
    /// Folders to walk.
    pub folders: Vec<(bool, &'q [u8])>,
    /// Files to check in the same way as files that the walk finds.
    pub files: Vec<(bool, &'q [u8])>,
}

/// A request to walk folders.
pub struct WalkRequest<'q> {
    pub starts: &'q WalkStarts<'q>,
    pub locations: &'q [Location],
    /// Whether this is the first call of a walk. Only this call reports missing start folders, since the host chose
    /// them.
    pub is_first: bool,
    pub rules: Rules,
    /// Maximum number of names to read. The call ends at this number or at `until`, and returns the unread folders.
    pub max_names: usize,
    pub until: Instant,
    pub is_listed: &'q IsListed<'q>, // for each path: whether the index lists it with high confidence
    /// The walk calls this for each file that has a twin, lies outside all locations, or is not listed with high
    /// confidence.
    pub status: &'q StatusOf<'q>,
}

/// A file, folder or link that a walk reports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// `folder`: a folder that was not read yet. `file`: a media file that is not listed as a single item. `left_out`:
    /// a folder that the walk does not read. `link`: a link to a folder, reported only with `once`. `unreadable`: a
    /// folder or link that cannot be read, or a start folder that does not exist.
    pub kind: &'static str,
    /// Whether the path, or a folder above the path, has a twin: another name in the same folder that differs only in
    /// case or Unicode form.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub twin: bool,
    /// For a file: `several_items`: several items have the file; `not_scanned`: the file lies in a library's folder,
    /// but the library does not list it; `not_fetched`: the file lies in the folder of a library that has no listing
    /// here; `mapping_missing`: the file's path differs only in its root from the listed path in `detail`;
    /// `not_utf8`: the file's name is not UTF-8, and Plex probably lists the file under the path in `detail`;
    /// `replaced_characters`: the same for a name in which SMB, rclone or Windows replaced characters such as `:`;
    /// `no_library`: the file lies in no library's folder; or a rule that excludes the file, such as `hidden`. For a
    /// folder: a rule that excludes the folder; `loop`: a link to a folder above the link; `linked`: a folder already
    /// read under the path in `detail`.
    #[serde(skip_serializing_if = "str::is_empty")]
    #[cfg_attr(feature = "schema", schemars(default))]
    pub cause: &'static str,
    /// Full path on this machine.
    pub path: ByteString,
    /// A line in a `.plexignore` file, or a path; see `cause`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<ByteString>,
    /// The operating system's error number, for `unreadable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

/// The result of a walk.
#[derive(Debug, Default)]
pub struct WalkFindings {
    /// The findings in no particular order, followed by the unread folders in the order in which to read them.
    pub found: Vec<Finding>,
    /// Number of media files, listed or not.
    pub files: u64,
    /// The number that the caller passes to continue the walk; `None` if the walk is finished.
    pub next_walk_number: Option<u64>,
}

impl WalkFindings {
    /// Adds a finding. The parameters become its fields; an empty `detail` means none.
    pub(super) fn add_finding(
        &mut self,
        kind: &'static str,
        twin: bool,
        cause: &'static str,
        path: &[u8],
        detail: &[u8],
    ) {
        self.found.push(Finding {
            kind,
            twin,
            cause,
            path: ByteString(to_native(path).into_owned()),
            detail: (!detail.is_empty()).then(|| ByteString(detail.to_vec())),
            errno: None,
        });
    }

    /// Adds a folder that the walk has not read yet, so that the host can pass the folder to the next call. `twin`:
    /// whether the folder or a folder above it has a twin. The finding has no cause and no detail.
    pub(super) fn add_unread_folder(&mut self, path: &[u8], twin: bool) {
        self.add_finding("folder", twin, "", path, b"");
    }

    /// Adds a finding for an unreadable folder or link, with the operating system's error number; 0 if there is none.
    pub(super) fn add_unreadable(&mut self, path: &[u8], error: &io::Error) {
        self.add_finding("unreadable", false, "", path, b"");
        if let Some(finding) = self.found.last_mut() {
            finding.errno = Some(error.raw_os_error().unwrap_or(0));
        }
    }
}

const LINKS_PER_CALL: usize = 4096; // maximum number of links that one call follows

/// A link to a folder. The walk follows links after it has read all folders that are reachable without links.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FolderLink {
    pub path: Vec<u8>,
    pub has_twin: bool, // whether another name in the same folder has the same normal form
    pub id: FolderId,
}

/// The folders that the walk has read, and the links that it has not followed yet.
#[derive(Debug, Default)]
pub struct WalkProgress {
    /// The folders that the walk has read, by location. The empty location is for folders outside all locations.
    read_folders: Vec<(Vec<u8>, HashSet<FolderId>)>,
    links: Vec<FolderLink>, // new links, which are not yet in the queue
    /// The queue of links to follow, with the next link last. The links' targets are already marked as read.
    queue: Vec<FolderLink>,
    follows_links: bool, // whether the walk has started to follow links
}

impl WalkProgress {
    /// Returns the index of a location's set of read folders, and adds an empty set for a new location. The empty path
    /// stands for all folders outside locations.
    pub(super) fn location_set(&mut self, location: &[u8]) -> usize {
        let known_set = self.read_folders.iter().position(|(folder, _)| folder == location);
        known_set.unwrap_or_else(|| {
            self.read_folders.push((location.to_vec(), HashSet::new()));
            self.read_folders.len() - 1
        })
    }

    /// Marks as read a folder that the walk reached without a link. Returns `false` if the walk has already read the
    /// folder. Until the walk follows its first link, always returns `true`, because some file systems assign the same
    /// id to several folders. `slot`: the index of the location's set.
    pub(super) fn mark_read(&mut self, slot: usize, id: FolderId) -> bool {
        self.mark_read_by_link(slot, id) || !self.follows_links
    }

    /// Marks the target of a link as read. Returns `false` if the walk has already read the target. `slot`: the index
    /// of the location's set.
    pub(super) fn mark_read_by_link(&mut self, slot: usize, id: FolderId) -> bool {
        self.read_folders[slot].1.insert(id)
    }

    /// Adds a link for the walk to follow later.
    pub(super) fn add_link(&mut self, link: FolderLink) {
        self.links.push(link);
    }

    /// Puts a link back into the queue, because the call ended before the walk read the link's target.
    pub(super) fn put_back(&mut self, link: FolderLink) {
        self.queue.push(link);
    }

    /// Removes and returns the links to follow next, in order, at most [`LINKS_PER_CALL`]. If the queue is empty, first
    /// sorts the new links by path, and queues the links for which `mark_read` returns `true`: their targets were not
    /// read yet. If several links lead to the same folder, the walk therefore always follows the one that sorts first.
    pub(super) fn next_links(&mut self, mut mark_read: impl FnMut(&mut Self, &FolderLink) -> bool) -> Vec<FolderLink> {
        self.follows_links = true;
        if self.queue.is_empty() {
            let mut links = std::mem::take(&mut self.links);
            links.sort_unstable();
            links.retain(|link| mark_read(self, link));
            links.reverse(); // the next link is last in the queue
            self.queue = links;
        }
        let remaining = self.queue.len().saturating_sub(LINKS_PER_CALL);
        let mut next_links = self.queue.split_off(remaining);
        next_links.reverse();
        next_links
    }

    /// Returns whether the walk has no more links to follow.
    pub(super) fn has_no_links(&self) -> bool {
        self.links.is_empty() && self.queue.is_empty()
    }
}
