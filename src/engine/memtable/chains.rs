//! Hash chains for memtables, from the newest record to the oldest. Readers take no lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::log::AppendLog;

/// Number of chains; a power of two. Chains stay short in a full memtable, since each record may cost a cache miss.
const CHAINS: usize = 4096;

/// The memtable is full: compact it into a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemtableFull;

/// A node of a chain: a record and one of its normal forms.
pub struct ChainNode {
    hash: u64,
    /// The record.
    pub record: u32,
    /// Index of the normal form among those of the record.
    pub form: u32,
    /// Node index plus one; 0 ends the chain.
    next: u32,
}

/// Chains from hashes to records, newest first. One thread adds, any number read.
pub struct Chains {
    /// Low half: the first node, as in `ChainNode::next`. High half: a filter of 32 bits over the chain's hashes.
    heads: Box<[AtomicU64]>,
    nodes: AppendLog<ChainNode>,
    length: AtomicU32,
    /// Maximum number of nodes.
    capacity: usize,
}

/// The bits of a head that hold the first node.
const FIRST_NODE: u64 = 0xFFFF_FFFF;

/// Returns the first node in a head.
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
    /// Creates chains for at most `capacity` nodes.
    pub fn new(capacity: usize) -> Self {
        Self {
            heads: (0..CHAINS).map(|_| AtomicU64::new(0)).collect(),
            nodes: AppendLog::new(),
            length: AtomicU32::new(0),
            capacity,
        }
    }

    fn head(&self, hash: u64) -> &AtomicU64 {
        &self.heads[usize::try_from(hash).unwrap_or(0) % CHAINS]
    }

    /// Adds a record, which is already stored, at the front of the chain of `hash`.
    pub fn link(&self, hash: u64, record: u32, form: usize) -> Result<(), MemtableFull> {
        let index = self.length.load(Ordering::Relaxed);
        let head = self.head(hash);
        let old = head.load(Ordering::Relaxed);
        let node = ChainNode {
            hash,
            record,
            form: u32::try_from(form).map_err(|_| MemtableFull)?,
            next: first(old),
        };
        if index as usize >= self.capacity || !self.nodes.set(index as usize, node) {
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
    pub fn walk(&self, hash: u64) -> impl Iterator<Item = &ChainNode> {
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

#[cfg(test)]
#[path = "chains_tests.rs"]
mod tests;
