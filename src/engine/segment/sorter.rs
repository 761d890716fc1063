//! External sorting: a sorter writes sorted runs to a temporary file, and merges the runs at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::layout::{reserve, temporary, u32_at};
use crate::platform::files;

/// Memory limit for a run, in bytes; lower in tests, so that they write several runs.
const RUN_BYTES: usize = if cfg!(test) { 1 << 14 } else { 4 << 20 };
/// Size of a key's length and number in a run, in bytes: two `u32` values.
const KEY_HEAD_BYTES: usize = 8;
/// Size of a write buffer, and maximum size of a read buffer, in bytes.
const BUFFER_SIZE: usize = if cfg!(test) { 8 << 10 } else { 256 << 10 };
/// Maximum total size of the read buffers of a sorter's runs, in bytes.
const MAX_READ_BUFFERS: usize = 4 << 20;

/// Reads a run.
struct RunReader<'f> {
    file: &'f File,
    offset: u64,
    end: u64,
}

impl Read for RunReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
        let length = left.min(buffer.len());
        files::read_at(self.file, &mut buffer[..length], self.offset)?;
        self.offset += length as u64;
        Ok(length)
    }
}

/// Reads the next key and its number. Returns `false` at the end of the run.
fn read_key(run: &mut BufReader<RunReader<'_>>, (key, number): &mut (Vec<u8>, u32)) -> io::Result<bool> {
    if run.fill_buf()?.is_empty() {
        return Ok(false);
    }
    let mut head = [0; KEY_HEAD_BYTES];
    run.read_exact(&mut head)?;
    let length = u32_at(&head, 0) as usize;
    *number = u32_at(&head, 4);
    key.clear();
    reserve(key, length)?;
    key.resize(length, 0);
    run.read_exact(key)?;
    Ok(true)
}

/// Sorts byte keys, each with a number. Equal keys are sorted by their numbers.
pub struct KeySorter {
    /// The bytes of the keys that are not yet in a run.
    keys: Vec<u8>,
    slots: Vec<KeySlot>,
    /// The path beside which the sorter creates its file.
    place: PathBuf,
    /// The sorted runs, one after another.
    file: Option<File>,
    /// The offset at which each run ends in the file.
    ends: Vec<u64>,
    count: usize,
}

/// The position of a key in [`KeySorter::keys`], and the key's number.
#[derive(Clone, Copy)]
struct KeySlot {
    /// The key's first bytes, which mostly decide: see [`first_bytes`].
    first: u64,
    offset: usize,
    length: u32,
    number: u32,
}

impl KeySlot {
    /// Returns the bytes of the key. `keys` is the sorter's [`KeySorter::keys`].
    fn key<'k>(&self, keys: &'k [u8]) -> &'k [u8] {
        &keys[self.offset..self.offset + self.length as usize]
    }
}

/// Returns the first eight bytes of a key, with zeros behind a shorter one, as a number in the order of the keys.
fn first_bytes(key: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = key.len().min(first.len());
    first[..length].copy_from_slice(&key[..length]);
    u64::from_be_bytes(first)
}

impl KeySorter {
    /// Creates a sorter with temporary files beside `place`.
    pub fn new(place: &Path) -> Self {
        Self {
            keys: Vec::new(),
            slots: Vec::new(),
            place: place.to_path_buf(),
            file: None,
            ends: Vec::new(),
            count: 0,
        }
    }

    /// Adds a key with its number. If the memory is full, first writes the keys in memory as a run.
    pub fn push(&mut self, key: &[u8], number: u32) -> io::Result<()> {
        if self.keys.len() + self.slots.len() * size_of::<KeySlot>() > RUN_BYTES {
            self.end_run()?;
        }
        let length = u32::try_from(key.len()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        reserve(&mut self.keys, key.len())?;
        reserve(&mut self.slots, 1)?;
        self.slots.push(KeySlot {
            first: first_bytes(key),
            offset: self.keys.len(),
            length,
            number,
        });
        self.keys.extend_from_slice(key);
        self.count += 1;
        Ok(())
    }

    /// Sorts the keys in memory.
    fn sort(&mut self) {
        let keys = &self.keys;
        let whole = |a: &KeySlot, b: &KeySlot| (a.key(keys), a.number).cmp(&(b.key(keys), b.number));
        self.slots
            .sort_unstable_by(|a, b| a.first.cmp(&b.first).then_with(|| whole(a, b)));
    }

    /// Writes the keys in memory as a sorted run.
    fn end_run(&mut self) -> io::Result<()> {
        self.sort();
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(files::create_temporary(&temporary(&self.place))?),
        };
        let mut out = BufWriter::with_capacity(BUFFER_SIZE, file);
        let mut end = self.ends.last().copied().unwrap_or(0);
        for slot in self.slots.drain(..) {
            out.write_all(&slot.length.to_le_bytes())?;
            out.write_all(&slot.number.to_le_bytes())?;
            out.write_all(slot.key(&self.keys))?;
            end += KEY_HEAD_BYTES as u64 + u64::from(slot.length);
        }
        out.flush()?;
        self.ends.push(end);
        self.keys.clear();
        Ok(())
    }

