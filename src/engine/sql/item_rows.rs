//! A library's items: the segment of its listing, and later changes to single items in the change log.

use std::collections::BTreeMap;
use std::error::Error as _;

use rusqlite::{Connection, params};

use super::change_log::{AS_LISTED, PackedItem, asked_in};
use super::library_rows::{LibraryRow, one_library};
use super::schema::{CachedStatements, last_position_of};
use super::store::Store;
use super::store_folder::listing_text;
use crate::engine::segment::ListingSegment;
use crate::error::{Error, Result, Status};
use crate::knowledge::{Interval, StoredItem};
use crate::model::{Item, LibraryId, ListingName, Sequence};

/// The last logged change of a single item.
#[derive(Clone, Debug, PartialEq)]
pub struct SingleChange {
    pub sequence: Sequence,
    /// The ticket of the request to the server.
    pub asked: Sequence,
    /// The added item; `None` for a removal.
    pub item: Option<Item>,
    /// Whether the reply was as the listing has the item.
    pub is_as_listed: bool,
}

impl SingleChange {
    fn interval(&self) -> Interval {
        Interval {
            asked: self.asked,
            came: self.sequence,
        }
    }
}

/// The last logged change of each single item, by rating key.
pub type SingleChanges = BTreeMap<String, SingleChange>;

/// Returns the last change of each item that was added to or removed from a library as a single item after the change
/// sequence `since`.
pub fn single_changes(c: &Connection, library: LibraryId, since: Sequence) -> rusqlite::Result<SingleChanges> {
    // Kind 8 is a removal, kind 9 an addition, and kind 11 an item as listed (see `change_log.rs`).
    let changes = c.rows(
        "SELECT rating_key, sequence, item, path, kind FROM changes WHERE library = ?1 AND kind IN (8, 9, 11) AND id > ?2",
        params![library, last_position_of(since)],
        |row| Ok((row.get(0)?, single_change(row, 1)?)),
    )?;
    // The index returns the changes to an item in order, so the last change remains.
    Ok(changes.into_iter().collect())
}

/// Returns how many items a library has: a segment's items, and single items, which the segment has otherwise. Without a
/// segment, counts only the single items. `singles`: rating keys, and whether the library has the item.
pub fn count_items_with<'c>(
    segment: Option<&ListingSegment>,
    singles: impl IntoIterator<Item = (&'c String, bool)>,
) -> u64 {
    let mut count = segment.map_or(0, ListingSegment::item_count);
    for (key, is_there) in singles {
        // A changed item counts once: it is added here, and removed below if the segment also has it.
        count += u64::from(is_there);
        count -= u64::from(segment.is_some_and(|segment| segment.find(key).is_some()));
    }
    count
}

