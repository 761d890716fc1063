//! The stored rows of the items of a page.

use rusqlite::params;

use super::tx::{LibraryState, Tx};
use crate::model::{Item, Sequence};

/// The stored row of an item.
#[derive(Clone, Copy)]
pub enum KnownRow {
    /// `newer`: it came singly since the page was asked for.
    Live { id: i64, digest: i64, newer: bool },
    /// It went singly since then.
    Gone,
}

impl KnownRow {
    fn read(row: &rusqlite::Row<'_>, asked: Sequence) -> rusqlite::Result<Self> {
        Ok(if row.get(4)? {
            Self::Live {
                id: row.get(1)?,
                digest: row.get(2)?,
                newer: row.get::<_, Sequence>(3)? > asked,
            }
        } else {
            Self::Gone
        })
    }

    /// A living row counts more than one that is gone.
    fn and(self, before: Option<Self>) -> Self {
        match (self, before) {
            (Self::Gone, Some(living @ Self::Live { .. })) => living,
            (own, _) => own,
        }
    }
}

/// The stored rows of a page's items.
pub struct KnownRows<'i> {
    /// The keys in order, with their rows; empty if no item has one.
    found: Vec<(&'i str, Option<KnownRow>)>,
    /// The page has a key twice: the second one finds what the first one stored.
    pub has_twins: bool,
}

/// So many rows for each item of a page are read at most in the hope to find all at once.
const SCANNED: usize = 2;

impl<'i> KnownRows<'i> {
    /// Reads the rows of these items, which were requested at the change sequence `asked`.
    ///
    /// Keys of a page mostly lie near each other, so one scan finds them all, and that none is there, which is what a first
    /// listing finds: a search for each takes half as long as to store it. Where they lie far apart, each is searched for.
    pub fn of(tx: &Tx<'_>, library: &LibraryState, items: &'i [Item], asked: Sequence) -> rusqlite::Result<Self> {
        let mut found: Vec<_> = items.iter().map(|item| (item.rating_key.as_str(), None)).collect();
        found.sort_unstable_by_key(|(key, _)| *key);
        found.dedup_by_key(|(key, _)| *key);
        if !scan(tx, &mut found, library, asked)? {
            for one in found.chunks_mut(1) {
                scan(tx, one, library, asked)?;
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

/// Looks for all these keys, which are in order. `false`: too much else lies between them. Rows of what was evicted, which are
/// about to be swept, do not count.
fn scan(
    tx: &Tx<'_>,
    found: &mut [(&str, Option<KnownRow>)],
    library: &LibraryState,
    asked: Sequence,
) -> rusqlite::Result<bool> {
    let most = found.len() * SCANNED + 100;
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
        asked,
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
            found[at].1 = Some(KnownRow::read(row, asked)?.and(found[at].1));
        }
    }
    Ok(read < most)
}
