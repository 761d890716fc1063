//! An append-only sequence that never moves its elements: readers need no lock.

use once_cell::race::OnceBox;

/// Elements of the first block; each further block has twice as many.
const FIRST: usize = 32;
/// Enough blocks for any memtable.
const BLOCKS: usize = 20;

type Block<T> = Vec<OnceBox<T>>;

/// An append-only sequence. One thread appends, any number read.
pub struct AppendLog<T> {
    blocks: [OnceBox<Block<T>>; BLOCKS],
}

impl<T> AppendLog<T> {
    /// Creates an empty sequence; allocates nothing.
    pub fn new() -> Self {
        Self {
            blocks: std::array::from_fn(|_| OnceBox::new()),
        }
    }

    /// Stores `value` at `index`. Returns `false` if the index already has a value, or is beyond the last block.
    pub fn set(&self, index: usize, value: T) -> bool {
        let (block, at) = position(index);
        let Some(slots) = self.blocks.get(block) else {
            return false;
        };
        let length = FIRST << block;
        let slots = slots.get_or_init(|| Box::new((0..length).map(|_| OnceBox::new()).collect()));
        slots[at].set(Box::new(value)).is_ok()
    }

    /// Returns the element at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        let (block, at) = position(index);
        self.blocks.get(block)?.get()?.get(at)?.get()
    }
}

/// Returns the block of an element, and the index in it. Block n has `FIRST << n` elements and begins with element
/// `FIRST * (2ⁿ - 1)`.
#[inline]
fn position(index: usize) -> (usize, usize) {
    let scaled = index / FIRST + 1;
    let block = scaled.ilog2() as usize;
    (block, index - FIRST * ((1 << block) - 1))
}
