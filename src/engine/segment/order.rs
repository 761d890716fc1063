//! The folder order: all paths in the order of their normal forms, so that a folder is one range. The part consists of
//! words of four bytes: a head with four counts, then four arrays.
//!
//! | array | an element |
//! |---|---|
//! | order | an entry: first listed paths, then mapped ones, by bytes, then by entry |
//! | runs | a place in the order where show, season or album changes, and the show from there on (0: none) |
//! | repeats | a place of an item's further file, and the item's place before it |
//! | folders | a folder of listed paths: 24 bits of its name's hash and its depth; and the place where it begins |
//!
//! A range is found by bisection. Its number of items is its length less the repeats within it. Its runs name the
//! shows, so their episodes need not be read. Folders are ordered by hash, then by their components from the end.

use std::cmp::Ordering;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::checked_bytes::{CheckedBytes, Read};
use super::layout::{SegmentHead, SegmentPart, u32_at};
use super::record::{self, EntryHead};
use super::segment_writer::SegmentWriter;
use super::sorter::{KeySorter, PairSorter, SortedNumbers};
use super::spool::{Spool, reserve};
use super::suffix_groups::SuffixGroups;
use crate::matching::Form;

/// Words of the head.
const HEAD: usize = 4;
/// Maximum depth, in components, of a folder that is found by its end.
const MAX_DEPTH: usize = 255;

/// A path of a segment under construction.
#[derive(Clone, Copy)]
pub struct ListedPath {
    pub entry: u32,
    /// The item if it has several files, else 0.
    pub item: u32,
    /// The show, 0 without one.
    pub show: u32,
    /// Distinguishes the show's seasons or albums.
    pub season: u32,
}

impl ListedPath {
    pub fn new(entry: u32, item: u32, show: u32, season: u32) -> Self {
        Self {
            entry,
            item,
            show,
            season,
        }
    }

    /// Returns the numbers to sort with a form. Equal forms are ordered by entry.
    pub fn to_numbers(self) -> SortedNumbers {
        [self.entry, self.item, self.show, self.season]
    }

    fn of([entry, item, show, season]: SortedNumbers) -> Self {
        Self::new(entry, item, show, season)
    }
}

/// Builds the arrays from paths in order.
pub struct FolderOrderBuilder {
    /// Temporary files are created beside this path.
    place: PathBuf,
    order: Spool,
    count: usize,
    runs: Spool,
    /// Items with several files, each with the places of its files: of listed paths, and of mapped ones.
    repeats: [PairSorter; 2],
    /// Folders: a key of the name's hash, the place where the folder begins and its depth; and the entry at that place.
    folders: PairSorter,
    /// The previous path.
    before: Vec<u8>,
    /// The offsets of its separators.
    ends: Vec<usize>,
    /// Show and season of the previous path. A run begins where they change.
    owner: Option<(u32, u32)>,
}

impl FolderOrderBuilder {
    pub fn new(place: &Path) -> Self {
        let pairs = || PairSorter::new(place);
        Self {
            place: place.to_path_buf(),
            order: Spool::new(place),
            count: 0,
            runs: Spool::new(place),
            repeats: [pairs(), pairs()],
            folders: pairs(),
            before: Vec::new(),
            ends: Vec::new(),
            owner: None,
        }
    }

    /// Adds all listed paths, or afterwards all mapped ones.
    pub fn add(&mut self, paths: KeySorter, mapped: bool) -> io::Result<()> {
        self.owner = None;
        paths.sorted(|form, beside| self.put(form, ListedPath::of(beside), mapped))
    }

    /// Adds a path to the arrays. Its form must not be lower than that of the path before.
    fn put(&mut self, form: &[u8], place: ListedPath, mapped: bool) -> io::Result<()> {
        let at = saturating_u32(self.count);
        self.count += 1;
        self.order.put(&place.entry.to_le_bytes())?;
        let own = (place.show, if place.show == 0 { 0 } else { place.season });
        if self.owner.replace(own) != Some(own) {
            put_pair(&mut self.runs, [at, place.show])?;
        }
        if place.item != 0 {
            self.repeats[usize::from(mapped)].push(u64::from(place.item), at)?;
        }
        if mapped {
            return Ok(());
        }
        self.put_new_folders(form, at, place.entry)?;
        self.before.clear();
        reserve(&mut self.before, form.len())?;
        self.before.extend_from_slice(form);
        Ok(())
    }

