//! A library's items: the segment of its listing, and later changes to single items in the change log.

use std::collections::{BTreeMap, HashSet};
use std::error::Error as _;

use rusqlite::{Connection, params};

use super::change_log::PackedItem;
use super::library_rows::{LibraryRow, mark_listing_current, one_library};
use super::schema::{CachedStatements, last_position_of};
use super::store::Store;
use super::store_folder::listing_text;
use crate::engine::segment::ListingSegment;
use crate::error::{Error, Result, Status};
use crate::model::{Item, LibraryId, ListingName, Sequence};
use crate::platform::deadline::Deadline;

/// Maximum number of items that one transaction removes, so that other writers do not wait long.
const REMOVALS_PER_WRITE: usize = 1_000;

/// The last logged change of a single item.
#[derive(Clone, Debug, PartialEq)]
pub struct SingleChange {
    pub sequence: Sequence,
    /// The change sequence before the request to the server.
    pub requested_at: Sequence,
    /// The added item; `None` for a removal.
    pub item: Option<Item>,
}

/// The last logged change of each single item, by rating key.
pub type SingleChanges = BTreeMap<String, SingleChange>;

/// Returns the last change of each item that was added to or removed from a library as a single item after the change
/// sequence `since`.
pub fn single_changes(c: &Connection, library: LibraryId, since: Sequence) -> rusqlite::Result<SingleChanges> {
    // Kind 8 is a removal, and kind 9 an addition (see `change_log.rs`).
    let changes = c.rows(
        "SELECT rating_key, sequence, item, path FROM changes WHERE library = ?1 AND kind IN (8, 9) AND id > ?2",
        params![library, last_position_of(since)],
        |row| Ok((row.get(0)?, single_change(row, 1)?)),
    )?;
    // The index returns the changes to an item in order, so the last change remains.
    Ok(changes.into_iter().collect())
}

/// Returns how many items a library has: a segment's items, with each item's last change applied. Without a segment,
/// counts only the added items.
pub fn count_items_with<'c>(
    segment: Option<&ListingSegment>,
    changes: impl IntoIterator<Item = (&'c String, &'c SingleChange)>,
) -> u64 {
    let mut count = segment.map_or(0, ListingSegment::item_count);
    for (key, change) in changes {
        // A changed item counts once: it is added here, and removed below if the segment also has it.
        count += u64::from(change.item.is_some());
        count -= u64::from(segment.is_some_and(|segment| segment.find(key).is_some()));
    }
    count
}

