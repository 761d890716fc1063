//! The folder order: all paths, sorted by normal form, so that the paths below a folder are one range. The part
//! consists of words of four bytes: a header with four counts, then four arrays.
//!
//! | array | element |
//! |---|---|
//! | order | an entry: first listed paths, then mapped paths, both sorted by normal form, then by entry |
//! | runs | a run has adjacent paths of one season or album, or without a show: its first position; its show, or 0 |
//! | repeats | the position of a further file of an item, and the item's previous position |
//! | folders | a folder of listed paths: 24 bits of its name's hash and its depth; and the position of its first path |
//!
//! A binary search finds a folder's range. A range has as many items as positions that are not repeats. Readers take
//! shows from runs, without reading episodes. Folders are sorted by hash, then by components, last one first.

use std::cmp::Ordering;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::layout::{
    CheckedBytes, ReadResult, SegmentHeader, SegmentPart, SegmentWriter, Spool, bisect, reserve, u32_at,
};
use super::record::{self, EntryRef};
use super::sorter::{KeySorter, PairSorter, SortedNumbers, SuffixGroups};
use crate::matching::Form;

const HEAD: usize = 4; // words in the part's header
/// Maximum depth of a folder that [`FolderOrder::suffix_matches`] can find, in components.
const MAX_DEPTH: usize = 255;

/// A path of the segment under construction.
#[derive(Clone, Copy)]
pub struct IndexedPath {
    pub entry: u32,
    /// The first entry of the item if it has several files; otherwise 0.
    pub item: u32,
    /// The number of the show's record, or of the season's if the show has no key; 0 for none.
    pub show: u32,
    /// A number that distinguishes the seasons or albums of a show.
    pub season: u32,
}

impl IndexedPath {
    /// Returns the numbers for the sorter. The entry comes first and so orders paths with equal normal forms.
    pub fn to_numbers(self) -> SortedNumbers {
        [self.entry, self.item, self.show, self.season]
    }

    fn of([entry, item, show, season]: SortedNumbers) -> Self {
        Self {
            entry,
            item,
            show,
            season,
        }
    }
}

