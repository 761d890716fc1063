//! State of a walk between its calls.

use std::collections::HashSet;
use std::sync::Arc;

use crate::platform::names::FolderId;

/// Links that a call follows.
const AT_ONCE: usize = 4096;

/// A link to a folder. It waits until the folders that are reached without it were read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    pub path: Vec<u8>,
    pub twin: bool,
    pub id: FolderId,
}

/// The folders that were read, and the links that wait.
#[derive(Debug, Default)]
pub struct WalkProgress {
    /// By the location below which they were read; outside of all it is empty.
    read: Vec<(Vec<u8>, HashSet<FolderId>)>,
    /// Those that were found, and those of them whose folders count as read already.
    links: Vec<Arc<Link>>,
    followed: Vec<Arc<Link>>,
    /// A link was followed.
    follows: bool,
    before: UndoLog,
}

/// Changes of the current call, to roll them back: a caller whose buffer is too small calls again.
#[derive(Debug, Default)]
struct UndoLog {
    added: Vec<(usize, FolderId)>,
    links: usize,
    /// Both lists, where links were taken from them.
    lists: Option<[Vec<Arc<Link>>; 2]>,
}

impl WalkProgress {
    /// The place for what is read below a location.
    pub(super) fn slot(&mut self, location: &[u8]) -> usize {
        let known = self.read.iter().position(|(folder, _)| folder == location);
        known.unwrap_or_else(|| {
            self.read.push((location.to_vec(), HashSet::new()));
            self.read.len() - 1
        })
    }

    /// Begins to read a folder that was reached without a link, or below one. Returns `false` if it was read below this location
    /// before. That takes a link: a file system may give folders one number, and would have all but the first left out.
    pub(super) fn mark_read(&mut self, slot: usize, id: FolderId) -> bool {
        self.mark_read_by_link(slot, id) || !self.follows
    }

    /// The same for what a link leads to.
    pub(super) fn mark_read_by_link(&mut self, slot: usize, id: FolderId) -> bool {
        let is_new = self.read[slot].1.insert(id);
        if is_new {
            self.before.added.push((slot, id));
        }
        is_new
    }

    /// A link that was found.
    pub(super) fn add_link(&mut self, link: Link) {
        self.links.push(Arc::new(link));
    }

    /// Returns an unread link to the queue.
    pub(super) fn put_back(&mut self, link: &Arc<Link>) {
        self.followed.push(Arc::clone(link));
    }

    /// Returns the links to read next. Sorts all waiting links and passes each to `mark_read` before any is read: of
    /// two links to a folder, the first in this order is always the one followed.
    pub(super) fn follow(&mut self, mut mark_read: impl FnMut(&mut Self, &Link) -> bool) -> Vec<Arc<Link>> {
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