/// Reads a change from the adjacent columns `sequence`, `item` and `path`. `column`: the index of `sequence`.
fn single_change(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<SingleChange> {
    let (sequence, requested_at): (Sequence, Vec<u8>) = (row.get(column)?, row.get(column + 2)?);
    let bytes = <[u8; 8]>::try_from(requested_at.as_slice());
    Ok(SingleChange {
        sequence,
        // Unknown for a change from an earlier version.
        requested_at: bytes.map_or(sequence.previous(), |bytes| Sequence(u64::from_be_bytes(bytes))),
        item: row.get::<_, Option<PackedItem>>(column + 1)?.map(|packed| packed.0),
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
    /// Reads a library's row, and opens its listing as [`Self::of_row`] does.
    pub fn of(c: &Connection, store: &Store, library: LibraryId) -> rusqlite::Result<Self> {
        Ok(Self::of_row(store, &one_library(c, library)?))
    }

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
    /// otherwise from the segment. `None` if the library does not list the item.
    pub fn item(&self, c: &Connection, library: LibraryId, rating_key: &str) -> rusqlite::Result<Option<Item>> {
        Ok(self
            .item_with_change(last_change(c, library, rating_key)?.as_ref(), rating_key)
            .map(|(item, _)| item))
    }

    /// Returns the item with this rating key, and the change sequence at which it was last added or changed as a single
    /// item; 0 if the item is from the listing. `None` if the library does not list the item. `last`: the item's last
    /// change in the log, which has no effect if the segment already includes the change.
    fn item_with_change(&self, last: Option<&SingleChange>, rating_key: &str) -> Option<(Item, Sequence)> {
        if let Some(change) = last.filter(|change| change.sequence > self.included_sequence) {
            return change.item.clone().map(|item| (item, change.sequence));
        }
        let segment = self.segment.as_ref()?;
        let first = segment.find(rating_key)?;
        Some((segment.whole_item(first)?, Sequence(segment.added_sequence(first))))
    }
}

/// Returns the last change of a single item in the change log; `None` if the log has no change to the item.
fn last_change(c: &Connection, library: LibraryId, rating_key: &str) -> rusqlite::Result<Option<SingleChange>> {
    c.find(
        "SELECT sequence, item, path FROM changes WHERE library = ?1 AND rating_key = ?2 AND kind IN (8, 9) \
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
        })
    }

    /// Returns the item with this rating key; `None` if the item is not listed.
    pub fn item(&self, rating_key: &str) -> Result<Option<Item>> {
        self.store.read(|c| self.base.item(c, self.library, rating_key))
    }

    /// Returns the item with this rating key, and the change sequence at which the item was last added or changed as a
    /// single item; 0 if the item is from the listing. Returns `None` if the item is not listed.
    pub fn item_and_sequence(&self, rating_key: &str) -> Result<Option<(Item, Sequence)>> {
        self.store.read(|c| {
            let last = last_change(c, self.library, rating_key)?;
            Ok(self.base.item_with_change(last.as_ref(), rating_key))
        })
    }

    /// Returns whether the item with this rating key is listed.
    pub fn has(&self, rating_key: &str) -> Result<bool> {
        Ok(self.item(rating_key)?.is_some())
    }

    /// Passes each item to `each`, in any order, with the change sequence at which the item was added as a single item;
    /// 0 if the item is from the listing. Fails if the segment is damaged, or if `each` fails.
    pub fn for_each(&self, each: &mut dyn FnMut(Item, Sequence) -> Result<()>) -> Result<()> {
        let changes = self.changes()?;
        // First the unchanged items in the segment, then the added or changed items in the log.
        if let Some(segment) = &self.base.segment {
            segment.for_each_item(|item, added_sequence| match changes.get(&item.rating_key) {
                Some(_) => Ok(()),
                None => each(item, Sequence(added_sequence)),
            })?;
        }
        for change in changes.into_values() {
            if let Some(item) = change.item {
                each(item, change.sequence)?;
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
        let query = "SELECT 1 FROM changes WHERE library = ?1 AND kind IN (8, 9) AND id > ?2";
        Ok(has_content && !self.store.read(|c| c.has(query, params![self.library, position]))?)
    }

    /// Returns the number of items in the listing, with all changes to single items.
    pub fn count(&self) -> Result<u64> {
        Ok(count_items_with(self.base.segment.as_ref(), &self.changes()?))
    }

    /// Returns the changes to single items that the segment does not include.
    fn changes(&self) -> Result<SingleChanges> {
        self.store
            .read(|c| single_changes(c, self.library, self.base.included_sequence))
    }
}

/// The changes that a delta has merged into a library.
pub struct MergedChanges<'k> {
    /// Number of items in the library.
    pub items: u64,
    /// Rating keys of all items that the delta added, updated or removed.
    pub keys: &'k HashSet<String>,
    /// The server's latest update time; `None` if unknown.
    pub newest_update: Option<i64>,
    /// Number of rows that the server counts but plexindex leaves out.
    pub left_out: u64,
    /// Whether the change token says that the library's content changed.
    pub changed_content: bool,
    /// Whether the delta is certainly incomplete.
    pub is_unexplained: bool,
    /// Whether the listing expires early.
    pub provisional: bool,
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
            });
        }
    }

    /// Merges items from the server. `requested_at`: the change sequence before the first item was requested. Returns
    /// `false` if a newer reply differs; see [`Self::store_replies`].
    pub fn merge_items(
        &self,
        row: &LibraryRow,
        items: &[Item],
        requested_at: Sequence,
        deadline: Deadline,
    ) -> Result<bool> {
        let replies = items.iter().map(|item| (item.rating_key.as_str(), Some(item)));
        Ok(items.is_empty() || self.store_replies(row, &replies, requested_at, deadline)?)
    }

    /// Removes items that the server no longer has, and keeps their confirmed matches, which plexindex returns again if
    /// an item comes back. One transaction removes up to [`REMOVALS_PER_WRITE`] items, because each opens the segment.
    /// Returns `false` if a newer reply differs; see [`Self::store_replies`].
    pub fn remove_items<K: AsRef<str>>(
        &self,
        row: &LibraryRow,
        rating_keys: &[K],
        requested_at: Sequence,
        deadline: Deadline,
    ) -> Result<bool> {
        rating_keys.chunks(REMOVALS_PER_WRITE).try_fold(true, |has_all, keys| {
            let replies = keys.iter().map(|key| (key.as_ref(), None));
            Ok(self.store_replies(row, &replies, requested_at, deadline)? && has_all)
        })
    }

    /// Stores the server's replies about items, by rating key; `None` for an item that the server no longer has. Skips a
    /// reply that was overtaken: another call stored a listing since the request, or a reply to the same or a later
    /// request. Returns `false` if such a reply differs from what is stored.
    fn store_replies<'i>(
        &self,
        row: &LibraryRow,
        replies: &(impl Iterator<Item = (&'i str, Option<&'i Item>)> + Clone),
        requested_at: Sequence,
        deadline: Deadline,
    ) -> Result<bool> {
        self.0.write(deadline, |tx| {
            let library = tx.expect_library(row.id)?;
            let row = one_library(tx, row.id)?;
            let base = OpenListing::of_row(self.0, &row);
            let is_listed_since = row.begun_sequence.max(row.listed_sequence) > requested_at;
            let (mut added, mut has_all) = (0_i64, true);
            for (key, item) in replies.clone() {
                let last = last_change(tx, library.id, key)?;
                let old_item = base.item_with_change(last.as_ref(), key).map(|(item, _)| item);
                if is_listed_since || last.as_ref().is_some_and(|last| last.requested_at >= requested_at) {
                    has_all &= old_item.as_ref() == item;
                    continue;
                }
                // An unchanged item needs no row in the logs. A removal does, because an earlier reply may contain the
                // item.
                if item.is_none() || old_item.as_ref() != item {
                    added += i64::from(item.is_some()) - i64::from(old_item.is_some());
                    tx.log_item_change(&library, requested_at, key, old_item.as_ref(), item)?;
                    if base.is_lost && last.is_none_or(|last| last.sequence <= base.included_sequence) {
                        tx.relist_in_feed(library.id)?; // which files the item had is unknown
                    }
                }
            }
            if added != 0 {
                let text = "UPDATE libraries SET listed_items = max(listed_items + ?2, 0) WHERE id = ?1";
                tx.run(text, params![library.id, added])?;
            }
            Ok(has_all)
        })
    }

    /// Stores that a library's listing is current, because a delta merged all changes up to the last probe, and ends the
    /// hints from before the probe. `begun`: the change sequence before the delta's first request.
    ///
    /// If the library's content changed, but the delta shows no item that changed and the item count is the same, the
    /// change remains unexplained until the next listing: an item that only a search found may be one of many that
    /// changed. While items are still changing (`provisional`), a later delta decides.
    pub fn store_merged_delta(
        &self,
        row: &LibraryRow,
        begun: Sequence,
        merged: &MergedChanges<'_>,
        now_ms: i64,
        deadline: Deadline,
    ) -> Result<()> {
        self.0.write(deadline, |tx| {
            let library = tx.expect_library(row.id)?;
            let changed_since = |sequence| single_changes(tx, library.id, sequence);
            let is_shown = || -> rusqlite::Result<bool> {
                let changed = changed_since(row.explained_sequence)?;
                Ok(merged.items != row.told_items || changed.keys().any(|key| merged.keys.contains(key)))
            };
            let is_unexplained = merged.is_unexplained || merged.changed_content && !is_shown()?;
            let token = if is_unexplained && merged.provisional {
                &row.listed_token
            } else {
                &row.library.change.token
            };
            mark_listing_current(tx, row.id, token, row.probed_sequence, now_ms, merged.provisional)?;
            // An item that another call merged meanwhile may be newer than the source's reply.
            let are_all_merged = changed_since(begun)?.keys().all(|key| merged.keys.contains(key));
            let merged_sequence = if are_all_merged { tx.sequence } else { begun };
            tx.run(
                "UPDATE libraries SET told_items = ?2, merged_seq = ?3, newest_update = coalesce(?4, newest_update), \
                 left_out = ?5, explained_seq = ?7, \
                 unexplained_seq = iif(unexplained_seq = 0 AND ?6, ?7, unexplained_seq) WHERE id = ?1",
                params![
                    row.id,
                    merged.items.cast_signed(),
                    merged_sequence,
                    merged.newest_update,
                    merged.left_out.cast_signed(),
                    is_unexplained && !merged.provisional,
                    tx.sequence,
                ],
            )?;
            tx.libraries_changed(library.view_id)
        })
    }
}
