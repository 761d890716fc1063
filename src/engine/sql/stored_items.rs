//! A library's items: the segment of its listing, and the single items that win over it.

use std::borrow::Cow;
use std::error::Error as _;
use std::sync::Arc;

use super::library_rows::{LibraryRow, one_library};
use super::overlay::{Overlay, OverlayRow, SingleItem, overlay};
use super::schema::CachedStatements;
use super::store::Store;
use crate::engine::segment::ListingSegment;
use crate::error::{Error, Result, Status};
use crate::knowledge::{FileTickets, Interval, Knowledge, StoredItem};
use crate::model::{Item, LibraryId, Sequence};

/// Returns how many items a library has: a segment's items, and single items, which the segment has otherwise. Without a
/// segment, counts only the single items. `singles`: rating keys, and whether the library has the item.
pub fn count_items_with<'c>(
    segment: Option<&ListingSegment>,
    singles: impl IntoIterator<Item = (&'c str, bool)>,
) -> u64 {
    let mut count = segment.map_or(0, |segment| segment.head.items);
    for (key, is_there) in singles {
        // A changed item counts once: it is added here, and removed below if the segment also has it.
        count += u64::from(is_there);
        count -= u64::from(segment.is_some_and(|segment| segment.find(key).is_some()));
    }
    count
}

/// A listing's segment.
pub struct OpenListing {
    /// The segment; `None` if the library has no listing, or the segment cannot be opened.
    pub segment: Option<ListingSegment>,
    /// Whether the library has a listing, but its segment cannot be opened.
    pub is_lost: bool,
}

impl OpenListing {
    /// Opens a library's segment. If it cannot be opened, `segment` is `None`, so that only single items are found.
    /// `row`: as the caller's transaction reads it.
    pub fn of_row(store: &Store, row: &LibraryRow) -> Self {
        let segment = row.segment.as_ref().and_then(|name| store.listing_segment(name).ok());
        Self {
            is_lost: row.segment.is_some() && segment.is_none(),
            segment,
        }
    }

    /// Returns the item with this rating key. `single`: its row in the overlay. `base`: the interval of the listing.
    pub fn stored(&self, single: Option<OverlayRow>, rating_key: &str, base: Interval) -> StoredItem<Item> {
        // What a lost segment had is unknown.
        let single = single.filter(|single| single.item.is_change() || !self.is_lost);
        // An item that is as listed has no value of its own, which a delta could not know.
        let is_single = single.as_ref().is_some_and(|single| single.item.is_change());
        let interval = single
            .as_ref()
            .map_or_else(|| self.interval(rating_key, base), |single| single.interval);
        let value = match single.map(|single| single.item) {
            Some(SingleItem::Removed) => None,
            Some(SingleItem::Item { item, .. }) => Some(Arc::unwrap_or_clone(item)),
            Some(SingleItem::AsListed) | None => self.listed(rating_key),
        };
        StoredItem {
            value,
            interval,
            is_single,
        }
    }

    /// Returns when the server sent an item of the segment: not before the last request for it.
    fn interval(&self, rating_key: &str, base: Interval) -> Interval {
        let segment = self.segment.as_ref();
        let last = segment.and_then(|segment| Some(segment.last_ticket(segment.find(rating_key)?)));
        Interval {
            asked: base.asked.max(last.unwrap_or_default()),
            came: base.came,
        }
    }

