//! The tables that find entries: by hash, by name, and the indexes by GUID, title and size.
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
//! The name table contains all listed paths, sorted so that paths with the same last components are adjacent.
//!
//! The sort order is the upper half of a hash of the file name's likeness, then the components, last component first.
//! Components are compared byte by byte, and shorter paths come first. An element contains this half of the hash and the
//! number of the entry. A directory contains the index at which each small range of hashes begins, so a short scan finds
//! a hash. A binary search then compares the components.
//!
//! The indexes of a listing's items by GUID and title, and of its files by size, in files beside the segment. The first
//! query that needs an index builds it, because most hosts never make such a query. An index is a hash table. Different
//! texts or sizes can have the same hash, so the caller must compare what it finds.

use std::cmp::Ordering;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use once_cell::race::OnceBox;
use xxhash_rust::xxh3::xxh3_64;

use super::layout::{
    BLOCK, CheckedBytes, FileKind, ReadResult, SegmentHeader, SegmentPart, SegmentWriter, Spool, bisect, u32_at,
};
use super::record::{self, EntryRef, TWIN};
use super::sorter::{PairSorter, SuffixGroups};
use crate::matching::{Form, NormalPath};
use crate::platform::files;
use crate::platform::map::{FileBytes, MapMode};

/// Percentage of home slots in use. A higher load saves memory but makes searches longer.
const LOAD_PERCENT: usize = 85;

/// Returns the number of home slots for this number of entries. The entries then use [`LOAD_PERCENT`] of these slots.
fn home_slot_count(entries: usize) -> usize {
    (entries * 100).div_ceil(LOAD_PERCENT).max(1)
}

/// Builds a table from entries in hash order.
pub struct HashTableBuilder {
    pub homes: usize,
    slots_written: usize,
}

impl HashTableBuilder {
    pub fn new(entries: usize) -> Self {
        Self {
            homes: home_slot_count(entries),
            slots_written: 0,
        }
    }

    /// Writes an entry to its slot, after free slots for the gap before it. Hashes must come in ascending order.
    pub fn put(&mut self, hash: u64, entry: u32, body: &mut SegmentWriter) -> io::Result<()> {
        let slot_index = home_slot(hash, self.homes as u64).max(self.slots_written);
        let slot = u64::from(entry) << 32 | u64::from(upper(hash));
        let free_bytes = (slot_index - self.slots_written) * 8;
        let out = body.buffer_for(free_bytes + 8)?;
        out.resize(out.len() + free_bytes, 0);
        out.extend_from_slice(&slot.to_le_bytes());
        self.slots_written = slot_index + 1;
        body.flush_pieces()
    }

    /// Writes the free slots after the last entry, so that the table has all its home slots.
    pub fn end(self, body: &mut SegmentWriter) -> io::Result<()> {
        let free_bytes = self.homes.saturating_sub(self.slots_written) * 8;
        let out = body.buffer_for(free_bytes)?;
        out.resize(out.len() + free_bytes, 0);
        body.flush_pieces()
    }
}

/// Returns the upper half of a hash. Slots store only this half.
pub fn upper(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(u32::MAX)
}

/// Returns the two halves of a slot: the upper half of the hash, and the entry.
#[inline]
fn split_slot(slot: u64) -> [u32; 2] {
    [slot & 0xFFFF_FFFF, slot >> 32].map(|half| u32::try_from(half).unwrap_or(u32::MAX))
}

/// Returns the slot index where a search for a hash begins, among `homes` home slots; out of bounds in a damaged table.
#[inline]
fn home_slot(hash: u64, homes: u64) -> usize {
    usize::try_from((hash >> 32).wrapping_mul(homes) >> 32).unwrap_or(usize::MAX)
}

