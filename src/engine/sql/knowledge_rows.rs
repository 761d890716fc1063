//! What is known about libraries and their items: folds probes and other replies into it. A library's items are the segment of its
//! listing, and the single items that win over it.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::error::Error as _;
use std::sync::Arc;

use rusqlite::params;

use super::doubts::doubts_of;
use super::evicting::remove_vanished;
use super::feed_rows::{MAX_FEED_ROWS, trim_feed};
use super::library_rows::{LibraryRow, LibraryRows, all_libraries, libraries, one_library, to_json, upsert};
use super::overlay::{Overlay, OverlayRow, SingleItem, overlay, overlay_row};
use super::schema::{CachedStatements, LibraryState, Tx};
use super::store::Store;
use crate::engine::segment::ListingSegment;
use crate::error::{Error, Result, Status};
use crate::knowledge::{
    Cause, Doubt, DoubtScope, Effects, Interval, ItemStore, Knowledge, Observation, StandardRules, StoredItem,
    SyncRequest, Ticket, fold,
};
use crate::model::{Item, Library, LibraryId, Sequence, ViewId};
use crate::platform::clock::Deadline;

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

    /// Returns when the server sent an item of the segment: not before the request that first showed its paths.
    fn interval(&self, rating_key: &str, base: Interval) -> Interval {
        let segment = self.segment.as_ref();
        let first = segment.and_then(|segment| Some(segment.added_sequence(segment.find(rating_key)?)));
        Interval {
            asked: base.asked.max(Sequence(first.unwrap_or_default())),
            came: base.came,
        }
    }

    /// Returns the ticket of the request that first showed an item with these files; 0 if that was the segment's listing, or
    /// earlier. `None` if the library has no such item. `single`: its row in the overlay.
    fn shown_since(&self, single: Option<&OverlayRow>, item: &Item) -> Option<Sequence> {
        match single.map(|single| &single.item) {
            Some(SingleItem::Item { item: stored, shown }) => (stored.parts == item.parts).then_some(*shown),
            Some(SingleItem::Removed) => None,
            Some(SingleItem::AsListed) | None => {
                let segment = self.segment.as_ref()?;
                let first = segment.find(&item.rating_key)?;
                let stored = segment.whole_item(first)?;
                (stored.parts == item.parts).then(|| Sequence(segment.added_sequence(first)))
            }
        }
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

/// The items in a library's current listing, as they were when it was opened.
pub struct StoredItems {
    /// The name of the segment; `None` without a listing.
    pub name: Option<String>,
    base: OpenListing,
    knowledge: Knowledge,
    overlay: Overlay,
    /// The ticket of the unfinished listing.
    begun: Option<Sequence>,
    /// Whether a path is doubted, which leads only to items that a request has shown since.
    has_doubted_paths: bool,
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

    /// Returns the ticket of the request that first showed an item with these paths, as far as it is later than
    /// [`Self::assigned`], otherwise 0; `None` if the library has no such item.
    pub fn shown_since(&self, item: &Item) -> Option<Sequence> {
        self.base.shown_since(self.overlay.get(&item.rating_key), item)
    }

    /// Returns whether the item with this rating key is listed.
    pub fn has(&self, rating_key: &str) -> bool {
        self.item(rating_key).is_some()
    }

    /// Passes each item to `each`, in any order, with the ticket of the request for a single item; 0 if the item is from
    /// the listing. Ignores replies after `upto`. Fails if the segment is damaged, or if `each` fails.
    pub fn for_each(&self, upto: Sequence, each: &mut dyn FnMut(Item, Sequence) -> Result<()>) -> Result<()> {
        let is_in_time = |single: &&OverlayRow| single.interval.came <= upto;
        // First the unchanged items in the segment, then the single items.
        if let Some(segment) = &self.base.segment {
            segment.for_each_item(|item, added_sequence| {
                match self.overlay.get(&item.rating_key).filter(is_in_time) {
                    Some(single) if single.item.is_change() => Ok(()),
                    // For doubted paths, a request that brought the item as listed tells the same as one that brought
                    // another. Otherwise, only the request that first showed its paths counts.
                    single => {
                        let asked = single.filter(|_| self.has_doubted_paths);
                        let asked = asked.map_or(Sequence::default(), |single| single.interval.asked);
                        each(item, asked.max(Sequence(added_sequence)))
                    }
                }
            })?;
        }
        for single in self.overlay.values().filter(is_in_time) {
            if let SingleItem::Item { item, shown } = &single.item {
                let asked = if self.has_doubted_paths {
                    single.interval.asked
                } else {
                    *shown
                };
                each((**item).clone(), asked)?;
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
                let doubted = "SELECT 1 FROM doubts WHERE library = ?1 AND path <> x'' LIMIT 1";
                let has_doubted_paths = c.find_value::<i64>(doubted, [library])?.is_some();
                Ok((row, overlay(c, library)?, begun, has_doubted_paths))
            })
        };
        let mut read_now = read()?;
        loop {
            let (row, overlay, begun, has_doubted_paths) = read_now;
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
                has_doubted_paths,
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

/// Maximum number of items in a delta, whose transaction would otherwise keep other writers waiting.
pub const MAX_DELTA_ITEMS: usize = 10_000;

/// A rating key with the server's item; `None` if the server does not have it.
pub type ItemReply = (String, Option<Item>);
/// Replies about items.
pub type Replies = [ItemReply];

/// Returns the rating keys of the other items that have one of these files.
pub type RivalsOf<'r> = &'r dyn Fn(&str, &Item) -> Vec<String>;

/// What folding a reply about items has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Whether the store now has all these replies. If not, a later reply counts, or the server must decide.
    pub are_stored: bool,
    /// Rating keys of items that have a file which another item has gained.
    pub rivals: Vec<String>,
}

impl Tx<'_> {
    /// Writes what is known about a library.
    pub fn write_knowledge(&self, library: LibraryId, knowledge: &Knowledge) -> rusqlite::Result<()> {
        self.run(
            "UPDATE libraries SET knowledge = ?2 WHERE id = ?1",
            params![library, to_json(knowledge)?],
        )
    }
}

/// A library as a transaction reads it, into which the transaction folds a reply.
pub struct Folding<'t, 'c> {
    store: &'t Store,
    pub tx: &'t Tx<'c>,
    library: LibraryState,
    /// The library's row.
    pub row: LibraryRow,
    base: OnceCell<OpenListing>,
    overlay: OnceCell<Overlay>,
    /// All doubts about the library, its items and its paths.
    doubts: Vec<Doubt>,
    rivals: RivalsOf<'t>,
    /// Items that were read, by rating key.
    read: RefCell<HashMap<String, StoredItem<Item>>>,
    /// The first error of a read.
    error: RefCell<Option<rusqlite::Error>>,
}

impl<'t, 'c> Folding<'t, 'c> {
    /// Reads a library. Fails if it does not exist any more. `rivals`: see [`RivalsOf`].
    pub fn open(store: &'t Store, tx: &'t Tx<'c>, library: LibraryId, rivals: RivalsOf<'t>) -> rusqlite::Result<Self> {
        let (library, row) = (tx.expect_library(library)?, one_library(tx, library)?);
        Ok(Self {
            store,
            base: OnceCell::new(),
            overlay: OnceCell::new(),
            doubts: doubts_of(tx, library.id)?,
            tx,
            library,
            row,
            rivals,
            read: RefCell::default(),
            error: RefCell::default(),
        })
    }

    /// Opens the current listing, at the first use: a probe's reply needs none.
    fn base(&self) -> &OpenListing {
        self.base.get_or_init(|| OpenListing::of_row(self.store, &self.row))
    }

    /// Returns an item as the current listing has it.
    pub fn listed(&self, rating_key: &str) -> Option<Item> {
        self.base().listed(rating_key)
    }

    /// Returns the rating keys of the items that are single, or doubted.
    pub fn item_keys(&self) -> Vec<String> {
        let doubted = self.doubts.iter().filter_map(|doubt| match &doubt.scope {
            DoubtScope::Item(rating_key) => Some(rating_key.clone()),
            _ => None,
        });
        doubted.chain(self.overlay().keys().cloned()).collect()
    }

    /// Returns the single items, as they were at the first use.
    fn overlay(&self) -> &Overlay {
        let read = || self.checked(overlay(self.tx, self.library.id));
        self.overlay.get_or_init(read)
    }

    /// Returns what a reply changes, which came now. `asked`: the ticket of its request.
    pub fn fold(
        &self,
        observation: &Observation<'_, Item>,
        asked: Ticket,
        now_ms: i64,
    ) -> rusqlite::Result<Effects<Item>> {
        let interval = Interval {
            asked,
            came: self.tx.sequence,
        };
        let effects =
            fold::<StandardRules, Item>(&self.row.knowledge, &self.doubts, self, observation, interval, now_ms);
        self.error.take().map_or(Ok(effects), Err)
    }

    /// Writes what a reply changes.
    pub fn apply(&self, effects: &Effects<Item>) -> rusqlite::Result<()> {
        let (tx, id) = (self.tx, self.library.id);
        if effects.publishes {
            tx.trim_overlay(id, tx.sequence)?; // the listing has them, or `put` writes them again
        }
        for (rating_key, new) in &effects.put {
            self.put(rating_key, new, effects.publishes)?;
        }
        tx.end_doubts(id, &effects.end)?;
        for doubt in &effects.raise {
            tx.store_doubt(id, doubt, b"")?;
        }
        let is_known = effects.knowledge == self.row.knowledge;
        if !is_known {
            tx.write_knowledge(id, &effects.knowledge)?;
        }
        // A reply about an item also tells that its doubts have ended; a new snapshot reads all doubts.
        let ended_or_raised = effects.end.iter().chain(&effects.raise);
        if !is_known || ended_or_raised.into_iter().any(Doubt::is_about_library) {
            tx.libraries_changed(self.library.view_id)?;
        }
        Ok(())
    }

    /// Writes a single item. `publishes`: a listing that the item is newer than becomes current.
    fn put(&self, rating_key: &str, new: &StoredItem<Item>, publishes: bool) -> rusqlite::Result<()> {
        let (tx, id) = (self.tx, self.library.id);
        let (interval, item) = (new.interval, new.value.as_ref());
        let changed = |single: Option<&OverlayRow>| match item {
            None => SingleItem::Removed,
            Some(item) => SingleItem::Item {
                item: Arc::new(item.clone()),
                shown: self.base().shown_since(single, item).unwrap_or(interval.asked),
            },
        };
        if publishes {
            let changed = changed(self.overlay().get(rating_key));
            return tx.write_overlay(id, rating_key, interval, &changed); // the publication reports the differences
        }
        let old = self.get(rating_key);
        self.read.borrow_mut().insert(rating_key.to_owned(), new.clone()); // a reply can have the item twice
        // A compaction may be writing the row of a single item, which this one replaces.
        if !old.is_single && item.is_some() && old.value == new.value && self.listed(rating_key) == new.value {
            return tx.write_overlay(id, rating_key, interval, &SingleItem::AsListed);
        }
        let single = overlay_row(tx, id, rating_key)?;
        tx.write_overlay(id, rating_key, interval, &changed(single.as_ref()))?;
        if old.value == new.value {
            return Ok(());
        }
        if self.library.generation.is_fetched() {
            tx.add_to_feed(id, old.value.as_ref(), item)?;
            if self.base().is_lost && !old.is_single {
                tx.relist_in_feed(id)?; // which files the item had is unknown
            }
        }
        let added = i64::from(item.is_some()) - i64::from(old.value.is_some());
        tx.run(
            "UPDATE libraries SET listed_items = max(listed_items + ?2, 0) WHERE id = ?1",
            params![id, added],
        )
    }

    fn checked<T: Default>(&self, read: rusqlite::Result<T>) -> T {
        read.unwrap_or_else(|error| {
            self.error.borrow_mut().get_or_insert(error);
            T::default()
        })
    }

    /// Reads an item from the transaction.
    fn stored(&self, rating_key: &str) -> rusqlite::Result<StoredItem<Item>> {
        let single = overlay_row(self.tx, self.library.id, rating_key)?;
        Ok(self.base().stored(single, rating_key, self.row.knowledge.base))
    }
}

impl ItemStore<Item> for Folding<'_, '_> {
    fn get(&self, rating_key: &str) -> StoredItem<Item> {
        if let Some(known) = self.read.borrow().get(rating_key) {
            return known.clone();
        }
        let stored = self.checked(self.stored(rating_key));
        self.read.borrow_mut().insert(rating_key.to_owned(), stored.clone());
        stored
    }

    fn singles(&self) -> Vec<(String, StoredItem<Item>)> {
        let base = self.row.knowledge.base;
        let stored = |(key, single): (&String, &OverlayRow)| {
            let stored = self.base().stored(Some(single.clone()), key, base);
            (key.clone(), stored)
        };
        self.overlay().iter().map(stored).collect()
    }

    fn rivals(&self, rating_key: &str, value: &Item) -> Vec<String> {
        let known = self.get(rating_key).value.unwrap_or_default();
        let gained = value.parts.iter().filter(|file| !known.parts.contains(file));
        let gained = Item {
            parts: gained.cloned().collect(),
            ..Item::default()
        };
        if gained.parts.is_empty() {
            return Vec::new();
        }
        (self.rivals)(rating_key, &gained)
    }
}

/// Folds replies about items into what is known about a library.
pub struct KnowledgeRows<'s>(pub &'s Store);

