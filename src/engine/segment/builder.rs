//! Builds a listing's segment: writes the records as items arrive, and the tables at the end, then the parts' checksums,
//! and finally the header. [`SegmentWriter`] and [`put_table`] also write an index beside a segment.
//!
//! The builder writes records directly to the file, and sorts the tables' input in temporary files: a sorter writes sorted
//! runs to a file, and merges the runs at the end. So a segment of any size needs the same amount of memory, except for
//! its shows.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::layout::{
    BLOCK, SLOT, SegmentHeader, SegmentPart, cannot_write, folder_hash, home_slot, put_varint, reserve, show_hash,
    size_hash, u32_at, upper, write_error, zigzag,
};
use super::record::{
    ADDED_LATER, BARE, FIRST, FORM, FORM_ASCII, FORM_RAW, FORM_STORED, FORM_WINDOWS, MAPPED, PackedGuid, SEASON, SHOW,
    TITLE_ABOVE, WITH_FACTS, WITH_IDS, WITH_MORE, WITH_NUMBERS, WITH_SHOW, WITH_YEAR, put_bytes, put_id,
};
use crate::error::Result;
use crate::knowledge::FileTickets;
use crate::matching::{ExactBytes, FoldRule, Form, Mappings, NormalPath};
use crate::model::{ByteString, Item, ItemFacts, Sequence};
use crate::platform::bytes::str_eq;
use crate::platform::files::{self, TemporaryFile, temporary_beside};

/// Metadata of a listing's segment.
#[derive(Clone, Debug, Default)]
pub struct ListingMeta {
    /// The library's uuid, at most 255 bytes.
    pub library: String,
    /// The path mappings. The segment also indexes mapped paths.
    pub mappings: Mappings,
    /// The ticket of the listing since which items without a ticket of their own have had their paths; 0 in segments of
    /// earlier versions, which do not know it.
    pub assigned: u64,
}

/// Builds a listing's segment from items.
pub struct ListingBuilder {
    meta: ListingMeta,
    /// The segment file, which begins with the records.
    records: SegmentWriter,
    /// Hashes of normal forms, each with the entry of the path.
    paths: PairSorter,
    /// Hashes of rating keys, each with the item's first entry.
    keys: PairSorter,
    /// Hashes of file names, each with the entry of the path; and hashes of shows' rating keys, each with the first of
    /// successive items of one season.
    names: PairSorter,
    /// Hashes of the sizes of files, each with the entry of the path.
    sizes: PairSorter,
    /// Normal forms of listed paths, for the folder order.
    listed: KeySorter,
    mapped: KeySorter,
    /// Records of shows and seasons, each with its number, by the records' hashes. After a hash collision, a record is
    /// written again for each item.
    shows: HashMap<u64, (u32, Box<[u8]>)>,
    show_bytes: usize,
    /// The strings of the previous item's show and season, and the record of the season or, without one, of the show.
    parents: Option<([String; 6], Option<u32>)>,
    pub items: u64,
    parts: u64,
    /// A digest of all items so far. Segments with the same items, in any order, have the same digest.
    pub content: u64,
    /// Hashes of the rating keys, in listing order.
    pub key_hashes: Vec<u64>,
    buffer: Vec<u8>,
    /// The first error. After an error, the builder ignores further items.
    failed: Option<io::Error>,
}

/// Maximum size of an item without its strings, in bytes.
const MAX_ITEM_OVERHEAD: usize = 4096;

/// Memory limit for shows, in bytes. Beyond this limit, the builder writes each further show again for every item.
const MAX_SHOW_BYTES: usize = 16 << 20;

/// Number of items after which the sorters' memory is full.
const ITEMS_PER_RUN: u64 = 40_000;

impl ListingBuilder {
    /// Creates a builder with a temporary file beside `path`. After a crash, plexindex later removes the file.
    #[must_use]
    pub fn new(meta: ListingMeta, path: &Path) -> Self {
        Self {
            meta,
            paths: PairSorter::new(path),
            keys: PairSorter::new(path),
            names: PairSorter::new(path),
            sizes: PairSorter::new(path),
            listed: KeySorter::new(path),
            mapped: KeySorter::new(path),
            records: SegmentWriter::new(path),
            shows: HashMap::new(),
            show_bytes: 0,
            parents: None,
            items: 0,
            parts: 0,
            content: 0,
            key_hashes: Vec::new(),
            buffer: Vec::new(),
            failed: None,
        }
    }

