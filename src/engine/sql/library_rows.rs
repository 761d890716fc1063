//! Libraries: the result of the last probe, the newest complete listing, and the listing's segment. Also the GUIDs of
//! shows.

use std::collections::BTreeSet;

use rusqlite::types::ToSql;
use rusqlite::{Connection, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::doubts::doubts_of_library;
use super::overlay::count_changes;
use super::schema::{CachedStatements, LibraryState, Tx};
use super::store::Store;
use super::store_folder::listing_name;
use super::sweeper::Sweeper;
use crate::engine::record_rows::RecordTime;
use crate::error::Result;
use crate::knowledge::{Cause, Doubt, Knowledge, ListingState, Ticket};
use crate::matching::RequestedGuid;
use crate::model::{Generation, Item, Library, LibraryId, Sequence, SourceState, TableId, ViewId};
use crate::platform::clock::Deadline;

/// A library in the store, as one view sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LibraryRow {
    pub id: LibraryId,
    /// The library, as the last probe returned it.
    pub library: Library,
    /// Whether the last probe returned the library.
    pub present: bool,
    /// What is known about the library, apart from its items.
    pub knowledge: Knowledge,
    /// The doubts about the library; not those about single items and paths.
    pub doubts: Vec<Doubt>,
    /// Number of the newest complete listing; 0 or less if the library has no listing.
    pub generation: Generation,
    /// Number of items in the library, including single items that were added after the listing.
    pub items: u64,
    pub segment: Option<String>,
    /// The table of the library's confirmed matches; `None` if no match was recorded.
    pub matches: Option<TableId>,
}

impl LibraryRow {
    /// Returns whether the last probe has shown changes that plexindex has not fetched.
    pub fn is_behind(&self) -> bool {
        self.listed_token() != self.library.change.token
    }

    /// Returns whether the library, and not only an item or a path, is doubted for this cause.
    pub fn has_doubt(&self, cause: Cause) -> bool {
        self.doubts.iter().any(|doubt| doubt.cause == cause)
    }

    /// Returns the ticket of the last probe.
    pub fn probed_at(&self) -> Ticket {
        self.knowledge
            .probed
            .as_ref()
            .map_or(Ticket::default(), |probed| probed.interval.asked)
    }

    /// Returns the change sequence at which the newest listing with other content was published.
    pub fn listed_sequence(&self) -> Sequence {
        Sequence(self.generation.0.unsigned_abs())
    }

    /// Returns the ticket of the listing, which identifies it.
    pub fn listing_asked(&self) -> Ticket {
        self.knowledge.base.asked
    }

    /// Returns the change token up to which the store has all changes; empty without a listing.
    pub fn listed_token(&self) -> &str {
        self.knowledge.listing.as_ref().map_or("", |listing| &listing.token)
    }

    /// Returns the time when the listing was completed, in Unix ms; 0 without a listing.
    pub fn listed_ms(&self) -> i64 {
        self.knowledge.listing.as_ref().map_or(0, |listing| listing.listed_ms)
    }

    /// Returns the time when the store was last known to have all changes, in Unix ms; 0 without a listing.
    pub fn checked_ms(&self) -> i64 {
        self.knowledge.listing.as_ref().map_or(0, |listing| listing.checked_ms)
    }
}

/// Reads a column with JSON; the default if this build cannot decode it, so that plexindex asks the server again.
pub fn json<T: DeserializeOwned + Default>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    Ok(serde_json::from_slice(row.get_ref(column)?.as_bytes()?).unwrap_or_default())
}

