//! Making an image: records as items come, tables at the end, and then one file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::xxh3_64;

use super::layout::{BLOCK, Head, ImageKind, Part};
use super::order::{self, Place};
use super::record::{self, BARE, FIRST, FORM_ASCII, FORM_RAW, FORM_STORED, FORM_WINDOWS, MAPPED, TWIN};
use super::sort::{self, Name};
use super::{bytes, names, table};
use crate::error::{Error, Result, Status};
use crate::matching::normal::{Shape, form_tag};
use crate::matching::{Fold, Form, Mappings, Normal, Spelling};
use crate::model::{Item, ItemType};
use crate::platform::files;

/// What an image is of.
#[derive(Clone, Debug, Default)]
pub struct ImageMeta {
    /// What it holds.
    pub kind: ImageKind,
    /// The library's uuid, of up to 255 bytes.
    pub library: String,
    /// The listing's generation.
    pub generation: u64,
    /// The change sequence up to which it knows everything.
    pub sequence: u64,
    /// Rules whose results are indexed too.
    pub mappings: Mappings,
}

/// What was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageInfo {
    /// Size of the file.
    pub bytes: u64,
    /// Items, or matches.
    pub items: u64,
    /// Paths, those made by mappings not counted.
    pub parts: u64,
}

/// Collects items and writes them as one image.
pub struct ImageBuilder {
    meta: ImageMeta,
    /// Everything between the head and the tables.
    records: Vec<u8>,
    /// Hashes of normal forms, and entries.
    paths: Vec<(u64, u32)>,
    /// Hashes of rating keys, and entries.
    keys: Vec<(u64, u32)>,
    names: Vec<Name>,
    /// Listed paths, and those made by mappings.
    listed: Vec<Place>,
    mapped: Vec<Place>,
    /// Shows by the hash of their records. A show whose hash another one has is simply written again.
    shows: HashMap<u64, u32>,
    /// Shows by the hash of their rating key: the first that was written.
    owners: HashMap<u64, u32>,
    items: u64,
    parts: u64,
    full: bool,
    /// There was no memory for all of it: nothing more is taken, and the end is an error.
    short: bool,
}

/// So many items are held at once while an image is made of what is stored.
const HELD: usize = 10_000;

/// What an item takes at most beside its texts, its show's and its paths.
const ITEM_ROOM: usize = 4096;

impl ImageBuilder {
    /// Begins an image.
    #[must_use]
    pub fn new(meta: ImageMeta) -> Self {
        Self {
            meta,
            records: Vec::new(),
            paths: Vec::new(),
            keys: Vec::new(),
            names: Vec::new(),
            listed: Vec::new(),
            mapped: Vec::new(),
            shows: HashMap::new(),
            owners: HashMap::new(),
            items: 0,
            parts: 0,
            full: false,
            short: false,
        }
    }

    /// Whether there is memory for one of so many items, with those that are held meanwhile: it is tried, and given back.
    /// Where it is short every text of an item may be what ends the host.
    ///
    /// # Errors
    /// [`Status::Store`].
    pub fn expect(items: u64) -> Result<()> {
        let items_here = usize::try_from(items).unwrap_or(usize::MAX);
        let size = items_here
            .saturating_mul(512)
            .saturating_add(items_here.min(HELD) * 1024);
        Vec::<u8>::new()
            .try_reserve_exact(size)
            .map_err(|_| failed("", &no_memory(items)))
    }

    /// Whether there is memory for one more, of so many paths with texts of so many bytes. Without it the host would be
    /// ended.
    fn has_room(&mut self, paths: usize, texts: usize) -> bool {
        // A path stands there as it is, folded, and as mappings make it; tables take an entry for each.
        let entries = 2 * paths + 1;
        let done = self
            .records
            .try_reserve(ITEM_ROOM + entries * 64 + texts.saturating_mul(8))
            .and_then(|()| self.paths.try_reserve(entries))
            .and_then(|()| self.keys.try_reserve(1))
            .and_then(|()| self.names.try_reserve(entries))
            .and_then(|()| self.listed.try_reserve(entries))
            .and_then(|()| self.mapped.try_reserve(entries))
            .is_ok()
            && self.shows.try_reserve(1).is_ok()
            && self.owners.try_reserve(1).is_ok();
        self.short |= !done;
        !self.short
    }

