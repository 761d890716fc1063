//! Reads the segment of a listing.

use std::io;
use std::num::NonZero;
use std::path::{Path, PathBuf};

use once_cell::race::OnceBox;
use xxhash_rust::xxh3::xxh3_64;

use super::checked_bytes::{CheckedBytes, Read};
use super::hash_table::HashTable;
use super::item_index::ItemIndex;
use super::layout::{SegmentHead, offset_of};
use super::name_table::NameTable;
use super::order::FolderOrder;
use super::record::{self, EntryHead, TWIN};
use crate::error::{Error, Result, Status};
use crate::matching::normal::form_tag;
use crate::matching::{FirstEntry, FoundItem, ItemRef, Normal};
use crate::platform::files;
use crate::platform::map::{FileBytes, MapMode};

/// An open segment.
pub struct ListingSegment {
    pub(super) head: SegmentHead,
    pub(super) file: CheckedBytes,
    paths: HashTable,
    pub(super) keys: HashTable,
    names: NameTable,
    pub(super) order: FolderOrder,
    /// Where it was opened, and how.
    pub(super) place: (PathBuf, MapMode),
    /// The index of its items, opened or built at the first question.
    pub(super) index: OnceBox<ItemIndex>,
}

impl ListingSegment {
    /// Opens the segment at `path`, which must have been made with this `name_mac`. Verifies only the head and the
    /// table of checksums.
    ///
    /// # Errors
    /// [`Status::Store`] if the file is missing or damaged, or has another format, normal form or name. The error has a
    /// source if the operating system cannot read the file.
    pub fn open(path: &Path, mode: MapMode, name_mac: u64) -> Result<Self> {
        let bytes = FileBytes::open(path, mode).map_err(|error| cannot_read(path, &error))?;
        let mut segment = Self::new(bytes).map_err(|why| refuse(path, why))?;
        segment.place = (path.to_path_buf(), mode);
        if segment.head.name_mac != name_mac {
            return Err(refuse(path, "it belongs to another name or to another store"));
        }
        Ok(segment)
    }