/// Returns a value as JSON.
pub fn to_json(value: &impl Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

/// Reads a library from a row with the columns of [`LIBRARIES`], without its doubts.
pub fn library_in(row: &Row<'_>) -> rusqlite::Result<LibraryRow> {
    let generation: Generation = row.get("generation")?;
    let items = row.get::<_, i64>("listed_items")?.cast_unsigned();
    let mut knowledge: Knowledge = json(row, "knowledge")?;
    knowledge.listing = knowledge.listing.map(|listing| ListingState { items, ..listing });
    let probed = knowledge.probed.as_ref();
    Ok(LibraryRow {
        id: row.get("id")?,
        library: Library {
            uuid: row.get("uuid")?,
            change: probed.map(|probed| probed.state.clone()).unwrap_or_default(),
            ..json(row, "plex")?
        },
        present: row.get::<_, i64>("gone_ms")? == 0,
        knowledge,
        doubts: Vec::new(), // in another table
        generation,
        items,
        segment: listing_name(&row.get::<_, String>("segment")?),
        matches: row.get("matches")?,
    })
}

/// The columns and tables of a SELECT for [`library_in`].
const LIBRARIES: &str = "l.*, t.id AS matches FROM libraries l LEFT JOIN tables t ON t.library = l.id";

/// Returns a view's libraries from its last probe.
pub fn libraries(connection: &Connection, view_id: ViewId) -> rusqlite::Result<Vec<LibraryRow>> {
    let mut all = all_libraries(connection, view_id)?;
    all.retain(|row| row.present);
    Ok(all)
}

/// Returns a view's libraries, also those that the last probe did not return.
pub fn all_libraries(connection: &Connection, view_id: ViewId) -> rusqlite::Result<Vec<LibraryRow>> {
    let all = format!("SELECT {LIBRARIES} WHERE l.view_id = ?1 ORDER BY l.id");
    let all = connection.rows(&all, [view_id], library_in)?.into_iter();
    all.map(|row| with_doubts(connection, row)).collect()
}

/// Returns a library's row. Fails if the library does not exist.
pub fn one_library(connection: &Connection, id: LibraryId) -> rusqlite::Result<LibraryRow> {
    let row = connection.row(&format!("SELECT {LIBRARIES} WHERE l.id = ?1"), [id], library_in)?;
    with_doubts(connection, row)
}

fn with_doubts(connection: &Connection, row: LibraryRow) -> rusqlite::Result<LibraryRow> {
    Ok(LibraryRow {
        doubts: doubts_of_library(connection, row.id)?,
        ..row
    })
}

impl Tx<'_> {
    /// Returns a library's current view, generation and match table. Fails if the library no longer exists, because
    /// another process cleared it (`view_id` is then negative) or renamed its database to `.broken`.
    pub fn expect_library(&self, library: LibraryId) -> rusqlite::Result<LibraryState> {
        self.connection.row(
            "SELECT view_id, generation, (SELECT id FROM tables WHERE library = l.id), \
             (SELECT max(latest) FROM shared WHERE view_id = l.view_id), (SELECT coalesce(max(at), ?2) FROM taken_back \
             WHERE view_id = l.view_id AND library IN ('', l.uuid) AND path = x''), EXISTS (SELECT 1 FROM taken_back \
             WHERE view_id = l.view_id AND library = l.uuid AND path > x'') FROM libraries l WHERE id = ?1 AND view_id > 0",
            params![library, RecordTime::NEVER.0],
            |row| {
                let latest = row.get::<_, Option<i64>>(3)?;
                if let Some(at) = latest {
                    self.common_clock.continue_after(RecordTime(at));
                }
                Ok(LibraryState {
                    id: library,
                    view_id: row.get(0)?,
                    generation: row.get(1)?,
                    matches: row.get(2)?,
                    is_shared: latest.is_some(),
                    all_taken_back: RecordTime(row.get(4)?),
                    has_paths_taken_back: row.get(5)?,
                })
            },
        )
    }
}

pub struct LibraryRows<'s>(pub &'s Store);

impl LibraryRows<'_> {
    /// Returns the libraries of a view that the server does not list now, and may list again.
    pub fn gone_libraries(&self, view_id: ViewId) -> Result<Vec<LibraryId>> {
        let gone = "SELECT id FROM libraries WHERE view_id = ?1 AND gone_ms > 0";
        self.0.read(|c| c.values(gone, [view_id]))
    }

    /// Returns a view's libraries from its last probe.
    pub fn libraries(&self, view_id: ViewId) -> Result<Vec<LibraryRow>> {
        self.0.read(|connection| libraries(connection, view_id))
    }

    /// Returns a library's current row. Fails if the library does not exist.
    pub fn library_row(&self, id: LibraryId) -> Result<LibraryRow> {
        self.0.read(|connection| one_library(connection, id))
    }

    /// Returns the number of single items that a library's segment has otherwise. If there are many, the caller builds a new
    /// segment.
    pub fn unmerged_items(&self, row: &LibraryRow) -> Result<u64> {
        self.0.read(|connection| count_changes(connection, row.id))
    }

    /// Replaces a library's `old` segment by a new segment of the same generation, which has the single items that came up
    /// to the change sequence `upto`. Does nothing if the library has another segment now. `needs_listing`: whether the last
    /// delta does not know some of them.
    pub fn set_segment(
        &self,
        (view_id, library): (ViewId, LibraryId),
        [old, new]: [&str; 2],
        (upto, needs_listing): (Sequence, bool),
        deadline: Deadline,
    ) -> Result<()> {
        let unreferenced = self.0.write(deadline, |tx| {
            let changed_rows = tx.execute(
                "UPDATE libraries SET segment = ?3 WHERE id = ?1 AND segment = ?2",
                params![library, old, new],
            )?;
            if changed_rows == 0 {
                return Ok(new);
            }
            let mut knowledge = one_library(tx, library)?.knowledge;
            knowledge.base.came = knowledge.base.came.max(upto);
            tx.write_knowledge(library, &knowledge)?;
            tx.trim_overlay(library, upto)?;
            if needs_listing {
                tx.doubt_library(view_id, library, Cause::Invalidated, 0)?;
            }
            tx.libraries_changed(view_id)?;
            Ok(old)
        })?;
        Sweeper(self.0).remove_replaced(unreferenced);
        Ok(())
    }
}

