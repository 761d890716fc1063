//! Publishes complete listings: replaces a library's segment, and reports the differences to the feed.

use std::collections::{HashMap, HashSet};

use rusqlite::params;
use xxhash_rust::xxh3::xxh3_64;

use super::change_log::Sweeper;
use super::feed_rows::MAX_FEED_ROWS;
use super::item_rows::{SingleChange, SingleChanges, count_items_with, single_changes};
use super::library_rows::{LibraryRow, one_library};
use super::listings::{Listing, ListingResult, ListingRows, is_own, taken_over};
use super::schema::{CachedStatements, Tx, last_position_of};
use super::store_folder::listing_text;
use crate::engine::segment::{Difference, ListingSegment};
use crate::error::{Error, Result, Status};
use crate::model::{Item, ListingName, Sequence, ViewId};
use crate::platform::deadline::Deadline;

/// Maximum number of changed items that the feed always reports. If a listing changes more items, and more than a fifth
/// of all items, readers must list again.
const RELIST_ABOVE: u64 = 20;
/// Maximum number of attempts to publish a listing if another process replaces the current segment during each attempt.
const MAX_COMPARISONS: usize = 4;

/// The segment of a complete listing that is not published yet.
pub struct NewListing {
    pub name: ListingName,
    pub segment: ListingSegment,
    /// Hashes of the rating keys, in page order.
    pub key_hashes: Vec<u64>,
    /// For each page, the end of its keys in `key_hashes`, and the change sequence at which plexindex requested it.
    pub pages: Vec<(usize, Sequence)>,
}

impl NewListing {
    /// Maps each hash in `wanted` (hashes of rating keys) to the change sequence at which plexindex requested the last
    /// page with the key. Omits keys that are on no page.
    fn last_requests(&self, wanted: &HashSet<u64>) -> HashMap<u64, Sequence> {
        let mut last_requested = HashMap::new();
        let mut page_start = 0;
        for (end, requested_at) in &self.pages {
            for hash in &self.key_hashes[page_start..*end] {
                if wanted.contains(hash) {
                    last_requested.insert(*hash, *requested_at);
                }
            }
            page_start = *end;
        }
        last_requested
    }
}

/// The differences between a library's current segment and a new segment.
struct Comparison {
    /// Name of the current segment; `None` if there is no current segment.
    segment: Option<ListingName>,
    old: Option<ListingSegment>,
    /// The differences; `None` if there are too many to report, or the current segment cannot be read.
    differences: Option<Vec<Difference>>,
}

/// The version of an item before or after a listing.
enum Version<'v> {
    /// In the current or the new segment: the item's entry number.
    Listed(&'v ListingSegment, u32),
    /// A single item from the change log.
    Single(&'v Item),
}

impl Version<'_> {
    /// Returns the item; `None` if its segment is damaged.
    fn item(&self) -> Option<Item> {
        match self {
            Self::Listed(segment, first) => segment.whole_item(*first),
            Self::Single(item) => Some((*item).clone()),
        }
    }
}

/// An item before and after a listing; `None` where the item is not listed.
type ItemDifference<'v> = (Option<Version<'v>>, Option<Version<'v>>);

/// The outcome of one attempt to publish a listing.
enum Published {
    Done(Box<LibraryRow>),
    /// Another process has taken over the listing.
    TakenOver,
    /// Another process replaced the current segment.
    SegmentReplaced,
}

