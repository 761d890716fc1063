//! External sorting: sorted runs in temporary files, merged at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io;
use std::path::Path;

use super::spool::{Spool, SpoolReader, reserve};

/// Number of pairs per run: 2 MiB.
const PAIRS_PER_RUN: usize = if cfg!(test) { 1 << 10 } else { 1 << 17 };
/// Size of a run's keys and values in bytes. Smaller in tests, so that they reach the disk.
const RUN_BYTES: usize = if cfg!(test) { 1 << 14 } else { 8 << 20 };
/// Groups up to this size are sorted by comparing whole keys.
const SMALL_GROUP: usize = 12;

/// Sorted runs.
struct SortRuns {
    spool: Spool,
    ends: Vec<u64>,
}

impl SortRuns {
    fn new(place: &Path) -> Self {
        Self {
            spool: Spool::new(place),
            ends: Vec::new(),
        }
    }

    fn end_run(&mut self) {
        self.ends.push(self.spool.len());
    }

    /// Merges the runs: reads their elements with `read`, and calls `each` with them in order.
    fn merge<T: Ord + Default>(
        &self,
        read: impl Fn(&mut SpoolReader<'_>, &mut T) -> io::Result<()>,
        mut each: impl FnMut(&T) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut heap = BinaryHeap::new();
        let mut cursors = Vec::new();
        let mut begin = 0;
        for (run, end) in self.ends.iter().enumerate() {
            let mut cursor = SpoolReader::new(&self.spool, begin, *end, self.ends.len());
            begin = *end;
            if !cursor.is_over() {
                let mut first = T::default();
                read(&mut cursor, &mut first)?;
                heap.push(Reverse((first, run)));
            }
            cursors.push(cursor);
        }
        while let Some(mut smallest) = heap.peek_mut() {
            let Reverse((value, run)) = &mut *smallest;
            each(value)?;
            let cursor = &mut cursors[*run];
            if cursor.is_over() {
                PeekMut::pop(smallest);
            } else {
                read(cursor, value)?;
            }
        }
        Ok(())
    }
}

/// Sorts pairs of numbers.
pub struct PairSorter {
    memory: Vec<(u64, u32)>,
    runs: SortRuns,
    count: usize,
}

impl PairSorter {
    pub fn new(place: &Path) -> Self {
        Self {
            memory: Vec::new(),
            runs: SortRuns::new(place),
            count: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn push(&mut self, first: u64, second: u32) -> io::Result<()> {
        if self.memory.len() == PAIRS_PER_RUN {
            self.end_run()?;
        }
        reserve(&mut self.memory, 1)?;
        self.memory.push((first, second));
        self.count += 1;
        Ok(())
    }

    fn end_run(&mut self) -> io::Result<()> {
        self.memory.sort_unstable();
        let mut bytes = [0; 12];
        for (first, second) in self.memory.drain(..) {
            bytes[..8].copy_from_slice(&first.to_le_bytes());
            bytes[8..].copy_from_slice(&second.to_le_bytes());
            self.runs.spool.put(&bytes)?;
        }
        self.runs.end_run();
        Ok(())
    }

    /// Calls `each` with all of them in order.
    pub fn sorted(mut self, mut each: impl FnMut(u64, u32) -> io::Result<()>) -> io::Result<()> {
        if self.runs.ends.is_empty() {
            self.memory.sort_unstable();
            return self.memory.iter().try_for_each(|(first, second)| each(*first, *second));
        }
        self.end_run()?;
        self.memory = Vec::new();
        let read = |cursor: &mut SpoolReader<'_>, pair: &mut (u64, u32)| {
            let bytes = cursor.take(12)?;
            *pair = (super::layout::u64_at(bytes, 0), super::layout::u32_at(bytes, 8));
            Ok(())
        };
        self.runs.merge(read, |(first, second)| each(*first, *second))
    }
}

/// The numbers sorted along with a key.
pub type SortedNumbers = [u32; 4];

/// Sorts byte keys, each with some numbers; equal keys are ordered by the numbers.
pub struct KeySorter {
    keys: Vec<u8>,
    memory: Vec<KeySlot>,
    runs: SortRuns,
}

#[derive(Clone, Copy)]
struct KeySlot {
    at: usize,
    length: u32,
    numbers: SortedNumbers,
}

impl KeySlot {
    fn key<'k>(&self, keys: &'k [u8]) -> &'k [u8] {
        &keys[self.at..self.at + self.length as usize]
    }
}

