//! What a process keeps in memory of the database: a library's changes that its segment does not contain, and the
//! records of tables. One thread at a time writes; readers take no lock.
//!
//! A library's memtable contains the changes that its segment does not contain yet. Each change is a record. Readers
//! find a record by rating key or by the normal form of a path, and an added item also by the file names of its parts.
//! If several records answer a query, the newest one is valid. A record is stored before it is linked, so a reader sees
//! the complete record or nothing.
//!
//! | query | changes, of which the newest is valid |
//! |---|---|
//! | item with this rating key | `Added`, `Removed` |
//! | since when the path is doubted | `DoubtedPath` |
//!
//! An item is doubted if `raised` of a `DoubtedItem` is not before `asked` of its replies (`Added`, `AsListed`,
//! `Removed`).
//!
//! The records are in hash chains, newest first, over an append-only sequence that never moves its elements.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use once_cell::race::OnceBox;
use xxhash_rust::xxh3::xxh3_64;

use crate::knowledge::FileTickets;
use crate::matching::normal::normal_form;
use crate::matching::{Mappings, NormalPath, name_hash};
use crate::model::{ByteString, Item, LibraryId, Sequence};

mod record_memory;

#[cfg(any(test, feature = "testing"))]
pub use record_memory::LoadAfter;
pub use record_memory::{Known, KnownRecord, LOADED_PER_STEP, NewRecord, RecordMemories, RecordMemory, StoreMemories};

/// A change in a library.
#[derive(Clone, Debug, PartialEq)]
pub enum MemtableChange {
    /// The path is doubted: lookups return no item whose request began before `raised`.
    DoubtedPath {
        /// Any path with the doubted normal form.
        path: Vec<u8>,
        /// The change sequence at which the doubt was raised.
        raised: u64,
    },
    /// The item is doubted, until a reply whose request began after `raised`.
    DoubtedItem {
        /// The item's rating key.
        rating_key: String,
        /// The change sequence at which the doubt was raised.
        raised: u64,
    },
    /// The server returned this new or changed item, which replaces any item with the same rating key.
    Added {
        /// The item with all its files.
        item: Arc<Item>,
        /// The ticket of the request for the item.
        asked: u64,
        /// The tickets of the requests that first showed its files.
        shown: FileTickets,
    },
    /// The server returned the item as the segment has it.
    AsListed {
        /// The item's rating key.
        rating_key: String,
        /// The ticket of the request for the item.
        asked: u64,
    },
    /// The item was removed.
    Removed {
        /// The item's rating key.
        rating_key: String,
        /// The ticket of the request for the item.
        asked: u64,
    },
}

/// A change with its library, which processes apply to their earlier snapshots.
#[derive(Clone, Debug, PartialEq)]
pub struct LibraryChange {
    pub sequence: Sequence,
    pub library: LibraryId,
    pub change: MemtableChange,
}

/// The changes in a library that the library's segment does not contain yet.
#[derive(Default)]
pub struct Memtable(
    /// Allocated when the first change is added, so a lookup in an empty memtable costs only one load.
    OnceBox<Filled>,
);

/// A change in a memtable.
pub struct MemtableEntry {
    pub change: MemtableChange,
    /// The change's number in the memtable, counted from 1.
    pub order: u64,
    pub paths: Vec<EntryPath>,
}

/// A path of a change.
pub struct EntryPath {
    pub form: Box<[u8]>,
    /// For `Added`, the index of the item's part.
    pub part: usize,
    /// For `Added`, the path on the host to which a mapping translates that of the part.
    pub host: Option<Vec<u8>>,
}

/// What is added by XOR to hashes of a path's normal form, of a rating key, and of a file name's likeness, so that equal
/// ones differ.
const PATHS: u64 = 0;
const KEYS: u64 = 1;
const NAMES: u64 = 2;

/// Number of chains; a power of two. In short chains, lookups cause fewer cache misses.
const CHAINS: usize = 1 << 14;
/// Maximum number of changes in a memtable. A refresh compacts at half of this number at the latest.
const CAPACITY: usize = 8192;
/// Maximum number of nodes. The limit exceeds `CAPACITY`, because an item can have several files, each with a name, and a
/// mapping gives each file a second path.
const NODES: usize = CAPACITY * 16;

/// The error for a full memtable, which the caller must compact into a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemtableFull;

/// A node of a chain: links a hash to a change.
struct ChainNode {
    hash: u64,
    /// The index of the change.
    entry: usize,
    /// The index of the path with this hash among the change's paths.
    path: usize,
    /// Index of the next node plus one; 0 at the end of the chain.
    next: usize,
}

/// Changes with hash chains, newest change first. One thread appends; any number of threads read without a lock.
struct Filled {
    entries: AppendLog<MemtableEntry>,
    /// Number of changes that readers can see.
    entry_count: AtomicUsize,
    nodes: AppendLog<ChainNode>,
    node_count: AtomicUsize,
    /// The first node of each chain, encoded like [`ChainNode::next`].
    heads: Vec<AtomicUsize>,
}