impl Tx<'_> {
    /// Stores that a view's libraries, their listings, or the ages of these changed ([`ViewId::ALL`]: all views), so that
    /// other processes load a new snapshot.
    pub fn libraries_changed(&self, view_id: ViewId) -> rusqlite::Result<()> {
        self.run(
            "UPDATE views SET changed = ?1 WHERE ?2 = 0 OR id = ?2",
            params![self.sequence, view_id],
        )
    }
}

/// Inserts a library that a probe returned, or updates the view's library with the same `uuid` and marks it as present.
/// Leaves its state to [`super::knowledge_rows`]. Returns its id.
pub fn upsert(tx: &Tx<'_>, view_id: ViewId, library: &Library) -> rusqlite::Result<LibraryId> {
    let library = Library {
        change: SourceState::default(), // in `knowledge`
        ..library.clone()
    };
    tx.value(
        "INSERT INTO libraries (view_id, uuid, plex) VALUES (?1, ?2, ?3) \
         ON CONFLICT (view_id, uuid) DO UPDATE SET plex = excluded.plex, gone_ms = 0 RETURNING id",
        params![view_id, library.uuid, to_json(&library)?],
    )
}

/// Detaches libraries from their view, so that sweeps delete their rows, a limited number at a time. Selects the
/// libraries whose column `column` (`id` or `view_id`) equals `value`.
pub fn detach_libraries(tx: &Tx<'_>, column: &str, value: impl ToSql) -> rusqlite::Result<()> {
    // The feed cannot report the removed libraries' items, and must not keep them.
    let was_fetched = format!("SELECT 1 FROM libraries WHERE {column} = ?1 AND generation <> 0");
    if tx.has(&was_fetched, [&value])? {
        tx.run("DELETE FROM feed", [])?;
        tx.relist_in_feed(LibraryId::ALL)?; // the feed always has a row, for the cursors of its readers
    }
    // A negative `view_id` belongs to no view, and `-id` keeps the pair of `view_id` and `uuid` unique.
    tx.run(
        &format!("UPDATE libraries SET view_id = -id, gone_ms = 1, segment = '' WHERE {column} = ?1"),
        [value],
    )
}

/// The GUIDs of shows. A show is no item, but a query by a show's GUID finds the show's items.
pub struct ShowRows<'s>(pub &'s Store);

impl ShowRows<'_> {
    /// Replaces the GUIDs of a library's shows; `None`: the source cannot tell them. Writes only the differences.
    pub fn store_shows(&self, library: LibraryId, shows: Option<&[Item]>, deadline: Deadline) -> Result<()> {
        let mut rows = BTreeSet::new();
        if let Some(shows) = shows {
            rows.insert((String::new(), String::new()));
            for item in shows.iter().filter(|item| !item.guid.is_empty()) {
                let show = RequestedGuid::canonical_of(&item.guid);
                for guid in item.guids.iter().chain([&item.guid]).filter(|guid| !guid.is_empty()) {
                    rows.insert((
                        RequestedGuid::canonical_of(guid).into_owned(),
                        show.clone().into_owned(),
                    ));
                }
            }
        }
        self.0.write(deadline, |tx| {
            tx.expect_library(library)?;
            let stored = rows_of(tx, library)?;
            for (guid, show) in stored.difference(&rows) {
                tx.run(
                    "DELETE FROM shows WHERE library = ?1 AND guid = ?2 AND show = ?3",
                    params![library, guid, show],
                )?;
            }
            for (guid, show) in rows.difference(&stored) {
                tx.run(
                    "INSERT INTO shows (library, guid, show) VALUES (?1, ?2, ?3)",
                    params![library, guid, show],
                )?;
            }
            Ok(())
        })
    }

    /// Returns the own GUIDs of the library's shows that have a GUID, both in the canonical spelling; `None` if the
    /// GUIDs of the library's shows are unknown.
    pub fn shows_with(&self, library: LibraryId, guid: &str) -> Result<Option<Vec<String>>> {
        let shows: Vec<String> = self.0.read(|connection| {
            connection.values(
                "SELECT show FROM shows WHERE library = ?1 AND guid IN ('', ?2) ORDER BY guid, show",
                params![library, guid],
            )
        })?;
        let mut shows = shows.into_iter();
        Ok(shows.next().filter(String::is_empty).map(|_| shows.collect()))
    }

    /// Returns whether the GUIDs of the library's shows are known, among them all shows with these own GUIDs.
    pub fn has_shows(&self, library: LibraryId, guids: &BTreeSet<String>) -> Result<bool> {
        for guid in guids.iter().map(String::as_str).chain([""]) {
            let shows = self.shows_with(library, &RequestedGuid::canonical_of(guid))?;
            if shows.is_none_or(|shows| shows.is_empty() && !guid.is_empty()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Returns all rows of a library, each with a GUID and the show's own GUID.
fn rows_of(connection: &Connection, library: LibraryId) -> rusqlite::Result<BTreeSet<(String, String)>> {
    let rows = connection.rows("SELECT guid, show FROM shows WHERE library = ?1", [library], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.into_iter().collect())
}
