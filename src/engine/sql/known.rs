//! The stored rows of the items of a page.

use rusqlite::params;

use super::last_write::LibraryState;
use super::tx::Tx;
use crate::model::{Item, Sequence};

/// The stored row of an item.
#[derive(Clone, Copy)]
pub enum KnownRow {
    /// `newer`: it was added one by one after the page was requested.
    Live { id: i64, digest: i64, newer: bool },
    /// It was removed one by one after the page was requested.
    Gone,
}

impl KnownRow {
    fn read(row: &rusqlite::Row<'_>, requested_at: Sequence) -> rusqlite::Result<Self> {
        Ok(if row.get(4)? {
            Self::Live {
                id: row.get(1)?,
                digest: row.get(2)?,
                newer: row.get::<_, Sequence>(3)? > requested_at,
            }
        } else {
            Self::Gone
        })
    }

    /// Combines two rows of one item. A live row has precedence.
    fn and(self, before: Option<Self>) -> Self {
        match (self, before) {
            (Self::Gone, Some(living @ Self::Live { .. })) => living,
            (newer_row, _) => newer_row,
        }
    }
}

/// The stored rows of a page's items.
pub struct KnownRows<'i> {
    /// The keys in order, with their rows; empty if no item of the page has a row.
    found: Vec<(&'i str, Option<KnownRow>)>,
    /// Whether the page has a key twice. The second item must then find the row that the first one added.
    pub has_twins: bool,
}

/// Number of rows that a scan reads per item of a page before it gives up.
const SCAN_FACTOR: usize = 2;

impl<'i> KnownRows<'i> {
    /// Finds the rows of these items, which were requested at the change sequence `requested_at`.
    ///
    /// The keys of a page mostly lie near each other, so one scan finds all rows. In a first listing it finds none.
    /// Searching for each key takes half as long as storing it, so that is done only if the keys lie far apart.
    pub fn of(
        tx: &Tx<'_>,
        library: &LibraryState,
        items: &'i [Item],
        requested_at: Sequence,
    ) -> rusqlite::Result<Self> {
        let mut found: Vec<_> = items.iter().map(|item| (item.rating_key.as_str(), None)).collect();
        found.sort_unstable_by_key(|(key, _)| *key);
        found.dedup_by_key(|(key, _)| *key);
        if !scan(tx, &mut found, library, requested_at)? {
            for one in found.chunks_mut(1) {
                scan(tx, one, library, requested_at)?;
            }
        }
        let has_twins = found.len() < items.len();
        if !has_twins && found.iter().all(|(_, row)| row.is_none()) {
            found.clear();
        }
        Ok(Self { found, has_twins })
    }

    /// The row of the item with this key.
    pub fn row(&mut self, key: &str) -> Option<&mut Option<KnownRow>> {
        let at = self.found.binary_search_by_key(&key, |(key, _)| key).ok()?;
        Some(&mut self.found[at].1)
    }
}

/// Scans for all keys, which are sorted. Returns `false` if too many other rows lie between them; rows of evicted
/// listings do not count, as they are swept soon.
fn scan(
    tx: &Tx<'_>,
    found: &mut [(&str, Option<KnownRow>)],
    library: &LibraryState,
    requested_at: Sequence,
) -> rusqlite::Result<bool> {
    let most = found.len() * SCAN_FACTOR + 100;
    let (Some((first, _)), Some((last, _))) = (found.first(), found.last()) else {
        return Ok(true);
    };
    let mut statement = tx.prepare_cached(
        "SELECT rating_key, id, digest, since, died IS NULL FROM items WHERE library = ?1 \
         AND (died IS NULL OR since > ?2) AND born NOT BETWEEN 1 - ?3 AND ?3 AND rating_key BETWEEN ?4 AND ?5 LIMIT ?6 + 0",
    )?;
    let limit = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![
        library.id,
        requested_at,
        library.generation.evicted(),
        first,
        last,
        limit
    ])?;
    let mut read = 0;
    while let Some(row) = rows.next()? {
        read += 1;
        let key = row.get_ref(0)?.as_str()?;
        if let Ok(at) = found.binary_search_by_key(&key, |(key, _)| key) {
            found[at].1 = Some(KnownRow::read(row, requested_at)?.and(found[at].1));
        }
    }
    Ok(read < most)
}
