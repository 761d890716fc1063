//! Verified reads of a segment's bytes, and its entries and items in packed form. An entry is a path of an item. The first
//! read of a block verifies the block's checksum. `put_entry` and `encode_item` in `builder.rs` write what this file reads.
//!
//! An entry begins at a multiple of four bytes:
//!
//! | field | present |
//! |---|---|
//! | flags, one byte: [`FORM`] (2 bits), [`FIRST`], [`MAPPED`], [`BARE`], [`SHOW`] | always |
//! | length of the path, varint | always |
//! | number of the item's first entry or, for a mapped path, of its listed entry, u32 | unless [`FIRST`] |
//! | the path | always |
//! | length of the normal form, varint, and the normal form | with [`FORM_STORED`] |
//! | the item | with [`FIRST`] |
//!
//! An item consists of its type, flags ([`GUID`], [`WITH_SHOW`] …), rating key, title, and the fields that the flags
//! announce: year, season and episode, GUID, show, number of further entries, change sequence, and external ids.
//! Numbers are varints. If the path contains the title, the item stores the title's length and the distance from the
//! title to the item. A GUID in Plex's own format (`plex://movie/<24 digits>`) takes 12 bytes. External ids follow
//! their total length in bytes ([`put_id`]), and last come the facts, encoded with `postcard`, after theirs. If other
//! requests than that of the change sequence first showed the files, their tickets follow the facts. Shows and seasons
//! are separate records, to which items refer by number. A season refers to its show. An episode refers to its
//! season or, if it has none, to its show.
//!
//! For an external id of a known kind, a record contains only the kind and the number. The first byte of a packed id
//! encodes the index of its prefix in [`PREFIXES`] and the format of the rest ([`TEXT`] …).

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use super::layout::{
    BLOCK, LONGEST_VARINT, SegmentHeader, offset_of, put_varint, read_varint, u32_at, u64_at, unzigzag,
};
use crate::knowledge::FileTickets;
use crate::matching::{FoldRule, Form, GuidRef, ItemRef, Season};
use crate::model::{ItemFacts, ItemType, KnownFacts, Sequence};
use crate::platform::bytes::{self, from_hex};
use crate::platform::map::FileBytes;

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

/// Mask for the flag bits that say how an entry stores its normal form.
pub const FORM: u8 = 3;
/// The normal form is the path in ASCII lower case.
pub const FORM_ASCII: u8 = 0;
/// The normal form is the path in ASCII lower case, with `/` for each `\`.
pub const FORM_WINDOWS: u8 = 1;
/// The normal form is stored after the path.
pub const FORM_STORED: u8 = 2;
/// The normal form is the path itself.
pub const FORM_RAW: u8 = 3;
/// The entry contains the first path of its item, and the item follows the entry.
pub const FIRST: u8 = 4;
/// The path is not listed; a mapping translated it from a listed path.
pub const MAPPED: u8 = 16;
/// The item has no files. The entry's path is empty and in no table.
pub const BARE: u8 = 32;

pub const WITH_SHOW: u8 = 8;
pub const WITH_NUMBERS: u8 = 16; // a season or episode number other than -1
pub const WITH_YEAR: u8 = 32;
/// The item has further listed entries.
pub const WITH_MORE: u8 = 64;
/// Flag in the type's byte: the item came after the listing, and the ticket of the last request for it is stored.
pub const ADDED_LATER: u8 = 64;
/// Flag in the type's byte: the path contains the title.
pub const TITLE_ABOVE: u8 = 32;
/// Flag in the type's byte: the item has external ids.
pub const WITH_IDS: u8 = 128;
/// Flag in the type's byte: the item's facts are known. A segment of an earlier version has none.
pub const WITH_FACTS: u8 = 16;

/// An entry without its item, borrowed from the segment.
#[derive(Clone, Copy, Debug)]
pub struct EntryRef<'i> {
    /// The number of the entry: its offset divided by four.
    pub number: u32,
    pub flags: u8,
    /// The path as it was listed or mapped.
    pub path: &'i [u8],
    /// The normal form with [`FORM_STORED`]; otherwise empty.
    stored: &'i [u8],
    /// The entry to which this entry refers; for a first entry, the entry itself.
    pub target: u32,
    /// Offset after the entry; for a first entry, the offset of the item.
    pub end: usize,
}

