//! Reads a listing's segment, by its hash tables and the indexes beside it. In this folder, an entry is one path of an item. A position is an index in the folder order,
//! which contains all paths, sorted by normal form.
//!
//! A hash table has slots of eight bytes, sorted by hash. A lookup jumps to a slot and reads a few slots from there,
//! nearly always in one cache line.
//!
//! The lower half of a slot contains the upper half of a hash; the upper half contains the number of an entry, which is
//! never 0. A free slot is zero. The home slot for a hash is the upper half of the hash, scaled to the number of home
//! slots. The builder fills slots in hash order. An entry goes to its home slot or, if that slot is taken, to the slot
//! after the previous entry. As a result, entries with equal hashes are adjacent, and a search ends at the first free
//! slot or greater hash. The table extends beyond the last home slot and never wraps around.
//!
//! Different names, texts or sizes can have the same hash, so the caller must compare what it finds.
//!
//! The index of a listing's items by GUID and title is in a file beside the segment. The first query that needs it builds
//! it, because most hosts never make such a query. The index is a hash table.

use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use once_cell::race::OnceBox;
use xxhash_rust::xxh3::xxh3_64;

use super::builder::{PairSorter, SegmentWriter, put_table};
use super::layout::{
    BLOCK, FileKind, SLOT, SegmentHeader, SegmentPart, home_slot, offset_of, show_hash, size_hash, u32_at, upper,
};
use super::record::{self, CheckedBytes, EntryRef, ItemTail, ReadResult};
use crate::error::{Error, Result, Status};
use crate::matching::{FolderFile, Form, FoundItem, ItemRef, NormalPath, OnlyEntry, Season};
use crate::model::Sequence;
use crate::platform::files;
use crate::platform::map::{FileBytes, MapMode};

/// Maximum number of files in each direction among which [`ListingSegment::each_beside`] seeks those of an extension.
const MAX_BESIDE: usize = 512;

/// Returns the bytes behind the last dot of a path; all behind the last separator, if no dot is there.
#[must_use]
pub fn extension_of(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|byte| matches!(byte, b'.' | b'/' | b'\\'));
    end.map_or(path, |end| &path[end + 1..])
}

pub struct ListingSegment {
    pub head: SegmentHeader,
    pub(super) file: CheckedBytes,
    paths: HashTable,
    pub(super) keys: HashTable,
    /// Finds paths by the hash of the likeness of their file names; and see [`folder_hash`] and [`show_hash`].
    names: HashTable,
    /// Finds listed paths by the hash of the sizes of their files.
    sizes: HashTable,
    /// The file's path and map mode, which the index file beside it also uses.
    pub(super) place: (PathBuf, MapMode),
    pub(super) index: IndexSlot,
}

impl ListingSegment {
    /// Opens the segment at `path`. `mode` says whether to map the file or to read it into memory. `name_mac` is the
    /// keyed hash of the segment's name. The file must contain the same hash, so that a renamed file is rejected.
    /// Verifies only the header and the checksum table.
    ///
    /// # Errors
    /// Fails with [`Status::Store`] if the file is missing or damaged, or has a different format, rules for normal
    /// forms, or name. The error has a source only if the operating system cannot read the file.
    pub fn open(path: &Path, mode: MapMode, name_mac: u64) -> Result<Self> {
        let bytes = FileBytes::open(path, mode).map_err(|error| cannot_read(path, &error))?;
        let mut segment = Self::new(bytes).map_err(|why| unusable_segment(path, why))?;
        segment.place = (path.to_path_buf(), mode);
        if segment.head.name_mac != name_mac {
            return Err(unusable_segment(
                path,
                "the file was renamed or belongs to another store",
            ));
        }
        Ok(segment)
    }