    /// Returns the tickets of the requests that first showed the item with each of its files; 0 if that was the segment's
    /// listing, or earlier. `single`: the item's row in the overlay. `asked`: the ticket for what the library did not have.
    pub fn shown_since(&self, single: Option<&OverlayRow>, item: &Item, asked: Sequence) -> FileTickets {
        let listed = || {
            let segment = self.segment.as_ref()?;
            let first = segment.find(&item.rating_key)?;
            Some((
                Cow::Owned(segment.whole_item(first)?.parts),
                Cow::Owned(segment.shown(first)),
            ))
        };
        let stored = match single.map(|single| &single.item) {
            Some(SingleItem::Item { item, shown }) => Some((Cow::Borrowed(&item.parts), Cow::Borrowed(shown))),
            Some(SingleItem::Removed) => None,
            Some(SingleItem::AsListed) | None => listed(),
        };
        let Some((parts, shown)) = stored.filter(|_| !item.parts.is_empty()) else {
            return asked.into();
        };
        let stored_at = |part| parts.iter().position(|stored| stored == part);
        let shown_at = |part| stored_at(part).map_or(asked, |at| shown.of(at));
        FileTickets::new(item.parts.iter().map(shown_at).collect())
    }

    /// Returns an item as the segment has it.
    pub fn listed(&self, rating_key: &str) -> Option<Item> {
        let segment = self.segment.as_ref()?;
        segment.whole_item(segment.find(rating_key)?)
    }
}