    /// Passes the keys to `each` in ascending order, each with its number.
    pub fn for_each_sorted(mut self, mut each: impl FnMut(&[u8], u32) -> io::Result<()>) -> io::Result<()> {
        if self.ends.is_empty() {
            self.sort();
            let mut slots = self.slots.iter();
            return slots.try_for_each(|slot| each(slot.key(&self.keys), slot.number));
        }
        self.end_run()?;
        (self.keys, self.slots) = (Vec::new(), Vec::new());
        let Some(file) = &self.file else { return Ok(()) };
        // The heap contains the next key of each run.
        let (mut heap, mut runs) = (BinaryHeap::new(), Vec::new());
        let (mut offset, read_size) = (0, (MAX_READ_BUFFERS / self.ends.len()).clamp(4 << 10, BUFFER_SIZE));
        for end in &self.ends {
            let reader = RunReader {
                file,
                offset,
                end: *end,
            };
            offset = *end;
            let (mut run, mut first) = (BufReader::with_capacity(read_size, reader), <(Vec<u8>, u32)>::default());
            if read_key(&mut run, &mut first)? {
                heap.push(Reverse((first, runs.len())));
            }
            runs.push(run);
        }
        while let Some(mut smallest) = heap.peek_mut() {
            let Reverse((key, run)) = &mut *smallest;
            each(&key.0, key.1)?;
            if !read_key(&mut runs[*run], key)? {
                PeekMut::pop(smallest);
            }
        }
        Ok(())
    }
}

/// Sorts pairs of a hash and an entry.
pub struct PairSorter(KeySorter);

impl PairSorter {
    /// Creates a sorter with temporary files beside `place`.
    pub fn new(place: &Path) -> Self {
        Self(KeySorter::new(place))
    }

    pub fn len(&self) -> usize {
        self.0.count
    }

    /// Adds a pair.
    pub fn push(&mut self, hash: u64, entry: u32) -> io::Result<()> {
        self.0.push(&hash.to_be_bytes(), entry)
    }

    /// Passes the pairs to `each` in ascending order of the hash, then of the entry.
    pub fn for_each_sorted(self, mut each: impl FnMut(u64, u32) -> io::Result<()>) -> io::Result<()> {
        self.0.for_each_sorted(|key, entry| {
            let hash = key.iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte));
            each(hash, entry)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{KeySorter, RUN_BYTES};

    fn random(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *seed >> 33
    }

    #[test]
    fn keys_are_sorted_on_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("segment");
        let mut seed = 9;
        let mut sorter = KeySorter::new(&place);
        let mut expected: Vec<(Vec<u8>, u32)> = Vec::new();
        let mut bytes = 0;
        while bytes < RUN_BYTES * 2 {
            let length = usize::try_from(random(&mut seed) % 60).expect("few");
            let mut key = b"the same beginning/".repeat(usize::from(random(&mut seed).is_multiple_of(2)));
            key.extend((0..length).map(|_| u8::try_from(random(&mut seed) % 3).expect("few")));
            let number = u32::try_from(expected.len()).expect("few");
            bytes += key.len() + 16;
            sorter.push(&key, number).expect("room");
            expected.push((key, number));
        }
        assert!(!sorter.ends.is_empty());
        expected.sort_unstable();
        let mut found = Vec::new();
        sorter
            .for_each_sorted(|key, number| {
                found.push((key.to_vec(), number));
                Ok(())
            })
            .expect("sorted");
        assert!(found == expected);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}