/// Reads a change from the adjacent columns `sequence`, `item`, `path` and `kind`. `column`: the index of `sequence`.
fn single_change(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<SingleChange> {
    let (sequence, path): (Sequence, Vec<u8>) = (row.get(column)?, row.get(column + 2)?);
    Ok(SingleChange {
        sequence,
        asked: asked_in(&path, sequence),
        item: row.get::<_, Option<PackedItem>>(column + 1)?.map(|packed| packed.0),
        is_as_listed: row.get::<_, i64>(column + 3)? == AS_LISTED,
    })
}

/// A listing's segment, and the change sequence up to which the segment includes changes to single items.
pub struct OpenListing {
    /// The segment; `None` if the library has no listing, or the segment cannot be opened.
    pub segment: Option<ListingSegment>,
    /// Whether the library has a listing, but its segment cannot be opened.
    pub is_lost: bool,
    pub included_sequence: Sequence,
}

impl OpenListing {
    /// Opens a library's segment. If the segment cannot be opened, `segment` is `None`, so that only later changes to
    /// single items are found. `row`: as the caller's transaction reads it.
    pub fn of_row(store: &Store, row: &LibraryRow) -> Self {
        let segment = row.segment.as_ref().and_then(|name| store.listing_segment(name).ok());
        Self {
            is_lost: row.segment.is_some() && segment.is_none(),
            segment,
            included_sequence: row.segment_sequence,
        }
    }

    /// Returns the item with this rating key: from the change log if the item changed after the segment was built,
    /// otherwise from the segment. `last`: the item's last change in the log. `base`: the interval of the listing.
    pub fn stored(&self, last: Option<SingleChange>, rating_key: &str, base: Interval) -> StoredItem<Item> {
        if let Some(change) = last.filter(|change| change.sequence > self.included_sequence) {
            return self.single(change, rating_key);
        }
        StoredItem {
            value: self.listed(rating_key),
            interval: base,
            is_single: false,
        }
    }

    /// Returns a single item from its last change, which the segment does not include.
    pub fn single(&self, change: SingleChange, rating_key: &str) -> StoredItem<Item> {
        StoredItem {
            interval: change.interval(),
            value: if change.is_as_listed {
                self.listed(rating_key)
            } else {
                change.item
            },
            is_single: true,
        }
    }

    /// Returns an item as the segment has it.
    pub fn listed(&self, rating_key: &str) -> Option<Item> {
        let segment = self.segment.as_ref()?;
        segment.whole_item(segment.find(rating_key)?)
    }
}

/// Returns the last change of a single item in the change log; `None` if the log has no change to the item.
pub fn last_change(c: &Connection, library: LibraryId, rating_key: &str) -> rusqlite::Result<Option<SingleChange>> {
    c.find(
        "SELECT sequence, item, path, kind FROM changes WHERE library = ?1 AND rating_key = ?2 AND kind IN (8, 9, 11) \
         ORDER BY id DESC LIMIT 1",
        params![library, rating_key],
        |row| single_change(row, 0),
    )
}

impl Store {
    /// Opens a listing's segment. Each set of mappings has its own file with the same items; any file is sufficient.
    /// Fails if no file is usable. The error has a source if the operating system cannot read a file.
    pub fn listing_segment(&self, name: &ListingName) -> Result<ListingSegment> {
        let (name_mac, mode) = (self.key().name_mac(name), self.map_mode());
        let mut failure = Error::new(Status::Store, "a listing's segment file is missing");
        for path in self.folder.files_of_segment(&listing_text(name))? {
            match ListingSegment::open(&path, mode, name_mac) {
                Ok(segment) => return Ok(segment),
                // Prefer an error of the operating system, because the segment may then be intact.
                Err(error) if failure.source().is_none() => failure = error,
                Err(_) => {}
            }
        }
        Err(failure)
    }
}

/// The items in a library's current listing, or in a listing that is not published yet.
pub struct StoredItems<'s> {
    store: &'s Store,
    library: LibraryId,
    base: OpenListing,
    /// When the server sent the items in the segment.
    interval: Interval,
}

impl<'s> StoredItems<'s> {
    /// Opens a listing that is not published yet, with the changes to single items since the listing started.
    pub fn of_listing(store: &'s Store, name: &ListingName) -> Result<Self> {
        let base = OpenListing {
            segment: Some(store.listing_segment(name)?),
            is_lost: false,
            included_sequence: name.sequence,
        };
        Ok(Self {
            store,
            library: name.library,
            base,
            interval: Interval::default(),
        })
    }

    /// Returns the item with this rating key; `None` if the item is not listed.
    pub fn item(&self, rating_key: &str) -> Result<Option<Item>> {
        Ok(self.stored(rating_key)?.value)
    }

    /// Returns the item with this rating key, and when the server sent it.
    pub fn stored(&self, rating_key: &str) -> Result<StoredItem<Item>> {
        self.store.read(|c| {
            let last = last_change(c, self.library, rating_key)?;
            Ok(self.base.stored(last, rating_key, self.interval))
        })
    }

    /// Returns whether the item with this rating key is listed.
    pub fn has(&self, rating_key: &str) -> Result<bool> {
        Ok(self.item(rating_key)?.is_some())
    }

    /// Passes each item to `each`, in any order, with the ticket of the request for a single item; 0 if the item is from
    /// the listing. Ignores changes after `upto`. Fails if the segment is damaged, or if `each` fails.
    pub fn for_each(&self, upto: Sequence, each: &mut dyn FnMut(Item, Sequence) -> Result<()>) -> Result<()> {
        let mut changes = self.changes()?;
        changes.retain(|_, change| change.sequence <= upto);
        // First the unchanged items in the segment, then the added or changed items in the log.
        if let Some(segment) = &self.base.segment {
            segment.for_each_item(|item, added_sequence| match changes.get(&item.rating_key) {
                Some(_) => Ok(()),
                None => each(item, Sequence(added_sequence)),
            })?;
        }
        for change in changes.into_values() {
            if let Some(item) = change.item {
                each(item, change.asked)?;
            }
        }
        Ok(())
    }

