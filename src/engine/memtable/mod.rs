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

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use once_cell::race::OnceBox;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::matching::normal::normal_form;
use crate::matching::{Mappings, NormalPath, name_hash};
use crate::model::{Item, LibraryId, Sequence};

mod record_memories;
mod record_memory;

pub use record_memories::{RecordMemories, StoreMemories};
pub use record_memory::{Known, KnownRecord, LoadAfter, NewRecord, RecordMemory};

/// A change in a library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LibraryChange {
    pub sequence: Sequence,
    pub library: LibraryId,
    pub change: MemtableChange,
}

/// The changes in a library that the library's segment does not contain yet.
#[derive(Default)]
pub struct Memtable(ChainedRecords<MemtableEntry>);

/// Kinds of hashes: of a path's normal form, of a rating key, and of a file name's likeness.
const PATHS: usize = 0;
const KEYS: usize = 1;
const NAMES: usize = 2;

/// The parts of an item to which a mapping applies: the index of each part, and its path on the host.
type MappedParts = Vec<(usize, Vec<u8>)>;

/// A change in a memtable.
pub struct MemtableEntry {
    pub change: MemtableChange,
    /// The change's number in the memtable, counted from 1.
    pub order: u64,
    /// The normal forms of the change's paths. For `Added`, the forms of the item's parts, followed by the forms of the
    /// paths in [`MemtableEntry::mapped`].
    pub forms: Vec<Box<[u8]>>,
    /// For `Added`, the parts to which a mapping applies, with their paths on the host.
    pub mapped: MappedParts,
}

impl Memtable {
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.records().count()
    }

    /// Appends a change. The caller must hold a lock, because only one thread at a time may append. `mappings` are the
    /// segment's mappings, which translate an added item's paths to paths on the host.
    ///
    /// # Errors
    /// Fails with [`MemtableFull`] if there is no room. The change is then missing or incomplete, so the caller must
    /// compact.
    pub fn push(&self, change: MemtableChange, mappings: &Mappings) -> Result<(), MemtableFull> {
        let (forms, mapped) = forms_of(&change, mappings);
        let mut links = Vec::with_capacity(2 * forms.len() + 1); // a file name for each form at most, and the key
        links.extend((forms.iter().enumerate()).map(|(form, bytes)| (PATHS, xxh3_64(bytes), form)));
        if let MemtableChange::Added { item, .. } = &change {
            let names = forms[..item.parts.len()].iter().enumerate();
            links.extend(names.filter_map(|(part, form)| Some((NAMES, name_hash(form)?, part))));
        }
        // Link the key last: it hides the segment's item, so readers must already find the paths of the added item.
        links.extend(change.rating_key().map(|key| (KEYS, xxh3_64(key.as_bytes()), 0))); // a key has no form
        let entry = |order| MemtableEntry {
            change,
            order,
            forms,
            mapped,
        };
        self.0.push(entry, &links)
    }

    /// Returns the changes, oldest first.
    #[cfg(test)]
    pub fn changes(&self) -> impl Iterator<Item = &MemtableChange> {
        self.records().map(|record| &record.change)
    }

    /// Iterates over all records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &MemtableEntry> {
        self.0.records()
    }

    /// Iterates over the records with this path's normal form, newest first, each with the index of this form in
    /// [`MemtableEntry::forms`].
    pub fn records_of_path(&self, path: &NormalPath<'_>) -> impl Iterator<Item = (&MemtableEntry, usize)> {
        let form = path.form();
        self.0
            .records_with_hash(PATHS, || path.hash())
            .filter(move |(record, index)| record.forms.get(*index).is_some_and(|own| **own == *form))
    }

    /// Iterates over the records for the item with this rating key, newest first.
    pub fn records_of_item(&self, rating_key: &str) -> impl Iterator<Item = &MemtableEntry> {
        self.0
            .records_with_hash(KEYS, || xxh3_64(rating_key.as_bytes()))
            .map(|(record, _)| record)
            .filter(move |record| record.change.rating_key() == Some(rating_key))
    }

    /// Iterates over the files of added items whose names have this [`name_hash`]. Yields the item's record, and the
    /// file's index in the item.
    pub fn files_with_name(&self, hash: u64) -> impl Iterator<Item = (&MemtableEntry, usize)> {
        self.0.records_with_hash(NAMES, move || hash)
    }
}

