//! Items by title. The index is made when a title is first searched: most hosts never do.

use std::collections::BTreeSet;

use rusqlite::{Connection, params};

use super::listing::{ITEM_COLUMNS, item};
use super::{Store, Tx};
use crate::error::Result;
use crate::matching::text::{fold_title, has_all_words};
use crate::model::Item;

/// Rows that one transaction indexes.
const SLICE: i64 = 20_000;

/// An item's row number, its title, and its show's.
pub(super) struct Titled {
    id: i64,
    title: String,
    show_title: String,
}

impl Titled {
    fn compacts(&self) -> impl Iterator<Item = String> {
        compacts(&self.title, &self.show_title)
    }
}

fn compacts<'t>(title: &'t str, show_title: &'t str) -> impl Iterator<Item = String> + use<'t> {
    [title, show_title]
        .into_iter()
        .map(fold_title)
        .filter(|fold| !fold.is_empty())
}

/// From a row that begins with the item's number, and has both titles from a column on.
pub(super) fn titled(row: &rusqlite::Row<'_>, titles: usize) -> rusqlite::Result<Titled> {
    Ok(Titled {
        id: row.get(0)?,
        title: row.get(titles)?,
        show_title: row.get(titles + 1)?,
    })
}

/// Removes an item's entries.
pub(super) fn forget(tx: &Tx<'_>, library: i64, item: &Titled) -> rusqlite::Result<()> {
    let mut statement = tx
        .connection
        .prepare_cached("DELETE FROM titles WHERE library = ?1 AND fold = ?2 AND item = ?3")?;
    for fold in item.compacts() {
        statement.execute(params![library, fold, item.id])?;
    }
    Ok(())
}

/// Items found so far.
struct Taken {
    found: Vec<Item>,
    total: usize,
    limit: usize,
}

impl Taken {
    /// Adds the visible items with this compacted title.
    fn take(&mut self, connection: &Connection, library: i64, fold: &str) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(&format!(
            "{ITEM_COLUMNS} JOIN titles t ON t.item = i.id JOIN libraries l ON l.id = i.library WHERE t.library = ?1 AND t.fold = ?2 \
             AND i.born <= l.generation AND (i.died IS NULL OR i.died > l.generation) ORDER BY i.id"
        ))?;
        let rows = statement.query_map(params![library, fold], item)?;
        for row in rows {
            let (_, item) = row?;
            self.total += 1;
            if self.found.len() < self.limit {
                self.found.push(item);
            }
        }
        Ok(())
    }
}

/// What the index would give, from the rows themselves.
fn without_index(
    connection: &Connection,
    library: i64,
    wanted: &str,
    limit: usize,
) -> rusqlite::Result<(Vec<Item>, usize)> {
    let mut statement = connection.prepare_cached(&format!(
        "{ITEM_COLUMNS} JOIN libraries l ON l.id = i.library WHERE i.library = ?1 AND i.born <= l.generation \
         AND (i.died IS NULL OR i.died > l.generation) ORDER BY i.id"
    ))?;
    let (mut equal, mut fitting) = (Vec::new(), Vec::new());
    for row in statement.query_map([library], item)? {
        let (_, item) = row?;
        let folds: BTreeSet<String> = compacts(&item.title, &item.show_title).collect();
        if folds.contains(wanted) {
            equal.push(item);
        } else if equal.is_empty() {
            let fits = folds.into_iter().filter(|fold| has_all_words(fold, wanted));
            fitting.extend(fits.map(|fold| (fold.len(), fold, item.clone())));
        }
    }
    if equal.is_empty() {
        fitting.sort_by(|(a_length, a, _), (b_length, b, _)| (a_length, a).cmp(&(b_length, b)));
        equal.extend(fitting.into_iter().map(|(.., item)| item));
    }
    let total = equal.len();
    equal.truncate(limit);
    Ok((equal, total))
}

impl Store {
    /// The listed items whose title, or whose show's, is this one but for case, accents and punctuation; when
    /// there are none, those that have all its words. At most `limit`, with the count of all.
    ///
    /// # Errors
    /// [`crate::error::Status::Store`], [`crate::error::Status::StoreFull`].
    pub fn items_with_title(&self, library: i64, title: &str, limit: usize) -> Result<(Vec<Item>, usize)> {
        let wanted = fold_title(title);
        if !Self::was_indexed("titles", || self.index_titles(library)) {
            return self.read(|connection| without_index(connection, library, &wanted, limit));
        }
        self.read(|connection| {
            let mut taken = Taken {
                found: Vec::new(),
                total: 0,
                limit,
            };
            taken.take(connection, library, &wanted)?;
            if taken.total == 0 {
                let mut compacts =
                    connection.prepare_cached("SELECT DISTINCT fold FROM titles WHERE library = ?1 ORDER BY fold")?;
                let mut rows = compacts.query([library])?;
                let mut fitting = Vec::new();
                while let Some(row) = rows.next()? {
                    let fold = row.get_ref(0)?.as_str().unwrap_or_default();
                    if has_all_words(fold, &wanted) {
                        fitting.push(fold.to_owned());
                    }
                }
                // The shorter title says less beside what was asked for.
                fitting.sort_by_key(String::len);
                for fold in &fitting {
                    taken.take(connection, library, fold)?;
                }
            }
            Ok((taken.found, taken.total))
        })
    }

    /// Brings the title index of a library up to date, in slices.
    fn index_titles(&self, library: i64) -> Result<()> {
        loop {
            let behind: bool = self.read(|connection| {
                connection
                    .prepare_cached(
                        "SELECT EXISTS (SELECT 1 FROM libraries l JOIN items i ON i.library = l.id \
                         WHERE l.id = ?1 AND i.id > l.titles_upto)",
                    )?
                    .query_row([library], |row| row.get(0))
            })?;
            if !behind {
                return Ok(());
            }
            self.write(|tx| {
                let c = tx.connection;
                let rows: Vec<Titled> = c
                    .prepare_cached(
                        "SELECT i.id, i.title, coalesce(s.title, '') FROM items i \
                         JOIN libraries l ON l.id = i.library LEFT JOIN shows s ON s.id = i.show \
                         WHERE l.id = ?1 AND i.id > l.titles_upto ORDER BY i.id LIMIT ?2",
                    )?
                    .query_map([library, SLICE], |row| titled(row, 1))?
                    .collect::<rusqlite::Result<_>>()?;
                let mut entries: Vec<(String, i64)> = rows
                    .iter()
                    .flat_map(|item| item.compacts().map(|fold| (fold, item.id)))
                    .collect();
                entries.sort_unstable(); // in the order of the table
                let mut insert =
                    c.prepare_cached("INSERT OR IGNORE INTO titles (library, fold, item) VALUES (?1, ?2, ?3)")?;
                for (fold, id) in entries {
                    insert.execute(params![library, fold, id])?;
                }
                if let Some(last) = rows.last() {
                    c.execute(
                        "UPDATE libraries SET titles_upto = ?2 WHERE id = ?1",
                        [library, last.id],
                    )?;
                }
                Ok(())
            })?;
        }
    }
}