    /// Creates a segment from its bytes. Verifies the header and the checksum table. On failure, returns the reason.
    pub(super) fn new(bytes: FileBytes) -> std::result::Result<Self, &'static str> {
        let head = SegmentHeader::decode(&bytes, FileKind::Listing)?;
        let file = CheckedBytes::new(bytes, &head)?;
        let sizes = SegmentPart {
            at: head.names.element_offset(head.names.len(), SLOT) as u64,
            count: head.size_slots,
        };
        Ok(Self {
            paths: HashTable::new(head.paths, head.path_homes),
            keys: HashTable::new(head.keys, head.key_homes),
            names: HashTable::new(head.names, head.name_homes),
            sizes: HashTable::new(sizes, head.size_homes),
            place: Default::default(),
            index: IndexSlot::default(),
            head,
            file,
        })
    }

    /// Returns [`super::ListingMeta::assigned`]; `listed_at` if the segment is of an earlier version, which does not know it.
    #[must_use]
    pub fn assigned_or(&self, listed_at: u64) -> u64 {
        if self.head.assigned > 0 {
            self.head.assigned
        } else {
            listed_at
        }
    }

    /// Returns whether a check has failed. If so, the caller must discard all results since the last call.
    #[inline]
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.file.is_broken()
    }

    /// Calls `each` with every entry whose listed or mapped path has the same normal form as `path`. The second
    /// argument says whether the paths are also equal byte for byte.
    #[inline]
    pub fn for_each_with_form<'i>(&'i self, path: &NormalPath<'_>, mut each: impl FnMut(&EntryRef<'i>, bool)) {
        let _damage_is_marked: ReadResult<()> = self.paths.find(&self.file, path.hash(), |number| {
            let entry = EntryRef::read(&self.file, number)?;
            if entry.path == path.raw() || entry.form().equals(path.form()) {
                each(&entry, path.has_spelling(entry.path));
            }
            Ok(false)
        });
    }

    /// Returns the rating key of the item whose first path has exactly these bytes, and the path's normal form. This
    /// fast lookup reads only one entry: `first`, the only entry with the hash of the path's normal form or, for a
    /// path that is not ASCII, of the path in ASCII lower case. Returns `None` if there is no such entry, or if it has
    /// other bytes or is not its item's first; the caller must then read all entries.
    #[inline]
    pub fn unique_hit<'i>(&'i self, path: &[u8], first: OnlyEntry) -> Option<(&'i str, &'i [u8])> {
        record::unique_hit(&self.file, first.0?.get(), path).ok()?
    }

    /// Returns whether exactly one path has a normal form with this hash.
    #[inline]
    pub fn has_only_path(&self, hash: u64) -> bool {
        matches!(self.paths.only(&self.file, hash), Ok(Some(_)))
    }

    /// Prefetches the hash table slot for this hash, so that the loads for several lookups overlap.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        let HashTable { part, homes } = self.paths;
        self.file.prefetch(part.element_offset(home_slot(hash, homes), SLOT));
    }

    /// Returns the only entry with this hash, if any. Prefetches the entry's path and normal form, which together have
    /// `length` bytes, but only about four cache lines, because a processor can have only a few loads in flight.
    #[inline]
    pub fn first(&self, hash: u64, length: usize) -> OnlyEntry {
        const LINE: usize = 64;
        /// Number of further bytes to prefetch: the path's length, and the first fields of the item.
        const BYTES_AROUND: usize = 40;
        let Ok(Some(number)) = self.paths.only(&self.file, hash) else {
            return OnlyEntry(None);
        };
        let at = offset_of(number);
        let end = at.saturating_add(length.min(4 * LINE) + BYTES_AROUND);
        for line in (at - at % LINE..end).step_by(LINE) {
            self.file.prefetch(line);
        }
        OnlyEntry(NonZero::new(number))
    }

    /// Calls `each` with the listed entries whose file names have this hash of their likeness, and perhaps with others,
    /// until it returns `false`.
    pub fn each_named<'i>(&'i self, name_hash: u64, mut each: impl FnMut(&EntryRef<'i>) -> bool) {
        let _damage_is_marked: ReadResult<()> = self
            .names
            .find(&self.file, name_hash, |number| Ok(!each(&self.entry(number)?)));
    }

    /// Passes the numbers of the entries of the listed files of this size to `each`, in any order, until it returns `false`.
    pub fn files_of_size(&self, size: u64, mut each: impl FnMut(u32) -> bool) {
        let _damage_is_marked: ReadResult<()> = self.sizes.find(&self.file, size_hash(size), |entry| {
            Ok(self.file_size(entry) == size && !each(entry))
        });
    }

    /// Finds an item by its rating key, and returns the number of the entry with its first path, if any. If the item
    /// has no files, the entry's path is empty.
    #[must_use]
    pub fn find(&self, rating_key: &str) -> Option<u32> {
        let mut found = None;
        let hash = xxh3_64(rating_key.as_bytes());
        let _damage_is_marked: ReadResult<()> = self.keys.find(&self.file, hash, |number| {
            let entry = EntryRef::read(&self.file, number)?;
            if self.key_of(&entry)? == rating_key {
                found = Some(number);
            }
            Ok(found.is_some())
        });
        found
    }

    /// Returns the rating key and the path of the entry with this number; `None` if the segment is damaged there.
    #[must_use]
    pub fn key_and_path(&self, number: u32) -> Option<(&str, &[u8])> {
        let entry = self.entry(number).ok()?;
        Some((self.key_of(&entry).ok()?, entry.path))
    }

    pub(super) fn entry(&self, number: u32) -> ReadResult<EntryRef<'_>> {
        EntryRef::read(&self.file, number)
    }

    /// Returns the rating key of an entry's item.
    ///
    /// # Errors
    /// Fails if the segment is damaged there.
    pub fn key_of<'i>(&'i self, entry: &EntryRef<'i>) -> ReadResult<&'i str> {
        record::rating_key(&self.file, self.item_offset(entry)?)
    }

    /// Returns the file offset of an entry's item, which directly follows the item's first entry. A mapped entry refers
    /// to its listed entry, and a listed entry refers to the first entry.
    #[inline]
    pub(super) fn item_offset(&self, entry: &EntryRef<'_>) -> ReadResult<usize> {
        if entry.is_first() {
            return Ok(entry.end);
        }
        let mut target = self.entry(entry.target)?;
        if entry.is_mapped() && !target.is_first() {
            target = self.entry(target.target)?;
        }
        if target.is_first() {
            Ok(target.end)
        } else {
            Err(self.file.mark_damaged())
        }
    }

    /// Returns the item of the entry with this number; `None` if the segment is damaged there.
    #[must_use]
    pub fn item(&self, number: u32) -> Option<ItemRef<'_>> {
        let at = self.item_offset(&self.entry(number).ok()?).ok()?;
        Some(record::item(&self.file, at).ok()?.0)
    }

    /// Reads the item and path of the entry with this number into `found`. Returns `false` if the segment is damaged
    /// there; the caller must then discard `found`, which may be incomplete.
    #[must_use]
    pub fn fill_found<'i>(&'i self, number: u32, found: &mut FoundItem<'i>) -> bool {
        let read = self.entry(number).and_then(|entry| {
            found.path = entry.path;
            record::fill_item(&self.file, self.item_offset(&entry)?, &mut found.item)
        });
        read.is_ok()
    }

    /// Returns the size of the file of the listed entry with this number, in bytes; 0 if unknown.
    #[must_use]
    pub fn file_size(&self, number: u32) -> u64 {
        let read = self.entry(number).and_then(|entry| self.file_of(&entry));
        read.map_or(0, |(size, ..)| size)
    }

    /// Returns the duration of the file of the listed entry with this number, in ms; 0 if unknown.
    #[must_use]
    pub fn duration_ms(&self, number: u32) -> u64 {
        let read = self.entry(number).and_then(|entry| self.size_and_duration(&entry));
        read.map_or(0, |(_, duration_ms)| duration_ms)
    }

    /// Returns the size of a listed entry's file in bytes, and its duration in ms; 0 if unknown.
    fn size_and_duration(&self, entry: &EntryRef<'_>) -> ReadResult<(u64, u64)> {
        let (size, index, tail) = self.file_of(entry)?;
        let facts = tail.known_facts(&self.file)?.0;
        Ok((size, facts.map_or(0, |facts| facts.file_duration_ms(index))))
    }

    /// Returns the size of a listed entry's file in bytes, 0 if unknown, its number in the item, and the item's last fields.
    fn file_of(&self, entry: &EntryRef<'_>) -> ReadResult<(u64, usize, ItemTail<'_>)> {
        let first = if entry.is_first() {
            *entry
        } else {
            self.entry(entry.target)?
        };
        let extras = record::item(&self.file, self.item_offset(&first)?)?.1;
        let tail = extras.tail(&self.file)?;
        // The entries of the further files follow the item.
        let (mut index, mut number, mut end) = (0, first.number, tail.end);
        while number != entry.number && (index as u64) < extras.more {
            let further = self.entry(self.number_at(end)?)?;
            (index, number, end) = (index + 1, further.number, further.end);
        }
        // A mapped path's entry is none of them.
        if number != entry.number {
            return Ok((0, 0, tail));
        }
        let size = tail.facts.and_then(|facts| record::size_in_facts(facts, index as u64));
        Ok((size.unwrap_or(0), index, tail))
    }

    /// Returns the ticket of the last request for the item of this entry, if it is later than [`Self::assigned_or`];
    /// otherwise 0.
    #[must_use]
    pub fn last_ticket(&self, number: u32) -> Sequence {
        self.entry(number)
            .and_then(|entry| self.item_offset(&entry))
            .and_then(|at| record::last_ticket(&self.file, at))
            .unwrap_or_default()
    }

    /// Returns the ticket of the request that first showed the item of this entry with the entry's path, if it is later than
    /// [`Self::assigned_or`]; otherwise 0.
    #[must_use]
    pub fn shown_at(&self, number: u32) -> Sequence {
        let last = self.last_ticket(number);
        if last.0 == 0 {
            return last;
        }
        let listed = self.entry(number).and_then(|entry| self.entry(entry.listed_number()));
        let file = listed.and_then(|listed| self.file_of(&listed));
        file.map(|(_, index, tail)| tail.shown(last).of(index))
            .unwrap_or_default()
    }
}

