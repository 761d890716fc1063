//! Publishes complete listings: replaces a library's segment, and reports the differences to the feed.

use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::params;
use xxhash_rust::xxh3::xxh3_64;

use super::feed_rows::MAX_FEED_ROWS;
use super::item_rows::count_items_with;
use super::knowledge_rows::Folding;
use super::library_rows::{LibraryRow, one_library};
use super::listings::{Listing, ListingResult, ListingRows, is_own, taken_over};
use super::overlay::count_changes;
use super::schema::{CachedStatements, Tx};
use super::store_folder::listing_text;
use super::sweeper::Sweeper;
use crate::engine::segment::{Difference, ListingSegment};
use crate::error::{Error, Result, Status};
use crate::knowledge::{Effects, Interval, ItemStore, Observation, Ticket};
use crate::model::{Item, ListingName};
use crate::platform::clock::Deadline;

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
    /// For each page, the end of its keys in `key_hashes`, and the ticket of its request.
    pub pages: Vec<(usize, Ticket)>,
}

impl NewListing {
    /// Maps each hash in `wanted` (hashes of rating keys) to the interval of the last page with the key. Omits keys
    /// that are on no page. A page had arrived when the next one was requested. `came`: the change sequence of the
    /// publication.
    fn intervals(&self, wanted: &HashSet<u64>, came: Ticket) -> HashMap<u64, Interval> {
        let mut intervals = HashMap::new();
        let mut page_start = 0;
        for (index, (end, asked)) in self.pages.iter().enumerate() {
            let next = self.pages.get(index + 1);
            let interval = Interval {
                asked: *asked,
                came: next.map_or(came, |(_, asked)| *asked),
            };
            for hash in self.key_hashes[page_start..*end]
                .iter()
                .filter(|hash| wanted.contains(hash))
            {
                intervals.insert(*hash, interval);
            }
            page_start = *end;
        }
        intervals
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
    /// A single item.
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
                // Without a new segment, the current generation must still be as the listing.
                let is_fetched = stored_row.generation.is_fetched();
                let has_changed = new.is_none() && (!is_fetched || count_changes(tx, listing.library)? > 0);
                if !is_own(tx, listing)? || has_changed {
                    return Ok(Published::TakenOver);
                }
                let folding = Folding::open(self.0, tx, listing.library, &|_, _| Vec::new())?;
                if compared
                    .as_ref()
                    .is_some_and(|compared| folding.row.segment != compared.segment)
                {
                    return Ok(Published::SegmentReplaced);
                }
                let whole = Interval {
                    asked: listing.asked,
                    came: tx.sequence,
                };
                let wanted = folding.item_keys().iter().map(|key| xxh3_64(key.as_bytes())).collect();
                let intervals = new.map(|new| new.intervals(&wanted, tx.sequence)).unwrap_or_default();
                let listed = |rating_key: &str| {
                    let Some(new) = new else {
                        return (folding.listed(rating_key), whole);
                    };
                    let item = new
                        .segment
                        .find(rating_key)
                        .and_then(|first| new.segment.whole_item(first));
                    // The hashes can collide, so an item that is not found is on no page.
                    let interval = intervals
                        .get(&xxh3_64(rating_key.as_bytes()))
                        .filter(|_| item.is_some());
                    (item, interval.copied().unwrap_or(whole))
                };
                let items = new.map_or(folding.row.items, |new| new.segment.item_count());
                let observation = Observation::Listing {
                    request: &listing.request(),
                    listed: &listed,
                    count: items,
                    is_whole: finished.is_whole,
                    may_shrink: true, // the caller has checked it
                    cursor: &finished.cursor,
                };
                let effects = folding.fold(&observation, listing.asked, finished.listed_ms)?;
                // The listing was evicted, or changes from after its begin are in the segment.
                if !effects.publishes {
                    tx.run("DELETE FROM listings WHERE library = ?1", [listing.library])?;
                    return Ok(Published::TakenOver);
                }
                if let (Some(new), Some(compared)) = (new, &compared) {
                    let publication = Publication::of(&folding, &effects);
                    publication.publish(tx, listing, new, compared)?;
                }
                folding.apply(&effects)?;
                tx.run("DELETE FROM listings WHERE library = ?1", [listing.library])?;
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

/// The single items that affect the publication of a listing.
struct Publication {
    /// The items that the current segment does not have so.
    singles: BTreeMap<String, Option<Item>>,
    /// Rating keys of those that are newer than the listing.
    kept: HashSet<String>,
}

impl Publication {
    /// Reads the single items. `effects`: what the listing changes.
    fn of(folding: &Folding<'_, '_>, effects: &Effects<Item>) -> Self {
        let singles = folding.singles().into_iter();
        Self {
            singles: singles.map(|(key, stored)| (key, stored.value)).collect(),
            kept: effects.put.iter().map(|(key, _)| key.clone()).collect(),
        }
    }

    /// Returns the single item that counts after the publication; `None` if the new segment counts.
    fn single_after(&self, key: &str) -> Option<&Option<Item>> {
        self.singles.get(key).filter(|_| self.kept.contains(key))
    }

    /// Makes the new segment current, and reports the differences to the feed. If there are too many differences,
    /// readers must list the library again.
    fn publish(&self, tx: &Tx<'_>, listing: &Listing, new: &NewListing, compared: &Comparison) -> rusqlite::Result<()> {
        let library = tx.expect_library(listing.library)?;
        let differences = self.differences(new, compared);
        let kept = self.singles.keys();
        let kept = kept.filter_map(|key| Some((&**key, self.single_after(key)?.is_some())));
        let items = count_items_with(Some(&new.segment), kept);
        tx.run(
            "UPDATE libraries SET listed_items = ?2, segment = ?3 WHERE id = ?1",
            params![listing.library, items.cast_signed(), listing_text(&new.name)],
        )?;
        // The generation changes only if the content does.
        if library.generation.is_fetched() && differences.as_ref().is_some_and(Vec::is_empty) {
            return Ok(());
        }
        tx.run(
            "UPDATE libraries SET generation = ?2 WHERE id = ?1",
            params![listing.library, tx.sequence],
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
            if !self.singles.contains_key(key) {
                differing.push((listed(old, was), listed(&new.segment, now)));
            }
        }
        // A single item can differ even if the segments do not.
        for (key, single) in &self.singles {
            let was = single.as_ref().map(Version::Single);
            let now = match self.single_after(key) {
                Some(kept) => kept.as_ref().map(Version::Single),
                None => listed(&new.segment, new.segment.find(key)),
            };
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
