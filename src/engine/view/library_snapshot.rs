//! Combines one library's listing segment, its memtable, and its confirmed matches, as far as this process knows them.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::{Hit, LibraryProperties};
use crate::engine::memtable::{
    EntryPath, Known, KnownRecord, Memtable, MemtableChange, MemtableEntry, NewRecord, RecordMemory,
};
use crate::engine::record_rows::{FormMatches, StoredMatch};
use crate::engine::segment::{ListingSegment, extension_of};
use crate::engine::sql::SEQUENCE_BITS;
use crate::matching::normal::normal_form;
use crate::matching::{
    EntryTime, ExactBytes, Form, FoundItem, HitDoubt, ItemRef, LibraryIndex, Mappings, NormalPath, OnlyEntry,
    lies_at_or_under, lies_under,
};
use crate::model::{Item, LibraryKind, MatchKind, Sequence, TableId};

/// One library in a snapshot. Immutable, except for the memtable.
pub struct LibrarySnapshot {
    pub properties: LibraryProperties,
    /// Segment of the newest complete listing; `None` without a listing, or if the segment is unusable.
    pub segment: Option<Arc<ListingSegment>>,
    /// Confirmed matches; `None` if none was recorded.
    pub matches: Option<MatchTable>,
    pub memtable: Memtable,
    /// Normal forms of the library's folders, as server paths.
    locations: Box<[Box<[u8]>]>,
    /// Normal forms of the library's folders, as host paths.
    hosts: Box<[Box<[u8]>]>,
}

impl LibrarySnapshot {
    /// Combines the parts of a library. Ignores a segment of a different library, such as a file that a user copied.
    #[must_use]
    pub fn new(
        properties: LibraryProperties,
        mappings: &Mappings,
        segment: Option<Arc<ListingSegment>>,
        matches: Option<MatchTable>,
    ) -> Self {
        let (mut locations, mut hosts) = (Vec::new(), Vec::new());
        for location in properties.locations.iter().filter(|location| !location.is_empty()) {
            locations.push(normal_form(location.as_bytes()).into_boxed_slice());
            // Rules such as `^/plex/media/(.*)` match paths below a folder, so append a `/`.
            let below = format!("{location}/");
            if let Some(host) = mappings.to_host(below.as_bytes()).filter(|host| !host.is_empty()) {
                hosts.push(normal_form(&host).into_boxed_slice());
            }
        }
        let is_ours = |segment: &Arc<ListingSegment>| segment.head.uuid == properties.uuid;
        Self {
            segment: segment.filter(is_ours),
            matches,
            properties,
            memtable: Memtable::default(),
            locations: locations.into_boxed_slice(),
            hosts: hosts.into_boxed_slice(),
        }
    }

    /// Returns the memtable's newest change that adds or removes the item; `None` without a change.
    pub(super) fn newest_override(&self, rating_key: &str) -> Option<&MemtableEntry> {
        self.memtable.records_of_item(rating_key).find(|record| {
            matches!(
                record.change,
                MemtableChange::Added { .. } | MemtableChange::Removed { .. }
            )
        })
    }

    /// Returns whether the memtable replaces or removes this item of the segment.
    pub(super) fn hides(&self, rating_key: &str) -> bool {
        !self.memtable.is_empty() && self.newest_override(rating_key).is_some()
    }

    /// Returns the item of an `Added` change; `None` for other changes, and if a newer change replaces or removes it.
    pub(super) fn live_item<'v>(&'v self, record: &'v MemtableEntry) -> Option<&'v Item> {
        let item = added_item(record)?;
        let newest = self.newest_override(&item.rating_key)?;
        (newest.order == record.order).then_some(item)
    }

    /// Returns the normal forms of the library's folders, as server paths and as host paths.
    pub(super) fn own_folders(&self) -> impl Iterator<Item = &[u8]> {
        self.locations.iter().chain(&self.hosts).map(|folder| &**folder)
    }

    /// Returns the ticket of the request that brought an item, as [`LibraryIndex::find_item`] finds it.
    fn asked(&self, hit: Hit<'_>) -> u64 {
        match (hit, &self.segment) {
            (Hit::Listed(number), Some(segment)) => segment.last_ticket(number).0.max(self.properties.listing_asked),
            (Hit::Added(record, _), _) => match record.change {
                MemtableChange::Added { asked, .. } => asked,
                _ => 0,
            },
            _ => 0,
        }
    }

