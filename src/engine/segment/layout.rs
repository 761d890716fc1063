//! The file of a segment: its header, and the encodings and hashes that those who write and who read a segment share.

use std::io;
use std::path::Path;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

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

/// Reserves memory for this number of further elements. Fails if there is too little memory, whereas a plain allocation
/// would abort the host.
pub fn reserve<T>(list: &mut Vec<T>, further_elements: usize) -> io::Result<()> {
    list.try_reserve(further_elements)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))
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

/// Size of a slot in bytes.
pub const SLOT: usize = 8;
/// Returns the upper half of a hash. Slots store only this half.
pub fn upper(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(u32::MAX)
}

/// Returns the slot index where a search for a hash begins, among `homes` home slots; out of bounds in a damaged table.
#[inline]
pub fn home_slot(hash: u64, homes: u64) -> usize {
    usize::try_from((hash >> 32).wrapping_mul(homes) >> 32).unwrap_or(usize::MAX)
}

/// Seeds of the hashes by which the table of names finds the first path in a folder, by the folder's name, and the items
/// of a show, by the show's rating key. Hashes of file names have no seed.
const FOLDER: u64 = 1;
const SHOW: u64 = 2;

/// Returns the hash of a folder's name, which is in normal form.
pub fn folder_hash(name: &[u8]) -> u64 {
    xxh3_64_with_seed(name, FOLDER)
}

/// Returns the hash of the rating key of a show or artist.
pub fn show_hash(rating_key: &str) -> u64 {
    xxh3_64_with_seed(rating_key.as_bytes(), SHOW)
}

/// Returns the hash of a file's size.
pub fn size_hash(size: u64) -> u64 {
    xxh3_64(&size.to_le_bytes())
}
