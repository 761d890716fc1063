//! Compares two listings of a library.

use super::checked_bytes::ReadResult;
use super::layout::offset_of;
use super::read::ListingSegment;
use super::record::{self, EntryRef, TWIN};

/// An added, changed or removed item. The numbers are its first entries: in the new segment if added, in the old and in
/// the new segment if changed, in the old segment if removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    Added(u32),
    Changed(u32, u32),
    Removed(u32),
}

impl ListingSegment {
    /// Returns the differences between this older segment and `new`, for the feed. Returns `None` if more than
    /// `max_differences` items were added or changed, or if more than `max_differences` items were removed or changed.
    ///
    /// Reads both segments in the order of their items. Servers mostly list items in the same order, so this function
    /// looks up only few items by key.
    ///
    /// # Errors
    /// Fails if one of the segments is damaged, and marks that segment as broken.
    pub fn differences(&self, new: &Self, max_differences: usize) -> ReadResult<Option<Vec<Difference>>> {
        let mut found = Vec::new();
        let (mut changed_or_removed, mut common_items) = (0, 0);
        let (mut old_offset, mut new_offset) = (self.first_record(), new.first_record());
        // For each new item, find the old item: usually the next item in the old segment.
        while let Some((new_entry, new_end)) = new.next_first(new_offset)? {
            new_offset = new_end;
            let key = new.key_of(&new_entry)?;
            let expected = self.next_first(old_offset)?;
            let old_item = match expected {
                Some((old, old_end)) if self.key_of(&old)? == key => Some((old, old_end)),
                _ => self
                    .find(key)
                    .map_or(Ok(None), |number| self.next_first(offset_of(number)))?,
            };
            let Some((old, old_end)) = old_item else {
                found.push(Difference::Added(new_entry.number));
                if found.len() > max_differences {
                    return Ok(None);
                }
                continue;
            };
            old_offset = old_end;
            common_items += 1;
            if !self.has_equal_item(&old, old_end, new, &new_entry, new_end)? {
                changed_or_removed += 1;
                found.push(Difference::Changed(old.number, new_entry.number));
                if found.len() > max_differences {
                    return Ok(None);
                }
            }
        }
        // If the old segment contains further items, find the removed items.
        if common_items < self.head.items {
            let mut offset = self.first_record();
            while let Some((entry, end)) = self.next_first(offset)? {
                offset = end;
                if new.find(self.key_of(&entry)?).is_none() {
                    changed_or_removed += 1;
                    found.push(Difference::Removed(entry.number));
                    if changed_or_removed > max_differences {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(found))
    }

    /// Returns whether an item equals an item in `new`. `end` and `new_end` are the offsets after the two items.
    fn has_equal_item(
        &self,
        entry: &EntryRef<'_>,
        end: usize,
        new: &Self,
        new_entry: &EntryRef<'_>,
        new_end: usize,
    ) -> ReadResult<bool> {
        let (_, extras) = record::item(&self.file, entry.end)?;
        let (_, new_extras) = record::item(&new.file, new_entry.end)?;
        // If an item has only one file and no show, its bytes contain the whole item, so comparing bytes is enough.
        let is_alone =
            |extras: &record::ItemExtras| extras.parent_record == 0 && extras.more == 0 && extras.added_sequence == 0;
        if extras.with_facts == new_extras.with_facts
            && is_alone(&extras)
            && is_alone(&new_extras)
            && entry.flags & !TWIN == new_entry.flags & !TWIN
        {
            // Skip the flags byte, because `TWIN` depends on the other entries in the segment.
            let begin = offset_of(entry.number) + 1;
            let new_begin = offset_of(new_entry.number) + 1;
            let bytes = self.file.slice(begin, end.saturating_sub(begin))?;
            return Ok(bytes == new.file.slice(new_begin, new_end.saturating_sub(new_begin))?);
        }
        Ok(self.read_whole_item(entry)? == new.read_whole_item(new_entry)?)
    }
}