impl<'i> EntryRef<'i> {
    #[inline]
    pub fn read(file: &'i CheckedBytes, number: u32) -> ReadResult<Self> {
        let mut reader = RecordReader::new(file, offset_of(number));
        let flags = reader.byte()?;
        let length = reader.length()?;
        let target = if flags & FIRST == 0 {
            u32_at(reader.take(4)?, 0)
        } else {
            number
        };
        let path = reader.take(length)?;
        let stored = if flags & FORM == FORM_STORED {
            reader.bytes()?
        } else {
            b""
        };
        Ok(Self {
            number,
            flags,
            path,
            stored,
            target,
            end: reader.at,
        })
    }

    /// Returns the normal form of the entry's path. Most entries do not store this form, because it follows from the
    /// path.
    #[inline]
    pub fn form(&self) -> Form<'i> {
        match self.flags & FORM {
            FORM_ASCII => Form::new(self.path, FoldRule::Ascii),
            FORM_WINDOWS => Form::new(self.path, FoldRule::Windows),
            FORM_STORED => Form::from_folded(self.stored),
            _ => Form::from_folded(self.path),
        }
    }

    /// Returns whether the entry contains the first path of its item, so that the item follows the entry.
    #[inline]
    pub fn is_first(&self) -> bool {
        self.flags & FIRST != 0
    }

    /// Returns the number of the entry or, if its path is mapped, of the entry with the listed path.
    #[inline]
    pub fn listed_number(&self) -> u32 {
        if self.is_mapped() { self.target } else { self.number }
    }

    /// Returns whether a mapping translated the entry's path from a listed path.
    #[inline]
    pub fn is_mapped(&self) -> bool {
        self.flags & MAPPED != 0
    }
}

/// Returns the rating key of the item at the file offset `item`. The key follows the type and the flags, one byte each.
#[inline]
pub fn rating_key(file: &CheckedBytes, item: usize) -> ReadResult<&str> {
    let mut reader = RecordReader::new(file, item);
    reader.take(2)?;
    checked_key(file, reader.text()?)
}

/// Returns a rating key. Fails for an empty key, which no item has.
#[inline]
fn checked_key<'i>(file: &CheckedBytes, key: &'i str) -> ReadResult<&'i str> {
    if key.is_empty() {
        return Err(file.mark_damaged());
    }
    Ok(key)
}

/// Returns the rating key of an entry's item, and the normal form of the path, or the path if its normal form only differs
/// in case and separators. Returns `None` unless the entry is a first entry with exactly this path.
#[inline]
pub fn unique_hit<'i>(file: &'i CheckedBytes, number: u32, path: &[u8]) -> ReadResult<Option<(&'i str, &'i [u8])>> {
    let entry = EntryRef::read(file, number)?;
    if entry.flags & (FIRST | MAPPED | BARE) != FIRST || entry.path != path {
        return Ok(None);
    }
    let stores_form = entry.flags & FORM == FORM_STORED;
    let form = if stores_form { entry.stored } else { entry.path };
    Ok(Some((rating_key(file, entry.end)?, form)))
}

/// Fields of an item that [`ItemRef`] lacks.
#[derive(Default)]
pub struct ItemExtras {
    /// Number of the item's further listed entries.
    pub more: u64,
    /// The ticket of the last request for the item; 0 if it came with the listing.
    pub last: Sequence,
    /// The number of the season's record or, if there is no season, of the show's record; 0 for neither.
    pub parent_record: u32,
    with_ids: bool,
    /// Whether the item's facts are known.
    pub with_facts: bool,
    /// Offset after the other fields, where any external ids begin.
    end: usize,
}

/// The last fields of an item.
pub struct ItemTail<'i> {
    /// The file range of the external ids in packed form.
    pub ids: Range<usize>,
    /// The encoded facts; `None` if they are unknown.
    pub facts: Option<&'i [u8]>,
    /// Offset after the item.
    pub end: usize,
}

impl ItemTail<'_> {
    /// Decodes the facts.
    pub fn known_facts(&self, file: &CheckedBytes) -> ReadResult<KnownFacts> {
        let decode = |facts| postcard::from_bytes(facts).map_err(|_| file.mark_damaged());
        Ok(KnownFacts(self.facts.map(decode).transpose()?))
    }

    /// Returns the tickets of the requests that first showed the files. `last`: that of the last request for the item.
    pub fn shown(&self, last: Sequence) -> FileTickets {
        let decoded = postcard::take_from_bytes::<ItemFacts>(self.facts.unwrap_or_default());
        let shown = decoded.and_then(|(_, shown)| postcard::from_bytes(shown));
        shown.unwrap_or_else(|_| last.into())
    }
}

