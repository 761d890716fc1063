//! The header of a segment, and the encodings that several parts share.

use xxhash_rust::xxh3::xxh3_64;

use crate::matching::normal::form_tag;

/// The kind of a segment file. The numbers are part of the file format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileKind {
    /// The items of a complete listing.
    #[default]
    Listing = 4,
    /// A listing of an earlier version, whose name table has the hashes of whole names.
    EarlierListing = 0,
    /// An index of a listing's items by GUID and title.
    Index = 2,
}

/// Size in bytes of the header, and of each block that has its own checksum.
pub const BLOCK: usize = 4096;
/// The first bytes of every segment file.
const MAGIC: [u8; 8] = *b"PLXWARM\0";
/// Version of the format. If a listing's segment has a different version, plexindex fetches the listing again.
const VERSION: u32 = 10;
/// Offset of the header's checksum, which covers all bytes before it.
const AT_SUM: usize = 504;
/// Offset of the header's 64-bit numbers.
const AT_WORDS: usize = 16;
const AT_KIND: usize = 247; // one byte, after the 64-bit numbers
/// Offset of the library's uuid: a length byte, then the uuid.
const AT_UUID: usize = 248;
/// Maximum length of a uuid in bytes. A uuid from Plex has 36 bytes.
pub const MAX_UUID: usize = 255;

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
    /// Number of items whose facts are known.
    pub items_with_facts: u64,
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
    pub directory: SegmentPart,
    /// In words of four bytes: a listing's folder order, or the numbers of every 16th record of a record segment.
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

    /// Decodes the header at the beginning of `file`, a file of one of these kinds, and verifies its checksum. On failure,
    /// returns the reason for an error message.
    pub fn decode(file: &[u8], kinds: &[FileKind]) -> Result<Self, &'static str> {
        const OTHER_VERSION: &str = "another version of plexindex wrote the file";
        let head = file.get(..BLOCK).ok_or("the file is too short")?;
        if head[..8] != MAGIC {
            return Err("the file is not a segment");
        }
        // Another version may have its checksum elsewhere.
        if u32_at(head, 8) != VERSION {
            return Err(OTHER_VERSION);
        }
        if xxh3_64(&head[..AT_SUM]) != u64_at(head, AT_SUM) {
            return Err("the header is damaged");
        }
        // Other versions have other kinds, and other rules for normal forms.
        let kind = kinds.iter().find(|kind| head[AT_KIND] == **kind as u8);
        let kind = *kind.filter(|_| u32_at(head, 12) == form_tag()).ok_or(OTHER_VERSION)?;
        let uuid = head[AT_UUID + 1..AT_SUM].get(..usize::from(head[AT_UUID]));
        let mut decoded = Self {
            kind,
            uuid: uuid
                .and_then(|uuid| std::str::from_utf8(uuid).ok())
                .ok_or("the header is damaged")?
                .to_owned(),
            ..Self::default()
        };
        for (word, bytes) in decoded.words().into_iter().zip(head[AT_WORDS..].chunks_exact(8)) {
            *word = u64_at(bytes, 0);
        }
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
            &mut self.directory.at,
            &mut self.directory.count,
            &mut self.checksums.at,
            &mut self.checksums.count,
            &mut self.checksum_table_hash,
            &mut self.name_mac,
            &mut self.order.at,
            &mut self.order.count,
            &mut self.content,
            &mut self.items_with_facts,
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