/// Returns the number of slots between this offset and the end of the block.
#[inline]
fn slots_in_block(offset: usize) -> usize {
    (BLOCK - offset % BLOCK) / 8
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

    /// Returns the file offset where the search for this hash begins, for prefetching.
    #[inline]
    pub fn search_offset(&self, hash: u64) -> usize {
        self.part.element_offset(home_slot(hash, self.homes), 8)
    }

    /// Calls `each` in hash order with every entry whose hash is equal to or greater than `hash`, until `each` returns
    /// `true`. Compares only the hashes' upper halves. The first argument of `each` is the upper half of the entry's
    /// hash.
    pub fn for_each_from(
        &self,
        file: &CheckedBytes,
        hash: u64,
        mut each: impl FnMut(u32, u32) -> ReadResult<bool>,
    ) -> ReadResult<()> {
        let slots = self.part.len();
        let mut slot = home_slot(hash, self.homes);
        while slot < slots {
            let offset = self.part.element_offset(slot, 8);
            let in_block = slots_in_block(offset).clamp(1, slots - slot);
            for bytes in file.slice(offset, in_block * 8)?.as_chunks().0 {
                let [upper_hash, entry] = split_slot(u64::from_le_bytes(*bytes));
                if entry != 0 && upper_hash >= upper(hash) && each(upper_hash, entry)? {
                    return Ok(());
                }
            }
            slot += in_block;
        }
        Ok(())
    }

    /// Returns the first entry whose hash has the same upper half as `hash`, if any.
    #[inline]
    pub fn first(&self, file: &CheckedBytes, hash: u64) -> ReadResult<Option<u32>> {
        let mut first = None;
        self.find(file, hash, |entry| {
            first = Some(entry);
            Ok(true)
        })?;
        Ok(first)
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
        let mut slot = home_slot(hash, self.homes);
        let slots = self.part.len();
        while slot < slots {
            // Read only to the end of the block: few searches need the next block and its verification.
            let offset = self.part.element_offset(slot, 8);
            let in_block = slots_in_block(offset).clamp(1, slots - slot);
            for bytes in file.slice(offset, in_block * 8)?.as_chunks().0 {
                let [upper_hash, entry] = split_slot(u64::from_le_bytes(*bytes));
                // Entries with smaller hashes can extend into this slot.
                if upper_hash < searched && entry != 0 {
                    continue;
                }
                if entry == 0 || upper_hash > searched || each(entry)? {
                    return Ok(());
                }
            }
            slot += in_block;
        }
        Ok(())
    }
}

/// Average number of elements in each hash range of the directory.
const RANGE_ELEMENTS: usize = 4;
/// Maximum length of a range that a search scans instead of bisecting.
const MAX_SCANNED: usize = 16;
/// Maximum number of nested ranges: one for the file name's hash, and one for each common component.
const DEPTH: usize = 32;

/// Encodes the name table's sorted elements, and builds their directory.
pub struct NameTableBuilder {
    count: usize,
    /// Number of elements so far.
    at: usize,
    /// Index of the directory's next range.
    next: usize,
    directory: Spool,
}

impl NameTableBuilder {
    /// Creates a builder for `count` elements. A large directory uses a temporary file beside `place`.
    pub fn new(count: usize, place: &Path) -> Self {
        Self {
            count,
            at: 0,
            next: 0,
            directory: Spool::new(place),
        }
    }

    /// Encodes the next element in eight bytes, and begins a new range in the directory if the hash is in a new range.
    pub fn element(&mut self, upper_hash: u32, entry: u32) -> io::Result<[u8; 8]> {
        self.begin_ranges(range_of(upper_hash, self.range_count()))?;
        self.at += 1;
        Ok((u64::from(entry) << 32 | u64::from(upper_hash)).to_le_bytes())
    }

    /// Returns the directory. Call this function after the last element.
    pub fn end(mut self) -> io::Result<Spool> {
        self.begin_ranges(self.range_count())?;
        Ok(self.directory)
    }

    /// Returns the number of hash ranges in the directory.
    fn range_count(&self) -> usize {
        self.count.div_ceil(RANGE_ELEMENTS)
    }

    /// Records in the directory that all ranges up to the index `until` begin at the next element.
    fn begin_ranges(&mut self, until: usize) -> io::Result<()> {
        while self.next <= until {
            self.directory.put(&number(self.at).to_le_bytes())?;
            self.next += 1;
        }
        Ok(())
    }
}

/// Converts an index to a 32-bit number. A count that does not fit cannot occur in a file of up to 16 GiB.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Returns the index of the directory range for a hash: the hash, scaled to the number of ranges. In a damaged segment,
/// the index may be out of bounds.
fn range_of(upper_hash: u32, ranges: usize) -> usize {
    usize::try_from(u64::from(upper_hash).wrapping_mul(ranges as u64) >> 32).unwrap_or(0)
}

#[derive(Clone, Copy, Debug)]
pub struct NameTable {
    array: SegmentPart,
    directory: SegmentPart,
    /// Whether the hashes are those of whole names, as in an earlier version, not of the names' likeness.
    has_whole_names: bool,
}

