//! Builds the segment of a listing: records as items arrive, tables at the end.
//!
//! Records are written directly to the file; the tables' input is sorted in runs in temporary files. So a segment of
//! any size needs the same memory, except for its shows. A segment in memory needs twice the size of its file.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::body::{self, SegmentOutput, SegmentWriter, cannot_write, failed, too_large};
use super::layout::{BLOCK, SegmentHead};
use super::names;
use super::order::{FolderOrderBuilder, ListedPath};
use super::parts::{mark_twins, put_keys, put_names, put_paths, run_both};
use super::record::{self, BARE, FIRST, FORM_ASCII, FORM_RAW, FORM_STORED, FORM_WINDOWS, MAPPED};
use super::sorter::{KeySorter, PairSorter};
use super::table;
use crate::error::Result;
use crate::matching::normal::{Shape, form_tag};
use crate::matching::{Mappings, Normal, Spelling};
use crate::model::{Item, ItemType};
use crate::platform::bytes::same;

/// The identity of a segment.
#[derive(Clone, Debug, Default)]
pub struct ListingMeta {
    /// The library's uuid, of up to 255 bytes.
    pub library: String,
    /// The listing's generation.
    pub generation: u64,
    /// The change sequence up to which it has every change.
    pub sequence: u64,
    /// The mappings whose results are indexed too.
    pub mappings: Mappings,
}

/// The finished segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListingInfo {
    /// Size of the file.
    pub bytes: u64,
    /// Number of items.
    pub items: u64,
    /// Listed paths, without mapped ones.
    pub parts: u64,
}

/// Builds a segment from items.
pub struct ListingBuilder {
    meta: ListingMeta,
    /// The records, and the parts after them.
    records: SegmentWriter,
    /// Hashes of normal forms, and entries.
    paths: PairSorter,
    /// Hashes of rating keys, and entries.
    keys: PairSorter,
    /// Hashes of file names, and entries.
    names: PairSorter,
    /// Normal forms of listed paths, and of mapped ones.
    listed: KeySorter,
    mapped: KeySorter,
    /// Shows and seasons by the hash of their records. After a collision the show is written again.
    shows: HashMap<u64, (u32, Box<[u8]>)>,
    /// Bytes of these records.
    show_bytes: usize,
    /// The first record of each show and season, by the hash of its rating key.
    owners: HashMap<u64, u32>,
    /// Show and season of the last item, as texts.
    parents: Option<([String; 6], ParentRecords)>,
    items: u64,
    parts: u64,
    /// The first error: further items are ignored.
    failed: Option<io::Error>,
}

/// The records of an item's show and season, and the first records with the same rating keys; 0 without one.
#[derive(Clone, Copy)]
struct ParentRecords {
    show: Option<u32>,
    season: Option<u32>,
    show_owner: u32,
    season_owner: u32,
}

/// Number of items in memory at once while a segment is built from the store.
const ITEMS_IN_MEMORY: usize = 10_000;

/// Maximum size of an item without its texts and paths, in bytes.
const MAX_ITEM_OVERHEAD: usize = 4096;

/// Memory limit for shows, in bytes; further shows are written again with each item.
const MAX_SHOW_BYTES: usize = 16 << 20;

/// Number of items whose sort runs fill the memory of the sorters.
const ITEMS_PER_RUN: u64 = 40_000;

/// With more paths than this, the order is built in a separate thread.
const THREAD_THRESHOLD: usize = if cfg!(test) { 1 << 8 } else { 1 << 15 };

impl ListingBuilder {
    /// Starts a segment in memory.
    #[must_use]
    pub fn new(meta: ListingMeta) -> Self {
        Self::in_place(meta, SegmentOutput::Memory(Vec::new()))
    }

    /// Starts a segment in a temporary file in the folder of `path`. Sweeping removes it after a kill.
    #[must_use]
    pub fn in_file(meta: ListingMeta, path: &Path) -> Self {
        Self::in_place(meta, SegmentOutput::NewFile(path.to_path_buf()))
    }

    fn in_place(meta: ListingMeta, out: SegmentOutput) -> Self {
        let records = SegmentWriter::new(out);
        let place = records.place();
        let place = place.as_deref();
        Self {
            meta,
            paths: PairSorter::new(place),
            keys: PairSorter::new(place),
            names: PairSorter::new(place),
            listed: KeySorter::new(place),
            mapped: KeySorter::new(place),
            records,
            shows: HashMap::new(),
            show_bytes: 0,
            owners: HashMap::new(),
            parents: None,
            items: 0,
            parts: 0,
            failed: None,
        }
    }