    /// Checks that there is enough memory to sort `items` items (about 512 bytes per item in memory at once), and frees
    /// the memory again. Without this check, a later allocation would usually abort the host.
    ///
    /// # Errors
    /// Fails with [`crate::error::Status::Store`] if there is too little memory.
    pub fn check_memory(items: u64) -> Result<()> {
        let items_in_memory = items.min(ITEMS_PER_RUN) as usize;
        let size = items_in_memory * 512;
        Vec::<u8>::new()
            .try_reserve_exact(size)
            .map_err(|_| write_error("", &no_memory(items)))
    }

    /// Adds an item with all its files. No two items may have the same rating key. `last`: the ticket of the last request
    /// for the item; `shown`: those of the requests that first showed its files. 0 stands for the request in
    /// [`ListingMeta::assigned`] and for earlier ones.
    pub fn push_item(&mut self, item: &Item, last: Sequence, shown: &FileTickets) {
        let string_bytes = item
            .string_fields()
            .into_iter()
            .chain(&item.guids)
            .map(String::len)
            .chain(item.parts.iter().map(|part| part.len()))
            .chain(item.facts.0.as_deref().map(ItemFacts::text_bytes))
            .sum();
        if self.failed.is_none() {
            self.failed = self.put_item(item, (last, shown), string_bytes).err();
        }
    }

    /// Reserves memory for one more item, because a failed allocation would abort the host. `paths` is the item's
    /// number of files, and `string_bytes` is the total size of its strings in bytes.
    fn reserve(&mut self, paths: usize, string_bytes: usize) -> io::Result<()> {
        // Each file can have a listed and a mapped entry: up to 64 bytes of numbers, and several copies of the path.
        let entries = 2 * paths + 1;
        self.records
            .buffer_for(MAX_ITEM_OVERHEAD + entries * 64 + string_bytes.saturating_mul(8))?;
        reserve(&mut self.key_hashes, 1)?;
        let reserved = self.shows.try_reserve(2); // a show and a season
        reserved.map_err(|_| io::ErrorKind::OutOfMemory.into())
    }

    /// Appends an item with its entries, and adds it to the tables. `string_bytes` is the total size of its strings in
    /// bytes.
    fn put_item(&mut self, item: &Item, tickets: (Sequence, &FileTickets), string_bytes: usize) -> io::Result<()> {
        self.reserve(item.parts.len(), string_bytes)?;
        let (parent, is_new) = self.write_parents(item)?;
        let first_entry = self.align()?;
        if is_new && !item.show_rating_key.is_empty() {
            self.names.push(show_hash(&item.show_rating_key), first_entry)?;
        }
        let title = self.put_first_entry(item, first_entry)?;
        encode_item(
            self.records.buffer_for(0)?, // already reserved
            item,
            title,
            parent,
            item.parts.len().saturating_sub(1),
            tickets,
        );
        self.put_further_entries(item, first_entry)?;
        let key_hash = xxh3_64(item.rating_key.as_bytes());
        self.keys.push(key_hash, first_entry)?;
        self.key_hashes.push(key_hash);
        self.content = self.content.wrapping_add(content_digest(item, &mut self.buffer));
        self.items += 1;
        self.records.flush_pieces()
    }

    /// Appends the item's first entry. If the path contains the title, returns the distance from the title to the item,
    /// which the item stores instead of the title; otherwise `None`.
    fn put_first_entry(&mut self, item: &Item, first_entry: u32) -> io::Result<Option<usize>> {
        let Some(listed) = item.parts.first().map(ByteString::as_bytes) else {
            let out = self.records.buffer_for(0)?;
            put_entry(out, FIRST | BARE | FORM_RAW, first_entry, b"", b"");
            return Ok(None);
        };
        let path_begin = self.put_listed_entry(listed, FIRST, first_entry, first_entry)?;
        self.put_size(item, 0, first_entry)?;
        let offset = title_offset(listed, item.title.as_bytes());
        Ok(offset.map(|offset| self.records.position() - (path_begin + offset)))
    }

    /// Appends the entries of the item's further files, and then the entries of all mapped paths. Readers expect these
    /// entries directly after the item. `first_entry` is the entry of the item's first path.
    fn put_further_entries(&mut self, item: &Item, first_entry: u32) -> io::Result<()> {
        let mut mapped = Vec::new();
        for (part, listed) in item.parts.iter().map(ByteString::as_bytes).enumerate() {
            let mut entry = first_entry;
            if part > 0 {
                entry = self.align()?;
                self.put_listed_entry(listed, 0, first_entry, entry)?;
                self.put_size(item, part, entry)?;
            }
            mapped.extend(self.meta.mappings.to_host(listed).map(|host| (entry, host)));
        }
        for (listed, host) in mapped {
            let entry = self.align()?;
            self.put_path(&host, MAPPED, listed, entry, |segment, form| {
                segment.mapped.push(form, entry)
            })?;
        }
        Ok(())
    }

