//! Reads whole items, with all files and external ids: by entry, in pages, or by GUID or title.
//! Compares two listings of a library.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::builder::PairSorter;
use super::layout::{cannot_write, offset_of};
use super::read::{INDEX_SUFFIX, ItemIndex, ListingSegment, PartialIndex, unusable_segment};
use super::record::{self, BARE, EntryRef, ReadResult, RecordReader, SHOW, read_id};
use crate::error::{Error, Result};
use crate::knowledge::FileTickets;
use crate::matching::{RequestedGuid, Season, fold_title};
use crate::model::{Item, Sequence};
use crate::platform::clock::Deadline;
use crate::platform::fork::lock;

/// Returns the cursor with which a caller continues after this item when it reads a library's items in pages. A cursor
/// is the rating key's hash, so it stays valid in later listings. It is at least 1, because 0 means the beginning.
pub fn listing_cursor(rating_key: &str) -> i64 {
    (xxh3_64(rating_key.as_bytes()) >> 1).cast_signed().max(1)
}

/// Returns all non-empty GUIDs of an item: its own GUID, those of its season and show, and its external ids.
fn guids_of(item: &Item) -> impl Iterator<Item = &String> {
    let ids = [&item.guid, &item.season_guid, &item.show_guid];
    ids.into_iter().chain(&item.guids).filter(|guid| !guid.is_empty())
}

/// Returns the non-empty folded titles of an item and its show. A folded title has no case, accents or punctuation, so
/// that searches ignore them.
pub fn folded_titles_of(item: &Item) -> impl Iterator<Item = String> {
    let folds = [&item.title, &item.show_title].map(|title| fold_title(title));
    folds.into_iter().filter(|fold| !fold.is_empty())
}

