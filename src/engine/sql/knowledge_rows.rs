//! What is known about libraries and their items: folds replies into it.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::params;

use super::doubts::doubts_of;
use super::item_rows::OpenListing;
use super::library_rows::{LibraryRow, library_without_doubts};
use super::overlay::{Overlay, OverlayRow, SingleItem, overlay, overlay_row};
use super::schema::{CachedStatements, LibraryState, Tx};
use super::store::Store;
use crate::error::Result;
use crate::knowledge::{
    Cause, Doubt, DoubtScope, Effects, Interval, ItemStore, Knowledge, Observation, StandardRules, StoredItem,
    SyncRequest, Ticket, fold,
};
use crate::model::{Item, LibraryId};
use crate::platform::clock::Deadline;

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
        let Knowledge { probed, base, listing } = knowledge;
        let probed = probed.clone().unwrap_or_default();
        self.run(
            "UPDATE libraries SET token = ?2, trust = ?3, busy = ?4, scanned_ms = ?5, seen_asked = ?6, seen_came = ?7, \
             base_asked = ?8, base_came = ?9 WHERE id = ?1",
            params![
                library,
                probed.state.token,
                probed.state.trust as i64,
                probed.state.busy,
                probed.state.scanned_ms,
                probed.interval.asked,
                probed.interval.came,
                base.asked,
                base.came,
            ],
        )?;
        let listing = listing.clone().unwrap_or_default();
        self.run(
            "UPDATE libraries SET listed_token = ?2, listed_ms = ?3, checked_ms = ?4, synced_asked = ?5, cursor = ?6 \
             WHERE id = ?1",
            params![
                library,
                listing.token,
                listing.listed_ms,
                listing.checked_ms,
                listing.synced,
                listing.cursor,
            ],
        )
    }
}

/// A library as a transaction reads it, into which the transaction folds a reply.
pub struct Folding<'t, 'c> {
    store: &'t Store,
    tx: &'t Tx<'c>,
    library: LibraryState,
    /// The library's row, without its doubts.
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
        let (library, row) = (tx.expect_library(library)?, library_without_doubts(tx, library)?);
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
        let changed = || item.map_or(SingleItem::Removed, |item| SingleItem::Item(Arc::new(item.clone())));
        if publishes {
            return tx.write_overlay(id, rating_key, interval, &changed()); // the publication reports the differences
        }
        let old = self.get(rating_key);
        self.read.borrow_mut().insert(rating_key.to_owned(), new.clone()); // a reply can have the item twice
        // A compaction may be writing the row of a single item, which this one replaces.
        if !old.is_single && item.is_some() && old.value == new.value && self.listed(rating_key) == new.value {
            return tx.write_overlay(id, rating_key, interval, &SingleItem::AsListed);
        }
        tx.write_overlay(id, rating_key, interval, &changed())?;
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
        self.0.write(deadline, |tx| {
            let folding = Folding::open(self.0, tx, library, rivals)?;
            let effects = folding.fold(&Observation::Items { items, are_doubted }, asked, now_ms)?;
            folding.apply(&effects)?;
            Ok(Folded::of(items, &effects))
        })
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
        (now_ms, deadline): (i64, Deadline),
    ) -> Result<Folded> {
        self.0.write(deadline, |tx| {
            let folding = Folding::open(self.0, tx, library, rivals)?;
            let last = folding.row.knowledge.listing.as_ref();
            let observation = Observation::Changes {
                request,
                items,
                is_resized: last.is_some_and(|last| is_resized(&last.cursor)),
                cursor,
            };
            let effects = folding.fold(&observation, request.asked, now_ms)?;
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
