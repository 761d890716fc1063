//! Finds items by title. The index is built at the first search, since most hosts never search by title.

use rusqlite::{Connection, params};

use super::columns::{FromCells, RowCells};
use super::indexing::{Hits, Indexed, items_of};
use super::items::ItemRows;
use super::libraries::LibraryRow;
use super::texts::ItemTexts;
use crate::error::Result;
use crate::matching::text::{fold_title, has_all_words};
use crate::model::LibraryId;
use crate::platform::deadline::Deadline;

/// An item's row number, its title, and its show's.
pub struct TitledItem {
    library: LibraryId,
    id: i64,
    texts: ItemTexts,
    show_title: String,
}

/// Returns the folded titles of an item and its show.
fn folds<'t>(title: &'t str, show_title: &'t str) -> impl Iterator<Item = String> + use<'t> {
    [title, show_title]
        .into_iter()
        .map(fold_title)
        .filter(|fold| !fold.is_empty())
}

impl FromCells for TitledItem {
    fn from_cells(cells: &mut RowCells<'_, '_>) -> rusqlite::Result<Self> {
        Ok(Self {
            library: cells.get("i.library")?,
            id: cells.get("i.id")?,
            texts: cells.get("i.texts")?,
            show_title: cells.get("coalesce(s.title, '')")?,
        })
    }
}

impl Indexed for TitledItem {
    type Key = String;
    const UPTO: &'static str = "titles_upto";
    const ADD: &'static str = "INSERT OR IGNORE INTO titles (library, fold, item) VALUES (?1, ?2, ?3)";
    const REMOVE: &'static str = "DELETE FROM titles WHERE library = ?1 AND fold = ?2 AND item = ?3";

    fn item(&self) -> (LibraryId, i64) {
        (self.library, self.id)
    }

    fn keys(&self) -> impl Iterator<Item = String> {
        folds(&self.texts.title, &self.show_title)
    }
}

fn with_title(connection: &Connection, library: LibraryId, wanted: &str, limit: usize) -> rusqlite::Result<Hits> {
    let mut found = Hits::default();
    let mut select = connection.prepare_cached(&items_of("titles", "e.library = ?1 AND e.fold = ?2"))?;
    found.add(&mut select, params![library, wanted], limit, |_| true)?;
    found.by_words = found.total == 0;
    if found.by_words {
        let mut folds =
            connection.prepare_cached("SELECT DISTINCT fold FROM titles WHERE library = ?1 ORDER BY fold")?;
        let mut rows = folds.query([library])?;
        let mut with_words = Vec::new();
        while let Some(row) = rows.next()? {
            let fold = row.get_ref(0)?.as_str().unwrap_or_default();
            if has_all_words(fold, wanted) {
                with_words.push(fold.to_owned());
            }
        }
        // Shorter titles first: they have fewer words besides the wanted ones.
        with_words.sort_by_key(String::len);
        for fold in &with_words {
            found.add(&mut select, params![library, fold], limit, |_| true)?;
        }
    }
    Ok(found)
}

impl ItemRows<'_> {
    /// Returns at most `limit` listed items with this title, or whose show has it, without regard to case, accents and
    /// punctuation. If there are none, returns items whose title or show's title has all its words.
    pub fn items_with_title(&self, row: &LibraryRow, title: &str, limit: usize, deadline: Deadline) -> Result<Hits> {
        let wanted = fold_title(title);
        self.find_indexed::<TitledItem>(row, deadline, |connection| {
            with_title(connection, row.id, &wanted, limit)
        })
    }
}
