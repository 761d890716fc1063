//! Merges deltas (changes since the last listing) from sources that report changes. If a delta removes too many items
//! at once, plexindex fetches a full listing instead.

use std::sync::Mutex;
use std::time::Instant;

use super::job::{SyncJob, Synchronizer};
use crate::engine::{ItemRows, LibraryRow, Listing, StoredItems, Totals};
use crate::error::Result;
use crate::freshness;
use crate::model::{Item, Library, Sequence, TokenReliability};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;
use crate::source::{Delta, IndexedItems, SourceChanges};
use crate::stats::Activity;

/// Changes that a delta has merged.
#[derive(Default)]
pub struct MergedDelta {
    /// Added and changed items; empty unless the caller requested them.
    pub added: Vec<Item>,
    /// Rating keys of removed items.
    pub removed_keys: Vec<String>,
}

/// A library's stored items. The source compares its own items with these to find changes, and a delta changes them.
struct IndexedLibrary<'o> {
    sync: &'o Synchronizer,
    row: &'o LibraryRow,
    /// The change token of the library's listing.
    listed_token: &'o str,
    /// The library's items, from the current generation or from a listing that is not published yet.
    items: StoredItems<'o>,
    /// Whether `items` are from the current generation, and not from a listing that is not published yet.
    is_current: bool,
    /// The change sequence before plexindex read the source. Later changes are newer than the source's reply.
    begun_sequence: Sequence,
    /// Whether the library may lose any number of items at once, without a second listing as confirmation.
    may_shrink: bool,
    deadline: Deadline,
    /// Items added so far; `None` unless the caller requested them.
    added: Option<Mutex<Vec<Item>>>,
}

impl IndexedItems for IndexedLibrary<'_> {
    /// Returns the change token of the listing that the delta extends.
    fn base_token(&self) -> &str {
        self.listed_token
    }

    /// Stores new and changed items that the source found, unless plexindex has stored a change to them since the delta
    /// began. Skips items that cannot be stored. Also appends the items to `added` if the caller requested them.
    fn add(&self, items: &[Item]) -> Result<()> {
        let store_start = Instant::now();
        let valid: Vec<Item> = items.iter().filter(|item| item.is_storable()).cloned().collect();
        ItemRows(&self.sync.store).merge_items(self.row, &valid, Some(self.begun_sequence), self.deadline)?;
        self.sync.counters.add_time(Activity::Store, store_start.elapsed());
        if let Some(added) = &self.added {
            lock(added).extend(valid);
        }
        Ok(())
    }

    /// Returns whether the store contains an identical item, so that the source need not add it.
    fn has(&self, item: &Item) -> Result<bool> {
        Ok(self.items.item(&item.rating_key)?.as_ref() == Some(item))
    }

    /// Returns whether the store contains an item with one of these rating keys.
    fn has_any(&self, rating_keys: &[String]) -> Result<bool> {
        for key in rating_keys {
            if self.items.has(key)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the number of the library's stored items.
    fn count(&self) -> Result<u64> {
        self.items.count()
    }

    /// Returns the library's item count at the listing's change token; `None` for a listing that is not published yet.
    fn count_at_base(&self) -> Result<Option<u64>> {
        Ok(self.is_current.then_some(self.row.told_items))
    }

    /// Passes the rating keys of all stored items to `each`, in any order.
    fn keys(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        self.items.for_each_key(each)
    }

    /// Returns whether the library may shrink to this number of items without a second listing as confirmation.
    fn accepts_shrinking_to(&self, items: u64) -> Result<bool> {
        // The comparison uses the count before the delta, so that newly added items do not allow more removals.
        Ok(self.may_shrink || !freshness::shrank_too_much(self.row.items, items))
    }
}

impl SyncJob<'_> {
    /// Returns whether the source's change tokens are exact and its deltas complete, so that the server has certainly
    /// removed all items that the source does not list, however many.
    pub fn is_exact_and_complete(&self, library: &Library) -> bool {
        library.change.trust == TokenReliability::Exact && self.source.abilities().changes == Delta::Complete
    }

    /// Merges a library's changes, and returns them; `None` if a full listing is necessary. The returned changes
    /// include added items only if `keep_added` is true.
    pub fn delta(&self, row: &LibraryRow, keep_added: bool) -> Result<Option<MergedDelta>> {
        let sync = self.sync;
        if self.identity()?.is_none() || self.source.abilities().changes == Delta::None {
            return Ok(None);
        }
        let Ok(items) = ItemRows(&sync.store).of(row) else {
            return Ok(None); // the listing is missing or damaged
        };
        let indexed = IndexedLibrary {
            sync,
            row,
            listed_token: &row.listed_token,
            items,
            is_current: true,
            begun_sequence: Totals::of(&sync.store)?.sequence,
            may_shrink: self.is_exact_and_complete(&row.library),
            deadline: self.bounds.deadline,
            added: keep_added.then(Mutex::default),
        };
        let Some((items, removed_keys)) = self.merge_changes(&row.library, &indexed)? else {
            return Ok(None);
        };
        let now_ms = sync.clock.now_ms();
        let unsettled = freshness::is_unsettled(&row.library.change, now_ms);
        ItemRows(&sync.store).store_merged_delta(
            row,
            indexed.begun_sequence,
            items,
            now_ms,
            unsettled,
            self.bounds.deadline,
        )?;
        let added = indexed
            .added
            .map_or_else(Vec::new, |added| std::mem::take(&mut *lock(&added)));
        Ok(Some(MergedDelta { added, removed_keys }))
    }

    /// Merges changes that happened during a listing into `stored`, the listed items, before the listing is published.
    /// `listed_library`: the library's state after the listing. Returns the new number of items; `None` if the source
    /// cannot report all changes.
    pub fn merge_changes_during_listing(
        &self,
        row: &LibraryRow,
        listing: &Listing,
        listed_library: &Library,
        stored: StoredItems<'_>,
    ) -> Result<Option<u64>> {
        let listed = LibraryRow {
            items: stored.count()?,
            ..row.clone()
        };
        let indexed = IndexedLibrary {
            sync: self.sync,
            row: &listed,
            listed_token: &listing.change.token,
            items: stored,
            is_current: false,
            begun_sequence: Totals::of(&self.sync.store)?.sequence,
            may_shrink: self.is_exact_and_complete(listed_library),
            deadline: self.bounds.deadline,
            added: None,
        };
        Ok(self.merge_changes(listed_library, &indexed)?.map(|(items, _)| items))
    }

    /// Merges the changes that the source reports into the stored items (`stored`). Returns the remaining number of
    /// items and the rating keys of removed items; `None` if a full listing is necessary, because the source cannot
    /// report all changes or too many items are gone.
    fn merge_changes(&self, library: &Library, stored: &IndexedLibrary<'_>) -> Result<Option<(u64, Vec<String>)>> {
        let changes = self.source.changes(library, stored, self.bounds);
        let SourceChanges::Known { removed_keys: gone } = changes? else {
            return Ok(None);
        };
        let remaining_count = stored.count()?.saturating_sub(gone.len() as u64);
        if !gone.is_empty() && !stored.accepts_shrinking_to(remaining_count)? {
            return Ok(None);
        }
        for key in &gone {
            ItemRows(&self.sync.store).remove_item(stored.row, key, self.bounds.deadline)?;
        }
        Ok(Some((remaining_count, gone)))
    }
}
