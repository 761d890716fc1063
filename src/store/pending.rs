//! Confirmed matches that wait in the log: their rows of `changes` are all that was written of them.
//!
//! A match that a host records singly is one row at the end of `changes`. What was told up to `store.folded` is in the table
//! `matches`; what was told later is moved there by [`fold`], in the order of the table. So every reader reads both, the log
//! over the table. Only matches wait: whatever removes one folds first.

use rusqlite::{Connection, OptionalExtension, params};

use super::tx::Tx;
use crate::model::{Epoch, LibraryId, Sequence};

/// Bytes that a match takes beside its path and key, for the size limit.
const ROW: usize = 64;

/// More matches than this do not wait: each reader of them reads what waits first. So many in one go touch the pages of the
/// table less often.
const MOST: i64 = 4_096;

/// Matches that wait and may answer.
pub const PENDING: &str = "FROM changes c CROSS JOIN libraries l ON l.id = c.library AND l.identity > 0 \
     AND c.sequence > l.epoch_seq WHERE c.sequence > (SELECT folded FROM store) AND c.kind = 1";

/// Bytes that a match takes, for the size limit.
pub fn size_of(path: &[u8], rating_key: &str) -> i64 {
    i64::try_from(path.len() + rating_key.len() + ROW).unwrap_or(i64::MAX)
}

/// Puts matches into the table, and counts them.
pub struct Filling<'t> {
    tx: &'t Tx<'t>,
    library: LibraryId,
    epoch: Epoch,
    added: [i64; 2],
}

impl<'t> Filling<'t> {
    pub fn new(tx: &'t Tx<'t>, library: LibraryId, epoch: Epoch) -> Self {
        Self {
            tx,
            library,
            epoch,
            added: [0; 2],
        }
    }

    /// Stores a match that a host gave at this change sequence, in place of what there is of its path.
    pub fn put(&mut self, path: &[u8], rating_key: &str, given: Sequence) -> rusqlite::Result<()> {
        let c = self.tx.connection;
        let before = c
            .prepare_cached("SELECT epoch, rating_key FROM matches WHERE library = ?1 AND path = ?2")?
            .query_row(params![self.library, path], |row| {
                let size = size_of(path, row.get_ref(1)?.as_str().unwrap_or_default());
                Ok((row.get::<_, Epoch>(0)?, size))
            })
            .optional()?;
        let living = before.filter(|(epoch, _)| *epoch == self.epoch);
        self.added[0] += i64::from(living.is_none());
        self.added[1] += size_of(path, rating_key) - living.map_or(0, |(_, size)| size);
        c.prepare_cached(
            "INSERT OR REPLACE INTO matches (library, path, rating_key, epoch, sequence) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![self.library, path, rating_key, self.epoch, given])?;
        Ok(())
    }

    /// Adds what came to the counts of the library.
    pub fn end(self) -> rusqlite::Result<()> {
        let [count, bytes] = self.added;
        if self.added != [0; 2] {
            self.tx
                .connection
                .prepare_cached(
                    "UPDATE libraries SET match_count = match_count + ?2, match_bytes = match_bytes + ?3 WHERE id = ?1",
                )?
                .execute(params![self.library, count, bytes])?;
        }
        Ok(())
    }
}

/// Moves the matches that wait into their table: from then on, in this transaction too, that holds all of them. Called before
/// anything is read from the table by who may remove from it.
pub fn fold(tx: &Tx<'_>) -> rusqlite::Result<()> {
    let before = Sequence(tx.sequence.0 - 1);
    if folded(tx.connection)? >= before {
        return Ok(());
    }
    {
        // In the order of the table's tree. Of two of a path the later one stays.
        let mut statement = tx.connection.prepare_cached(&format!(
            "SELECT c.library, l.epoch, c.path, c.rating_key, c.sequence {PENDING} ORDER BY c.library, c.path, c.sequence, c.n"
        ))?;
        let mut rows = statement.query([])?;
        let mut filling: Option<Filling<'_>> = None;
        while let Some(row) = rows.next()? {
            let library: LibraryId = row.get(0)?;
            if filling.as_ref().is_none_or(|filling| filling.library != library) {
                filling.take().map_or(Ok(()), Filling::end)?;
            }
            filling.get_or_insert(Filling::new(tx, library, row.get(1)?)).put(
                row.get_ref(2)?.as_blob().unwrap_or_default(),
                row.get_ref(3)?.as_str().unwrap_or_default(),
                row.get(4)?,
            )?;
        }
        filling.map_or(Ok(()), Filling::end)?;
    }
    set_folded(tx, before)
}

/// Folds when many matches wait, or when all of them together take more than this.
pub fn fold_many(tx: &Tx<'_>, limit: u64) -> rusqlite::Result<()> {
    // The dead are counted too: to tell them takes longer than all the rest.
    let [waiting, bytes] = tx
        .connection
        .prepare_cached(
            "SELECT count(*), coalesce(sum(length(path) + length(CAST(rating_key AS BLOB)) + ?1), 0) \
             + (SELECT coalesce(sum(match_bytes), 0) FROM libraries WHERE identity > 0) \
             FROM changes WHERE sequence > (SELECT folded FROM store) AND kind = 1",
        )?
        .query_row([size_of(b"", "")], |row| Ok([row.get::<_, i64>(0)?, row.get(1)?]))?;
    if waiting > MOST || bytes.cast_unsigned() > limit {
        fold(tx)?;
    }
    Ok(())
}

/// What was told up to here is in the table.
pub fn folded(connection: &Connection) -> rusqlite::Result<Sequence> {
    connection
        .prepare_cached("SELECT folded FROM store")?
        .query_row([], |row| row.get(0))
}

/// Notes that what was told up to here is in the table.
pub fn set_folded(tx: &Tx<'_>, upto: Sequence) -> rusqlite::Result<()> {
    tx.connection
        .prepare_cached("UPDATE store SET folded = ?1")?
        .execute([upto])?;
    Ok(())
}
