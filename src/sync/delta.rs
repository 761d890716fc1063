//! Merges deltas (changes since the last listing) from sources that report changes. If a delta removes too many items
//! at once, plexindex fetches a full listing instead.

use std::collections::{BTreeSet, HashSet};
use std::sync::Mutex;
use std::time::Instant;

use super::job::{SyncJob, Synchronizer};
use crate::engine::{ItemRows, LibraryRow, Listing, MergedChanges, StoredItems};
use crate::error::{Result, RetryAdvice, Status};
use crate::freshness;
use crate::matching::{LibraryIndex, NormalPath};
use crate::model::{ByteString, Item, Library, Sequence, TokenReliability};
use crate::platform::deadline::Deadline;
use crate::platform::mutex::lock;
use crate::source::{Delta, DeltaWatermark, IndexedItems, SourceChanges};
use crate::stats::Activity;

/// Maximum number of items that plexindex asks about because their files belong to other items.
const MAX_RIVALS: usize = 256;

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
    /// Rating keys of the items that the source added.
    added_keys: Mutex<HashSet<String>>,
    /// The change sequence after the last of them was added.
    added_sequence: Mutex<Sequence>,
    /// Files that these items did not have before.
    new_files: Mutex<Vec<ByteString>>,
    /// GUIDs of these items' shows.
    shows: Mutex<BTreeSet<String>>,
    /// Whether the library may lose any number of items at once, without a second listing as confirmation.
    may_shrink: bool,
    deadline: Deadline,
}

impl<'o> IndexedLibrary<'o> {
    /// `listed`: the change token of the listing, and the listed items. `library`: the library's current state.
    fn new(
        job: &SyncJob<'o>,
        row: &'o LibraryRow,
        (listed_token, items): (&'o str, StoredItems<'o>),
        library: &Library,
    ) -> Result<Self> {
        Ok(Self {
            sync: job.sync,
            row,
            listed_token,
            items,
            is_current: true,
            begun_sequence: job.sync.store.sequence()?,
            added_keys: Mutex::default(),
            added_sequence: Mutex::default(),
            new_files: Mutex::default(),
            shows: Mutex::default(),
            may_shrink: job.is_exact_and_complete(library),
            deadline: job.bounds.deadline,
        })
    }
}

