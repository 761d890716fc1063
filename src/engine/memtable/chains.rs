//! Records in hash chains, newest first. All memtables use this data structure. Readers take no lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use once_cell::race::OnceBox;

use super::append_only::AppendLog;

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
    /// save computing the hash. If `hash` returns `None`, there are no results.
    #[inline]
    pub fn records_with_hash(
        &self,
        kind: usize,
        hash: impl FnOnce() -> Option<u64>,
    ) -> impl Iterator<Item = (&T, usize)> {
        let filled_and_hash = self.0.get().and_then(|filled| Some((filled, hash()?)));
        filled_and_hash.into_iter().flat_map(move |(filled, hash)| {
            let nodes = filled.chains[kind].nodes_with_hash(hash);
            nodes.filter_map(|node| Some((filled.records.get(node.record as usize)?, node.form as usize)))
        })
    }
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