/// Returns the error for a file that cannot be read. The error has a source only if the operating system failed: a
/// later attempt may then succeed. If the file is missing or is not a regular file, plexindex replaces the segment.
fn cannot_read(path: &Path, error: &io::Error) -> Error {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "; let this user read it (chown, chmod), or remove it",
        _ => "",
    };
    let unusable = unusable_segment(path, &format!("{}{remedy}", files::text_of(error)));
    if error.kind() == io::ErrorKind::NotFound || files::is_obstacle_error(error) {
        return unusable;
    }
    unusable.with_io_source(error)
}

/// Returns the error for an unusable segment. `why` is the end of the message.
pub(super) fn unusable_segment(path: &Path, why: &str) -> Error {
    Error::new(Status::Store, format!("cannot use segment {}: {why}", path.display()))
}

impl ListingSegment {
    /// Returns the positions of all paths below a folder: of mapped paths if `mapped` is true, otherwise of listed
    /// paths. `folder` is in normal form, without a trailing separator. `after`: only the paths whose normal forms are
    /// greater, so that a page of files begins after the last file of the previous page.
    #[must_use]
    pub fn below(&self, folder: &[u8], mapped: bool, after: Option<&[u8]>) -> Range<usize> {
        self.read_below(folder, mapped, after).unwrap_or(0..0)
    }

