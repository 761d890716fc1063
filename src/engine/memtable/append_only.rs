//! An append-only sequence that never moves its elements, so readers need no lock.

use std::sync::OnceLock;

use once_cell::race::OnceBox;

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