impl ItemExtras {
    /// Reads the item's last fields.
    pub fn tail<'i>(&self, file: &'i CheckedBytes) -> ReadResult<ItemTail<'i>> {
        let mut cursor = RecordReader::new(file, self.end);
        let mut ids = self.end..self.end;
        if self.with_ids {
            let length = cursor.bytes()?.len();
            ids = cursor.at - length..cursor.at;
        }
        let facts = if self.with_facts { Some(cursor.bytes()?) } else { None };
        Ok(ItemTail {
            ids,
            facts,
            end: cursor.at,
        })
    }
}

/// Reads the item at the file offset `at`, except its external ids and facts. Also returns the fields that [`ItemRef`] lacks.
pub fn item(file: &CheckedBytes, at: usize) -> ReadResult<(ItemRef<'_>, ItemExtras)> {
    let mut item = ItemRef::key_only("");
    let extras = fill_item(file, at, &mut item)?;
    Ok((item, extras))
}

/// Returns the ticket of the last request for the item at the file offset `at`; 0 if it came with the listing.
pub fn last_ticket(file: &CheckedBytes, at: usize) -> ReadResult<Sequence> {
    if RecordReader::new(file, at).byte()? & ADDED_LATER == 0 {
        return Ok(Sequence::default());
    }
    fill_item(file, at, &mut ItemRef::key_only("")).map(|extras| extras.last)
}

/// Reads the item at the offset `at` into `item`, and its show from the show's record. Returns the other fields.
pub fn fill_item<'i>(file: &'i CheckedBytes, at: usize, item: &mut ItemRef<'i>) -> ReadResult<ItemExtras> {
    let mut cursor = RecordReader::new(file, at);
    let first = cursor.byte()?; // the type's byte
    let kind = ItemType::from_number(first & !(ADDED_LATER | TITLE_ABOVE | WITH_IDS | WITH_FACTS));
    let flags = cursor.byte()?;
    *item = ItemRef::key_only(checked_key(file, cursor.text()?)?);
    item.key_only = false;
    item.kind = kind;
    // The title is in the path before the item, or in the item.
    item.title = if first & TITLE_ABOVE != 0 {
        let (length, distance) = (cursor.length()?, cursor.length()?);
        let begin = at.checked_sub(distance).ok_or_else(|| file.mark_damaged())?;
        text(file, file.slice(begin, length)?)?
    } else {
        cursor.text()?
    };
    if flags & WITH_YEAR != 0 {
        item.year = unzigzag(cursor.varint()?);
    }
    if flags & WITH_NUMBERS != 0 {
        item.season = unzigzag(cursor.varint()?);
        item.episode = unzigzag(cursor.varint()?);
    }
    item.guid = cursor.guid(flags & GUID)?;
    // The parent record is a season, which refers to its show, or the show itself.
    let mut parent_record = 0;
    if flags & WITH_SHOW != 0 {
        parent_record = u32_at(cursor.take(4)?, 0);
        let (mut flags, mut tag, mut cursor) = open_parent(file, parent_record)?;
        let mut show = parent_record;
        if flags & SEASON != 0 {
            show = u32_at(cursor.take(4)?, 0);
            if show != 0 {
                (flags, tag, cursor) = open_parent(file, show)?;
            }
        }
        if show != 0 && flags & SEASON == 0 {
            item.show_rating_key = cursor.text()?;
            item.show_title = cursor.text()?;
            item.show_guid = cursor.guid(tag)?;
        }
    }
    let more = if flags & WITH_MORE != 0 { cursor.varint()? } else { 0 };
    let last = if first & ADDED_LATER != 0 { cursor.varint()? } else { 0 };
    Ok(ItemExtras {
        more,
        last: Sequence(last),
        parent_record,
        with_ids: first & WITH_IDS != 0,
        with_facts: first & WITH_FACTS != 0,
        end: cursor.at,
    })
}

