//! The state of a walk between two calls.

use std::collections::HashSet;
use std::sync::Arc;

use crate::platform::folder_reader::FolderId;

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
    links: Vec<Arc<FolderLink>>, // new links, which are not yet in the queue
    /// The queue of links to follow, with the next link last. The links' targets are already marked as read.
    queue: Vec<Arc<FolderLink>>,
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
        self.links.push(Arc::new(link));
    }

    /// Puts a link back into the queue, because the call ended before the walk read the link's target.
    pub(super) fn put_back(&mut self, link: &Arc<FolderLink>) {
        self.queue.push(Arc::clone(link));
    }

    /// Removes and returns the links to follow next, in order, at most [`LINKS_PER_CALL`]. If the queue is empty, first
    /// sorts the new links by path, and queues the links for which `mark_read` returns `true`: their targets were not
    /// read yet. If several links lead to the same folder, the walk therefore always follows the one that sorts first.
    pub(super) fn next_links(
        &mut self,
        mut mark_read: impl FnMut(&mut Self, &FolderLink) -> bool,
    ) -> Vec<Arc<FolderLink>> {
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
