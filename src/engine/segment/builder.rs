//! Builds a listing's segment: writes the records as items arrive, and the tables at the end.
//!
//! The builder writes records directly to the file, and sorts the tables' input in temporary files. So a segment of any
//! size needs the same amount of memory, except for its shows.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::layout::{
    BLOCK, KeySorter, PairSorter, SegmentHeader, SegmentWriter, TemporaryFile, cannot_write, put_table, reserve,
    too_large, upper, write_error,
};
use super::read::{folder_hash, show_hash, size_hash};
use super::record::{self, BARE, FIRST, FORM_ASCII, FORM_RAW, FORM_STORED, FORM_WINDOWS, MAPPED};
use crate::error::Result;
use crate::knowledge::FileTickets;
use crate::matching::{ExactBytes, FoldRule, Form, Mappings, NormalPath};
use crate::model::{ByteString, Item, ItemFacts, Sequence};
use crate::platform::bytes::str_eq;

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
        record::put_item(
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
            record::put_entry(out, FIRST | BARE | FORM_RAW, first_entry, b"", b"");
            return Ok(None);
        };
        let path_begin = self.put_listed_entry(listed, FIRST, first_entry, first_entry)?;
        self.put_size(item, 0, first_entry)?;
        let offset = record::title_offset(listed, item.title.as_bytes());
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
        u32::try_from(self.records.position() / 4).map_err(|_| too_large())
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
            let path_offset = record::put_entry(buffer, flags | form, target, path, normal.form());
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
            show = Some(self.put_shared(|out| record::put_show(out, item))?);
        }
        if is_known([&item.season_title, &item.season_rating_key, &item.season_guid]) {
            season = Some(self.put_shared(|out| record::put_season(out, item, show.unwrap_or(0)))?);
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
