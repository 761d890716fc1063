//! What a process keeps in memory of the records of a database. All handles of the process share it.
//!
//! Handles read newer commits at different times, so two rules keep a memory as new as every snapshot that uses it:
//! - Before a handle's snapshot has a commit, the handle marks in the memory what the commit changed
//!   ([`RecordMemories::follow`]). So the memory has followed at least the commits of each snapshot.
//! - A record is added only if the memory has followed no commit since the record was read ([`RecordMemory::put`]).
//!   Otherwise, the mark of a newer commit would be lost.

use std::sync::{Arc, Mutex, MutexGuard, Weak};

use xxhash_rust::xxh3::xxh3_64;

use super::record_memory::{Filling, RecordMemory};
use crate::engine::record_rows::ChangedRecord;
use crate::model::{Sequence, TableId};
use crate::platform::files::Inode;
use crate::platform::fork::{self, ForkLock, HeldLock, lock, lock_for_fork};

/// The memories of the databases that this process has open. Locked only for an instant, as are the memories.
static OPEN: Mutex<OpenMemories> = Mutex::new(Vec::new());

type OpenMemories = Vec<(DatabaseKey, Weak<StoreMemories>)>;

/// A database: its id and its file. A copy of a database has the same id.
pub type DatabaseKey = (u64, Inode);

/// The memories of a database.
#[derive(Default)]
pub struct StoreMemories {
    pub matches: RecordMemories,
    pub entries: RecordMemories,
}

impl StoreMemories {
    /// Returns the memories of a database, which all handles of this process share; without a `database`, new ones.
    pub fn of(database: Option<DatabaseKey>) -> Arc<Self> {
        let Some(key) = database else { return Arc::default() };
        fork::register_last_lock(lock_all);
        let mut open = lock(&OPEN);
        if let Some(known) = open
            .iter()
            .find(|(of, _)| *of == key)
            .and_then(|(_, known)| known.upgrade())
        {
            return known;
        }
        let memories = Arc::default();
        open.retain(|(_, known)| known.strong_count() > 0);
        open.push((key, Arc::downgrade(&memories)));
        memories
    }
}

impl Drop for StoreMemories {
    /// Unregisters the memories.
    fn drop(&mut self) {
        let mut open = lock(&OPEN);
        open.retain(|(_, known)| known.strong_count() > 0);
        if open.is_empty() {
            *open = Vec::new(); // an unloaded library must leave no memory behind
        }
    }
}

/// The memories of all databases, locked during a fork, so that the child inherits no lock of another thread.
struct AllLocked {
    // Unlocked first, because dropping the last user of memories locks it.
    _open: MutexGuard<'static, OpenMemories>,
    _memories: Vec<HeldLock<Mutex<Filling>, Filling>>,
    _owners: Vec<Arc<StoreMemories>>,
}

impl ForkLock for AllLocked {}

/// Locks all memories before a fork. Whoever holds such a lock waits for no other.
fn lock_all() -> Box<dyn ForkLock> {
    let open = lock(&OPEN);
    let owners: Vec<Arc<StoreMemories>> = open.iter().filter_map(|(_, known)| known.upgrade()).collect();
    let both = owners.iter().flat_map(|owner| [&owner.matches, &owner.entries]);
    Box::new(AllLocked {
        _memories: both
            .map(|memories| lock_for_fork(&memories.filling, |filling| filling))
            .collect(),
        _owners: owners,
        _open: open,
    })
}

/// The memories of the tables of one kind.
#[derive(Default)]
pub struct RecordMemories {
    filling: Arc<Mutex<Filling>>,
}

/// Returns the memories of a table, oldest first.
fn of_table(filling: &Filling, table: TableId) -> impl DoubleEndedIterator<Item = Arc<RecordMemory>> {
    let of_table = filling.memories.iter().filter(move |(of, _)| *of == table);
    of_table.filter_map(|(_, memory)| memory.upgrade())
}

impl RecordMemories {
    /// Returns the last commit that the memories have followed, and the tables of which there are memories.
    pub fn held(&self) -> (Sequence, Vec<TableId>) {
        let filling = lock(&self.filling);
        let alive = filling.memories.iter().filter(|(_, memory)| memory.strong_count() > 0);
        (filling.followed, alive.map(|(table, _)| *table).collect())
    }

    /// Marks what commits changed: `changed`, all changes after `since` and up to `upto`, or `None` if they cannot be told.
    /// The memories then start anew, unless they have followed these commits. Call this before a snapshot contains the commits.
    pub fn follow(&self, since: Sequence, upto: Sequence, changed: Option<&[ChangedRecord]>) {
        let mut filling = lock(&self.filling);
        // After `upto`, there may be other commits than those that were followed: the database was restored.
        let is_older = upto < since;
        match changed {
            Some(changed) if since <= filling.followed && !is_older => {
                for change in changed.iter().filter(|change| change.sequence > filling.followed) {
                    for memory in of_table(&filling, change.table) {
                        memory.outdate(&change.key, xxh3_64(&change.key));
                    }
                }
            }
            _ if upto <= filling.followed && !is_older => {}
            _ => {
                let lost = std::mem::take(&mut filling.memories);
                lost.iter()
                    .filter_map(|(_, memory)| memory.upgrade())
                    .for_each(|memory| memory.lose());
            }
        }
        filling.followed = if is_older { upto } else { upto.max(filling.followed) };
    }

    /// Returns the memory of a table for a new snapshot, whose commits the memories have followed.
    pub fn memory(&self, table: TableId) -> Arc<RecordMemory> {
        let mut filling = lock(&self.filling);
        let newest = of_table(&filling, table).next_back();
        let never_loads = match newest {
            Some(memory) if !memory.must_renew() => return memory,
            Some(full) => full.has_too_large_table(),
            None => false,
        };
        let memory = Arc::new(RecordMemory::new(Arc::clone(&self.filling), never_loads));
        filling.memories.retain(|(_, memory)| memory.strong_count() > 0);
        filling.memories.push((table, Arc::downgrade(&memory)));
        memory
    }
}

#[cfg(test)]
#[path = "record_memories_tests.rs"]
mod tests;
