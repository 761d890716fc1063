//! The state of a walk between two calls.

use std::collections::HashSet;
use std::sync::Arc;

use crate::platform::folder_reader::FolderId;

/// Maximum number of links that one call follows.
const LINKS_PER_CALL: usize = 4096;

/// A link to a folder. The walk follows links after it has read all folders that are reachable without links.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FolderLink {
    pub path: Vec<u8>,
    /// Whether the path has a twin: another name in the same folder with the same normal form.
    pub has_twin: bool,
    pub id: FolderId,
}

/// The folders that the walk has read, and the links that it has not followed yet.
#[derive(Debug, Default)]
pub struct WalkProgress {
    /// The folders that the walk has read, by location. The empty location is for folders outside all locations.
    read_folders: Vec<(Vec<u8>, HashSet<FolderId>)>,
    /// New links, which are not yet in the queue.
    links: Vec<Arc<FolderLink>>,
    /// The queue of links to follow, with the next link last. The links' targets are already marked as read.
    queue: Vec<Arc<FolderLink>>,
    /// Whether the walk has started to follow links.
    follows_links: bool,
}

impl WalkProgress {
    /// Returns the index of a location's set of read folders, and adds an empty set for a new location.
    pub(super) fn location_set(&mut self, location: &[u8]) -> usize {
        let slot = self.read_folders.iter().position(|(folder, _)| folder == location);
        slot.unwrap_or_else(|| {
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

    /// Returns the links to follow next. If the queue is empty, first sorts the new links, and queues the links for
    /// which `mark_read` returns `true`. If several links lead to the same folder, the walk therefore always follows
    /// the link whose path sorts first.
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
        let mut next = self.queue.split_off(remaining);
        next.reverse();
        next
    }

    /// Returns whether the walk has no more links to follow.
    pub(super) fn has_no_links(&self) -> bool {
        self.links.is_empty() && self.queue.is_empty()
    }
}
