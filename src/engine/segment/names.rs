//! The name table: all listed paths, ordered so that paths with a common end are neighbours.
//!
//! Paths are sorted by the upper half of the file name's hash, then by their components from the end: byte by byte,
//! shorter paths first. An element has that half of the hash, and the number of the entry. A directory says where the
//! hashes of each small range begin, so a short scan finds a hash. Bisection then compares the components before it.

use std::cmp::Ordering;
use std::io;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::bytes::{CheckedBytes, Read};
use super::layout::{SegmentHead, SegmentPart, u32_at};
use super::record::EntryHead;
use super::spool::Spool;
use super::table::upper;
use crate::matching::{Form, Normal};

/// Elements for each place of the directory.
const STEP: usize = 4;
/// Smaller ranges are scanned, not bisected.
const MAX_SCANNED: usize = 16;
/// Components compared by bisection; longer common ends are found by a scan.
const DEPTH: usize = 32;
/// Distinct items that an answer shows, and one more to detect that there are more.
const ENOUGH: usize = crate::matching::MAX_CANDIDATES + 1;

/// The hash of the last component of a form.
pub fn name_hash(form: &[u8]) -> Option<u64> {
    Form::from_folded(form)
        .rev_components()
        .next()
        .map(|name| xxh3_64(name.bytes()))
}

/// Builds the array and its directory from sorted elements.
pub struct NameTableBuilder {
    count: usize,
    at: usize,
    next: usize,
    directory: Spool,
}

impl NameTableBuilder {
    /// A builder for `count` elements.
    pub fn new(count: usize, place: Option<&Path>) -> Self {
        Self {
            count,
            at: 0,
            next: 0,
            directory: Spool::new(place),
        }
    }

    /// The bytes of the next element.
    pub fn element(&mut self, kept: u32, entry: u32) -> io::Result<[u8; 8]> {
        self.begin_places(place(kept, self.places()))?;
        self.at += 1;
        Ok((u64::from(entry) << 32 | u64::from(kept)).to_le_bytes())
    }

    /// The directory, after the last element.
    pub fn end(mut self) -> io::Result<Spool> {
        self.begin_places(self.places())?;
        Ok(self.directory)
    }

    fn places(&self) -> usize {
        self.count.div_ceil(STEP)
    }

    fn begin_places(&mut self, until: usize) -> io::Result<()> {
        while self.next <= until {
            self.directory.put(&number(self.at).to_le_bytes())?;
            self.next += 1;
        }
        Ok(())
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// Returns the place of a hash in the directory. It may be wrong in a damaged segment; reads check the bounds.
fn place(kept: u32, places: usize) -> usize {
    usize::try_from(u64::from(kept).wrapping_mul(places as u64) >> 32).unwrap_or(0)
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
    /// Components that all its paths share with the searched path.
    components: usize,
}

impl NameRange {
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
    /// The array of this segment.
    pub fn new(head: &SegmentHead) -> Self {
        Self {
            array: head.names,
            directory: head.directory,
        }
    }

    /// Calls `each` with the entries that share the longest end with the searched path, at least `least` components and one.
    /// Leaves out the `hidden` ones, and stops after as many distinct items as an answer shows, nearest next component first.
    /// Returns how many entries were not read.
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
        // Usually the narrowest range is enough. If all of it is hidden, the rest of the next wider one is read.
        let mut seen = 0..0;
        for (index, range) in narrowed.ranges[..narrowed.depth].iter().enumerate().rev() {
            let innermost = index + 1 == narrowed.depth;
            let open = |at: &usize| !seen.contains(at);
            let mut given = GivenItems::default();
            if innermost && range.len() <= MAX_SCANNED {
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
                for (_, at) in common
                    .iter()
                    .zip(range.from..range.to)
                    .filter(|(common, _)| **common == best)
                {
                    given.give(best, &self.entry(file, at)?, &mut each);
                }
            } else if range.components >= least.max(1) {
                // Entries of this range, but of no narrower one, share exactly its components.
                let near = narrowed.near.clamp(range.from, range.to);
                let start = near.saturating_sub(ENOUGH / 2).max(range.from);
                let mut left = range.len() - seen.len();
                for at in (start..range.to).chain((range.from..start).rev()).filter(open) {
                    if given.enough() {
                        return Ok(left);
                    }
                    left -= 1;
                    let entry = self.entry(file, at)?;
                    if !hidden(&entry)? {
                        given.give(range.components, &entry, &mut each);
                    }
                }
            } else {
                return Ok(0);
            }
            if given.count > 0 {
                return Ok(0);
            }
            seen = range.from..range.to;
        }
        Ok(0)
    }

    /// Bisects by one component after the other, until few entries are left or none agrees.
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

    /// The elements of this hash half: all paths with the file name, and possibly others.
    fn same_hash(&self, file: &CheckedBytes, kept: u32) -> Read<(usize, usize)> {
        let places = self.directory.len().saturating_sub(1);
        if places == 0 {
            return Ok((0, 0));
        }
        let place = file.slice(self.directory.byte(place(kept, places), 4), 8)?;
        let (from, to) = (u32_at(place, 0) as usize, u32_at(place, 4) as usize);
        if from > to || to > self.array.len() {
            return Err(file.fail());
        }
        let hash = |at: usize| Ok(u32_at(file.slice(self.array.byte(at, 8), 4)?, 0));
        let from = bisect(from, to, |at| Ok(hash(at)? < kept))?;
        let to = bisect(from, to, |at| Ok(hash(at)? <= kept))?;
        Ok((from, to))
    }

    fn entry<'i>(&self, file: &'i CheckedBytes, at: usize) -> Read<EntryHead<'i>> {
        EntryHead::read(file, u32_at(file.slice(self.array.byte(at, 8), 8)?, 4))
    }
}

/// The part of `from..to` that is equal by `order`, if any. Sets `near` to its beginning, or to where it would begin.
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
    let begin = bisect(from, to, |at| Ok(order(at)?.is_lt()))?;
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
    let end = bisect(known + 1, to.min(known + step), |at| Ok(order(at)?.is_le()))?;
    Ok(Some((begin, end)))
}

/// The first of `from..to` for which `before` does not hold.
fn bisect(mut from: usize, mut to: usize, before: impl Fn(usize) -> Read<bool>) -> Read<usize> {
    while from < to {
        let middle = from + (to - from) / 2;
        if before(middle)? {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    Ok(from)
}

/// The distinct items so far, up to the limit of an answer.
#[derive(Default)]
struct GivenItems {
    items: [u32; ENOUGH],
    count: usize,
}

impl GivenItems {
    fn give<'i>(&mut self, components: usize, entry: &EntryHead<'i>, each: &mut impl FnMut(usize, &EntryHead<'i>)) {
        each(components, entry);
        if !self.items[..self.count.min(ENOUGH)].contains(&entry.target) {
            if let Some(free) = self.items.get_mut(self.count) {
                *free = entry.target;
            }
            self.count += 1;
        }
    }

    fn enough(&self) -> bool {
        self.count >= ENOUGH
    }
}