/// Returns the hash of a GUID or of a folded title in the index of texts.
fn hash_of_text(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// Number of items that a call adds to an index between two looks at the clock: some milliseconds.
const ITEMS_PER_CHECK: u32 = if cfg!(test) { 4 } else { 1 << 10 };

impl ListingSegment {
    /// Returns the item whose first entry has the number `first`; `None` if the segment is damaged there.
    pub fn whole_item(&self, first: u32) -> Option<Item> {
        self.entry(first).and_then(|entry| self.read_whole_item(&entry)).ok()
    }

    /// Reads the item of a first entry, with all its files and external ids.
    fn read_whole_item(&self, entry: &EntryRef<'_>) -> ReadResult<Item> {
        let file = &self.file;
        let (item, extras) = record::item(file, self.item_offset(entry)?)?;
        let season = record::season(file, extras.parent_record)?.unwrap_or(Season::NONE);
        let tail = extras.tail(file)?;
        let mut ids = RecordReader::new(file, tail.ids.start);
        let mut guids = Vec::new();
        while ids.at < tail.ids.end {
            guids.push(read_id(&mut ids)?);
        }
        let facts = tail.known_facts(file)?;
        let mut end = tail.end;
        let mut parts = Vec::new();
        if entry.flags & BARE == 0 {
            parts.push(entry.path.into());
        }
        // The further listed entries follow the item.
        for _ in 0..extras.more {
            let further = EntryRef::read(file, self.number_at(end)?)?;
            parts.push(further.path.into());
            end = further.end;
        }
        Ok(Item {
            rating_key: item.rating_key.to_owned(),
            kind: item.kind,
            title: item.title.to_owned(),
            year: item.year,
            show_title: item.show_title.to_owned(),
            show_rating_key: item.show_rating_key.to_owned(),
            show_guid: item.show_guid.into(),
            season_title: season.title.to_owned(),
            season_rating_key: season.rating_key.to_owned(),
            season_guid: season.guid.into(),
            season: item.season,
            episode: item.episode,
            guid: item.guid.into(),
            guids,
            parts,
            facts,
            trashed: false,
        })
    }

    /// Passes each item after a cursor, with its own cursor, to `each`, in cursor order, until `each` returns `true`.
    /// A host thus reads the items in pages. The first page begins after the cursor 0.
    pub fn items_after(&self, cursor: i64, mut each: impl FnMut(i64, Item) -> bool) {
        // A cursor contains the upper 63 bits of a hash.
        let hash = cursor.cast_unsigned() << 1;
        let _damage_is_marked: ReadResult<()> = self.keys.for_each_from(&self.file, hash, |first| {
            let entry = self.entry(first)?;
            // The table compares only the hashes' upper halves, so the first items can be before the cursor.
            let item_cursor = listing_cursor(self.key_of(&entry)?);
            Ok(item_cursor > cursor && each(item_cursor, self.read_whole_item(&entry)?))
        });
    }

    /// Calls `each` for every item in listing order, with the number of its first entry, its rating key, and its title
    /// and show title.
    pub fn for_each_title<'i>(&'i self, mut each: impl FnMut(u32, &'i str, [&'i str; 2])) {
        let _damage_is_marked = self.for_each_first(|entry| {
            let (item, _) = record::item(&self.file, entry.end)?;
            each(entry.number, item.rating_key, [item.title, item.show_title]);
            Ok(())
        });
    }

    /// Calls `each` with the first entries of all items, in listing order.
    pub(super) fn for_each_first<'i>(
        &'i self,
        mut each: impl FnMut(&EntryRef<'i>) -> ReadResult<()>,
    ) -> ReadResult<()> {
        let mut offset = self.first_record();
        while let Some((entry, end)) = self.next_first(offset)? {
            each(&entry)?;
            offset = end;
        }
        Ok(())
    }

    /// Returns the file offset of the first record.
    fn first_record(&self) -> usize {
        self.head.records.element_offset(0, 1)
    }

    /// Returns the first entry of the next item at or after the offset `at`, and the offset after this item. `None` at
    /// the end of the records.
    pub(super) fn next_first(&self, mut at: usize) -> ReadResult<Option<(EntryRef<'_>, usize)>> {
        while at < self.head.records.element_offset(self.head.records.len(), 1) {
            if self.file.slice(at, 1)?[0] & SHOW != 0 {
                at = record::offset_after_show(&self.file, at)?.next_multiple_of(4);
                continue;
            }
            let entry = EntryRef::read(&self.file, self.number_at(at)?)?;
            if entry.is_first() {
                let end = record::item(&self.file, entry.end)?.1.tail(&self.file)?.end;
                return Ok(Some((entry, end.next_multiple_of(4))));
            }
            at = entry.end.next_multiple_of(4);
        }
        Ok(None)
    }

    /// Passes all items to `each` in listing order, each with its tickets, as [`super::ListingBuilder::push_item`] gets them.
    pub fn for_each_item(&self, mut each: impl FnMut(Item, Sequence, &FileTickets) -> Result<()>) -> Result<()> {
        let mut offset = self.first_record();
        let mut next = || -> ReadResult<Option<(Item, Sequence, FileTickets)>> {
            let Some((entry, end)) = self.next_first(offset)? else {
                return Ok(None);
            };
            offset = end;
            let (last, shown) = self.tickets(&entry)?;
            Ok(Some((self.read_whole_item(&entry)?, last, shown)))
        };
        while let Some((item, last, shown)) = next().map_err(|_| self.damaged())? {
            each(item, last, &shown)?;
        }
        Ok(())
    }

    /// Returns the ticket of the last request for the item of a first entry, and those of the requests that first showed its
    /// files.
    fn tickets(&self, entry: &EntryRef<'_>) -> ReadResult<(Sequence, FileTickets)> {
        let at = self.item_offset(entry)?;
        let last = record::last_ticket(&self.file, at)?;
        if last.0 == 0 {
            return Ok((last, FileTickets::default())); // as most, which need no second look
        }
        let extras = record::item(&self.file, at)?.1;
        Ok((last, extras.tail(&self.file)?.shown(last)))
    }

    /// Returns the tickets of the requests that first showed the files of the item whose first entry has the number `first`,
    /// as far as they are later than [`Self::assigned_or`]; otherwise 0.
    #[must_use]
    pub fn shown(&self, first: u32) -> FileTickets {
        let tickets = self.entry(first).and_then(|entry| self.tickets(&entry));
        tickets.map(|(_, shown)| shown).unwrap_or_default()
    }

    /// Calls `each` with the rating keys of all items, in listing order.
    pub fn for_each_key(&self, mut each: impl FnMut(&str)) -> Result<()> {
        self.for_each_first(|entry| self.key_of(entry).map(&mut each))
            .map_err(|_| self.damaged())
    }

    /// Verifies all blocks of the segment.
    ///
    /// # Errors
    /// Fails with [`crate::error::Status::Store`] if a block is damaged.
    pub fn verify(&self) -> Result<()> {
        let everything = self.file.slice(0, self.head.checksums.element_offset(0, 1));
        everything.map(drop).map_err(|_| self.damaged())
    }

    fn damaged(&self) -> Error {
        unusable_segment(&self.place.0, "the file is damaged")
    }

    /// Passes the items with this GUID or folded title to `each`, in listing order. The items can include others, whose
    /// texts have the same hash. Needs the index of texts.
    pub fn items_with(&self, text: &str, each: impl FnMut(Item)) {
        let Some(index) = self.index.built.get() else {
            return;
        };
        // If the index is damaged, mark the segment as broken. plexindex then builds the segment again under a
        // different name, and after that a new index.
        let mut firsts = BTreeSet::new();
        let found = index.find(hash_of_text(text), |first| {
            firsts.insert(first);
            Ok(false)
        });
        let _damage_is_marked = found.map_err(|_| self.file.mark_damaged());
        let items = firsts.into_iter().filter_map(|first| self.whole_item(first));
        items.for_each(each);
    }

    /// Returns whether [`Self::prepare_index`] has nothing to do.
    pub fn has_index(&self) -> bool {
        self.index.built.get().is_some() || self.is_broken()
    }

    /// Opens the index of texts, or builds it if its file beside the segment is missing, damaged or outdated. Returns `false` if the
    /// deadline passes first; the next call then continues. The caller must hold a lock, so that no other thread calls
    /// this method, and the process does not fork.
    ///
    /// # Errors
    /// Fails with [`crate::error::Status::Store`] if the index cannot be built, or with
    /// [`crate::error::Status::StoreFull`] if the disk is full.
    pub fn prepare_index(&self, deadline: Deadline) -> Result<bool> {
        if self.has_index() {
            return Ok(true);
        }
        let (segment_path, mode) = &self.place;
        let mut path = segment_path.clone().into_os_string();
        path.push(INDEX_SUFFIX);
        let path = Path::new(&path);
        // A missing segment is built again under the same name, but with different entries. So the index must match the
        // content of the segment too, not only its name.
        let name_mac = self.head.name_mac ^ self.head.checksum_table_hash;
        let mut partial = lock(&self.index.partial);
        // A child of a fork shares the parent's temporary file, so it begins again.
        let begun = partial.take().filter(|partial| partial.process == std::process::id());
        if begun.is_none()
            && let Ok(Some(index)) = ItemIndex::open(path, *mode, name_mac)
        {
            return Ok(self.index.built.set(Box::new(index)).is_ok());
        }
        let mut begun = begun.unwrap_or_else(|| PartialIndex {
            process: std::process::id(),
            offset: self.first_record(),
            hashes: PairSorter::new(path),
        });
        match self.continue_index(&mut begun, deadline) {
            Ok(true) => {}
            Ok(false) => {
                *partial = Some(begun);
                return Ok(false);
            }
            // The caller notices that the segment is broken.
            Err(_) if self.is_broken() => return Ok(true),
            Err(error) => return cannot_write(Err(error), path),
        }
        let index = cannot_write(ItemIndex::write(begun.hashes, path, *mode, name_mac), path)?;
        Ok(self.index.built.set(Box::new(index)).is_ok())
    }

    /// Adds the hashes of the next items to the index. Returns whether the index has all, or `false` if the deadline passes
    /// first.
    fn continue_index(&self, index: &mut PartialIndex, deadline: Deadline) -> io::Result<bool> {
        let damaged = |_| io::ErrorKind::InvalidData;
        for count in 1.. {
            let Some((entry, end)) = self.next_first(index.offset).map_err(damaged)? else {
                break;
            };
            let item = self.read_whole_item(&entry).map_err(damaged)?;
            let guids = guids_of(&item).map(|guid| RequestedGuid::canonical_of(guid).into_owned());
            let mut texts = guids.chain(folded_titles_of(&item));
            texts.try_for_each(|text| index.hashes.push(hash_of_text(&text), entry.number))?;
            index.offset = end;
            if count % ITEMS_PER_CHECK == 0 && deadline.has_passed() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns the number of the entry or record at this file offset, rounded up to a multiple of four bytes.
    pub(super) fn number_at(&self, offset: usize) -> ReadResult<u32> {
        u32::try_from(offset.div_ceil(4)).map_err(|_| self.file.mark_damaged())
    }
}

/// An added, changed or removed item. The numbers are its first entries: in the new segment if added, in the old and in
/// the new segment if changed, in the old segment if removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    Added(u32),
    Changed(u32, u32),
    Removed(u32),
}