/// Returns the size of the file with this index among an item's files, from the item's encoded facts, which begin with
/// the number of sizes and the sizes.
pub fn size_in_facts(mut facts: &[u8], index: u64) -> Option<u64> {
    let mut next = || {
        let (number, used) = read_varint(facts)?;
        facts = &facts[used..];
        Some(number)
    };
    if next()? <= index {
        return None;
    }
    (0..=index).map(|_| next()).last()?
}

/// The record is a show, season or album, not an entry.
pub const SHOW: u8 = 128;
/// With [`SHOW`]: the record is a season or album. The number of the show's record precedes the strings.
pub const SEASON: u8 = 64;

/// Returns the flags and the GUID tag in the record of a season or show, and a reader for its other fields.
fn open_parent(file: &CheckedBytes, number: u32) -> ReadResult<(u8, u8, RecordReader<'_>)> {
    let mut cursor = RecordReader::new(file, offset_of(number));
    Ok((cursor.byte()?, cursor.byte()?, cursor))
}

/// Returns the season or album in the record with the number `parent_record`; `None` if the record is a show or
/// `parent_record` is 0.
pub fn season(file: &CheckedBytes, parent_record: u32) -> ReadResult<Option<Season<'_>>> {
    if parent_record == 0 {
        return Ok(None);
    }
    let (flags, tag, mut cursor) = open_parent(file, parent_record)?;
    if flags & SEASON == 0 {
        return Ok(None);
    }
    // Skip the number of the show's record.
    cursor.take(4)?;
    Ok(Some(Season {
        // The season's number is in its episodes.
        number: -1,
        rating_key: cursor.text()?,
        title: cursor.text()?,
        guid: cursor.guid(tag)?,
    }))
}

/// Returns the file offset after the record of a show, season or album at the offset `at`.
pub fn offset_after_show(file: &CheckedBytes, at: usize) -> ReadResult<usize> {
    let mut cursor = RecordReader::new(file, at);
    let (flags, tag) = (cursor.byte()?, cursor.byte()?);
    if flags & SEASON != 0 {
        cursor.take(4)?; // the number of the show's record
    }
    // Skip the rating key, the title and the GUID.
    cursor.bytes()?;
    cursor.bytes()?;
    cursor.guid(tag)?;
    Ok(cursor.at)
}

/// Prefixes of packed GUIDs. Their order is part of the file format.
const GUID_PREFIXES: [&str; 8] = [
    "plex://movie/",
    "plex://episode/",
    "plex://track/",
    "plex://show/",
    "plex://artist/",
    "plex://clip/",
    "plex://season/",
    "plex://album/",
];

/// Mask for the flag bits that contain a GUID's tag: 0 for no GUID, 1 for a string, otherwise the index in
/// [`GUID_PREFIXES`] plus 2.
pub const GUID: u8 = 7;

/// Appends the length of `bytes` as a varint, and then `bytes`.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Converts a segment's bytes to a string. If they are not UTF-8, marks the segment as broken and fails.
#[inline]
pub fn text<'i>(file: &'i CheckedBytes, bytes: &'i [u8]) -> ReadResult<&'i str> {
    bytes::ascii_fast_str(bytes).ok_or_else(|| file.mark_damaged())
}

/// Reads the fields of a record in order.
pub struct RecordReader<'i> {
    pub file: &'i CheckedBytes,
    pub at: usize,
    /// The verified rest of the block. Most fields can be read from it without a further bounds check.
    here: &'i [u8],
}

impl<'i> RecordReader<'i> {
    /// Creates a reader for the fields at the file offset `at`.
    #[inline]
    pub fn new(file: &'i CheckedBytes, at: usize) -> Self {
        // If the block is damaged, the first read fails.
        let here = file.up_to(at, BLOCK - at % BLOCK).unwrap_or_default();
        Self { file, at, here }
    }