    /// Passes the rating keys of all items to `each`, in any order. Fails if the segment is damaged.
    pub fn for_each_key(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        let changes = self.changes()?;
        if let Some(segment) = &self.base.segment {
            segment.for_each_key(|key| {
                if !changes.contains_key(key) {
                    each(key);
                }
            })?;
        }
        let added = changes.iter().filter(|(_, change)| change.item.is_some());
        added.for_each(|(key, _)| each(key));
        Ok(())
    }

    /// Returns whether a new listing has the same content as the segment, and so needs no new segment. `count`,
    /// `content`: the new listing's item count and content digest. `begun`: the change sequence at its start. Returns
    /// `false` if a single item has changed since the segment was built or since `begun`.
    pub fn has_same_content(&self, count: u64, content: u64, begun: Sequence) -> Result<bool> {
        let segment = self.base.segment.as_ref();
        let has_content =
            segment.is_some_and(|segment| (segment.item_count(), segment.items_digest()) == (count, content));
        let position = last_position_of(self.base.included_sequence.min(begun));
        let query = "SELECT 1 FROM changes WHERE library = ?1 AND kind IN (8, 9, 11) AND kind <> 11 AND id > ?2";
        Ok(has_content && !self.store.read(|c| c.has(query, params![self.library, position]))?)
    }

    /// Returns the number of items in the listing, with all changes to single items.
    pub fn count(&self) -> Result<u64> {
        let changes = self.changes()?;
        let singles = changes.iter().map(|(key, change)| (key, change.item.is_some()));
        Ok(count_items_with(self.base.segment.as_ref(), singles))
    }

    /// Returns the change sequence up to which a new segment may include the changes to single items: before those that
    /// the last delta or listing did not know, so that the next delta sees them, and before the unfinished listing began.
    pub fn mergeable_sequence(&self, row: &LibraryRow, upto: Sequence) -> Result<Sequence> {
        let begun: Option<Sequence> = self
            .store
            .read(|c| c.find_value("SELECT begun_seq FROM listings WHERE library = ?1", [self.library]))?;
        let changes = self.changes()?.into_values();
        let unknown = changes.filter(|change| {
            let stored = StoredItem::<Item> {
                value: None,
                interval: change.interval(),
                is_single: true,
            };
            !row.knowledge.had_at_last_sync(&stored)
        });
        let first = unknown.map(|change| change.sequence).chain(begun).min();
        Ok(first.map_or(upto, |first| first.previous().min(upto)))
    }

    /// Returns the single items that the segment does not include, or has otherwise.
    fn changes(&self) -> Result<SingleChanges> {
        let mut changes = self
            .store
            .read(|c| single_changes(c, self.library, self.base.included_sequence))?;
        changes.retain(|_, change| !change.is_as_listed);
        Ok(changes)
    }
}

pub struct ItemRows<'s>(pub &'s Store);

impl<'s> ItemRows<'s> {
    /// Opens the items in a library's current listing or, if the library was never fetched, the items that searches
    /// found. Fails if the segment is missing or unusable.
    pub fn of(&self, row: &LibraryRow) -> Result<StoredItems<'s>> {
        let read_row = || self.0.read(|c| one_library(c, row.id));
        let mut row = read_row()?;
        loop {
            let segment = row.segment.map(|name| self.0.listing_segment(&name)).transpose();
            // Another process may have replaced the segment since this thread read its name.
            if segment.is_err() {
                let newer = read_row()?;
                if newer.segment != row.segment {
                    row = newer;
                    continue;
                }
            }
            let base = OpenListing {
                segment: segment?,
                is_lost: false,
                included_sequence: row.segment_sequence,
            };
            return Ok(StoredItems {
                store: self.0,
                library: row.id,
                base,
                interval: row.knowledge.base,
            });
        }
    }
}
