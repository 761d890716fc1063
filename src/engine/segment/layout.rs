//! The file of a segment: its header, the encodings that several parts share, and the writer with its sorters.
//!
//! The writer writes the parts in order, their checksums, and finally the header. A sorter writes sorted runs to a
//! temporary file, and merges the runs at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result, Status};
use crate::matching::normal::form_tag;
use crate::platform::files;

/// The kind of a segment file. The numbers are part of the file format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileKind {
    /// The items of a complete listing.
    #[default]
    Listing = 4,
    /// An index of a listing's items by GUID and title.
    Index = 2,
}

/// Size in bytes of the header, and of each block that has its own checksum.
pub const BLOCK: usize = 4096;
/// The first bytes of every segment file.
const MAGIC: [u8; 8] = *b"PLXWARM\0";
/// Version of the format. If a listing's segment has a different version, plexindex fetches the listing again.
const VERSION: u32 = 11;
/// The version before, of which plexindex reads the items, and builds a new segment with them.
const EARLIER_VERSION: u32 = 10;
/// Offset of the header's checksum, which covers all bytes before it.
const AT_SUM: usize = 504;
/// Offset of the header's 64-bit numbers.
const AT_WORDS: usize = 16;
const AT_KIND: usize = 247; // one byte, after the 64-bit numbers
/// Offset of the library's uuid: a length byte, then the uuid.
const AT_UUID: usize = 248;
/// Maximum length of a uuid in bytes. A uuid from Plex has 36 bytes.
const MAX_UUID: usize = 255;

/// Returns the file offset of the entry or record with this number. A number is an offset divided by four. On 32-bit
/// platforms, a large number from a damaged segment results in an offset after the end of any file, so that reads fail.
#[inline]
pub fn offset_of(number: u32) -> usize {
    (number as usize).saturating_mul(4)
}

/// A part of a segment file: its position and length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentPart {
    /// File offset of the first element.
    pub at: u64,
    pub count: u64,
}

impl SegmentPart {
    /// Returns the number of elements; `usize::MAX` if the number does not fit, so that bounds checks fail.
    pub fn len(self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// Returns the file offset of the element with this index, if each element has `size` bytes. The index may be out
    /// of bounds: reads check the offset.
    #[inline]
    pub fn element_offset(self, index: usize, size: usize) -> usize {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        at.saturating_add(index.saturating_mul(size))
    }
}

/// The decoded header of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentHeader {
    pub kind: FileKind,
    /// Whether the file is a listing of the version before, or of a build whose listings had no table of sizes, so that
    /// only the records and the table of keys are readable.
    pub is_earlier: bool,
    pub length: u64,
    /// Numbers that earlier builds wrote, and that nothing reads.
    pub unused: [u64; 2],
    /// Digest of the mappings that translated the mapped paths.
    pub mappings: u64,
    /// Number of items or records.
    pub items: u64,
    /// Number of listed paths.
    pub listed_paths: u64,
    /// A digest of all items, which does not depend on the items' order.
    pub content: u64,
    /// See [`super::ListingMeta::assigned`].
    pub assigned: u64,
    pub records: SegmentPart,
    /// Slots of the path table, including the slots after the last home slot.
    pub paths: SegmentPart,
    /// Number of home slots in the path table. Hashes are scaled to this number.
    pub path_homes: u64,
    pub keys: SegmentPart,
    pub key_homes: u64,
    pub names: SegmentPart,
    pub name_homes: u64,
    /// Number of slots of the table of sizes, which follows that of names, and number of its home slots. An earlier build
    /// had other numbers here: 0 in place of the home slots.
    pub size_slots: u64,
    pub size_homes: u64,
    /// The numbers of all entries, in the order of their normal forms.
    pub order: SegmentPart,
    pub checksums: SegmentPart,
    /// Checksum of the checksum table.
    pub checksum_table_hash: u64,
    /// Keyed hash of the file's name. Each store has its own key, so plexindex can reject a renamed file or another
    /// store's file.
    pub name_mac: u64,
    pub uuid: String,
}