    /// Returns the next `length` bytes.
    #[inline]
    pub fn take(&mut self, length: usize) -> ReadResult<&'i [u8]> {
        let Some((bytes, remaining)) = self.here.split_at_checked(length) else {
            return self.take_beyond(length);
        };
        (self.at, self.here) = (self.at + length, remaining);
        Ok(bytes)
    }

    /// Returns the next `length` bytes if they extend beyond the block, which is rare.
    #[cold]
    #[inline(never)]
    fn take_beyond(&mut self, length: usize) -> ReadResult<&'i [u8]> {
        let bytes = self.file.slice(self.at, length)?;
        *self = Self::new(self.file, self.at + length);
        Ok(bytes)
    }

    #[inline]
    pub fn byte(&mut self) -> ReadResult<u8> {
        Ok(self.take(1)?[0])
    }

    #[inline]
    pub fn varint(&mut self) -> ReadResult<u64> {
        // Most varints have one byte; a year has two.
        match self.here {
            [value @ ..0x80, remaining @ ..] => {
                (self.at, self.here) = (self.at + 1, remaining);
                Ok(u64::from(*value))
            }
            [low, high @ ..0x80, remaining @ ..] => {
                (self.at, self.here) = (self.at + 2, remaining);
                Ok(u64::from(*low & 0x7F) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    /// Reads a varint that has three or more bytes or extends beyond the block, which is rare.
    #[cold]
    #[inline(never)]
    fn long_varint(&mut self) -> ReadResult<u64> {
        let (value, used) =
            read_varint(self.file.up_to(self.at, LONGEST_VARINT)?).ok_or_else(|| self.file.mark_damaged())?;
        self.take(used)?;
        Ok(value)
    }

    #[inline]
    pub fn length(&mut self) -> ReadResult<usize> {
        usize::try_from(self.varint()?).map_err(|_| self.file.mark_damaged())
    }

    /// Reads a length, and then this number of bytes.
    #[inline]
    pub fn bytes(&mut self) -> ReadResult<&'i [u8]> {
        let length = self.length()?;
        self.take(length)
    }

    /// Reads a length, and then a string of this length.
    #[inline]
    pub fn text(&mut self) -> ReadResult<&'i str> {
        let bytes = self.bytes()?;
        text(self.file, bytes)
    }

    /// Reads a GUID. `tag` says what the record contains: 0 for no GUID, 1 for a string, otherwise 12 bytes with the 24
    /// hexadecimal digits after the prefix with the index `tag - 2`.
    #[inline]
    pub fn guid(&mut self, tag: u8) -> ReadResult<GuidRef<'i>> {
        match tag {
            0 => Ok(GuidRef::NONE),
            1 => Ok(GuidRef::Text(self.text()?)),
            tag => {
                let prefix = GUID_PREFIXES
                    .get(usize::from(tag) - 2)
                    .ok_or_else(|| self.file.mark_damaged())?;
                let mut id = [0; 12];
                id.copy_from_slice(self.take(12)?);
                Ok(GuidRef::Plex { prefix, id })
            }
        }
    }
}

/// A GUID in the form in which a record stores it. The record's flags contain the tag.
pub enum PackedGuid<'g> {
    None,
    Text(&'g str),
    /// The tag for the prefix, and the 24 hexadecimal digits after it.
    Prefixed(u8, [u8; 12]),
}

impl<'g> PackedGuid<'g> {
    /// Packs a GUID in the shortest form that unpacks to the same string.
    pub fn of(guid: &'g str) -> Self {
        if guid.is_empty() {
            return Self::None;
        }
        Self::plex(guid).unwrap_or(Self::Text(guid))
    }

    /// Packs an item's GUID. An item has only three bits for the tag ([`GUID`]), so GUIDs with the last two prefixes
    /// remain strings.
    pub fn of_item(guid: &'g str) -> Self {
        match Self::of(guid) {
            Self::Prefixed(tag, _) if tag > GUID => Self::Text(guid),
            packed => packed,
        }
    }

    /// Packs a GUID that has a known prefix and 24 hexadecimal digits in lower case; `None` for other GUIDs.
    fn plex(guid: &str) -> Option<Self> {
        let id = bytes::from_hex(guid.as_bytes().last_chunk::<24>()?)?;
        let text_prefix = &guid[..guid.len() - 24];
        let prefix = GUID_PREFIXES.iter().position(|known| *known == text_prefix)?;
        Some(Self::Prefixed(u8::try_from(prefix + 2).ok()?, id))
    }

    /// Returns the GUID's tag: 0 for no GUID, 1 for a string, otherwise the index in [`GUID_PREFIXES`] plus 2.
    pub fn tag(&self) -> u8 {
        match self {
            Self::None => 0,
            Self::Text(_) => 1,
            Self::Prefixed(tag, _) => *tag,
        }
    }

    /// Appends the GUID without its tag.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::None => {}
            Self::Text(text) => put_bytes(out, text.as_bytes()),
            Self::Prefixed(_, id) => out.extend_from_slice(id),
        }
    }
}