/// Returns the normal forms of all paths of a change, and the parts of an added item to which a mapping applies, for
/// [`MemtableEntry`].
fn forms_of(change: &MemtableChange, mappings: &Mappings) -> (Vec<Box<[u8]>>, MappedParts) {
    let MemtableChange::Added { item, .. } = change else {
        let form = change.path().map(|path| normal_form(path).into_boxed_slice());
        return (form.into_iter().collect(), Vec::new());
    };
    let mut mapped = Vec::new();
    for (part, path) in item.parts.iter().enumerate() {
        mapped.extend(mappings.to_host(path.as_bytes()).map(|host| (part, host)));
    }
    let hosts = mapped.iter().map(|(_, host)| normal_form(host));
    let listed = item.parts.iter().map(|path| normal_form(path.as_bytes()));
    (listed.chain(hosts).map(Vec::into_boxed_slice).collect(), mapped)
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

/// Number of chains for each kind of hash; a power of two. In short chains, lookups cause fewer cache misses.
const CHAINS: usize = 4096;
/// Maximum number of records in a memtable. A refresh compacts at half of this number at the latest.
pub const CAPACITY: usize = 8192;
/// Maximum number of nodes for each kind of hash. The limit exceeds `CAPACITY` because an item can have several files,
/// and a mapping gives each file a second path.
const NODES: usize = CAPACITY * 8;

/// Number of kinds of hashes.
const KINDS: usize = 3;

/// The error for a full memtable, which the caller must compact into a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemtableFull;

/// A node of a chain: links a hash to a record.
struct ChainNode {
    hash: u64,
    record: u32,
    /// Index of the normal form with this hash among the record's normal forms.
    form: u32,
    /// Index of the next node plus one; 0 at the end of the chain.
    next: u32,
}

/// Hash chains for one kind of hash, newest record first. One thread adds nodes; any number of threads read.
struct Chains {
    /// Lower half: the first node, encoded like `ChainNode::next`. Upper half: a 32-bit filter for the chain's hashes.
    heads: Box<[AtomicU64]>,
    nodes: AppendLog<ChainNode>,
    length: AtomicU32,
}

/// Mask for the bits of a head that contain the first node.
const FIRST_NODE: u64 = 0xFFFF_FFFF;

/// Returns the first node in a chain's head, encoded like [`ChainNode::next`].
#[inline]
fn first_node(head: u64) -> u32 {
    u32::try_from(head & FIRST_NODE).unwrap_or(0)
}

/// Returns the filter bit for a hash, in the upper half of a head. The hash's upper five bits select it, because the
/// lower bits select the chain.
#[inline]
fn filter_bit(hash: u64) -> u64 {
    1 << (32 + (hash >> 59))
}

impl Chains {
    fn new() -> Self {
        Self {
            heads: (0..CHAINS).map(|_| AtomicU64::new(0)).collect(),
            nodes: AppendLog::new(),
            length: AtomicU32::new(0),
        }
    }

    /// Returns the head of the chain for a hash.
    fn head(&self, hash: u64) -> &AtomicU64 {
        &self.heads[usize::try_from(hash).unwrap_or(0) % CHAINS]
    }

    /// Adds a record, which must already be stored, to the front of the chain for `hash`. `record` is the record's
    /// index, and `form` is the index of the record's normal form with this hash. Fails if there is no room.
    fn link(&self, hash: u64, record: u32, form: usize) -> Result<(), MemtableFull> {
        let index = self.length.load(Ordering::Relaxed);
        let head = self.head(hash);
        let old = head.load(Ordering::Relaxed);
        let node = ChainNode {
            hash,
            record,
            form: u32::try_from(form).map_err(|_| MemtableFull)?,
            next: first_node(old),
        };
        if index as usize >= NODES || !self.nodes.set(index as usize, node) {
            return Err(MemtableFull);
        }
        self.length.store(index + 1, Ordering::Relaxed);
        // With release ordering, a reader that sees the head also sees the node and its record.
        head.store(
            (old | filter_bit(hash)) & !FIRST_NODE | u64::from(index + 1),
            Ordering::Release,
        );
        Ok(())
    }

    /// Iterates over the nodes with this hash, newest first.
    #[inline]
    fn nodes_with_hash(&self, hash: u64) -> impl Iterator<Item = &ChainNode> {
        let head = self.head(hash).load(Ordering::Acquire);
        // Most paths are in no memtable, and the filter bit then avoids reading a node.
        let mut next = if head & filter_bit(hash) == 0 {
            0
        } else {
            first_node(head)
        };
        std::iter::from_fn(move || {
            let node = self.nodes.get((next as usize).checked_sub(1)?)?;
            next = node.next;
            Some(node)
        })
        .filter(move |node| node.hash == hash)
    }
}

/// Records with a set of hash chains for each kind of hash. One thread appends; any number of threads read without a lock.
pub struct ChainedRecords<T>(
    /// Allocated when the first record is added, so a lookup in an empty memtable costs only one load.
    OnceBox<Filled<T>>,
);

struct Filled<T> {
    records: AppendLog<T>,
    /// Number of records that readers can see.
    length: AtomicU32,
    chains: [Chains; KINDS],
}

impl<T> Default for ChainedRecords<T> {
    /// Creates an empty list of records without allocating memory.
    fn default() -> Self {
        Self(OnceBox::new())
    }
}

impl<T> ChainedRecords<T> {
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    /// Appends the record that `make` creates from the record's number, counted from 1. Each element of `links`
    /// contains the kind of hash, the hash, and the index of the normal form with this hash. Adds the record to the
    /// hash chains in the order of `links`. The caller must hold a lock, because only one thread at a time may append.
    /// Fails if there is no room; some of the links may then exist.
    pub fn push(&self, make: impl FnOnce(u64) -> T, links: &[(usize, u64, usize)]) -> Result<(), MemtableFull> {
        let filled = self.0.get_or_init(|| {
            Box::new(Filled {
                records: AppendLog::new(),
                length: AtomicU32::new(0),
                chains: std::array::from_fn(|_| Chains::new()),
            })
        });
        let index = filled.length.load(Ordering::Relaxed);
        if index as usize >= CAPACITY || !filled.records.set(index as usize, make(u64::from(index) + 1)) {
            return Err(MemtableFull);
        }
        for (kind, hash, form) in links {
            filled.chains[*kind].link(*hash, index, *form)?;
        }
        filled.length.store(index + 1, Ordering::Release);
        Ok(())
    }

    /// Iterates over all records, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &T> {
        let filled = self.0.get();
        let count = filled.map_or(0, |filled| filled.length.load(Ordering::Acquire) as usize);
        (0..count).filter_map(move |index| filled?.records.get(index))
    }

    /// Iterates over the records with a hash, newest first, each with the index of the normal form that has this hash.
    /// `kind` selects the kind of hash, such as path hashes. This function calls `hash` only if there are records, to
    /// save computing the hash.
    #[inline]
    fn records_with_hash(&self, kind: usize, hash: impl FnOnce() -> u64) -> impl Iterator<Item = (&T, usize)> {
        let filled_and_hash = self.0.get().map(|filled| (filled, hash()));
        filled_and_hash.into_iter().flat_map(move |(filled, hash)| {
            let nodes = filled.chains[kind].nodes_with_hash(hash);
            nodes.filter_map(|node| Some((filled.records.get(node.record as usize)?, node.form as usize)))
        })
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
    fn each_hash_leads_to_its_nodes_newest_first_and_to_no_others() {
        let chains = Chains::new();
        // Few different chains and few different filter bits, so that many hashes collide.
        let hash = |n: u64| (n % 40) << 59 ^ (n % 7) ^ (n / 280) << 20;
        for n in 0..3000 {
            chains.link(hash(n), u32::try_from(n).expect("few"), 0).expect("room");
        }
        for n in 0..6000 {
            let mut right: Vec<u32> = (0..3000).filter(|m| hash(u64::from(*m)) == hash(n)).collect();
            right.reverse();
            let found: Vec<u32> = chains.nodes_with_hash(hash(n)).map(|node| node.record).collect();
            assert_eq!(found, right, "{n}");
        }
        for _ in 3000..NODES {
            chains.link(1, 0, 0).expect("room");
        }
        assert_eq!(chains.link(1, 0, 0), Err(MemtableFull));
    }
}