    /// Verifies the head and the table of checksums of a segment's bytes. The error says what is wrong.
    pub(super) fn new(bytes: FileBytes) -> std::result::Result<Self, &'static str> {
        let head = SegmentHead::decode(&bytes)?;
        if head.form != form_tag() {
            return Err("it was made with another normal form");
        }
        let file = CheckedBytes::new(bytes, &head)?;
        Ok(Self {
            paths: HashTable::new(head.paths, head.path_homes),
            keys: HashTable::new(head.keys, head.key_homes),
            names: NameTable::new(&head),
            order: FolderOrder::new(&head),
            place: Default::default(),
            index: OnceBox::new(),
            head,
            file,
        })
    }

    /// Returns the uuid of the segment's library.
    #[must_use]
    pub fn library(&self) -> &str {
        &self.head.uuid
    }

    /// Returns the number of items.
    #[must_use]
    pub fn item_count(&self) -> u64 {
        self.head.items
    }

    /// Returns the digest of the content of all items, equal for equal items in any order.
    #[must_use]
    pub fn content(&self) -> u64 {
        self.head.content
    }

    /// Returns the digest ([`crate::matching::Mappings::digest`]) of the mapping rules that the segment was built with.
    #[must_use]
    pub fn mappings(&self) -> u64 {
        self.head.mappings
    }

    /// Returns whether a check failed. If so, the caller discards everything that it read since the last call.
    #[inline]
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.file.is_broken()
    }

    /// Calls `each` with the entries whose listed or mapped path has this normal form, and whether the path's bytes are
    /// equal too.
    #[inline]
    pub fn paths<'i>(&'i self, path: &Normal<'_>, mut each: impl FnMut(&EntryHead<'i>, bool)) {
        let _damage_is_marked: Read<()> = self.paths.find(&self.file, path.hash(), |number| {
            let entry = EntryHead::read(&self.file, number)?;
            let raw = entry.path == path.raw();
            if raw || entry.form().equals(path.form()) {
                each(&entry, raw);
            }
            Ok(entry.flags & TWIN == 0)
        });
    }

    /// Returns the rating key of the item whose first path has exactly these bytes, if no other path has the same hash.
    /// `first`: the first entry of the hash. If it returns `None`, use [`ListingSegment::paths`].
    #[inline]
    pub fn unique_hit<'i>(&'i self, path: &[u8], first: FirstEntry) -> Option<&'i str> {
        let (rating_key, _) = record::unique_hit(&self.file, first.0?.get(), path).ok()??;
        Some(rating_key)
    }

    /// As [`ListingSegment::unique_hit`], for a path that is not ASCII, by its spelling; also returns the hash of its
    /// normal form.
    #[inline]
    pub fn unique_hit_spelled<'i>(&'i self, path: &[u8], first: FirstEntry) -> Option<(&'i str, u64)> {
        let (rating_key, form) = record::unique_hit(&self.file, first.0?.get(), path).ok()??;
        Some((rating_key, xxh3_64(form)))
    }

    /// Returns the normal form of a path that is not ASCII, found by its spelling.
    pub fn form_of<'i>(&'i self, path: &[u8], first: FirstEntry) -> Option<&'i [u8]> {
        let (_, form) = record::unique_hit(&self.file, first.0?.get(), path).ok()??;
        Some(form)
    }

    /// Prefetches the memory of a lookup of this hash, so that the loads of several lookups overlap.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.file.prefetch(self.paths.search_offset(hash));
    }

    /// Returns the first entry of this hash, if any. Prefetches the entry, whose path and form take `length` bytes.
    /// Prefetches nothing else, because a processor can have only a few loads in flight.
    #[inline]
    pub fn first(&self, hash: u64, length: usize) -> FirstEntry {
        const LINE: usize = 64;
        /// The bytes around the path to prefetch: its length, and the first fields of the item.
        const BYTES_AROUND: usize = 40;
        let Ok(Some(number)) = self.paths.first(&self.file, hash) else {
            return FirstEntry(None);
        };
        let at = offset_of(number);
        let end = at.saturating_add(length.min(4 * LINE) + BYTES_AROUND);
        for line in (at - at % LINE..end).step_by(LINE) {
            self.file.prefetch(line);
        }
        FirstEntry(NonZero::new(number))
    }

    /// Calls `each` with the listed entries whose paths share the longest end with `path`; see
    /// [`NameTable::suffix_matches`]. `hidden` returns whether to leave out the item with a rating key. Returns how
    /// many entries were not read.
    pub fn suffix_matches<'i>(
        &'i self,
        path: &Normal<'_>,
        least: usize,
        hidden: Option<&dyn Fn(&str) -> bool>,
        each: impl FnMut(usize, &EntryHead<'i>),
    ) -> usize {
        let hidden = |entry: &EntryHead<'i>| match hidden {
            Some(hidden) => Ok(hidden(self.key_of(entry)?)),
            None => Ok(false),
        };
        self.names
            .suffix_matches(&self.file, path, least, hidden, each)
            .unwrap_or(0)
    }

    /// Returns the first entry of the item with this rating key; its path is empty if the item has no files.
    #[must_use]
    pub fn find(&self, rating_key: &str) -> Option<u32> {
        let mut found = None;
        let hash = xxh3_64(rating_key.as_bytes());
        let _damage_is_marked: Read<()> = self.keys.find(&self.file, hash, |number| {
            let entry = EntryHead::read(&self.file, number)?;
            if self.key_of(&entry)? == rating_key {
                found = Some(number);
            }
            Ok(found.is_some())
        });
        found
    }

    /// Returns the rating key of an entry's item; empty if the segment is broken there.
    #[must_use]
    pub fn rating_key(&self, number: u32) -> &str {
        self.entry(number)
            .and_then(|entry| self.key_of(&entry))
            .unwrap_or_default()
    }

    /// Returns the rating key of an entry's item, and the entry's path; empty if the segment is broken there.
    #[must_use]
    pub fn facts(&self, number: u32) -> (&str, &[u8]) {
        let facts = self
            .entry(number)
            .and_then(|entry| Ok((self.key_of(&entry)?, entry.path)));
        facts.unwrap_or(("", b""))
    }

    /// Reads the entry with this number.
    pub(super) fn entry(&self, number: u32) -> Read<EntryHead<'_>> {
        EntryHead::read(&self.file, number)
    }

    /// Returns whether the offset is within the records.
    pub(super) fn has_records(&self, at: usize) -> bool {
        at < self.head.records.byte(self.head.records.len(), 1)
    }

    /// Returns the rating key of an entry's item.
    pub(super) fn key_of<'i>(&'i self, entry: &EntryHead<'i>) -> Read<&'i str> {
        record::rating_key(&self.file, self.item_at(entry)?)
    }

    /// Returns the offset of the entry's item.
    #[inline]
    pub(super) fn item_at(&self, entry: &EntryHead<'_>) -> Read<usize> {
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
            Err(self.file.fail())
        }
    }

    /// Returns the item of an entry; an empty one if the segment is broken there.
    #[must_use]
    pub fn item(&self, number: u32) -> ItemRef<'_> {
        self.item_of_files(number).0
    }

    /// Returns the item of an entry, and whether it has several files.
    #[must_use]
    pub fn item_of_files(&self, number: u32) -> (ItemRef<'_>, bool) {
        self.entry(number)
            .and_then(|entry| self.item_at(&entry))
            .and_then(|at| record::item(&self.file, at))
            .map_or((ItemRef::key_only(""), false), |(item, rest)| (item, rest.more > 0))
    }

    /// Reads the item of an entry and the entry's path into `found`; both are empty if the segment is broken there.
    pub fn show<'i>(&'i self, number: u32, found: &mut FoundItem<'i>) {
        let shown = match record::show(&self.file, number, found) {
            Ok(false) => self.entry(number).and_then(|entry| {
                found.path = entry.path;
                record::fill(&self.file, self.item_at(&entry)?, &mut found.item).map(drop)
            }),
            first => first.map(drop),
        };
        if shown.is_err() {
            (found.item, found.path) = (ItemRef::key_only(""), b"");
        }
    }

    /// Returns the change sequence at which the item of an entry was added; 0 if it came with the listing.
    #[must_use]
    pub fn added_sequence(&self, number: u32) -> u64 {
        self.entry(number)
            .and_then(|entry| self.item_at(&entry))
            .and_then(|at| record::added_sequence(&self.file, at))
            .unwrap_or(0)
    }
}

/// Returns the error for a file that cannot be read. The error has a source if the operating system failed, but not if
/// the file is missing or something else has its name.
fn cannot_read(path: &Path, error: &io::Error) -> Error {
    let refused = refuse(path, &error.to_string());
    if error.kind() == io::ErrorKind::NotFound || files::is_in_the_way(error) {
        return refused;
    }
    refused.because_io(error)
}

/// Returns the error for a segment that cannot be used. `why` completes the message.
pub(super) fn refuse(path: &Path, why: &str) -> Error {
    Error::new(Status::Store, format!("cannot use segment {}: {why}", path.display()))
}