    fn read_below(&self, folder: &[u8], mapped: bool, after: Option<&[u8]>) -> ReadResult<Range<usize>> {
        // The listed paths come first.
        let listed = usize::try_from(self.head.listed_paths).unwrap_or(usize::MAX);
        let all = if mapped {
            listed..self.head.order.len()
        } else {
            0..listed
        };
        let order = |position: usize| Ok(self.entry_at(position)?.form().compare_to_folder(folder));
        let mut from = bisect(all.clone(), |position| Ok(order(position)?.is_lt()))?;
        let end = bisect(from..all.end, |position| Ok(order(position)?.is_eq()))?;
        if let Some(after) = after {
            let after = Form::from_folded(after);
            from = bisect(from..end, |position| {
                Ok(self.entry_at(position)?.form().compare(after).is_le())
            })?;
        }
        Ok(from..end)
    }

    /// Passes size and duration, as [`Self::file_size`] and [`Self::duration_ms`] return them, of about `count` files with the
    /// extension of this normal form to `each`: half of them from before it in the folder order, and half from it on. Reads
    /// each item once.
    pub fn each_beside(&self, form: &[u8], count: usize, mut each: impl FnMut(u64, u64)) {
        let listed = usize::try_from(self.head.listed_paths).unwrap_or(usize::MAX);
        let (extension, form) = (extension_of(form), Form::from_folded(form));
        let middle = bisect(0..listed, |at| Ok(self.entry_at(at)?.form().compare(form).is_lt())).unwrap_or(0);
        let mut from = |positions: &mut dyn Iterator<Item = usize>| {
            let entries = positions.take(MAX_BESIDE).filter_map(|at| self.entry_at(at).ok());
            let alike = entries.filter(|entry| extension_of(entry.path).eq_ignore_ascii_case(extension));
            let read = alike.filter_map(|entry| self.size_and_duration(&entry).ok());
            read.take(count.div_ceil(2))
                .for_each(|(size, duration_ms)| each(size, duration_ms));
        };
        from(&mut (0..middle).rev());
        from(&mut (middle..listed));
    }