    /// Returns the ticket of the last request that showed the item with this rating key; 0 if there is no such item.
    pub fn asked_of(&self, rating_key: &str) -> u64 {
        let hit = self.find_item(rating_key);
        hit.map_or(0, |hit| self.asked(hit).max(self.replied(rating_key)))
    }

    /// Returns whether only a listing that was evicted or lost can have shown the item of a path's confirmed match. It may have
    /// shown that the item is gone, or that another one has the path, so that the match waits for another listing.
    pub fn lacks_listing_of(&self, path: &NormalPath<'_>, rating_key: &str) -> bool {
        let evicted_at = self.properties.evicted_at;
        evicted_at > 0
            && self.find_item(rating_key).is_none()
            && self.newest_match(path, Some(rating_key)) <= evicted_at
    }

    /// Returns whether the item with this rating key is doubted, listed or not.
    pub fn is_doubted(&self, rating_key: &str) -> bool {
        self.doubted_since(rating_key).is_some()
    }

    /// Returns the change sequence at which an item was last doubted; `None` if a later request has shown it.
    fn doubted_since(&self, rating_key: &str) -> Option<u64> {
        let mut records = self.memtable.records_of_item(rating_key);
        let doubted = records.find_map(|record| match record.change {
            MemtableChange::DoubtedItem { raised, .. } => Some(raised),
            _ => None,
        });
        doubted.filter(|raised| *raised >= self.replied(rating_key))
    }

    /// Returns the change sequence at which the newest match of a path, or of this path with an item, was recorded; 0 if
    /// none is known.
    fn newest_match(&self, path: &NormalPath<'_>, rating_key: Option<&str>) -> u64 {
        let matches = self.matches.as_ref();
        matches.map_or(0, |matches| matches.newest(path, rating_key))
    }

    /// Returns the change sequence at which the host called a path wrong; `None` if it did not, or has recorded a match for
    /// the path since, which is its later word.
    fn called_wrong(&self, path: &NormalPath<'_>) -> Option<u64> {
        let mut records = self.memtable.records_of_path(path);
        let raised = records.find_map(|(record, _)| match record.change {
            MemtableChange::DoubtedPath { raised, .. } => Some(raised),
            _ => None,
        });
        raised.filter(|raised| self.newest_match(path, None) <= *raised)
    }

    /// Returns the ticket of the last request that brought a single item, as listed or not; 0 without one.
    fn replied(&self, rating_key: &str) -> u64 {
        let records = self.memtable.records_of_item(rating_key);
        let asked = records.filter_map(|record| match record.change {
            MemtableChange::Added { asked, .. }
            | MemtableChange::AsListed { asked, .. }
            | MemtableChange::Removed { asked, .. } => Some(asked),
            _ => None,
        });
        asked.max().unwrap_or(0)
    }

    /// Returns the match for a path that the segment lists only for the item `rating_key`; `None` if a confirmed match
    /// may contradict the listing, or a segment is damaged. `form`, `hash`: the path's normal form and its
    /// hash.
    #[inline]
    fn unique_listed<'v>(
        &'v self,
        path: &[u8],
        form: &[u8],
        hash: u64,
        rating_key: &'v str,
    ) -> Option<(&'v str, MatchKind)> {
        let recorded = self
            .matches
            .as_ref()
            .map_or(SingleMatch::None, |matches| matches.unique(path, form, hash));
        match recorded {
            _ if self.is_broken() => None,
            SingleMatch::None => Some((rating_key, MatchKind::Exact)),
            SingleMatch::Match(recorded) => (recorded == rating_key).then_some((rating_key, MatchKind::Confirmed)),
            SingleMatch::NeedsFullLookup => None,
        }
    }

    /// Calls `each` with each listed path (if `mapped`: host path) of this form, and whether the bytes are also equal.
    fn each_at_path<'v>(&'v self, path: &NormalPath<'_>, mapped: bool, mut each: impl FnMut(Hit<'v>, bool)) {
        if let Some(segment) = &self.segment {
            segment.for_each_with_form(path, |entry, has_same_bytes| {
                if entry.is_mapped() != mapped {
                    return;
                }
                let is_hidden = || segment.key_of(entry).is_ok_and(|rating_key| self.hides(rating_key));
                if self.memtable.is_empty() || !is_hidden() {
                    each(Hit::Listed(entry.listed_number()), has_same_bytes);
                }
            });
        }
        if self.memtable.is_empty() {
            return;
        }
        let of_kind = |(_, own): &(&MemtableEntry, &EntryPath)| own.host.is_some() == mapped;
        for (record, own) in self.memtable.records_of_path(path).filter(of_kind) {
            if let Some(item) = self.live_item(record) {
                let bytes = own.host.as_deref().unwrap_or_else(|| item.parts[own.part].as_bytes());
                each(hit_of(record, own.part), path.has_spelling(bytes));
            }
        }
    }
}

