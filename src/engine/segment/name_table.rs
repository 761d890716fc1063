//! The name table: all listed paths, sorted so that paths with the same last components are adjacent.
//!
//! The sort order is the upper half of a hash of the file name's likeness, then the components, last component first.
//! Components are compared byte by byte, and shorter paths come first. An element contains this half of the hash and the
//! number of the entry. A directory contains the index at which each small range of hashes begins, so a short scan finds
//! a hash. A binary search then compares the components.

use std::cmp::Ordering;
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::checked_bytes::{CheckedBytes, ReadResult, bisect};
use super::hash_table::upper;
use super::layout::{FileKind, SegmentHeader, SegmentPart, u32_at};
use super::record::EntryRef;
use super::spool::Spool;
use crate::matching::{Form, NormalPath};

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