impl SegmentHeader {
    /// Encodes the header and its checksum as the first block of the file.
    pub fn encode(&self) -> [u8; BLOCK] {
        let mut out = [0; BLOCK];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&form_tag().to_le_bytes());
        // `words` returns mutable references, so it needs a copy.
        let mut words = self.clone();
        for (slot, word) in out[AT_WORDS..].chunks_exact_mut(8).zip(words.words()) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        out[AT_KIND] = self.kind as u8;
        let uuid = self.uuid.as_bytes();
        let length = uuid.len().min(MAX_UUID);
        out[AT_UUID] = u8::try_from(length).unwrap_or(0);
        out[AT_UUID + 1..][..length].copy_from_slice(&uuid[..length]);
        let sum = xxh3_64(&out[..AT_SUM]);
        out[AT_SUM..AT_SUM + 8].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Decodes the header at the beginning of `file`, a file of this kind, and verifies its checksum. On failure, returns
    /// the reason for an error message.
    pub fn decode(file: &[u8], kind: FileKind) -> Result<Self, &'static str> {
        const OTHER_VERSION: &str = "another version of plexindex wrote the file";
        let head = file.get(..BLOCK).ok_or("the file is too short")?;
        if head[..8] != MAGIC {
            return Err("the file is not a segment");
        }
        let is_earlier = kind == FileKind::Listing && u32_at(head, 8) == EARLIER_VERSION;
        // Another version may have its checksum elsewhere.
        if u32_at(head, 8) != VERSION && !is_earlier {
            return Err(OTHER_VERSION);
        }
        if xxh3_64(&head[..AT_SUM]) != u64_at(head, AT_SUM) {
            return Err("the header is damaged");
        }
        // Other versions have other kinds (0 for some listings), and other rules for normal forms.
        let is_kind = head[AT_KIND] == kind as u8 || is_earlier && head[AT_KIND] == 0;
        if !is_kind || u32_at(head, 12) != form_tag() {
            return Err(OTHER_VERSION);
        }
        let uuid = head[AT_UUID + 1..AT_SUM].get(..usize::from(head[AT_UUID]));
        let mut decoded = Self {
            kind,
            is_earlier,
            uuid: uuid
                .and_then(|uuid| std::str::from_utf8(uuid).ok())
                .ok_or("the header is damaged")?
                .to_owned(),
            ..Self::default()
        };
        for (word, bytes) in decoded.words().into_iter().zip(head[AT_WORDS..].chunks_exact(8)) {
            *word = u64_at(bytes, 0);
        }
        decoded.is_earlier |= kind == FileKind::Listing && decoded.size_homes == 0;
        Ok(decoded)
    }

    /// Returns the header's 64-bit numbers in file order, so that `encode` and `decode` use the same order.
    fn words(&mut self) -> [&mut u64; 27] {
        let [one, other] = &mut self.unused;
        [
            &mut self.length,
            one,
            other,
            &mut self.mappings,
            &mut self.items,
            &mut self.listed_paths,
            &mut self.records.at,
            &mut self.records.count,
            &mut self.paths.at,
            &mut self.paths.count,
            &mut self.path_homes,
            &mut self.keys.at,
            &mut self.keys.count,
            &mut self.key_homes,
            &mut self.names.at,
            &mut self.names.count,
            &mut self.name_homes,
            &mut self.size_homes,
            &mut self.checksums.at,
            &mut self.checksums.count,
            &mut self.checksum_table_hash,
            &mut self.name_mac,
            &mut self.order.at,
            &mut self.order.count,
            &mut self.content,
            &mut self.size_slots,
            &mut self.assigned,
        ]
    }
}

/// Returns the little-endian number at the offset `at`. Panics if `bytes` is too short, so the caller checks the
/// bounds.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// Returns the little-endian number at the offset `at`. Panics if `bytes` is too short, so the caller checks the
/// bounds.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// Appends a number as a varint: groups of seven bits, lowest group first. The upper bit of a byte says that another
/// byte follows.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Maximum length of a varint in bytes.
pub const LONGEST_VARINT: usize = 10;

/// Returns the number in the varint at the beginning of `bytes`, and the varint's length in bytes. `None` if the varint
/// does not end within [`LONGEST_VARINT`] bytes.
#[inline]
pub fn read_varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    // Most varints have one byte.
    if first < 0x80 {
        return Some((u64::from(first), 1));
    }
    let mut value = 0;
    for (index, byte) in bytes.iter().take(LONGEST_VARINT).enumerate() {
        value |= u64::from(byte & 0x7F).checked_shl(7 * u32::try_from(index).ok()?)?;
        if *byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}