impl ListingRows<'_> {
    /// Publishes a listing in one transaction, and returns the library's new row. `finished`: its time, and whether it
    /// may lack items. `new`: its segment; `None` if the current generation has the same content and stays current.
    ///
    /// # Errors
    /// [`Status::Timeout`] if another process has continued or restarted the listing; [`crate::error::Status::Store`],
    /// [`crate::error::Status::StoreFull`].
    pub fn finish_listing(
        &self,
        view_id: ViewId,
        listing: &Listing,
        finished: &ListingResult,
        new: Option<&NewListing>,
        deadline: Deadline,
    ) -> Result<LibraryRow> {
        for _ in 0..MAX_COMPARISONS {
            // Compare before the transaction, which then stays short. The transaction checks that no other process has
            // replaced the compared segment or taken over the listing.
            let compared = new.map(|new| self.compare(listing, new)).transpose()?;
            let published = self.0.write(deadline, |tx| {
                let stored_row = tx.expect_library(listing.library)?;
                // Without a new segment, the current generation must still exist.
                if !is_own(tx, listing)? || new.is_none() && !stored_row.generation.is_fetched() {
                    return Ok(Published::TakenOver);
                }
                if let (Some(new), Some(compared)) = (new, &compared) {
                    let row = one_library(tx, listing.library)?;
                    if row.segment != compared.segment {
                        return Ok(Published::SegmentReplaced);
                    }
                    Publication::of(tx, listing, new, row.segment_sequence)?.publish(tx, listing, new, compared)?;
                }
                set_finished(tx, view_id, listing, finished)?;
                let row = one_library(tx.connection, listing.library)?;
                Ok(Published::Done(Box::new(row)))
            })?;
            match published {
                Published::Done(row) => {
                    self.remove_pages(listing);
                    let replaced = compared.and_then(|compared| compared.segment);
                    if let Some(replaced) = replaced.filter(|name| row.segment != Some(*name)) {
                        Sweeper(self.0).remove_replaced(&listing_text(&replaced));
                    }
                    return Ok(*row);
                }
                Published::TakenOver => return Err(taken_over()),
                Published::SegmentReplaced => {}
            }
        }
        let why = "cannot publish the listing: the library's segment was replaced during each attempt; try again";
        Err(Error::new(Status::Timeout, why))
    }

    /// Compares a library's current segment with the new segment. Fails if the new segment is damaged. Segments never
    /// change, so the comparison needs no transaction.
    fn compare(&self, listing: &Listing, new: &NewListing) -> Result<Comparison> {
        let row = self.0.read(|c| one_library(c, listing.library))?;
        // The publication also reads blocks that the comparison skips, and must not take a damaged item for a missing
        // one.
        let old = row.segment.as_ref().and_then(|name| self.0.listing_segment(name).ok());
        let old = old.filter(|old| old.verify().is_ok());
        let limit = max_reported(new.segment.item_count());
        let differences = old.as_ref().and_then(|old| old.differences(&new.segment, limit).ok()?);
        // Without a current segment, the publication reads nothing that lookups do not verify. Mapping every block of
        // the new segment would then only cost memory.
        if old.is_some() && new.segment.verify().is_err() {
            let why = "cannot publish the listing: its segment is damaged; try again";
            return Err(Error::new(Status::Store, why));
        }
        Ok(Comparison {
            segment: row.segment,
            old,
            differences,
        })
    }
}

/// Returns the maximum number of changes that the feed reports for a listing with `items` items: a fifth of the items,
/// within bounds. If there are more changes, readers must list again.
fn max_reported(items: u64) -> usize {
    let max_changes = (items / 5).max(RELIST_ABOVE).min(MAX_FEED_ROWS.cast_unsigned());
    usize::try_from(max_changes).unwrap_or(usize::MAX)
}

/// The changes to single items that affect the publication of a listing.
struct Publication {
    /// The last change of each item that changed after the current segment was built or after the listing started.
    changes: SingleChanges,
    /// The change sequence up to which the current segment includes changes to single items.
    since: Sequence,
    /// The change sequence at which the listing started.
    begun: Sequence,
    /// Rating keys of items whose last change the listing replaces, because it was requested after the change.
    replaced: HashSet<String>,
}

impl Publication {
    /// Reads the changes to single items that affect a listing's publication: those since the current segment or the
    /// start of the listing. The listing replaces a change that was requested before its start, or before the page with
    /// the item. `since`: the change sequence up to which the current segment includes changes.
    fn of(tx: &Tx<'_>, listing: &Listing, new: &NewListing, since: Sequence) -> rusqlite::Result<Self> {
        let begun = listing.begun_sequence;
        let changes = single_changes(tx, listing.library, since.min(begun))?;
        let hash = |key: &String| xxh3_64(key.as_bytes());
        let newer = || changes.iter().filter(|(_, change)| change.sequence > begun);
        let requests = new.last_requests(&newer().map(|(key, _)| hash(key)).collect());
        let is_replaced = |(key, change): &(&String, &SingleChange)| {
            // `requests` contains hashes, which can collide, so also look up the key itself.
            let request = requests.get(&hash(key)).filter(|_| new.segment.find(key).is_some());
            change.requested_at < begun || request.is_some_and(|requested_at| *requested_at > change.requested_at)
        };
        let replaced = newer().filter(is_replaced).map(|(key, _)| key.clone()).collect();
        Ok(Self {
            changes,
            since,
            begun,
            replaced,
        })
    }

    /// Returns the change that decides whether and how an item is listed before the publication; `None` if the current
    /// segment decides, because it includes all changes.
    fn change_before(&self, key: &str) -> Option<&SingleChange> {
        self.changes.get(key).filter(|change| change.sequence > self.since)
    }

    /// Returns the change that decides whether and how an item is listed after the publication; `None` if the new
    /// segment decides, because it includes all changes.
    fn change_after(&self, key: &str) -> Option<&SingleChange> {
        let change = self.changes.get(key).filter(|change| change.sequence > self.begun);
        change.filter(|_| !self.replaced.contains(key))
    }

