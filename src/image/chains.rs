//! Hash chains from the newest record to the oldest, for overlays: walked without a lock.

use std::sync::atomic::{AtomicU32, Ordering};

use super::log::Log;

/// How many chains there are; a power of two. A lookup walks one, and each record in it may lie in a cache line of its own: so they
/// are short, also where an overlay is nearly full.
const CHAINS: usize = 4096;

/// The overlay has no room left: compact it into an image and begin a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Where a chain leads: a record, and which of its forms is meant.
pub struct Node {
    hash: u64,
    /// The record.
    pub record: u32,
    /// Which of its forms.
    pub form: u32,
    /// Node index plus one; 0 ends the chain.
    next: u32,
}

/// Chains from hashes to records, the newest record first. One thread links, any number walks.
pub struct Chains {
    heads: Box<[AtomicU32]>,
    nodes: Log<Node>,
    length: AtomicU32,
    /// Nodes that fit.
    room: usize,
}

impl Chains {
    /// Room for so many nodes.
    pub fn new(room: usize) -> Self {
        Self {
            heads: (0..CHAINS).map(|_| AtomicU32::new(0)).collect(),
            nodes: Log::new(),
            length: AtomicU32::new(0),
            room,
        }
    }

    fn head(&self, hash: u64) -> &AtomicU32 {
        &self.heads[usize::try_from(hash).unwrap_or(0) % CHAINS]
    }

    /// Makes the chain of `hash` lead to a record first. The record is in its place already.
    pub fn link(&self, hash: u64, record: u32, form: usize) -> Result<(), Full> {
        let index = self.length.load(Ordering::Relaxed);
        let head = self.head(hash);
        let node = Node {
            hash,
            record,
            form: u32::try_from(form).map_err(|_| Full)?,
            next: head.load(Ordering::Relaxed),
        };
        if index as usize >= self.room || !self.nodes.set(index as usize, node) {
            return Err(Full);
        }
        self.length.store(index + 1, Ordering::Relaxed);
        // Release: a reader that is led to the node sees the node and the record behind it.
        head.store(index + 1, Ordering::Release);
        Ok(())
    }

    /// The nodes of a hash, the newest first.
    #[inline]
    pub fn walk(&self, hash: u64) -> impl Iterator<Item = &Node> {
        let mut next = self.head(hash).load(Ordering::Acquire);
        std::iter::from_fn(move || {
            let node = self.nodes.get((next as usize).checked_sub(1)?)?;
            next = node.next;
            Some(node)
        })
        .filter(move |node| node.hash == hash)
    }
}