    /// Adds the folders of a listed path that do not contain the previous path.
    fn put_new_folders(&mut self, form: &[u8], at: u32, entry: u32) -> io::Result<()> {
        let common = common_prefix(form, &self.before);
        self.ends.truncate(self.ends.partition_point(|end| *end < common));
        self.ends.extend((common..form.len()).filter(|at| form[*at] == b'/'));
        let (mut begin, mut depth) = (0, 0);
        for end in self.ends.iter().copied() {
            if end > begin {
                depth += 1;
                // The previous path lies below this folder too if it begins with the folder and the separator.
                if end >= common && depth <= MAX_DEPTH {
                    let name = u64::from(folder_word(&form[begin..end], depth));
                    let key = (name & !255) << 32 | u64::from(at) << 8 | name & 255;
                    self.folders.push(key, entry)?;
                }
            }
            begin = end + 1;
        }
        Ok(())
    }

    /// Writes the part; `body` has the entries.
    pub fn finish(self, body: &mut SegmentWriter) -> io::Result<SegmentPart> {
        let place = self.place.as_path();
        let mut repeats = PairSorter::new(place);
        for side in self.repeats {
            let mut before = None;
            side.sorted(|item, at| {
                if let Some((_, before)) = before.replace((item, at)).filter(|(known, _)| *known == item) {
                    repeats.push(u64::from(at), before)?;
                }
                Ok(())
            })?;
        }
        let (begin, folders) = (body.position(), self.folders.len());
        let runs = usize::try_from(self.runs.len() / 8).unwrap_or(usize::MAX);
        for count in [self.count, runs, repeats.len(), folders] {
            body.put(&saturating_u32(count).to_le_bytes())?;
        }
        self.order.all(|bytes| body.put(bytes))?;
        self.runs.all(|bytes| body.put(bytes))?;
        repeats.sorted(|at, before| {
            body.put(&low_half(at).to_le_bytes())?;
            body.put(&before.to_le_bytes())
        })?;
        // Folders of the same hash are ordered by their components, read from their forms.
        let mut sorted = Spool::new(place);
        let mut groups = SuffixGroups::new(place, |entry, folder: &[u32; 2], form: &mut Vec<u8>| {
            record::form_at(body, entry, form)?;
            Ok(depth_of(folder[0]))
        });
        let mut write = |[name, at]: [u32; 2]| put_pair(&mut sorted, [name, at]);
        self.folders.sorted(|key, entry| {
            let folder = [
                low_half(key >> 40) << 8 | low_half(key & 255),
                low_half(key >> 8 & 0xFFFF_FFFF),
            ];
            groups.put(folder[0] >> 8, entry, folder, &mut write)
        })?;
        groups.end(&mut write)?;
        sorted.all(|bytes| body.put(bytes))?;
        body.end_part(begin, 4)
    }
}

/// Returns the length of the common prefix of two paths.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    let eights = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let same = 8 * eights.take_while(|(a, b)| a == b).count();
    same + a[same..].iter().zip(&b[same..]).take_while(|(a, b)| a == b).count()
}

fn put_pair(spool: &mut Spool, [first, second]: [u32; 2]) -> io::Result<()> {
    spool.put(&(u64::from(second) << 32 | u64::from(first)).to_le_bytes())
}

fn low_half(number: u64) -> u32 {
    u32::try_from(number & 0xFFFF_FFFF).unwrap_or(u32::MAX)
}

fn saturating_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Returns the stored word of a folder: part of its name's hash, and its depth.
fn folder_word(name: &[u8], depth: usize) -> u32 {
    let depth = u32::try_from(depth).unwrap_or(u32::MAX).min(255);
    super::hash_table::upper(xxh3_64(name)) & !255 | depth
}

/// Returns the depth in a word that [`folder_word`] made.
fn depth_of(folder_word: u32) -> usize {
    (folder_word & 255) as usize
}

/// Reads the folder order of a segment.
#[derive(Clone, Copy, Debug)]
pub struct FolderOrder {
    part: SegmentPart,
    listed: usize,
}

/// First word and length of each array.
struct ArrayOffsets {
    order: usize,
    runs: (usize, usize),
    repeats: (usize, usize),
    folders: (usize, usize),
}

impl FolderOrder {
    pub fn new(head: &SegmentHead) -> Self {
        Self {
            part: head.order,
            listed: usize::try_from(head.parts).unwrap_or(usize::MAX),
        }
    }

