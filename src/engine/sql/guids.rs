//! Finds items by GUID. The index is built at the first search, since most hosts never search by GUID.

use rusqlite::params;
use xxhash_rust::xxh3::xxh3_64;

use super::columns::{FromCells, RowCells};
use super::indexing::{Hits, Indexed, items_of};
use super::items::ItemRows;
use super::libraries::LibraryRow;
use super::texts::ItemTexts;
use crate::error::Result;
use crate::model::{Item, LibraryId};
use crate::platform::deadline::Deadline;

/// The hash of a GUID in the index. 32 bits suffice, because the rows are compared too: with a million items one search
/// in a thousand compares a row in vain. An entry takes a quarter less than with 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is wanted")]
fn hash(guid: &str) -> i32 {
    xxh3_64(guid.as_bytes()) as i32
}

/// An item's row number, its own GUIDs, and those of its season and show.
pub struct GuidItem {
    library: LibraryId,
    id: i64,
    texts: ItemTexts,
    season_guid: String,
    show_guid: String,
}

impl FromCells for GuidItem {
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self {
            library: cells.get("i.library")?,
            id: cells.get("i.id")?,
            texts: cells.get("i.texts")?,
            season_guid: cells.get("coalesce(p.guid, '')")?,
            show_guid: cells.get("coalesce(s.guid, '')")?,
        })
    }
}

impl Indexed for GuidItem {
    type Key = i32;
    const UPTO: &'static str = "guids_upto";
    const ADD: &'static str = "INSERT OR IGNORE INTO guids (hash, item) VALUES (?2, ?3)";
    const REMOVE: &'static str = "DELETE FROM guids WHERE hash = ?2 AND item = ?3";

    fn item(&self) -> (LibraryId, i64) {
        (self.library, self.id)
    }

    fn keys(&self) -> impl Iterator<Item = i32> {
        [&self.texts.guid, &self.season_guid, &self.show_guid]
            .into_iter()
            .chain(&self.texts.guids)
            .filter(|one| !one.is_empty())
            .map(|guid| hash(guid))
    }
}

impl ItemRows<'_> {
    /// The listed items with this GUID, at most `limit`. An item counts if the GUID is its own, an external id, or that
    /// of its season, album, show or artist.
    pub fn items_with_guid(&self, row: &LibraryRow, guid: &str, limit: usize, deadline: Deadline) -> Result<Hits> {
        let has = |item: &Item| {
            let own = [&item.guid, &item.season_guid, &item.show_guid];
            own.into_iter().chain(&item.guids).any(|one| one == guid)
        };
        self.find_indexed::<GuidItem>(row, deadline, |connection| {
            let mut found = Hits::default();
            let mut select = connection.prepare_cached(&items_of("guids", "e.hash = ?2"))?;
            found.add(&mut select, params![row.id, hash(guid)], limit, has)?;
            Ok(found)
        })
    }
}
