//! Merges deltas (changes since the last listing) from sources that report changes. If a delta removes too many items
//! at once, plexindex fetches a full listing instead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Instant;

use super::job::SyncJob;
use super::verify::ItemToVerify;
use crate::engine::{ItemRows, KnowledgeRows, LibraryRow, MAX_DELTA_ITEMS, StoredItems};
use crate::error::Result;
use crate::knowledge::shrank_too_much;
use crate::model::Item;
use crate::platform::fork::lock;
use crate::source::{DeltaCursor, IndexedItems, SourceChanges};
use crate::stats::Activity;

/// A library's stored items, with the items of the delta that has begun. The source compares its own items with these.
struct IndexedLibrary<'o> {
    row: &'o LibraryRow,
    items: StoredItems,
    /// What the source has added, by rating key, and how many of these items are not stored.
    added: Mutex<(BTreeMap<String, Item>, u64)>,
    /// Whether the library may lose any number of items at once, without a second listing as confirmation.
    may_shrink: bool,
}

impl IndexedItems for IndexedLibrary<'_> {
    /// Returns the change token of the listing that the delta extends.
    fn base_token(&self) -> &str {
        self.row.listed_token()
    }

    /// Notes new and changed items that the source found. Skips items that cannot be stored.
    fn add(&self, items: &[Item]) -> Result<()> {
        for item in items.iter().filter(|item| item.is_storable()) {
            let is_new = !self.has_any(std::slice::from_ref(&item.rating_key))?;
            let (added, new) = &mut *lock(&self.added);
            *new += u64::from(is_new);
            // A larger delta becomes a listing, so this one need not be whole.
            if added.len() <= MAX_DELTA_ITEMS {
                added.insert(item.rating_key.clone(), item.clone());
            }
        }
        Ok(())
    }

    /// Returns whether the store has contained an identical item since the last delta or listing, so that the source
    /// need not add it.
    fn has(&self, item: &Item) -> Result<bool> {
        let stored = self.items.stored(&item.rating_key);
        Ok(stored.value.as_ref() == Some(item) && self.row.knowledge.had_at_last_sync(&stored))
    }

    /// Returns where the last delta or listing ended.
    fn cursor(&self) -> DeltaCursor {
        cursor_of(self.row)
    }

    /// Returns whether the library contains an item with one of these rating keys.
    fn has_any(&self, rating_keys: &[String]) -> Result<bool> {
        for key in rating_keys {
            if lock(&self.added).0.contains_key(key) || self.items.has(key) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the number of the library's items.
    fn count(&self) -> Result<u64> {
        Ok(self.items.count() + lock(&self.added).1)
    }

    /// Passes the rating keys of all items to `each`, in any order.
    fn keys(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.items.for_each_key(each)?;
        for key in lock(&self.added).0.keys() {
            if !self.items.has(key) {
                each(key);
            }
        }
        Ok(())
    }

    /// Returns whether the library may shrink to this number of items without a second listing as confirmation.
    fn accepts_shrinking_to(&self, items: u64) -> Result<bool> {
        // The comparison uses the count before the delta, so that newly added items do not allow more removals.
        Ok(self.may_shrink || !shrank_too_much(self.row.items, items))
    }
}

/// Returns where a library's last delta or listing ended.
pub(super) fn cursor_of(row: &LibraryRow) -> DeltaCursor {
    let listing = row.knowledge.listing.as_ref();
    listing.map_or_else(DeltaCursor::default, |listing| DeltaCursor::from_text(&listing.cursor))
}

impl SyncJob<'_> {
    /// Fetches and stores a library's changes. Returns `false` if a full listing is necessary.
    pub fn delta(&self, row: &LibraryRow) -> Result<bool> {
        let (sync, deadline) = (self.sync, self.bounds.deadline);
        if self.view_id()?.is_none() {
            return Ok(false);
        }
        let now_ms = sync.clock.now_ms();
        let Some(request) = row.knowledge.begin(sync.store.ticket(deadline)?, now_ms) else {
            return Ok(false);
        };
        // After the ticket, so that the delta does not know less than what it is compared with.
        let Ok(items) = ItemRows(&sync.store).of(row.id) else {
            return Ok(false); // the listing is missing or damaged
        };
        let indexed = IndexedLibrary {
            row,
            items,
            added: Mutex::default(),
            may_shrink: row.library.is_exact(),
        };
        let SourceChanges::Known {
            removed_keys,
            mut cursor,
        } = self.source.changes(&row.library, &indexed, self.bounds)?
        else {
            return Ok(false);
        };
        let count = indexed.count()?.saturating_sub(removed_keys.len() as u64);
        let is_shrinking = !removed_keys.is_empty() && !indexed.accepts_shrinking_to(count)?;
        let mut replies = std::mem::take(&mut lock(&indexed.added).0);
        if is_shrinking || replies.len() + removed_keys.len() > MAX_DELTA_ITEMS {
            return Ok(false);
        }
        let shows: BTreeSet<String> = replies.values().map(|item| item.show_guid.clone()).collect();
        // What the source says about an item that it has just added is older than that the item is gone.
        for key in &removed_keys {
            replies.remove(key);
        }
        let mut items: Vec<(String, Option<Item>)> = replies.into_iter().map(|(key, item)| (key, Some(item))).collect();
        items.extend(removed_keys.into_iter().map(|key| (key, None)));
        // A local source needs no request, and its deltas replace listings.
        if self.source.abilities().local {
            self.refresh_shows(row)?;
        } else {
            self.refresh_unknown_shows(row, &shows)?;
        }
        // If the token is exact, the delta has the rivals, too.
        let rivals = |key: &str, gained: &Item| {
            if row.library.is_exact() {
                return Vec::new();
            }
            sync.items_with_files(row, key, &gained.parts)
        };
        let store_start = Instant::now();
        cursor.items = Some(count);
        cursor.newest_update = cursor.newest_update.or(cursor_of(row).newest_update);
        let folded = KnowledgeRows(&sync.store).fold_changes(
            row.id,
            &request,
            &items,
            (
                &|last| DeltaCursor::from_text(last).items != Some(count),
                &cursor.to_text(),
            ),
            &rivals,
            (sync.clock.now_ms(), deadline),
        )?;
        sync.counters.add_time(Activity::Store, store_start.elapsed());
        self.settle_rivals(ItemToVerify::all(row, folded.rivals).collect())?;
        Ok(true)
    }
}