/// Maps 0, -1, 1, -2 … to 0, 1, 2, 3 …, so that signed numbers close to zero have short varints.
pub fn zigzag(value: i32) -> u64 {
    let value = i64::from(value);
    ((value << 1) ^ (value >> 63)).cast_unsigned() // the second term flips all bits of a negative number
}

/// Maps 0, 1, 2, 3 … back to 0, -1, 1, -2 …. Returns 0 if the result does not fit.
pub fn unzigzag(value: u64) -> i32 {
    let value = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
    i32::try_from(value).unwrap_or(0)
}

/// Returns a unique path for a temporary file beside `path`. If the process is killed, plexindex later removes the
/// file, which it recognizes by the suffix.
pub fn temporary(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{number}.new", std::process::id()));
    path.with_file_name(name)
}

/// Reserves memory for this number of further elements. Fails if there is too little memory, whereas a plain allocation
/// would abort the host.
pub fn reserve<T>(list: &mut Vec<T>, further_elements: usize) -> io::Result<()> {
    list.try_reserve(further_elements)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
}

/// Size and alignment of writes. File systems with large folios then cache the file in pieces of this size, each with
/// one TLB entry, which reduces TLB misses in large segments and page faults in new processes.
const PIECE: usize = if cfg!(test) { 8 << 10 } else { 2 << 20 };

/// A file under a temporary name. Dropping this value removes the file, unless [`TemporaryFile::persist`] has renamed
/// it.
pub struct TemporaryFile {
    file: File,
    name: Option<PathBuf>,
}

impl TemporaryFile {
    /// Creates the file under a unique name in the same folder as `path`.
    fn create_beside(path: &Path) -> io::Result<Self> {
        let name = temporary(path);
        Ok(Self {
            file: files::create_new(&name)?,
            name: Some(name),
        })
    }

    /// Returns another handle to the file. The handle stays usable even if another process removes the renamed file.
    pub fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Renames the file to `path`. If there is a file at `path` already, keeps that file instead, because processes may
    /// have mapped it, and removes the temporary file.
    pub fn persist(mut self, path: &Path) -> io::Result<()> {
        if path.symlink_metadata().is_ok_and(|facts| facts.is_file()) {
            return Ok(());
        }
        let renamed = self.name.as_ref().map_or(Ok(()), |name| files::rename(name, path));
        if renamed.is_ok() {
            self.name = None;
        }
        renamed
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = files::remove(name);
        }
    }
}

/// Writes a segment: collects the bytes between the header and the checksums, and computes the checksums.
pub struct SegmentWriter {
    /// A path beside which the segment's temporary file is created, on the first write.
    place: PathBuf,
    out: Option<TemporaryFile>,
    /// Number of bytes written to the file, in whole pieces.
    written: usize,
    /// The write buffer. The first piece begins with space for the header.
    buffer: Vec<u8>,
    /// The checksums of the blocks in the file.
    sums: Vec<u8>,
}

impl SegmentWriter {
    /// Creates a writer for a segment in the same folder as `place`.
    pub fn new(place: &Path) -> Self {
        Self {
            place: place.to_path_buf(),
            out: None,
            written: 0,
            buffer: vec![0; BLOCK],
            sums: Vec::new(),
        }
    }

    /// Takes the file for writing, and creates it on the first call.
    fn take_file(&mut self) -> io::Result<TemporaryFile> {
        let out = self.out.take();
        out.map_or_else(|| TemporaryFile::create_beside(&self.place), Ok)
    }

    /// Returns the file offset of the next byte.
    pub fn position(&self) -> usize {
        self.written + self.buffer.len()
    }

    /// Reserves memory for `room` more bytes, and returns the buffer for these bytes. Call
    /// [`SegmentWriter::flush_pieces`] afterwards.
    pub fn buffer_for(&mut self, room: usize) -> io::Result<&mut Vec<u8>> {
        reserve(&mut self.buffer, room)?;
        Ok(&mut self.buffer)
    }