/// Returns the item of an `Added` change; `None` for other changes.
fn added_item(record: &MemtableEntry) -> Option<&Item> {
    match &record.change {
        MemtableChange::Added { item, .. } => Some(item),
        _ => None,
    }
}

/// Returns the hit for a file of an added item. `part`: the file's index in the item.
fn hit_of(record: &MemtableEntry, part: usize) -> Hit<'_> {
    Hit::Added(record, u32::try_from(part).unwrap_or(u32::MAX))
}

impl LibraryIndex for LibrarySnapshot {
    type Hit<'v> = Hit<'v>;

    fn is_fetched(&self) -> bool {
        self.properties.fetched
    }

    fn kind(&self) -> LibraryKind {
        self.properties.kind
    }

    /// Returns whether one of the library's folders contains the path (a server path or a host path).
    fn owns(&self, path: &NormalPath<'_>) -> bool {
        let mut folders = self.locations.iter().chain(&self.hosts);
        if path.is_utf8() {
            return folders.any(|folder| lies_under(path.form(), folder));
        }
        // If a path is not valid UTF-8, its form is not folded, so compare only its leading folders that are.
        let text = path.raw().utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let valid_folders = text.rfind(['/', '\\']).map_or("", |end| &text[..=end]);
        NormalPath::with(valid_folders.as_bytes(), |valid| {
            folders.any(|folder| lies_at_or_under(valid.form(), folder))
        })
    }

    fn locations(&self) -> impl Iterator<Item = &[u8]> {
        self.locations.iter().map(|location| &**location)
    }

    /// Returns how many components a listed path has below its outermost location; 0 outside all locations.
    fn components_below_location(&self, listed: &NormalPath<'_>) -> usize {
        let count = |form: &[u8]| Form::from_folded(form).rev_components().count();
        let location_count = self
            .locations
            .iter()
            .filter(|folder| lies_under(listed.form(), folder))
            .map(|folder| count(folder))
            .min();
        location_count.map_or(0, |location_count| count(listed.form()) - location_count)
    }

