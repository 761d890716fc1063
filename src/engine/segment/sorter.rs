//! External sorting: a sorter writes sorted runs to a temporary file, and merges the runs at the end.
//!
//! [`SuffixGroups`] sort elements with equal hashes by their paths' components, last component first, so that paths with
//! the same last components are adjacent. Their input is sorted by hash. Most hashes are unique, so few elements are
//! compared.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::{Spool, SpoolReader, reserve};
use crate::matching::Form;

/// Number of pairs per run (2 MiB); lower in tests, so that they write several runs.
const PAIRS_PER_RUN: usize = if cfg!(test) { 1 << 10 } else { 1 << 17 };
/// Memory limit for a run's keys and numbers, in bytes; lower in tests, so that they write several runs.
const RUN_BYTES: usize = if cfg!(test) { 1 << 14 } else { 8 << 20 };
/// Maximum number of keys in a group that a sorter sorts by comparing whole keys.
const SMALL_GROUP: usize = 12;
/// Size of a pair in a run, in bytes: a `u64` and a `u32`.
const PAIR_BYTES: usize = 12;
/// Size of a key's length and numbers in a run, in bytes: five `u32` values.
const KEY_HEAD_BYTES: usize = 20;

/// Sorted runs, one after another in a spool.
struct SortRuns {
    spool: Spool,
    /// The offset at which each run ends in the spool.
    ends: Vec<u64>,
}

impl SortRuns {
    /// Creates an empty list of runs. Their temporary file is beside `place`.
    fn new(place: &Path) -> Self {
        Self {
            spool: Spool::new(place),
            ends: Vec::new(),
        }
    }

    /// Ends the current run at the end of the spool.
    fn end_run(&mut self) {
        self.ends.push(self.spool.len());
    }

    /// Merges the sorted runs: passes their elements, which `read` reads, to `each` in ascending order.
    fn merge<T: Ord + Default>(
        &self,
        read: impl Fn(&mut SpoolReader<'_>, &mut T) -> io::Result<()>,
        mut each: impl FnMut(&T) -> io::Result<()>,
    ) -> io::Result<()> {
        // The heap contains the next element of each run.
        let mut heap = BinaryHeap::new();
        let mut cursors = Vec::new();
        let mut begin = 0;
        for (run, end) in self.ends.iter().enumerate() {
            let mut cursor = SpoolReader::new(&self.spool, begin, *end, self.ends.len());
            begin = *end;
            if !cursor.is_exhausted() {
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
            if cursor.is_exhausted() {
                PeekMut::pop(smallest);
            } else {
                read(cursor, value)?;
            }
        }
        Ok(())
    }
}

pub struct PairSorter {
    /// The pairs that are not yet in a run.
    unsorted: Vec<(u64, u32)>,
    runs: SortRuns,
    count: usize,
}

impl PairSorter {
    /// Creates a sorter with temporary files beside `place`.
    pub fn new(place: &Path) -> Self {
        Self {
            unsorted: Vec::new(),
            runs: SortRuns::new(place),
            count: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// Adds a pair. If the memory is full, first writes the pairs in memory as a run.
    pub fn push(&mut self, first: u64, second: u32) -> io::Result<()> {
        if self.unsorted.len() == PAIRS_PER_RUN {
            self.end_run()?;
        }
        reserve(&mut self.unsorted, 1)?;
        self.unsorted.push((first, second));
        self.count += 1;
        Ok(())
    }

    /// Writes the pairs in memory as a sorted run.
    fn end_run(&mut self) -> io::Result<()> {
        self.unsorted.sort_unstable();
        let mut bytes = [0; PAIR_BYTES];
        for (first, second) in self.unsorted.drain(..) {
            bytes[..8].copy_from_slice(&first.to_le_bytes());
            bytes[8..].copy_from_slice(&second.to_le_bytes());
            self.runs.spool.put(&bytes)?;
        }
        self.runs.end_run();
        Ok(())
    }

    /// Passes the pairs to `each` in ascending order of the first number, then of the second.
    pub fn for_each_sorted(mut self, mut each: impl FnMut(u64, u32) -> io::Result<()>) -> io::Result<()> {
        if self.runs.ends.is_empty() {
            self.unsorted.sort_unstable();
            return self
                .unsorted
                .iter()
                .try_for_each(|(first, second)| each(*first, *second));
        }
        self.end_run()?;
        self.unsorted = Vec::new();
        let read = |cursor: &mut SpoolReader<'_>, pair: &mut (u64, u32)| {
            let bytes = cursor.take(PAIR_BYTES)?;
            *pair = (super::layout::u64_at(bytes, 0), super::layout::u32_at(bytes, 8));
            Ok(())
        };
        self.runs.merge(read, |(first, second)| each(*first, *second))
    }
}

/// The numbers that belong to a key.
pub type SortedNumbers = [u32; 4];

/// Sorts byte keys, each with four numbers. Equal keys are sorted by their numbers.
pub struct KeySorter {
    /// The bytes of the keys that are not yet in a run.
    keys: Vec<u8>,
    slots: Vec<KeySlot>,
    runs: SortRuns,
}

/// The position of a key in [`KeySorter::keys`], and the numbers for the key.
#[derive(Clone, Copy)]
struct KeySlot {
    offset: usize,
    length: u32,
    numbers: SortedNumbers,
}

impl KeySlot {
    /// Returns the bytes of the key. `keys` is the sorter's [`KeySorter::keys`].
    fn key<'k>(&self, keys: &'k [u8]) -> &'k [u8] {
        &keys[self.offset..self.offset + self.length as usize]
    }
}

impl KeySorter {
    /// Creates a sorter with temporary files beside `place`.
    pub fn new(place: &Path) -> Self {
        Self {
            keys: Vec::new(),
            slots: Vec::new(),
            runs: SortRuns::new(place),
        }
    }