    /// Checks that memory for a segment of this many items can be allocated, and frees it again. Without this check any
    /// allocation of an item's text could abort the host.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn check_memory(items: u64) -> Result<()> {
        let items_here = usize::try_from(items).unwrap_or(usize::MAX);
        let size = items_here
            .saturating_mul(512)
            .saturating_add(items_here.min(ITEMS_IN_MEMORY) * 1024);
        Vec::<u8>::new()
            .try_reserve_exact(size)
            .map_err(|_| failed("", &no_memory(items)))
    }

    /// As [`ListingBuilder::check_memory`], for a segment in a file.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`].
    pub fn check_memory_for_file(items: u64) -> Result<()> {
        Self::check_memory(items.min(ITEMS_PER_RUN))
    }

    /// Adds an item with all its files. Rating keys must differ; external ids are not kept.
    pub fn push(&mut self, item: &Item) {
        self.push_single(item, 0);
    }

    /// Adds an item that was added at this change sequence, after the listing; 0: with the listing.
    pub fn push_single(&mut self, item: &Item, added_sequence: u64) {
        let bytes = item.texts().into_iter().chain(&item.parts).map(String::len).sum();
        self.attempt(|segment| segment.put_item(item, added_sequence, bytes));
    }

    /// Runs a step, unless an earlier one failed.
    fn attempt(&mut self, work: impl FnOnce(&mut Self) -> io::Result<()>) {
        if self.failed.is_none() {
            self.failed = work(self).err();
        }
    }

    /// Reserves memory for one more item, with these numbers of paths and bytes of text: a failed allocation would abort the host.
    fn reserve(&mut self, paths: usize, texts: usize) -> io::Result<()> {
        // A path is stored as listed, folded, and mapped.
        let entries = 2 * paths + 1;
        self.records
            .buffer_for(MAX_ITEM_OVERHEAD + entries * 64 + texts.saturating_mul(8))?;
        let room = self.shows.try_reserve(2).and_then(|()| self.owners.try_reserve(2));
        room.map_err(|_| io::ErrorKind::OutOfMemory.into())
    }

    fn put_item(&mut self, item: &Item, added_sequence: u64, texts: usize) -> io::Result<()> {
        self.reserve(item.parts.len(), texts)?;
        let parents = self.parents(item)?;
        let first = self.align()?;
        let place = ListedPath::new(
            first,
            if item.parts.len() > 1 { first } else { 0 },
            parents.show_owner,
            match parents.season_owner {
                // An item without a key gets a number from the end, where no record begins.
                0 if item.kind == ItemType::Episode => !item.season.cast_unsigned(),
                season => season,
            },
        );
        let mut parts = item.parts.iter().map(String::as_bytes);
        let title = if let Some(path) = parts.next() {
            let begin = self.entry(path, FIRST, place)?;
            let found = within(path, item.title.as_bytes());
            found.map(|found| self.records.position() - (begin + found))
        } else {
            record::put_entry(self.records.buffer_for(0)?, FIRST | BARE | FORM_RAW, first, b"", b"");
            None
        };
        record::put_item(
            self.records.buffer_for(0)?,
            item,
            title,
            parents.season.or(parents.show),
            parts.len(),
            added_sequence,
        );
        // Directly after the item, where its further files are expected.
        let mut mapped = Vec::new();
        let map = |path: &[u8]| self.meta.mappings.to_host(path);
        if let Some(host) = item.parts.first().and_then(|path| map(path.as_bytes())) {
            mapped.push((first, host));
        }
        let hosts: Vec<_> = item.parts.iter().skip(1).map(|path| map(path.as_bytes())).collect();
        for (path, host) in parts.zip(hosts) {
            let entry = self.align()?;
            self.entry(path, 0, ListedPath { entry, ..place })?;
            mapped.extend(host.map(|host| (entry, host)));
        }
        for (listed, host) in mapped {
            let entry = self.align()?;
            self.mapped_entry(&host, listed, ListedPath { entry, ..place })?;
        }
        self.keys.push(xxh3_64(item.rating_key.as_bytes()), first)?;
        self.items += 1;
        self.records.flush_pieces()
    }

    /// Writes the segment to a temporary file and renames it to `path`. Opening needs its `name_mac`.
    ///
    /// The file is not synced. After a crash of the machine its checksums show damage, and it is rebuilt from the database:
    /// that costs less than a sync each time.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`] or [`crate::error::Status::StoreFull`]; `path` is as it was.
    pub fn finish(self, path: &Path, name_mac: u64) -> Result<ListingInfo> {
        let written = self.write(name_mac).and_then(|(out, info)| {
            body::persist(out, path)?;
            Ok(info)
        });
        cannot_write(written, path)
    }

    /// The segment as bytes; it must have been begun in memory.
    ///
    /// # Errors
    /// [`crate::error::Status::StoreFull`] when it would be larger than the format allows; [`crate::error::Status::Store`] without memory for it.
    pub fn finish_in_memory(self) -> Result<Vec<u8>> {
        match self.write(0).map_err(|error| failed("", &error))? {
            (SegmentOutput::Memory(bytes), _) => Ok(bytes),
            _ => Err(failed("", &io::Error::other("the segment was begun in a file"))),
        }
    }

    fn write(self, name_mac: u64) -> io::Result<(SegmentOutput, ListingInfo)> {
        let items = self.items;
        self.write_all(name_mac).map_err(|error| match error.kind() {
            io::ErrorKind::OutOfMemory => no_memory(items),
            _ => error,
        })
    }

    /// Writes all parts and the head; with many paths, the folder order is prepared on another thread meanwhile.
    fn write_all(mut self, name_mac: u64) -> io::Result<(SegmentOutput, ListingInfo)> {
        self.align()?;
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut body = self.records;
        let place = body.place();
        let place = place.as_deref();
        let mut head = SegmentHead {
            form: form_tag(),
            generation: self.meta.generation,
            sequence: self.meta.sequence,
            mappings: self.meta.mappings.digest(),
            items: self.items,
            parts: self.parts,
            uuid: self.meta.library,
            name_mac,
            ..SegmentHead::default()
        };
        head.records = body.end_part(BLOCK, 1)?;

        let (listed, mapped) = (self.listed, self.mapped);
        let mut arrays = FolderOrderBuilder::new(place);
        let add_folders = move || {
            // The flag: paths after server-to-host mapping.
            arrays.add(listed, false)?;
            arrays.add(mapped, true)?;
            Ok(arrays)
        };
        let with_thread = self.paths.len() > THREAD_THRESHOLD;
        let (arrays, hash_twins) = run_both(with_thread, add_folders, || {
            // Entries that share the stored half of their hash.
            let hash_twins = put_paths(self.paths, &mut head, &mut body)?;
            put_keys(self.keys, &mut head, &mut body)?;
            put_names(self.names, &mut head, &mut body)?;
            Ok(hash_twins)
        })?;
        head.order = arrays.finish(&mut body)?;

        mark_twins(hash_twins, &mut body)?;
        let out = body.finish(&mut head)?;
        let info = ListingInfo {
            bytes: head.length,
            items: self.items,
            parts: self.parts,
        };
        Ok((out, info))
    }

    /// Pads the records to the next entry's alignment, and returns its number.
    fn align(&mut self) -> io::Result<u32> {
        let more = self.records.position().next_multiple_of(4) - self.records.position();
        self.records.buffer_for(more)?.extend_from_slice(&[0; 4][..more]);
        u32::try_from(self.records.position() / 4).map_err(|_| too_large())
    }

    /// Appends a listed entry and adds it to the tables; the records are aligned. Returns the offset of its path.
    fn entry(&mut self, path: &[u8], flags: u8, place: ListedPath) -> io::Result<usize> {
        self.parts += 1;
        // Leads from a further file to its item.
        let target = if flags & FIRST == 0 { place.item } else { place.entry };
        self.put_path(path, flags, target, place.entry, |segment, form| {
            segment.listed.push(form, place.to_numbers())?;
            match names::name_hash(form) {
                Some(hash) => segment.names.push(hash & !0xFFFF_FFFF, place.entry),
                None => Ok(()),
            }
        })
    }

    /// Appends the mapped entry of a listed one.
    fn mapped_entry(&mut self, path: &[u8], listed: u32, place: ListedPath) -> io::Result<()> {
        let put = self.put_path(path, MAPPED, listed, place.entry, |segment, form| {
            segment.mapped.push(form, place.to_numbers())
        });
        put.map(drop)
    }

    fn put_path(
        &mut self,
        path: &[u8],
        flags: u8,
        target: u32,
        number: u32,
        with_form: impl FnOnce(&mut Self, &[u8]) -> io::Result<()>,
    ) -> io::Result<usize> {
        Normal::with(path, |normal| {
            let form = if !normal.is_text() || (!path.is_ascii() && normal.form() == path) {
                FORM_RAW
            } else if !path.is_ascii() || !Shape::of(path).keeps_length() {
                FORM_STORED
            } else if Shape::of(path).windows {
                FORM_WINDOWS
            } else {
                FORM_ASCII
            };
            let begin = self.records.position();
            let tail = self.records.buffer_for(0)?;
            let before = tail.len();
            let path_at = record::put_entry(tail, flags | form, target, path, normal.form());
            self.paths.push(normal.hash(), number)?;
            if let Some(spelled) = Spelling::hash_of(path).filter(|_| form == FORM_STORED)
                && table::upper(spelled) != table::upper(normal.hash())
            {
                self.paths.push(spelled, number)?;
            }
            with_form(self, normal.form())?;
            Ok(begin + path_at - before)
        })
    }

    /// The first show or season with this rating key; 0 without one.
    fn owner(&mut self, rating_key: &str, record: Option<u32>) -> u32 {
        match record {
            Some(record) if !rating_key.is_empty() => {
                *self.owners.entry(xxh3_64(rating_key.as_bytes())).or_insert(record)
            }
            _ => 0,
        }
    }

    /// The item's show and season; mostly those of the last item.
    fn parents(&mut self, item: &Item) -> io::Result<ParentRecords> {
        if let Some((show_bytes, parents)) = &self.parents
            && show_bytes
                .iter()
                .zip(item.texts_above())
                .all(|(show_bytes, text)| same(show_bytes, text))
        {
            return Ok(*parents);
        }
        let show = self.show(item)?;
        let season = self.season(item, show)?;
        let parents = ParentRecords {
            show,
            season,
            show_owner: self.owner(&item.show_rating_key, show),
            season_owner: self.owner(&item.season_rating_key, season),
        };
        self.parents = Some((item.texts_above().map(Clone::clone), parents));
        Ok(parents)
    }

    /// The record of the item's show, written now if it is new.
    fn show(&mut self, item: &Item) -> io::Result<Option<u32>> {
        if item.show_title.is_empty() && item.show_rating_key.is_empty() && item.show_guid.is_empty() {
            return Ok(None);
        }
        self.once(|out| record::put_show(out, item)).map(Some)
    }

    /// The record of the item's season or album, written now if it is new.
    fn season(&mut self, item: &Item, show: Option<u32>) -> io::Result<Option<u32>> {
        if item.season_rating_key.is_empty() {
            return Ok(None);
        }
        self.once(|out| record::put_season(out, item, show.unwrap_or(0)))
            .map(Some)
    }

    /// A record that items share, written now if it is new.
    fn once(&mut self, put: impl FnOnce(&mut Vec<u8>)) -> io::Result<u32> {
        let number = self.align()?;
        let tail = self.records.buffer_for(0)?;
        let at = tail.len();
        put(tail);
        let record = &tail[at..];
        let hash = xxh3_64(record);
        match self.shows.get(&hash) {
            Some((show_bytes, bytes)) if **bytes == *record => {
                tail.truncate(at);
                return Ok(*show_bytes);
            }
            None if self.show_bytes < MAX_SHOW_BYTES => {
                self.show_bytes += record.len();
                self.shows.insert(hash, (number, record.into()));
            }
            _ => {}
        }
        Ok(number)
    }
}

/// The offset of the title in the path, if it begins a component and a reference is shorter than the title.
fn within(path: &[u8], title: &[u8]) -> Option<usize> {
    if title.len() <= 3 {
        return None;
    }
    let behind = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let mut begins = std::iter::once(0).chain(behind.map(|(at, _)| at + 1));
    begins.find(|at| path[*at..].starts_with(title))
}

fn no_memory(items: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::OutOfMemory,
        format!("there is no memory for a segment of {items} items: raise the limit on memory (ulimit -v)"),
    )
}
