//! The folder order: the numbers of all entries, first of the listed paths, then of the mapped paths, both sorted by
//! normal form, then by entry. So the paths below a folder are one range, which a binary search finds. The first listed
//! path in each folder is also in the table of names, by the folder's name.

use std::cmp::Ordering;
use std::io;
use std::ops::Range;

use super::hash_table::folder_hash;
use super::layout::{CheckedBytes, ReadResult, SegmentHeader, SegmentPart, SegmentWriter, bisect, reserve, u32_at};
use super::record::EntryRef;
use super::sorter::{KeySorter, PairSorter};
use crate::matching::Form;

/// Writes the entries of these paths, sorted by normal form. Adds each path that is the first one in a folder to
/// `folders`, with the hash of the folder's name.
pub fn put_order(paths: KeySorter, body: &mut SegmentWriter, mut folders: Option<&mut PairSorter>) -> io::Result<()> {
    let mut previous: Vec<u8> = Vec::new();
    paths.for_each_sorted(|form, entry| {
        body.put(&entry.to_le_bytes())?;
        let Some(folders) = &mut folders else { return Ok(()) };
        let common = form.iter().zip(&previous).take_while(|(a, b)| a == b).count();
        let mut begin = 0;
        for end in (0..form.len()).filter(|end| form[*end] == b'/') {
            // If the common prefix includes this separator, the folder also contains the previous path.
            if end > begin && end >= common {
                folders.push(folder_hash(&form[begin..end]), entry)?;
            }
            begin = end + 1;
        }
        previous.clear();
        reserve(&mut previous, form.len())?;
        previous.extend_from_slice(form);
        Ok(())
    })
}

#[derive(Clone, Copy, Debug)]
pub struct FolderOrder {
    part: SegmentPart,
    listed: usize,
}

impl FolderOrder {
    pub fn new(head: &SegmentHeader) -> Self {
        Self {
            part: head.order,
            listed: usize::try_from(head.listed_paths).unwrap_or(usize::MAX),
        }
    }

    /// Returns the entry at a position in the order.
    pub fn entry<'i>(&self, file: &'i CheckedBytes, position: usize) -> ReadResult<EntryRef<'i>> {
        if position >= self.part.len() {
            return Err(file.mark_damaged());
        }
        EntryRef::read(file, u32_at(file.slice(self.part.element_offset(position, 4), 4)?, 0))
    }

    /// Returns the positions below a folder, among the mapped paths if `mapped` is true, otherwise among the listed
    /// paths. `folder` is in normal form, without a trailing separator. `after`: only the paths whose normal forms are
    /// greater.
    pub fn below(
        &self,
        file: &CheckedBytes,
        folder: &[u8],
        mapped: bool,
        after: Option<&[u8]>,
    ) -> ReadResult<Range<usize>> {
        let all = if mapped {
            self.listed..self.part.len()
        } else {
            0..self.listed
        };
        let order = |position: usize| Ok(self.entry(file, position)?.form().compare_to_folder(folder));
        let mut from = bisect(all.clone(), |position| Ok(order(position)?.is_lt()))?;
        let end = bisect(from..all.end, |position| Ok(order(position)? == Ordering::Equal))?;
        if let Some(after) = after {
            let after = Form::from_folded(after);
            from = bisect(from..end, |position| {
                Ok(self.entry(file, position)?.form().compare(after).is_le())
            })?;
        }
        Ok(from..end)
    }
}