impl Filled {
    fn new() -> Self {
        Self {
            entries: AppendLog::new(),
            entry_count: AtomicUsize::new(0),
            nodes: AppendLog::new(),
            node_count: AtomicUsize::new(0),
            heads: (0..CHAINS).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Returns the head of the chain for a hash.
    fn head(&self, hash: u64) -> &AtomicUsize {
        &self.heads[usize::try_from(hash % CHAINS as u64).unwrap_or(0)]
    }
}

impl Memtable {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.records().count()
    }

    /// Appends a change. The caller must hold a lock, because only one thread at a time may append. `mappings` are the
    /// segment's mappings, which translate an added item's paths to paths on the host.
    ///
    /// # Errors
    /// Fails with [`MemtableFull`] if there is no room, so that the caller must compact.
    pub fn push(&self, change: MemtableChange, mappings: &Mappings) -> Result<(), MemtableFull> {
        let paths = paths_of(&change, mappings);
        let mut hashes: Vec<(u64, usize)> = Vec::with_capacity(2 * paths.len() + 1);
        for (index, path) in paths.iter().enumerate() {
            hashes.push((PATHS ^ xxh3_64(&path.form), index));
            if path.host.is_none() && matches!(change, MemtableChange::Added { .. }) {
                hashes.extend(name_hash(&path.form).map(|hash| (NAMES ^ hash, index)));
            }
        }
        // Link the key last: it hides the segment's item, so readers must already find the paths of the added item.
        hashes.extend(change.rating_key().map(|key| (KEYS ^ xxh3_64(key.as_bytes()), 0))); // a key has no path
        let filled = self.0.get_or_init(|| Box::new(Filled::new()));
        let index = filled.entry_count.load(Ordering::Relaxed);
        let mut nodes = filled.node_count.load(Ordering::Relaxed);
        if index >= CAPACITY || nodes + hashes.len() > NODES {
            return Err(MemtableFull);
        }
        let order = index as u64 + 1;
        filled.entries.set(index, MemtableEntry { change, order, paths });
        for (hash, path) in hashes {
            let head = filled.head(hash);
            let next = head.load(Ordering::Relaxed);
            let entry = index;
            filled.nodes.set(
                nodes,
                ChainNode {
                    hash,
                    entry,
                    path,
                    next,
                },
            );
            nodes += 1;
            // With release ordering, a reader that sees the head also sees the node and its change.
            head.store(nodes, Ordering::Release);
        }
        filled.node_count.store(nodes, Ordering::Relaxed);
        filled.entry_count.store(index + 1, Ordering::Release);
        Ok(())
    }

    /// Returns the changes, oldest first.
    #[cfg(test)]
    pub fn changes(&self) -> impl Iterator<Item = &MemtableChange> {
        self.records().map(|record| &record.change)
    }

    /// Iterates over all records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &MemtableEntry> {
        self.0.get().into_iter().flat_map(|filled| {
            let count = filled.entry_count.load(Ordering::Acquire);
            (0..count).filter_map(|index| filled.entries.get(index))
        })
    }

    /// Iterates over the records with this path's normal form, newest first, each with its path of this form.
    pub fn records_of_path(&self, path: &NormalPath<'_>) -> impl Iterator<Item = (&MemtableEntry, &EntryPath)> {
        let form = path.form();
        self.records_with_hash(|| PATHS ^ path.hash())
            .filter_map(|(record, index)| Some((record, record.paths.get(index)?)))
            .filter(move |(_, own)| *own.form == *form)
    }

    /// Iterates over the records for the item with this rating key, newest first.
    pub fn records_of_item(&self, rating_key: &str) -> impl Iterator<Item = &MemtableEntry> {
        self.records_with_hash(|| KEYS ^ xxh3_64(rating_key.as_bytes()))
            .map(|(record, _)| record)
            .filter(move |record| record.change.rating_key() == Some(rating_key))
    }

    /// Iterates over the files of added items whose names have this [`name_hash`]. Yields the item's record, and the
    /// file's path.
    pub fn files_with_name(&self, hash: u64) -> impl Iterator<Item = (&MemtableEntry, &EntryPath)> {
        self.records_with_hash(move || NAMES ^ hash)
            .filter_map(|(record, index)| Some((record, record.paths.get(index)?)))
    }

    /// Iterates over the records with a hash, newest first, each with the index of the path that has this hash. Calls
    /// `hash` only if there are records, to save computing the hash.
    #[inline]
    fn records_with_hash(&self, hash: impl FnOnce() -> u64) -> impl Iterator<Item = (&MemtableEntry, usize)> {
        let filled_and_hash = self.0.get().map(|filled| (filled, hash()));
        filled_and_hash.into_iter().flat_map(|(filled, hash)| {
            let mut next = filled.head(hash).load(Ordering::Acquire);
            let nodes = std::iter::from_fn(move || {
                let node = filled.nodes.get(next.checked_sub(1)?)?;
                next = node.next;
                Some(node)
            });
            let with_hash = nodes.filter(move |node| node.hash == hash);
            with_hash.filter_map(|node| Some((filled.entries.get(node.entry)?, node.path)))
        })
    }
}

