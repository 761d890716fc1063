//! Reads a listing's segment. In this folder, an entry is one path of an item. A position is an index in the folder order,
//! which contains all paths, sorted by normal form.

use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::hash_table::{HashTable, IndexSlot, folder_hash, show_hash};
use super::layout::{CheckedBytes, FileKind, ReadResult, SegmentHeader, bisect, offset_of, u32_at};
use super::record::{self, EntryRef};
use crate::error::{Error, Result, Status};
use crate::matching::{FolderFile, Form, FoundItem, ItemRef, NormalPath, OnlyEntry, Season};
use crate::platform::files;
use crate::platform::map::{FileBytes, MapMode};

pub struct ListingSegment {
    pub(super) head: SegmentHeader,
    pub(super) file: CheckedBytes,
    paths: HashTable,
    pub(super) keys: HashTable,
    /// Finds paths by the hash of the likeness of their file names; and see [`folder_hash`] and [`show_hash`].
    names: HashTable,
    /// The file's path and map mode, which the index file beside it also uses.
    pub(super) place: (PathBuf, MapMode),
    /// The indexes, by their [`super::IndexKey`].
    pub(super) indexes: [IndexSlot; 2],
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
        Ok(Self {
            paths: HashTable::new(head.paths, head.path_homes),
            keys: HashTable::new(head.keys, head.key_homes),
            names: HashTable::new(head.names, head.name_homes),
            place: Default::default(),
            indexes: Default::default(),
            head,
            file,
        })
    }

    /// Returns the uuid of the segment's library.
    #[must_use]
    pub fn library(&self) -> &str {
        &self.head.uuid
    }

    #[must_use]
    pub fn item_count(&self) -> u64 {
        self.head.items
    }

    /// Returns a digest of all items. Segments with the same items, in any order, have the same digest, so plexindex
    /// can tell whether a new listing changes anything.
    #[must_use]
    pub fn items_digest(&self) -> u64 {
        self.head.content
    }

    /// Returns the digest of the mappings with which the segment was built. A handle with other mappings uses another
    /// file.
    #[must_use]
    pub fn mappings_digest(&self) -> u64 {
        self.head.mappings
    }

    /// Returns whether the segment is of the version before, so that only whole items can be read.
    #[must_use]
    pub fn is_earlier(&self) -> bool {
        self.head.is_earlier
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
        self.file.prefetch(self.paths.search_offset(hash));
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

    /// Calls `each` with the first listed entry in each folder whose name has this normal form, and perhaps with others.
    pub fn each_in_folder_named<'i>(&'i self, name: &[u8], each: impl FnMut(&EntryRef<'i>) -> bool) {
        self.each_named(folder_hash(name), each);
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

    /// Returns whether the file offset `at` is before the end of the records.
    pub(super) fn is_in_records(&self, at: usize) -> bool {
        at < self.head.records.element_offset(self.head.records.len(), 1)
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
        let mut found = 0;
        let note = |size, file| {
            if file == number {
                found = size;
            }
        };
        let read = self.entry(number).and_then(|entry| {
            let first = if entry.is_first() {
                entry
            } else {
                self.entry(entry.target)?
            };
            self.for_each_size(&first, note)
        });
        read.map_or(0, |()| found)
    }

    /// Calls `each` with the size of each listed file of an item, 0 if unknown, and the number of its entry. `first`: the
    /// item's first entry.
    pub(super) fn for_each_size(&self, first: &EntryRef<'_>, mut each: impl FnMut(u64, u32)) -> ReadResult<()> {
        let extras = record::item(&self.file, self.item_offset(first)?)?.1;
        let tail = extras.tail(&self.file)?;
        let Some(facts) = tail.facts else { return Ok(()) };
        let size = |index| record::size_in_facts(facts, index).unwrap_or(0);
        each(size(0), first.number);
        // The entries of the further files follow the item.
        let mut end = tail.end;
        for index in 1..=extras.more {
            let further = self.entry(self.number_at(end)?)?;
            each(size(index), further.number);
            end = further.end;
        }
        Ok(())
    }

    /// Returns the ticket of the request that first showed the item of this entry with its paths, if it is later than
    /// [`Self::assigned_or`]; otherwise 0.
    #[must_use]
    pub fn added_sequence(&self, number: u32) -> u64 {
        self.entry(number)
            .and_then(|entry| self.item_offset(&entry))
            .and_then(|at| record::added_sequence(&self.file, at))
            .unwrap_or(0)
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
