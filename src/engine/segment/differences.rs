//! Compares two listings of a library.

use super::checked_bytes::Read;
use super::read::ListingSegment;
use super::record::{self, EntryHead, TWIN};

/// An item that differs: its first entries in the old segment and in the new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    Added(u32),
    Changed(u32, u32),
    Removed(u32),
}

impl ListingSegment {
    /// Returns how the items of `new` differ from these; `None` if `new` adds and changes, or removes and changes, more
    /// than `most` items.
    ///
    /// Both segments are read in the order of their items. Servers mostly list items in the same order, so few items
    /// are looked up by key.
    ///
    /// # Errors
    /// One of the segments is damaged, and marked as broken.
    pub fn differences(&self, new: &Self, most: usize) -> Read<Option<Vec<Difference>>> {
        let mut found = Vec::new();
        let (mut changed, mut common) = (0, 0);
        let (mut old_offset, mut new_offset) = (self.first_record(), new.first_record());
        while let Some((entry, end)) = new.next_first(new_offset)? {
            new_offset = end;
            let key = new.key_of(&entry)?;
            let expected = self.next_first(old_offset)?;
            let same_place = match expected {
                Some((old, old_end)) if self.key_of(&old)? == key => Some((old, old_end)),
                _ => self.item_from(key)?,
            };
            let Some((old, old_end)) = same_place else {
                found.push(Difference::Added(entry.number));
                if found.len() > most {
                    return Ok(None);
                }
                continue;
            };
            old_offset = old_end;
            common += 1;
            if !self.has_equal_item(&old, old_end, new, &entry, end)? {
                changed += 1;
                found.push(Difference::Changed(old.number, entry.number));
                if found.len() > most {
                    return Ok(None);
                }
            }
        }
        if common < self.head.items {
            let mut offset = self.first_record();
            while let Some((entry, end)) = self.next_first(offset)? {
                offset = end;
                if new.find(self.key_of(&entry)?).is_none() {
                    changed += 1;
                    found.push(Difference::Removed(entry.number));
                    if changed > most {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(found))
    }

    /// Returns the first entry of the item with this key, and the offset after the item.
    fn item_from(&self, rating_key: &str) -> Read<Option<(EntryHead<'_>, usize)>> {
        match self.find(rating_key) {
            Some(number) => self.next_first(super::layout::offset_of(number)),
            None => Ok(None),
        }
    }

    /// Returns whether two items have equal content. `end` and `new_end`: the offsets after them.
    fn has_equal_item(
        &self,
        entry: &EntryHead<'_>,
        end: usize,
        new: &Self,
        new_entry: &EntryHead<'_>,
        new_end: usize,
    ) -> Read<bool> {
        let (_, extras) = record::item(&self.file, entry.end)?;
        let (_, new_extras) = record::item(&new.file, new_entry.end)?;
        // Without a show and further files, the bytes of an item contain all of it.
        let is_alone =
            |extras: &record::ItemExtras| extras.above == 0 && extras.more == 0 && extras.added_sequence == 0;
        if is_alone(&extras) && is_alone(&new_extras) && entry.flags & !TWIN == new_entry.flags & !TWIN {
            let begin = super::layout::offset_of(entry.number) + 1;
            let new_begin = super::layout::offset_of(new_entry.number) + 1;
            let bytes = self.file.slice(begin, end.saturating_sub(begin))?;
            return Ok(bytes == new.file.slice(new_begin, new_end.saturating_sub(new_begin))?);
        }
        Ok(self.whole(entry)? == new.whole(new_entry)?)
    }
}