    /// Reads `count` words of the part from the word `at` on.
    fn words<'i>(&self, file: &'i CheckedBytes, at: usize, count: usize) -> Read<&'i [u8]> {
        if at.checked_add(count).is_none_or(|end| end > self.part.len()) {
            return Err(file.fail());
        }
        file.slice(self.part.byte(at, 4), count * 4)
    }

    /// Reads the element with the index `at` of an array whose elements have two words.
    fn pair(&self, file: &CheckedBytes, array: (usize, usize), at: usize) -> Read<[usize; 2]> {
        let pair = self.words(file, array.0 + 2 * at, 2)?;
        Ok([u32_at(pair, 0) as usize, u32_at(pair, 4) as usize])
    }

    /// Reads the head: the first word and the number of elements of each array. Elements of `order` have one word;
    /// those of the other arrays have two. `None` for a segment without paths.
    fn arrays(&self, file: &CheckedBytes) -> Read<Option<ArrayOffsets>> {
        if self.part.len() == 0 {
            return Ok(None);
        }
        let head = self.words(file, 0, HEAD)?;
        let counts = [0, 4, 8, 12].map(|at| u32_at(head, at));
        // Checked first, since the offsets of a damaged head need not fit into 32 bits.
        let [order, pairs @ ..] = counts.map(u64::from);
        let end = HEAD as u64 + order + 2 * pairs.iter().sum::<u64>();
        if end != self.part.len() as u64 || self.listed as u64 > order {
            return Err(file.fail());
        }
        let [order, runs, repeats, folders] = counts.map(|count| count as usize);
        let (runs, repeats) = ((HEAD + order, runs), (HEAD + order + 2 * runs, repeats));
        let folders = (repeats.0 + 2 * repeats.1, folders);
        Ok(Some(ArrayOffsets {
            order,
            runs,
            repeats,
            folders,
        }))
    }

    /// Returns the number of the entry at a place of the order.
    pub fn entry(&self, file: &CheckedBytes, place: usize) -> Read<u32> {
        Ok(u32_at(self.words(file, HEAD + place, 1)?, 0))
    }

    fn form<'i>(&self, file: &'i CheckedBytes, place: usize) -> Read<Form<'i>> {
        Ok(EntryHead::read(file, self.entry(file, place)?)?.form())
    }

    /// Returns all places of listed paths, or of mapped ones.
    pub fn all(&self, file: &CheckedBytes, mapped: bool) -> Read<Range<usize>> {
        let Some(arrays) = self.arrays(file)? else {
            return Ok(0..0);
        };
        Ok(if mapped {
            self.listed..arrays.order
        } else {
            0..self.listed
        })
    }

    /// Returns the places below a folder. The folder is in normal form, without trailing separator.
    pub fn below(&self, file: &CheckedBytes, folder: &[u8], mapped: bool) -> Read<Range<usize>> {
        let all = self.all(file, mapped)?;
        let order = |at: usize, same: usize| Ok(self.form(file, at)?.compare_to_folder(folder, same));
        // All paths of a range share the prefix that its two ends share with the folder.
        let (mut from, mut behind) = (all.start, all.end);
        let (mut before_same, mut behind_same) = (0, 0);
        // The end lies after the last place known to be below the folder, and not after the first known to follow it.
        let (mut last, mut end, mut end_same) = (None, all.end, 0);
        while from < behind {
            let middle = from + (behind - from) / 2;
            let (order, same) = order(middle, before_same.min(behind_same))?;
            match order {
                Ordering::Less => (from, before_same) = (middle + 1, same),
                Ordering::Equal => {
                    (behind, behind_same) = (middle, same);
                    last = last.max(Some(middle));
                }
                Ordering::Greater => (behind, behind_same, end, end_same) = (middle, same, middle, same),
            }
        }
        let Some(last) = last else {
            return Ok(from..from);
        };
        let end = bisect(last + 1..end, |at| Ok(order(at, end_same)?.0.is_eq()))?;
        Ok(from..end)
    }

    /// Returns the first place whose form is greater than `form`.
    pub fn first_after(&self, file: &CheckedBytes, within: Range<usize>, form: &[u8]) -> Read<usize> {
        let form = Form::from_folded(form);
        bisect(within, |at| Ok(self.form(file, at)?.compare(form, 0).is_le()))
    }

    /// Returns where `entry`, whose form is `form`, stands in this order; `None` if it is not in `within`.
    pub fn place_of(
        &self,
        file: &CheckedBytes,
        within: Range<usize>,
        form: Form<'_>,
        entry: u32,
    ) -> Read<Option<usize>> {
        let before = |at: usize| {
            let own = self.entry(file, at)?;
            let order = EntryHead::read(file, own)?.form().compare(form, 0);
            Ok(order.then(own.cmp(&entry)).is_lt())
        };
        let at = bisect(within.clone(), before)?;
        Ok((at < within.end && self.entry(file, at)? == entry).then_some(at))
    }

    /// Calls `each` with the runs within a non-empty range: the places of the run within the range, and its show.
    pub fn runs(
        &self,
        file: &CheckedBytes,
        within: &Range<usize>,
        mut each: impl FnMut(Range<usize>, u32) -> Read<ControlFlow<()>>,
    ) -> Read<()> {
        let Some(arrays) = self.arrays(file)? else {
            return Ok(());
        };
        let start = |at: usize| Ok(self.pair(file, arrays.runs, at)?[0]);
        let behind = bisect(0..arrays.runs.1, |at| Ok(start(at)? <= within.start))?;
        let exists = |at: usize| at < arrays.runs.1;
        let run_at = |at: usize| exists(at).then(|| self.pair(file, arrays.runs, at)).transpose();
        let mut at = behind.saturating_sub(1);
        let mut next = run_at(at)?;
        while let Some([begin, show]) = next
            && begin < within.end
        {
            at += 1;
            next = run_at(at)?;
            let end = next.map_or(arrays.order, |[begin, _]| begin);
            let run = begin.max(within.start)..end.min(within.end);
            if run.is_empty() || end <= begin {
                return Err(file.fail());
            }
            if each(run, saturating_u32(show))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Returns the places in `part` whose item has another place before, at `first` or later.
    pub fn repeats(&self, file: &CheckedBytes, part: &Range<usize>, first: usize) -> Read<Vec<usize>> {
        let mut found = Vec::new();
        let Some(arrays) = self.arrays(file)? else {
            return Ok(found);
        };
        let begin = bisect(0..arrays.repeats.1, |at| {
            Ok(self.pair(file, arrays.repeats, at)?[0] < part.start)
        })?;
        for at in begin..arrays.repeats.1 {
            let [place, before] = self.pair(file, arrays.repeats, at)?;
            if place >= part.end {
                break;
            }
            if before >= first {
                found.push(place);
            }
        }
        Ok(found)
    }

    /// Finds the folders with the most last components in common with `folder`, at least `least`, that `is_live`
    /// accepts. Calls `each` for at most `most` of them, with the number of common components. Returns their number.
    pub fn suffix_matches(
        &self,
        file: &CheckedBytes,
        folder: Form<'_>,
        least: usize,
        most: usize,
        mut is_live: impl FnMut(&[u8]) -> Read<bool>,
        mut each: impl FnMut(usize, Vec<u8>),
    ) -> Read<usize> {
        let (Some(arrays), Some(name)) = (self.arrays(file)?, folder.rev_components().next()) else {
            return Ok(0);
        };
        let wanted = folder_word(&name.folded().collect::<Vec<u8>>(), 0) >> 8;
        let hash = |at: usize| Ok(saturating_u32(self.pair(file, arrays.folders, at)?[0]) >> 8);
        let from = bisect(0..arrays.folders.1, |at| Ok(hash(at)? < wanted))?;
        let to = bisect(from..arrays.folders.1, |at| Ok(hash(at)? == wanted))?;
        // Nested ranges: each shares one more component.
        let outermost = from..to;
        let mut ranges = vec![outermost];
        for component in folder.rev_components() {
            let outer = ranges[ranges.len() - 1].clone();
            let depth = ranges.len() - 1;
            let order = |at: usize| {
                let (form, count) = self.folder(file, &arrays, at)?;
                let own = form
                    .rev_components()
                    .skip(form.rev_components().count() - count)
                    .nth(depth);
                Ok(own.map_or(Ordering::Less, |own| own.compare(component)))
            };
            let from = bisect(outer.clone(), |at| Ok(order(at)?.is_lt()))?;
            let to = bisect(from..outer.end, |at| Ok(order(at)?.is_eq()))?;
            if from == to {
                break;
            }
            ranges.push(from..to);
        }
        let mut seen = 0..0;
        for (common, range) in ranges.iter().enumerate().skip(least.max(1)).rev() {
            let mut count = 0;
            for at in range.clone().filter(|at| !seen.contains(at)) {
                if count == most {
                    // The rest shares as many components; it is counted without calling `is_live`.
                    return Ok(range.len() - seen.len());
                }
                let (form, depth) = self.folder(file, &arrays, at)?;
                let form = form.leading_components(depth);
                if is_live(&form)? {
                    each(common, form);
                    count += 1;
                }
            }
            if count > 0 {
                return Ok(count);
            }
            seen = range.clone();
        }
        Ok(0)
    }

    /// Returns the form of the first path in the folder with the index `at`, and the folder's number of components.
    fn folder<'i>(&self, file: &'i CheckedBytes, arrays: &ArrayOffsets, at: usize) -> Read<(Form<'i>, usize)> {
        let [name, place] = self.pair(file, arrays.folders, at)?;
        if place >= self.listed {
            return Err(file.fail());
        }
        let (form, depth) = (self.form(file, place)?, depth_of(saturating_u32(name)));
        if form.rev_components().count() < depth {
            return Err(file.fail());
        }
        Ok((form, depth))
    }
}

/// Returns the first number in `within` for which `before` is false, if `before` is true for all numbers below it.
pub fn bisect(mut within: Range<usize>, before: impl Fn(usize) -> Read<bool>) -> Read<usize> {
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
