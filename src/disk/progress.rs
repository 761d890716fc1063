//! State of a walk between its calls.

use std::collections::HashSet;
use std::sync::Arc;

use crate::platform::names::FolderId;

/// Maximum number of links followed per call.
const AT_ONCE: usize = 4096;

/// A link to a folder. It is followed after all folders reachable without links were read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    pub path: Vec<u8>,
    pub twin: bool,
    pub id: FolderId,
}

/// The folders already read, and the queue of links.
#[derive(Debug, Default)]
pub struct WalkProgress {
    /// Read folders by location; the location is empty outside of all.
    read: Vec<(Vec<u8>, HashSet<FolderId>)>,
    /// New links, and the queue of links whose folders are already marked as read.
    links: Vec<Arc<Link>>,
    followed: Vec<Arc<Link>>,
    /// The walk has begun to follow links.
    follows: bool,
    before: UndoLog,
}

/// Changes of the current call, for a rollback: a caller whose buffer is too small repeats the call.
#[derive(Debug, Default)]
struct UndoLog {
    added: Vec<(usize, FolderId)>,
    links: usize,
    /// Copies of both lists, if links were taken from them.
    lists: Option<[Vec<Arc<Link>>; 2]>,
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
    /// this location before, through a link. Without links every folder is new: some file systems give folders the same
    /// id, and all but the first would be skipped.
    pub(super) fn mark_read(&mut self, slot: usize, id: FolderId) -> bool {
        self.mark_read_by_link(slot, id) || !self.follows
    }

    /// Marks the target of a link as read; returns `false` if it was read before.
    pub(super) fn mark_read_by_link(&mut self, slot: usize, id: FolderId) -> bool {
        let is_new = self.read[slot].1.insert(id);
        if is_new {
            self.before.added.push((slot, id));
        }
        is_new
    }

    /// Adds a new link.
    pub(super) fn add_link(&mut self, link: Link) {
        self.links.push(Arc::new(link));
    }

    /// Returns an unread link to the queue.
    pub(super) fn put_back(&mut self, link: &Arc<Link>) {
        self.followed.push(Arc::clone(link));
    }

    /// Returns the links to read next. Sorts all waiting links and passes each to `mark_read` before any is read: of
    /// two links to a folder, the first in this order is always the one followed.
    pub(super) fn next_links(&mut self, mut mark_read: impl FnMut(&mut Self, &Link) -> bool) -> Vec<Arc<Link>> {
        self.before.lists = Some([self.links.clone(), self.followed.clone()]);
        self.follows = true;
        if self.followed.is_empty() {
            let mut found = std::mem::take(&mut self.links);
            found.sort_unstable();
            found.retain(|link| mark_read(self, link));
            found.reverse();
            self.followed = found;
        }
        let rest = self.followed.len().saturating_sub(AT_ONCE);
        let mut next = self.followed.split_off(rest);
        next.reverse();
        next
    }

    /// Returns whether the queue of links is empty.
    pub(super) fn has_no_links(&self) -> bool {
        self.links.is_empty() && self.followed.is_empty()
    }

    /// Commits the call: its findings reached the caller.
    pub fn commit(&mut self) {
        self.before = UndoLog {
            links: self.links.len(),
            ..UndoLog::default()
        };
    }

    /// Rolls back to the state before the call.
    pub fn undo(&mut self) {
        let before = std::mem::take(&mut self.before);
        for (slot, id) in before.added {
            self.read[slot].1.remove(&id);
        }
        match before.lists {
            Some([links, followed]) => (self.links, self.followed) = (links, followed),
            None => self.links.truncate(before.links),
        }
        self.commit();
    }
}