    /// Returns the entry at a position in the folder order.
    fn entry_at(&self, position: usize) -> ReadResult<EntryRef<'_>> {
        let order = self.head.order;
        if position >= order.len() {
            return Err(self.file.mark_damaged());
        }
        self.entry(u32_at(self.file.slice(order.element_offset(position, 4), 4)?, 0))
    }

    /// Returns the file at this position; `None` if the segment is damaged there.
    #[must_use]
    pub fn file_at(&self, position: usize) -> Option<FolderFile<'_>> {
        let entry = self.entry_at(position).ok()?;
        let (item, extras) = record::item(&self.file, self.item_offset(&entry).ok()?).ok()?;
        // An answer contains the path as the server lists it.
        let path = if entry.is_mapped() {
            self.entry(entry.target).ok()?.path
        } else {
            entry.path
        };
        let season = record::season(&self.file, extras.parent_record).ok()?;
        Some(FolderFile {
            form: entry.form(),
            found: FoundItem::new(0, item, path),
            season: season.unwrap_or(Season::NONE),
            item_has_other_files: extras.more > 0,
        })
    }

    /// Returns whether `is_wanted` returns `true` for the rating key of one of the items with files of a show.
    #[must_use]
    pub fn any_item_of_show(&self, show_rating_key: &str, mut is_wanted: impl FnMut(&str) -> bool) -> bool {
        let mut is_found = false;
        let _damage_is_marked: ReadResult<()> = self.names.find(&self.file, show_hash(show_rating_key), |number| {
            // The items of the season follow one another.
            let (mut offset, mut parent) = (offset_of(number), None);
            while let Some((entry, end)) = self.next_first(offset)?
                && !is_found
            {
                let (item, extras) = record::item(&self.file, entry.end)?;
                if item.show_rating_key != show_rating_key
                    || *parent.get_or_insert(extras.parent_record) != extras.parent_record
                {
                    break;
                }
                is_found = !entry.path.is_empty() && is_wanted(item.rating_key);
                offset = end;
            }
            Ok(is_found)
        });
        is_found
    }
}