/// Returns the paths of a change: of an added item, those of its parts, and those to which mappings translate them.
fn paths_of(change: &MemtableChange, mappings: &Mappings) -> Vec<EntryPath> {
    let path = |part, path: &[u8]| EntryPath {
        form: normal_form(path).into_boxed_slice(),
        part,
        host: None,
    };
    let MemtableChange::Added { item, .. } = change else {
        return change.path().map(|doubted| path(0, doubted)).into_iter().collect();
    };
    let parts = item.parts.iter().map(ByteString::as_bytes).enumerate();
    let hosts = parts.clone().filter_map(|(part, listed)| {
        let host = mappings.to_host(listed)?;
        let on_host = path(part, &host);
        Some(EntryPath {
            host: Some(host),
            ..on_host
        })
    });
    parts
        .clone()
        .map(|(part, listed)| path(part, listed))
        .chain(hosts)
        .collect()
}

impl MemtableChange {
    /// Returns the doubt about a path, or about an item if the path is empty, from the change sequence `raised` on.
    #[must_use]
    pub fn doubted(path: &[u8], rating_key: &str, raised: u64) -> Self {
        if path.is_empty() {
            Self::DoubtedItem {
                rating_key: rating_key.to_owned(),
                raised,
            }
        } else {
            Self::DoubtedPath {
                path: path.to_vec(),
                raised,
            }
        }
    }

    /// Returns the rating key of the item that the change names; `None` if the change names only a path.
    #[must_use]
    pub fn rating_key(&self) -> Option<&str> {
        match self {
            Self::DoubtedItem { rating_key, .. }
            | Self::AsListed { rating_key, .. }
            | Self::Removed { rating_key, .. } => Some(rating_key),
            Self::Added { item, .. } => Some(&item.rating_key),
            Self::DoubtedPath { .. } => None,
        }
    }

    /// Returns the path that the change names; `None` if the change names only an item.
    #[must_use]
    pub fn path(&self) -> Option<&[u8]> {
        match self {
            Self::DoubtedPath { path, .. } => Some(path),
            _ => None,
        }
    }
}

/// Number of elements in the first block. Each further block is twice as large as the previous one.
const FIRST: usize = 32;
/// Number of blocks, enough for the largest memtable.
const BLOCKS: usize = 20;

type Block<T> = Vec<OnceLock<T>>;

/// An append-only sequence for one writing thread and any number of reading threads.
pub struct AppendLog<T> {
    blocks: [OnceBox<Block<T>>; BLOCKS],
}

impl<T> AppendLog<T> {
    /// Creates an empty sequence without allocating memory.
    pub fn new() -> Self {
        Self {
            blocks: std::array::from_fn(|_| OnceBox::new()),
        }
    }

    /// Stores `value` at `index`. Returns `false` if `index` already has a value or is too large.
    pub fn set(&self, index: usize, value: T) -> bool {
        let (block, slot) = position(index);
        let Some(slots) = self.blocks.get(block) else {
            return false;
        };
        let length = FIRST << block;
        let slots = slots.get_or_init(|| Box::new((0..length).map(|_| OnceLock::new()).collect()));
        slots[slot].set(value).is_ok()
    }

    /// Returns the element at `index`; `None` if `index` has no value yet.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        let (block, slot) = position(index);
        self.blocks.get(block)?.get()?.get(slot)?.get()
    }
}

/// Returns the block that contains the element, and the element's index in this block. Block n has `FIRST << n`
/// elements; the first of them has the index `FIRST * (2ⁿ - 1)`.
#[inline]
fn position(index: usize) -> (usize, usize) {
    let scaled = index / FIRST + 1;
    let block = scaled.ilog2() as usize;
    (block, index - FIRST * ((1 << block) - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_path_and_key_leads_to_its_changes_newest_first_and_to_no_others() {
        let (memtable, none) = (Memtable::default(), Mappings::default());
        // A path without a folder is its own name.
        let name = |n: u64| (n % 97).to_string();
        for n in 0..3000 {
            let item = Arc::new(Item {
                rating_key: name(n),
                parts: vec![name(n + 1).into()],
                ..Item::default()
            });
            memtable
                .push(
                    MemtableChange::Added {
                        item,
                        asked: n,
                        shown: Sequence(n).into(),
                    },
                    &none,
                )
                .expect("room");
        }
        for n in 0..100 {
            let right = |shift: u64| (0..3000_u64).rev().filter(move |m| name(m + shift) == n.to_string());
            let found = |record: &MemtableEntry| record.order - 1;
            let of_path = NormalPath::with(n.to_string().as_bytes(), |path| {
                memtable
                    .records_of_path(path)
                    .map(|(record, _)| found(record))
                    .collect::<Vec<u64>>()
            });
            assert_eq!(of_path, right(1).collect::<Vec<u64>>(), "{n}");
            assert!(memtable.records_of_item(&n.to_string()).map(found).eq(right(0)), "{n}");
        }
    }
}