    /// Returns the rating key and match kind for exactly this path; `None` if a change or another path could contradict
    /// the match, so that the caller must resolve the path. `first`: the segment's only entry with the path's hash.
    #[inline]
    fn unique_hit<'v>(&'v self, path: &NormalPath<'_>, first: OnlyEntry) -> Option<(&'v str, MatchKind)> {
        let has_changes = !self.memtable.is_empty();
        if has_changes && self.memtable.records_of_path(path).next().is_some() {
            return None;
        }
        // Without a listing, only an item of a single request can contradict a confirmed match, also by a mapping.
        if !self.properties.fetched {
            let matches = self
                .matches
                .as_ref()
                .filter(|_| !has_changes && self.properties.evicted_at == 0)?;
            let SingleMatch::Match(rating_key) = matches.unique(path.raw(), path.form(), path.hash()) else {
                return None;
            };
            return (!self.is_broken()).then_some((rating_key, MatchKind::Confirmed));
        }
        let (rating_key, _) = self.segment.as_ref()?.unique_hit(path.raw(), first)?;
        if has_changes && self.memtable.records_of_item(rating_key).next().is_some() {
            return None;
        }
        self.unique_listed(path.raw(), path.form(), path.hash(), rating_key)
    }

    /// Looks up a non-ASCII path by its exact bytes; `None` if the caller needs a full lookup with the normal form.
    #[inline]
    fn unique_hit_by_bytes<'v>(&'v self, path: &ExactBytes<'_>, first: OnlyEntry) -> Option<(&'v str, MatchKind)> {
        if !self.memtable.is_empty() || !self.properties.fetched {
            return None;
        }
        let segment = self.segment.as_ref()?;
        let (rating_key, form) = segment.unique_hit(path.raw(), first)?;
        let hash = xxh3_64(form);
        let is_only = segment.has_only_path(hash); // no other path has this normal form
        is_only.then(|| self.unique_listed(path.raw(), form, hash, rating_key))?
    }

    /// Returns the normal form that the segment stores for exactly this path, to save computing it; `None` if unlisted.
    fn stored_form<'v>(&'v self, path: &ExactBytes<'_>, first: OnlyEntry) -> Option<&'v [u8]> {
        let (_, form) = self.segment.as_ref()?.unique_hit(path.raw(), first)?;
        Some(form)
    }

    /// Prefetches the memory for a lookup of a path with this hash.
    #[inline]
    fn prefetch(&self, hash: u64) {
        if let Some(segment) = &self.segment {
            segment.prefetch(hash);
        }
    }

    /// Returns the only entry with this hash, and prefetches the `length` bytes of its path and normal form.
    #[inline]
    fn only_entry(&self, hash: u64, length: usize) -> OnlyEntry {
        let segment = self.segment.as_ref();
        segment.map(|segment| segment.first(hash, length)).unwrap_or_default()
    }

    /// Returns the hit for an entry that `unique_hit` accepted; `None` without an entry.
    #[inline]
    fn hit_of_entry(&self, first: OnlyEntry) -> Option<Hit<'_>> {
        first.0.map(|number| Hit::Listed(number.get()))
    }

    /// Calls `each` for each confirmed match whose path has this normal form.
    fn each_confirmed<'v>(&'v self, path: &NormalPath<'_>, mut each: impl FnMut(Hit<'v>)) -> bool {
        let matches = self.matches.as_ref();
        matches.is_none_or(|matches| matches.each(path, |recorded| each(Hit::Matched(recorded))))
    }

    /// Calls `each` with each listed path of this normal form, and with whether the bytes are also equal.
    fn each_listed<'v>(&'v self, path: &NormalPath<'_>, each: impl FnMut(Hit<'v>, bool)) {
        self.each_at_path(path, false, each); // `false`: listed paths, not their host paths
    }

    /// Calls `each` with each listed path whose mapped host path has this form, and with whether the bytes are equal.
    fn each_mapped<'v>(&'v self, path: &NormalPath<'_>, each: impl FnMut(Hit<'v>, bool)) {
        self.each_at_path(path, true, each); // `true`: host paths
    }

    fn each_named<'v>(&'v self, name_hash: u64, mut each: impl FnMut(Form<'v>, Hit<'v>) -> bool) {
        for (record, own) in self.memtable.files_with_name(name_hash) {
            if self.live_item(record).is_some() && !each(Form::from_folded(&own.form), hit_of(record, own.part)) {
                return;
            }
        }
        if let Some(segment) = &self.segment {
            segment.each_named(name_hash, |entry| {
                let is_hidden = || segment.key_of(entry).is_ok_and(|rating_key| self.hides(rating_key));
                (!self.memtable.is_empty() && is_hidden()) || each(entry.form(), Hit::Listed(entry.number))
            });
        }
    }

    fn each_of_size<'v>(&'v self, size: u64, limit: usize, mut each: impl FnMut(Hit<'v>)) {
        for record in self.memtable.records() {
            let Some(item) = self.live_item(record) else {
                continue;
            };
            let parts = (0..item.parts.len()).filter(|part| item.size_of(*part) == size);
            parts.for_each(|part| each(hit_of(record, part)));
        }
        let Some(segment) = &self.segment else { return };
        let mut left = limit;
        segment.files_of_size(size, |number| {
            let hit = Hit::Listed(number);
            if self
                .key_and_path(hit)
                .is_some_and(|(rating_key, _)| !self.hides(rating_key))
            {
                each(hit);
                left -= 1;
            }
            left > 0
        });
    }

    fn each_beside(&self, form: &[u8], count: usize, mut each: impl FnMut(u64, u64)) {
        let extension = extension_of(form);
        let alike = self.memtable.records().flat_map(|record| {
            let paths = record.paths.iter().filter(|own| extension_of(&own.form) == extension);
            paths.map(move |own| (record, own.part))
        });
        let added = alike.filter(|(record, _)| self.live_item(record).is_some());
        for hit in added.map(|(record, part)| hit_of(record, part)).take(count) {
            each(self.file_size(hit), self.duration_ms(hit));
        }
        if let Some(segment) = &self.segment {
            segment.each_beside(form, count, each);
        }
    }

    fn file_size(&self, hit: Hit<'_>) -> u64 {
        match hit {
            Hit::Listed(number) => self.segment.as_ref().map_or(0, |segment| segment.file_size(number)),
            Hit::Added(record, part) => added_item(record).map_or(0, |item| item.size_of(part as usize)),
            Hit::Matched(_) => 0,
        }
    }

    fn duration_ms(&self, hit: Hit<'_>) -> u64 {
        match hit {
            Hit::Listed(number) => self.segment.as_ref().map_or(0, |segment| segment.duration_ms(number)),
            Hit::Added(record, part) => added_item(record)
                .and_then(|item| item.facts.0.as_ref())
                .map_or(0, |facts| facts.file_duration_ms(part as usize)),
            Hit::Matched(_) => 0,
        }
    }

    /// Returns the first path of an item: from the memtable if the item has changed, otherwise from the segment.
    fn find_item<'v>(&'v self, rating_key: &str) -> Option<Hit<'v>> {
        match self.newest_override(rating_key) {
            Some(record) => self.live_item(record).map(|_| hit_of(record, 0)),
            None => self.segment.as_ref()?.find(rating_key).map(Hit::Listed),
        }
    }

    /// Returns a hit's rating key and path; `None` if the segment is damaged.
    fn key_and_path<'v>(&'v self, hit: Hit<'v>) -> Option<(&'v str, &'v [u8])> {
        match hit {
            Hit::Listed(number) => self.segment.as_ref()?.key_and_path(number),
            Hit::Matched(recorded) => Some((recorded.rating_key, recorded.path)),
            Hit::Added(record, part) => {
                let item = added_item(record)?;
                let path = item.parts.get(part as usize);
                Some((&item.rating_key, path.map_or(b"", |path| path.as_bytes())))
            }
        }
    }

    /// Returns a hit's item; for a confirmed match, an item with only the rating key. `None` if the segment is damaged.
    fn item<'v>(&'v self, hit: Hit<'v>) -> Option<ItemRef<'v>> {
        match hit {
            Hit::Listed(number) => self.segment.as_ref()?.item(number),
            Hit::Added(record, _) => added_item(record).map(ItemRef::from),
            Hit::Matched(recorded) => Some(ItemRef::key_only(recorded.rating_key)),
        }
    }

    /// Writes a hit's item and path into `found`, which saves a copy if the hit is in the segment. Returns `false` if
    /// the segment is damaged.
    fn fill_found<'v>(&'v self, hit: Hit<'v>, found: &mut FoundItem<'v>) -> bool {
        if let (Hit::Listed(number), Some(segment)) = (hit, &self.segment) {
            return segment.fill_found(number, found);
        }
        let read = self.item(hit).zip(self.key_and_path(hit));
        read.map(|(item, (_, path))| (found.item, found.path) = (item, path))
            .is_some()
    }

    /// Returns when a hit's path was listed, or its match recorded. If two hits contradict each other, the newer wins.
    fn entry_time(&self, hit: Hit<'_>) -> EntryTime {
        let listed = |first_shown: u64| {
            let listed_at = self.properties.listed_at;
            let segment = self.segment.as_ref();
            first_shown.max(segment.map_or(listed_at, |segment| segment.assigned_or(listed_at)))
        };
        let (sequence, order) = match (hit, &self.segment) {
            (Hit::Listed(number), Some(segment)) => (listed(segment.shown_at(number).0), 0), // 0: in a segment
            (Hit::Matched(recorded), _) => (recorded.sequence, 0),
            (Hit::Added(record, part), _) => match &record.change {
                MemtableChange::Added { shown, .. } => (listed(shown.of(part as usize).0), record.order),
                _ => (0, 0),
            },
            (Hit::Listed(_), None) => (0, 0),
        };
        EntryTime { sequence, order }
    }

    fn is_called_wrong(&self, path: &NormalPath<'_>) -> bool {
        self.called_wrong(path).is_some()
    }

    /// Returns what is doubted about an item that the path `requested` leads to by its path `matched`.
    fn doubt(&self, requested: &NormalPath<'_>, matched: &[u8], rating_key: &str) -> HitDoubt {
        if self.lacks_listing_of(requested, rating_key) {
            return HitDoubt::Item;
        }
        if self.memtable.is_empty() {
            return HitDoubt::None;
        }
        let asked = || self.asked_of(rating_key);
        let is_withheld = |path: &NormalPath<'_>| self.called_wrong(path).is_some_and(|raised| asked() <= raised);
        if is_withheld(requested) || (matched != requested.raw() && NormalPath::with(matched, is_withheld)) {
            HitDoubt::Path
        } else if self
            .doubted_since(rating_key)
            .is_some_and(|raised| self.newest_match(requested, Some(rating_key)) <= raised)
        {
            HitDoubt::Item
        } else {
            HitDoubt::None
        }
    }

    /// Returns whether the segment is damaged, so that the caller must not trust the results.
    #[inline]
    fn is_broken(&self) -> bool {
        self.segment.as_ref().is_some_and(|segment| segment.is_broken())
    }
}

