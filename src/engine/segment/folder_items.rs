//! Finds the items below a folder in a segment. A position is an index in the folder order, which contains all paths,
//! sorted by normal form.

use std::ops::Range;

use super::checked_bytes::ReadResult;
use super::parents::{self, SHOW};
use super::read::ListingSegment;
use super::record::{self, EntryRef, MAPPED};
use crate::matching::{FolderContents, FolderMember, Form, MAX_CANDIDATES, Season};

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
    /// without a show. Skips the sorted positions in `hidden`. `components` is the folder's number of components.
    /// Returns the record numbers of the shows (or seasons whose show has no key) for which the answer has no room, so
    /// that the caller does not count them again.
    pub fn add_contents<'i>(
        &'i self,
        within: &Range<usize>,
        hidden: &[usize],
        components: usize,
        contents: &mut FolderContents<'i>,
    ) -> Vec<u32> {
        let mut omitted = Vec::new();
        let _damage_is_marked = self.add_contents_of_runs(within, hidden, components, contents, &mut omitted);
        // A show can have several runs.
        omitted.sort_unstable();
        omitted.dedup();
        contents.total += omitted.len();
        omitted
    }

    /// Adds the files and items at these positions to `contents`, run by run. A run has the paths of one season, or of
    /// items without a show. Adds the shows for which the answer has no room to `omitted`.
    fn add_contents_of_runs<'i>(
        &'i self,
        within: &Range<usize>,
        hidden: &[usize],
        components: usize,
        contents: &mut FolderContents<'i>,
        omitted: &mut Vec<u32>,
    ) -> ReadResult<()> {
        // A repeat is a further file of an item, so it counts as a file but not as an item.
        let mut repeats = self.order.repeats(&self.file, within)?;
        repeats.retain(|position| hidden.binary_search(position).is_err());
        let mut shows: Vec<(u32, usize)> = Vec::new();
        self.order.for_each_run(&self.file, within, |run, show| {
            let files = run.len() - count(hidden, &run);
            if files == 0 {
                return Ok(());
            }
            let items = files - count(&repeats, &run).min(files);
            contents.files += files as u64;
            contents.items += items as u64;
            let is_live = |position: &usize| hidden.binary_search(position).is_err();
            // Without a show, each item is a member.
            if show == 0 {
                contents.total += items;
                let counted = run.filter(|position| is_live(position) && repeats.binary_search(position).is_err());
                for position in counted.take(MAX_CANDIDATES - contents.members.len().min(MAX_CANDIDATES)) {
                    contents.members.push(self.member(position, components)?);
                }
            } else if let Some((_, member_index)) = shows.iter().find(|(known, _)| *known == show) {
                // The show is already a member. If it is known to have several seasons, a further item adds nothing.
                if contents.members[*member_index].season.is_some()
                    && let Some(position) = run.clone().find(is_live)
                {
                    let season = self.member(position, components)?.season;
                    contents.members[*member_index].merge_season(season);
                }
            } else if contents.members.len() < MAX_CANDIDATES {
                // Add a new show, which one of its episodes represents.
                if let Some(position) = run.clone().find(is_live) {
                    shows.push((show, contents.members.len()));
                    contents.members.push(self.member(position, components)?);
                    contents.total += 1;
                }
            } else {
                omitted.push(show);
            }
            Ok(())
        })
    }

    /// Returns the item at a position as a member of a folder. `components` is the folder's number of components.
    fn member(&self, position: usize, components: usize) -> ReadResult<FolderMember<'_>> {
        let number = self.order.entry(&self.file, position)?;
        let entry = self.entry(number)?;
        let (item, extras) = record::item(&self.file, self.item_offset(&entry)?)?;
        let season = parents::season(&self.file, extras.parent_record)?.unwrap_or(Season::NONE);
        // An answer contains the path as the server lists it.
        let path = self.entry(entry.listed_number())?.path;
        let depth_below = entry.form().rev_components().count().saturating_sub(components);
        Ok(FolderMember::new(item, season, path, depth_below))
    }

    /// Returns whether one of these shows or seasons, given by their record numbers, has this rating key, so that the
    /// caller does not count it twice.
    #[must_use]
    pub fn contains_key(&self, shows: &[u32], rating_key: &str) -> bool {
        shows
            .iter()
            .any(|show| parents::parent_key(&self.file, *show).is_ok_and(|key| key == rating_key))
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