    /// Writes the whole pieces in the buffer to the file.
    pub fn flush_pieces(&mut self) -> io::Result<()> {
        if self.buffer.len() < PIECE {
            return Ok(());
        }
        let whole = self.buffer.len() - self.buffer.len() % PIECE;
        let mut out = self.take_file()?;
        out.file.write_all(&self.buffer[..whole])?;
        self.out = Some(out);
        self.add_checksums(whole)?;
        self.buffer.drain(..whole);
        self.written += whole;
        Ok(())
    }

    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer_for(bytes.len())?.extend_from_slice(bytes);
        self.flush_pieces()
    }

    /// Adds the checksums of the blocks in the buffer's first `until` bytes, except the header, which contains its own
    /// checksum.
    fn add_checksums(&mut self, until: usize) -> io::Result<()> {
        let from = if self.written == 0 { BLOCK } else { 0 };
        reserve(&mut self.sums, until.div_ceil(BLOCK) * 8)?;
        for block in self.buffer[from..until].chunks(BLOCK) {
            self.sums.extend_from_slice(&xxh3_64(block).to_le_bytes());
        }
        Ok(())
    }

    /// Ends the part that began at the offset `from`, and returns its position and length for the header. Pads the part
    /// to a multiple of eight bytes, so that no hash table slot spans two blocks. An element has `size` bytes.
    pub fn end_part(&mut self, from: usize, size: usize) -> io::Result<SegmentPart> {
        let length = self.position() - from;
        self.put(&[0; 8][..length.next_multiple_of(8) - length])?;
        Ok(SegmentPart {
            at: from as u64,
            count: (length / size) as u64,
        })
    }

    /// Writes the checksums, and then the header at the beginning of the file. Completes `head` with the checksums'
    /// position and the file's length.
    pub fn finish(mut self, head: &mut SegmentHeader) -> io::Result<TemporaryFile> {
        self.add_checksums(self.buffer.len())?;
        head.checksums = SegmentPart {
            at: self.position() as u64,
            count: self.sums.len() as u64 / 8,
        };
        head.checksum_table_hash = xxh3_64(&self.sums);
        head.length = (self.position() + self.sums.len()) as u64;
        let mut out = self.take_file()?;
        out.file.write_all(&self.buffer)?;
        out.file.write_all(&self.sums)?;
        out.file.seek(SeekFrom::Start(0))?;
        out.file.write_all(&head.encode())?;
        Ok(out)
    }
}

/// Creates an error whose message is `what`, then the error's text and, if the disk is full, a remedy.
pub fn write_error(what: &str, error: &io::Error) -> Error {
    let full = files::is_full(error);
    let status = if full { Status::StoreFull } else { Status::Store };
    let remedy = if full {
        "; free some space, or choose another cache_dir"
    } else {
        ""
    };
    Error::new(status, format!("{what}{}{remedy}", files::text_of(error))).with_io_source(error)
}

/// Adds the segment's path to the error of a failed write.
pub fn cannot_write<T>(done: io::Result<T>, path: &Path) -> Result<T> {
    done.map_err(|error| write_error(&format!("cannot write segment {}: ", path.display()), &error))
}

/// Returns the error for a segment of more than 16 GiB, which 32-bit entry numbers cannot address.
pub fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "a segment can have at most 16 GiB")
}

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

/// Percentage of home slots in use. A higher load saves memory but makes searches longer.
const LOAD_PERCENT: usize = 85;
/// Size of a slot in bytes.
pub const SLOT: usize = 8;
/// A free slot.
const FREE: [u8; SLOT] = [0; SLOT];

/// Returns the upper half of a hash. Slots store only this half.
pub fn upper(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(u32::MAX)
}

/// Returns the slot index where a search for a hash begins, among `homes` home slots; out of bounds in a damaged table.
#[inline]
pub fn home_slot(hash: u64, homes: u64) -> usize {
    usize::try_from((hash >> 32).wrapping_mul(homes) >> 32).unwrap_or(usize::MAX)
}

/// Sorts pairs of a hash and an entry, and writes them as a hash table. Returns the table's part and its number of home
/// slots.
pub fn put_table(pairs: PairSorter, body: &mut SegmentWriter) -> io::Result<(SegmentPart, u64)> {
    let homes = (pairs.len() * 100).div_ceil(LOAD_PERCENT).max(1);
    let (begin, mut written) = (body.position(), 0);
    pairs.for_each_sorted(|hash, entry| {
        let slot = home_slot(hash, homes as u64).max(written);
        (written..slot).try_for_each(|_| body.put(&FREE))?;
        written = slot + 1;
        body.put(&(u64::from(entry) << 32 | u64::from(upper(hash))).to_le_bytes())
    })?;
    // The table has all its home slots.
    (written..homes).try_for_each(|_| body.put(&FREE))?;
    Ok((body.end_part(begin, 8)?, homes as u64))
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
