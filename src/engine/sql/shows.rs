//! The GUIDs of shows. A show is no item, but a query by a show's GUID finds the show's items.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, params};

use super::cached::CachedStatements;
use super::store::Store;
use crate::error::Result;
use crate::matching::RequestedGuid;
use crate::model::{Item, LibraryId};
use crate::platform::deadline::Deadline;

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

    /// Returns the library's shows with their GUIDs in the canonical spelling, but without rating keys and titles;
    /// `None` if the GUIDs of the library's shows are unknown.
    pub fn shows(&self, library: LibraryId) -> Result<Option<Vec<Item>>> {
        let rows = self.0.read(|connection| rows_of(connection, library))?;
        let is_known = !rows.is_empty();
        let mut shows: BTreeMap<String, Item> = BTreeMap::new();
        for (guid, show) in rows.into_iter().filter(|(guid, _)| !guid.is_empty()) {
            let item = shows.entry(show).or_insert_with_key(|show| Item {
                guid: show.clone(),
                ..Item::default()
            });
            item.guids.push(guid);
        }
        Ok(is_known.then(|| shows.into_values().collect()))
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
