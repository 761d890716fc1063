//! The file of a segment: its header, the encodings that several parts share, verified reads, and the writer.
//!
//! The first read of a block verifies the block's checksum. The writer writes the parts in order, their checksums, and
//! finally the header.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Error, Result, Status};
use crate::matching::normal::form_tag;
use crate::platform::files;
use crate::platform::map::FileBytes;

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
    pub generation: u64,
    /// The change sequence up to which a listing's segment contains all changes.
    pub sequence: u64,
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
        [
            &mut self.length,
            &mut self.generation,
            &mut self.sequence,
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

/// The error for a failed check or an offset out of bounds. The segment is already marked as broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

/// The result of a read. Callers can ignore an error, because the segment is already marked as broken.
pub type ReadResult<T> = Result<T, Damaged>;

/// The bytes of a segment file, and the set of blocks that have passed verification.
pub struct CheckedBytes {
    bytes: FileBytes,
    /// Offset of the checksum table, which [`CheckedBytes::new`] has verified.
    sums: usize,
    /// Bit n is set if block n has passed verification. Relaxed ordering is enough, because the bytes never change.
    passed: Box<[AtomicU64]>,
    broken: AtomicBool,
}

impl CheckedBytes {
    /// Creates a reader for a segment with the decoded header `head`. Verifies the checksum table, on which all later
    /// checks rely. On failure, returns the reason.
    pub fn new(bytes: FileBytes, head: &SegmentHeader) -> Result<Self, &'static str> {
        let sums = usize::try_from(head.checksums.at).map_err(|_| "the file is too large")?;
        let blocks = sums.div_ceil(BLOCK);
        let table = bytes.get(sums..).ok_or("the file is truncated")?;
        if head.length != bytes.len() as u64 || sums < BLOCK || table.len() != (blocks - 1) * 8 {
            return Err("the file is truncated");
        }
        if xxh3_64(table) != head.checksum_table_hash {
            return Err("the checksum table is damaged");
        }
        let passed: Box<[AtomicU64]> = (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        // The header has its own checksum, which has already been verified.
        if let Some(first) = passed.first() {
            first.store(1, Ordering::Relaxed);
        }
        Ok(Self {
            bytes,
            sums,
            passed,
            broken: AtomicBool::new(false),
        })
    }

    /// Returns `length` bytes at the offset `at`. The first read of a block verifies the block's checksum.
    #[inline]
    pub fn slice(&self, at: usize, length: usize) -> ReadResult<&[u8]> {
        let end = at.wrapping_add(length);
        // If the addition has overflowed, `at` exceeds `end`. The data ends where the checksum table begins.
        if at > end || end > self.sums {
            return Err(self.mark_damaged());
        }
        let first = at / BLOCK;
        let last = end.saturating_sub(1).max(at) / BLOCK;
        if first != last || !self.has_passed(first) {
            self.verify_blocks(first, last)?;
        }
        Ok(&self.bytes[at..end])
    }

    /// Returns `length` verified bytes at the offset `at`, or fewer if the data ends earlier.
    #[inline]
    pub fn up_to(&self, at: usize, length: usize) -> ReadResult<&[u8]> {
        self.slice(at, length.min(self.sums.saturating_sub(at)))
    }

    /// Prefetches the bytes at the offset `at` without verifying them.
    #[inline]
    pub fn prefetch(&self, at: usize) {
        self.bytes.prefetch(at);
    }

    #[inline]
    fn has_passed(&self, block: usize) -> bool {
        self.passed
            .get(block / 64)
            .is_some_and(|word| word.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    /// Verifies the blocks from `first` to `last`, except those that have already passed.
    #[inline(never)]
    fn verify_blocks(&self, first: usize, last: usize) -> ReadResult<()> {
        (first..=last)
            .filter(|block| !self.has_passed(*block))
            .try_for_each(|block| self.verify(block))
    }

    /// Verifies a block's checksum, and marks the block as passed.
    #[cold]
    #[inline(never)]
    fn verify(&self, block: usize) -> ReadResult<()> {
        if block * BLOCK >= self.sums {
            // An empty read at the end of the data touches no block.
            return Ok(());
        }
        let end = (block * BLOCK + BLOCK).min(self.sums);
        // The table has no element for block 0, the header.
        let sum = u64_at(&self.bytes, self.sums + (block - 1) * 8);
        if xxh3_64(&self.bytes[block * BLOCK..end]) != sum {
            return Err(self.mark_damaged());
        }
        self.passed[block / 64].fetch_or(1 << (block % 64), Ordering::Relaxed);
        Ok(())
    }

    /// Marks the segment as broken, and returns the error for the caller to return.
    #[cold]
    pub fn mark_damaged(&self) -> Damaged {
        self.broken.store(true, Ordering::Relaxed);
        Damaged
    }

    /// Returns whether a check has failed since the segment was opened.
    #[inline]
    pub fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Relaxed)
    }
}

/// Binary search: returns the first index in `within` for which `before` is `false`, or else `within.end`.
#[inline]
pub fn bisect(mut within: Range<usize>, before: impl Fn(usize) -> ReadResult<bool>) -> ReadResult<usize> {
    while within.start < within.end {
        let middle = within.start + (within.end - within.start) / 2;
        if before(middle)? {
            within.start = middle + 1;
        } else {
            within.end = middle;
        }
    }
    Ok(within.start)
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
