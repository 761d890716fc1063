//! An append-only sequence that never moves its elements: readers need no lock.

use once_cell::race::OnceBox;

/// Elements of the first block; each further block has twice as many.
const FIRST: usize = 32;
/// Enough blocks for any memtable.
const SEGMENTS: usize = 20;

type Segment<T> = Vec<OnceBox<T>>;

/// An append-only sequence. One thread appends, any number read.
pub struct AppendLog<T> {
    segments: [OnceBox<Segment<T>>; SEGMENTS],
}

impl<T> AppendLog<T> {
    /// Creates an empty sequence; allocates nothing.
    pub fn new() -> Self {
        Self {
            segments: std::array::from_fn(|_| OnceBox::new()),
        }
    }

    /// Stores `value` at `index`. Returns `false` if the place is taken or there is no room.
    pub fn set(&self, index: usize, value: T) -> bool {
        let (segment, at) = place(index);
        let Some(segment) = self.segments.get(segment) else {
            return false;
        };
        let length = FIRST << place(index).0;
        let slots = segment.get_or_init(|| Box::new((0..length).map(|_| OnceBox::new()).collect()));
        slots[at].set(Box::new(value)).is_ok()
    }

    /// The element at `index`.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        let (segment, at) = place(index);
        self.segments.get(segment)?.get()?.get(at)?.get()
    }
}

/// Block n holds the `FIRST << n` elements from `FIRST * (2ⁿ - 1)` on.
#[inline]
fn place(index: usize) -> (usize, usize) {
    let scaled = index / FIRST + 1;
    let segment = scaled.ilog2() as usize;
    (segment, index - FIRST * ((1 << segment) - 1))
}
