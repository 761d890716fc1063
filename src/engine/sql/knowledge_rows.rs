//! What is known about libraries, their items and paths: folds probes and other replies into it.
//!
//! The table `path_searches` says when plexindex asked the server about a path or searched for it, so that no process repeats
//! this too soon. Also the last question about any path, the budget for fruitless requests, and checks of sources'
//! preconditions.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::doubts::doubts_of;
use super::evicting::remove_vanished;
use super::feed_rows::{MAX_FEED_ROWS, trim_feed};
use super::library_rows::{LibraryRow, LibraryRows, all_libraries, libraries, one_library, to_json, upsert};
use super::overlay::{Overlay, OverlayRow, SingleItem, overlay, overlay_row};
use super::schema::{CachedStatements, DAY_MS, LibraryState, Tx};
use super::store::Store;
use super::stored_items::OpenListing;
use crate::error::{Result, Status};
use crate::knowledge::{
    Cause, Doubt, DoubtScope, Effects, Interval, ItemStore, Knowledge, Observation, PATH_REQUEST_INTERVAL_MS,
    RequestBudget, StandardRules, StoredItem, SyncRequest, Ticket, fold, is_pause_over,
};
use crate::model::{Item, Library, LibraryId, PathSearch, Sequence, ViewId};
use crate::platform::clock::{Deadline, SHORTEST_WAIT};

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
                shown: self.base().shown_since(single, item, interval.asked),
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

/// What is known about a view's requests for unlisted paths.
#[derive(Clone, Copy, Debug, Default)]
pub struct ViewRequests {
    /// The last question about any unlisted path; `None` without a record.
    pub last: Option<LastQuestion>,
    /// The budget for fruitless requests.
    pub budget: RequestBudget,
    /// Time, in Unix ms, of the last search in libraries that had not changed; `None` if there was none.
    pub unchanged_search_ms: Option<i64>,
}

impl SearchRows<'_> {
    /// Returns what is known about a view's requests, and for each of the `libraries` the earlier questions about the path
    /// with this hash.
    pub fn earlier_questions(
        &self,
        view_id: ViewId,
        libraries: &[LibraryId],
        hash: u64,
        now_ms: i64,
    ) -> Result<(ViewRequests, Vec<Option<PathSearch>>)> {
        self.0.read(|c| {
            let questions = libraries
                .iter()
                .map(|library| read_record(c, view_id, questions_about(*library), hash));
            let questions = questions.collect::<rusqlite::Result<_>>()?;
            Ok((read_view(c, view_id, now_ms)?, questions))
        })
    }

    /// Returns what is known about a view's requests for unlisted paths.
    pub fn of_view(&self, view_id: ViewId, now_ms: i64) -> Result<ViewRequests> {
        self.0.read(|c| read_view(c, view_id, now_ms))
    }
}

/// Retention time for a record: a day, which is longer than any pause between two searches for a path.
const SEARCH_KEPT_MS: i64 = DAY_MS;

/// Library id in the records of a view's last question, budget and preconditions.
const QUESTION: LibraryId = LibraryId(0);
/// Hash of the record of a view's last question.
const LAST_QUESTION: u64 = 0;
/// Hash of the record of a view's request budget. Its first time is when the budget is whole again.
const BUDGET: u64 = 1;
/// Hash of the record of a view's last search in libraries that had not changed.
const UNCHANGED_SEARCH: u64 = 5;
/// Library id in the records of requests for the list of libraries, by the hash of what a call selects.
pub const LIBRARY_LIST: LibraryId = LibraryId(i64::MIN);

/// Value of `found` for a question that has no outcome yet. [`ANSWERED`] is the value for an answered question; other
/// values are the error status of a failed one.
const UNDER_WAY: i64 = 0;
const ANSWERED: i64 = 1;

/// The outcome of a question about an unlisted path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuestionOutcome {
    /// The question has no outcome yet, or none because its process was killed or the server rejected the token.
    UnderWay,
    Answered,
    /// The question or the search after it failed with this status.
    Failed(Status),
}

/// The last question about any unlisted path.
#[derive(Clone, Copy, Debug)]
pub struct LastQuestion {
    /// Time of the outcome, in Unix ms.
    pub ended_ms: i64,
    pub outcome: QuestionOutcome,
}

/// What requests about unlisted paths have shown, for [`SearchRows::note_path_requests`].
#[derive(Clone, Copy, Default)]
pub struct PathRequests<'r> {
    /// The outcome of a question; `None`: the last outcome stays.
    pub outcome: Option<QuestionOutcome>,
    /// Libraries and hashes about which the server was asked.
    pub questions: &'r [(LibraryId, u64)],
    /// The change sequence when the call that asked began.
    pub since: Sequence,
    /// Whether a search must still follow the questions.
    pub are_open: bool,
    /// Libraries and hashes for which the server was searched, and whether it has the target.
    pub searches: &'r [(LibraryId, u64, bool)],
    /// Whether a search follows in libraries that have not changed.
    pub begins_unchanged_search: bool,
    /// Number of requests to take from the budget.
    pub requests: u64,
}