    /// Writes the segment to a temporary file and renames it to `path`. `name_mac` is the keyed hash of the segment's
    /// name, by which readers detect a renamed file. Returns the segment's size in bytes.
    ///
    /// The file is not synced: after a system crash, checksums reveal damage, and plexindex fetches the listing again.
    ///
    /// # Errors
    /// Fails with [`crate::error::Status::Store`], or with [`crate::error::Status::StoreFull`] if the disk is full. An
    /// existing file at `path` is then unchanged.
    pub fn finish(self, path: &Path, name_mac: u64) -> Result<u64> {
        let items = self.items;
        let written = self.write_all(name_mac).map_err(|error| match error.kind() {
            io::ErrorKind::OutOfMemory => no_memory(items),
            _ => error,
        });
        let persisted = written.and_then(|(out, bytes)| out.persist(path).map(|()| bytes));
        cannot_write(persisted, path)
    }

    /// Writes all parts and the header.
    fn write_all(mut self, name_mac: u64) -> io::Result<(TemporaryFile, u64)> {
        self.align()?;
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut body = self.records;
        let mut head = SegmentHeader {
            mappings: self.meta.mappings.digest(),
            items: self.items,
            listed_paths: self.parts,
            content: self.content,
            assigned: self.meta.assigned,
            uuid: self.meta.library,
            name_mac,
            ..SegmentHeader::default()
        };
        head.records = body.end_part(BLOCK, 1)?;
        (head.paths, head.path_homes) = put_table(self.paths, &mut body)?;
        (head.keys, head.key_homes) = put_table(self.keys, &mut body)?;
        let (begin, mut names) = (body.position(), self.names);
        put_order(self.listed, &mut body, Some(&mut names))?;
        put_order(self.mapped, &mut body, None)?; // searches by last components find only listed folders
        head.order = body.end_part(begin, 4)?;
        (head.names, head.name_homes) = put_table(names, &mut body)?;
        let sizes;
        (sizes, head.size_homes) = put_table(self.sizes, &mut body)?;
        head.size_slots = sizes.count;
        let out = body.finish(&mut head)?;
        Ok((out, head.length))
    }

    /// Pads the records to a multiple of four bytes, and returns the number of the next entry.
    fn align(&mut self) -> io::Result<u32> {
        let padding = self.records.position().next_multiple_of(4) - self.records.position();
        self.records.buffer_for(padding)?.extend_from_slice(&[0; 4][..padding]);
        // 32-bit entry numbers cannot address more.
        let too_large = "a segment can have at most 16 GiB";
        u32::try_from(self.records.position() / 4).map_err(|_| io::Error::new(io::ErrorKind::StorageFull, too_large))
    }

    /// Appends a listed entry to the aligned records, and adds it to the tables. `first`: the entry of the item's first
    /// path. Returns the offset of the path.
    fn put_listed_entry(&mut self, path: &[u8], flags: u8, first: u32, entry: u32) -> io::Result<usize> {
        self.parts += 1;
        self.put_path(path, flags, first, entry, |segment, form| {
            segment.listed.push(form, entry)?;
            let name_hash = crate::matching::name_hash(form);
            name_hash.map_or(Ok(()), |hash| segment.names.push(hash, entry))
        })
    }

    /// Adds the size of an item's file to the table of sizes, if it is known.
    fn put_size(&mut self, item: &Item, part: usize, entry: u32) -> io::Result<()> {
        match item.size_of(part) {
            0 => Ok(()),
            size => self.sizes.push(size_hash(size), entry),
        }
    }

