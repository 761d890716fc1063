//! What the store has of the items of a page.

use rusqlite::{CachedStatement, params};

use super::tx::{LibraryState, Tx};
use crate::model::{Item, LibraryId, Sequence};

/// What the store has of an item.
#[derive(Clone, Copy)]
pub enum KnownRow {
    /// `newer`: it came singly since the page was asked for.
    LibraryState { id: i64, digest: i64, newer: bool },
    /// It went singly since then.
    Gone,
}

impl KnownRow {
    fn read(row: &rusqlite::Row<'_>, asked: Sequence) -> rusqlite::Result<Self> {
        Ok(if row.get(4)? {
            Self::LibraryState {
                id: row.get(1)?,
                digest: row.get(2)?,
                newer: row.get::<_, Sequence>(3)? > asked,
            }
        } else {
            Self::Gone
        })
    }

    /// A living one counts, and else what went.
    fn and(self, before: Option<Self>) -> Self {
        match (self, before) {
            (Self::Gone, Some(living @ Self::LibraryState { .. })) => living,
            (own, _) => own,
        }
    }
}

/// What the store has of a page's items.
///
/// Keys of a page mostly lie near each other, so one scan finds them all, and that none is there, which is what a first listing
/// finds: a search for each takes half as long as to store it. Where they lie far apart, each is searched for.
pub enum KnownRows<'t, 'i> {
    /// The keys in order, and what the scan found of each; empty where it found none.
    Scanned(Vec<(&'i str, Option<KnownRow>)>),
    Searched(CachedStatement<'t>, Scope),
}

/// Rows that count: not those of what was evicted, which are about to be swept.
#[derive(Clone, Copy)]
pub struct Scope {
    library: LibraryId,
    asked: Sequence,
    evicted: i64,
}

/// So many rows for each item of a page are read at most in the hope to find all at once.
const SCANNED: usize = 2;

const KNOWN: &str = "SELECT rating_key, id, digest, since, died IS NULL FROM items WHERE library = ?1 \
     AND (died IS NULL OR since > ?2) AND born NOT BETWEEN 1 - ?3 AND ?3";

impl<'t, 'i> KnownRows<'t, 'i> {
    /// Of these items, which were asked for at the change sequence `asked`.
    pub fn of(tx: &'t Tx<'_>, library: &LibraryState, items: &'i [Item], asked: Sequence) -> rusqlite::Result<Self> {
        let scope = Scope {
            library: library.id,
            asked,
            evicted: library.generation.evicted(),
        };
        let mut found: Vec<_> = items.iter().map(|item| (item.rating_key.as_str(), None)).collect();
        found.sort_unstable_by_key(|(key, _)| *key);
        // The second one finds what the first one stored.
        let twice = found.windows(2).any(|two| two[0].0 == two[1].0);
        if twice || !scan(tx, &mut found, scope)? {
            let search = tx.prepare_cached(&format!("{KNOWN} AND rating_key = ?4"))?;
            return Ok(Self::Searched(search, scope));
        }
        if found.iter().all(|(_, row)| row.is_none()) {
            found.clear();
        }
        Ok(Self::Scanned(found))
    }

    /// Whether rows that are added meanwhile have to be there: the page may have a key twice.
    pub fn looks_again(&self) -> bool {
        matches!(self, Self::Searched(..))
    }

    /// The row of the item with this key.
    pub fn row(&mut self, key: &str) -> rusqlite::Result<Option<KnownRow>> {
        match self {
            Self::Scanned(found) => Ok(found
                .binary_search_by_key(&key, |(key, _)| key)
                .ok()
                .and_then(|at| found[at].1)),
            Self::Searched(search, scope) => {
                let mut found = None;
                let mut rows = search.query(params![scope.library, scope.asked, scope.evicted, key])?;
                while let Some(row) = rows.next()? {
                    found = Some(KnownRow::read(row, scope.asked)?.and(found));
                }
                Ok(found)
            }
        }
    }
}

/// Looks for all these keys, which are in order. `false`: too much else lies between them.
fn scan(tx: &Tx<'_>, found: &mut [(&str, Option<KnownRow>)], scope: Scope) -> rusqlite::Result<bool> {
    let most = found.len() * SCANNED + 100;
    let [(first, _), .., (last, _)] = found else {
        return Ok(found.is_empty());
    };
    let mut statement = tx.prepare_cached(&format!("{KNOWN} AND rating_key BETWEEN ?4 AND ?5 LIMIT ?6 + 0"))?;
    let mut rows = statement.query(params![
        scope.library,
        scope.asked,
        scope.evicted,
        *first,
        *last,
        i64::try_from(most).unwrap_or(i64::MAX)
    ])?;
    let mut read = 0;
    while let Some(row) = rows.next()? {
        read += 1;
        let key = row.get_ref(0)?.as_str()?;
        if let Ok(at) = found.binary_search_by_key(&key, |(key, _)| key) {
            found[at].1 = Some(KnownRow::read(row, scope.asked)?.and(found[at].1));
        }
    }
    Ok(read < most)
}
