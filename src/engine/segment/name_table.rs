//! The name table: all listed paths, ordered so that paths with a common end are neighbours.
//!
//! Paths are sorted by the upper half of the file name's hash, then by their components from the end: byte by byte,
//! shorter paths first. An element has that half of the hash and the number of the entry. A directory has the index at
//! which each small range of hashes begins, so a short scan finds a hash. Bisection then compares the components before
//! the file name.

use std::cmp::Ordering;
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::checked_bytes::{CheckedBytes, Read};
use super::hash_table::upper;
use super::layout::{SegmentHead, SegmentPart, u32_at};
use super::order::bisect;
use super::record::EntryHead;
use super::spool::Spool;
use crate::matching::{Form, Normal};

/// Elements per range of hashes in the directory.
const RANGE_ELEMENTS: usize = 4;
/// Ranges of at most this length are scanned, not bisected.
const MAX_SCANNED: usize = 16;
/// Maximum number of components that a bisection compares; a scan finds longer common ends.
const DEPTH: usize = 32;
/// One more than the number of distinct items that an answer shows, to detect that there are more.
const ENOUGH: usize = crate::matching::MAX_CANDIDATES + 1;

/// Returns the hash of the file name of a path, which is the last component of its normal form.
pub fn name_hash(form: &[u8]) -> Option<u64> {
    Form::from_folded(form)
        .rev_components()
        .next()
        .map(|name| xxh3_64(name.bytes()))
}

/// Builds the array and its directory from sorted elements.
pub struct NameTableBuilder {
    count: usize,
    /// Elements so far.
    at: usize,
    /// The next range of the directory.
    next: usize,
    directory: Spool,
}

impl NameTableBuilder {
    /// Creates a builder for `count` elements. `place`: a path beside which it creates a temporary file.
    pub fn new(count: usize, place: &Path) -> Self {
        Self {
            count,
            at: 0,
            next: 0,
            directory: Spool::new(place),
        }
    }

    /// Returns the bytes of the next element, and adds the range of its hash to the directory.
    pub fn element(&mut self, upper_hash: u32, entry: u32) -> io::Result<[u8; 8]> {
        self.begin_ranges(range_of(upper_hash, self.ranges()))?;
        self.at += 1;
        Ok((u64::from(entry) << 32 | u64::from(upper_hash)).to_le_bytes())
    }

    /// Returns the directory. Call this after the last element.
    pub fn end(mut self) -> io::Result<Spool> {
        self.begin_ranges(self.ranges())?;
        Ok(self.directory)
    }

    /// Returns the number of ranges in the directory.
    fn ranges(&self) -> usize {
        self.count.div_ceil(RANGE_ELEMENTS)
    }

    /// Adds the ranges up to `until` to the directory: they begin with the next element.
    fn begin_ranges(&mut self, until: usize) -> io::Result<()> {
        while self.next <= until {
            self.directory.put(&number(self.at).to_le_bytes())?;
            self.next += 1;
        }
        Ok(())
    }
}

/// Converts an index to a stored number.
fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Returns the range of the directory that a hash belongs to. In a damaged segment the range may be wrong, so reads
/// check the bounds.
fn range_of(upper_hash: u32, ranges: usize) -> usize {
    usize::try_from(u64::from(upper_hash).wrapping_mul(ranges as u64) >> 32).unwrap_or(0)
}

/// Reads the name table of a segment.
#[derive(Clone, Copy, Debug)]
pub struct NameTable {
    array: SegmentPart,
    directory: SegmentPart,
}

/// A range of paths with a common end.
#[derive(Clone, Copy)]
struct NameRange {
    from: usize,
    to: usize,
    /// Number of last components that all paths of the range share with the searched path.
    components: usize,
}

impl NameRange {
    /// Returns the number of elements in the range.
    fn len(self) -> usize {
        self.to - self.from
    }
}

/// Nested ranges around the searched path, and its position in the last one.
struct NarrowedRange {
    ranges: [NameRange; DEPTH],
    depth: usize,
    near: usize,
}

impl NameTable {
    /// Creates a reader of the name table of a segment with this head.
    pub fn new(head: &SegmentHead) -> Self {
        Self {
            array: head.names,
            directory: head.directory,
        }
    }