impl Store {
    /// Opens a listing's segment. Each set of mappings has its own file with the same items; any file is sufficient.
    /// Fails if no file is usable. The error has a source if the operating system cannot read a file.
    pub fn listing_segment(&self, name: &str) -> Result<ListingSegment> {
        let (name_mac, mode) = (self.key().name_mac(name), self.map_mode());
        let mut failure = Error::new(Status::Store, "a listing's segment file is missing");
        for path in self.folder.files_of_segment(name)? {
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

/// What [`StoredItems::for_each`] calls.
pub type ItemVisitor<'v> = &'v mut dyn FnMut(Item, Sequence, &FileTickets) -> Result<()>;

/// The items in a library's current listing, as they were when it was opened.
pub struct StoredItems {
    /// The name of the segment; `None` without a listing.
    pub name: Option<String>,
    base: OpenListing,
    knowledge: Knowledge,
    overlay: Overlay,
    /// The ticket of the unfinished listing.
    begun: Option<Sequence>,
    /// See [`Self::assigned`].
    assigned: Sequence,
}

impl StoredItems {
    /// Returns the item with this rating key; `None` if the item is not listed.
    pub fn item(&self, rating_key: &str) -> Option<Item> {
        self.stored(rating_key).value
    }

    /// Returns the item with this rating key, and when the server sent it.
    pub fn stored(&self, rating_key: &str) -> StoredItem<Item> {
        let single = self.overlay.get(rating_key).cloned();
        self.base.stored(single, rating_key, self.knowledge.base)
    }

    /// Returns the ticket of the listing since which items without a ticket of their own have had their paths.
    pub fn assigned(&self) -> Sequence {
        let listed_at = self.assigned.0;
        let segment = self.base.segment.as_ref();
        Sequence(segment.map_or(listed_at, |segment| segment.assigned_or(listed_at)))
    }

    /// Returns the tickets of the requests that first showed the item with each of its files, as far as they are later than
    /// [`Self::assigned`], otherwise 0. `asked`: the ticket for what the library does not have.
    pub fn shown_since(&self, item: &Item, asked: Sequence) -> FileTickets {
        self.base.shown_since(self.overlay.get(&item.rating_key), item, asked)
    }

    /// Returns whether the item with this rating key is listed.
    pub fn has(&self, rating_key: &str) -> bool {
        self.item(rating_key).is_some()
    }

    /// Passes each item to `each`, in any order, with the ticket of the last request for it, 0 if that is the listing's, and
    /// those of the requests that first showed its files. Ignores replies after `upto`. Fails if the segment is damaged, or
    /// if `each` fails.
    pub fn for_each(&self, upto: Sequence, each: ItemVisitor<'_>) -> Result<()> {
        let is_in_time = |single: &&OverlayRow| single.interval.came <= upto;
        // First the unchanged items in the segment, then the single items.
        if let Some(segment) = &self.base.segment {
            segment.for_each_item(
                |item, last, shown| match self.overlay.get(&item.rating_key).filter(is_in_time) {
                    Some(single) if single.item.is_change() => Ok(()),
                    single => each(
                        item,
                        single.map_or(last, |single| last.max(single.interval.asked)),
                        shown,
                    ),
                },
            )?;
        }
        for single in self.overlay.values().filter(is_in_time) {
            if let SingleItem::Item { item, shown } = &single.item {
                each((**item).clone(), single.interval.asked, shown)?;
            }
        }
        Ok(())
    }

    /// Passes the rating keys of all items to `each`, in any order. Fails if the segment is damaged.
    pub fn for_each_key(&self, each: &mut dyn FnMut(&str)) -> Result<()> {
        if let Some(segment) = &self.base.segment {
            segment.for_each_key(|key| {
                if !self.overlay.get(key).is_some_and(|single| single.item.is_change()) {
                    each(key);
                }
            })?;
        }
        let added = self.changes().filter(|(_, single)| single.has_item());
        added.for_each(|(key, _)| each(key));
        Ok(())
    }

    /// Returns whether a new listing has the same content as the current one, and so needs no new segment. `count`,
    /// `content`: the new listing's item count and content digest.
    pub fn has_same_content(&self, count: u64, content: u64) -> bool {
        let segment = self.base.segment.as_ref();
        let has_content = segment.is_some_and(|segment| (segment.head.items, segment.head.content) == (count, content));
        has_content && self.changes().next().is_none()
    }

    /// Returns the number of items in the listing, with all single items.
    pub fn count(&self) -> u64 {
        let singles = self.changes().map(|(key, single)| (key, single.has_item()));
        count_items_with(self.base.segment.as_ref(), singles)
    }

    /// Returns when the last reply came that a new segment may include, and the last reply of all; 0 without one. A segment
    /// may include the replies that the last delta or listing knew, so that the next delta sees the others, and that came
    /// before the unfinished listing began.
    pub fn mergeable(&self) -> (Sequence, Sequence) {
        let changes = || self.changes().map(|(_, single)| single);
        let is_unknown = |single: &&OverlayRow| {
            let stored = StoredItem::<Item> {
                value: None,
                interval: single.interval,
                is_single: true,
            };
            !self.knowledge.had_at_last_sync(&stored)
        };
        let came = |single: &OverlayRow| single.interval.came;
        let unknown = changes().filter(is_unknown).map(came).chain(self.begun).min();
        let is_known = |came: &Sequence| unknown.is_none_or(|unknown| *came < unknown);
        let known = changes().map(came).filter(is_known).max();
        (known.unwrap_or_default(), changes().map(came).max().unwrap_or_default())
    }

    /// Returns the single items that the listing has otherwise.
    fn changes(&self) -> impl Iterator<Item = (&str, &OverlayRow)> {
        let singles = self.overlay.iter().map(|(key, single)| (&**key, single));
        singles.filter(|(_, single)| single.item.is_change())
    }
}

pub struct ItemRows<'s>(pub &'s Store);

impl ItemRows<'_> {
    /// Opens the items in a library's current listing or, if the library was never fetched, the items that searches
    /// found. Fails if the segment is missing or unusable.
    pub fn of(&self, library: LibraryId) -> Result<StoredItems> {
        let read = || {
            self.0.read(|c| {
                let row = one_library(c, library)?;
                let begun = c.find_value("SELECT asked FROM listings WHERE library = ?1", [library])?;
                Ok((row, overlay(c, library)?, begun))
            })
        };
        let mut read_now = read()?;
        loop {
            let (row, overlay, begun) = read_now;
            let segment = row
                .segment
                .as_ref()
                .map(|name| self.0.listing_segment(name))
                .transpose();
            // Another process may have replaced the segment since this thread read its name.
            if segment.is_err() {
                read_now = read()?;
                if read_now.0.segment != row.segment {
                    continue;
                }
            }
            return Ok(StoredItems {
                assigned: row.listed_sequence(),
                name: row.segment,
                base: OpenListing {
                    segment: segment?,
                    is_lost: false,
                },
                knowledge: row.knowledge,
                overlay,
                begun,
            });
        }
    }
}