/// Binary search: returns the first index in `within` for which `before` is `false`, or else `within.end`.
#[inline]
fn bisect(mut within: Range<usize>, before: impl Fn(usize) -> ReadResult<bool>) -> ReadResult<usize> {
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

/// Returns the two halves of a slot: the upper half of the hash, and the entry.
#[inline]
fn split_slot(slot: u64) -> [u32; 2] {
    [slot & 0xFFFF_FFFF, slot >> 32].map(|half| u32::try_from(half).unwrap_or(u32::MAX))
}

#[derive(Clone, Copy, Debug)]
pub struct HashTable {
    part: SegmentPart,
    homes: u64,
}

impl HashTable {
    pub fn new(part: SegmentPart, homes: u64) -> Self {
        Self { part, homes }
    }

    /// Calls `each` in hash order with every entry whose hash is equal to or greater than `hash`, until `each` returns
    /// `true`. Compares only the hashes' upper halves.
    pub fn for_each_from(
        &self,
        file: &CheckedBytes,
        hash: u64,
        mut each: impl FnMut(u32) -> ReadResult<bool>,
    ) -> ReadResult<()> {
        self.scan(file, hash, |upper_hash, entry| {
            Ok(entry != 0 && upper_hash >= upper(hash) && each(entry)?)
        })
    }

    /// Returns the entry whose hash has the same upper half as `hash`; `None` if there is none, or if there are several.
    #[inline]
    pub fn only(&self, file: &CheckedBytes, hash: u64) -> ReadResult<Option<u32>> {
        let (mut only, mut has_other) = (None, false);
        self.find(file, hash, |entry| {
            has_other = only.replace(entry).is_some();
            Ok(has_other)
        })?;
        Ok(only.filter(|_| !has_other))
    }

    /// Calls `each` with every entry whose hash has the same upper half as `hash`, until `each` returns `true`.
    #[inline(always)]
    #[allow(clippy::inline_always)] // saves a tenth of a lookup, as measured
    pub fn find(
        &self,
        file: &CheckedBytes,
        hash: u64,
        mut each: impl FnMut(u32) -> ReadResult<bool>,
    ) -> ReadResult<()> {
        let searched = upper(hash);
        self.scan(file, hash, |upper_hash, entry| {
            // Entries with smaller hashes can extend into the first slots.
            if upper_hash < searched && entry != 0 {
                return Ok(false);
            }
            Ok(entry == 0 || upper_hash > searched || each(entry)?)
        })
    }

    /// Calls `each` with the upper half of the hash and the entry of every slot from the home slot of `hash` on, until
    /// `each` returns `true`. The entry of a free slot is 0.
    #[inline(always)]
    #[allow(clippy::inline_always)] // as for `find`
    fn scan(
        &self,
        file: &CheckedBytes,
        hash: u64,
        mut each: impl FnMut(u32, u32) -> ReadResult<bool>,
    ) -> ReadResult<()> {
        let mut slot = home_slot(hash, self.homes);
        let slots = self.part.len();
        while slot < slots {
            // Read only to the end of the block: few searches need the next block and its verification.
            let offset = self.part.element_offset(slot, SLOT);
            let in_block = ((BLOCK - offset % BLOCK) / SLOT).clamp(1, slots - slot);
            for bytes in file.slice(offset, in_block * SLOT)?.as_chunks::<SLOT>().0 {
                let [upper_hash, entry] = split_slot(u64::from_le_bytes(*bytes));
                if each(upper_hash, entry)? {
                    return Ok(());
                }
            }
            slot += in_block;
        }
        Ok(())
    }
}

/// What the name of the index file has after that of the segment.
pub const INDEX_SUFFIX: &str = ".index";

/// The index beside a segment, which the first question that needs it opens or builds.
#[derive(Default)]
pub struct IndexSlot {
    pub built: OnceBox<ItemIndex>,
    /// What calls have read whose deadlines passed before the index was built.
    pub partial: Mutex<Option<PartialIndex>>,
}

/// An index that is not built yet.
pub struct PartialIndex {
    /// The process that has begun.
    pub process: u32,
    /// The file offset of the next item.
    pub offset: usize,
    pub hashes: PairSorter,
}

pub struct ItemIndex {
    file: CheckedBytes,
    table: HashTable,
}

impl ItemIndex {
    /// Opens the index at `path`; `None` if the file is damaged or belongs to a segment with a different `name_mac`.
    /// `mode` says whether to map the file or to read it into memory.
    pub fn open(path: &Path, mode: MapMode, name_mac: u64) -> io::Result<Option<Self>> {
        Ok(Self::of(FileBytes::open(path, mode)?, name_mac))
    }

    /// Creates an index from its file's bytes; `None` if the file is damaged or belongs to a segment with a different
    /// `name_mac`.
    fn of(bytes: FileBytes, name_mac: u64) -> Option<Self> {
        let head = SegmentHeader::decode(&bytes, FileKind::Index).ok();
        let matching_head = head.filter(|head| head.name_mac == name_mac);
        matching_head.and_then(|head| {
            Some(Self {
                table: HashTable::new(head.keys, head.key_homes),
                file: CheckedBytes::new(bytes, &head).ok()?,
            })
        })
    }

    /// Writes the index to `path`, and opens it through the written file's handle, because another process may evict
    /// the library and remove the file at any moment. `hashes` contains the hashes of all texts, each with an entry.
    /// `name_mac` identifies the segment.
    pub fn write(hashes: PairSorter, path: &Path, mode: MapMode, name_mac: u64) -> io::Result<Self> {
        let mut body = SegmentWriter::new(path);
        let mut head = SegmentHeader {
            kind: FileKind::Index,
            name_mac,
            ..SegmentHeader::default()
        };
        (head.keys, head.key_homes) = put_table(hashes, &mut body)?;
        let written = body.finish(&mut head)?;
        let file = written.file.try_clone()?;
        let _ = files::remove(path); // the old file is damaged, or belongs to an earlier segment
        written.persist(path)?;
        Self::of(FileBytes::from_file(file, mode)?, name_mac).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Passes the entries with this hash, and others whose hashes have the same upper half, to `each`, in any order, until
    /// it returns `true`.
    pub fn find(&self, hash: u64, each: impl FnMut(u32) -> ReadResult<bool>) -> ReadResult<()> {
        self.table.find(&self.file, hash, each)
    }
}