    /// Calls `each` with the entries that share the longest end with the searched path: at least `least` components,
    /// and at least one. Leaves out `hidden` entries. Stops after as many distinct items as an answer shows; entries
    /// near the searched path come first. Returns how many entries were not read.
    pub fn suffix_matches<'i>(
        &self,
        file: &'i CheckedBytes,
        path: &Normal<'_>,
        least: usize,
        hidden: impl Fn(&EntryHead<'i>) -> Read<bool>,
        mut each: impl FnMut(usize, &EntryHead<'i>),
    ) -> Read<usize> {
        let form = Form::from_folded(path.form());
        let Some(narrowed) = self.narrow(file, form)? else {
            return Ok(0);
        };
        // Usually the narrowest range is enough. If all its entries are hidden, the rest of the next wider range is
        // read.
        let mut seen = 0..0;
        for (index, range) in narrowed.ranges[..narrowed.depth].iter().enumerate().rev() {
            let innermost = index + 1 == narrowed.depth;
            let is_unseen = |at: &usize| !seen.contains(at);
            let mut reported = ReportedItems::new(&mut each);
            if innermost && range.len() <= MAX_SCANNED {
                self.report_longest(file, *range, form, least, &hidden, &mut reported)?;
            } else if range.components >= least.max(1) {
                // An entry in this range that is in no narrower range shares exactly `range.components` last components
                // with the path.
                let near = narrowed.near.clamp(range.from, range.to);
                let start = near.saturating_sub(ENOUGH / 2).max(range.from);
                let mut unread = range.len() - seen.len();
                for at in (start..range.to).chain((range.from..start).rev()).filter(is_unseen) {
                    if reported.is_full() {
                        return Ok(unread);
                    }
                    unread -= 1;
                    let entry = self.entry(file, at)?;
                    if !hidden(&entry)? {
                        reported.report(range.components, &entry);
                    }
                }
            } else {
                return Ok(0);
            }
            if reported.count > 0 {
                return Ok(0);
            }
            seen = range.from..range.to;
        }
        Ok(0)
    }

    /// Scans a short range of the name table. Reports the entries whose paths have the most last components in common
    /// with `form`, at least `least`, and that are not hidden.
    fn report_longest<'i, E: FnMut(usize, &EntryHead<'i>)>(
        &self,
        file: &'i CheckedBytes,
        range: NameRange,
        form: Form<'_>,
        least: usize,
        hidden: &impl Fn(&EntryHead<'i>) -> Read<bool>,
        reported: &mut ReportedItems<E>,
    ) -> Read<()> {
        let mut best = least.max(1);
        let mut common = [0; MAX_SCANNED];
        for (common, at) in common.iter_mut().zip(range.from..range.to) {
            let entry = self.entry(file, at)?;
            let own = entry.form().common_components(form);
            if own >= best && !hidden(&entry)? {
                best = own;
                *common = own;
            }
        }
        let all = common.iter().zip(range.from..range.to);
        for (_, at) in all.filter(|(common, _)| **common == best) {
            reported.report(best, &self.entry(file, at)?);
        }
        Ok(())
    }

    /// Returns nested ranges around the searched path, each of paths that share one more component with it, until few
    /// entries are left or none has the next component. `None` if no path has this file name.
    fn narrow(&self, file: &CheckedBytes, form: Form<'_>) -> Read<Option<NarrowedRange>> {
        let Some(name) = form.rev_components().next() else {
            return Ok(None);
        };
        let (from, to) = self.same_hash(file, upper(xxh3_64(name.bytes())))?;
        if from == to {
            return Ok(None);
        }
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
        for component in form.rev_components().take(DEPTH - 1) {
            let outer = narrowed.ranges[narrowed.depth - 1];
            if outer.len() <= MAX_SCANNED {
                break;
            }
            let order = |at: usize| {
                let entry = self.entry(file, at)?;
                let own = entry.form().rev_components().nth(outer.components);
                Ok(own.map_or(Ordering::Less, |own| own.compare(component)))
            };
            let Some((from, to)) = equal(outer.from, outer.to, order, &mut narrowed.near)? else {
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

    /// Returns the range of elements with this upper half of a hash: all paths with the file name, and possibly others.
    fn same_hash(&self, file: &CheckedBytes, upper_hash: u32) -> Read<(usize, usize)> {
        let ranges = self.directory.len().saturating_sub(1);
        if ranges == 0 {
            return Ok((0, 0));
        }
        let bounds = file.slice(self.directory.byte(range_of(upper_hash, ranges), 4), 8)?;
        let (from, to) = (u32_at(bounds, 0) as usize, u32_at(bounds, 4) as usize);
        if from > to || to > self.array.len() {
            return Err(file.fail());
        }
        let hash = |at: usize| Ok(u32_at(file.slice(self.array.byte(at, 8), 4)?, 0));
        let from = bisect(from..to, |at| Ok(hash(at)? < upper_hash))?;
        let to = bisect(from..to, |at| Ok(hash(at)? <= upper_hash))?;
        Ok((from, to))
    }

    /// Reads the entry of the element with this index.
    fn entry<'i>(&self, file: &'i CheckedBytes, at: usize) -> Read<EntryHead<'i>> {
        EntryHead::read(file, u32_at(file.slice(self.array.byte(at, 8), 8)?, 4))
    }
}

/// Returns the part of `from..to` that is equal by `order`, if any. Sets `near` to its beginning, or to where it would
/// begin.
fn equal(
    from: usize,
    to: usize,
    order: impl Fn(usize) -> Read<Ordering>,
    near: &mut usize,
) -> Read<Option<(usize, usize)>> {
    // Often the whole range matches: equal file names are in equally named folders.
    if order(from)?.is_eq() && order(to - 1)?.is_eq() {
        *near = from;
        return Ok(Some((from, to)));
    }
    let begin = bisect(from..to, |at| Ok(order(at)?.is_lt()))?;
    *near = begin;
    if begin == to || order(begin)?.is_ne() {
        return Ok(None);
    }
    // The end is usually near: doubling steps find it with few reads.
    let mut known = begin;
    let mut step = 1;
    while known + step < to && order(known + step)?.is_eq() {
        known += step;
        step *= 2;
    }
    let end = bisect(known + 1..to.min(known + step), |at| Ok(order(at)?.is_le()))?;
    Ok(Some((begin, end)))
}

/// Reports entries to `each`, and counts their distinct items up to the limit of an answer.
struct ReportedItems<E> {
    items: [u32; ENOUGH],
    count: usize,
    each: E,
}

impl<E> ReportedItems<E> {
    fn new(each: E) -> Self {
        Self {
            items: [0; ENOUGH],
            count: 0,
            each,
        }
    }

    /// Reports an entry, and counts its item if it is new.
    fn report<'i>(&mut self, components: usize, entry: &EntryHead<'i>)
    where
        E: FnMut(usize, &EntryHead<'i>),
    {
        (self.each)(components, entry);
        if !self.items[..self.count.min(ENOUGH)].contains(&entry.target) {
            if let Some(free) = self.items.get_mut(self.count) {
                *free = entry.target;
            }
            self.count += 1;
        }
    }

    /// Returns whether as many distinct items were reported as an answer shows.
    fn is_full(&self) -> bool {
        self.count >= ENOUGH
    }
}
