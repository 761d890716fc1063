//! Items that a listing under way has found, a page a row: what it did not find is gone at its end.

use rusqlite::{Connection, params};

use super::tx::Tx;

use crate::model::LibraryId;

/// Pages of `seen` from here on hold single items that were merged while a listing was under way.
const MERGED_PAGES: i64 = 1 << 40;

/// Notes the rows of a page, 8 bytes each.
pub fn note_page(tx: &Tx<'_>, library: LibraryId, page: i64, ids: &[u8]) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached("INSERT OR REPLACE INTO seen (library, page, ids) VALUES (?1, ?2, ?3)")?
        .execute(params![library, page, ids])?;
    Ok(())
}

/// Notes an item that was merged singly: a listing under way must not mark it as gone. A page of its own, far behind.
pub fn note_merged(tx: &Tx<'_>, library: LibraryId, id: i64) -> rusqlite::Result<()> {
    note_page(tx, library, MERGED_PAGES + id, &id.to_le_bytes())
}

/// Whether items were merged singly while the listing was under way.
pub fn has_merged(connection: &Connection, library: LibraryId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM seen WHERE library = ?1 AND page >= ?2")?
        .exists(params![library, MERGED_PAGES])
}

/// Forgets all pages of a library.
pub fn forget(tx: &Tx<'_>, library: LibraryId) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached("DELETE FROM seen WHERE library = ?1")?
        .execute([library])?;
    Ok(())
}

/// The rows of all pages, each once, in order.
pub fn ids(connection: &Connection, library: LibraryId) -> rusqlite::Result<Vec<i64>> {
    let mut ids = Vec::new();
    let mut statement = connection.prepare_cached("SELECT ids FROM seen WHERE library = ?1")?;
    let mut rows = statement.query([library])?;
    while let Some(row) = rows.next()? {
        let blob: &[u8] = row.get_ref(0)?.as_blob().unwrap_or_default();
        ids.extend(
            blob.chunks_exact(8)
                .filter_map(|id| id.try_into().ok())
                .map(i64::from_le_bytes),
        );
    }
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}
