//! The head of a segment, and the small encodings that its parts share.

use xxhash_rust::xxh3::xxh3_64;

use crate::model::Sequence;

/// The kind of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileKind {
    /// The items of a complete listing.
    #[default]
    Listing,
    /// Records of hosts: confirmed matches and tables.
    Records,
    /// The index of a listing by GUID and title.
    Index,
}

/// The bytes under one checksum, and the head's size.
pub const BLOCK: usize = 4096;
const MAGIC: [u8; 8] = *b"PLXWARM\0";
/// Version of the layout. If a listing's segment has another version, plexindex fetches the listing again.
const VERSION: u32 = 10;
/// Offset of the head's checksum, which covers all before it.
const AT_SUM: usize = 504;
const AT_WORDS: usize = 16;
const AT_KIND: usize = 247;
/// Offset of the library's uuid: a length byte, then its bytes.
const AT_UUID: usize = 248;
/// The longest uuid that fits; Plex's have 36 bytes.
pub const MAX_UUID: usize = 255;

/// Returns the offset of the entry or record with this number: numbers count units of four bytes. Where `usize` has 32
/// bits, a damaged number gives an offset beyond the end of any file, so that reads fail.
#[inline]
pub fn offset_of(number: u32) -> usize {
    (number as usize).saturating_mul(4)
}

/// Offset and number of elements of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentPart {
    /// Its first byte.
    pub at: u64,
    /// Its elements.
    pub count: u64,
}

impl SegmentPart {
    /// Returns the number of elements as an index.
    pub fn len(self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// Returns the offset of the element with this index, if all elements have this size. Reads check the bounds.
    #[inline]
    pub fn byte(self, index: usize, size: usize) -> usize {
        let at = usize::try_from(self.at).unwrap_or(usize::MAX);
        at.saturating_add(index.saturating_mul(size))
    }
}

/// The head, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentHead {
    pub kind: FileKind,
    pub form: u32,
    pub length: u64,
    pub generation: u64,
    pub sequence: u64,
    pub mappings: u64,
    pub items: u64,
    pub parts: u64,
    /// A digest of the content of all items, in any order.
    pub content: u64,
    pub records: SegmentPart,
    /// Slots of the path table, including those after the last home slot.
    pub paths: SegmentPart,
    /// Number of home slots of the path table. Hashes are scaled to this number.
    pub path_homes: u64,
    pub keys: SegmentPart,
    pub key_homes: u64,
    pub names: SegmentPart,
    pub directory: SegmentPart,
    /// Words of four bytes.
    pub order: SegmentPart,
    pub sums: SegmentPart,
    /// Checksum of the table of checksums.
    pub sums_sum: u64,
    /// MAC of the file's name and store.
    pub name_mac: u64,
    pub uuid: String,
}

impl SegmentHead {
    /// Encodes the head as the first block of the file, with its checksum.
    pub fn encode(&self) -> [u8; BLOCK] {
        let mut out = [0; BLOCK];
        out[..8].copy_from_slice(&MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&self.form.to_le_bytes());
        let mut words = self.clone();
        for (slot, word) in out[AT_WORDS..].chunks_exact_mut(8).zip(words.words()) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        let kind = match self.kind {
            FileKind::Listing => 0,
            FileKind::Records => 1,
            FileKind::Index => 2,
        };
        out[AT_KIND] = kind;
        let uuid = self.uuid.as_bytes();
        let length = uuid.len().min(MAX_UUID);
        out[AT_UUID] = u8::try_from(length).unwrap_or(0);
        out[AT_UUID + 1..][..length].copy_from_slice(&uuid[..length]);
        let sum = xxh3_64(&out[..AT_SUM]);
        out[AT_SUM..AT_SUM + 8].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Decodes the head at the beginning of `file`. The error says what is wrong.
    pub fn decode(file: &[u8]) -> Result<Self, &'static str> {
        let head = file.get(..BLOCK).ok_or("it is too short")?;
        if head[..8] != MAGIC {
            return Err("it is no segment");
        }
        if xxh3_64(&head[..AT_SUM]) != u64_at(head, AT_SUM) {
            return Err("its head is damaged");
        }
        if u32_at(head, 8) != VERSION {
            return Err("it has another version");
        }
        let uuid = head[AT_UUID + 1..AT_SUM].get(..usize::from(head[AT_UUID]));
        let mut decoded = Self {
            kind: match head[AT_KIND] {
                0 => FileKind::Listing,
                1 => FileKind::Records,
                _ => FileKind::Index,
            },
            form: u32_at(head, 12),
            uuid: uuid
                .and_then(|uuid| std::str::from_utf8(uuid).ok())
                .ok_or("its head is damaged")?
                .to_owned(),
            ..Self::default()
        };
        for (word, bytes) in decoded.words().into_iter().zip(head[AT_WORDS..].chunks_exact(8)) {
            *word = u64_at(bytes, 0);
        }
        Ok(decoded)
    }

    /// Returns the numbers of the head in their order in the file, for reading and writing.
    fn words(&mut self) -> [&mut u64; 25] {
        [
            &mut self.length,
            &mut self.generation,
            &mut self.sequence,
            &mut self.mappings,
            &mut self.items,
            &mut self.parts,
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
            &mut self.sums.at,
            &mut self.sums.count,
            &mut self.sums_sum,
            &mut self.name_mac,
            &mut self.order.at,
            &mut self.order.count,
            &mut self.content,
        ]
    }
}

/// Returns the number at `at`; the caller has checked the bounds.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

/// Returns the number at `at`; the caller has checked the bounds.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// Appends a number in groups of seven bits, lowest first.
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// The longest varint, of 64 bits.
pub const LONGEST_VARINT: usize = 10;

/// Returns the number that [`put_varint`] wrote at the beginning of `bytes`, and the length of the varint. `None` if it
/// is cut off or too long.
#[inline]
pub fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
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

/// Maps signed numbers to unsigned ones. Small numbers stay small, so that their varints are short.
pub fn zigzag(value: i32) -> u64 {
    let value = i64::from(value);
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// Returns the number that [`zigzag`] mapped to this one; 0 for an invalid number.
pub fn unzigzag(value: u64) -> i32 {
    let value = (value >> 1).cast_signed() ^ -(value & 1).cast_signed();
    i32::try_from(value).unwrap_or(0)
}

/// A match stores the lower half of a change sequence; the upper half is the same for the whole store.
const LOWER: u64 = 0xFFFF_FFFF;

/// Encodes the value of a match record: its change sequence and rating key.
#[must_use]
pub fn match_value(rating_key: &str, recorded_at: Sequence) -> Vec<u8> {
    let mut value = Vec::with_capacity(rating_key.len() + 5);
    put_varint(&mut value, recorded_at.0 & LOWER);
    value.extend_from_slice(rating_key.as_bytes());
    value
}

/// Decodes the value of a match record: the rating key, and the change sequence of the recording. `beside`: any change
/// sequence of the store, which has the upper half.
#[must_use]
pub fn match_of(value: &[u8], beside: Sequence) -> Option<(&str, Sequence)> {
    let (recorded_at, length) = varint(value)?;
    let rating_key = std::str::from_utf8(value.get(length..)?).ok()?;
    Some((rating_key, Sequence(beside.0 & !LOWER | recorded_at)))
}
