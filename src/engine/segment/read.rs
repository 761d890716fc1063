//! Reads a listing's segment. In this folder, an entry is one path of an item.
//! A position is an index in the folder order, which contains all paths,
//! sorted by normal form.

use std::io;
use std::num::NonZero;
use std::ops::Range;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::layout::{CheckedBytes, FileKind, ReadResult, SegmentHeader, offset_of};
use super::name_table::{HashTable, IndexSlot, NameTable};
use super::order::FolderOrder;
use super::record::{self, EntryRef, MAPPED, SHOW, TWIN};
use crate::error::{Error, Result, Status};
use crate::matching::{
    FirstEntry, FolderContents, FolderMember, Form, FoundItem, ItemRef, MAX_CANDIDATES, NormalPath, Season,
};
use crate::model::FolderKind;
use crate::platform::files;
use crate::platform::map::{FileBytes, MapMode};

pub struct ListingSegment {
    pub(super) head: SegmentHeader,
    pub(super) file: CheckedBytes,
    paths: HashTable,
    pub(super) keys: HashTable,
    names: NameTable,
    pub(super) order: FolderOrder,
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
        let head = SegmentHeader::decode(&bytes, &[FileKind::Listing, FileKind::EarlierListing])?;
        let file = CheckedBytes::new(bytes, &head)?;
        Ok(Self {
            paths: HashTable::new(head.paths, head.path_homes),
            keys: HashTable::new(head.keys, head.key_homes),
            names: NameTable::new(&head),
            order: FolderOrder::new(&head),
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
            // Without this flag, no other entry has the same hash, so the search can stop.
            Ok(entry.flags & TWIN == 0)
        });
    }

    /// Returns the rating key of the item whose first path has exactly these bytes, and the path's normal form. This
    /// fast lookup reads only one entry: `first`, the first entry with the hash of the path's normal form or, for a
    /// path that is not ASCII, of the path in ASCII lower case. Returns `None` if this entry has other bytes, is not
    /// its item's first, or shares its hash with another entry; the caller must then read all entries.
    #[inline]
    pub fn unique_hit<'i>(&'i self, path: &[u8], first: FirstEntry) -> Option<(&'i str, &'i [u8])> {
        record::unique_hit(&self.file, first.0?.get(), path).ok()?
    }

    /// Prefetches the hash table slot for this hash, so that the loads for several lookups overlap.
    #[inline]
    pub fn prefetch(&self, hash: u64) {
        self.file.prefetch(self.paths.search_offset(hash));
    }

    /// Returns the first entry with this hash, if any. Prefetches the entry's path and normal form, which together have
    /// `length` bytes, but only about four cache lines, because a processor can have only a few loads in flight.
    #[inline]
    pub fn first(&self, hash: u64, length: usize) -> FirstEntry {
        const LINE: usize = 64;
        /// Number of further bytes to prefetch: the path's length, and the first fields of the item.
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

    /// Calls `each` with the number of common components and the entry, for the listed entries whose paths have the
    /// most last components in common with `path`, but at least `min_components`. Skips items for whose rating key
    /// `hidden` returns `true`, because a memtable replaces them. Stops after about `limit` entries. Returns the number
    /// of entries that were not read.
    pub fn suffix_matches<'i>(
        &'i self,
        path: &NormalPath<'_>,
        name_hash: Option<u64>,
        min_components: usize,
        limit: usize,
        hidden: Option<&dyn Fn(&str) -> bool>,
        each: impl FnMut(usize, &EntryRef<'i>),
    ) -> usize {
        let hidden = |entry: &EntryRef<'i>| match hidden {
            Some(hidden) => Ok(hidden(self.key_of(entry)?)),
            None => Ok(false),
        };
        self.names
            .suffix_matches(&self.file, (path, name_hash), min_components, limit, hidden, each)
            .unwrap_or(0)
    }

    /// Calls `each` with the listed entries whose paths have at least `components` last components in common with `path`, until
    /// `each` has accepted `limit` of them.
    pub fn each_with_suffix<'i>(
        &'i self,
        path: (&NormalPath<'_>, Option<u64>),
        components: usize,
        limit: usize,
        each: impl FnMut(&EntryRef<'i>) -> bool,
    ) {
        let _damage_is_marked = self.names.each_with_suffix(&self.file, path, components, limit, each);
    }

    /// Calls `each` with the numbers of at most `limit` listed entries whose file names have this hash of their likeness.
    pub fn each_alike(&self, name_hash: u64, limit: usize, each: impl FnMut(u32)) {
        let _damage_is_marked = self.names.each_alike(&self.file, name_hash, limit, each);
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

    /// Returns the item of the entry with this number, and whether the item has several files; `None` if the segment is
    /// damaged there.
    #[must_use]
    pub fn item_and_is_multi_file(&self, number: u32) -> Option<(ItemRef<'_>, bool)> {
        let at = self.item_offset(&self.entry(number).ok()?).ok()?;
        let (item, extras) = record::item(&self.file, at).ok()?;
        Some((item, extras.more > 0))
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

    /// Returns whether the server was asked for the facts of all items.
    #[must_use]
    pub fn has_facts(&self) -> bool {
        self.head.items_with_facts == self.head.items
    }

    /// Returns the size of the file of the listed entry with this number, in bytes; 0 if unknown.
    #[must_use]
    pub fn file_size(&self, number: u32) -> u64 {
        self.read_file_size(number).unwrap_or(0)
    }

    fn read_file_size(&self, number: u32) -> ReadResult<u64> {
        let entry = self.entry(number)?;
        let first = if entry.is_first() {
            entry
        } else {
            self.entry(entry.target)?
        };
        let mut found = 0;
        self.for_each_size(&first, |size, file| {
            if file == number {
                found = size;
            }
        })?;
        Ok(found)
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
    /// paths. `folder` is in normal form, without a trailing separator.
    #[must_use]
    pub fn below(&self, folder: &[u8], mapped: bool) -> Range<usize> {
        self.order.below(&self.file, folder, mapped).unwrap_or(0..0)
    }

    /// Returns the part of a range whose normal forms are greater than `form`, so that a page of files begins after the
    /// last file of the previous page.
    #[must_use]
    pub fn range_after(&self, within: &Range<usize>, form: &[u8]) -> Range<usize> {
        let from = self.order.first_after(&self.file, within.clone(), form);
        from.unwrap_or(within.end)..within.end
    }

    /// Returns the entry at this position; `None` if the segment is damaged there.
    #[must_use]
    pub fn entry_at(&self, position: usize) -> Option<EntryRef<'_>> {
        let number = self.order.entry(&self.file, position).ok()?;
        self.entry(number).ok()
    }

    /// Calls `each` with all entries of an item: first the entries of its files, then the mapped entries. `first` is
    /// the number of the item's first entry.
    pub fn for_each_entry_of<'i>(&'i self, first: u32, mut each: impl FnMut(&EntryRef<'i>)) {
        let _damage_is_marked: ReadResult<()> = (|| {
            let entry = self.entry(first)?;
            if !entry.path.is_empty() {
                each(&entry);
            }
            let (_, extras) = record::item(&self.file, self.item_offset(&entry)?)?;
            // First come the further listed entries, whose number the item contains.
            let (mut more, mut end) = (extras.more, extras.tail(&self.file)?.end);
            loop {
                let at = end.next_multiple_of(4);
                // Then come the mapped entries, until a show, another item or the end.
                if !self.is_in_records(at) || more == 0 && self.file.slice(at, 1)?[0] & (MAPPED | SHOW) != MAPPED {
                    return Ok(());
                }
                let next = self.entry(u32::try_from(at / 4).map_err(|_| self.file.mark_damaged())?)?;
                if more == 0 && !self.is_mapped_entry_of(&next, first)? {
                    return Ok(());
                }
                more = more.saturating_sub(1);
                end = next.end;
                each(&next);
            }
        })();
    }

    /// Returns whether a mapped entry belongs to the item whose first entry is `first`. The mapped entry refers to a
    /// listed entry, which is this first entry or refers to it.
    fn is_mapped_entry_of(&self, mapped: &EntryRef<'_>, first: u32) -> ReadResult<bool> {
        Ok(mapped.target == first || self.entry(mapped.target)?.target == first)
    }

    /// Returns the sorted positions in `within` of hidden items, which the memtable has replaced or removed. `firsts`
    /// are their first entries. `within` contains the listed or, if `mapped` is true, mapped paths below `folder`.
    pub fn hidden_positions(
        &self,
        firsts: impl Iterator<Item = u32>,
        within: &Range<usize>,
        folder: &[u8],
        mapped: bool,
    ) -> Vec<usize> {
        let mut positions = Vec::new();
        for first in firsts {
            self.for_each_entry_of(first, |entry| {
                if entry.is_mapped() == mapped && entry.form().compare_to_folder(folder, 0).0.is_eq() {
                    let position = self
                        .order
                        .position_of(&self.file, within.clone(), entry.form(), entry.number);
                    positions.extend(position.ok().flatten());
                }
            });
        }
        positions.sort_unstable();
        positions.dedup();
        positions
    }

    /// Adds the files and items at these positions to `contents`: their counts, one episode of each show, and the items
    /// without a show, or the members of this kind. Skips the sorted positions in `hidden`. `components` is the folder's
    /// number of components. Returns the record numbers of the shows (or seasons whose show has no key) for which the
    /// answer has no room, so that the caller does not count them again.
    pub fn add_contents<'i>(
        &'i self,
        within: &Range<usize>,
        hidden: &[usize],
        components: usize,
        kind: Option<FolderKind>,
        contents: &mut FolderContents<'i>,
    ) -> Vec<u32> {
        let mut omitted = Vec::new();
        let _damage_is_marked = self.add_contents_of_runs(within, hidden, components, kind, contents, &mut omitted);
        // A show can have several runs.
        omitted.sort_unstable();
        omitted.dedup();
        contents.total += omitted.len();
        omitted
    }

    /// Adds the files and items at these positions to `contents`, run by run. A run has the paths of one season, or of
    /// items without a show. Adds the shows (or seasons) for which the answer has no room to `omitted`.
    fn add_contents_of_runs<'i>(
        &'i self,
        within: &Range<usize>,
        hidden: &[usize],
        components: usize,
        kind: Option<FolderKind>,
        contents: &mut FolderContents<'i>,
        omitted: &mut Vec<u32>,
    ) -> ReadResult<()> {
        // A repeat is a further file of an item, so it counts as a file but not as an item.
        let mut repeats = self.order.repeats(&self.file, within)?;
        repeats.retain(|position| hidden.binary_search(position).is_err());
        // Each group of items that is a member: the number of its record, and its index in `contents.members`.
        let mut groups: Vec<(u32, usize)> = Vec::new();
        let is_of_season = matches!(kind, Some(FolderKind::Season | FolderKind::Album));
        self.order.for_each_run(&self.file, within, |run, show| {
            let files = run.len() - count(hidden, &run);
            if files == 0 {
                return Ok(());
            }
            let items = files - count(&repeats, &run).min(files);
            contents.files += files as u64;
            contents.items += items as u64;
            let is_live = |position: &usize| hidden.binary_search(position).is_err();
            // Without a show, each item is a member, unless the caller wants shows.
            if show == 0 {
                if !matches!(kind, None | Some(FolderKind::Movie)) {
                    return Ok(());
                }
                contents.total += items;
                let counted = run.filter(|position| is_live(position) && repeats.binary_search(position).is_err());
                for position in counted.take(MAX_CANDIDATES - contents.members.len().min(MAX_CANDIDATES)) {
                    contents.members.extend(self.member(position, components, kind)?);
                }
                return Ok(());
            }
            let Some(position) = run.clone().find(is_live) else {
                return Ok(());
            };
            let group = if is_of_season {
                self.season_record(position)?
            } else {
                show
            };
            if let Some((_, member_index)) = groups.iter().find(|(known, _)| *known == group) {
                // The show is already a member. If it is known to have several seasons, a further item adds nothing.
                let member = &mut contents.members[*member_index];
                if member.season.is_some() && !is_of_season {
                    member.merge_season(
                        self.member(position, components, kind)?
                            .and_then(|member| member.season),
                    );
                }
            } else if contents.members.len() == MAX_CANDIDATES {
                omitted.push(group);
            } else if let Some(member) = self.member(position, components, kind)? {
                // Add a new show or season, which one of its episodes represents.
                groups.push((group, contents.members.len()));
                contents.members.push(member);
                contents.total += 1;
            }
            Ok(())
        })
    }

    /// Returns the number of the record of the season or album of the item at a position.
    fn season_record(&self, position: usize) -> ReadResult<u32> {
        let entry = self.entry(self.order.entry(&self.file, position)?)?;
        Ok(record::item(&self.file, self.item_offset(&entry)?)?.1.parent_record)
    }

    /// Returns whether `is_wanted` returns `true` for the rating key of one of a show's items.
    #[must_use]
    pub fn any_item_of_show(&self, show_rating_key: &str, mut is_wanted: impl FnMut(&str) -> bool) -> bool {
        let (mut is_found, mut last) = (false, (0, false));
        let _damage_is_marked = self.order.for_each_run(&self.file, &(0..usize::MAX), |run, show| {
            if show != last.0 {
                last = (
                    show,
                    show != 0 && record::parent_key(&self.file, show)? == show_rating_key,
                );
            }
            for position in run.filter(|_| last.1) {
                if is_found {
                    break;
                }
                let entry = self.entry(self.order.entry(&self.file, position)?)?;
                is_found = is_wanted(record::item(&self.file, self.item_offset(&entry)?)?.0.rating_key);
            }
            Ok(())
        });
        is_found
    }

    /// Returns the item at a position as a member of a folder; `None` if it has no member of this kind. `components` is
    /// the folder's number of components.
    fn member(
        &self,
        position: usize,
        components: usize,
        kind: Option<FolderKind>,
    ) -> ReadResult<Option<FolderMember<'_>>> {
        let number = self.order.entry(&self.file, position)?;
        let entry = self.entry(number)?;
        let (item, extras) = record::item(&self.file, self.item_offset(&entry)?)?;
        let season = record::season(&self.file, extras.parent_record)?.unwrap_or(Season::NONE);
        // An answer contains the path as the server lists it.
        let path = self.entry(entry.listed_number())?.path;
        let depth_below = entry.form().rev_components().count().saturating_sub(components);
        Ok(FolderMember::new(item, season, path, depth_below, kind))
    }

    /// Returns whether one of these shows or seasons, given by their record numbers, has this rating key, so that the
    /// caller does not count it twice.
    #[must_use]
    pub fn contains_key(&self, shows: &[u32], rating_key: &str) -> bool {
        shows
            .iter()
            .any(|show| record::parent_key(&self.file, *show).is_ok_and(|key| key == rating_key))
    }

    /// Finds the listed folders that have the most last components in common with `folder`, but at least
    /// `min_components`. Skips the folders in which all items are hidden; `hidden` returns the first entry of each
    /// hidden item, and is called at most once. Calls `each` with the number of common components and the folder's
    /// normal form, for as many folders as an answer lists. Returns the number of all folders; 0 if damaged.
    pub fn folder_suffix_matches(
        &self,
        folder: Form<'_>,
        min_components: usize,
        hidden: &dyn Fn() -> Vec<u32>,
        each: impl FnMut(usize, Vec<u8>),
    ) -> usize {
        let mut hidden_firsts = None;
        let has_live_entry = |form: &[u8]| {
            let firsts = hidden_firsts.get_or_insert_with(hidden);
            if firsts.is_empty() {
                return Ok(true);
            }
            let within = self.order.below(&self.file, form, false)?; // listed paths, not mapped ones
            let hidden_positions = self.hidden_positions(firsts.iter().copied(), &within, form, false);
            Ok(hidden_positions.len() < within.len())
        };
        self.order
            .suffix_matches(&self.file, folder, min_components, MAX_CANDIDATES, has_live_entry, each)
            .unwrap_or(0)
    }
}

/// Returns how many of these sorted positions are in the range `within`.
fn count(places: &[usize], within: &Range<usize>) -> usize {
    if places.is_empty() {
        return 0;
    }
    let count_before = |end: usize| places.partition_point(|place| *place < end);
    count_before(within.end) - count_before(within.start)
}