    /// Adds a key with its numbers. If the memory is full, first writes the keys in memory as a run.
    pub fn push(&mut self, key: &[u8], numbers: SortedNumbers) -> io::Result<()> {
        if self.keys.len() + self.slots.len() * size_of::<KeySlot>() > RUN_BYTES {
            self.end_run()?;
        }
        let length = u32::try_from(key.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        reserve(&mut self.keys, key.len())?;
        reserve(&mut self.slots, 1)?;
        self.slots.push(KeySlot {
            offset: self.keys.len(),
            length,
            numbers,
        });
        self.keys.extend_from_slice(key);
        Ok(())
    }

    /// Writes the keys in memory as a sorted run.
    fn end_run(&mut self) -> io::Result<()> {
        for slot in sort_slots(&self.keys, &self.slots)? {
            let spool = &mut self.runs.spool;
            spool.put(&slot.length.to_le_bytes())?;
            for number in slot.numbers {
                spool.put(&number.to_le_bytes())?;
            }
            spool.put(slot.key(&self.keys))?;
        }
        self.runs.end_run();
        self.keys.clear();
        self.slots.clear();
        Ok(())
    }

    /// Passes the keys to `each` in ascending order, each with its numbers.
    pub fn for_each_sorted(mut self, mut each: impl FnMut(&[u8], SortedNumbers) -> io::Result<()>) -> io::Result<()> {
        if self.runs.ends.is_empty() {
            let sorted = sort_slots(&self.keys, &self.slots)?;
            return sorted
                .iter()
                .try_for_each(|slot| each(slot.key(&self.keys), slot.numbers));
        }
        self.end_run()?;
        (self.keys, self.slots) = (Vec::new(), Vec::new());
        let read = |cursor: &mut SpoolReader<'_>, (key, numbers): &mut (Vec<u8>, SortedNumbers)| {
            let head = cursor.take(KEY_HEAD_BYTES)?;
            let length = super::layout::u32_at(head, 0) as usize;
            *numbers = [4, 8, 12, 16].map(|offset| super::layout::u32_at(head, offset));
            key.clear();
            reserve(key, length)?;
            key.extend_from_slice(cursor.take(length)?);
            Ok(())
        };
        self.runs.merge(read, |(key, numbers)| each(key, *numbers))
    }
}

/// Returns the slots, sorted by key and then by numbers.
///
/// This function sorts all slots by the first eight bytes of their keys, then each group with equal bytes by the next
/// eight, and so on. Comparing whole keys is slower, because each access to a key is a cache miss.
fn sort_slots(keys: &[u8], slots: &[KeySlot]) -> io::Result<Vec<KeySlot>> {
    // An entry consists of eight bytes of a key, and the key's slot index.
    type Entry = (u64, u32);
    let key_of = |(_, index): &Entry| slots[*index as usize].key(keys);
    let numbers_of = |(_, index): &Entry| slots[*index as usize].numbers;
    let compare = |a: &Entry, b: &Entry| key_of(a).cmp(key_of(b)).then_with(|| numbers_of(a).cmp(&numbers_of(b)));
    let mut entries: Vec<Entry> = Vec::new();
    reserve(&mut entries, slots.len())?;
    let count = u32::try_from(slots.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
    entries.extend((0..count).map(|index| (0, index)));
    // Unsorted ranges of entries, each with the number of first bytes in which its keys are equal.
    let mut unsorted = vec![(0..entries.len(), 0)];
    while let Some((range, depth)) = unsorted.pop() {
        let mut begin = range.start;
        let group = &mut entries[range];
        if group.len() <= SMALL_GROUP {
            group.sort_unstable_by(compare);
            continue;
        }
        for entry in &mut *group {
            entry.0 = eight_bytes(key_of(entry), depth);
        }
        group.sort_unstable_by_key(|(bytes, _)| *bytes);
        for equal in group.chunk_by_mut(|a, b| a.0 == b.0) {
            let end = begin + equal.len();
            // A zero byte may be padding after the end of a key, so further bytes might not distinguish the keys.
            if equal.len() > 1 && equal[0].0.to_be_bytes().contains(&0) {
                equal.sort_unstable_by(compare);
            } else if equal.len() > 1 {
                unsorted.push((begin..end, depth + 8));
            }
            begin = end;
        }
    }
    let mut sorted = Vec::new();
    reserve(&mut sorted, slots.len())?;
    sorted.extend(entries.iter().map(|(_, index)| slots[*index as usize]));
    Ok(sorted)
}

/// Returns eight bytes of a key, beginning at `offset` and padded with zeros, as a number with the same sort order.
fn eight_bytes(key: &[u8], offset: usize) -> u64 {
    let remaining = key.get(offset..).unwrap_or_default();
    let mut bytes = [0; 8];
    let length = remaining.len().min(8);
    bytes[..length].copy_from_slice(&remaining[..length]);
    u64::from_be_bytes(bytes)
}

/// An element of the array to sort: two numbers.
pub type Element = [u32; 2];

/// A function that receives the sorted elements.
type Write<'w> = dyn FnMut(Element) -> io::Result<()> + 'w;

/// Sorts elements in groups with equal hashes. `form` reads the normal form of an element's entry into its last
/// argument, and returns the number of leading components to compare.
pub struct SuffixGroups<F> {
    place: PathBuf,
    form: F,
    /// Hash, entry and element from the previous call. The next element may belong to the same group.
    last: Option<(u32, u32, Element)>,
    /// The elements of the current group, if it has several.
    group: Option<KeySorter>,
    bytes: Vec<u8>,
    key: Vec<u8>,
}

impl<F: FnMut(u32, &Element, &mut Vec<u8>) -> io::Result<usize>> SuffixGroups<F> {
    /// Creates a sorter. Large groups use temporary files beside `place`.
    pub fn new(place: &Path, form: F) -> Self {
        Self {
            place: place.to_path_buf(),
            form,
            last: None,
            group: None,
            bytes: Vec::new(),
            key: Vec::new(),
        }
    }

    /// Adds an element, whose order depends on `hash` and then on the path of `entry`. Elements must come in ascending
    /// order of their hashes. When an element with a greater hash arrives, passes the previous group to `write`.
    pub fn put(&mut self, hash: u32, entry: u32, element: Element, write: &mut Write<'_>) -> io::Result<()> {
        let Some((last_hash, last_entry, last_element)) = self.last.replace((hash, entry, element)) else {
            return Ok(());
        };
        // An element whose hash differs from both neighbours' hashes needs no sorting.
        if last_hash == hash || self.group.is_some() {
            self.join(last_entry, last_element)?;
        } else {
            write(last_element)?;
        }
        if last_hash != hash {
            self.end_group(write)?;
        }
        Ok(())
    }

    /// Ends the input: passes the last group to `write`, or the last element if no other element has its hash.
    pub fn finish(mut self, write: &mut Write<'_>) -> io::Result<()> {
        if let Some((_, entry, element)) = self.last.take() {
            if self.group.is_none() {
                return write(element);
            }
            self.join(entry, element)?;
        }
        self.end_group(write)
    }

    /// Adds an element to the current group; starts a group if there is none.
    fn join(&mut self, entry: u32, element: Element) -> io::Result<()> {
        let leading_components = (self.form)(entry, &element, &mut self.bytes)?;
        suffix_key(Form::from_folded(&self.bytes), leading_components, &mut self.key);
        let group = self.group.get_or_insert_with(|| KeySorter::new(&self.place));
        // Elements with equal components are sorted by their second number.
        group.push(&self.key, [element[1], element[0], 0, 0])
    }

    /// Passes the elements of the current group, if there is one, to `write` in order.
    fn end_group(&mut self, write: &mut Write<'_>) -> io::Result<()> {
        match self.group.take() {
            Some(group) => group.for_each_sorted(|_, [second, first, ..]| write([first, second])),
            None => Ok(()),
        }
    }
}

/// Writes a sort key to `key`: the path's first `leading_components` components, last component first. So paths with
/// the same last components are adjacent, and shorter paths come first. For a folder, `form` is a path below the
/// folder, and `leading_components` is the folder's number of components.
fn suffix_key(form: Form<'_>, leading_components: usize, key: &mut Vec<u8>) {
    key.clear();
    let skipped = form.rev_components().count().saturating_sub(leading_components);
    for component in form.rev_components().skip(skipped) {
        if !key.is_empty() {
            key.push(0);
        }
        // A zero byte separates components, so zero bytes in a component are escaped with a one, and ones too.
        for byte in component.folded() {
            match byte {
                0 => key.extend_from_slice(&[1, 1]),
                1 => key.extend_from_slice(&[1, 2]),
                byte => key.push(byte),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeySorter, PAIRS_PER_RUN, PairSorter, RUN_BYTES, SortedNumbers};

    fn random(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *seed >> 33
    }

    #[test]
    fn pairs_are_sorted_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("segment");
        let mut seed = 7;
        let mut sorter = PairSorter::new(&place);
        let mut expected = Vec::new();
        for at in 0..u32::try_from(PAIRS_PER_RUN * 2 + 100).expect("few") {
            let pair = ((random(&mut seed) % 1000) << 32, at);
            expected.push(pair);
            sorter.push(pair.0, pair.1).expect("room");
        }
        assert!(!sorter.runs.ends.is_empty());
        expected.sort_unstable();
        let mut found = Vec::new();
        sorter
            .for_each_sorted(|first, second| {
                found.push((first, second));
                Ok(())
            })
            .expect("sorted");
        assert!(found == expected);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn keys_are_sorted_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("segment");
        let mut seed = 9;
        let mut sorter = KeySorter::new(&place);
        let mut expected: Vec<(Vec<u8>, SortedNumbers)> = Vec::new();
        let mut bytes = 0;
        while bytes < RUN_BYTES * 2 {
            let length = usize::try_from(random(&mut seed) % 60).expect("few");
            let mut key = b"the same beginning/".repeat(usize::from(random(&mut seed).is_multiple_of(2)));
            key.extend((0..length).map(|_| u8::try_from(random(&mut seed) % 3).expect("few")));
            let beside = [u32::try_from(expected.len()).expect("few"), 1, 2, 3];
            bytes += key.len() + 32;
            sorter.push(&key, beside).expect("room");
            expected.push((key, beside));
        }
        assert!(!sorter.runs.ends.is_empty());
        expected.sort_unstable();
        let mut found = Vec::new();
        sorter
            .for_each_sorted(|key, beside| {
                found.push((key.to_vec(), beside));
                Ok(())
            })
            .expect("sorted");
        assert!(found == expected);
    }
}
