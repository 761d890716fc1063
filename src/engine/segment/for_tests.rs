//! Accessors of segments for tests.

use std::path::Path;

use super::bytes::{Damaged, Read};
use super::read::{ListingSegment, refuse};
use super::record::{self, BARE, EntryHead, SHOW};
use crate::error::Result;
use crate::matching::ItemRef;
use crate::platform::map::FileBytes;

impl ListingSegment {
    /// Opens a segment that is in memory.
    ///
    /// # Errors
    /// As [`ListingSegment::open`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::new(FileBytes::from(bytes)).map_err(|why| refuse(Path::new("in memory"), why))
    }

    /// The generation of the listing.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.head.generation
    }

    /// The change sequence up to which it has every change.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.head.sequence
    }

    /// Number of items or matches.
    #[must_use]
    pub fn items_count(&self) -> u64 {
        self.head.items
    }

    /// Number of paths, without mapped ones.
    #[must_use]
    pub fn parts_count(&self) -> u64 {
        self.head.parts
    }

    /// Its size in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.head.length
    }

    /// Passes the paths of the item that begins with this entry to `each`, in the server's order.
    pub fn files(&self, first: u32, mut each: impl FnMut(&[u8])) {
        let _damage_is_marked: Read<()> = (|| {
            let first = self.entry(first)?;
            if first.flags & BARE == 0 {
                each(first.path);
            }
            let (_, rest) = record::item(&self.file, self.item_at(&first)?)?;
            let mut at = rest.end;
            for _ in 0..rest.more {
                let entry = self.entry_behind(at)?;
                each(entry.path);
                at = entry.end;
            }
            Ok(())
        })();
    }

    /// All items with their first entries, in the order in which they were pushed.
    pub fn items(&self) -> impl Iterator<Item = (u32, ItemRef<'_>)> {
        let records = self.head.records;
        let mut at = records.byte(0, 1);
        let end = records.byte(records.len(), 1);
        std::iter::from_fn(move || {
            while at < end {
                let (next, found) = self.step(at).ok()?;
                at = next;
                if found.is_some() {
                    return found;
                }
            }
            None
        })
    }

    /// Returns the item at `at`, if one begins there, and the next offset.
    fn step(&self, at: usize) -> Read<(usize, Option<(u32, ItemRef<'_>)>)> {
        let at = at.next_multiple_of(4);
        if self.file.up_to(at, 1)?.first().is_some_and(|flags| flags & SHOW != 0) {
            return Ok((record::behind_show(&self.file, at)?.next_multiple_of(4), None));
        }
        let entry = self.entry_behind(at)?;
        if !entry.is_first() {
            return Ok((entry.end.next_multiple_of(4), None));
        }
        let (item, rest) = record::item(&self.file, entry.end)?;
        Ok((rest.end.next_multiple_of(4), Some((entry.number, item))))
    }

    fn entry_behind(&self, at: usize) -> Read<EntryHead<'_>> {
        let number = u32::try_from(at.div_ceil(4)).map_err(|_| self.file.fail())?;
        EntryHead::read(&self.file, number)
    }

    /// Reads and verifies the whole segment.
    ///
    /// # Errors
    /// [`Status::Store`] if any of it is damaged.
    pub fn verify(&self) -> Result<()> {
        self.file
            .slice(0, self.head.sums.byte(0, 1))
            .map(|_| ())
            .map_err(|Damaged| refuse(Path::new(&self.head.uuid), "it is damaged"))
    }
}