/// Access to a store's records of path searches.
pub struct SearchRows<'s>(pub &'s Store);

impl SearchRows<'_> {
    /// Records requests, even if the call has no time left. Logs an error, and returns whether the record is stored.
    fn record(&self, work: impl FnMut(&Tx<'_>) -> rusqlite::Result<()>) -> bool {
        let result = self.0.write(Deadline::NONE.at_most(SHORTEST_WAIT), work);
        if let Err(error) = &result {
            log::debug!("cannot record a request to the server: {error}");
        }
        result.is_ok()
    }

    /// Returns the last search for the target with this hash, such as a path's normal form; `None` if there is no
    /// record.
    pub fn path_search(&self, view_id: ViewId, library: LibraryId, hash: u64) -> Result<Option<PathSearch>> {
        self.0
            .read(|connection| read_record(connection, view_id, library, hash))
    }

    /// Returns the last question about the target with this hash.
    pub fn question(&self, view_id: ViewId, library: LibraryId, hash: u64) -> Result<Option<PathSearch>> {
        self.path_search(view_id, questions_about(library), hash)
    }

    /// Returns the number of targets that plexindex searched for in a library since `since_ms`, so that callers can
    /// limit the rate. Ignores searches after `now_ms`, which were recorded before the clock was set back.
    pub fn count_searches(&self, view_id: ViewId, library: LibraryId, since_ms: i64, now_ms: i64) -> Result<u64> {
        self.0.read(|connection| {
            connection.row(
                "SELECT count(*) FROM path_searches WHERE view_id = ?1 AND library = ?2 AND last_ms > ?3 AND \
                 last_ms <= ?4",
                params![view_id, library, since_ms, now_ms],
                |row| row.get::<_, i64>(0).map(i64::cast_unsigned),
            )
        })
    }

    /// Records what requests about unlisted paths have shown, in one transaction; nothing to record needs none. Returns
    /// whether the record is stored and, with `begins_unchanged_search`, the search may begin, because no other call
    /// began one a moment ago.
    pub fn note_path_requests(&self, view_id: ViewId, now_ms: i64, record: &PathRequests<'_>) -> bool {
        let is_empty = record.outcome.is_none() && record.questions.is_empty() && record.searches.is_empty();
        if is_empty && !record.begins_unchanged_search && record.requests == 0 {
            return true;
        }
        let mut may_search = true;
        let is_stored = self.record(|tx| {
            if let Some(outcome) = record.outcome {
                let found = match outcome {
                    QuestionOutcome::UnderWay => UNDER_WAY,
                    QuestionOutcome::Answered => ANSWERED,
                    QuestionOutcome::Failed(status) => i64::from(status as i32),
                };
                replace(tx, view_id, LAST_QUESTION, (0, now_ms), found)?;
            }
            for (library, hash) in record.questions {
                let key = (view_id, questions_about(*library), *hash);
                note(tx, key, now_ms, record.are_open, record.since)?;
            }
            for (library, hash, is_found) in record.searches {
                note(tx, (view_id, *library, *hash), now_ms, *is_found, Sequence(0))?;
            }
            let view = read_view(tx, view_id, now_ms)?;
            if record.begins_unchanged_search {
                may_search = is_pause_over(view.unchanged_search_ms, PATH_REQUEST_INTERVAL_MS, now_ms);
                if may_search {
                    note(tx, (view_id, QUESTION, UNCHANGED_SEARCH), now_ms, false, Sequence(0))?;
                }
            }
            delete_old(tx, now_ms)?;
            write_budget(tx, view_id, now_ms, view.budget.spend(record.requests, now_ms))
        });
        is_stored && may_search
    }

    /// Returns requests to the budget, because they were fruitful.
    pub fn refund(&self, view_id: ViewId, requests: u64, now_ms: i64) {
        self.record(|tx| {
            let view = read_view(tx, view_id, now_ms)?;
            write_budget(tx, view_id, now_ms, view.budget.refund(requests))
        });
    }

    /// Returns whether a check less than a day ago found that a source's precondition is met, for example that a
    /// database belongs to the server. `hash`: the hash of the precondition's text.
    pub fn has_recent_precondition_check(&self, hash: u64, now_ms: i64) -> Result<bool> {
        let last_check = self.path_search(ViewId::ALL, QUESTION, hash)?;
        Ok(last_check.is_some_and(|check| (0..SEARCH_KEPT_MS).contains(&now_ms.saturating_sub(check.last_ms))))
    }

    /// Records, for all users of the store, that a source's precondition is met, so that no process checks it again for
    /// a day. `hash`: the hash of the precondition's text.
    pub fn record_precondition_met(&self, hash: u64, now_ms: i64) {
        self.note_search(ViewId::ALL, QUESTION, hash, now_ms, true); // `true`: it is met
    }

    /// Records that plexindex searched the server for the target with this hash, such as a path's normal form.
    /// `found`: whether the server has the target.
    pub fn note_search(&self, view_id: ViewId, library: LibraryId, hash: u64, now_ms: i64, found: bool) {
        self.record(|tx| {
            note(tx, (view_id, library, hash), now_ms, found, Sequence(0))?;
            delete_old(tx, now_ms)
        });
    }
}