/// The matches of a library in memory. The key of a record is a path's normal form, and its payload has the matches of all
/// paths with this form.
pub struct MatchTable {
    pub table: TableId,
    pub memory: Arc<RecordMemory>,
}

/// A confirmed match in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordedMatch<'m> {
    pub rating_key: &'m str,
    /// The path as the host passed it.
    pub path: &'m [u8],
    /// The change sequence at which the match was recorded.
    pub sequence: u64,
}

/// A path's confirmed match, if a fast lookup can determine it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SingleMatch<'m> {
    /// No path with the same normal form has a confirmed match.
    None,
    /// The confirmed match's rating key. No other path with the same normal form has a confirmed match.
    Match(&'m str),
    /// The caller must examine the confirmed matches of all paths with the same normal form.
    NeedsFullLookup,
}

/// An encoded match: the low bits of its change sequence, its rating key, and its path; empty if the path is the record's
/// key, because no path is empty.
type EncodedMatch<'m> = (u64, &'m str, &'m [u8]);
/// The bits of a change sequence that records contain.
const LOW_BITS: u64 = (1 << SEQUENCE_BITS) - 1;

impl MatchTable {
    /// Creates a table with what `memory` knows.
    pub fn new(table: TableId, memory: Arc<RecordMemory>) -> Self {
        Self { table, memory }
    }