    /// Whether there is memory for the tables, which are made one after the other. It is tried, and given back.
    fn has_room_for_tables(&self) -> bool {
        let entries = self.paths.len().max(self.keys.len()).max(self.names.len());
        let mut tried: [Vec<u64>; 2] = Default::default();
        tried
            .iter_mut()
            .all(|one| one.try_reserve_exact(entries * 2 + BLOCK).is_ok())
    }

    /// Adds an item with all its files. Rating keys must differ; external ids are not kept.
    pub fn push(&mut self, item: &Item) {
        self.push_single(item, 0);
    }

    /// The same for one that came singly, at this change sequence; 0: with the listing.
    pub fn push_single(&mut self, item: &Item, came: u64) {
        let texts = [
            &item.rating_key,
            &item.title,
            &item.guid,
            &item.show_title,
            &item.show_rating_key,
            &item.show_guid,
        ];
        let bytes = texts.into_iter().chain(&item.parts).map(String::len).sum();
        if !self.has_room(item.parts.len(), bytes) {
            return;
        }
        let show = self.show(item);
        let first = self.align();
        let place = Place::new(
            first,
            if item.parts.len() > 1 { first } else { 0 },
            self.owner(item, show),
            if item.kind == ItemType::Episode {
                item.season
            } else {
                -1
            },
        );
        let mut parts = item.parts.iter().map(String::as_bytes);
        match parts.next() {
            Some(path) => {
                self.entry(path, FIRST, first);
                self.listed.push(place);
            }
            None => record::put_entry(&mut self.records, FIRST | BARE | FORM_RAW, first, b"", b""),
        }
        record::put_item(&mut self.records, item, show, parts.len(), came);
        // Right behind the item, and nothing between them: that is how an item finds its further files.
        let mut mapped = Vec::new();
        let map = |path: &[u8]| self.meta.mappings.to_host(path);
        if let Some(host) = item.parts.first().and_then(|path| map(path.as_bytes())) {
            mapped.push((first, host));
        }
        let hosts: Vec<_> = item.parts.iter().skip(1).map(|path| map(path.as_bytes())).collect();
        for (path, host) in parts.zip(hosts) {
            let entry = self.align();
            self.entry(path, 0, first);
            self.listed.push(Place { entry, ..place });
            mapped.extend(host.map(|host| (entry, host)));
        }
        for (listed, host) in mapped {
            let entry = self.align();
            self.entry(&host, MAPPED, listed);
            self.mapped.push(Place { entry, ..place });
        }
        self.keys.push((xxh3_64(item.rating_key.as_bytes()), first));
        self.items += 1;
    }

    /// Adds a match that was confirmed at this change sequence: of [`ImageKind::Matches`] only.
    pub fn push_match(&mut self, path: &[u8], rating_key: &str, sequence: u64) {
        if !self.has_room(1, path.len() + rating_key.len()) {
            return;
        }
        let first = self.align();
        self.entry(path, FIRST, first);
        record::put_match(&mut self.records, rating_key, sequence);
        self.items += 1;
    }

    /// Writes the image under another name beside `path`, and renames it into place: `path` is always the
    /// whole old file or the whole new one. Opening needs its `seal`.
    ///
    /// The file is not forced to the disk. After a crash of the machine it may be damaged; its check sums tell, and it is
    /// made anew from the database, which costs less than waiting for the disk each time.
    ///
    /// # Errors
    /// [`Status::Store`] or [`Status::StoreFull`]; `path` is as it was.
    pub fn finish(self, path: &Path, seal: u64) -> Result<ImageInfo> {
        write_in_place(path, |file| self.write(file, seal))
    }

    /// The image as bytes, of no name.
    ///
    /// # Errors
    /// [`Status::StoreFull`] when it would be larger than the format allows; [`Status::Store`] without memory for it.
    pub fn finish_in_memory(self) -> Result<Vec<u8>> {
        let mut out = io::Cursor::new(Vec::new());
        // Its records, and some 52 bytes of tables for each path.
        let size = self.records.len() + 52 * (self.paths.len() + self.keys.len() + self.names.len());
        if out.get_mut().try_reserve(size + 4 * BLOCK).is_err() {
            return Err(failed("", &no_memory(self.items)));
        }
        self.write(&mut out, 0).map_err(|error| failed("", &error))?;
        Ok(out.into_inner())
    }

