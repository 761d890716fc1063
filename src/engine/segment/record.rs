//! Entries and items in packed form. An entry is a path of an item.
//!
//! An entry begins at a multiple of four bytes:
//!
//! | field | present |
//! |---|---|
//! | flags, one byte: [`FORM`] (2 bits), [`FIRST`], [`TWIN`], [`MAPPED`], [`BARE`], [`SHOW`] | always |
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
//! their total length in bytes ([`put_id`]), and last come the facts, encoded with `postcard`, after theirs. Shows and seasons are separate records. A season refers to its show. An
//! episode refers to its season or, if it has none, to its show.

use std::io;
use std::ops::Range;

use super::checked_bytes::{CheckedBytes, ReadResult};
use super::external_ids::put_id;
use super::fields::{GUID, PackedGuid, RecordReader, put_bytes, text};
use super::layout::{offset_of, put_varint, read_varint, u32_at, unzigzag, zigzag};
use super::parents::{SEASON, open_parent};
use super::segment_writer::SegmentWriter;
use super::spool::reserve;
use crate::matching::{FoldRule, Form, ItemRef};
use crate::model::{Item, ItemType};

/// Mask for the flag bits that say how an entry stores its normal form.
const FORM: u8 = 3;
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
/// Another entry's hash has the same upper half, so a lookup must continue.
pub const TWIN: u8 = 8;
/// The path is not listed; a mapping translated it from a listed path.
pub const MAPPED: u8 = 16;
/// The item has no files. The entry's path is empty and in no table.
pub const BARE: u8 = 32;

const WITH_SHOW: u8 = 8;
const WITH_NUMBERS: u8 = 16; // a season or episode number other than -1
const WITH_YEAR: u8 = 32;
/// The item has further listed entries.
const WITH_MORE: u8 = 64;
/// Flag in the type's byte: the item was added after the listing, and its change sequence is stored.
const ADDED_LATER: u8 = 64;
/// Flag in the type's byte: the path contains the title.
const TITLE_ABOVE: u8 = 32;
/// Flag in the type's byte: the item has external ids.
const WITH_IDS: u8 = 128;
/// Flag in the type's byte: the item's facts are known. A segment of an earlier version has none.
const WITH_FACTS: u8 = 16;

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

/// Appends an entry to `out`, which the caller has aligned. `target` is the entry to which this entry refers; a first
/// entry does not store it. `form` is the normal form, which only an entry with [`FORM_STORED`] stores. Returns the
/// offset of the path in `out`.
pub fn put_entry(out: &mut Vec<u8>, flags: u8, target: u32, path: &[u8], form: &[u8]) -> usize {
    out.push(flags);
    put_varint(out, path.len() as u64);
    if flags & FIRST == 0 {
        out.extend_from_slice(&target.to_le_bytes());
    }
    let path_offset = out.len();
    out.extend_from_slice(path);
    if flags & FORM == FORM_STORED {
        put_bytes(out, form);
    }
    path_offset
}

/// Reads the normal form of this entry's path into `form` while the segment is being written.
pub fn form_at(body: &SegmentWriter, entry: u32, form: &mut Vec<u8>) -> io::Result<()> {
    let at = offset_of(entry);
    let mut bytes = Vec::new();
    // Most entries are shorter than 512 bytes. For a longer entry, the next attempt reads more.
    let mut length = 512;
    loop {
        body.read(at, length, &mut bytes)?;
        if let Some(found) = form_in(&bytes) {
            form.clear();
            reserve(form, bytes.len())?;
            form.extend(found.bytes());
            return Ok(());
        }
        if bytes.len() < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        length *= 8;
    }
}

/// Returns the normal form of the path in the entry at the beginning of `bytes`; `None` if `bytes` is too short.
fn form_in(bytes: &[u8]) -> Option<Form<'_>> {
    let field =
        |bytes: &[u8]| read_varint(bytes).and_then(|(length, used)| Some((usize::try_from(length).ok()?, used)));
    let flags = *bytes.first()?;
    let (length, used) = field(&bytes[1..])?;
    let from = 1 + used + if flags & FIRST == 0 { 4 } else { 0 };
    let (path, after_path) = bytes.get(from..)?.split_at_checked(length)?;
    Some(match flags & FORM {
        FORM_ASCII => Form::new(path, FoldRule::Ascii),
        FORM_WINDOWS => Form::new(path, FoldRule::Windows),
        FORM_STORED => {
            let (length, used) = field(after_path)?;
            Form::from_folded(after_path.get(used..used + length)?)
        }
        _ => Form::from_folded(path),
    })
}

