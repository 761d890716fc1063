//! Confirmed matches that wait in the log: their rows of `changes` are all that was written of them.
//!
//! A match that a host records singly is one row at the end of `changes`. What was told up to `store.folded` is in the table
//! `matches`; what was told later is moved there by [`fold`], in the order of the table. So every reader reads both, the log
//! over the table. Only matches wait: whatever removes one folds first.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::places::end_in_sql;
use super::tx::Tx;
use crate::model::{Epoch, LibraryId, Sequence};

/// Bytes that a match takes beside its path and key, for the size limit.
const ROW: usize = 64;

/// More matches than this do not wait: each reader of them reads what waits first. So many in one go touch the pages of the
/// table less often.
const MOST: i64 = 4_096;

/// Matches that wait and may answer.
pub const PENDING: &str = concat!(
    "FROM changes c CROSS JOIN libraries l ON l.id = c.library AND l.identity > 0 AND c.sequence > l.epoch_seq \
     WHERE c.id > (SELECT ",
    end_in_sql!("folded"),
    " FROM store) AND c.kind = 1"
);

/// Bytes that a match takes, for the size limit.
pub fn size_of(path: &[u8], rating_key: &str) -> i64 {
    i64::try_from(path.len() + rating_key.len() + ROW).unwrap_or(i64::MAX)
}

/// Puts matches into the table, and counts them.
pub struct Filling<'t> {
    tx: &'t Tx<'t>,
    library: LibraryId,
    epoch: Epoch,
    put: CachedStatement<'t>,
    /// What there is of a path; `None` where so many come that all are counted in the end.
    before: Option<CachedStatement<'t>>,
    added: [i64; 2],
}

impl<'t> Filling<'t> {
    /// Of a library to which at least so many come.
    pub fn new(tx: &'t Tx<'t>, library: LibraryId, epoch: Epoch, coming: usize) -> rusqlite::Result<Self> {
        let c = tx.connection;
        let known: i64 = c
            .prepare_cached("SELECT match_count FROM libraries WHERE id = ?1")?
            .query_row([library], |row| row.get(0))?;
        let is_many = i64::try_from(coming).is_ok_and(|coming| coming > known / 2);
        let before = "SELECT epoch, rating_key FROM matches WHERE library = ?1 AND path = ?2";
        Ok(Self {
            tx,
            library,
            epoch,
            put: c.prepare_cached(
                "INSERT OR REPLACE INTO matches (library, path, rating_key, epoch, sequence) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?,
            before: (!is_many).then(|| c.prepare_cached(before)).transpose()?,
            added: [0; 2],
        })
    }

    /// Stores a match that a host gave at this change sequence, in place of what there is of its path.
    pub fn put(&mut self, path: &[u8], rating_key: &str, given: Sequence) -> rusqlite::Result<()> {
        if let Some(before) = &mut self.before {
            let before = before
                .query_row(params![self.library, path], |row| {
                    let size = size_of(path, row.get_ref(1)?.as_str().unwrap_or_default());
                    Ok((row.get::<_, Epoch>(0)?, size))
                })
                .optional()?;
            let living = before.filter(|(epoch, _)| *epoch == self.epoch);
            self.added[0] += i64::from(living.is_none());
            self.added[1] += size_of(path, rating_key) - living.map_or(0, |(_, size)| size);
        }
        self.put
            .execute(params![self.library, path, rating_key, self.epoch, given])?;
        Ok(())
    }

    /// Adds what came to the counts of the library.
    pub fn end(self) -> rusqlite::Result<()> {
        let [count, bytes] = self.added;
        if self.before.is_none() {
            self.tx
                .connection
                .prepare_cached(
                    "UPDATE libraries SET (match_count, match_bytes) = (SELECT count(*), \
                     coalesce(sum(octet_length(path) + octet_length(rating_key) + ?3), 0) FROM matches m \
                     WHERE m.library = ?1 AND m.epoch = ?2) WHERE id = ?1",
                )?
                .execute(params![self.library, self.epoch, size_of(b"", "")])?;
        } else if self.added != [0; 2] {
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
            "SELECT c.library, l.epoch, c.path, c.rating_key, c.sequence {PENDING} ORDER BY c.library, c.path, c.id"
        ))?;
        let mut rows = statement.query([])?;
        let mut filling: Option<Filling<'_>> = None;
        while let Some(row) = rows.next()? {
            let library: LibraryId = row.get(0)?;
            if filling.as_ref().is_none_or(|filling| filling.library != library) {
                filling.take().map_or(Ok(()), Filling::end)?;
                filling = Some(Filling::new(tx, library, row.get(1)?, 0)?);
            }
            if let Some(filling) = &mut filling {
                filling.put(
                    row.get_ref(2)?.as_blob().unwrap_or_default(),
                    row.get_ref(3)?.as_str().unwrap_or_default(),
                    row.get(4)?,
                )?;
            }
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
        .prepare_cached(concat!(
            "SELECT count(*), coalesce(sum(length(path) + length(CAST(rating_key AS BLOB)) + ?1), 0) \
             + (SELECT coalesce(sum(match_bytes), 0) FROM libraries WHERE identity > 0) \
             FROM changes WHERE id > (SELECT ",
            end_in_sql!("folded"),
            " FROM store) AND kind = 1",
        ))?
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