/// Prefixes of known ids. Their order is part of the file format, so new prefixes must come last.
const PREFIXES: [&str; 11] = [
    "",
    "plex://movie/",
    "plex://episode/",
    "plex://track/",
    "plex://show/",
    "plex://artist/",
    "plex://clip/",
    "imdb://tt",
    "tmdb://",
    "tvdb://",
    "mbid://",
];

/// Formats in which an id is stored after its prefix. Their numbers are part of the file format. `TEXT` is a string.
/// `NUMBER` is a number as a varint, after its count of decimal digits, because it can have leading zeros. `PLEX` is 24
/// hexadecimal digits in 12 bytes. `UUID` is 16 bytes.
const TEXT: usize = 0;
const NUMBER: usize = 1;
const PLEX: usize = 2;
const UUID: usize = 3;
const KINDS: usize = 4; // number of formats
/// Maximum number of decimal digits that always fit into a `u64`.
const DIGITS: usize = 19;
/// Positions of the dashes in a UUID.
const DASHES: [usize; 4] = [8, 13, 18, 23];

/// Appends an id in the shortest encoding that decodes to the same string.
pub fn put_id(out: &mut Vec<u8>, id: &str) {
    let mut known = PREFIXES.iter().enumerate().skip(1);
    let known = known.find_map(|(index, prefix)| Some((index, id.strip_prefix(prefix)?)));
    let (prefix, rest) = known.unwrap_or((0, id));
    // The first byte combines the prefix and the format.
    let mut put_format = |format: usize| out.push(u8::try_from(prefix * KINDS + format).unwrap_or(0));
    if let Some(number) = number(rest) {
        put_format(NUMBER);
        out.push(u8::try_from(rest.len()).unwrap_or(0));
        put_varint(out, number);
    } else if let Some(bytes) = from_hex::<12>(rest.as_bytes()) {
        put_format(PLEX);
        out.extend_from_slice(&bytes);
    } else if let Some(bytes) = uuid(rest) {
        put_format(UUID);
        out.extend_from_slice(&bytes);
    } else {
        put_format(TEXT);
        put_bytes(out, rest.as_bytes());
    }
}

/// Parses a string of decimal digits. Returns `None` for any other string, or if there are more than [`DIGITS`] digits.
fn number(text: &str) -> Option<u64> {
    if !(1..=DIGITS).contains(&text.len()) {
        return None;
    }
    // The length check prevents an overflow.
    text.bytes().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

/// Parses a UUID with lower-case digits. Returns `None` for any other string.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let dashes = text.match_indices('-').map(|(at, _)| at);
    (text.len() == 36 && dashes.eq(DASHES)).then(|| from_hex(text.replace('-', "").as_bytes()))?
}

/// Converts up to 16 big-endian bytes to a number; the standard functions accept only exactly 16.
fn from_big_endian(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Returns a prefix with a number of `digits` decimal digits; `None` for more than [`DIGITS`] digits, or too few for
/// the number. `format!` takes several times as long, and most items have several such ids.
fn with_digits(prefix: &str, digits: usize, mut number: u64) -> Option<String> {
    let mut text = [b'0'; DIGITS];
    let text = text.get_mut(..digits)?;
    for digit in text.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    let text = std::str::from_utf8(text).ok()?;
    (number == 0).then(|| [prefix, text].concat())
}

/// Reads an id that [`put_id`] wrote.
pub fn read_id(reader: &mut RecordReader<'_>) -> ReadResult<String> {
    let file = reader.file;
    let first_byte = usize::from(reader.byte()?);
    let prefix = PREFIXES.get(first_byte / KINDS).ok_or_else(|| file.mark_damaged())?;
    Ok(match first_byte % KINDS {
        NUMBER => {
            let digits = usize::from(reader.byte()?);
            with_digits(prefix, digits, reader.varint()?).ok_or_else(|| file.mark_damaged())?
        }
        PLEX => format!("{prefix}{:024x}", from_big_endian(reader.take(12)?)),
        UUID => {
            let mut digits = format!("{:032x}", from_big_endian(reader.take(16)?));
            for at in DASHES {
                digits.insert(at, '-');
            }
            format!("{prefix}{digits}")
        }
        _ => format!("{prefix}{}", reader.text()?),
    })
}
