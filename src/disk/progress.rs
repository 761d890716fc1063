//! State of a walk between its calls.

use std::collections::HashSet;
use std::sync::Arc;

use crate::platform::names::FolderId;

/// Maximum number of links followed by one call.
const LINKS_PER_CALL: usize = 4096;

/// A link to a folder. It is followed after all folders reachable without links were read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    pub path: Vec<u8>,
    /// See [`super::WalkStarts`].
    pub twin: bool,
    pub id: FolderId,
}

/// The folders already read, and the queue of links.
#[derive(Debug, Default)]
pub struct WalkProgress {
    /// The folders already read, by location. An empty location stands for paths outside of all locations.
    read: Vec<(Vec<u8>, HashSet<FolderId>)>,
    /// Links that were found but not sorted yet.
    links: Vec<Arc<Link>>,
    /// The queue of links to read, the next one last. Their folders are already marked as read.
    queue: Vec<Arc<Link>>,
    /// Whether the walk has begun to follow links.
    follows_links: bool,
}

impl WalkProgress {
    /// Returns the index of a location's set of read folders.
    pub(super) fn slot(&mut self, location: &[u8]) -> usize {
        let known = self.read.iter().position(|(folder, _)| folder == location);
        known.unwrap_or_else(|| {
            self.read.push((location.to_vec(), HashSet::new()));
            self.read.len() - 1
        })
    }

    /// Marks a folder as read that was reached without following a link to it. Returns `false` if it was read below
    /// this location before, through a link. Before the first link is followed every folder counts as new, because some
    /// file systems give several folders the same id.
    pub(super) fn mark_read(&mut self, slot: usize, id: FolderId) -> bool {
        self.mark_read_by_link(slot, id) || !self.follows_links
    }

    /// Marks the target of a link as read; returns `false` if it was read before.
    pub(super) fn mark_read_by_link(&mut self, slot: usize, id: FolderId) -> bool {
        self.read[slot].1.insert(id)
    }

    /// Adds a new link.
    pub(super) fn add_link(&mut self, link: Link) {
        self.links.push(Arc::new(link));
    }

    /// Returns an unread link to the queue.
    pub(super) fn put_back(&mut self, link: &Arc<Link>) {
        self.queue.push(Arc::clone(link));
    }

    /// Returns the links to read next. If the queue is empty, the new links are sorted and passed to `mark_read` before
    /// any of them is read. So the first of two links to one folder is always the one followed.
    pub(super) fn next_links(&mut self, mut mark_read: impl FnMut(&mut Self, &Link) -> bool) -> Vec<Arc<Link>> {
        self.follows_links = true;
        if self.queue.is_empty() {
            let mut found = std::mem::take(&mut self.links);
            found.sort_unstable();
            found.retain(|link| mark_read(self, link));
            found.reverse();
            self.queue = found;
        }
        let rest = self.queue.len().saturating_sub(LINKS_PER_CALL);
        let mut next = self.queue.split_off(rest);
        next.reverse();
        next
    }

    /// Returns whether the queue of links is empty.
    pub(super) fn has_no_links(&self) -> bool {
        self.links.is_empty() && self.queue.is_empty()
    }
}