    /// Appends the entry `number`, which refers to the entry `target`, to the records and the path table. `flags` lacks
    /// the kind of the normal form. Passes the normal form to `with_form`. Returns the file offset of the path.
    fn put_path(
        &mut self,
        path: &[u8],
        flags: u8,
        target: u32,
        number: u32,
        with_form: impl FnOnce(&mut Self, &[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        NormalPath::with(path, |normal| {
            // Store the normal form only if readers cannot derive it from the path.
            let is_form = |fold| Form::new(path, fold).equals(normal.form());
            let form = if path.is_ascii() && is_form(FoldRule::Ascii) {
                FORM_ASCII
            } else if path.is_ascii() && is_form(FoldRule::Windows) {
                FORM_WINDOWS
            } else if normal.form() == path {
                FORM_RAW
            } else {
                FORM_STORED
            };
            let entry_begin = self.records.position();
            let buffer = self.records.buffer_for(0)?;
            let buffered = buffer.len();
            let path_offset = put_entry(buffer, flags | form, target, path, normal.form());
            self.paths.push(normal.hash(), number)?;
            // If the normal form is stored, lookups also find the path by the hash of its bytes in ASCII lower case.
            if let Some(lower_case_hash) = ExactBytes::hash_of(path).filter(|_| form == FORM_STORED)
                && upper(lower_case_hash) != upper(normal.hash())
            {
                self.paths.push(lower_case_hash, number)?;
            }
            with_form(self, normal.form())?;
            Ok(entry_begin + path_offset - buffered)
        })
    }

    /// Returns the record of the item's season or, without one, of its show, and whether the previous item had other
    /// ones. Writes new records. Most items have the previous parents.
    fn write_parents(&mut self, item: &Item) -> io::Result<(Option<u32>, bool)> {
        if let Some((known, parent)) = &self.parents
            && known
                .iter()
                .zip(item.parent_string_fields())
                .all(|(known, text)| str_eq(known, text))
        {
            return Ok((*parent, false));
        }
        let is_known = |fields: [&String; 3]| fields.iter().any(|field| !field.is_empty());
        let (mut show, mut season) = (None, None);
        if is_known([&item.show_title, &item.show_rating_key, &item.show_guid]) {
            show = Some(self.put_shared(|out| put_show(out, item))?);
        }
        if is_known([&item.season_title, &item.season_rating_key, &item.season_guid]) {
            season = Some(self.put_shared(|out| put_season(out, item, show.unwrap_or(0)))?);
        }
        let parent = season.or(show);
        self.parents = Some((item.parent_string_fields().map(Clone::clone), parent));
        Ok((parent, true))
    }

    /// Writes a record that several items can share, unless the builder has already written the same record. Returns
    /// the number of the new or earlier record.
    fn put_shared(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> io::Result<u32> {
        let number = self.align()?;
        let buffer = self.records.buffer_for(0)?;
        let begin = buffer.len();
        put(buffer);
        let record = &buffer[begin..];
        let hash = xxh3_64(record);
        match self.shows.get(&hash) {
            Some((known, bytes)) if **bytes == *record => {
                buffer.truncate(begin);
                return Ok(*known);
            }
            None if self.show_bytes < MAX_SHOW_BYTES => {
                self.show_bytes += record.len();
                self.shows.insert(hash, (number, record.into()));
            }
            _ => {} // a hash collision, or the memory limit: later items write the record again
        }
        Ok(number)
    }
}

/// Appends an entry to `out`, which the caller has aligned. `target` is the entry to which this entry refers; a first
/// entry does not store it. `form` is the normal form, which only an entry with [`FORM_STORED`] stores. Returns the
/// offset of the path in `out`.
fn put_entry(out: &mut Vec<u8>, flags: u8, target: u32, path: &[u8], form: &[u8]) -> usize {
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

/// Returns the offset of the title in the path, if a component begins with the title. `None` for a title of up to three
/// bytes, because a reference to it would not be shorter.
fn title_offset(path: &[u8], title: &[u8]) -> Option<usize> {
    if title.len() <= 3 {
        return None;
    }
    let separators = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let mut begins = std::iter::once(0).chain(separators.map(|(at, _)| at + 1));
    begins.find(|at| path[*at..].starts_with(title))
}

/// Appends an item after its first entry, as [`super::record::fill_item`] reads it. `title_distance` is the distance from the title to the item if the path
/// contains the title. `parent_record` is the record number of the item's season or, if there is none, of its show.
/// `more` is the number of further listed entries. `last` and `shown`: see [`ListingBuilder::push_item`].
fn encode_item(
    out: &mut Vec<u8>,
    item: &Item,
    title_distance: Option<usize>,
    parent_record: Option<u32>,
    more: usize,
    (last, shown): (Sequence, &FileTickets),
) {
    let last = last.max(shown.latest());
    let guid = PackedGuid::of_item(&item.guid);
    let flag_if = |set: bool, flag: u8| if set { flag } else { 0 };
    let flags = guid.tag()
        | flag_if(parent_record.is_some(), WITH_SHOW)
        | flag_if((item.season, item.episode) != (-1, -1), WITH_NUMBERS)
        | flag_if(item.year != 0, WITH_YEAR)
        | flag_if(more > 0, WITH_MORE);
    let type_flags = flag_if(last.0 > 0, ADDED_LATER) | flag_if(title_distance.is_some(), TITLE_ABOVE);
    let facts = item.facts.0.as_ref();
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
    if last.0 > 0 {
        put_varint(out, last.0);
    }
    if !item.guids.is_empty() {
        put_with_length(out, |out| item.guids.iter().for_each(|id| put_id(out, id)));
    }
    if let Some(facts) = facts {
        // A `Vec` takes all that a type of ours encodes.
        put_with_length(out, |out| {
            *out = postcard::to_extend(facts, std::mem::take(out)).unwrap_or_default();
            if !shown.are_all(last) {
                *out = postcard::to_extend(shown, std::mem::take(out)).unwrap_or_default();
            }
        });
    }
}

/// Appends what `put` appends to `out`, after its length.
fn put_with_length(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    put(out);
    let end = out.len();
    put_varint(out, (end - begin) as u64);
    out[begin..].rotate_left(end - begin);
}

/// Appends the record of an item's show to `out`, which the caller has aligned.
fn put_show(out: &mut Vec<u8>, item: &Item) {
    let guid = PackedGuid::of(&item.show_guid);
    out.extend_from_slice(&[SHOW, guid.tag()]);
    put_bytes(out, item.show_rating_key.as_bytes());
    put_bytes(out, item.show_title.as_bytes());
    guid.put(out);
}

/// Appends the record of an item's season or album to `out`, which the caller has aligned. `show` is the number of the
/// show's record, or 0.
fn put_season(out: &mut Vec<u8>, item: &Item, show: u32) {
    let guid = PackedGuid::of(&item.season_guid);
    out.extend_from_slice(&[SHOW | SEASON, guid.tag()]);
    out.extend_from_slice(&show.to_le_bytes());
    put_bytes(out, item.season_rating_key.as_bytes());
    put_bytes(out, item.season_title.as_bytes());
    guid.put(out);
}

/// Writes the entries of these paths, sorted by normal form. Adds each path that is the first one in a folder to
/// `folders`, with the hash of the folder's name.
fn put_order(paths: KeySorter, body: &mut SegmentWriter, mut folders: Option<&mut PairSorter>) -> io::Result<()> {
    let mut previous: Vec<u8> = Vec::new();
    paths.for_each_sorted(|form, entry| {
        body.put(&entry.to_le_bytes())?;
        let Some(folders) = &mut folders else { return Ok(()) };
        let common = form.iter().zip(&previous).take_while(|(a, b)| a == b).count();
        let mut begin = 0;
        for end in (0..form.len()).filter(|end| form[*end] == b'/') {
            // If the common prefix includes this separator, the folder also contains the previous path.
            if end > begin && end >= common {
                folders.push(folder_hash(&form[begin..end]), entry)?;
            }
            begin = end + 1;
        }
        previous.clear();
        reserve(&mut previous, form.len())?;
        previous.extend_from_slice(form);
        Ok(())
    })
}

/// Returns a digest of an item. The sum of all digests does not depend on the items' order. `buffer` is reused memory.
fn content_digest(item: &Item, buffer: &mut Vec<u8>) -> u64 {
    buffer.clear();
    if let Ok(packed) = postcard::to_extend(item, std::mem::take(buffer)) {
        *buffer = packed;
    }
    xxh3_64(buffer)
}

/// Returns an error that reports insufficient memory for `items` items, and suggests a remedy.
fn no_memory(items: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::OutOfMemory,
        format!("not enough memory for a segment of {items} items; raise the memory limit (ulimit -v)"),
    )
}

/// Size and alignment of writes. File systems with large folios then cache the file in pieces of this size, each with
/// one TLB entry, which reduces TLB misses in large segments and page faults in new processes.
const PIECE: usize = if cfg!(test) { 8 << 10 } else { 2 << 20 };

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

/// Percentage of home slots in use. A higher load saves memory but makes searches longer.
const LOAD_PERCENT: usize = 85;
/// A free slot.
const FREE: [u8; SLOT] = [0; SLOT];

/// Sorts pairs of a hash and an entry, and writes them as a hash table. Returns the table's part and its number of home
/// slots.
pub fn put_table(pairs: PairSorter, body: &mut SegmentWriter) -> io::Result<(SegmentPart, u64)> {
    let homes = (pairs.0.count * 100).div_ceil(LOAD_PERCENT).max(1);
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
            none => none.insert(files::create_temporary(&temporary_beside(&self.place))?),
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
#[path = "builder_tests.rs"]
mod tests;