    /// Adds all matches of the table, which were read at a change sequence.
    #[cfg(any(test, feature = "testing"))]
    pub fn load_all(&self, matches: Vec<StoredMatch>, sequence: Sequence) {
        let with_form = |stored: StoredMatch| (normal_form(&stored.path), Some(stored));
        let mut matches: Vec<(Vec<u8>, Option<StoredMatch>)> = matches.into_iter().map(with_form).collect();
        matches.sort_by(|(one, _), (other, _)| one.cmp(other));
        let forms = crate::engine::record_rows::by_form(matches);
        let first = crate::engine::memtable::LoadAfter(None);
        self.memory.load(sequence, &first, forms.iter().map(record_of), None);
    }

    /// Adds all matches of a form. `read_at`: the change sequence at which they were read. Returns `false` if a later commit
    /// may have changed them.
    pub fn put(&self, read_at: Sequence, matches: &FormMatches) -> bool {
        self.memory.put(read_at, [record_of(matches)])
    }

    /// Returns whether the database need not be asked about a path.
    pub fn knows(&self, path: &NormalPath<'_>) -> bool {
        self.memory.knows(path.form(), path.hash())
    }

    /// Calls `each` for each match whose path has this normal form. Returns `false` if they are not known.
    pub fn each<'m>(&'m self, path: &NormalPath<'_>, mut each: impl FnMut(RecordedMatch<'m>)) -> bool {
        let known = self.memory.find(path.form(), path.hash());
        if let Known::Record(record) = known {
            self.matches_in(record).for_each(&mut each);
        }
        known != Known::Unknown
    }

    /// Returns a path's confirmed match if a fast lookup can determine it: if its form has no other one. `form`, `hash`:
    /// the path's normal form and its hash.
    #[inline]
    pub fn unique(&self, path: &[u8], form: &[u8], hash: u64) -> SingleMatch<'_> {
        let record = match self.memory.find(form, hash) {
            Known::Absent => return SingleMatch::None,
            Known::Unknown => return SingleMatch::NeedsFullLookup,
            Known::Record(record) => record,
        };
        let mut matches = self.matches_in(record);
        match (matches.next(), matches.next()) {
            (None, _) => SingleMatch::None,
            (Some(only), None) if only.path == path => SingleMatch::Match(only.rating_key),
            _ => SingleMatch::NeedsFullLookup,
        }
    }

    /// Returns the change sequence at which the newest match of a path with this form was recorded, or the newest one with
    /// the item `rating_key`; 0 if none is known.
    pub fn newest(&self, path: &NormalPath<'_>, rating_key: Option<&str>) -> u64 {
        let mut newest = 0;
        self.each(path, |recorded| {
            if rating_key.is_none_or(|key| key == recorded.rating_key) {
                newest = newest.max(recorded.sequence);
            }
        });
        newest
    }

    /// Iterates over the matches in a record.
    fn matches_in<'m>(&self, record: KnownRecord<'m>) -> impl Iterator<Item = RecordedMatch<'m>> + use<'m> {
        let mut rest = record.payload.unwrap_or_default();
        // All sequences of a database have the same upper bits.
        let upper_bits = self.memory.newest() & !LOW_BITS;
        std::iter::from_fn(move || {
            let ((sequence, rating_key, path), tail): (EncodedMatch<'m>, _) = postcard::take_from_bytes(rest).ok()?;
            rest = tail;
            Some(RecordedMatch {
                rating_key,
                path: if path.is_empty() { record.key } else { path },
                sequence: upper_bits | sequence,
            })
        })
    }
}