    fn write(mut self, out: &mut (impl Write + Seek), seal: u64) -> io::Result<ImageInfo> {
        self.align();
        if self.full {
            return Err(too_large());
        }
        if self.short || !self.has_room_for_tables() {
            return Err(no_memory(self.items));
        }
        self.mark_twins();
        let mut names = std::mem::take(&mut self.names);
        sort::sort(&mut names, |entry| form_of(&self.records, entry));
        let (array, directory) = names::build(names.iter().map(|name| (name.hash, name.entry)));
        drop(names);
        let (listed, mapped) = (std::mem::take(&mut self.listed), std::mem::take(&mut self.mapped));
        let order = match self.meta.kind {
            ImageKind::Listing => order::build(&listed, &mapped, |entry| form_of(&self.records, entry)),
            ImageKind::Matches => Vec::new(),
        };
        drop((listed, mapped));

        out.write_all(&[0; BLOCK])?;
        let mut body = Body::new(out);
        let mut head = Head {
            kind: self.meta.kind,
            form: form_tag(),
            generation: self.meta.generation,
            sequence: self.meta.sequence,
            mappings: self.meta.mappings.digest(),
            items: self.items,
            parts: self.parts,
            uuid: self.meta.library,
            seal,
            path_homes: table::homes(self.paths.len()) as u64,
            key_homes: table::homes(self.keys.len()) as u64,
            ..Head::default()
        };
        head.records = body.part(&self.records, 1)?;
        drop(std::mem::take(&mut self.records));
        head.paths = body.part(&table::build(&self.paths), 8)?;
        self.keys.sort_unstable();
        head.keys = body.part(&table::build(&self.keys), 8)?;
        head.names = body.part(&array, 8)?;
        head.directory = body.part(&directory, 4)?;
        head.order = body.part(&order, 4)?;
        let sums = body.finish();
        write_ends(out, &mut head, &sums)?;
        Ok(ImageInfo {
            bytes: head.length,
            items: self.items,
            parts: self.parts,
        })
    }

    /// Sorts the paths by hash and marks those that share what the table keeps of it.
    fn mark_twins(&mut self) {
        self.paths.sort_unstable();
        for twins in self.paths.chunk_by(|a, b| table::upper(a.0) == table::upper(b.0)) {
            if twins.len() > 1 {
                for (_, entry) in twins {
                    self.records[*entry as usize * 4 - BLOCK] |= TWIN;
                }
            }
        }
    }

    /// Pads the records to where an entry may begin, and gives its number.
    fn align(&mut self) -> u32 {
        let length = self.records.len().next_multiple_of(4);
        self.records.resize(length, 0);
        let number = u32::try_from((BLOCK + length) / 4);
        self.full |= number.is_err();
        number.unwrap_or(u32::MAX)
    }

    /// Appends an entry and puts it into the tables; the records are aligned.
    fn entry(&mut self, path: &[u8], flags: u8, target: u32) {
        let number = self.align();
        let kind = self.meta.kind;
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
            record::put_entry(&mut self.records, flags | form, target, path, normal.form());
            self.paths.push((normal.hash(), number));
            if let Some(spelled) = Spelling::hash_of(path).filter(|_| form == FORM_STORED)
                && table::upper(spelled) != table::upper(normal.hash())
            {
                self.paths.push((spelled, number));
            }
            if flags & MAPPED == 0 {
                self.parts += 1;
                if let Some(hash) = names::name_hash(normal.form())
                    && kind == ImageKind::Listing
                {
                    self.names.push(Name { hash, entry: number });
                }
            }
        });
    }

    /// The show that stands for all with its rating key; 0 without one.
    fn owner(&mut self, item: &Item, show: Option<u32>) -> u32 {
        match show {
            Some(show) if !item.show_rating_key.is_empty() => {
                let hash = xxh3_64(item.show_rating_key.as_bytes());
                *self.owners.entry(hash).or_insert(show)
            }
            _ => 0,
        }
    }

    /// The record of the item's show, written now if it is new.
    fn show(&mut self, item: &Item) -> Option<u32> {
        if item.show_title.is_empty() && item.show_rating_key.is_empty() && item.show_guid.is_empty() {
            return None;
        }
        let number = self.align();
        let at = self.records.len();
        record::put_show(&mut self.records, item);
        let record = &self.records[at..];
        let hash = xxh3_64(record);
        if let Some(known) = self.shows.get(&hash) {
            let known_at = *known as usize * 4 - BLOCK;
            if self.records[known_at..].starts_with(record) {
                self.records.truncate(at);
                return Some(*known);
            }
        } else {
            self.shows.insert(hash, number);
        }
        Some(number)
    }
}