impl KnowledgeRows<'_> {
    /// Folds single items. `asked`: the ticket of the request. `are_doubted`: whether the items were doubted, so that a
    /// difference is no surprise.
    pub fn fold_items(
        &self,
        library: LibraryId,
        items: &Replies,
        (asked, are_doubted): (Ticket, bool),
        rivals: RivalsOf<'_>,
        now_ms: i64,
        deadline: Deadline,
    ) -> Result<Folded> {
        if items.is_empty() {
            return Ok(Folded {
                are_stored: true,
                ..Folded::default()
            });
        }
        let observe = |_: &Knowledge| Observation::Items { items, are_doubted };
        self.fold(library, (asked, items), &observe, rivals, (now_ms, deadline))
    }

    /// Folds a delta. `is_resized`: whether the number of items differs from that at a cursor. `cursor`: see
    /// [`Observation::Changes`].
    pub fn fold_changes(
        &self,
        library: LibraryId,
        request: &SyncRequest,
        items: &Replies,
        (is_resized, cursor): (&dyn Fn(&str) -> bool, &str),
        rivals: RivalsOf<'_>,
        times: (i64, Deadline),
    ) -> Result<Folded> {
        let observe = |known: &Knowledge| Observation::Changes {
            request,
            items,
            is_resized: known.listing.as_ref().is_some_and(|last| is_resized(&last.cursor)),
            cursor,
        };
        self.fold(library, (request.asked, items), &observe, rivals, times)
    }

    /// Folds what a reply about items says. `observe`: what it says, given what is known.
    fn fold<'o>(
        &self,
        library: LibraryId,
        (asked, items): (Ticket, &Replies),
        observe: &dyn Fn(&Knowledge) -> Observation<'o, Item>,
        rivals: RivalsOf<'_>,
        (now_ms, deadline): (i64, Deadline),
    ) -> Result<Folded> {
        self.0.write(deadline, |tx| {
            let folding = Folding::open(self.0, tx, library, rivals)?;
            let effects = folding.fold(&observe(&folding.row.knowledge), asked, now_ms)?;
            folding.apply(&effects)?;
            Ok(Folded::of(items, &effects))
        })
    }
}