    /// Makes the new segment current, and reports the differences to the feed. If there are too many differences,
    /// readers must list the library again. Does nothing if a fetched library's items do not differ.
    fn publish(&self, tx: &Tx<'_>, listing: &Listing, new: &NewListing, compared: &Comparison) -> rusqlite::Result<()> {
        let library = tx.expect_library(listing.library)?;
        let differences = self.differences(new, compared);
        if differences.as_ref().is_some_and(Vec::is_empty) && library.generation.is_fetched() {
            return Ok(());
        }
        // The new segment contains newer versions of these items, so delete their logged changes (kinds 8 and 9).
        for key in &self.replaced {
            tx.run(
                "DELETE FROM changes WHERE library = ?1 AND rating_key = ?2 AND kind IN (8, 9) AND id > ?3",
                params![listing.library, key, last_position_of(listing.begun_sequence)],
            )?;
        }
        let later_changes = self
            .changes
            .keys()
            .filter_map(|key| Some((key, self.change_after(key)?)));
        let items = count_items_with(Some(&new.segment), later_changes);
        tx.run(
            "UPDATE libraries SET generation = ?2, generation_seq = ?3, listed_items = ?4, segment = ?5, \
             segment_seq = ?6 WHERE id = ?1",
            params![
                listing.library,
                listing.generation,
                tx.sequence,
                items.cast_signed(),
                listing_text(&new.name),
                listing.begun_sequence
            ],
        )?;
        match differences {
            Some(differences) if library.generation.is_fetched() && is_reported(&differences, items) => {
                differences.iter().try_for_each(|(was, now)| {
                    let [was, now] = [was, now].map(|version| item_of(version.as_ref()));
                    tx.add_to_feed(listing.library, was.as_ref(), now.as_ref())
                })
            }
            _ => tx.relist_in_feed(listing.library),
        }
    }

    /// Returns the items that differ between the library's current state (`was`) and the state to publish (`now`);
    /// `None` if `compared` does not contain the differences.
    fn differences<'v>(&'v self, new: &'v NewListing, compared: &'v Comparison) -> Option<Vec<ItemDifference<'v>>> {
        let old = compared.old.as_ref()?;
        let listed = |segment, first: Option<u32>| Some(Version::Listed(segment, first?));
        let mut differing: Vec<ItemDifference<'v>> = Vec::new();
        // Items without single changes differ only if the segments differ.
        for difference in compared.differences.as_ref()? {
            let (was, now) = match *difference {
                Difference::Added(now) => (None, Some(now)),
                Difference::Removed(was) => (Some(was), None),
                Difference::Changed(was, now) => (Some(was), Some(now)),
            };
            let key_in = |segment: &'v ListingSegment, first: Option<u32>| segment.key_and_path(first?);
            let (key, _) = key_in(old, was).or_else(|| key_in(&new.segment, now))?;
            if !self.changes.contains_key(key) {
                differing.push((listed(old, was), listed(&new.segment, now)));
            }
        }
        // An item with a single change can differ even if the segments do not. A change that a segment does not include
        // replaces the segment's version.
        let version = |change: Option<&'v SingleChange>, listed: Option<Version<'v>>| match change {
            Some(SingleChange { item, .. }) => item.as_ref().map(Version::Single),
            None => listed,
        };
        for key in self.changes.keys() {
            let was = version(self.change_before(key), listed(old, old.find(key)));
            let now = version(self.change_after(key), listed(&new.segment, new.segment.find(key)));
            if item_of(was.as_ref()) != item_of(now.as_ref()) {
                differing.push((was, now));
            }
        }
        Some(differing)
    }
}

/// Returns a version's item; `None` if there is no version, or if its segment is damaged.
fn item_of(version: Option<&Version<'_>>) -> Option<Item> {
    version.and_then(Version::item)
}

/// Returns whether the differences are few enough for the feed to report each difference. `items`: the library's item
/// count. A removal and an addition can be one change, so the larger of two counts decides: the differing items that
/// were listed before, and those that are listed after.
fn is_reported(differences: &[ItemDifference<'_>], items: u64) -> bool {
    let count = |has: fn(&ItemDifference<'_>) -> bool| differences.iter().filter(|one| has(one)).count();
    count(|(was, _)| was.is_some()).max(count(|(_, now)| now.is_some())) <= max_reported(items)
}

/// Stores the change token and the times of a finished listing, and ends hints and invalidations from before the
/// listing. Logs the change for other processes.
fn set_finished(tx: &Tx<'_>, view_id: ViewId, listing: &Listing, finished: &ListingResult) -> rusqlite::Result<()> {
    let id = listing.library;
    // The column `provisional` is 1 if a scan ran during the fetch, and 2 if item counts disagree. `shrunk` is -1 if no
    // listing is held back.
    tx.run(
        "UPDATE libraries SET told_items = listed_items, listed_token = ?2, listed_ms = ?3, checked_ms = ?3, \
         provisional = ?4, begun_seq = ?5, merged_seq = ?5, explained_seq = ?5, left_out = ?6, unexplained_seq = 0, shrunk = -1, \
         hint = CASE WHEN hint_seq <= ?5 THEN 0 ELSE hint END WHERE id = ?1",
        params![
            id,
            listing.change.token,
            finished.listed_ms,
            i64::from(finished.provisional) + i64::from(finished.provisional && finished.partial),
            listing.begun_sequence,
            finished.left_out.cast_signed(),
        ],
    )?;
    tx.run("DELETE FROM listings WHERE library = ?1", [id])?;
    tx.run(
        "DELETE FROM unverified WHERE library = ?1 AND sequence < ?2",
        params![id, listing.begun_sequence],
    )?;
    tx.libraries_changed(view_id)
}
