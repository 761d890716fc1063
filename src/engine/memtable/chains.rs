//! Records in hash chains, from the newest to the oldest. Both kinds of memtables consist of them. Readers take no
//! lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use once_cell::race::OnceBox;

use super::append_only::AppendLog;

/// Number of chains; a power of two. Chains stay short in a full memtable, since each record may cost a cache miss.
const CHAINS: usize = 4096;
/// Records that a memtable holds before it must be compacted: twice the changed items that a refresh compacts.
pub const CAPACITY: usize = 8192;
/// Maximum number of nodes of all chains of one kind. It exceeds `CAPACITY` because an item may have several parts, and
/// a mapping gives a part a second path.
const NODES: usize = CAPACITY * 8;

/// The memtable is full: compact it into a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemtableFull;

/// A node of a chain: a record and one of its normal forms.
struct ChainNode {
    hash: u64,
    /// The record.
    record: u32,
    /// Index of the normal form among those of the record.
    form: u32,
    /// The index of the next node plus one; 0 at the end of the chain.
    next: u32,
}

/// Chains from hashes to records, newest first. One thread adds, any number read.
struct Chains {
    /// Low half: the first node, as in `ChainNode::next`. High half: a filter of 32 bits for the chain's hashes.
    heads: Box<[AtomicU64]>,
    nodes: AppendLog<ChainNode>,
    length: AtomicU32,
}

/// The bits of a head that hold the first node.
const FIRST_NODE: u64 = 0xFFFF_FFFF;

/// Returns the first node in a head, as [`ChainNode::next`] has it.
#[inline]
fn first(head: u64) -> u32 {
    u32::try_from(head & FIRST_NODE).unwrap_or(0)
}

/// Returns the filter bit of a hash, from other bits than those that select the chain.
#[inline]
fn bit(hash: u64) -> u64 {
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

    /// Returns the head of the chain that a hash belongs to.
    fn head(&self, hash: u64) -> &AtomicU64 {
        &self.heads[usize::try_from(hash).unwrap_or(0) % CHAINS]
    }

    /// Adds a record, which is already stored, at the front of the chain of `hash`. `form`: the index of the record's
    /// normal form that has this hash.
    fn link(&self, hash: u64, record: u32, form: usize) -> Result<(), MemtableFull> {
        let index = self.length.load(Ordering::Relaxed);
        let head = self.head(hash);
        let old = head.load(Ordering::Relaxed);
        let node = ChainNode {
            hash,
            record,
            form: u32::try_from(form).map_err(|_| MemtableFull)?,
            next: first(old),
        };
        if index as usize >= NODES || !self.nodes.set(index as usize, node) {
            return Err(MemtableFull);
        }
        self.length.store(index + 1, Ordering::Relaxed);
        // Release: a reader that sees the head sees the node and its record.
        head.store(
            (old | bit(hash)) & !FIRST_NODE | u64::from(index + 1),
            Ordering::Release,
        );
        Ok(())
    }

    /// Iterates over the nodes of a hash, newest first.
    #[inline]
    fn walk(&self, hash: u64) -> impl Iterator<Item = &ChainNode> {
        let head = self.head(hash).load(Ordering::Acquire);
        // Most paths are in no memtable: the filter bit saves reading a node.
        let mut next = if head & bit(hash) == 0 { 0 } else { first(head) };
        std::iter::from_fn(move || {
            let node = self.nodes.get((next as usize).checked_sub(1)?)?;
            next = node.next;
            Some(node)
        })
        .filter(move |node| node.hash == hash)
    }
}

/// Records since a segment, found by `KINDS` kinds of hashes. One thread appends, any number read without a lock.
pub struct Chained<T, const KINDS: usize>(
    /// Allocated with the first record, so that a lookup in an empty memtable costs only one load.
    OnceBox<Filled<T, KINDS>>,
);

struct Filled<T, const KINDS: usize> {
    records: AppendLog<T>,
    /// Number of records visible to readers.
    length: AtomicU32,
    chains: [Chains; KINDS],
}

impl<T, const KINDS: usize> Default for Chained<T, KINDS> {
    fn default() -> Self {
        Self(OnceBox::new())
    }
}

impl<T, const KINDS: usize> Chained<T, KINDS> {
    /// Returns whether nothing was appended yet.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.get().is_none()
    }

    /// Appends the record that `make` returns for its number, counted from 1, and links it into chains. Each of `links`
    /// has the kind of hash, the hash, and the index of the normal form with this hash; readers find the record by them
    /// in this order. Only one thread at a time may call this, so the caller must hold a lock.
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

    /// Iterates over the records with a hash of this kind (such as that of a path or of a key), newest first, each with
    /// the index of the normal form that has the hash. Calls `hash` only if there are records.
    #[inline]
    pub fn walk(&self, kind: usize, hash: impl FnOnce() -> Option<u64>) -> impl Iterator<Item = (&T, usize)> {
        let found = self.0.get().and_then(|filled| Some((filled, hash()?)));
        found.into_iter().flat_map(move |(filled, hash)| {
            let nodes = filled.chains[kind].walk(hash);
            nodes.filter_map(|node| Some((filled.records.get(node.record as usize)?, node.form as usize)))
        })
    }
}

#[cfg(test)]
#[path = "chains_tests.rs"]
mod tests;
