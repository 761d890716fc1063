//! Items by GUID. The index is made when it is first asked: most hosts never do.

use rusqlite::params;
use xxhash_rust::xxh3::xxh3_64;

use super::columns::{Cells, FromCells, list};
use super::indexing::{Found, Indexed};
use super::items::{FROM, ItemRow};
use super::open::Store;
use super::texts::Texts;
use crate::error::Result;
use crate::model::{Item, LibraryId};

fn hash(guid: &str) -> i64 {
    xxh3_64(guid.as_bytes()).cast_signed()
}

/// An item's row number, its GUIDs and its show's.
pub struct Carrier {
    pub id: i64,
    texts: Texts,
    show_guid: String,
}

impl FromCells for Carrier {
    fn from_cells(cells: &mut Cells<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: cells.get("i.id")?,
            texts: cells.get("i.texts")?,
            show_guid: cells.get("coalesce(s.guid, '')")?,
        })
    }
}

impl Indexed for Carrier {
    type Key = i64;
    const NAME: &'static str = "GUIDs";
    const UPTO: &'static str = "guids_upto";
    const ADD: &'static str = "INSERT OR IGNORE INTO guids (hash, item) VALUES (?2, ?3)";
    const REMOVE: &'static str = "DELETE FROM guids WHERE hash = ?2 AND item = ?3";

    fn item(&self) -> i64 {
        self.id
    }

    fn keys(&self) -> impl Iterator<Item = i64> {
        [&self.texts.guid, &self.show_guid]
            .into_iter()
            .chain(&self.texts.guids)
            .filter(|one| !one.is_empty())
            .map(|guid| hash(guid))
    }
}

impl Store {
    /// The listed items that have this GUID, as their own or as an external id; a show's own gives its episodes.
    /// At most `limit`, with the count of all.
    pub fn items_with_guid(&self, library: LibraryId, guid: &str, limit: usize) -> Result<(Vec<Item>, usize)> {
        // Without the index every row is read.
        let by_index = if self.is_indexed::<Carrier>(library) {
            "JOIN guids g ON g.item = i.id AND g.hash = ?2"
        } else {
            ""
        };
        self.read(|connection| {
            let mut found = Found::new(limit);
            let mut select = connection.prepare_cached(&format!(
                "SELECT {} {FROM} {by_index} JOIN libraries l ON l.id = i.library WHERE i.library = ?1 AND ?2 = ?2 \
                 AND i.born <= l.generation AND (i.died IS NULL OR i.died > l.generation) ORDER BY i.id",
                list::<ItemRow>()
            ))?;
            let has =
                |item: &Item| item.guid == guid || item.show_guid == guid || item.guids.iter().any(|one| one == guid);
            found.add_those(&mut select, params![library, hash(guid)], has)?;
            Ok((found.items, found.total))
        })
    }
}