pub struct FolderOrderBuilder {
    place: PathBuf,
    order: Spool,
    count: usize,
    runs: Spool,
    /// Items with several files, each with the position of a file; separate for listed and mapped paths.
    repeats: [PairSorter; 2],
    /// Folders, each as a key (name hash, position of the first path, and depth) and the entry of this path.
    folders: PairSorter,
    previous_form: Vec<u8>,
    separators: Vec<usize>,
    /// The show and season of the previous path. A change of show or season begins a new run.
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
            previous_form: Vec::new(),
            separators: Vec::new(),
            owner: None,
        }
    }

    /// Adds all mapped paths if `mapped` is true, otherwise all listed paths. The caller adds the listed paths first.
    pub fn add(&mut self, paths: KeySorter, mapped: bool) -> io::Result<()> {
        self.owner = None;
        paths.for_each_sorted(|form, numbers| self.put(form, IndexedPath::of(numbers), mapped))
    }

    /// Adds a path to the order, the runs and the repeats; and, if the path is listed (not `mapped`), its folders. The
    /// listed paths come first. Listed paths and mapped paths each come in ascending order of their normal forms.
    fn put(&mut self, form: &[u8], path: IndexedPath, mapped: bool) -> io::Result<()> {
        let position = saturating_u32(self.count);
        self.count += 1;
        self.order.put(&path.entry.to_le_bytes())?;
        let show_and_season = (path.show, if path.show == 0 { 0 } else { path.season });
        if self.owner.replace(show_and_season) != Some(show_and_season) {
            put_pair(&mut self.runs, [position, path.show])?;
        }
        if path.item != 0 {
            self.repeats[usize::from(mapped)].push(u64::from(path.item), position)?;
        }
        if mapped {
            return Ok(()); // searches by last components find only listed folders
        }
        self.put_new_folders(form, position, path.entry)?;
        self.previous_form.clear();
        reserve(&mut self.previous_form, form.len())?;
        self.previous_form.extend_from_slice(form);
        Ok(())
    }

    /// Adds the folders of the listed path at the position `at`, except those that also contain the previous path.
    fn put_new_folders(&mut self, form: &[u8], at: u32, entry: u32) -> io::Result<()> {
        let common = common_prefix(form, &self.previous_form);
        self.separators
            .truncate(self.separators.partition_point(|end| *end < common));
        self.separators
            .extend((common..form.len()).filter(|end| form[*end] == b'/'));
        let (mut begin, mut depth) = (0, 0);
        for end in self.separators.iter().copied() {
            if end > begin {
                depth += 1;
                // If the common prefix includes this separator, the folder also contains the previous path.
                if end >= common && depth <= MAX_DEPTH {
                    let word = u64::from(folder_word(&form[begin..end], depth));
                    // 24 bits of the name's hash, 32 of the position, 8 of the depth: sorted by hash, then position.
                    let key = (word & !255) << 32 | u64::from(at) << 8 | word & 255;
                    self.folders.push(key, entry)?;
                }
            }
            begin = end + 1;
        }
        Ok(())
    }

    /// Writes the part to `body`: the four counts, the order, the runs, the repeats and the sorted folders. Returns the
    /// part's position and length. Reads paths' normal forms from the entries, which `body` already contains.
    pub fn finish(self, body: &mut SegmentWriter) -> io::Result<SegmentPart> {
        let place = self.place.as_path();
        let mut repeats = PairSorter::new(place);
        for positions_by_item in self.repeats {
            let mut previous = None;
            positions_by_item.for_each_sorted(|item, position| {
                if let Some((_, previous)) = previous.replace((item, position)).filter(|(known, _)| *known == item) {
                    repeats.push(u64::from(position), previous)?;
                }
                Ok(())
            })?;
        }
        let (begin, folder_count) = (body.position(), self.folders.len());
        let run_count = usize::try_from(self.runs.len() / 8).unwrap_or(usize::MAX); // eight bytes each
        for count in [self.count, run_count, repeats.len(), folder_count] {
            body.put(&saturating_u32(count).to_le_bytes())?;
        }
        self.order.for_each_chunk(|bytes| body.put(bytes))?;
        self.runs.for_each_chunk(|bytes| body.put(bytes))?;
        repeats.for_each_sorted(|position, previous| {
            body.put(&low_half(position).to_le_bytes())?;
            body.put(&previous.to_le_bytes())
        })?;
        let mut sorted_folders = Spool::new(place);
        // Among folders with equal hashes, the order depends on a folder's components, the first ones of the path.
        let mut groups = SuffixGroups::new(place, |entry, folder: &[u32; 2], form: &mut Vec<u8>| {
            record::form_at(body, entry, form)?;
            Ok(depth_of(folder[0]))
        });
        let mut write = |[word, position]: [u32; 2]| put_pair(&mut sorted_folders, [word, position]);
        self.folders.for_each_sorted(|key, entry| {
            // Unpack the key: hash and depth in one word, and the position.
            let folder = [
                low_half(key >> 40) << 8 | low_half(key & 255),
                low_half(key >> 8 & 0xFFFF_FFFF),
            ];
            groups.put(folder[0] >> 8, entry, folder, &mut write) // grouped by 24 bits of the hash
        })?;
        groups.finish(&mut write)?;
        sorted_folders.for_each_chunk(|bytes| body.put(bytes))?;
        body.end_part(begin, 4) // the length is in words of four bytes
    }
}

/// Returns the length of two paths' common prefix in bytes.
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

/// Returns the stored word for a folder: 24 bits of its name's hash, and eight bits of its depth in components.
fn folder_word(name: &[u8], depth: usize) -> u32 {
    let depth = u32::try_from(depth).unwrap_or(u32::MAX).min(255);
    super::name_table::upper(xxh3_64(name)) & !255 | depth
}

fn depth_of(folder_word: u32) -> usize {
    (folder_word & 255) as usize
}

#[derive(Clone, Copy, Debug)]
pub struct FolderOrder {
    part: SegmentPart,
    listed: usize,
}

/// Each array's position, in 32-bit words, and its length; for `order`, which follows the header, only the length.
struct ArrayRanges {
    order: usize,
    runs: (usize, usize),
    repeats: (usize, usize),
    folders: (usize, usize),
}

impl FolderOrder {
    pub fn new(head: &SegmentHeader) -> Self {
        Self {
            part: head.order,
            listed: usize::try_from(head.listed_paths).unwrap_or(usize::MAX),
        }
    }