/// A range of paths with the same last components.
#[derive(Clone, Copy)]
struct NameRange {
    from: usize,
    to: usize,
    /// Number of last components that all paths in the range have in common with the searched path.
    components: usize,
}

impl NameRange {
    fn len(self) -> usize {
        self.to - self.from
    }
}

/// Nested ranges around the searched path, and the path's position in the narrowest range.
struct NarrowedRange {
    ranges: [NameRange; DEPTH],
    depth: usize,
    near: usize,
}

impl NameTable {
    pub fn new(head: &SegmentHeader) -> Self {
        Self {
            array: head.names,
            directory: head.directory,
            has_whole_names: head.kind == FileKind::EarlierListing,
        }
    }

    /// Calls `each` with the number of common components and the entry, for the entries whose paths have the most last
    /// components in common with `path`: at least `min_components`, and at least one. Skips entries for which `hidden`
    /// returns `true`. Reports up to `limit` entries, those close to `path` in the table first, but may report up to
    /// [`MAX_SCANNED`]. Returns the number of entries that were not read.
    pub fn suffix_matches<'i>(
        &self,
        file: &'i CheckedBytes,
        (path, name_hash): (&NormalPath<'_>, Option<u64>),
        min_components: usize,
        limit: usize,
        hidden: impl Fn(&EntryRef<'i>) -> ReadResult<bool>,
        mut each: impl FnMut(usize, &EntryRef<'i>),
    ) -> ReadResult<usize> {
        let form = Form::from_folded(path.form());
        let Some(narrowed) = self.narrow(file, path.form(), name_hash)? else {
            return Ok(0);
        };
        // If all entries in the narrowest range are hidden, the search continues in the next wider range.
        let mut seen = 0..0;
        for (depth, range) in narrowed.ranges[..narrowed.depth].iter().enumerate().rev() {
            let innermost = depth + 1 == narrowed.depth;
            let is_unseen = |index: &usize| !seen.contains(index);
            let mut reported = 0;
            let mut report = |components: usize, entry: &EntryRef<'i>| {
                reported += 1;
                each(components, entry);
            };
            // A short range contains different numbers of common components, so compare each entry.
            if innermost && range.len() <= MAX_SCANNED {
                self.report_longest(file, *range, form, min_components, &hidden, &mut report)?;
            } else if range.components >= min_components.max(1) {
                // Unseen entries here share exactly `range.components` components.
                let near = narrowed.near.clamp(range.from, range.to);
                let start = near.saturating_sub(limit / 2).max(range.from);
                let (mut unread, mut left) = (range.len() - seen.len(), limit);
                for index in (start..range.to).chain((range.from..start).rev()).filter(is_unseen) {
                    unread -= 1;
                    let entry = self.entry(file, index)?;
                    if hidden(&entry)? {
                        continue;
                    }
                    report(range.components, &entry);
                    left -= 1;
                    if left == 0 {
                        return Ok(unread);
                    }
                }
            } else {
                // This range and all wider ranges have too few common components.
                return Ok(0);
            }
            if reported > 0 {
                return Ok(0);
            }
            seen = range.from..range.to;
        }
        Ok(0)
    }

    /// Calls `each` with the entries whose paths have at least `components` last components in common with
    /// `path`, of which `name_hash` is the hash of the likeness of its name, until `each` has accepted `limit` of them.
    pub fn each_with_suffix<'i>(
        &self,
        file: &'i CheckedBytes,
        (path, name_hash): (&NormalPath<'_>, Option<u64>),
        components: usize,
        limit: usize,
        mut each: impl FnMut(&EntryRef<'i>) -> bool,
    ) -> ReadResult<()> {
        let Some(narrowed) = self.narrow(file, path.form(), name_hash)? else {
            return Ok(());
        };
        // The last range has few paths; otherwise, no path has one more component.
        let ranges = &narrowed.ranges[..narrowed.depth];
        let range = ranges.iter().find(|range| range.components >= components);
        let last = &ranges[narrowed.depth - 1];
        let Some(range) = range.or((last.len() <= MAX_SCANNED).then_some(last)) else {
            return Ok(());
        };
        let form = Form::from_folded(path.form());
        let mut left = limit;
        for index in range.from..range.to {
            let entry = self.entry(file, index)?;
            if entry.form().common_components(form) >= components && each(&entry) {
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Calls `each` with the numbers of at most `limit` entries whose file names have this hash of their likeness.
    pub fn each_alike(
        &self,
        file: &CheckedBytes,
        name_hash: u64,
        limit: usize,
        mut each: impl FnMut(u32),
    ) -> ReadResult<()> {
        if self.has_whole_names {
            return Ok(());
        }
        let (from, to) = self.same_hash(file, upper(name_hash))?;
        for index in (from..to).take(limit) {
            each(self.entry(file, index)?.number);
        }
        Ok(())
    }

    /// Scans a range of at most [`MAX_SCANNED`] elements. Reports the entries whose paths have the most last components
    /// in common with `form`, at least `min_components`. Skips entries for which `hidden` returns `true`.
    fn report_longest<'i>(
        &self,
        file: &'i CheckedBytes,
        range: NameRange,
        form: Form<'_>,
        min_components: usize,
        hidden: &impl Fn(&EntryRef<'i>) -> ReadResult<bool>,
        report: &mut impl FnMut(usize, &EntryRef<'i>),
    ) -> ReadResult<()> {
        // The first pass finds the largest number of common components, and the second pass reports its entries.
        let mut best = min_components.max(1);
        let mut common_counts = [0; MAX_SCANNED];
        for (count, index) in common_counts.iter_mut().zip(range.from..range.to) {
            let entry = self.entry(file, index)?;
            let components = entry.form().common_components(form);
            if components >= best && !hidden(&entry)? {
                best = components;
                *count = components;
            }
        }
        let counted = common_counts.iter().zip(range.from..range.to);
        for (_, index) in counted.filter(|(count, _)| **count == best) {
            report(best, &self.entry(file, index)?);
        }
        Ok(())
    }

    /// Returns nested ranges around the searched path. Each range requires one more common component than the previous
    /// range. Stops when few entries are left, or when no path has the next component. `None` if no path has a file
    /// name like this one.
    fn narrow(&self, file: &CheckedBytes, form: &[u8], name_hash: Option<u64>) -> ReadResult<Option<NarrowedRange>> {
        let hash = if self.has_whole_names {
            Form::from_folded(form)
                .rev_components()
                .next()
                .map(|name| xxh3_64(name.bytes()))
        } else {
            name_hash
        };
        let Some(hash) = hash else {
            return Ok(None);
        };
        let (from, to) = self.same_hash(file, upper(hash))?;
        if from == to {
            return Ok(None);
        }
        let form = Form::from_folded(form);
        let outermost = NameRange {
            from,
            to,
            components: 0,
        };
        let mut narrowed = NarrowedRange {
            ranges: [outermost; DEPTH],
            depth: 1,
            near: from,
        };
        // Each component narrows the range, until a scan of the rest is cheap.
        for component in form.rev_components().take(DEPTH - 1) {
            let outer = narrowed.ranges[narrowed.depth - 1];
            if outer.len() <= MAX_SCANNED {
                break;
            }
            let compare = |index: usize| {
                let entry = self.entry(file, index)?;
                let entry_component = entry.form().rev_components().nth(outer.components);
                Ok(entry_component.map_or(Ordering::Less, |entry_component| entry_component.compare(component)))
            };
            let Some((from, to)) = equal_range(outer.from, outer.to, compare, &mut narrowed.near)? else {
                break;
            };
            narrowed.ranges[narrowed.depth] = NameRange {
                from,
                to,
                components: outer.components + 1,
            };
            narrowed.depth += 1;
        }
        Ok(Some(narrowed))
    }

    /// Returns the range of elements whose hash has this upper half: all paths with file names like the searched one,
    /// and possibly others.
    fn same_hash(&self, file: &CheckedBytes, upper_hash: u32) -> ReadResult<(usize, usize)> {
        let ranges = self.directory.len().saturating_sub(1);
        if ranges == 0 {
            return Ok((0, 0));
        }
        // The directory also contains the end of the last range, so two adjacent elements are the bounds of a range.
        let bounds = file.slice(self.directory.element_offset(range_of(upper_hash, ranges), 4), 8)?;
        let (from, to) = (u32_at(bounds, 0) as usize, u32_at(bounds, 4) as usize);
        if from > to || to > self.array.len() {
            return Err(file.mark_damaged());
        }
        let hash = |index: usize| Ok(u32_at(file.slice(self.array.element_offset(index, 8), 4)?, 0));
        let from = bisect(from..to, |index| Ok(hash(index)? < upper_hash))?;
        let to = bisect(from..to, |index| Ok(hash(index)? <= upper_hash))?;
        Ok((from, to))
    }

    /// Reads the entry of the element with this index.
    fn entry<'i>(&self, file: &'i CheckedBytes, at: usize) -> ReadResult<EntryRef<'i>> {
        EntryRef::read(file, u32_at(file.slice(self.array.element_offset(at, 8), 8)?, 4))
    }
}

/// Returns the part of `from..to` for which `order` returns `Equal`; `None` if this part is empty. Sets `near` to the
/// beginning of this part, or to the position where the part would begin.
fn equal_range(
    from: usize,
    to: usize,
    order: impl Fn(usize) -> ReadResult<Ordering>,
    near: &mut usize,
) -> ReadResult<Option<(usize, usize)>> {
    // Often the whole range is equal, because files with the same name are often in folders with the same name.
    if order(from)?.is_eq() && order(to - 1)?.is_eq() {
        *near = from;
        return Ok(Some((from, to)));
    }
    let begin = bisect(from..to, |index| Ok(order(index)?.is_lt()))?;
    *near = begin;
    if begin == to || order(begin)?.is_ne() {
        return Ok(None);
    }
    // The end is usually close, so doubling steps find it with few reads.
    let mut last = begin;
    let mut step = 1;
    while last + step < to && order(last + step)?.is_eq() {
        last += step;
        step *= 2;
    }
    let end = bisect(last + 1..to.min(last + step), |index| Ok(order(index)?.is_le()))?;
    Ok(Some((begin, end)))
}

/// Runs both closures and returns their results. If `with_thread` is true, `first` runs on a new thread in parallel,
/// unless no thread can be started.
pub fn run_both<A: Send, B>(
    with_thread: bool,
    first: impl FnOnce() -> io::Result<A> + Send,
    second: impl FnOnce() -> io::Result<B>,
) -> io::Result<(A, B)> {
    if !with_thread {
        return Ok((first()?, second()?));
    }
    std::thread::scope(|scope| {
        // The thread receives the closure only after a successful start. Otherwise the closure runs on this thread.
        let (tx, rx) = sync_channel(1);
        let work = move || {
            rx.recv()
                .map_err(io::Error::other)
                .and_then(|first: Box<dyn FnOnce() -> _ + Send>| first())
        };
        match std::thread::Builder::new().spawn_scoped(scope, work) {
            Ok(thread) => {
                let _ = tx.send(Box::new(first) as _);
                let second = second();
                let first = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                Ok((first?, second?))
            }
            Err(_) => Ok((first()?, second()?)),
        }
    })
}

/// Writes the path table. Returns a sorter with the entries whose hash has the same upper half as another entry's hash.
/// The second number of each pair is unused.
pub fn put_paths(paths: PairSorter, head: &mut SegmentHeader, body: &mut SegmentWriter) -> io::Result<PairSorter> {
    let mut hash_twins = PairSorter::new(&body.place());
    let mut previous: Option<(u32, u32)> = None;
    head.path_homes = home_slot_count(paths.len()) as u64;
    head.paths = put_table(paths, body, |hash, entry| {
        let upper_hash = upper(hash);
        let previous = previous.replace((upper_hash, entry));
        if let Some((_, previous_entry)) = previous.filter(|(known, _)| *known == upper_hash) {
            hash_twins.push(u64::from(previous_entry), 0)?;
            hash_twins.push(u64::from(entry), 0)?;
        }
        Ok(())
    })?;
    Ok(hash_twins)
}

/// Writes the table of rating keys. `keys` contains the hash of each rating key, with its item's first entry.
pub fn put_keys(keys: PairSorter, head: &mut SegmentHeader, body: &mut SegmentWriter) -> io::Result<()> {
    head.key_homes = home_slot_count(keys.len()) as u64;
    head.keys = put_table(keys, body, |_, _| Ok(()))?;
    Ok(())
}

/// Sorts pairs of a hash and an entry, and writes them as a hash table. Also calls `each` with every pair in order.
fn put_table(
    pairs: PairSorter,
    body: &mut SegmentWriter,
    mut each: impl FnMut(u64, u32) -> io::Result<()>,
) -> io::Result<SegmentPart> {
    let (begin, mut slots) = (body.position(), HashTableBuilder::new(pairs.len()));
    pairs.for_each_sorted(|hash, entry| {
        each(hash, entry)?;
        slots.put(hash, entry, body)
    })?;
    slots.end(body)?;
    body.end_part(begin, 8)
}

/// Writes the name table, in which lookups find the paths with the same last components, and its directory. `names`
/// contains the hash of each file name, with the entry of its path.
pub fn put_names(names: PairSorter, head: &mut SegmentHeader, body: &mut SegmentWriter) -> io::Result<()> {
    let place = body.place();
    let mut builder = NameTableBuilder::new(names.len(), &place);
    let mut sorted = Spool::new(&place);
    // Among entries with equal hashes, the order depends on all components of the path (`usize::MAX`).
    let mut groups = SuffixGroups::new(&place, |entry, _: &[u32; 2], form: &mut Vec<u8>| {
        record::form_at(body, entry, form).map(|()| usize::MAX)
    });
    let mut write = |[upper_hash, entry]: [u32; 2]| sorted.put(&builder.element(upper_hash, entry)?);
    names.for_each_sorted(|hash, entry| {
        let upper_hash = upper(hash);
        groups.put(upper_hash, entry, [upper_hash, entry], &mut write)
    })?;
    groups.finish(&mut write)?;
    head.names = body.part(&sorted, 8)?;
    head.directory = body.part(&builder.end()?, 4)?;
    Ok(())
}

/// Sets the flag [`TWIN`] in entries whose hash has the same upper half as another entry's hash, so that a lookup of
/// any other entry can stop at the first entry that it finds.
pub fn mark_shared_hashes(hash_twins: PairSorter, body: &mut SegmentWriter) -> io::Result<()> {
    let mut offsets: Vec<usize> = Vec::new();
    hash_twins.for_each_sorted(|entry, _| {
        let offset = usize::try_from(entry).unwrap_or(usize::MAX).saturating_mul(4);
        // One call marks all entries of a block, because each call rewrites the block.
        if offsets.last().is_some_and(|last| offset / BLOCK != last / BLOCK) {
            body.set_bits(&offsets, TWIN)?;
            offsets.clear();
        }
        offsets.push(offset);
        Ok(())
    })?;
    body.set_bits(&offsets, TWIN)
}

/// By what an index finds items or their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKey {
    /// GUIDs and folded titles.
    Text,
    /// The sizes of files.
    Size,
}

impl IndexKey {
    /// Returns what the name of the index file has after that of the segment.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Text => ".index",
            Self::Size => ".sizes",
        }
    }
}

/// An index beside a segment, which the first question that needs it opens or builds.
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
        let head = SegmentHeader::decode(&bytes, &[FileKind::Index]).ok();
        let matching_head = head.filter(|head| head.name_mac == name_mac);
        matching_head.and_then(|head| {
            Some(Self {
                table: HashTable::new(head.keys, head.key_homes),
                file: CheckedBytes::new(bytes, &head).ok()?,
            })
        })
    }

    /// Writes the index to `path`, and opens it through the written file's handle, because another process may evict
    /// the library and remove the file at any moment. `hashes` contains the hashes of all texts or sizes, each with an
    /// entry. `name_mac` identifies the segment.
    pub fn write(hashes: PairSorter, path: &Path, mode: MapMode, name_mac: u64) -> io::Result<Self> {
        let mut body = SegmentWriter::new(path);
        let mut head = SegmentHeader {
            kind: FileKind::Index,
            name_mac,
            ..SegmentHeader::default()
        };
        put_keys(hashes, &mut head, &mut body)?;
        let written = body.finish(&mut head)?;
        let file = written.handle()?;
        let _ = files::remove(path); // the old file is damaged, or belongs to an earlier segment
        written.persist(path)?;
        Self::of(FileBytes::from_file(file, mode)?, name_mac).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Returns the entries with this hash, in listing order, and others whose hashes have the same upper half.
    pub fn find(&self, hash: u64) -> ReadResult<Vec<u32>> {
        let mut entries = Vec::new();
        self.find_each(hash, |entry| {
            entries.push(entry);
            Ok(false)
        })?;
        entries.sort_unstable();
        entries.dedup();
        Ok(entries)
    }

    /// Passes the entries with this hash, and others whose hashes have the same upper half, to `each`, in any order, until
    /// it returns `true`.
    pub fn find_each(&self, hash: u64, each: impl FnMut(u32) -> ReadResult<bool>) -> ReadResult<()> {
        self.table.find(&self.file, hash, each)
    }

    /// Returns the hash of a GUID or of a folded title.
    pub fn hash(text: &str) -> u64 {
        xxh3_64(text.as_bytes())
    }

    /// Returns the hash of a file's size.
    pub fn hash_of_size(size: u64) -> u64 {
        xxh3_64(&size.to_le_bytes())
    }
}