impl ListingSegment {
    /// Returns the differences between this older segment and `new`, for the feed. Returns `None` if more than
    /// `max_differences` items were added or changed, or if more than `max_differences` items were removed or changed.
    ///
    /// Reads both segments in the order of their items. Servers mostly list items in the same order, so this function
    /// looks up only few items by key.
    ///
    /// # Errors
    /// Fails if one of the segments is damaged, and marks that segment as broken.
    pub fn differences(&self, new: &Self, max_differences: usize) -> ReadResult<Option<Vec<Difference>>> {
        let mut found = Vec::new();
        let (mut changed_or_removed, mut common_items) = (0, 0);
        let (mut old_offset, mut new_offset) = (self.first_record(), new.first_record());
        // For each new item, find the old item: usually the next item in the old segment.
        while let Some((new_entry, new_end)) = new.next_first(new_offset)? {
            new_offset = new_end;
            let key = new.key_of(&new_entry)?;
            let expected = self.next_first(old_offset)?;
            let old_item = match expected {
                Some((old, old_end)) if self.key_of(&old)? == key => Some((old, old_end)),
                _ => self
                    .find(key)
                    .map_or(Ok(None), |number| self.next_first(offset_of(number)))?,
            };
            let Some((old, old_end)) = old_item else {
                found.push(Difference::Added(new_entry.number));
                if found.len() > max_differences {
                    return Ok(None);
                }
                continue;
            };
            old_offset = old_end;
            common_items += 1;
            if self.read_whole_item(&old)? != new.read_whole_item(&new_entry)? {
                changed_or_removed += 1;
                found.push(Difference::Changed(old.number, new_entry.number));
                if found.len() > max_differences {
                    return Ok(None);
                }
            }
        }
        // If the old segment contains further items, find the removed items.
        if common_items < self.head.items {
            let mut offset = self.first_record();
            while let Some((entry, end)) = self.next_first(offset)? {
                offset = end;
                if new.find(self.key_of(&entry)?).is_none() {
                    changed_or_removed += 1;
                    found.push(Difference::Removed(entry.number));
                    if changed_or_removed > max_differences {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(found))
    }
}