    /// Returns `count` words (of 32 bits) of the part, starting at the word `at`.
    fn words<'i>(&self, file: &'i CheckedBytes, at: usize, count: usize) -> ReadResult<&'i [u8]> {
        if at.checked_add(count).is_none_or(|end| end > self.part.len()) {
            return Err(file.mark_damaged());
        }
        file.slice(self.part.element_offset(at, 4), count * 4)
    }

    /// Returns element `at` of an array whose elements have two words. `array`: position and length.
    fn pair(&self, file: &CheckedBytes, array: (usize, usize), at: usize) -> ReadResult<[usize; 2]> {
        let pair = self.words(file, array.0 + 2 * at, 2)?;
        Ok([u32_at(pair, 0) as usize, u32_at(pair, 4) as usize])
    }

    /// Finds the arrays from the counts in the header; returns `None` if the segment contains no paths.
    fn locate_arrays(&self, file: &CheckedBytes) -> ReadResult<Option<ArrayRanges>> {
        if self.part.len() == 0 {
            return Ok(None);
        }
        let head = self.words(file, 0, HEAD)?;
        let counts = [0, 4, 8, 12].map(|at| u32_at(head, at));
        // Check the counts as 64-bit numbers first: in a damaged header, their sum may exceed 32 bits.
        let [order, pairs @ ..] = counts.map(u64::from);
        let end = HEAD as u64 + order + 2 * pairs.iter().sum::<u64>();
        if end != self.part.len() as u64 || self.listed as u64 > order {
            return Err(file.mark_damaged());
        }
        let [order, runs, repeats, folders] = counts.map(|count| count as usize);
        let (runs, repeats) = ((HEAD + order, runs), (HEAD + order + 2 * runs, repeats));
        let folders = (repeats.0 + 2 * repeats.1, folders);
        Ok(Some(ArrayRanges {
            order,
            runs,
            repeats,
            folders,
        }))
    }

    /// Returns the number of the entry at a position in the order.
    pub fn entry(&self, file: &CheckedBytes, position: usize) -> ReadResult<u32> {
        Ok(u32_at(self.words(file, HEAD + position, 1)?, 0))
    }

    fn form<'i>(&self, file: &'i CheckedBytes, position: usize) -> ReadResult<Form<'i>> {
        Ok(EntryRef::read(file, self.entry(file, position)?)?.form())
    }

    /// Returns the positions below a folder, among the mapped paths if `mapped` is true, otherwise among the listed
    /// paths. `folder` is in normal form, without a trailing separator.
    pub fn below(&self, file: &CheckedBytes, folder: &[u8], mapped: bool) -> ReadResult<Range<usize>> {
        let Some(arrays) = self.locate_arrays(file)? else {
            return Ok(0..0);
        };
        let all = if mapped {
            self.listed..arrays.order
        } else {
            0..self.listed
        };
        let compare = |position: usize, equal: usize| Ok(self.form(file, position)?.compare_to_folder(folder, equal));
        // Comparisons skip the prefix that both ends of the range, and so all paths in it, share with the folder.
        let (mut from, mut behind) = (all.start, all.end);
        let (mut from_equal, mut behind_equal) = (0, 0);
        // The end of the result lies after `last`, which is below the folder, and at or before `end`, which is not.
        let (mut last, mut end, mut end_equal) = (None, all.end, 0);
        while from < behind {
            let middle = from + (behind - from) / 2;
            let (order, equal) = compare(middle, from_equal.min(behind_equal))?;
            match order {
                Ordering::Less => (from, from_equal) = (middle + 1, equal),
                Ordering::Equal => {
                    (behind, behind_equal) = (middle, equal);
                    last = last.max(Some(middle));
                }
                Ordering::Greater => (behind, behind_equal, end, end_equal) = (middle, equal, middle, equal),
            }
        }
        let Some(last) = last else {
            return Ok(from..from);
        };
        let end = bisect(last + 1..end, |position| Ok(compare(position, end_equal)?.0.is_eq()))?;
        Ok(from..end)
    }

    /// Returns the first position in `within` whose normal form is greater than `form`; `within.end` if there is none.
    pub fn first_after(&self, file: &CheckedBytes, within: Range<usize>, form: &[u8]) -> ReadResult<usize> {
        let form = Form::from_folded(form);
        bisect(within, |at| Ok(self.form(file, at)?.compare(form, 0).is_le()))
    }

    /// Returns the position of `entry`, whose normal form is `form`; `None` if the entry is not in `within`.
    pub fn position_of(
        &self,
        file: &CheckedBytes,
        within: Range<usize>,
        form: Form<'_>,
        entry: u32,
    ) -> ReadResult<Option<usize>> {
        let is_before = |position: usize| {
            let number = self.entry(file, position)?;
            let order = EntryRef::read(file, number)?.form().compare(form, 0);
            Ok(order.then(number.cmp(&entry)).is_lt())
        };
        let position = bisect(within.clone(), is_before)?;
        Ok((position < within.end && self.entry(file, position)? == entry).then_some(position))
    }

    /// Passes each run in the non-empty range to `each`: the positions in `within`, and the show or 0.
    pub fn for_each_run(
        &self,
        file: &CheckedBytes,
        within: &Range<usize>,
        mut each: impl FnMut(Range<usize>, u32) -> ReadResult<()>,
    ) -> ReadResult<()> {
        let Some(arrays) = self.locate_arrays(file)? else {
            return Ok(());
        };
        let start = |index: usize| Ok(self.pair(file, arrays.runs, index)?[0]);
        let begun_count = bisect(0..arrays.runs.1, |index| Ok(start(index)? <= within.start))?;
        let exists = |index: usize| index < arrays.runs.1;
        let run_at = |index: usize| exists(index).then(|| self.pair(file, arrays.runs, index)).transpose();
        let mut index = begun_count.saturating_sub(1); // the run that contains `within.start`
        let mut next = run_at(index)?;
        while let Some([begin, show]) = next
            && begin < within.end
        {
            index += 1;
            next = run_at(index)?;
            let end = next.map_or(arrays.order, |[begin, _]| begin);
            let run = begin.max(within.start)..end.min(within.end);
            if run.is_empty() || end <= begin {
                return Err(file.mark_damaged());
            }
            each(run, saturating_u32(show))?;
        }
        Ok(())
    }

    /// Returns the positions in `within` of items that have an earlier file in `within`.
    pub fn repeats(&self, file: &CheckedBytes, within: &Range<usize>) -> ReadResult<Vec<usize>> {
        let mut found = Vec::new();
        let Some(arrays) = self.locate_arrays(file)? else {
            return Ok(found);
        };
        let begin = bisect(0..arrays.repeats.1, |index| {
            Ok(self.pair(file, arrays.repeats, index)?[0] < within.start)
        })?;
        for index in begin..arrays.repeats.1 {
            let [position, previous] = self.pair(file, arrays.repeats, index)?;
            if position >= within.end {
                break;
            }
            if previous >= within.start {
                found.push(position);
            }
        }
        Ok(found)
    }

    /// Finds the folders that have the most last components in common with `folder`, but at least `min_components`.
    /// Passes to `each` this number of components, with the normal forms of up to `max_folders` folders that `is_live`
    /// accepts. Returns the number of folders; above `max_folders`, it includes folders that `is_live` might reject.
    pub fn suffix_matches(
        &self,
        file: &CheckedBytes,
        folder: Form<'_>,
        min_components: usize,
        max_folders: usize,
        mut is_live: impl FnMut(&[u8]) -> ReadResult<bool>,
        mut each: impl FnMut(usize, Vec<u8>),
    ) -> ReadResult<usize> {
        let (Some(arrays), Some(name)) = (self.locate_arrays(file)?, folder.rev_components().next()) else {
            return Ok(0);
        };
        // Begin with all folders whose names have the same 24 bits of the hash, and narrow the range by components.
        let wanted = folder_word(&name.folded().collect::<Vec<u8>>(), 0) >> 8;
        let hash = |index: usize| Ok(saturating_u32(self.pair(file, arrays.folders, index)?[0]) >> 8);
        let from = bisect(0..arrays.folders.1, |index| Ok(hash(index)? < wanted))?;
        let to = bisect(from..arrays.folders.1, |index| Ok(hash(index)? == wanted))?;
        let mut ranges = vec![Range { start: from, end: to }];
        for component in folder.rev_components() {
            let outer = ranges[ranges.len() - 1].clone();
            let depth = ranges.len() - 1;
            let order = |index: usize| {
                let (form, count) = self.folder(file, &arrays, index)?;
                let folder_component = form
                    .rev_components()
                    .skip(form.rev_components().count() - count) // components below the folder
                    .nth(depth);
                Ok(folder_component.map_or(Ordering::Less, |folder_component| folder_component.compare(component)))
            };
            let from = bisect(outer.clone(), |index| Ok(order(index)?.is_lt()))?;
            let to = bisect(from..outer.end, |index| Ok(order(index)?.is_eq()))?;
            if from == to {
                break;
            }
            ranges.push(from..to);
        }
        // Report the folders in the narrowest range that contains live folders.
        let mut seen = 0..0;
        for (common_count, range) in ranges.iter().enumerate().skip(min_components.max(1)).rev() {
            let mut count = 0;
            for index in range.clone().filter(|index| !seen.contains(index)) {
                if count == max_folders {
                    return Ok(range.len() - seen.len());
                }
                let (form, depth) = self.folder(file, &arrays, index)?;
                let form = form.leading_components(depth);
                if is_live(&form)? {
                    each(common_count, form);
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

    /// Returns the normal form of the first path in folder number `at`, and the folder's number of components.
    fn folder<'i>(&self, file: &'i CheckedBytes, arrays: &ArrayRanges, at: usize) -> ReadResult<(Form<'i>, usize)> {
        let [word, position] = self.pair(file, arrays.folders, at)?;
        if position >= self.listed {
            return Err(file.mark_damaged());
        }
        let (form, depth) = (self.form(file, position)?, depth_of(saturating_u32(word)));
        if form.rev_components().count() < depth {
            return Err(file.mark_damaged());
        }
        Ok((form, depth))
    }
}