/// Returns the record of a form's matches.
pub fn record_of((form, matches): &FormMatches) -> NewRecord<'_> {
    // A path that only differs in case takes the place of its form. A form that is not folded may have other entries that
    // differ only in case.
    let is_spelling = |path: &[u8]| path.eq_ignore_ascii_case(form) && !form.iter().any(u8::is_ascii_uppercase);
    let spelling = match &matches[..] {
        [only] if is_spelling(&only.path) => Some(&only.path[..]),
        _ => None,
    };
    let encode = |stored: &StoredMatch| {
        let path = if spelling.is_some() { b"" } else { &stored.path[..] };
        let encoded: EncodedMatch<'_> = (stored.sequence.0 & LOW_BITS, &stored.rating_key, path);
        postcard::to_stdvec(&encoded).unwrap_or_default()
    };
    let payload: Vec<u8> = matches.iter().flat_map(encode).collect();
    NewRecord {
        spelling,
        ..NewRecord::new(form, (!payload.is_empty()).then_some(payload))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::memtable::{LoadAfter, StoreMemories};
    use crate::engine::record_rows::RecordTime;

    /// A process can keep as many matches as a large library has files.
    #[test]
    fn a_match_takes_at_most_48_bytes_beside_its_path_and_key() {
        let table = MatchTable::new(TableId(1), StoreMemories::default().matches.memory(TableId(1)));
        let (mut after, mut content) = (None, 0);
        // 57,344 fill an array of slots, so that the last one makes a larger array.
        for first in (0..57_345).step_by(512) {
            let forms = (first..57_345.min(first + 512)).map(|number| {
                let path = format!("/Media/Films/A Film with a Title ({number:07})/A Film.mkv").into_bytes();
                let stored = StoredMatch {
                    sequence: Sequence(5 << SEQUENCE_BITS | number),
                    path: path.clone(),
                    rating_key: number.to_string(),
                    at: RecordTime::NEVER,
                };
                content += path.len() + stored.rating_key.len();
                (normal_form(&path), vec![stored])
            });
            let forms: Vec<FormMatches> = forms.collect();
            let last = forms.last().map(|(form, _)| form.clone());
            let records = forms.iter().map(record_of);
            table.memory.load(
                Sequence(6 << SEQUENCE_BITS),
                &LoadAfter(after),
                records,
                last.as_deref(),
            );
            after = last;
        }
        let beside = (table.memory.bytes() - content) / 57_345;
        assert!((30..=48).contains(&beside), "{beside}");
    }
}