fn no_memory(items: u64) -> io::Error {
    io::Error::new(
        io::ErrorKind::OutOfMemory,
        format!("there is no memory for an image of {items} items: raise the limit on memory (ulimit -v)"),
    )
}

pub(super) fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, "an image holds 16 GiB at most")
}

/// The error with what could not be done before its text.
fn failed(what: &str, error: &io::Error) -> Error {
    let full = files::is_full(error);
    let status = if full { Status::StoreFull } else { Status::Store };
    Error::new(status, format!("{what}{error}"))
}

/// The normal form of an entry of records that are still in memory. They are ours, so nothing is checked but by slicing.
fn form_of(records: &[u8], entry: u32) -> Form<'_> {
    use super::layout::varint;
    let record = &records[entry as usize * 4 - BLOCK..];
    let flags = record[0];
    let field =
        |bytes: &[u8]| varint(bytes).map_or((0, 1), |(length, used)| (usize::try_from(length).unwrap_or(0), used));
    let (length, used) = field(&record[1..]);
    let from = 1 + used + if flags & FIRST == 0 { 4 } else { 0 };
    let (path, behind) = record[from..].split_at(length);
    match flags & 3 {
        FORM_ASCII => Form::new(path, Fold::Ascii),
        FORM_WINDOWS => Form::new(path, Fold::Windows),
        FORM_STORED => {
            let (length, used) = field(behind);
            Form::done(&behind[used..used + length])
        }
        _ => Form::done(path),
    }
}

/// Writes a file under another name beside `path`, and renames it into place.
pub(super) fn write_in_place<T>(path: &Path, write: impl FnOnce(&mut File) -> io::Result<T>) -> Result<T> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{number}.new", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = files::fresh(&temporary).and_then(|mut file| {
        let written = write(&mut file)?;
        files::rename(&temporary, path)?;
        Ok(written)
    });
    written.map_err(|error| {
        let _ = files::remove(&temporary);
        failed(&format!("the image {} cannot be written: ", path.display()), &error)
    })
}

/// Writes what stands around the parts: the check sums behind them, and the head before them.
pub(super) fn write_ends(out: &mut (impl Write + Seek), head: &mut Head, sums: &Sums) -> io::Result<()> {
    head.sums = Part {
        at: sums.at,
        count: sums.table.len() as u64 / 8,
    };
    head.sums_sum = xxh3_64(&sums.table);
    head.length = sums.at + sums.table.len() as u64;
    out.write_all(&sums.table)?;
    out.seek(SeekFrom::Start(0))?;
    out.write_all(&head.encode())
}

/// Writes what check sums cover, and takes them on the way.
pub(super) struct Body<'o, W> {
    out: &'o mut W,
    at: u64,
    /// The block that is not complete yet.
    rest: Vec<u8>,
    table: Vec<u8>,
}

/// Where the parts end, and their check sums.
pub(super) struct Sums {
    at: u64,
    table: Vec<u8>,
}

impl<'o, W: Write> Body<'o, W> {
    pub(super) fn new(out: &'o mut W) -> Self {
        Self {
            out,
            at: BLOCK as u64,
            rest: Vec::with_capacity(BLOCK),
            table: Vec::new(),
        }
    }

    /// Writes a part of elements of this size, and what pads it to eight bytes.
    pub(super) fn part(&mut self, part: &[u8], size: usize) -> io::Result<Part> {
        let at = self.at;
        self.write(part)?;
        self.write(&[0; 8][..part.len().next_multiple_of(8) - part.len()])?;
        Ok(Part {
            at,
            count: (part.len() / size) as u64,
        })
    }

    fn write(&mut self, mut part: &[u8]) -> io::Result<()> {
        self.out.write_all(part)?;
        self.at += part.len() as u64;
        if !self.rest.is_empty() {
            let (head, tail) = part.split_at(part.len().min(BLOCK - self.rest.len()));
            self.rest.extend_from_slice(head);
            part = tail;
            if self.rest.len() < BLOCK {
                return Ok(());
            }
            self.table.extend(bytes::sums(&self.rest));
            self.rest.clear();
        }
        let (whole, rest) = part.split_at(part.len() - part.len() % BLOCK);
        self.table.extend(bytes::sums(whole));
        self.rest.extend_from_slice(rest);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Sums {
        self.table.extend(bytes::sums(&self.rest));
        Sums {
            at: self.at,
            table: self.table,
        }
    }
}