impl KeySorter {
    pub fn new(place: &Path) -> Self {
        Self {
            keys: Vec::new(),
            memory: Vec::new(),
            runs: SortRuns::new(place),
        }
    }

    pub fn push(&mut self, key: &[u8], numbers: SortedNumbers) -> io::Result<()> {
        if self.keys.len() + self.memory.len() * size_of::<KeySlot>() > RUN_BYTES {
            self.end_run()?;
        }
        let length = u32::try_from(key.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        reserve(&mut self.keys, key.len())?;
        reserve(&mut self.memory, 1)?;
        self.memory.push(KeySlot {
            at: self.keys.len(),
            length,
            numbers,
        });
        self.keys.extend_from_slice(key);
        Ok(())
    }

    fn end_run(&mut self) -> io::Result<()> {
        for slot in in_order(&self.keys, &self.memory)? {
            let spool = &mut self.runs.spool;
            spool.put(&slot.length.to_le_bytes())?;
            for number in slot.numbers {
                spool.put(&number.to_le_bytes())?;
            }
            spool.put(slot.key(&self.keys))?;
        }
        self.runs.end_run();
        self.keys.clear();
        self.memory.clear();
        Ok(())
    }

    /// Calls `each` with all of them in order.
    pub fn sorted(mut self, mut each: impl FnMut(&[u8], SortedNumbers) -> io::Result<()>) -> io::Result<()> {
        if self.runs.ends.is_empty() {
            let sorted = in_order(&self.keys, &self.memory)?;
            return sorted
                .iter()
                .try_for_each(|slot| each(slot.key(&self.keys), slot.numbers));
        }
        self.end_run()?;
        (self.keys, self.memory) = (Vec::new(), Vec::new());
        let read = |cursor: &mut SpoolReader<'_>, to: &mut (Vec<u8>, SortedNumbers)| {
            let head = cursor.take(20)?;
            let length = super::layout::u32_at(head, 0) as usize;
            to.1 = [4, 8, 12, 16].map(|at| super::layout::u32_at(head, at));
            to.0.clear();
            reserve(&mut to.0, length)?;
            to.0.extend_from_slice(cursor.take(length)?);
            Ok(())
        };
        self.runs.merge(read, |(key, numbers)| each(key, *numbers))
    }
}

/// Sorts all keys by their first eight bytes, then each group of equal keys by the next eight, and so on. Keys share
/// long prefixes, and each access to a key is a cache miss.
fn in_order(keys: &[u8], slots: &[KeySlot]) -> io::Result<Vec<KeySlot>> {
    let key = |one: &(u64, u32)| slots[one.1 as usize].key(keys);
    let compare = |a: &(u64, u32), b: &(u64, u32)| {
        let numbers = |one: &(u64, u32)| slots[one.1 as usize].numbers;
        key(a).cmp(key(b)).then_with(|| numbers(a).cmp(&numbers(b)))
    };
    let mut keyed = Vec::new();
    reserve(&mut keyed, slots.len())?;
    let count = u32::try_from(slots.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
    keyed.extend((0..count).map(|at| (0, at)));
    let mut unsorted = vec![(0..keyed.len(), 0)];
    while let Some((range, depth)) = unsorted.pop() {
        let from = range.start;
        let group = &mut keyed[range];
        if group.len() <= SMALL_GROUP {
            group.sort_unstable_by(compare);
            continue;
        }
        for one in &mut *group {
            one.0 = eight(key(one), depth);
        }
        group.sort_unstable_by_key(|one| one.0);
        let mut at = from;
        for equal in group.chunk_by_mut(|a, b| a.0 == b.0) {
            let end = at + equal.len();
            // More bytes do not help if the keys have ended or have a zero byte.
            if equal.len() > 1 && equal[0].0.to_be_bytes().contains(&0) {
                equal.sort_unstable_by(compare);
            } else if equal.len() > 1 {
                unsorted.push((at..end, depth + 8));
            }
            at = end;
        }
    }
    let mut sorted = Vec::new();
    reserve(&mut sorted, slots.len())?;
    sorted.extend(keyed.iter().map(|one| slots[one.1 as usize]));
    Ok(sorted)
}

/// Returns eight bytes of a key as a number with the same order. Bytes after the end of the key are zero.
fn eight(key: &[u8], at: usize) -> u64 {
    let rest = key.get(at..).unwrap_or_default();
    if let Some(eight) = rest.first_chunk() {
        return u64::from_be_bytes(*eight);
    }
    let mut eight = [0; 8];
    eight[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(eight)
}

#[cfg(test)]
#[path = "sorter_tests.rs"]
mod tests;