impl IndexedItems for IndexedLibrary<'_> {
    /// Returns the change token of the listing that the delta extends.
    fn base_token(&self) -> &str {
        self.listed_token
    }

    /// Stores new and changed items that the source found, unless plexindex has stored a change to them since the delta
    /// began. Skips items that cannot be stored.
    fn add(&self, items: &[Item]) -> Result<()> {
        let store_start = Instant::now();
        let valid: Vec<Item> = items.iter().filter(|item| item.is_storable()).cloned().collect();
        for item in &valid {
            let before = self.items.item(&item.rating_key)?.unwrap_or_default();
            let new_files = item.parts.iter().filter(|file| !before.parts.contains(file));
            lock(&self.new_files).extend(new_files.cloned());
            lock(&self.added_keys).insert(item.rating_key.clone());
            lock(&self.shows).insert(item.show_guid.clone());
        }
        ItemRows(&self.sync.store).merge_items(self.row, &valid, self.begun_sequence, self.deadline)?;
        *lock(&self.added_sequence) = self.sync.store.sequence()?;
        self.sync.counters.add_time(Activity::Store, store_start.elapsed());
        Ok(())
    }

    /// Returns whether the store has contained an identical item since the last delta or listing, so that the source
    /// need not add it.
    fn has(&self, item: &Item) -> Result<bool> {
        let stored = self.items.item_and_sequence(&item.rating_key)?;
        Ok(stored.is_some_and(|(stored, sequence)| stored == *item && sequence <= self.row.merged_sequence))
    }

    /// Returns where the last delta ended.
    fn watermark(&self) -> DeltaWatermark {
        DeltaWatermark {
            newest_update: self.row.newest_update,
            left_out: self.row.left_out,
        }
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

    /// Merges a library's changes. Returns `false` if a full listing is necessary.
    pub fn delta(&self, row: &LibraryRow) -> Result<bool> {
        let sync = self.sync;
        if self.view_id()?.is_none() || self.source.abilities().changes == Delta::None {
            return Ok(false);
        }
        let Ok(items) = ItemRows(&sync.store).of(row) else {
            return Ok(false); // the listing is missing or damaged
        };
        let indexed = IndexedLibrary::new(self, row, (&row.listed_token, items), &row.library)?;
        let Some((items, removed_keys, watermark)) = self.merge_changes(&row.library, &indexed)? else {
            return Ok(false);
        };
        // A local source needs no request, and its deltas replace listings.
        if self.source.abilities().local {
            self.refresh_shows(row)?;
        } else {
            self.refresh_unknown_shows(row, &lock(&indexed.shows))?;
        }
        let mut keys = std::mem::take(&mut *lock(&indexed.added_keys));
        keys.extend(removed_keys);
        let new_files = match self.source.abilities().changes {
            Delta::Complete => Vec::new(),
            Delta::None | Delta::Mostly => std::mem::take(&mut *lock(&indexed.new_files)),
        };
        let rivals = sync.items_with_files(row, &new_files, &keys);
        let are_settled = self.settle_rivals(row, rivals, &mut keys);
        let now_ms = sync.clock.now_ms();
        let merged = MergedChanges {
            items,
            keys: &keys,
            newest_update: watermark.newest_update,
            left_out: watermark.left_out,
            changed_content: freshness::has_changed_content(&row.listed_token, &row.library.change),
            is_unexplained: !are_settled?,
            provisional: freshness::is_unsettled(&row.library.change, now_ms),
        };
        let deadline = self.bounds.deadline;
        ItemRows(&sync.store).store_merged_delta(row, indexed.begun_sequence, &merged, now_ms, deadline)?;
        Ok(true)
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
            is_current: false,
            ..IndexedLibrary::new(self, &listed, (&listing.change.token, stored), listed_library)?
        };
        Ok(self.merge_changes(listed_library, &indexed)?.map(|(items, ..)| items))
    }

    /// Asks the server about `rivals`, the items that have a file of an item that was added or changed, because nothing
    /// else may show that an older item lost its file; and so on for the files that these items have now. Skips the
    /// items in `known`, and adds the others. Returns whether the server answered for all items.
    pub(super) fn settle_rivals(
        &self,
        row: &LibraryRow,
        mut rivals: Vec<String>,
        known: &mut HashSet<String>,
    ) -> Result<bool> {
        let (rows, deadline) = (ItemRows(&self.sync.store), self.bounds.deadline);
        let mut room = MAX_RIVALS;
        while !rivals.is_empty() {
            if rivals.len() > room || !self.source.abilities().items {
                return Ok(false);
            }
            room -= rivals.len();
            let requested_at = self.sync.store.sequence()?;
            let keys: Vec<&str> = rivals.iter().map(String::as_str).collect();
            let located = match self.source.items(&keys, self.bounds) {
                Ok(located) => located,
                Err(error) if error.status.retry_advice() == RetryAdvice::NothingThere => Vec::new(),
                Err(error) if error.status == Status::Aborted => return Err(error),
                Err(error) => {
                    log::warn!("cannot find out which item has a file: {error}; a full listing will show it");
                    return Ok(false);
                }
            };
            let mut files = Vec::new();
            for key in rivals {
                match located.iter().find(|located| located.item.rating_key == key) {
                    Some(located) if located.is_in(&row.library.section) => {
                        rows.merge_items(row, std::slice::from_ref(&located.item), requested_at, deadline)?;
                        files.extend_from_slice(&located.item.parts);
                    }
                    _ => {
                        rows.remove_items(row, &[&key], requested_at, deadline)?;
                    }
                }
                known.insert(key);
            }
            rivals = self.sync.items_with_files(row, &files, known);
        }
        Ok(true)
    }

    /// Merges the changes that the source reports into the stored items (`stored`). Returns the remaining number of
    /// items, the rating keys of removed items, and where the next delta may end; `None` if a full listing is
    /// necessary, because the source cannot report all changes or too many items are gone.
    fn merge_changes(
        &self,
        library: &Library,
        stored: &IndexedLibrary<'_>,
    ) -> Result<Option<(u64, Vec<String>, DeltaWatermark)>> {
        let changes = self.source.changes(library, stored, self.bounds);
        let SourceChanges::Known {
            removed_keys: gone,
            watermark,
        } = changes?
        else {
            return Ok(None);
        };
        let remaining_count = stored.count()?.saturating_sub(gone.len() as u64);
        if !gone.is_empty() && !stored.accepts_shrinking_to(remaining_count)? {
            return Ok(None);
        }
        // What the source says about an item that it has just added is newer than the rest.
        let is_added = |key: &&String| lock(&stored.added_keys).contains(*key);
        let (added, others): (Vec<&String>, Vec<&String>) = gone.iter().partition(is_added);
        let added_at = *lock(&stored.added_sequence);
        for (keys, requested_at) in [(added, added_at), (others, stored.begun_sequence)] {
            ItemRows(&self.sync.store).remove_items(stored.row, &keys, requested_at, self.bounds.deadline)?;
        }
        Ok(Some((remaining_count, gone, watermark)))
    }
}

impl Synchronizer {
    /// Returns the rating keys of the library's items that have one of these files, except the items in `others`. Uses
    /// the current snapshot, which may lack the newest changes.
    pub(super) fn items_with_files(
        &self,
        row: &LibraryRow,
        files: &[ByteString],
        others: &HashSet<String>,
    ) -> Vec<String> {
        let snapshot = self.reading.snapshot();
        let Some(index) = snapshot.rows.iter().position(|other| other.id == row.id) else {
            return Vec::new();
        };
        let view = &snapshot.libraries[index];
        let mut keys = BTreeSet::new();
        for file in files {
            NormalPath::with(file.as_bytes(), |path| {
                view.each_listed(path, |hit, _| {
                    let key = view.key_and_path(hit).map(|(key, _)| key);
                    keys.extend(key.filter(|key| !others.contains(*key)).map(str::to_owned));
                });
            });
        }
        keys.into_iter().collect()
    }
}