/// Appends an item after its first entry. `title_distance` is the distance from the title to the item if the path
/// contains the title. `parent_record` is the record number of the item's season or, if there is none, of its show.
/// `more` is the number of further listed entries. `added_sequence` is 0, or the change sequence at which the item was
/// added after the listing.
pub fn put_item(
    out: &mut Vec<u8>,
    item: &Item,
    title_distance: Option<usize>,
    parent_record: Option<u32>,
    more: usize,
    added_sequence: u64,
) {
    let guid = PackedGuid::of_item(&item.guid);
    let flag_if = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = guid.tag()
        | flag_if(parent_record.is_some(), WITH_SHOW)
        | flag_if((item.season, item.episode) != (-1, -1), WITH_NUMBERS)
        | flag_if(item.year != 0, WITH_YEAR)
        | flag_if(more > 0, WITH_MORE);
    let type_flags = flag_if(added_sequence > 0, ADDED_LATER) | flag_if(title_distance.is_some(), TITLE_ABOVE);
    let facts = item.facts.0.as_ref().and_then(|facts| postcard::to_stdvec(facts).ok());
    let type_flags = type_flags | flag_if(facts.is_some(), WITH_FACTS);
    out.push(item.kind.number() | type_flags | flag_if(!item.guids.is_empty(), WITH_IDS));
    out.push(flags);
    put_bytes(out, item.rating_key.as_bytes());
    if let Some(distance) = title_distance {
        put_varint(out, item.title.len() as u64);
        put_varint(out, distance as u64);
    } else {
        put_bytes(out, item.title.as_bytes());
    }
    if flags & WITH_YEAR != 0 {
        put_varint(out, zigzag(item.year));
    }
    if flags & WITH_NUMBERS != 0 {
        put_varint(out, zigzag(item.season));
        put_varint(out, zigzag(item.episode));
    }
    guid.put(out);
    if let Some(parent_record) = parent_record {
        out.extend_from_slice(&parent_record.to_le_bytes());
    }
    if more > 0 {
        put_varint(out, more as u64);
    }
    if added_sequence > 0 {
        put_varint(out, added_sequence);
    }
    if !item.guids.is_empty() {
        let begin = out.len();
        item.guids.iter().for_each(|id| put_id(out, id));
        let end = out.len();
        put_varint(out, (end - begin) as u64);
        out[begin..].rotate_left(end - begin); // the length comes first
    }
    if let Some(facts) = facts {
        put_bytes(out, &facts);
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

/// Returns the rating key of an entry's item, and the normal form of the path. Returns `None` unless the entry is a
/// first entry with exactly this path, and no other entry has its hash. Most calls need only one bounds check.
#[inline]
pub fn unique_hit<'i>(file: &'i CheckedBytes, number: u32, path: &[u8]) -> ReadResult<Option<(&'i str, &'i [u8])>> {
    // Maximum number of bytes around the path: flags and length of the path, type and flags of the item, length of the
    // rating key, and the rating key. For a longer key, this function returns `None`, and the caller makes a slower
    // lookup.
    const AROUND: usize = 1 + 2 + 2 + 1 + 32;
    let at = offset_of(number);
    let mut read = file.up_to(at, path.len() + AROUND)?;
    let stores_form = read.first().is_some_and(|flags| flags & FORM == FORM_STORED);
    if stores_form {
        // The normal form is rarely longer than the path, and its length rarely has more than two bytes.
        read = file.up_to(at, 2 * path.len() + 2 + AROUND)?;
    }
    let [flags, bytes @ ..] = read else {
        return Ok(None);
    };
    if flags & (FIRST | TWIN | MAPPED | BARE) != FIRST {
        return Ok(None);
    }
    let Some((length, used)) = read_varint(bytes) else {
        return Ok(None);
    };
    let Some((entry_path, mut bytes)) = bytes[used..].split_at_checked(path.len()) else {
        return Ok(None);
    };
    if length != path.len() as u64 || entry_path != path {
        return Ok(None);
    }
    let mut form = entry_path;
    if stores_form {
        let form_and_item = read_varint(bytes).and_then(|(length, used)| {
            let length = usize::try_from(length).ok()?;
            bytes[used..].split_at_checked(length)
        });
        let Some((stored, item)) = form_and_item else {
            return Ok(None);
        };
        (form, bytes) = (stored, item);
    }
    // The item begins with its type, its flags, and its key's length as a varint: one byte, unless the key is too long.
    match bytes {
        [_, _, length @ ..0x80, key @ ..] if key.len() >= usize::from(*length) => {
            let key = text(file, &key[..usize::from(*length)])?;
            Ok(Some((checked_key(file, key)?, form)))
        }
        _ => Ok(None),
    }
}

/// Fields of an item that [`ItemRef`] lacks.
#[derive(Default)]
pub struct ItemExtras {
    /// Number of the item's further listed entries.
    pub more: u64,
    /// The change sequence at which the item was added after the listing; 0 if the item came with the listing.
    pub added_sequence: u64,
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

/// Returns the change sequence at which the item at the file offset `at` was added after the listing; 0 if it came with
/// the listing.
pub fn added_sequence(file: &CheckedBytes, at: usize) -> ReadResult<u64> {
    if RecordReader::new(file, at).byte()? & ADDED_LATER == 0 {
        return Ok(0);
    }
    fill_item(file, at, &mut ItemRef::key_only("")).map(|extras| extras.added_sequence)
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
    let added_sequence = if first & ADDED_LATER != 0 { cursor.varint()? } else { 0 };
    Ok(ItemExtras {
        more,
        added_sequence,
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

/// Returns the offset of the title in the path, if a component begins with the title. `None` for a title of up to three
/// bytes, because a reference to it would not be shorter.
pub fn title_offset(path: &[u8], title: &[u8]) -> Option<usize> {
    if title.len() <= 3 {
        return None;
    }
    let separators = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let mut begins = std::iter::once(0).chain(separators.map(|(at, _)| at + 1));
    begins.find(|at| path[*at..].starts_with(title))
}