/// Removes the records of a view's requests for the list of libraries, because the view no longer has the list.
pub fn forget_library_questions(tx: &Tx<'_>, view_id: ViewId) -> rusqlite::Result<()> {
    tx.run(
        "DELETE FROM path_searches WHERE view_id = ?1 AND library = ?2",
        params![view_id, LIBRARY_LIST],
    )
}

/// Returns the id under which the store records questions about paths in a library. Searches have the library's id.
fn questions_about(library: LibraryId) -> LibraryId {
    LibraryId(-library.0)
}

/// Reads a record; `None` if there is none.
fn read_record(
    connection: &Connection,
    view_id: ViewId,
    library: LibraryId,
    hash: u64,
) -> rusqlite::Result<Option<PathSearch>> {
    connection.find(
        "SELECT first_ms, last_ms, found, asked FROM path_searches WHERE view_id = ?1 AND library = ?2 AND hash = ?3",
        params![view_id, library, hash.cast_signed()],
        |row| {
            Ok(PathSearch {
                first_ms: row.get(0)?,
                last_ms: row.get(1)?,
                found: row.get(2)?,
                asked: row.get(3)?,
            })
        },
    )
}

/// Reads a view's special rows.
fn read_view(c: &Connection, view_id: ViewId, now_ms: i64) -> rusqlite::Result<ViewRequests> {
    let special = "SELECT hash, first_ms, last_ms, found FROM path_searches WHERE view_id = ?1 AND library = ?2";
    let rows: Vec<(i64, i64, i64, i64)> = c.rows(special, params![view_id, QUESTION], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
    })?;
    let mut view = ViewRequests::default();
    for (hash, first_ms, last_ms, found) in rows {
        match hash.cast_unsigned() {
            LAST_QUESTION => {
                view.last = Some(LastQuestion {
                    ended_ms: last_ms,
                    outcome: outcome_of(found),
                });
            }
            // One from the future is none, because the clock was set back.
            BUDGET if last_ms <= now_ms => view.budget = RequestBudget { whole_ms: first_ms },
            UNCHANGED_SEARCH => view.unchanged_search_ms = Some(last_ms),
            _ => {}
        }
    }
    Ok(view)
}

fn outcome_of(found: i64) -> QuestionOutcome {
    match found {
        UNDER_WAY => QuestionOutcome::UnderWay,
        ANSWERED => QuestionOutcome::Answered,
        // A newer version may have other statuses.
        status => {
            let status = i32::try_from(status).ok().and_then(Status::from_number);
            QuestionOutcome::Failed(status.unwrap_or(Status::Timeout))
        }
    }
}

/// Records the outcome of a search, a question or a precondition check ([`PathSearch`]). Keeps the time of the first
/// question, or of the first search with the same outcome, from which callers derive the next pause. An earlier search
/// does not close an open question.
fn note(
    tx: &Tx<'_>,
    (view_id, library, hash): (ViewId, LibraryId, u64),
    now_ms: i64,
    found: bool,
    asked: Sequence,
) -> rusqlite::Result<()> {
    tx.run(
        "INSERT INTO path_searches (view_id, library, hash, first_ms, last_ms, found, asked) \
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6) ON CONFLICT (view_id, library, hash) DO UPDATE SET \
         first_ms = CASE WHEN library > 0 AND found <> excluded.found OR first_ms > excluded.last_ms \
         THEN excluded.first_ms ELSE first_ms END, \
         last_ms = excluded.last_ms, found = excluded.found, asked = max(asked, excluded.asked) \
         WHERE library > 0 OR found <= excluded.found OR last_ms <= excluded.last_ms",
        params![view_id, library, hash.cast_signed(), now_ms, found, asked],
    )
}

/// Deletes old records, except those of last questions and the budgets. Also deletes records in the future, which the clock
/// will not reach within a day.
fn delete_old(tx: &Tx<'_>, now_ms: i64) -> rusqlite::Result<()> {
    tx.run(
        "DELETE FROM path_searches WHERE last_ms NOT BETWEEN ?1 AND ?2 AND (library <> ?3 OR hash NOT BETWEEN 0 AND ?4)",
        params![
            now_ms - SEARCH_KEPT_MS,
            now_ms + SEARCH_KEPT_MS,
            QUESTION,
            BUDGET.cast_signed()
        ],
    )
}

/// Replaces the record of a view's budget.
fn write_budget(tx: &Tx<'_>, view_id: ViewId, now_ms: i64, budget: RequestBudget) -> rusqlite::Result<()> {
    replace(tx, view_id, BUDGET, (budget.whole_ms, now_ms), UNDER_WAY)
}

/// Replaces a view's record, whatever it was.
fn replace(
    tx: &Tx<'_>,
    view_id: ViewId,
    hash: u64,
    (first_ms, last_ms): (i64, i64),
    found: i64,
) -> rusqlite::Result<()> {
    tx.run(
        "INSERT OR REPLACE INTO path_searches (view_id, library, hash, first_ms, last_ms, found) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![view_id, QUESTION, hash.cast_signed(), first_ms, last_ms, found],
    )
}