impl Folded {
    fn of(items: &Replies, effects: &Effects<Item>) -> Self {
        // One row for each item, in order; none if the delta extends another listing.
        let stored = effects.put.iter().map(|(_, stored)| &stored.value);
        let rivals = effects.raise.iter().filter(|doubt| doubt.cause == Cause::Rival);
        Self {
            are_stored: items.iter().map(|(_, item)| item).eq(stored),
            rivals: rivals
                .filter_map(|doubt| match &doubt.scope {
                    DoubtScope::Item(rating_key) => Some(rating_key.clone()),
                    _ => None,
                })
                .collect(),
        }
    }
}

impl LibraryRows<'_> {
    /// Stores the libraries that a probe returned (`on_server`), and folds their states. Returns the rows of all the view's
    /// libraries. `asked`: the probe's ticket. A reply to a later probe decides which libraries there are.
    pub fn store_probe(
        &self,
        view_id: ViewId,
        on_server: &[Library],
        asked: Ticket,
        now_ms: i64,
        deadline: Deadline,
    ) -> Result<Vec<LibraryRow>> {
        self.0.write(deadline, |tx| {
            // Fails if the view belongs to a database that has since been renamed to `.broken`.
            tx.row("SELECT 1 FROM views WHERE id = ?1", [view_id], |_| Ok(()))?;
            let all = all_libraries(tx.connection, view_id)?;
            // Also a list without a library tells of it.
            let last = all.iter().map(LibraryRow::probed_at).max().unwrap_or_default();
            let (stored, gone): (Vec<LibraryRow>, Vec<LibraryRow>) = all.into_iter().partition(|row| row.present);
            let is_latest = last < asked;
            if on_server.is_empty() && is_latest && hold_back_empty_list(tx, view_id, &stored, asked, now_ms)? {
                return libraries(tx.connection, view_id);
            }
            let mut ids = Vec::new();
            for library in on_server {
                let known = stored.iter().find(|row| row.library.uuid == library.uuid);
                // What was doubted of a library that was not there is not known.
                let was_gone = is_latest && gone.iter().any(|row| row.library.uuid == library.uuid);
                let id = if is_latest {
                    upsert(tx, view_id, library)?
                } else if let Some(row) = known {
                    row.id
                } else {
                    continue;
                };
                ids.push(id);
                let folding = Folding::open(self.0, tx, id, &|_, _| Vec::new())?;
                folding.apply(&folding.fold(&Observation::State(&library.change), asked, now_ms)?)?;
                // The server moved the files, too.
                if was_gone || is_latest && known.is_some_and(|row| has_moved(&row.library, library)) {
                    tx.doubt_library(view_id, id, Cause::Invalidated, now_ms)?;
                }
            }
            if !is_latest {
                return libraries(tx.connection, view_id);
            }
            for row in stored.iter().filter(|row| !ids.contains(&row.id)) {
                let mut knowledge = row.knowledge.clone();
                knowledge.probed.get_or_insert_default().interval = Interval {
                    asked,
                    came: tx.sequence,
                };
                tx.write_knowledge(row.id, &knowledge)?;
                let gone = "UPDATE libraries SET gone_ms = ?2 WHERE id = ?1";
                tx.run(gone, params![row.id, now_ms.max(1)])?;
            }
            remove_vanished(tx, view_id, now_ms)?;
            trim_feed(tx, MAX_FEED_ROWS)?;
            let updated = libraries(tx.connection, view_id)?;
            // A library vanished, or came back with its old listing; or its title or section changed, which the feed's
            // changes contain. Readers list it again.
            let names_of = |rows: &[LibraryRow]| -> BTreeSet<(LibraryId, String, String)> {
                let names = rows.iter();
                names
                    .map(|row| (row.id, row.library.title.clone(), row.library.section.clone()))
                    .collect()
            };
            let (before, now) = (names_of(&stored), names_of(&updated));
            let changed: BTreeSet<LibraryId> = before.symmetric_difference(&now).map(|(id, ..)| *id).collect();
            changed.into_iter().try_for_each(|id| tx.relist_in_feed(id))?;
            tx.libraries_changed(view_id)?;
            Ok(updated)
        })
    }
}

/// Returns whether a library's folders have changed, so that its files have other paths.
fn has_moved(stored: &Library, on_server: &Library) -> bool {
    let sorted = |library: &Library| library.locations.iter().cloned().collect::<BTreeSet<_>>();
    let (before, now) = (sorted(stored), sorted(on_server));
    !before.is_subset(&now)
}

/// Holds back an empty list of libraries: keeps the libraries, and doubts them. Returns `false` if the view has no
/// libraries, or if an earlier empty list, at least a minute ago, confirms this one.
fn hold_back_empty_list(
    tx: &Tx<'_>,
    view_id: ViewId,
    stored: &[LibraryRow],
    asked: Ticket,
    now_ms: i64,
) -> rusqlite::Result<bool> {
    let confirms = |doubt: &Doubt| doubt.cause == Cause::EmptyList && doubt.is_confirmed_by(asked, now_ms);
    if stored.is_empty() || stored.iter().flat_map(|row| &row.doubts).any(confirms) {
        return Ok(false);
    }
    for row in stored {
        tx.doubt_library(view_id, row.id, Cause::EmptyList, now_ms)?;
    }
    log::warn!("the server lists no libraries; plexindex keeps its libraries until a second list confirms this");
    Ok(true)
}
